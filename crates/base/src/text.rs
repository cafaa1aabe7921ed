//! Small rules about text that several protocols share.

/// Whether `text` is one scope token: `1*( %x21 / %x23-5B / %x5D-7E )` (RFC 6749 §3.3).
pub fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

/// Whether `text` can be an access token: `1*( %x21-7E )`. RFC 6749 §A.12 allows a space as well, which no
/// `Authorization` header can carry; the narrower `b64token` of RFC 6750 §2.1 is not what providers keep to.
pub fn is_access_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Splits a space-separated scope value, dropping repeats and keeping order.
pub fn scopes(value: &str) -> Vec<String> {
    unique(value.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned))
}

/// Drops repeats, keeping the first of each.
pub fn unique(items: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for item in items {
        if !out.contains(&item) {
            out.push(item);
        }
    }
    out
}

/// Path and query (without its `?`) of an absolute URL that was parsed before. The query may be empty.
pub fn path_and_query(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').map_or("/", |start| rest.split_at(start).1);
    path.split_once('?').unwrap_or((path, ""))
}

/// Text that may stand in `error_description`: `%x20-21 / %x23-5B / %x5D-7E` (RFC 6749 §5.2).
/// Anything else becomes `?`; at most 300 characters are kept.
pub fn description(text: &str) -> String {
    text.chars()
        .take(300)
        .map(|c| match c {
            ' ' | '!' | '#'..='[' | ']'..='~' => c,
            '"' => '\'',
            _ => '?',
        })
        .collect()
}

/// Escapes text for HTML content and quoted attributes.
pub fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_at_its_path_and_its_first_question_mark() {
        for (url, parts) in [
            ("https://vault.example/oauth/token", ("/oauth/token", "")),
            (
                "https://vault.example/callback/a?code=1&iss=https://a/?b",
                ("/callback/a", "code=1&iss=https://a/?b"),
            ),
            ("https://vault.example:8443/?", ("/", "")),
            ("https://vault.example", ("/", "")),
        ] {
            assert_eq!(path_and_query(url), parts, "{url}");
        }
    }

    #[test]
    fn a_scope_is_printable_ascii_without_quote_backslash_and_space() {
        assert!(is_scope("https://www.googleapis.com/auth/drive.readonly"));
        for refused in ["", "a b", "a\"b", "a\\b", "é", "a\n"] {
            assert!(!is_scope(refused), "{refused:?}");
        }
    }

    #[test]
    fn an_access_token_is_visible_ascii() {
        for taken in ["gho_abc", "a!b|c", "00D|x~\"y\\z", "a"] {
            assert!(is_access_token(taken), "{taken:?}");
        }
        for refused in ["", "a b", "a\n", "a\r\nx-evil: 1", "\u{7f}", "é", "a\0"] {
            assert!(!is_access_token(refused), "{refused:?}");
        }
    }

    #[test]
    fn a_description_keeps_only_what_the_rfc_allows() {
        assert_eq!(description("a \"b\" \\ é\n<"), "a 'b' ? ??<");
        assert_eq!(description(&"x".repeat(500)).len(), 300);
    }

    #[test]
    fn html_is_inert_after_escaping() {
        assert_eq!(html("<script>'\"&"), "&lt;script&gt;&#39;&quot;&amp;");
    }
}
