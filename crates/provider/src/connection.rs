// SPDX-License-Identifier: Apache-2.0
//! A connection: a provider as configured, with the vault's registration there.

use std::collections::BTreeMap;

use crate::profile::{
    BodyFormat, ClientAuthentication, ErrorRules, IdentityRules, IdentitySource, IssuanceRules,
    KindRules, Pkce, RenewalRules, ResponseShape, RevocationRules, Rotation,
};
use crate::registration::Registration;
use vault_base::address::Location;
use vault_base::secret::Secret;
use vault_jose::private_key::PrivateKey;

/// One provider and the vault's registration there. Users connect their accounts to it.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The name of the provider in lists of connections: its id in the catalogue, `oauth2` or `oidc`.
    pub strategy: String,
    /// The source of its endpoints.
    pub protocol: Protocol,
    /// Endpoints from the configuration. They take precedence over those of the metadata.
    pub endpoints: Endpoints,
    /// The vault's client id at the provider.
    pub client_id: String,
    /// Parameter of all requests for the client id: `client_id` (RFC 6749 §2.3.1), or another name.
    pub client_id_parameter: String,
    /// The registration that its grants are bound to: the authority with details, and the client id.
    pub registration: Registration,
    /// Earlier values of [`Registration::authority`], from before an address of the provider changed. Grants
    /// of these authorities count as grants of this connection.
    pub earlier_authorities: Vec<String>,
    /// The vault's client secret at the provider; `None` for a public client.
    pub client_secret: Option<Secret>,
    /// The vault's private key at the provider, needed for kinds of tokens with [`IssuanceRules`].
    pub private_key: Option<PrivateKey>,
    /// How the vault authenticates at the token endpoint.
    pub client_authentication: ClientAuthentication,
    /// Scopes requested if the application names none.
    pub scopes: Vec<String>,
    /// Scopes that are always requested, such as `openid` and `offline_access`.
    pub required_scopes: Vec<String>,
    /// Parameter of the authorization request for scopes; empty if the provider has no scopes.
    pub scope_parameter: String,
    /// Separator of scopes in requests: a space (RFC 6749 §3.3), or for some providers a comma.
    pub scope_separator: String,
    /// Scopes that the provider grants under another name: from the requested to the granted name.
    pub scope_aliases: BTreeMap<String, String>,
    /// Scopes that include others: a grant of the key is also one of the values. A key may contain one `*`,
    /// which matches one or more characters; they replace `*` in the values.
    pub scope_includes: BTreeMap<String, Vec<String>>,
    /// Set if each access token is for one resource only (the part of a scope before its last slash): the
    /// resource of scopes that name none. The token request for a code then names the scopes of one resource.
    pub default_resource: Option<String>,
    /// Whether the provider adds a new consent to the scopes granted before.
    pub incremental_consent: bool,
    /// Further parameters of the authorization request.
    pub authorization_params: BTreeMap<String, String>,
    /// Further parameters of every token request.
    pub token_params: BTreeMap<String, String>,
    /// Further parameters of token requests that redeem a code.
    pub code_params: BTreeMap<String, String>,
    /// Further parameters of refresh requests.
    pub refresh_params: BTreeMap<String, String>,
    /// Parameters to leave out of token requests.
    pub omit_params: Vec<String>,
    /// Encoding of the body of token requests.
    pub body_format: BodyFormat,
    /// Further headers of token requests.
    pub headers: BTreeMap<String, String>,
    /// Whether PKCE with S256 is used.
    pub pkce: Pkce,
    /// How tokens are renewed.
    pub renewal: RenewalRules,
    /// The format of token responses.
    pub answer: ResponseShape,
    /// The meaning of error codes.
    pub errors: ErrorRules,
    /// What a refresh does to the refresh token that was sent.
    pub rotation: Rotation,
    /// Rotation leeway: seconds for which the provider accepts a rotated refresh token once more, if known.
    pub rotation_leeway: Option<i64>,
    /// Seconds after which the provider ends a grant that nobody uses, if the vault is to refresh grants in
    /// time. They are from one day to ten years.
    pub keep_alive: Option<i64>,
    /// The longest lease of an access token, in seconds: so long an isolate may serve it again without asking the
    /// vault's object. 0: none.
    pub lease_seconds: i64,
    /// Seconds after the user's consent at which the provider ends the grant, however often it was refreshed, if it
    /// does. They are from one day to ten years.
    pub grant_lifetime: Option<i64>,
    /// Whether a refresh invalidates the previous access token. If so, the vault does not refresh ahead of
    /// the expiry.
    pub refresh_ends_access_token: bool,
    /// Whether a refresh may request fewer scopes than granted, for a narrower access token (RFC 6749 §6).
    pub down_scoping: bool,
    /// How tokens are revoked.
    pub revocation: RevocationRules,
    /// Where the account's identity is read from.
    pub identity: IdentityRules,
    /// Claims that an ID token must have, with exactly these values.
    pub required_claims: BTreeMap<String, String>,
    /// Parameters of the authorization response that are passed on to applications.
    pub callback_extra: Vec<String>,
    /// Further kinds of tokens, by name. They come with the consent or are issued on request.
    pub kinds: BTreeMap<String, KindRules>,
    /// Where its vaults are created, unless a client names another place.
    pub location: Option<Location>,
}

