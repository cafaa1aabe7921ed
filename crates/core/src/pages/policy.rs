// SPDX-License-Identifier: Apache-2.0
//! The `Content-Security-Policy` of a page (CSP Level 3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::{Host, Url};

use vault_base::encoding;

/// Where the forms of a page may lead. Chromium applies `form-action` also to all redirects that follow
/// the post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormAction {
    /// To this host alone.
    Own,
    /// Anywhere, because the response redirects to an application or a provider, whose own redirects are
    /// not known.
    Anywhere,
}

/// What a page does apart from showing text.
pub(super) struct Policy<'a> {
    pub style: &'a str,
    pub script: Option<&'a str>,
    pub images: bool,
    pub framed_by: Option<&'a str>,
    /// `None` if the page has no form.
    pub forms: Option<FormAction>,
}

impl Policy<'_> {
    pub(super) fn header(&self) -> String {
        let mut out = format!("default-src 'none'; style-src {}", hash(self.style));
        if let Some(script) = self.script {
            out.push_str("; script-src ");
            out.push_str(&hash(script));
        }
        if self.images {
            out.push_str("; img-src 'self' https: data:");
        }
        out.push_str("; base-uri 'none'; frame-ancestors ");
        out.push_str(self.framed_by.unwrap_or("'none'"));
        match self.forms {
            None => out.push_str("; form-action 'none'"),
            Some(FormAction::Own) => out.push_str("; form-action 'self'"),
            Some(FormAction::Anywhere) => {}
        }
        out
    }
}

/// The source expression of an inline element (CSP3 §2.3.1).
fn hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(encoding::sha256(text)))
}

/// The origin of an http address, as a policy can name it.
pub(super) fn origin(url: &Url) -> Option<String> {
    let named = matches!(url.host(), Some(Host::Domain(_) | Host::Ipv4(_)));
    (named && is_http(url)).then(|| url.origin().ascii_serialization())
}

/// Whether a browser may be sent there by a link or a form of ours. What else there is of schemes
/// includes `javascript:`.
pub(super) fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "https" | "http")
}

/// What users recognise the application by that a redirect URI leads to: its host, or its scheme if that
/// is the application's own (RFC 8252 §7.1), which has a dot. `None` for all other addresses, of which
/// `javascript:` is one.
pub(super) fn destination(redirect_uri: &str) -> Option<String> {
    let url = Url::parse(redirect_uri).ok()?;
    if is_http(&url) {
        return url.host_str().map(str::to_owned);
    }
    url.scheme().contains('.').then(|| url.scheme().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_a_host_or_the_scheme_of_an_application() {
        for (address, expected) in [
            ("https://app.example/callback?a=;b", Some("app.example")),
            ("http://127.0.0.1:18484/callback", Some("127.0.0.1")),
            ("com.example.app:/callback", Some("com.example.app")),
            ("com.example.app://vault.example/ios", Some("com.example.app")),
            ("javascript:alert(1)", None),
            ("data:text/html,x", None),
            ("/callback", None),
            ("", None),
        ] {
            assert_eq!(destination(address).as_deref(), expected, "{address}");
        }
    }

    #[test]
    fn an_origin_is_one_that_a_policy_can_name() {
        for (address, expected) in [
            ("https://app.example:8443/a;b", Some("https://app.example:8443")),
            ("http://127.0.0.1:18484/callback", Some("http://127.0.0.1:18484")),
            ("http://[::1]:18484/callback", None),
            ("com.example.app:/callback", None),
        ] {
            assert_eq!(origin(&Url::parse(address).unwrap()).as_deref(), expected, "{address}");
        }
        // A host that would end the directive is not a host.
        assert!(Url::parse("https://a;script-src *").is_err());
    }
}
