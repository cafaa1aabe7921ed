// SPDX-License-Identifier: Apache-2.0
//! The catalogue of providers: every fact has a source or is marked as having none, every entry is a valid
//! configuration, and the requests sent to each provider are pinned in `golden/provider-requests.txt`.

#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods)]

#[path = "support/connection.rs"]
mod connection_support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use connection_support::known;
use serde_json::json;
use toml::{Table, Value};
use vault_base::public_url::PublicUrl;
use vault_base::secret::Secret;
use vault_provider::authorization_request::{self, AuthorizationRequest};
use vault_provider::connection::Connection;
use vault_provider::endpoints::{Metadata, Provider};
use vault_provider::error_codes::{self, TokenEndpointError};
use vault_provider::issuance::{Issuance, IssuanceRequest};
use vault_provider::profile::{
    ClientAuthentication, HttpMethod, IdentitySource, IssuanceRules, Rotation,
};
use vault_provider::request::{self, ProviderRequest};
use vault_provider::revocation::{self, TokenTypeHint};
use vault_provider::token_response::ProviderResponse;
use vault_provider::{catalogue, scopes};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CALLBACK: &str = "https://vault.example.com/callback/it";
fn directory() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The files of the catalogue, parsed, by id.
fn entries() -> BTreeMap<String, Table> {
    let files = std::fs::read_dir(directory().join("crates/provider/src/catalogue")).unwrap();
    let read = files.map(|file| {
        let path = file.unwrap().path();
        let id = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        (id, toml::from_str(&text).unwrap())
    });
    read.collect()
}

/// The endpoints of a connection. Where they come from discovery, made-up metadata with URLs below the
/// issuer is used.
fn provider(connection: &Connection) -> Provider {
    let metadata = Provider::discovery(connection).map(|source| {
        let at = |path: &str| format!("{}{path}", source.issuer);
        let document = json!({
            "issuer": source.pattern.map_or(source.issuer.to_owned(), |one| one.replace('*', "{tenantid}")),
            "jwks_uri": at("/keys"), "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"), "userinfo_endpoint": at("/userinfo"),
        });
        let vault = PublicUrl::parse("https://vault.example.com").unwrap();
        Metadata::parse(document.to_string().as_bytes(), source, &vault).unwrap()
    });
    Provider::new(connection, metadata.as_ref()).unwrap()
}

/// Whether a text has the form `YYYY-MM-DD`.
fn is_day(text: &str) -> bool {
    let digits =
        |part: &str, count| part.len() == count && part.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = text.split('-').collect();
    matches!(parts[..], [year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2))
}

#[test]
fn each_fact_names_its_source_or_says_that_it_has_none() {
    for (id, entry) in entries() {
        let sources = entry["sources"].as_table().unwrap_or_else(|| panic!("{id}: no sources"));
        let mut cited: Vec<&str> = Vec::new();
        for (day, read) in sources {
            assert!(is_day(day), "{id}: {day} is not a day");
            for (address, fields) in read.as_table().unwrap_or_else(|| panic!("{id}: {day}")) {
                let known = address.starts_with("https://") || address == "unverified";
                assert!(known, "{id}: {address}");
                let fields = fields.as_array().unwrap();
                cited.extend(fields.iter().map(|field| field.as_str().unwrap()));
            }
        }
        let is_address = |field: &str| {
            field.ends_with("_endpoint") || matches!(field, "issuer" | "issuer_pattern")
        };
        for field in entry.keys() {
            let needs = !matches!(field.as_str(), "kind" | "name" | "notes" | "sources");
            let group = if is_address(field) { "endpoints" } else { field };
            let prefix = format!("{field}.");
            let named = cited.contains(&group) || cited.iter().any(|one| one.starts_with(&prefix));
            assert!(!needs || named, "{id}: {field} has no source");
        }
        for field in cited {
            let whole = Some(&entry);
            let found = field
                .split('.')
                .fold(whole.cloned().map(Value::Table), |value, name| value?.get(name).cloned());
            let there = found.is_some() || field == "endpoints";
            assert!(there, "{id}: the source of {field} is the source of nothing");
        }
        assert!(entry["name"].as_str().is_some_and(|name| !name.is_empty()), "{id}");
    }
}

#[test]
fn each_entry_needs_no_more_than_a_client_id_a_secret_and_its_variables() {
    let files = entries();
    assert!(catalogue::ids().eq(files.keys().map(String::as_str)));
    for id in files.into_keys() {
        let connection = known(&id);
        assert_eq!(connection.strategy, id);
        // `cargo xtask check` assumes that a provider of the catalogue needs a client secret.
        assert_ne!(connection.client_authentication, ClientAuthentication::None, "{id}");
    }
}

