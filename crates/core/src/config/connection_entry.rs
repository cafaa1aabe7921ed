// SPDX-License-Identifier: Apache-2.0
//! An entry of `CONNECTIONS`: reads its fields and checks that they are consistent.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use super::fields::{self, Fields, HEADER_VALUE};
use super::issuer::issuer_identifier;
use super::lease;
use super::merge::Completed;
use super::profile;
use super::provider_secret::ProviderSecret;
use super::{FieldError, endpoint};
use vault_base::public_url::PublicUrl;
use vault_base::text;
use vault_provider::authorization_request::{self, OWN_PARAMETERS};
use vault_provider::connection::{Connection, Endpoints, Protocol};
use vault_provider::profile::{
    BodyFormat, ClientAuthentication, HttpMethod, IdentitySource, IssuanceRules, LifetimeUnit,
    MissingLifetime, Pkce, RenewalRules, ResponseShape, Rotation, ZeroLifetime,
};
use vault_provider::registration::Registration;
use vault_provider::scopes;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocols {
    OAuth2,
    Oidc,
}

const KINDS: &[(&str, Protocols)] = &[("oauth2", Protocols::OAuth2), ("oidc", Protocols::Oidc)];

/// Those of [`OWN_PARAMETERS`] that `refresh_params` may set, because some providers demand them with a
/// refresh.
const REFRESH_PARAMETERS: [&str; 2] = ["redirect_uri", "scope"];

/// The placeholders that `revocation_endpoint` may contain.
const REVOCATION_PLACEHOLDERS: [&str; 3] = ["{token}", "{client_id}", "{user}"];

/// The longest token lifetime that the configuration may state, in seconds: ten years.
const LONGEST: i64 = 315_360_000;

/// Reads and checks an entry that [`super::merge`] has completed.
pub(super) fn read(
    name: &str,
    Completed { entry, details }: Completed,
    secret: ProviderSecret,
    vault: &PublicUrl,
) -> Result<Connection, FieldError> {
    check_name(name)?;
    let mut connection = fields::read(entry, |fields| connection(fields, secret))?;
    check(&connection, vault)?;
    connection.registration =
        Registration::new(connection.authority(), &details, &connection.client_id);
    Ok(connection)
}

