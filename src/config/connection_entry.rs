//! An entry of `CONNECTIONS`: reads its fields, and checks that they fit together.

use std::collections::BTreeMap;

use super::dialect;
use super::fields::Fields;
use super::issuer::issuer_identifier;
use super::{Connection, Endpoints, Fault, Protocol, PublicUrl, endpoint};
use crate::provider::dialect::{
    AnswerShape, BodyFormat, ClientAuthentication, ErrorRules, IdentityRules, IdentitySource, Kind,
    Pkce, RevocationRules, Rotation, Unit, Zero,
};
use crate::secret::Secret;
use crate::text;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocols {
    OAuth2,
    Oidc,
}

const KINDS: &[(&str, Protocols)] = &[("oauth2", Protocols::OAuth2), ("oidc", Protocols::Oidc)];

/// The fields of an entry that [`super::merge`] completed.
#[derive(Debug)]
pub(super) struct Raw {
    provider: Option<String>,
    kind: Protocols,
    issuer: Option<String>,
    issuer_pattern: Option<String>,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    refresh_endpoint: Option<String>,
    userinfo_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    authorization_response_iss: Option<String>,
    client_id: String,
    client_authentication: ClientAuthentication,
    scopes: Vec<String>,
    required_scopes: Vec<String>,
    scope_parameter: Option<String>,
    scope_separator: Option<String>,
    scope_aliases: BTreeMap<String, String>,
    default_resource: Option<String>,
    incremental_consent: bool,
    authorization_params: BTreeMap<String, String>,
    token_params: BTreeMap<String, String>,
    code_params: BTreeMap<String, String>,
    refresh_params: BTreeMap<String, String>,
    omit_params: Vec<String>,
    body_format: BodyFormat,
    headers: BTreeMap<String, String>,
    pkce: Pkce,
    answer_path: String,
    refresh_answer_path: Option<String>,
    answer_token_types: Vec<String>,
    answer_scope_member: Option<String>,
    answer_scope_separator: Option<String>,
    expires_in_member: Option<String>,
    expires_in_unit: Unit,
    zero_expires_in: Zero,
    default_expires_in: Option<i64>,
    refresh_token_expires_in_member: Option<String>,
    refresh_token_lifetime: Option<i64>,
    extra: Vec<String>,
    errors: ErrorRules,
    rotation: Rotation,
    reuse_grace: Option<i64>,
    refresh_ends_access_token: bool,
    down_scoping: bool,
    revocation: RevocationRules,
    identity: IdentityRules,
    required_claims: BTreeMap<String, String>,
    callback_extra: Vec<String>,
    kinds: BTreeMap<String, Kind>,
}

