// SPDX-License-Identifier: Apache-2.0
//! An entry of `ISSUERS`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::api::Api;
use super::fields::{self, Fields};
use super::{FieldError, endpoint};
use vault_base::ids::DocumentSource;
use vault_base::public_url::PublicUrl;
use vault_jose::algorithm::Algorithm;
use vault_jose::trusted_issuer::Issuer;

/// An entry of `ISSUERS` as it is written, before it is checked.
#[derive(Debug)]
pub(super) struct Raw {
    issuer: String,
    audiences: Option<Vec<String>>,
    audience_claim: Option<String>,
    api_audience: Option<String>,
    client_claim: Option<String>,
    algorithms: Option<Vec<Algorithm>>,
    types: Vec<String>,
    jwks_uri: Option<String>,
}

impl Raw {
    /// Reads all fields.
    pub(super) fn read(fields: &mut Fields) -> Self {
        let algorithms: Vec<(&str, Algorithm)> =
            Algorithm::ALL.iter().map(|algorithm| (algorithm.name(), *algorithm)).collect();
        Self {
            issuer: fields.required("issuer"),
            audiences: fields.some_list("audiences"),
            audience_claim: fields.text("audience_claim"),
            api_audience: fields.text("api_audience"),
            client_claim: fields.text("client_claim"),
            algorithms: fields.choices("algorithms", &algorithms),
            types: match fields.take("typ") {
                None => vec!["at+jwt".to_owned()],
                Some(Value::String(text)) => vec![text],
                Some(list) => fields::texts(list).unwrap_or_else(|| {
                    fields.fault("typ", "must be text or a list of texts");
                    Vec::new()
                }),
            },
            jwks_uri: fields.text("jwks_uri"),
        }
    }

    pub(super) fn check(self, vault: &PublicUrl) -> Result<Issuer, FieldError> {
        issuer_identifier(&self.issuer, vault)?;
        if let Some(uri) = &self.jwks_uri {
            endpoint("jwks_uri", uri, vault)?;
        }
        let audiences = self.audiences.unwrap_or_else(|| vec![vault.identifier()]);
        subject_audiences(&audiences, vault)?;
        let algorithms = self.algorithms.unwrap_or_else(|| Algorithm::ALL.to_vec());
        if algorithms.is_empty() {
            return Err(FieldError::new("algorithms", "must name at least one algorithm"));
        }
        let types: Vec<String> = self
            .types
            .into_iter()
            .map(|typ| typ.to_ascii_lowercase())
            .map(|typ| typ.strip_prefix("application/").map(str::to_owned).unwrap_or(typ))
            .collect();
        if types.is_empty() {
            let fix = "must name the `typ` of the issuer's access tokens, or be \"\" for tokens without it";
            return Err(FieldError::new("typ", fix));
        }
        claim("client_claim", self.client_claim.as_deref())?;
        claim("audience_claim", self.audience_claim.as_deref())?;
        if self.audience_claim.as_deref() == Some("aud") {
            return Err(FieldError::new(
                "audience_claim",
                "must name another claim than `aud`, for tokens without `aud`",
            ));
        }
        let source = DocumentSource { issuer: self.issuer, jwks_uri: self.jwks_uri, pattern: None };
        if self.api_audience.as_deref() == Some("") {
            return Err(FieldError::new("api_audience", "must not be empty"));
        }
        let Self { audience_claim, api_audience, client_claim, .. } = self;
        Ok(Issuer {
            source,
            audiences,
            audience_claim,
            api_audience,
            client_claim,
            algorithms,
            types,
        })
    }
}

/// Checks the name of a claim.
fn claim(field: &str, name: Option<&str>) -> Result<(), FieldError> {
    if name == Some("") {
        return Err(FieldError::new(field, "must be the name of a claim"));
    }
    Ok(())
}

/// The vault itself, as the issuer of its own users' tokens.
pub(super) fn own(vault: &PublicUrl, apis: &BTreeMap<String, Api>) -> Issuer {
    let issuer = vault.identifier();
    let apis = apis.values().map(|api| api.identifier.clone());
    Issuer {
        source: DocumentSource { issuer: issuer.clone(), jwks_uri: None, pattern: None },
        audiences: std::iter::once(issuer).chain(apis).collect(),
        audience_claim: None,
        api_audience: None,
        client_claim: None,
        algorithms: vec![Algorithm::Rs256],
        types: vec!["at+jwt".to_owned()],
    }
}

/// Checks an issuer identifier, which must not have a query or fragment (RFC 8414 §2).
pub(super) fn issuer_identifier(text: &str, vault: &PublicUrl) -> Result<(), FieldError> {
    endpoint("issuer", text, vault)?;
    if text.contains('?') {
        return Err(FieldError::new("issuer", "must not have a query"));
    }
    Ok(())
}

/// Checks the audiences of subject tokens: there must be at least one, and none may be the audience of the
/// connected-accounts API. A token for the API lets an application manage accounts and must not be
/// exchangeable for provider tokens.
pub(super) fn subject_audiences(audiences: &[String], vault: &PublicUrl) -> Result<(), FieldError> {
    if audiences.is_empty() || audiences.iter().any(String::is_empty) {
        return Err(FieldError::new("audiences", "must name at least one audience"));
    }
    if audiences.contains(&vault.me()) {
        let fix = format!("must not contain {}, which is the API's own audience", vault.me());
        return Err(FieldError::new("audiences", fix));
    }
    Ok(())
}