fn connection(fields: &mut Fields, secret: ProviderSecret) -> Connection {
    let kind = fields.choice("kind", KINDS).unwrap_or_else(|| {
        fields.missing("kind");
        Protocols::OAuth2
    });
    let protocol = protocol(fields, kind);
    let provider = fields.text("provider");
    let mut required_scopes = fields.list("required_scopes");
    if kind == Protocols::Oidc {
        required_scopes.insert(0, "openid".to_owned());
    }
    let scope_separator = fields.text_or("scope_separator", " ");
    let renewal = renewal(fields);
    // A request with an access token does not end it, whatever became of the response.
    let rotation =
        if renewal.by_access_token { Rotation::OldStaysValid } else { Rotation::default() };
    Connection {
        strategy: provider.unwrap_or_else(|| match kind {
            Protocols::OAuth2 => "oauth2".to_owned(),
            Protocols::Oidc => "oidc".to_owned(),
        }),
        protocol,
        endpoints: Endpoints {
            authorization_endpoint: fields.text("authorization_endpoint"),
            token_endpoint: fields.text("token_endpoint"),
            refresh_endpoint: fields.text("refresh_endpoint"),
            first_refresh_endpoint: fields.text("first_refresh_endpoint"),
            userinfo_endpoint: fields.text("userinfo_endpoint"),
            revocation_endpoint: fields.text("revocation_endpoint"),
            authorization_response_iss: fields.text("authorization_response_iss"),
        },
        client_id: fields.required("client_id"),
        client_id_parameter: fields.text_or("client_id_parameter", "client_id"),
        registration: Registration::default(),
        earlier_authorities: fields.list("earlier_authorities"),
        client_secret: secret.client_secret,
        client_authentication: fields
            .choice("client_authentication", ClientAuthentication::NAMES)
            .unwrap_or_default(),
        scopes: text::unique(fields.list("scopes")),
        required_scopes: text::unique(required_scopes),
        scope_parameter: fields.text_or("scope_parameter", "scope"),
        scope_aliases: fields.texts("scope_aliases"),
        scope_includes: fields.lists("scope_includes"),
        default_resource: fields.text("default_resource"),
        incremental_consent: fields.flag("incremental_consent"),
        authorization_params: given(fields.texts("authorization_params")),
        token_params: given(fields.texts("token_params")),
        code_params: given(fields.texts("code_params")),
        refresh_params: given(fields.texts("refresh_params")),
        omit_params: fields.list("omit_params"),
        body_format: fields.choice("body_format", BodyFormat::NAMES).unwrap_or_default(),
        headers: given(fields.headers("headers")),
        pkce: fields.choice("pkce", Pkce::NAMES).unwrap_or_default(),
        answer: answer(fields, &scope_separator, renewal.by_access_token),
        renewal,
        scope_separator,
        errors: fields.table("errors", profile::errors),
        rotation: fields.choice("rotation", Rotation::NAMES).unwrap_or(rotation),
        rotation_leeway: fields.number("reuse_grace"),
        keep_alive: days(fields, "keep_alive_days"),
        lease_seconds: lease::seconds(fields, "lease_seconds"),
        grant_lifetime: days(fields, "grant_lifetime_days"),
        refresh_ends_access_token: fields.flag("refresh_ends_access_token"),
        down_scoping: fields.flag("down_scoping"),
        revocation: fields.table("revocation", profile::revocation),
        identity: fields.table("identity", profile::identity),
        required_claims: given(fields.texts("required_claims")),
        callback_extra: fields.list("callback_extra"),
        location: fields.location("location"),
        kinds: fields.tables("kinds", profile::kind),
        private_key: secret.private_key,
    }
}

/// A field with a number of days, in seconds.
fn days(fields: &mut Fields, field: &'static str) -> Option<i64> {
    const MOST: i64 = 3650;
    let days = fields.number(field)?;
    if !(1..=MOST).contains(&days) {
        fields.fault(field, "must be a number of days from 1 to 3650");
    }
    Some(days.clamp(1, MOST) * 86_400)
}

fn protocol(fields: &mut Fields, kind: Protocols) -> Protocol {
    let (issuer, pattern) = (fields.text("issuer"), fields.text("issuer_pattern"));
    match (kind, issuer) {
        (Protocols::Oidc, Some(issuer)) => return Protocol::OpenId { issuer, pattern },
        (Protocols::Oidc, None) => {
            fields.fault("issuer", "is missing; kind `oidc` needs it for discovery");
        }
        (Protocols::OAuth2, Some(_)) => {
            fields.fault("issuer", "is for kind `oidc`; remove it, or set that kind");
        }
        (Protocols::OAuth2, None) => {}
    }
    Protocol::OAuth2
}

fn renewal(fields: &mut Fields) -> RenewalRules {
    const RENEWALS: &[(&str, bool)] = &[("refresh_token", false), ("access_token", true)];
    const METHODS: &[(&str, HttpMethod)] = &[("POST", HttpMethod::Post), ("GET", HttpMethod::Get)];
    RenewalRules {
        by_access_token: fields.choice("renewal", RENEWALS).unwrap_or_default(),
        method: fields.choice("refresh_method", METHODS).unwrap_or_default(),
        token_parameter: fields.text_or("refresh_token_parameter", "refresh_token"),
        grant_type: fields.text_or("refresh_grant_type", "refresh_token"),
        first_grant_type: fields.text("first_refresh_grant_type"),
    }
}