impl Raw {
    /// Reads all fields.
    pub(super) fn read(mut fields: Fields) -> Result<Self, Fault> {
        let mut kinds = BTreeMap::new();
        for (name, kind) in fields.tables("kinds")? {
            kinds.insert(name, dialect::kind(kind)?);
        }
        let raw = Self {
            provider: fields.text("provider")?,
            kind: fields
                .choice("kind", KINDS)?
                .ok_or_else(|| Fault::new("kind", "is missing; set it"))?,
            issuer: fields.text("issuer")?,
            issuer_pattern: fields.text("issuer_pattern")?,
            authorization_endpoint: fields.text("authorization_endpoint")?,
            token_endpoint: fields.text("token_endpoint")?,
            refresh_endpoint: fields.text("refresh_endpoint")?,
            userinfo_endpoint: fields.text("userinfo_endpoint")?,
            revocation_endpoint: fields.text("revocation_endpoint")?,
            authorization_response_iss: fields.text("authorization_response_iss")?,
            client_id: fields.required("client_id")?,
            client_authentication: fields
                .choice("client_authentication", ClientAuthentication::NAMES)?
                .unwrap_or_default(),
            scopes: fields.list("scopes")?.unwrap_or_default(),
            required_scopes: fields.list("required_scopes")?.unwrap_or_default(),
            scope_parameter: fields.text("scope_parameter")?,
            scope_separator: fields.text("scope_separator")?,
            scope_aliases: fields.texts("scope_aliases")?,
            default_resource: fields.text("default_resource")?,
            incremental_consent: fields.flag("incremental_consent")?.unwrap_or_default(),
            authorization_params: fields.texts("authorization_params")?,
            token_params: fields.texts("token_params")?,
            code_params: fields.texts("code_params")?,
            refresh_params: fields.texts("refresh_params")?,
            omit_params: fields.list("omit_params")?.unwrap_or_default(),
            body_format: fields.choice("body_format", BodyFormat::NAMES)?.unwrap_or_default(),
            headers: fields.texts("headers")?,
            pkce: fields.choice("pkce", Pkce::NAMES)?.unwrap_or_default(),
            answer_path: fields.text("answer_path")?.unwrap_or_default(),
            refresh_answer_path: fields.text("refresh_answer_path")?,
            answer_token_types: fields.list("answer_token_types")?.unwrap_or_default(),
            answer_scope_member: fields.text("answer_scope_member")?,
            answer_scope_separator: fields.text("answer_scope_separator")?,
            expires_in_member: fields.text("expires_in_member")?,
            expires_in_unit: fields.choice("expires_in_unit", Unit::NAMES)?.unwrap_or_default(),
            zero_expires_in: fields.choice("zero_expires_in", Zero::NAMES)?.unwrap_or_default(),
            default_expires_in: fields.number("default_expires_in")?,
            refresh_token_expires_in_member: fields.text("refresh_token_expires_in_member")?,
            refresh_token_lifetime: fields.number("refresh_token_lifetime")?,
            extra: fields.list("extra")?.unwrap_or_default(),
            errors: dialect::errors(fields.table("errors")?)?,
            rotation: fields.choice("rotation", Rotation::NAMES)?.unwrap_or_default(),
            reuse_grace: fields.number("reuse_grace")?,
            refresh_ends_access_token: fields
                .flag("refresh_ends_access_token")?
                .unwrap_or_default(),
            down_scoping: fields.flag("down_scoping")?.unwrap_or_default(),
            revocation: dialect::revocation(fields.table("revocation")?)?,
            identity: dialect::identity(fields.table("identity")?)?,
            required_claims: fields.texts("required_claims")?,
            callback_extra: fields.list("callback_extra")?.unwrap_or_default(),
            kinds,
        };
        fields.end()?;
        Ok(raw)
    }
}

/// Parameters of requests that are ours: configuration must not set them.
const OWN_PARAMETERS: [&str; 11] = [
    "client_id",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "grant_type",
    "nonce",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
];

/// Parameters of a refresh that some providers want beyond what the RFC sends with it.
const REFRESH_PARAMETERS: [&str; 2] = ["redirect_uri", "scope"];

/// Longest life of a token that is believed, in seconds: ten years.
const LONGEST: i64 = 315_360_000;

