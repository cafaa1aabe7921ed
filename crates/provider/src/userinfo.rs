// SPDX-License-Identifier: Apache-2.0
//! Who the account is, as a userinfo answer tells (OpenID Connect Core §5.3.2).

use std::collections::BTreeMap;

use serde_json::Value;

use super::json_path;
use super::profile::IdentityRules;
use super::token_response::ProviderResponse;
use vault_base::json;
use vault_jose::identity::Identity;

/// What a provider tells of who consented.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserInfo {
    /// Who it is.
    pub identity: Identity,
    /// What applications need beside it.
    pub provider_data: BTreeMap<String, String>,
}

/// Reads a userinfo answer. `None` if there is none, or it has no id.
pub fn read(received: &ProviderResponse, rules: &IdentityRules) -> Option<UserInfo> {
    let ProviderResponse::Answer { status: 200, body, .. } = received else {
        return None;
    };
    let document = json::read(body.expose().as_bytes()).ok()?;
    let identity = of_document(&document, rules)?;
    Some(UserInfo { identity, provider_data: json_path::named(&document, &rules.provider_data) })
}

/// Reads an identity from a document. `None` if that has no id.
pub fn of_document(document: &Value, rules: &IdentityRules) -> Option<Identity> {
    Some(Identity {
        id: Some(json_path::text(document, &rules.id)?),
        email: json_path::text(document, &rules.email),
        name: json_path::text(document, &rules.name),
    })
}

/// Completes what an ID token tells with what userinfo says. Another user's answer is not used (Core
/// §5.3.2: the two `sub` must match).
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
        let told = |id: &str, email: Option<&str>, tenant: &str| UserInfo {
            identity: Identity { id: Some(id.into()), email: email.map(Into::into), name: None },
            provider_data: BTreeMap::from([("tid".to_owned(), tenant.to_owned())]),
        };
        let token = told("1", None, "a");
        assert_eq!(complete(token.clone(), Some(told("2", Some("evil@example.com"), "b"))), token);
        // Of the same user it adds, and the signed word goes before it.
        let both = complete(token, Some(told("1", Some("a@example.com"), "b")));
        assert_eq!(both, told("1", Some("a@example.com"), "a"));
    }
}
