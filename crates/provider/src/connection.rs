// SPDX-License-Identifier: Apache-2.0
//! A connection: one provider, as users connect their accounts there.

use std::collections::BTreeMap;

use crate::profile::{
    BodyFormat, ClientAuthentication, ErrorRules, IdentityRules, IdentitySource, IssuanceRules,
    KindRules, Pkce, ResponseShape, RevocationRules, Rotation,
};
use crate::registration::Registration;
use vault_base::secret::Secret;
use vault_jose::private_key::PrivateKey;

/// One provider and our registration there.
#[derive(Debug, Clone)]
pub struct Connection {
    /// What lists call it: the provider's id in the catalogue, `oauth2` or `oidc`.
    pub strategy: String,
    /// How its endpoints are found.
    pub protocol: Protocol,
    /// Endpoints given in configuration. They go before those that are found.
    pub endpoints: Endpoints,
    /// Our client id there.
    pub client_id: String,
    /// What its grants are bound to: the authority with the provider's variables, and the client id.
    pub registration: Registration,
    /// Authorities, with variables as [`Registration::authority`] has them, that were this
    /// connection's before an address moved. Their grants count as its own.
    pub earlier_authorities: Vec<String>,
    /// Our client secret there, unless we are a public client.
    pub client_secret: Option<Secret>,
    /// Our private key there, with which we sign for tokens of some kinds.
    pub private_key: Option<PrivateKey>,
    /// How we prove ourselves at its token endpoint.
    pub client_authentication: ClientAuthentication,
    /// Scopes asked for when an application names none.
    pub scopes: Vec<String>,
    /// Scopes asked for in any case, such as `openid` and `offline_access`.
    pub required_scopes: Vec<String>,
    /// The parameter that asks for scopes; empty where the provider takes none.
    pub scope_parameter: String,
    /// What stands between scopes in requests: a space by the RFC, a comma with some.
    pub scope_separator: String,
    /// Scopes that the provider grants under another name than it is asked for.
    pub scope_aliases: BTreeMap<String, String>,
    /// Scopes that include others: whoever has one has those. One `*` in a scope stands for a part of
    /// it, which takes the place of `*` in those included.
    pub scope_includes: BTreeMap<String, Vec<String>>,
    /// Where an access token is for one resource only (the part of a scope before its last slash):
    /// the resource of scopes that name none. The redemption of a code then names the scopes of one.
    pub default_resource: Option<String>,
    /// Whether the provider itself adds new consent to what was granted before.
    pub incremental_consent: bool,
    /// Extra parameters of the authorization request.
    pub authorization_params: BTreeMap<String, String>,
    /// Extra parameters of every token request.
    pub token_params: BTreeMap<String, String>,
    /// Extra parameters of the request that redeems a code.
    pub code_params: BTreeMap<String, String>,
    /// Extra parameters of a refresh.
    pub refresh_params: BTreeMap<String, String>,
    /// Parameters of token requests that are left out.
    pub omit_params: Vec<String>,
    /// How the body of a token request is written.
    pub body_format: BodyFormat,
    /// Extra headers of token requests.
    pub headers: BTreeMap<String, String>,
    /// Whether PKCE with S256 is used.
    pub pkce: Pkce,
    /// Where things stand in answers.
    pub answer: ResponseShape,
    /// What errors mean.
    pub errors: ErrorRules,
    /// What a refresh does to the old refresh token.
    pub rotation: Rotation,
    /// Seconds for which a refresh token that was rotated is taken once more, if known.
    pub rotation_leeway: Option<i64>,
    /// Whether a refresh ends the access token before it: then none is made ahead of need.
    pub refresh_ends_access_token: bool,
    /// Whether a refresh may ask for fewer scopes and give a narrower access token.
    pub down_scoping: bool,
    /// How tokens are revoked.
    pub revocation: RevocationRules,
    /// Where the account's identity is read.
    pub identity: IdentityRules,
    /// Claims that an ID token must have, with these values.
    pub required_claims: BTreeMap<String, String>,
    /// Parameters of the callback that applications need.
    pub callback_extra: Vec<String>,
    /// Further tokens that come along or are made, by name.
    pub kinds: BTreeMap<String, KindRules>,
}

impl Connection {
    /// Whether the account's id at the provider is the subject of its ID tokens.
    pub fn identity_is_subject(&self) -> bool {
        matches!(self.protocol, Protocol::OpenId { .. })
            && matches!(self.identity.from, None | Some(IdentitySource::IdToken))
    }

    /// Whether the provider never gives a user's id to somebody else: its documentation says so, or the
    /// id is the subject of ID tokens (OpenID Connect Core §2).
    pub fn has_permanent_ids(&self) -> bool {
        self.identity.permanent || self.identity_is_subject()
    }