fn answer(fields: &mut Fields, separator: &str, renews_itself: bool) -> ResponseShape {
    let expires_in_member = fields.text_or("expires_in_member", "expires_in");
    // Where the access token renews itself, the grant ends with it.
    let (refresh_token_member, its_lifetime) = if renews_itself {
        ("access_token", expires_in_member.as_str())
    } else {
        ("refresh_token", "refresh_token_expires_in")
    };
    let path = fields.text_or("answer_path", "");
    ResponseShape {
        refresh_path: fields.text_or("refresh_answer_path", &path),
        path,
        token_types: fields.list("answer_token_types"),
        scope_member: fields.text_or("answer_scope_member", "scope"),
        scope_separator: fields.text_or("answer_scope_separator", separator),
        expires_in_unit: fields.choice("expires_in_unit", LifetimeUnit::NAMES).unwrap_or_default(),
        zero_expires_in: fields.choice("zero_expires_in", ZeroLifetime::NAMES).unwrap_or_default(),
        missing_expires_in: fields
            .choice("missing_expires_in", MissingLifetime::NAMES)
            .unwrap_or_default(),
        default_expires_in: fields.number("default_expires_in"),
        refresh_token_expires_in_member: fields
            .text_or("refresh_token_expires_in_member", its_lifetime),
        refresh_token_member,
        expires_in_member,
        refresh_token_lifetime: fields.number("refresh_token_lifetime"),
        provider_data: fields.list("extra"),
    }
}

/// Checks the values of the fields, and that they are consistent.
fn check(connection: &Connection, vault: &PublicUrl) -> Result<(), FieldError> {
    if let Protocol::OpenId { issuer, .. } = &connection.protocol {
        issuer_identifier(issuer, vault)?;
    }
    check_endpoints(connection, vault)?;
    // Configured headers may contain the placeholder `{client_id}`.
    if !text::is_header_value(&connection.client_id) {
        return Err(FieldError::new("client_id", HEADER_VALUE));
    }
    check_secret(connection)?;
    if connection.scope_separator != " " && connection.scope_separator != "," {
        return Err(FieldError::new("scope_separator", "must be a space or a comma"));
    }
    check_scopes(connection)?;
    check_scope_parameters(connection)?;
    check_client_id_parameter(connection)?;
    check_params(connection)?;
    check_authorization_query(connection)?;
    check_identity(connection)?;
    check_renewal(connection)?;
    let seconds = [
        ("default_expires_in", connection.answer.default_expires_in),
        ("refresh_token_lifetime", connection.answer.refresh_token_lifetime),
    ];
    for (field, value) in seconds {
        if value.is_some_and(|seconds| !(1..=LONGEST).contains(&seconds)) {
            return Err(FieldError::new(field, format!("must be 1 to {LONGEST} seconds")));
        }
    }
    check_kinds(connection, vault)
}

fn check_renewal(connection: &Connection) -> Result<(), FieldError> {
    let rules = &connection.renewal;
    if rules.method == HttpMethod::Get && connection.body_format != BodyFormat::Form {
        let fix =
            "must be `form`, because `refresh_method = \"GET\"` has its parameters in the query";
        return Err(FieldError::new("body_format", fix));
    }
    if rules.first_grant_type.is_some() && !rules.by_access_token {
        let fix = "is for `renewal = \"access_token\"`; remove it, or set that";
        return Err(FieldError::new("first_refresh_grant_type", fix));
    }
    Ok(())
}