#[test]
fn whatever_the_catalogue_says_a_connection_written_by_hand_can_say() {
    for (id, entry) in entries() {
        let known = known(&id);
        let facts: serde_json::Value =
            serde_json::from_str(catalogue::entry(&id).unwrap()).unwrap();
        let mut by_hand = facts.as_object().unwrap().clone();
        by_hand.insert("client_id".into(), json!("the-client"));
        let variables = entry.get("variables").and_then(Value::as_table);
        for (name, variable) in variables.into_iter().flatten() {
            if variable.get("value").is_none() {
                by_hand["variables"][name]["value"] = json!(connection_support::variable(&id).1);
            }
        }
        let by_hand = connection_support::proved(&json!(by_hand), &connection_support::secret(&id));
        // They differ only in the name of the provider in lists and in the authority.
        let registration = known.registration.clone();
        let by_hand = Connection { strategy: id.clone(), registration, ..by_hand.unwrap() };
        assert_eq!(format!("{by_hand:?}"), format!("{known:?}"), "{id}");
    }
}

#[test]
fn a_variable_sends_nothing_to_a_host_of_its_own() {
    for (provider, name, good, bad) in [
        ("entra", "tenant", "contoso-1", "contoso/../x"),
        ("zendesk", "subdomain", "acme", "acme.evil.example/"),
        ("intercom", "region", "eu.", "evil."),
        ("gitlab", "host", "git.example.com", "git.example.com/x"),
        ("salesforce", "host", "acme.my.salesforce.com", "salesforce.com.evil.example"),
        ("shopify", "shop", "acme", "acme.evil"),
        ("box", "host", "ent.box.com", "box.com.evil.example"),
    ] {
        let with = |value: &str| {
            let variables = json!({ name: value });
            connection_support::connection(
                &json!({"provider": provider, "client_id": "x", "variables": variables}),
            )
        };
        let connection = with(good).unwrap();
        let endpoints = format!("{:?} {:?}", connection.endpoints, connection.protocol);
        assert!(endpoints.contains(good), "{provider}: {endpoints}");
        let error = with(bad).unwrap_err();
        assert_eq!(error.field, format!("it.variables.{name}"), "{error}");
        assert!(error.fix.contains("must be one of"), "{error}");
    }
}

#[test]
fn what_the_registry_knows_outlives_a_provider_that_moves() {
    for id in entries().into_keys() {
        let connection = known(&id);
        let stable = match Provider::discovery(&connection) {
            Some(source) => source.issuer.to_owned(),
            None => id,
        };
        assert_eq!(connection.authority(), stable);
    }
    // All consents to one client at Google are one grant, whichever connection they came through.
    assert_eq!(known("google").authority(), known("google_workspace").authority());
}

#[test]
fn a_fact_that_nobody_can_be_cited_for_counts_as_the_cautious_one() {
    let files = entries();
    // The files have `sometimes` and `single_use`, without a source.
    for id in ["tumblr", "discord"] {
        assert!(files[id].get("rotation").is_some());
        assert_eq!(known(id).rotation, Rotation::Unknown, "{id}");
    }
    assert!(Rotation::Unknown.may_end_the_old());
    // An error code without a source does not end a grant.
    assert!(files["zoom"]["errors"].get("permanent").is_some());
    assert!(known("zoom").errors.permanent.is_empty());
    // Facts with a source are kept.
    assert_eq!(known("box").rotation, Rotation::SingleUse);
    assert_eq!(known("github").errors.permanent, ["bad_refresh_token", "bad_verification_code"]);
}

/// What an error response of a provider means for a grant.
fn meaning(provider: &str, document: &serde_json::Value) -> &'static str {
    match error_codes::verdict(&known(provider).errors, document, None) {
        Some(TokenEndpointError::Refused(_)) => "permanent",
        Some(TokenEndpointError::Consent(_)) => "consent",
        Some(TokenEndpointError::Misconfigured(_)) => "misconfigured",
        Some(TokenEndpointError::Unavailable { .. }) => "transient",
        Some(TokenEndpointError::Ambiguous { .. }) => "unclear",
        other => panic!("{provider}: {document}: {other:?}"),
    }
}