    /// Whether tokens of this kind are revoked with an account; the empty one is its own. Of a kind
    /// that is not configured any more nobody knows.
    pub fn may_revoke(&self, kind: &str) -> bool {
        kind.is_empty() || self.kinds.get(kind).is_some_and(|kind| kind.revocable)
    }

    /// How tokens of this kind are made, if they do not come with the consent and we have the key.
    pub fn issuance(&self, kind: &str) -> Option<&IssuanceRules> {
        self.private_key.as_ref()?;
        self.made(kind)
    }

    /// The same whether or not we have the key: there may be some from when we had.
    pub fn made(&self, kind: &str) -> Option<&IssuanceRules> {
        self.kinds.get(kind)?.issuance.as_ref()
    }

    /// Kinds of token that there are, beside the account's own.
    pub fn kinds_there(&self) -> impl Iterator<Item = &String> {
        let there = |kind: &KindRules| kind.issuance.is_none() || self.private_key.is_some();
        self.kinds.iter().filter(move |(_, kind)| there(kind)).map(|(name, _)| name)
    }

    /// Whether there are scopes to ask for of tokens of this kind.
    pub fn has_scopes(&self, kind: &str) -> bool {
        !self.scope_parameter.is_empty()
            || self.issuance(kind).is_some()
            || self.kinds.get(kind).is_some_and(|kind| !kind.scope_parameter.is_empty())
    }

    /// The kind of the grant that tokens of this kind rest on: their own, or the account's where we
    /// make them.
    pub fn grant_of<'a>(&self, kind: &'a str) -> &'a str {
        if self.issuance(kind).is_some() { "" } else { kind }
    }

    /// How tokens of this kind are revoked.
    pub fn revocation_of(&self, kind: &str) -> &RevocationRules {
        self.made(kind).map_or(&self.revocation, |issuance| &issuance.revocation)
    }

    /// Whether a grant of this registration may be used here. One that carries none is of a version
    /// that did not store it; it counts as this connection's own.
    pub fn accepts(&self, registration: Option<&Registration>) -> bool {
        registration.is_none_or(|of| {
            of.client_id == self.client_id
                && (of.authority == self.registration.authority
                    || self.earlier_authorities.contains(&of.authority))
        })
    }

    /// The registrations under which the registry may know a grant of this one: its own first, then
    /// those that this connection counts as the same. Only their bare authorities matter there.
    pub fn same_registrations(&self, registration: Option<&Registration>) -> Vec<Registration> {
        let mut same: Vec<Registration> = registration.cloned().into_iter().collect();
        if self.accepts(registration) {
            let client_id = self.client_id.clone();
            let earlier = self.earlier_authorities.iter().map(|authority| Registration {
                authority: authority.clone(),
                client_id: client_id.clone(),
            });
            for one in std::iter::once(self.registration.clone()).chain(earlier) {
                let known = |other: &Registration| other.bare_authority() == one.bare_authority();
                if !same.iter().any(known) {
                    same.push(one);
                }
            }
        }
        same
    }

    /// Where users consent. With [`Connection::client_id`] it says which consents are one grant at
    /// the provider, whichever connections they came through.
    ///
    /// Of a provider of the catalogue it is not an address: those may move with a new version, and
    /// the registry would not know its vaults any more.
    pub fn authority(&self) -> &str {
        match &self.protocol {
            Protocol::OpenId { issuer, .. } => issuer,
            Protocol::OAuth2 if self.strategy == "oauth2" => {
                self.endpoints.token_endpoint.as_deref().unwrap_or_default()
            }
            Protocol::OAuth2 => &self.strategy,
        }
    }
}

/// How a provider's endpoints are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocol {
    /// By `OpenID` Connect discovery from this issuer identifier.
    OpenId {
        /// The issuer identifier.
        issuer: String,
        /// What `issuer` in its metadata may be, where that is not the identifier itself: `*`
        /// stands for the tenant.
        pattern: Option<String>,
    },
    /// From configuration.
    OAuth2,
}

/// Endpoints given in configuration.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    /// Where users consent.
    pub authorization_endpoint: Option<String>,
    /// Where codes and refresh tokens are redeemed.
    pub token_endpoint: Option<String>,
    /// Where refresh tokens are redeemed, if elsewhere.
    pub refresh_endpoint: Option<String>,
    /// Where the account's identity is read.
    pub userinfo_endpoint: Option<String>,
    /// Where tokens are revoked.
    pub revocation_endpoint: Option<String>,
    /// Issuer identifier that must come back as `iss` (RFC 9207), where the provider sends one.
    pub authorization_response_iss: Option<String>,
}