fn check_endpoints(connection: &Connection, vault: &PublicUrl) -> Result<(), FieldError> {
    let given = &connection.endpoints;
    for (field, value, fillable) in [
        ("authorization_endpoint", &given.authorization_endpoint, &[][..]),
        ("token_endpoint", &given.token_endpoint, &[]),
        ("refresh_endpoint", &given.refresh_endpoint, &[]),
        ("first_refresh_endpoint", &given.first_refresh_endpoint, &[]),
        ("userinfo_endpoint", &given.userinfo_endpoint, &[]),
        ("revocation_endpoint", &given.revocation_endpoint, &REVOCATION_PLACEHOLDERS),
    ] {
        match value {
            Some(address) => check_endpoint(field, address, fillable, vault)?,
            None if connection.protocol == Protocol::OAuth2
                && matches!(field, "authorization_endpoint" | "token_endpoint") =>
            {
                return Err(FieldError::new(field, "is missing; kind `oauth2` needs it"));
            }
            None => {}
        }
    }
    Ok(())
}

/// Checks the address of an endpoint. Each of `placeholders` may be a whole segment of its path.
fn check_endpoint(
    field: &str,
    address: &str,
    placeholders: &[&str],
    vault: &PublicUrl,
) -> Result<(), FieldError> {
    let filled = without_placeholders(address, placeholders);
    if filled.contains('{') {
        let fillable = match placeholders {
            [] => String::new(),
            some => format!(", and a whole segment of its path may be {}", some.join(", ")),
        };
        let fix = format!(
            "has an unknown placeholder: only names in `variables` are filled in{fillable}"
        );
        return Err(FieldError::new(field, fix));
    }
    endpoint(field, &filled, vault)
}

fn check_secret(connection: &Connection) -> Result<(), FieldError> {
    if connection.client_authentication == ClientAuthentication::ClientSecretBasicRaw
        && connection.client_id.contains(':')
    {
        let fix = "is `client_secret_basic_raw`, but client_id has a colon, which ends the user name there";
        return Err(FieldError::new("client_authentication", fix));
    }
    let public = connection.client_authentication == ClientAuthentication::None;
    match (public, &connection.client_secret) {
        (true, Some(_)) => {
            let fix = "is `none`, but PROVIDER_SECRETS has a secret; remove one of the two";
            Err(FieldError::new("client_authentication", fix))
        }
        (false, None) => {
            let fix = "needs the client secret in PROVIDER_SECRETS, under this name";
            Err(FieldError::new("client_authentication", fix))
        }
        (true, None) if connection.pkce == Pkce::Refused => {
            Err(FieldError::new("pkce", "a public client must use PKCE (RFC 9700 §2.1.1)"))
        }
        _ => Ok(()),
    }
}

fn check_scopes(connection: &Connection) -> Result<(), FieldError> {
    let all = [("scopes", &connection.scopes), ("required_scopes", &connection.required_scopes)];
    for (field, scopes) in all {
        if let Some(index) = scopes.iter().position(|scope| !text::is_scope(scope)) {
            let fix = "is not one scope (RFC 6749 §3.3); give a list";
            return Err(FieldError::new(format!("{field}[{index}]"), fix));
        }
    }
    match scopes::fault_in_includes(&connection.scope_includes) {
        Some((field, fix)) => Err(FieldError::new(field, fix)),
        None => Ok(()),
    }
}

/// Checks that each parameter for scopes is sent once.
fn check_scope_parameters(connection: &Connection) -> Result<(), FieldError> {
    let own = std::iter::once(("scope_parameter".to_owned(), &connection.scope_parameter));
    let kinds = connection.kinds.iter();
    let kinds =
        kinds.map(|(name, kind)| (format!("kinds.{name}.scope_parameter"), &kind.scope_parameter));
    let mut seen = BTreeSet::new();
    for (field, name) in own.chain(kinds).filter(|(_, name)| !name.is_empty()) {
        let is_protocols = name != "scope" && OWN_PARAMETERS.contains(&name.as_str());
        if is_protocols || !seen.insert(name) {
            let fix = "is a parameter that the vault sets already; name the one from which the \
                       provider reads these scopes";
            return Err(FieldError::new(field, fix));
        }
    }
    Ok(())
}