#[test]
fn a_code_of_entra_id_means_what_its_reference_says() {
    // https://learn.microsoft.com/en-us/entra/identity-platform/reference-error-codes
    for (expected, codes) in [
        ("permanent", [50_173, 70_008, 70_043, 700_082, 700_084].as_slice()),
        // Faults and limits of the service.
        ("transient", &[40_010, 50_033, 50_087, 50_088, 50_196, 70_012, 90_006, 90_012]),
        ("transient", &[90_024, 90_033, 90_055, 90_090, 90_091]),
        // The vault's registration.
        ("misconfigured", &[500_011, 700_016, 7_000_112, 7_000_215, 7_000_218, 7_000_222, 90_002]),
        // The user must authenticate further or consent.
        ("consent", &[50_072, 50_074, 50_076, 50_078, 50_079, 50_097, 50_158, 65_001, 700_020]),
        // The user's administrator can undo these: a disabled or unassigned user, and policies.
        ("consent", &[50_057, 50_105, 53_000, 53_001, 53_002, 53_003, 530_032, 530_035]),
    ] {
        for provider in ["microsoft", "entra"] {
            for code in codes {
                let document = json!({"error": "invalid_grant", "error_codes": [code]});
                assert_eq!(meaning(provider, &document), expected, "{provider}: {code}");
            }
        }
    }
}

#[test]
fn a_code_of_a_provider_means_what_its_documentation_says() {
    for (providers, code, expected) in [
        (["google", "google_workspace"].as_slice(), "policy_enforced", "permanent"),
        (&["google", "google_workspace"], "admin_policy_enforced", "consent"),
        (&["github", "github_app"], "unverified_user_email", "consent"),
        (&["github", "github_app"], "bad_refresh_token", "permanent"),
        (&["slack", "slack_bot"], "org_login_required", "transient"),
    ] {
        for provider in providers {
            assert_eq!(meaning(provider, &json!({"error": code})), expected, "{provider}: {code}");
        }
    }
    for provider in ["facebook", "instagram"] {
        // https://developers.facebook.com/docs/graph-api/guides/error-handling
        for (code, subcode, expected) in [
            (190, None, "permanent"),
            (190, Some(460), "permanent"),
            (190, Some(463), "permanent"),
            (190, Some(459), "consent"),
            (190, Some(464), "consent"),
            (2, None, "transient"),
            (4, None, "transient"),
        ] {
            let document = json!({"error": {"code": code, "error_subcode": subcode}});
            assert_eq!(meaning(provider, &document), expected, "{provider}: {document}");
        }
    }
    let rapt = json!({"error": "invalid_grant", "error_subtype": "invalid_rapt"});
    assert_eq!(meaning("google", &rapt), "permanent");
}

#[test]
fn a_rotated_refresh_token_serves_again_only_where_that_is_documented() {
    for (id, seconds) in [
        ("atlassian", Some(600)),
        ("shopify", Some(30 * 86_400)),
        ("bitbucket", Some(600)),
        ("x", Some(0)),
        ("linear", None),
        ("quickbooks", None),
        ("xero", None),
    ] {
        assert_eq!(known(id).rotation_leeway, seconds, "{id}");
    }
}

#[test]
fn a_grant_ends_a_fixed_time_after_the_consent_only_where_that_is_documented() {
    let ends = |days: i64| Some(days * 86_400);
    for (id, lifetime) in [
        ("atlassian", ends(365)),
        // At most: six months, and five years.
        ("spotify", ends(184)),
        ("quickbooks", ends(1827)),
        ("linkedin", None),
        ("slack", None),
    ] {
        assert_eq!(known(id).grant_lifetime, lifetime, "{id}");
    }
}

#[test]
fn companies_of_quickbooks_are_told_apart_by_the_callback() {
    let quickbooks = known("quickbooks");
    let identity = &quickbooks.identity;
    assert_eq!((identity.from, identity.id.as_str()), (Some(IdentitySource::Callback), "realmId"));
    assert_eq!(quickbooks.callback_extra, ["realmId"]);
}