impl Connection {
    /// Whether the account's id at the provider is the `sub` of its ID tokens.
    pub fn identity_is_subject(&self) -> bool {
        matches!(self.protocol, Protocol::OpenId { .. })
            && matches!(self.identity.from, None | Some(IdentitySource::IdToken))
    }

    /// Whether the provider never gives a user's id to somebody else: its documentation says so, or the
    /// id is the subject of ID tokens (OpenID Connect Core §2). An id that the browser brings is nobody's.
    pub fn has_permanent_ids(&self) -> bool {
        self.proves_identity() && (self.identity.permanent || self.identity_is_subject())
    }

    /// Whether the account's id, if there is one, is the provider's word, and not the browser's.
    pub fn proves_identity(&self) -> bool {
        self.identity.from != Some(IdentitySource::Callback)
    }

    /// The account's id, if the connection takes it from the authorization response. `parameters` are those that
    /// were kept of it ([`Connection::callback_extra`]).
    pub fn callback_user(&self, parameters: &BTreeMap<String, String>) -> Option<String> {
        if self.proves_identity() {
            return None;
        }
        parameters.get(&self.identity.id).filter(|id| !id.is_empty()).cloned()
    }

    /// Whether authorization requests ask for the response as a form (OAuth 2.0 Form Post Response Mode).
    pub fn asks_for_form_post(&self) -> bool {
        self.authorization_params.get("response_mode").is_some_and(|mode| mode == "form_post")
    }

