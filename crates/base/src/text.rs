// SPDX-License-Identifier: Apache-2.0
//! Syntax checks and escaping for text: scopes, access tokens, HTTP headers, form parameters, HTML.

use std::collections::BTreeSet;

use url::form_urlencoded;

/// The maximum number of scopes in one request.
pub const MAX_SCOPES: usize = 100;

/// The maximum number of parameters in a form body or a query.
pub const MAX_PARAMETERS: usize = 100;

/// Whether `text` is one scope token: `1*( %x21 / %x23-5B / %x5D-7E )` (RFC 6749 §3.3).
pub fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

/// Whether `text` is usable as an access token: `1*( %x21-7E )`. RFC 6749 §A.12 also allows spaces, but an
/// `Authorization` header cannot carry them. The syntax `b64token` of RFC 6750 §2.1 is narrower, but
/// providers issue tokens outside it.
pub fn is_access_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether `text` is a valid header field name: a `token` of RFC 9110 §5.6.2.
pub fn is_header_name(text: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(token)
}

/// Whether `text` is a valid header field value (RFC 9110 §5.5): visible ASCII, with spaces and tabs
/// between but not at the ends. Control characters such as line breaks are rejected. So are characters
/// outside ASCII, because recipients decode them in different ways.
pub fn is_header_value(text: &str) -> bool {
    let visible = |byte: &u8| byte.is_ascii_graphic();
    let bytes = text.as_bytes();
    bytes.iter().all(|byte| visible(byte) || matches!(byte, b' ' | b'\t'))
        && bytes.first().is_none_or(visible)
        && bytes.last().is_none_or(visible)
}

/// Splits a space-separated `scope` value (RFC 6749 §3.3). Duplicates are dropped; the order is kept.
pub fn scopes(value: &str) -> Vec<String> {
    unique(value.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned))
}

/// Drops duplicates and keeps the first occurrence of each item.
pub fn unique(items: impl IntoIterator<Item = String>) -> Vec<String> {
    // An ordered set, because hashing has no random seed on this target: a caller could choose items that
    // all collide in a hash set.
    let mut seen = BTreeSet::new();
    items.into_iter().filter(|item| seen.insert(item.clone())).collect()
}

/// Parses the parameters of an `application/x-www-form-urlencoded` body or query. `None` if there are more
/// than [`MAX_PARAMETERS`].
pub fn parameters(text: &[u8]) -> Option<form_urlencoded::Parse<'_>> {
    let count = text.split(|byte| *byte == b'&').count();
    (count <= MAX_PARAMETERS).then(|| form_urlencoded::parse(text))
}

/// Splits an absolute URL into its path and its query. The URL must be one that a URL parser has accepted.
/// The query comes without its `?`, and is empty if there is none.
pub fn path_and_query(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').map_or("/", |start| rest.split_at(start).1);
    path.split_once('?').unwrap_or((path, ""))
}

/// Converts text to the characters allowed in `error_description`: `%x20-21 / %x23-5B / %x5D-7E` (RFC 6749
/// §5.2). A double quote becomes a single quote, any other character `?`. The result has at most 300
/// characters.
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
    fn repeats_are_dropped_and_the_first_of_each_keeps_its_place() {
        assert_eq!(scopes(" b a  b c a "), ["b", "a", "c"]);
        assert!(scopes("  ").is_empty());
        // With a quadratic algorithm this would take minutes.
        let many: Vec<String> = (0..200_000).map(|index| format!("scope-{index}")).collect();
        assert_eq!(unique(many.iter().chain(&many).cloned()), many);
    }

    #[test]
    fn parameters_beyond_the_bound_are_not_read_at_all() {
        let count = |text: &str| parameters(text.as_bytes()).map(Iterator::count);
        assert_eq!(count(""), Some(0));
        assert_eq!(count(&"a=1&".repeat(MAX_PARAMETERS - 1)), Some(MAX_PARAMETERS - 1));
        assert_eq!(count(&"a=1&".repeat(MAX_PARAMETERS)), None);
        assert_eq!(count(&"&".repeat(MAX_PARAMETERS)), None);
    }

    #[test]
    fn a_header_is_a_token_and_a_value_that_ends_no_line() {
        for name in ["accept", "Notion-Version", "x_a", "!#$%&'*+-.^_`|~09"] {
            assert!(is_header_name(name), "{name:?}");
        }
        for name in ["", " a", "a b", "a:", "a\r\nb", "a\0", "é", "a\t", "(a)", "a\u{7f}"] {
            assert!(!is_header_name(name), "{name:?}");
        }
        for value in ["", "a", "Bearer a.b-c_d~e+f/g=", "a b\tc", "text/html; q=\"1\", */*", "(:)"]
        {
            assert!(is_header_value(value), "{value:?}");
        }
        for value in [
            " a",
            "a ",
            "\ta",
            "a\t",
            " ",
            "a\nb: c",
            "a\rb",
            "a\r\nb: c",
            "a\n",
            "\r",
            "a\0b",
            "é",
            "a\u{85}b",
            "a\u{2028}b",
            "a\u{7f}",
            "\u{1b}[1m",
            "\u{ff}",
        ] {
            assert!(!is_header_value(value), "{value:?}");
        }
    }

    #[test]
    fn a_description_keeps_only_what_the_rfc_allows() {
        assert_eq!(description("a \"b\" \\ é\n<"), "a 'b' ? ??<");
        assert_eq!(description(&"x".repeat(500)).len(), 300);
    }
}
