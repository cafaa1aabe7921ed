// SPDX-License-Identifier: Apache-2.0
//! `PUBLIC_URL` and the identifiers that follow from it.

use url::{Host, Url};

/// Where the vault is reached from outside: scheme, host, optional port, no path, no trailing
/// slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    origin: String,
    local: bool,
    secure: bool,
}

impl PublicUrl {
    /// Reads and checks.
    ///
    /// # Errors
    /// What to fix, as text.
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

    /// The origin itself, without a trailing slash.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The vault's identifier: issuer, audience of client assertions, default audience of subject
    /// tokens.
    pub fn identifier(&self) -> String {
        format!("{}/", self.origin)
    }

    /// Audience of the connected-accounts API.
    pub fn me(&self) -> String {
        format!("{}/me/", self.origin)
    }

    /// The address of a path of ours; `path` starts with `/`.
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// The callback registered at the provider of this connection.
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

    /// Checks an address of somebody else: https with a host name, no user info, no fragment. A
    /// development vault may also speak http to loopback.
    ///
    /// # Errors
    /// What to fix, as text.
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

/// Parses a URL.
///
/// # Errors
/// What to fix: `fix`, or how to write a host name that is not ASCII.
pub fn parse_url(text: &str, fix: &str) -> Result<Url, String> {
    Url::parse(text).map_err(|_| {
        if text.is_ascii() {
            fix.to_owned()
        } else {
            // The parser is built without the tables of Unicode.
            "must have its host name in ASCII: xn--… for an international one".to_owned()
        }
    })
}

/// The URL parser has put the name in lower case. A single label or `.local` is found by whoever
/// answers first on the network.
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
