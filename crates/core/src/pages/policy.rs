// SPDX-License-Identifier: Apache-2.0
//! The `Content-Security-Policy` of a page (CSP Level 3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::{Host, Url};

use vault_base::encoding;

/// Where a form of a page may lead. Chromium applies `form-action` to the redirects that follow the
/// post as well, so what answers the post by a redirect must name where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormAction<'a> {
    /// To this host alone.
    Own,
    /// To this host, and by redirect to these addresses.
    OwnAnd(&'a [&'a str]),
    /// Anywhere: to a service whose own redirects are not known.
    Anywhere,
}

/// What a page does apart from showing text.
pub(super) struct Policy<'a> {
    pub style: &'a str,
    pub script: Option<&'a str>,
    pub images: bool,
    pub framed_by: Option<&'a str>,
    /// `None` if the page has no form.
    pub forms: Option<FormAction<'a>>,
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
            Some(FormAction::OwnAnd(addresses)) => {
                out.push_str("; form-action 'self'");
                for source in addresses.iter().filter_map(|address| source(address)) {
                    out.push(' ');
                    out.push_str(&source);
                }
            }
            Some(FormAction::Anywhere) => {}
        }
        out
    }
}

/// The source expression of an inline element (CSP3 §2.3.1).
fn hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(encoding::sha256(text)))
}

/// What stands for an address in a policy: its origin, or its scheme where an application on a
/// device has one of its own or the host is an IPv6 address, which no policy can name. `None` if it
/// is no address.
fn source(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    Some(origin(&url).unwrap_or_else(|| format!("{}:", url.scheme())))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_named_by_its_origin_or_else_by_its_scheme() {
        for (address, expected) in [
            ("https://app.example/callback?a=;b", Some("https://app.example")),
            ("https://app.example:8443/", Some("https://app.example:8443")),
            ("http://127.0.0.1:18484/callback", Some("http://127.0.0.1:18484")),
            ("http://[::1]:18484/callback", Some("http:")),
            ("com.example.app:/callback", Some("com.example.app:")),
            ("com.example.app://vault.example/ios", Some("com.example.app:")),
            ("/callback", None),
            ("'none'; script-src *", None),
        ] {
            assert_eq!(source(address).as_deref(), expected, "{address}");
        }
        // A host that would end the directive is no host.
        assert_eq!(source("https://a;script-src *"), None);
    }
}
