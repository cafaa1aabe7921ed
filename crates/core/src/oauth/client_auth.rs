// SPDX-License-Identifier: Apache-2.0
//! Client authentication (RFC 6749 §2.3, RFC 7523 §2.2): which client sends a request, and how it
//! proves that.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;

use crate::config::{AssertionAudience, Authentication, Client};
use crate::error::OAuthError;
use crate::oauth::parameters::Parameters;
use vault_base::encoding;
use vault_base::public_url::PublicUrl;
use vault_base::secret::Secret;
use vault_jose::algorithm::Algorithm;
use vault_jose::jws::Jws;
use vault_jose::signature::SignatureCheck;
use vault_jose::{TokenError, assertion};

/// `client_assertion_type` of `private_key_jwt`.
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The credentials of a request.
#[derive(Debug)]
pub struct Credentials {
    /// The client id that the request names. Without one, a secret names the client that has it.
    pub client_id: Option<String>,
    /// How the client authenticates.
    pub proof: Proof,
    /// The client id and the secret of a `Basic` header as they are, if decoding changes them: many
    /// HTTP libraries do not form-encode them (RFC 6749 §2.3.1).
    unencoded: Option<(String, Secret)>,
    /// Whether they came in the `Authorization` header; then an error carries a challenge (RFC 6749
    /// §5.2).
    pub basic: bool,
}

/// How a client authenticates.
#[derive(Debug)]
pub enum Proof {
    /// By its secret.
    Secret(Secret),
    /// By a signed assertion, a JWT.
    Assertion(Secret),
    /// Not at all.
    Nothing,
}

impl Credentials {
    /// Reads the `Authorization` header and the parameters of client authentication.
    ///
    /// # Errors
    /// `invalid_request` for two ways of authentication or two client ids; `invalid_client` for a
    /// header that is not readable.
    pub fn read(authorization: Option<&str>, parameters: &Parameters) -> Result<Self, OAuthError> {
        let client_secret = parameters.get("client_secret");
        let assertion_type = parameters.get("client_assertion_type");
        let assertion = parameters.get("client_assertion");
        let named = parameters.get("client_id").map(|id| id.expose().to_owned());
        let basic = authorization.map(read_basic).transpose()?;
        if [basic.is_some(), client_secret.is_some(), assertion.is_some()]
            .iter()
            .filter(|given| **given)
            .count()
            > 1
        {
            let fix = "use one way of client authentication: Basic, client_secret, or assertion";
            return Err(OAuthError::invalid_request(fix));
        }
        match (assertion_type.map(Secret::expose), assertion) {
            (None, None) | (Some(JWT_BEARER), Some(_)) => {}
            _ => {
                let fix = format!("send client_assertion with client_assertion_type {JWT_BEARER}");
                return Err(OAuthError::invalid_request(&fix));
            }
        }
        if let Some(pairs) = basic {
            return Self::of_basic(pairs, named.as_deref());
        }
        let proof = match (client_secret, assertion) {
            (Some(secret), _) => Proof::Secret(secret.clone()),
            (None, Some(assertion)) => Proof::Assertion(assertion.clone()),
            (None, None) => Proof::Nothing,
        };
        Ok(Self { client_id: named, proof, unencoded: None, basic: false })
    }

    /// The credentials of a `Basic` header; `named` is the body's `client_id`, which must be the one of the
    /// header.
    fn of_basic(
        BasicPairs { decoded, unencoded }: BasicPairs,
        named: Option<&str>,
    ) -> Result<Self, OAuthError> {
        let meant = |pair: &(String, Secret)| named.is_none_or(|named| named == pair.0);
        let mut pairs = [Some(decoded), unencoded].into_iter().flatten().filter(meant);
        let Some((id, secret)) = pairs.next() else {
            let fix = "client_id differs from the one in the Authorization header";
            return Err(OAuthError::invalid_request(fix));
        };
        let unencoded = pairs.next();
        Ok(Self { client_id: Some(id), proof: Proof::Secret(secret), unencoded, basic: true })
    }