    /// The registered code of an authorization error response (RFC 6749 §4.1.2.1), where the connection lists the
    /// provider's own name for it; all other codes unchanged.
    pub fn authorization_error<'a>(&self, code: &'a str) -> &'a str {
        let is_listed = self.errors.access_denied.iter().any(|listed| listed == code);
        if is_listed { "access_denied" } else { code }
    }

    /// Whether tokens of this kind are revoked with an account; the empty one is its own. Of a kind
    /// that is not configured any more nobody knows.
    pub fn may_revoke(&self, kind: &str) -> bool {
        kind.is_empty() || self.kinds.get(kind).is_some_and(|kind| kind.revocable)
    }

    /// The rules for the issuance of tokens of this kind. `None` if such tokens come with the consent, or
    /// if the private key is not configured.
    pub fn issuance(&self, kind: &str) -> Option<&IssuanceRules> {
        self.private_key.as_ref()?;
        self.made(kind)
    }

    /// As [`Connection::issuance`], but independent of the private key: tokens may be stored that were issued
    /// before the key was removed.
    pub fn made(&self, kind: &str) -> Option<&IssuanceRules> {
        self.kinds.get(kind)?.issuance.as_ref()
    }

    /// The available kinds of tokens besides the account's own: those that come with the consent, and if the
    /// private key is configured, those that are issued.
    pub fn kinds_there(&self) -> impl Iterator<Item = &String> {
        let available = |kind: &KindRules| kind.issuance.is_none() || self.private_key.is_some();
        self.kinds.iter().filter(move |(_, kind)| available(kind)).map(|(name, _)| name)
    }

    /// Whether scopes can be requested for tokens of this kind.
    pub fn has_scopes(&self, kind: &str) -> bool {
        !self.scope_parameter.is_empty()
            || self.issuance(kind).is_some()
            || self.kinds.get(kind).is_some_and(|kind| !kind.scope_parameter.is_empty())
    }

    /// The kind of the grant that tokens of this kind depend on: their own, or the empty kind (the account's
    /// own grant) if they are issued.
    pub fn grant_of<'a>(&self, kind: &'a str) -> &'a str {
        if self.issuance(kind).is_some() { "" } else { kind }
    }

    /// The rules for the revocation of tokens of this kind.
    pub fn revocation_of(&self, kind: &str) -> &RevocationRules {
        self.made(kind).map_or(&self.revocation, |issuance| &issuance.revocation)
    }

    /// Whether a grant of this registration may be used with this connection. `None` is accepted: grants from
    /// versions that did not store a registration count as the connection's own.
    pub fn accepts(&self, registration: Option<&Registration>) -> bool {
        registration.is_none_or(|registration| {
            registration.client_id == self.client_id
                && (registration.authority == self.registration.authority
                    || self.earlier_authorities.contains(&registration.authority))
        })
    }

    /// The registrations under which the registry may list a grant of `registration`: that one first, then,
    /// if the connection accepts it, the connection's own and earlier ones. Of several with the same bare
    /// authority only one is returned, because the registry does not tell them apart.
    pub fn same_registrations(&self, registration: Option<&Registration>) -> Vec<Registration> {
        let mut same: Vec<Registration> = registration.cloned().into_iter().collect();
        if self.accepts(registration) {
            let client_id = self.client_id.clone();
            let earlier = self.earlier_authorities.iter().map(|authority| Registration {
                authority: authority.clone(),
                client_id: client_id.clone(),
            });
            for candidate in std::iter::once(self.registration.clone()).chain(earlier) {
                let authority = candidate.bare_authority();
                if !same.iter().any(|known| known.bare_authority() == authority) {
                    same.push(candidate);
                }
            }
        }
        same
    }

    /// The bare authority: the issuer identifier of an `OpenID` provider, the id of another provider of the
    /// catalogue, or else the URL of the token endpoint. Consents of one user with the same authority and
    /// [`Connection::client_id`] are one grant at the provider, whichever connections they came through.
    ///
    /// For a provider of the catalogue it is not a URL, because URLs may change with a new version of the
    /// catalogue. The registry would then no longer find the holders of its accounts.
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

/// The source of a provider's endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocol {
    /// `OpenID` Connect Discovery.
    OpenId {
        /// The issuer identifier.
        issuer: String,
        /// The pattern of `issuer` in the metadata, if that is not the identifier itself: `*` is replaced by
        /// the tenant.
        pattern: Option<String>,
    },
    /// The configuration.
    OAuth2,
}

/// The endpoints of a provider as configured, each as a URL; `None` if not configured.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    /// Authorization endpoint (RFC 6749 §3.1).
    pub authorization_endpoint: Option<String>,
    /// Token endpoint (RFC 6749 §3.2).
    pub token_endpoint: Option<String>,
    /// Endpoint for refresh requests, if it is not the token endpoint.
    pub refresh_endpoint: Option<String>,
    /// Endpoint for the first renewal after a consent, if it is another one ([`RenewalRules::is_first`]).
    pub first_refresh_endpoint: Option<String>,
    /// Endpoint that returns the account's identity.
    pub userinfo_endpoint: Option<String>,
    /// Revocation endpoint. It may contain placeholders; see [`crate::revocation::revoke`].
    pub revocation_endpoint: Option<String>,
    /// Issuer identifier that the authorization response must carry as `iss` (RFC 9207).
    pub authorization_response_iss: Option<String>,
}
