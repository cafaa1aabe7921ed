// SPDX-License-Identifier: Apache-2.0
//! The identity of an account in a userinfo response (OpenID Connect Core §5.3.2).

use std::collections::BTreeMap;

use serde_json::Value;

use super::json_path;
use super::profile::IdentityRules;
use super::token_response::ProviderResponse;
use vault_base::json;
use vault_jose::identity::Identity;

/// What a provider states about the user who consented.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserInfo {
    /// The user's identity.
    pub identity: Identity,
    /// Further values for applications, by path; no secrets.
    pub provider_data: BTreeMap<String, String>,
}

/// Parses a userinfo response. `None` if its status is not 200, if its body is not JSON, or if it has no id.
pub fn read(received: &ProviderResponse, rules: &IdentityRules) -> Option<UserInfo> {
    let ProviderResponse::Answer { status: 200, body, .. } = received else {
        return None;
    };
    let document = json::read(body.expose().as_bytes()).ok()?;
    let identity = of_document(&document, rules)?;
    Some(UserInfo { identity, provider_data: json_path::named(&document, &rules.provider_data) })
}

/// Extracts the identity from a JSON document. `None` if the document has no id.
pub fn of_document(document: &Value, rules: &IdentityRules) -> Option<Identity> {
    Some(Identity {
        id: Some(json_path::text(document, &rules.id)?),
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
