// SPDX-License-Identifier: Apache-2.0
//! Small rules about text that several protocols share.

use std::collections::BTreeSet;

use url::form_urlencoded;

/// Most scopes that a request may name.
pub const MAX_SCOPES: usize = 100;

/// Most parameters that a form or a query may have.
pub const MAX_PARAMETERS: usize = 100;

/// Whether `text` is one scope token: `1*( %x21 / %x23-5B / %x5D-7E )` (RFC 6749 §3.3).
pub fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

/// Whether `text` can be an access token: `1*( %x21-7E )`. RFC 6749 §A.12 allows a space as well, which no
/// `Authorization` header can carry; the narrower `b64token` of RFC 6750 §2.1 is not what providers keep to.
pub fn is_access_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether `text` can be the name of a header: a token (RFC 9110 §5.6.2).
pub fn is_header_name(text: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(token)
}

/// Whether `text` can be the value of a header (RFC 9110 §5.5): no line break or other control
/// character, and no white space at its ends. Nothing beyond ASCII, which recipients read in
/// different ways.
pub fn is_header_value(text: &str) -> bool {
    let visible = |byte: &u8| byte.is_ascii_graphic();
    let bytes = text.as_bytes();
    bytes.iter().all(|byte| visible(byte) || matches!(byte, b' ' | b'\t'))
        && bytes.first().is_none_or(visible)
        && bytes.last().is_none_or(visible)
}

/// Splits a space-separated scope value, dropping repeats and keeping order.
pub fn scopes(value: &str) -> Vec<String> {
    unique(value.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned))
}

/// Drops repeats, keeping the first of each. An ordered set: whatever the items are, its work grows
/// with their length. The hashes of this target have no secret, so that items can be made to collide.
pub fn unique(items: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    items.into_iter().filter(|item| seen.insert(item.clone())).collect()
}

/// The parameters of a form or a query. `None` if there are more than [`MAX_PARAMETERS`].
pub fn parameters(text: &[u8]) -> Option<form_urlencoded::Parse<'_>> {
    let count = text.split(|byte| *byte == b'&').count();
    (count <= MAX_PARAMETERS).then(|| form_urlencoded::parse(text))
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
        // Each compared with each would be a matter of minutes.
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