/// Checks that the parameter for the client id is not one that has another meaning.
fn check_client_id_parameter(connection: &Connection) -> Result<(), FieldError> {
    let name = connection.client_id_parameter.as_str();
    let is_taken = name != "client_id"
        && (OWN_PARAMETERS.contains(&name)
            || authorization_request::is_for_scopes(connection, name));
    if name.is_empty() || is_taken {
        let fix = "must be the name of the parameter from which the provider reads the client id, \
                   and no parameter that the vault sets already";
        return Err(FieldError::new("client_id_parameter", fix));
    }
    Ok(())
}

/// Checks that the query of the authorization endpoint has no parameter that would be sent twice.
fn check_authorization_query(connection: &Connection) -> Result<(), FieldError> {
    let field = "authorization_endpoint";
    let address = connection.endpoints.authorization_endpoint.as_deref();
    let Some(address) = address.and_then(|address| Url::parse(address).ok()) else {
        return Ok(());
    };
    if let Some(own) = authorization_request::own_parameter_of(connection, &address) {
        let fix = format!("has the parameter `{own}`, which the vault sets itself; remove it");
        return Err(FieldError::new(field, fix));
    }
    let configured = &connection.authorization_params;
    match address.query_pairs().find(|(name, _)| configured.contains_key(name.as_ref())) {
        Some((name, _)) => {
            let fix = format!(
                "has the parameter `{name}`, which `authorization_params` sets too; remove it \
                 here, or set it to \"\" there"
            );
            Err(FieldError::new(field, fix))
        }
        None => Ok(()),
    }
}

fn check_params(connection: &Connection) -> Result<(), FieldError> {
    for (field, params, more) in [
        ("authorization_params", &connection.authorization_params, &[][..]),
        ("token_params", &connection.token_params, &[]),
        ("code_params", &connection.code_params, &[]),
        ("refresh_params", &connection.refresh_params, &REFRESH_PARAMETERS),
    ] {
        let own =
            OWN_PARAMETERS.iter().find(|own| params.contains_key(**own) && !more.contains(own));
        let renamed = Some(&connection.client_id_parameter.as_str());
        if let Some(own) = own.or(renamed.filter(|name| params.contains_key(**name))) {
            return Err(FieldError::new(
                format!("{field}.{own}"),
                "is set by the vault; remove it",
            ));
        }
    }
    let mut names = connection.authorization_params.keys();
    match names.find(|name| authorization_request::is_own(connection, name)) {
        Some(name) => {
            let fix = "is a parameter for scopes, which the vault sets; remove it";
            Err(FieldError::new(format!("authorization_params.{name}"), fix))
        }
        None => Ok(()),
    }
}

/// Checks a connection that takes the account's id from the authorization response.
#[inline(never)]
fn check_callback_identity(connection: &Connection) -> Result<(), FieldError> {
    let identity = &connection.identity;
    if identity.permanent {
        let fix = "is for ids that the provider proves; one from the callback comes by way of the browser";
        return Err(FieldError::new("identity.permanent", fix));
    }
    if !connection.callback_extra.contains(&identity.id) {
        let fix = "must list the parameter of `identity.id`, with `identity.from = \"callback\"`";
        return Err(FieldError::new("callback_extra", fix));
    }
    if connection.asks_for_form_post() {
        let fix = "must not ask for `response_mode=form_post`: with `identity.from = \"callback\"` the \
                    parameter is read from the query";
        return Err(FieldError::new("authorization_params", fix));
    }
    Ok(())
}

