// SPDX-License-Identifier: Apache-2.0
//! The identity of an account in a userinfo response (OpenID Connect Core §5.3.2).

use std::collections::BTreeMap;

use serde_json::Value;

use super::document::Document;
use super::json_path;
use super::profile::IdentityRules;
use super::token_response::{self, ProviderResponse};
use vault_jose::identity::Identity;

/// What a provider states about the user who consented.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserInfo {
    /// The user's identity.
    pub identity: Identity,
    /// Further values for applications, by path; no secrets.
    pub provider_data: BTreeMap<String, String>,
}

/// Parses a userinfo response, whose status must be one of success (2xx).
///
/// # Errors
/// [`NoUserInfo`] if the response does not name the user.
pub fn read(received: &ProviderResponse, rules: &IdentityRules) -> Result<UserInfo, NoUserInfo> {
    let ProviderResponse::Answer { status, body, .. } = received else {
        return Err(NoUserInfo::Later);
    };
    if token_response::may_pass(received) {
        return Err(NoUserInfo::Later);
    }
    if !(200..=299).contains(status) {
        return Err(NoUserInfo::Status(*status));
    }
    let document = match Document::of_json(body.expose()) {
        Some(document) => document,
        None if is_signed(body.expose()) => return Err(NoUserInfo::Signed),
        None => return Err(NoUserInfo::NotJson),
    };
    if !document.is_clear(&rules.id) {
        return Err(NoUserInfo::RepeatsMember);
    }
    let identity = of_document(document.value(), rules).ok_or(NoUserInfo::NoId)?;
    let provider_data = json_path::named(document.value(), &rules.provider_data);
    Ok(UserInfo { identity, provider_data })
}

/// Why a userinfo response does not name the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoUserInfo {
    /// The provider cannot be asked now.
    Later,
    /// The endpoint answered with this status, which is none of success.
    Status(u16),
    /// The body is no JSON object.
    NotJson,
    /// The body is a signed or encrypted JWT (OpenID Connect Core §5.3.2). The vault reads JSON only.
    Signed,
    /// The object has the member with the id more than once, with different values.
    RepeatsMember,
    /// The object has no id where the connection expects it.
    NoId,
    /// There is no userinfo endpoint, or the token response has no id where the connection expects it.
    Nowhere,
    /// The authorization response has no parameter with the id.
    NotInCallback,
}

impl NoUserInfo {
    /// The code for the log.
    pub fn word(self) -> String {
        match self {
            Self::Later => "userinfo_unavailable".into(),
            Self::Status(status) => format!("userinfo_http_{status}"),
            Self::NotJson => "userinfo_not_json".into(),
            Self::Signed => "userinfo_signed".into(),
            Self::RepeatsMember => "userinfo_repeats_member".into(),
            Self::NoId => "userinfo_without_id".into(),
            Self::Nowhere => "no_userinfo".into(),
            Self::NotInCallback => "callback_without_id".into(),
        }
    }
}

/// Whether a body is a JWT, signed or encrypted: three or five segments of base64url.
fn is_signed(body: &str) -> bool {
    let body = body.trim();
    let is_segment = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    body.starts_with("ey") && body.bytes().all(is_segment) && body.contains('.')
}

/// Extracts the identity from a JSON document. `None` if the document has no id, or one in which a character was
/// replaced because it could not be read: the ids of two users could be the same then.
pub fn of_document(document: &Value, rules: &IdentityRules) -> Option<Identity> {
    let id = json_path::text(document, &rules.id).filter(|id| !id.contains('\u{fffd}'))?;
    Some(Identity {
        id: Some(id),
        email: json_path::text(document, &rules.email),
        name: json_path::text(document, &rules.name),
    })
}

/// Adds to the claims of an ID token what the userinfo response has beyond them. Values of the ID token
/// take precedence. A response about another user is ignored (OpenID Connect Core §5.3.2: the two `sub`
/// must match).
pub fn complete(mut from_token: UserInfo, userinfo: Option<UserInfo>) -> UserInfo {
    if let Some(UserInfo { identity: info, mut provider_data }) = userinfo
        && info.id == from_token.identity.id
    {
        let identity = &mut from_token.identity;
        identity.email = identity.email.take().or(info.email);
        identity.name = identity.name.take().or(info.name);
        provider_data.append(&mut from_token.provider_data);
        from_token.provider_data = provider_data;
    }
    from_token
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn userinfo_of_another_user_is_not_used() {
        let info = |id: &str, email: Option<&str>, tenant: &str| UserInfo {
            identity: Identity { id: Some(id.into()), email: email.map(Into::into), name: None },
            provider_data: BTreeMap::from([("tid".to_owned(), tenant.to_owned())]),
        };
        let token = info("1", None, "a");
        assert_eq!(complete(token.clone(), Some(info("2", Some("evil@example.com"), "b"))), token);
        // A response about the same user adds values; the signed ones take precedence.
        let both = complete(token, Some(info("1", Some("a@example.com"), "b")));
        assert_eq!(both, info("1", Some("a@example.com"), "a"));
    }
}
