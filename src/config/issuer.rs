//! A trusted issuer: whose access tokens count here, and for what.

use serde::Deserialize;

use super::{Fault, PublicUrl, endpoint};
use crate::jwt::algorithm::Algorithm;

/// A trusted issuer of subject tokens.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// `iss` of its tokens, compared byte by byte.
    pub issuer: String,
    /// Audiences of its tokens that may be exchanged here.
    pub audiences: Vec<String>,
    /// Signature algorithms it uses.
    pub algorithms: Vec<Algorithm>,
    /// Where its keys are, if not found by discovery.
    pub jwks_uri: Option<String>,
    types: Vec<String>,
}

impl Issuer {
    /// Whether its access tokens carry this `typ` (lower case, without `application/`).
    pub fn accepts_type(&self, typ: Option<&str>) -> bool {
        typ.is_some_and(|typ| self.types.iter().any(|accepted| accepted == typ))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    issuer: String,
    audiences: Option<Vec<String>>,
    algorithms: Option<Vec<Algorithm>>,
    typ: Option<OneOrMany>,
    jwks_uri: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a string or a list of strings")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Raw {
    pub(super) fn check(self, vault: &PublicUrl) -> Result<Issuer, Fault> {
        issuer_identifier(&self.issuer, vault)?;
        if let Some(uri) = &self.jwks_uri {
            endpoint("jwks_uri", uri, vault)?;
        }
        let audiences = self.audiences.unwrap_or_else(|| vec![vault.identifier()]);
        subject_audiences(&audiences, vault)?;
        let algorithms = self.algorithms.unwrap_or_else(|| Algorithm::ALL.to_vec());
        if algorithms.is_empty() {
            return Err(Fault::new("algorithms", "must name at least one algorithm"));
        }
        let types: Vec<String> = match self.typ {
            None => vec!["at+jwt".to_owned()],
            Some(OneOrMany::One(one)) => vec![one],
            Some(OneOrMany::Many(many)) => many,
        };
        let types: Vec<String> = types
            .into_iter()
            .map(|typ| typ.to_ascii_lowercase())
            .map(|typ| typ.strip_prefix("application/").map(str::to_owned).unwrap_or(typ))
            .collect();
        if types.is_empty() || types.iter().any(String::is_empty) {
            return Err(Fault::new("typ", "must name the `typ` of the issuer's access tokens"));
        }
        Ok(Issuer { issuer: self.issuer, audiences, algorithms, jwks_uri: self.jwks_uri, types })
    }
}

/// An issuer identifier is an address without query and fragment (RFC 8414 §2).
pub(super) fn issuer_identifier(text: &str, vault: &PublicUrl) -> Result<(), Fault> {
    endpoint("issuer", text, vault)?;
    if text.contains('?') {
        return Err(Fault::new("issuer", "must not have a query"));
    }
    Ok(())
}

/// Audiences of subject tokens: at least one, and never the API's own, whose tokens let a user's
/// application manage accounts and must buy nothing else.
pub(super) fn subject_audiences(audiences: &[String], vault: &PublicUrl) -> Result<(), Fault> {
    if audiences.is_empty() || audiences.iter().any(String::is_empty) {
        return Err(Fault::new("audiences", "must name at least one audience"));
    }
    if audiences.contains(&vault.me()) {
        let mend = format!("must not contain {}, which is the API's own audience", vault.me());
        return Err(Fault::new("audiences", mend));
    }
    Ok(())
}