fn check_identity(connection: &Connection) -> Result<(), FieldError> {
    let open_id = matches!(connection.protocol, Protocol::OpenId { .. });
    let nowhere = connection.endpoints.userinfo_endpoint.is_none();
    if connection.identity.optional_nonce && connection.pkce == Pkce::Refused {
        let fix = "needs PKCE: without both, a code of another connect could be injected (RFC 9700 §2.1.1)";
        return Err(FieldError::new("identity.optional_nonce", fix));
    }
    match connection.identity.from {
        Some(IdentitySource::IdToken) if !open_id => {
            Err(FieldError::new("identity.from", "is `id_token`, which only kind `oidc` has"))
        }
        Some(IdentitySource::Userinfo) if !open_id && nowhere => {
            Err(FieldError::new("userinfo_endpoint", "is missing; identity is read there"))
        }
        None | Some(IdentitySource::IdToken) if open_id => Ok(()),
        _ if !connection.required_claims.is_empty() => {
            let fix = "are claims of the ID token, which identifies the user only with kind `oidc` \
                        and without another `identity.from`";
            Err(FieldError::new("required_claims", fix))
        }
        Some(IdentitySource::Callback) => check_callback_identity(connection),
        _ => Ok(()),
    }
}

/// Checks the kinds of token that the vault requests with its private key.
fn check_kinds(connection: &Connection, vault: &PublicUrl) -> Result<(), FieldError> {
    let mut signs = false;
    for (name, kind) in &connection.kinds {
        let Some(issuance) = &kind.issuance else {
            continue;
        };
        signs = true;
        check_issuance(issuance, vault)
            .map_err(|fault| fault.within(&format!("kinds.{name}.minting.")))?;
    }
    let nowhere = connection.endpoints.userinfo_endpoint.is_none();
    if signs && nowhere && connection.protocol == Protocol::OAuth2 {
        let fix = "is missing; tokens with `minting` are issued only to a user whom it identifies";
        return Err(FieldError::new("userinfo_endpoint", fix));
    }
    if connection.private_key.is_some() && !signs {
        let fix =
            "have no `minting`, but PROVIDER_SECRETS has a private key for it; remove the key";
        return Err(FieldError::new("kinds", fix));
    }
    Ok(())
}

#[inline(never)]
fn check_issuance(issuance: &IssuanceRules, vault: &PublicUrl) -> Result<(), FieldError> {
    if !issuance.resource.ends_with("/{name}") {
        return Err(FieldError::new("resource", "must end with /{name}"));
    }
    for (field, address, placeholder) in [
        ("own_lookup", &issuance.own_lookup, "{name}"),
        ("organization_lookup", &issuance.organization_lookup, "{name}"),
        ("membership_endpoint", &issuance.membership_endpoint, "{name}"),
        ("token_endpoint", &issuance.token_endpoint, "{id}"),
    ] {
        if !address.split('/').any(|segment| segment == placeholder) {
            let fix = format!("lacks {placeholder}, a whole segment of its path");
            return Err(FieldError::new(field, fix));
        }
        check_endpoint(field, address, &[placeholder], vault)?;
    }
    match &issuance.revocation_endpoint {
        Some(address) => check_endpoint("revocation_endpoint", address, &[], vault),
        None => Ok(()),
    }
}

/// The address with a stand-in for each of its placeholders, so that it can be checked. Placeholders are
/// whole segments of the path, because a value from a user must not decide to which host a token is sent.
fn without_placeholders(uri: &str, names: &[&str]) -> String {
    const BEFORE_PATH: usize = 3;
    let segments = uri.split('/').enumerate().map(|(index, segment)| {
        if index >= BEFORE_PATH && names.contains(&segment) { "x" } else { segment }
    });
    segments.collect::<Vec<_>>().join("/")
}

/// The entries that are not empty. An empty value removes the entry that the catalogue has.
fn given(params: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut kept = BTreeMap::new();
    kept.extend(params.into_iter().filter(|(_, value)| !value.is_empty()));
    kept
}

/// Checks a connection's name, which is a segment of the callback's path and a parameter of requests.
fn check_name(name: &str) -> Result<(), FieldError> {
    let fits = (1..=128).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && name.bytes().any(|b| b.is_ascii_alphanumeric());
    if fits {
        return Ok(());
    }
    Err(FieldError::new("", "a connection's name is 1 to 128 letters, digits, `-`, `_`, `.`"))
}