    /// The client assertion, if the request has one.
    ///
    /// # Errors
    /// `invalid_client` if it is no JWT.
    pub fn assertion(&self) -> Result<Option<Jws<'_>>, OAuthError> {
        match &self.proof {
            Proof::Assertion(jwt) => Jws::parse(jwt.expose()).map(Some).map_err(|_| self.refused()),
            Proof::Secret(_) | Proof::Nothing => Ok(None),
        }
    }

    /// Whether the secret alone names the client, as an SDK of Auth0's sends it. The subject token must
    /// then be that client's own.
    pub fn is_secret_alone(&self) -> bool {
        self.client_id.is_none() && matches!(self.proof, Proof::Secret(_))
    }

    /// Finds the client and checks its secret. The signature of `assertion`, which
    /// [`Credentials::assertion`] read, remains to be checked: see [`assertion_check`].
    ///
    /// # Errors
    /// [`Unauthenticated`]; all of them are answered with [`Credentials::refused`].
    pub fn find<'a>(
        &self,
        clients: &'a BTreeMap<String, Client>,
        assertion: Option<&Jws<'_>>,
    ) -> Result<(&'a str, &'a Client), Unauthenticated> {
        let known = |id: &str| {
            let found = clients.get_key_value(id).ok_or(Unauthenticated::Unknown)?;
            Ok((found.0.as_str(), found.1))
        };
        match (&self.proof, &self.client_id, assertion) {
            (Proof::Assertion(_), named, Some(assertion)) => {
                let asserted =
                    assertion::claimed_client(assertion).map_err(|_| Unauthenticated::Unknown)?;
                if named.as_ref().is_some_and(|named| *named != asserted) {
                    return Err(Unauthenticated::Unknown);
                }
                known(&asserted)
            }
            (Proof::Secret(secret), Some(id), _) => {
                // Both pairs are checked before one is chosen, so that the time does not tell which it was.
                let decoded = by_id_and_secret(clients, id, secret);
                let unencoded = self.unencoded.as_ref();
                let unencoded = unencoded.map(|(id, secret)| by_id_and_secret(clients, id, secret));
                match (decoded, unencoded) {
                    (Ok(found), _) | (Err(_), Some(Ok(found))) => Ok(found),
                    (Err(Unauthenticated::Unknown), Some(Err(error))) | (Err(error), _) => {
                        Err(error)
                    }
                }
            }
            (Proof::Secret(secret), None, _) => {
                by_secret(clients, &secret.sha256()).ok_or(Unauthenticated::Secret)
            }
            _ => Err(Unauthenticated::Unknown),
        }
    }

    /// Finds the client of a grant that clients without authentication may use as well. Such a client names
    /// itself and shows no secret (RFC 6749 §3.2.1).
    ///
    /// # Errors
    /// As [`Credentials::find`].
    pub fn find_any<'a>(
        &self,
        clients: &'a BTreeMap<String, Client>,
        assertion: Option<&Jws<'_>>,
    ) -> Result<(&'a str, &'a Client, bool), Unauthenticated> {
        let public = self.client_id.as_ref().filter(|_| matches!(self.proof, Proof::Nothing));
        let public = public.and_then(|id| clients.get_key_value(id));
        match public.filter(|(_, one)| matches!(one.authentication, Authentication::None)) {
            Some((id, client)) => Ok((id, client, false)),
            None => self.find(clients, assertion).map(|(id, client)| (id, client, true)),
        }
    }

    /// The error for every client that is not authenticated.
    pub fn refused(&self) -> OAuthError {
        OAuthError {
            challenge: self.basic.then_some("Basic realm=\"oauth\", charset=\"UTF-8\""),
            ..OAuthError::new(
                401,
                "invalid_client",
                "unknown client, or wrong client authentication",
            )
        }
    }
}

/// Why a client is not authenticated, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unauthenticated {
    /// The request names no client, two, or one that does not exist.
    Unknown,
    /// The secret is wrong.
    Secret,
}

impl Unauthenticated {
    /// The reason word.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Secret => "secret",
        }
    }
}

