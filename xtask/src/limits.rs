// SPDX-License-Identifier: Apache-2.0
//! What Cloudflare accepts of a Worker's variables. The program `check` compiles this file too.

use serde_json::Value;

/// Maximum size of a variable, in bytes: 5 KB by Cloudflare's documentation (Workers, "Limits"), which does not say
/// whether a KB has 1,000 or 1,024. Cloudflare rejects a larger one, but only at the deployment.
const VARIABLE_LIMIT: usize = 5_000;

/// What is wrong with a variable that is larger than Cloudflare accepts; `None` if it fits. Text counts as it is,
/// and a table as its JSON.
pub(crate) fn too_large(name: &str, value: &Value) -> Option<String> {
    let size = match value {
        Value::String(text) => text.len(),
        other => other.to_string().len(),
    };
    (size > VARIABLE_LIMIT).then(|| {
        format!(
            "has {size} bytes as JSON; Cloudflare accepts {VARIABLE_LIMIT}. Move some of its entries to \
             {name}_2: variables with the same prefix are read as one"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_variable_of_5000_bytes_passes_and_one_more_is_refused_with_its_size() {
        assert_eq!(too_large("PUBLIC_URL", &json!("x".repeat(5_000))), None);
        let refused = too_large("PUBLIC_URL", &json!("x".repeat(5_001))).unwrap();
        assert!(
            refused.starts_with("has 5001 bytes as JSON; Cloudflare accepts 5000."),
            "{refused}"
        );
        assert!(too_large("PUBLIC_URL", &json!("é".repeat(2_501))).is_some());
    }

    #[test]
    fn a_table_counts_as_its_json() {
        let with = |size: usize| json!({"a": {"issuer": "x".repeat(size)}});
        let frame = r#"{"a":{"issuer":""}}"#.len();
        assert_eq!(too_large("CONNECTIONS", &with(5_000 - frame)), None);
        let refused = too_large("CONNECTIONS", &with(5_001 - frame)).unwrap();
        assert!(refused.contains("5001 bytes") && refused.contains("CONNECTIONS_2"), "{refused}");
    }
}