impl Raw {
    pub(super) fn check(
        self,
        name: &str,
        secret: Option<Secret>,
        vault: &PublicUrl,
    ) -> Result<Connection, Fault> {
        check_name(name)?;
        let (protocol, endpoints) = (self.protocol(vault)?, self.endpoints(vault)?);
        self.check_secret(secret.as_ref())?;
        let separator = self.scope_separator.clone().unwrap_or_else(|| " ".into());
        if separator != " " && separator != "," {
            return Err(Fault::new("scope_separator", "must be a space or a comma"));
        }
        let mut required_scopes = self.required_scopes.clone();
        let open_id = matches!(protocol, Protocol::OpenId { .. });
        if open_id {
            required_scopes.insert(0, "openid".to_owned());
        }
        self.check_scopes(&required_scopes)?;
        self.check_params()?;
        self.check_identity(open_id)?;
        let seconds = [
            ("default_expires_in", self.default_expires_in),
            ("refresh_token_lifetime", self.refresh_token_lifetime),
        ];
        for (field, value) in seconds {
            if value.is_some_and(|seconds| !(1..=LONGEST).contains(&seconds)) {
                return Err(Fault::new(field, format!("must be 1 to {LONGEST} seconds")));
            }
        }
        let refresh_path = self.refresh_answer_path.unwrap_or_else(|| self.answer_path.clone());
        let own = |given: Option<String>, name: &str| given.unwrap_or_else(|| name.to_owned());
        Ok(Connection {
            strategy: self.provider.unwrap_or_else(|| match self.kind {
                Protocols::OAuth2 => "oauth2".to_owned(),
                Protocols::Oidc => "oidc".to_owned(),
            }),
            protocol,
            endpoints,
            client_id: self.client_id,
            client_secret: secret,
            client_authentication: self.client_authentication,
            scopes: text::unique(self.scopes),
            required_scopes: text::unique(required_scopes),
            scope_parameter: own(self.scope_parameter, "scope"),
            scope_aliases: self.scope_aliases,
            default_resource: self.default_resource,
            incremental_consent: self.incremental_consent,
            authorization_params: given(self.authorization_params),
            token_params: given(self.token_params),
            code_params: given(self.code_params),
            refresh_params: given(self.refresh_params),
            omit_params: self.omit_params,
            body_format: self.body_format,
            headers: given(self.headers),
            pkce: self.pkce,
            answer: AnswerShape {
                path: self.answer_path,
                refresh_path,
                token_types: self.answer_token_types,
                scope_member: own(self.answer_scope_member, "scope"),
                scope_separator: own(self.answer_scope_separator, &separator),
                expires_in_member: own(self.expires_in_member, "expires_in"),
                expires_in_unit: self.expires_in_unit,
                zero_expires_in: self.zero_expires_in,
                default_expires_in: self.default_expires_in,
                refresh_token_expires_in_member: own(
                    self.refresh_token_expires_in_member,
                    "refresh_token_expires_in",
                ),
                refresh_token_lifetime: self.refresh_token_lifetime,
                extra: self.extra,
            },
            scope_separator: separator,
            errors: self.errors,
            rotation: self.rotation,
            reuse_grace: self.reuse_grace,
            refresh_ends_access_token: self.refresh_ends_access_token,
            down_scoping: self.down_scoping,
            revocation: self.revocation,
            identity: self.identity,
            required_claims: given(self.required_claims),
            callback_extra: self.callback_extra,
            kinds: self.kinds,
        })
    }

    fn protocol(&self, vault: &PublicUrl) -> Result<Protocol, Fault> {
        match (self.kind, &self.issuer) {
            (Protocols::Oidc, Some(issuer)) => {
                issuer_identifier(issuer, vault)?;
                Ok(Protocol::OpenId {
                    issuer: issuer.clone(),
                    pattern: self.issuer_pattern.clone(),
                })
            }
            (Protocols::Oidc, None) => {
                Err(Fault::new("issuer", "is missing; kind `oidc` needs it for discovery"))
            }
            (Protocols::OAuth2, Some(_)) => {
                let mend = "is for kind `oidc`; remove it, or say that kind";
                Err(Fault::new("issuer", mend))
            }
            (Protocols::OAuth2, None) => Ok(Protocol::OAuth2),
        }
    }

    fn endpoints(&self, vault: &PublicUrl) -> Result<Endpoints, Fault> {
        for (field, value) in [
            ("authorization_endpoint", &self.authorization_endpoint),
            ("token_endpoint", &self.token_endpoint),
            ("refresh_endpoint", &self.refresh_endpoint),
            ("userinfo_endpoint", &self.userinfo_endpoint),
            ("revocation_endpoint", &self.revocation_endpoint),
        ] {
            let fillable = field == "revocation_endpoint";
            let filled =
                |uri: &str| if fillable { without_placeholders(uri) } else { uri.to_owned() };
            match value.as_deref().map(filled) {
                Some(uri) if uri.contains('{') => {
                    let mend = "has a placeholder that nothing fills: `variables` fills their own, \
                                and in the path of `revocation_endpoint` a whole segment may be \
                                {token}, {client_id} or {user}";
                    return Err(Fault::new(field, mend));
                }
                Some(uri) => endpoint(field, &uri, vault)?,
                None if self.kind == Protocols::OAuth2
                    && matches!(field, "authorization_endpoint" | "token_endpoint") =>
                {
                    let mend = "is missing; kind `oauth2` needs it";
                    return Err(Fault::new(field, mend));
                }
                None => {}
            }
        }
        Ok(Endpoints {
            authorization_endpoint: self.authorization_endpoint.clone(),
            token_endpoint: self.token_endpoint.clone(),
            refresh_endpoint: self.refresh_endpoint.clone(),
            userinfo_endpoint: self.userinfo_endpoint.clone(),
            revocation_endpoint: self.revocation_endpoint.clone(),
            authorization_response_iss: self.authorization_response_iss.clone(),
        })
    }