/// The client with this id, if this is a secret of it.
fn by_id_and_secret<'a>(
    clients: &'a BTreeMap<String, Client>,
    id: &str,
    secret: &Secret,
) -> Result<(&'a str, &'a Client), Unauthenticated> {
    let (id, client) = clients.get_key_value(id).ok_or(Unauthenticated::Unknown)?;
    let is_right = has_secret(client, &secret.sha256());
    if is_right { Ok((id, client)) } else { Err(Unauthenticated::Secret) }
}

/// The values of `aud` that an assertion of this client may have (RFC 7523 §3): the vault's identifier, which
/// is the only safe one, and for a client that is configured so, the address of the token endpoint.
pub fn assertion_audiences(client: &Client, vault: &PublicUrl) -> Vec<String> {
    let mut audiences = vec![vault.identifier()];
    if client.assertion_audience == AssertionAudience::TokenEndpoint {
        audiences.push(vault.path("/oauth/token"));
    }
    audiences
}

/// Compares a secret with all hashes of a client, so that the time reveals neither which one
/// matches nor how many there are.
fn has_secret(client: &Client, presented: &[u8; 32]) -> bool {
    let Authentication::Secret(hashes) = &client.authentication else {
        return false;
    };
    hashes.iter().fold(false, |found, hash| encoding::constant_time_eq(presented, hash) | found)
}

/// The client with this secret. Every client is compared, so that the time reveals nothing. The
/// configuration gives no secret to two clients.
fn by_secret<'a>(
    clients: &'a BTreeMap<String, Client>,
    presented: &[u8; 32],
) -> Option<(&'a str, &'a Client)> {
    let mut found = None;
    for (id, client) in clients {
        if has_secret(client, presented) {
            found = Some((id.as_str(), client));
        }
    }
    found
}

/// The signature to check of a client assertion.
///
/// # Errors
/// [`TokenError`] for the log.
pub fn assertion_check<'a>(
    token: &'a Jws<'_>,
    client: &'a Client,
) -> Result<SignatureCheck<'a>, TokenError> {
    match &client.authentication {
        Authentication::PrivateKeyJwt(keys) => SignatureCheck::of(token, keys, &Algorithm::ALL),
        Authentication::Secret(_) | Authentication::None => Err(TokenError::Client),
    }
}

/// The client id and the secret of a `Basic` header. The two of a pair are read in the same way.
struct BasicPairs {
    decoded: (String, Secret),
    /// As they are, if decoding changes one of them.
    unencoded: Option<(String, Secret)>,
}

/// Reads `Basic` credentials: base64 of two form-encoded halves (RFC 6749 §2.3.1).
fn read_basic(header: &str) -> Result<BasicPairs, OAuthError> {
    let unreadable = || OAuthError {
        challenge: Some("Basic realm=\"oauth\", charset=\"UTF-8\""),
        ..OAuthError::new(
            401,
            "invalid_client",
            "the Authorization header must be Basic with form-encoded client id and secret",
        )
    };
    let (scheme, encoded) = header.split_once(' ').ok_or_else(unreadable)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(unreadable());
    }
    let bytes = STANDARD.decode(encoded.trim()).map_err(|_| unreadable())?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable())?;
    let (raw_id, raw_secret) = text.split_once(':').ok_or_else(unreadable)?;
    let (id, secret) = (form_decoded(raw_id), form_decoded(raw_secret));
    if id.is_empty() {
        return Err(unreadable());
    }
    let unencoded = (id != raw_id || secret != raw_secret)
        .then(|| (raw_id.to_owned(), Secret::new(raw_secret.to_owned())));
    Ok(BasicPairs { decoded: (id, Secret::new(secret)), unencoded })
}

/// Decodes one half, which is the value of one form parameter. An encoded half has no `&`; a half with a bare
/// `&` was not encoded, and means what it says.
fn form_decoded(half: &str) -> String {
    let parameter = format!("v={}", half.replace('&', "%26"));
    let value = form_urlencoded::parse(parameter.as_bytes()).next();
    value.map(|(_, value)| value.into_owned()).unwrap_or_default()
}