#[test]
fn what_is_sent_to_each_provider_is_what_was_reviewed() {
    let mut told = String::new();
    for id in entries().into_keys() {
        let connection = known(&id);
        let provider = provider(&connection);
        writeln!(told, "## {id}").unwrap();
        let scopes = scopes::ask(&connection, &["scope-1".into(), "scope-2".into()]);
        let ask = AuthorizationRequest {
            callback: CALLBACK,
            state: "the-state",
            nonce: "the-nonce",
            verifier: VERIFIER,
            scopes: &scopes,
            params: &[],
        };
        let url = authorization_request::url(&connection, &provider, &ask).unwrap();
        let parameters: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
        let (address, _) = url.as_str().split_once('?').unwrap();
        writeln!(told, "authorize {address}").unwrap();
        for (name, value) in &parameters {
            writeln!(told, "  {name} = {value}").unwrap();
        }

        let secret = |text: &str| Secret::new(text);
        let code = secret("the-code");
        let verifier = secret(VERIFIER);
        let redeem = request::redeem(&connection, &provider, CALLBACK, &code, &verifier, &scopes);
        told.push_str(&show("redeem", redeem.unwrap()));
        let token = secret("the-refresh-token");
        let refresh = request::refresh(&connection, &provider, CALLBACK, &token, None);
        told.push_str(&show("refresh", refresh.unwrap()));
        if connection.renewal.first_grant_type.is_some() {
            let first = request::first_refresh(&connection, &provider, CALLBACK, &token);
            told.push_str(&show("first refresh", first.unwrap()));
        }
        let access = secret("the-access-token");
        if let Some(identity) = ProviderRequest::userinfo(&connection, &provider, &access) {
            told.push_str(&show("identity", identity));
        }
        // Where only access tokens can be revoked, one has been obtained with the refresh token before.
        let by_access = revocation::needs_access_token(&connection);
        let chosen = revocation::choose(&connection, !by_access, true);
        let tokens = [
            (chosen.refresh, &token, TokenTypeHint::Refresh),
            (chosen.access, &access, TokenTypeHint::Access),
        ];
        let narrow = revocation::is_narrow(&connection, "", false);
        for (_, token, kind) in tokens.into_iter().filter(|(wanted, ..)| narrow && *wanted) {
            let user = Some("the-user");
            if let Some(revoke) =
                revocation::revoke(&connection, &provider, "", (token, kind), user)
            {
                told.push_str(&show("revoke", revoke));
            }
        }
        for (kind, issuance) in connection.kinds.iter().filter_map(|(kind, rules)| {
            rules.issuance.as_ref().map(|issuance| (kind.as_str(), issuance))
        }) {
            told.push_str(&issued(&connection, &provider, kind, issuance));
        }
        told.push('\n');
    }
    let file = directory().join("tests/golden/provider-requests.txt");
    if std::env::var_os("WRITE_GOLDEN").is_some() {
        std::fs::write(&file, &told).unwrap();
    }
    let reviewed = std::fs::read_to_string(&file).unwrap();
    for (line, (now, then)) in told.lines().zip(reviewed.lines()).enumerate() {
        assert_eq!(now, then, "line {}: review, and run again with WRITE_GOLDEN=1", line + 1);
    }
    assert_eq!(told.len(), reviewed.len());
}

/// The requests that issue a token of this kind, for the user's own account and for an organization.
fn issued(
    connection: &Connection,
    provider: &Provider,
    kind: &str,
    issuance: &IssuanceRules,
) -> String {
    let mut told = String::new();
    let narrow = ["contents:read".to_owned()];
    for (name, scopes, proof) in [
        ("", None, json!({"id": 7, "login": "octocat"})),
        ("octo-org", Some(narrow.as_slice()), {
            json!({"state": "active", "role": "admin", "organization": {"id": 7}})
        }),
    ] {
        let user_token = Secret::new("the-access-token");
        let wanted = IssuanceRequest { user_token: &user_token, user: Some("7"), name, scopes };
        let signature = Secret::new("the-signature");
        let mut issuing = Issuance::new(connection, provider, issuance, wanted, signature);
        let installation = json!({"id": 42, "account": {"id": 7}});
        for (what, document) in [("prove", proof), ("look up", installation)] {
            told.push_str(&show(what, issuing.request().unwrap()));
            let body = Secret::new(document.to_string());
            let answer = ProviderResponse::Answer { status: 200, retry_after: None, body };
            assert!(issuing.answered(&answer, 0).unwrap().is_none());
        }
        told.push_str(&show("make", issuing.request().unwrap()));
    }
    let issued = (&Secret::new("the-minted-token"), TokenTypeHint::Access);
    let revoke = revocation::revoke(connection, provider, kind, issued, Some("7"));
    told.push_str(&show("revoke", revoke.unwrap()));
    told
}

fn show(what: &str, request: ProviderRequest) -> String {
    let mut out = format!("{what} {} {}\n", request.method.name(), request.url);
    if let Some(authorization) = request.authorization {
        let plain = match authorization.expose().split_once(' ') {
            Some(("Basic", pair)) => {
                let pair = STANDARD.decode(pair).unwrap();
                format!("Basic [{}]", String::from_utf8(pair).unwrap())
            }
            _ => authorization.expose().to_owned(),
        };
        writeln!(out, "  Authorization: {plain}").unwrap();
    }
    for (name, value) in request.headers {
        writeln!(out, "  {name}: {value}").unwrap();
    }
    if let Some(body) = request.body {
        assert_ne!(request.method, HttpMethod::Get);
        writeln!(out, "  {}: {}", body.media_type, body.text.expose()).unwrap();
    }
    out
}
