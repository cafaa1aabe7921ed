// SPDX-License-Identifier: Apache-2.0
//! `PUBLIC_URL`, the identifiers derived from it, and the rules for URLs of other parties.

use url::{Host, Url};

/// The public origin of the vault: scheme, host and optional port, without a path and without a trailing
/// slash, such as `https://vault.example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    origin: String,
    local: bool,
    secure: bool,
}

impl PublicUrl {
    /// Parses the value of `PUBLIC_URL`: an `https` origin, or an `http` origin on a loopback address.
    ///
    /// # Errors
    /// A sentence for the operator that says how the value must look.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = parse_url(text, "must be a URL such as https://vault.example.com")?;
        let (local, secure) = (is_loopback(&url), url.scheme() == "https");
        let allowed = secure || (local && url.scheme() == "http");
        if !allowed {
            return Err("must be https (http only on a loopback address)".into());
        }
        if url.origin().ascii_serialization() != text {
            return Err(format!(
                "must be scheme, host and port alone, such as {}",
                url.origin().ascii_serialization()
            ));
        }
        Ok(Self { origin: text.to_owned(), local, secure })
    }

    /// The origin, without a trailing slash.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The host, with its port if that is not the scheme's own.
    pub fn host(&self) -> &str {
        self.origin.split_once("://").map_or(&self.origin, |(_, host)| host)
    }

    /// The vault's identifier: the origin with a trailing slash. It is the issuer of the vault's metadata,
    /// the audience of client assertions, and the default audience of subject tokens.
    pub fn identifier(&self) -> String {
        format!("{}/", self.origin)
    }

    /// The audience that access tokens for the connected-accounts API must carry: `<origin>/me/`.
    pub fn me(&self) -> String {
        format!("{}/me/", self.origin)
    }

    /// The absolute URL of one of the vault's own paths; `path` starts with `/`.
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// The redirect URI (RFC 6749 §3.1.2) that is registered at this connection's provider.
    pub fn callback(&self, connection: &str) -> String {
        format!("{}/callback/{connection}", self.origin)
    }

    /// Whether it is https: cookies are then for https alone.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Whether this is a development vault: on loopback.
    pub fn is_local(&self) -> bool {
        self.local
    }

    /// Checks the URL of another party, such as an endpoint of a provider: it must be `https` with a public
    /// host name, without user info and without a fragment. A development vault also accepts `http` and
    /// `https` URLs of loopback addresses.
    ///
    /// # Errors
    /// A sentence for the operator that says how the value must look.
    pub fn allows(&self, text: &str) -> Result<(), String> {
        let url = parse_url(text, "must be an absolute URL")?;
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err("must carry neither user info nor a fragment".into());
        }
        if self.local && url.scheme() == "http" && is_loopback(&url) {
            return Ok(());
        }
        if url.scheme() != "https" {
            return Err(
                "must be https (http only on loopback, and only while PUBLIC_URL is on loopback)"
                    .into(),
            );
        }
        match url.host() {
            Some(Host::Domain(name)) if is_public(name) => Ok(()),
            Some(_) if self.local && is_loopback(&url) => Ok(()),
            _ => Err("must have a public host name, not an IP address or a local name".into()),
        }
    }
}

/// Parses an absolute URL.
///
/// # Errors
/// `fix`, or for text that is not ASCII, how to write an international host name.
pub fn parse_url(text: &str, fix: &str) -> Result<Url, String> {
    Url::parse(text).map_err(|_| {
        if text.is_ascii() {
            fix.to_owned()
        } else {
            // The URL parser is built without the Unicode tables, so it cannot convert such names.
            "must have its host name in ASCII: xn--… for an international one".to_owned()
        }
    })
}

/// Whether a host name belongs to the public DNS. A single label, or a name under `.local`, is resolved by
/// whichever machine on the local network answers first. The URL parser has lower-cased the name.
fn is_public(name: &str) -> bool {
    matches!(name.trim_end_matches('.').rsplit_once('.'), Some((_, last)) if last != "local" && last != "localhost")
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}
