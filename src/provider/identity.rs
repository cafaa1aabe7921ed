//! Who the account is, as a userinfo answer tells (OpenID Connect Core §5.3.2).

use serde_json::Value;

use super::answer::Received;
use super::dialect::IdentityRules;
use super::path;
use crate::json;
use crate::jwt::id_token::Identity;

/// Reads a userinfo answer. `None` if there is none, or it has no id.
pub fn read(received: &Received, rules: &IdentityRules) -> Option<Identity> {
    let Received::Answer { status: 200, body, .. } = received else {
        return None;
    };
    of_document(&json::read(body.expose().as_bytes()).ok()?, rules)
}

/// Reads an identity from a document. `None` if that has no id.
pub fn of_document(document: &Value, rules: &IdentityRules) -> Option<Identity> {
    Some(Identity {
        id: Some(path::text(document, &rules.id)?),
        email: path::text(document, &rules.email),
        name: path::text(document, &rules.name),
    })
}

/// Completes the identity of an ID token with what userinfo says. Another user's answer is not
/// used (Core §5.3.2: the two `sub` must match).
pub fn complete(from_token: Identity, userinfo: Option<Identity>) -> Identity {
    match userinfo {
        Some(info) if info.id == from_token.id => Identity {
            id: from_token.id,
            email: from_token.email.or(info.email),
            name: from_token.name.or(info.name),
        },
        _ => from_token,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn userinfo_of_another_user_is_not_used() {
        let token = Identity { id: Some("1".into()), ..Identity::default() };
        let other =
            Identity { id: Some("2".into()), email: Some("evil@example.com".into()), name: None };
        assert_eq!(complete(token.clone(), Some(other)), token);
    }
}
