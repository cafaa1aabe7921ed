//! Who the account is, as a userinfo answer tells (OpenID Connect Core §5.3.2).

use serde_json::Value;

use super::answer::Received;
use crate::config::IdentityFields;
use crate::json;
use crate::jwt::id_token::Identity;

/// Reads a userinfo answer. `None` if there is none, or it has no id.
pub fn read(received: &Received, fields: &IdentityFields) -> Option<Identity> {
    let Received::Answer { status: 200, body, .. } = received else {
        return None;
    };
    let document: Value = json::read(body.expose().as_bytes()).ok()?;
    Some(Identity {
        id: Some(at(&document, &fields.id)?),
        email: at(&document, &fields.email),
        name: at(&document, &fields.name),
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

fn at(document: &Value, path: &str) -> Option<String> {
    let value = path.split('.').try_fold(document, |value, step| value.get(step))?;
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty() && text.len() <= 1024).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn received(body: &str) -> Received {
        Received::Answer { status: 200, retry_after: None, body: Secret::new(body.to_owned()) }
    }

    #[test]
    fn fields_are_found_by_path_and_ids_may_be_numbers() {
        let fields = IdentityFields {
            id: "user.id".into(),
            email: "user.email".into(),
            name: "login".into(),
        };
        let identity = read(
            &received(r#"{"user":{"id":9007199254740993,"email":null},"login":"o"}"#),
            &fields,
        );
        assert_eq!(
            identity,
            Some(Identity {
                id: Some("9007199254740993".into()),
                email: None,
                name: Some("o".into())
            })
        );
        assert_eq!(read(&received(r#"{"login":"o"}"#), &fields), None);
    }

    #[test]
    fn userinfo_of_another_user_is_not_used() {
        let token = Identity { id: Some("1".into()), ..Identity::default() };
        let other =
            Identity { id: Some("2".into()), email: Some("evil@example.com".into()), name: None };
        assert_eq!(complete(token.clone(), Some(other)), token);
    }
}