    fn check_secret(&self, secret: Option<&Secret>) -> Result<(), Fault> {
        let public = self.client_authentication == ClientAuthentication::None;
        match (public, secret) {
            (true, Some(_)) => {
                let mend = "is `none`, but PROVIDER_SECRETS has a secret; remove one of the two";
                Err(Fault::new("client_authentication", mend))
            }
            (false, None) => {
                let mend = "needs the client secret in PROVIDER_SECRETS, under this name";
                Err(Fault::new("client_authentication", mend))
            }
            (true, None) if self.pkce == Pkce::Refused => {
                let mend = "a public client must use PKCE (RFC 9700 §2.1.1)";
                Err(Fault::new("pkce", mend))
            }
            _ => Ok(()),
        }
    }

    fn check_scopes(&self, required: &[String]) -> Result<(), Fault> {
        for (field, scopes) in [("scopes", self.scopes.as_slice()), ("required_scopes", required)] {
            if let Some(index) = scopes.iter().position(|scope| !text::is_scope(scope)) {
                let mend = "is not one scope (RFC 6749 §3.3); give a list";
                return Err(Fault::new(format!("{field}[{index}]"), mend));
            }
        }
        Ok(())
    }

    fn check_params(&self) -> Result<(), Fault> {
        for (field, params, more) in [
            ("authorization_params", &self.authorization_params, &[][..]),
            ("token_params", &self.token_params, &[]),
            ("code_params", &self.code_params, &[]),
            ("refresh_params", &self.refresh_params, &REFRESH_PARAMETERS),
        ] {
            let own =
                OWN_PARAMETERS.iter().find(|own| params.contains_key(**own) && !more.contains(own));
            if let Some(own) = own {
                return Err(Fault::new(format!("{field}.{own}"), "is set by the vault; remove it"));
            }
        }
        Ok(())
    }

    fn check_identity(&self, open_id: bool) -> Result<(), Fault> {
        match self.identity.from {
            Some(IdentitySource::IdToken) if !open_id => {
                Err(Fault::new("identity.from", "is `id_token`, which only kind `oidc` has"))
            }
            Some(IdentitySource::Userinfo) if !open_id && self.userinfo_endpoint.is_none() => {
                Err(Fault::new("userinfo_endpoint", "is missing; identity is read there"))
            }
            None | Some(IdentitySource::IdToken) if open_id => Ok(()),
            _ if !self.required_claims.is_empty() => {
                let mend = "are claims of the ID token, which tells who consented with kind `oidc` \
                            and without another `identity.from`";
                Err(Fault::new("required_claims", mend))
            }
            _ => Ok(()),
        }
    }
}

/// An address with its placeholders ([`crate::provider::revocation`]) filled in, to be checked. They
/// are whole segments behind the host: nothing a user brings may choose where a token is sent.
fn without_placeholders(uri: &str) -> String {
    const BEFORE_PATH: usize = 3;
    let names = ["{token}", "{client_id}", "{user}"];
    let segments = uri.split('/').enumerate().map(|(index, segment)| {
        if index >= BEFORE_PATH && names.contains(&segment) { "x" } else { segment }
    });
    segments.collect::<Vec<_>>().join("/")
}

/// An empty value takes back what the catalogue has.
fn given(params: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut kept = BTreeMap::new();
    kept.extend(params.into_iter().filter(|(_, value)| !value.is_empty()));
    kept
}

/// The name stands in the callback's path and in requests.
fn check_name(name: &str) -> Result<(), Fault> {
    let fits = (1..=128).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && name.bytes().any(|b| b.is_ascii_alphanumeric());
    if fits {
        return Ok(());
    }
    Err(Fault::new("", "a connection's name is 1 to 128 letters, digits, `-`, `_`, `.`"))
}
