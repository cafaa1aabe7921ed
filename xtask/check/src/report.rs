// SPDX-License-Identifier: Apache-2.0
//! Reports what a configuration means: as text for people, and as JSON for the scripts.

use std::fmt::Write as _;

use edge_token_vault::config::{
    AccountAccess, Authentication, Client, ClientKind, Config, GrantType,
};
use edge_token_vault::encoding;
use edge_token_vault::jwt::trusted_issuer::Issuer;
use edge_token_vault::provider::authorization_request::OWN_PARAMETERS;
use edge_token_vault::provider::connection::{Connection, Protocol};
use edge_token_vault::provider::profile::{IdentitySource, RevocationScope, Rotation};
use edge_token_vault::public_url::{PublicUrl, parse_url};
use serde_json::{Value, json};

use crate::places;
use crate::similar::did_you_mean;

/// The report: all that is known without sending requests.
pub(crate) fn text(config: &Config) -> String {
    let mut out = String::new();
    let url = &config.public_url;
    let _ = writeln!(out, "The configuration is valid. Vault: {}", url.identifier());
    for gap in gaps(config).into_iter().chain(places::gaps(config)) {
        let _ = writeln!(out, "NOTE: {gap}");
    }
    let _ = writeln!(out, "{}", places::shared(config));
    if let Some(sign_in) = &config.sign_in {
        let _ = writeln!(out, "\nThe vault signs users in, as the issuer {}", url.identifier());
        let _ = writeln!(out, "  with the connections {}", list(&sign_in.connections));
        let _ = writeln!(out, "  its tokens for the connect API have the audience {}", url.me());
        for (name, api) in &config.apis {
            let life = api.access_token_lifetime;
            let _ = writeln!(out, "  issues tokens for {name} ({}), for {life} s", api.identifier);
        }
    }
    for issuer in others(config) {
        let algorithms: Vec<&str> = issuer.algorithms.iter().map(|one| one.name()).collect();
        let _ = writeln!(out, "\nIssuer {}", issuer.source.issuer);
        let _ = writeln!(out, "  exchanges its tokens for {}", issuer.audiences.join(", "));
        let connects = issuer.api_audience.clone().unwrap_or_else(|| url.me());
        let _ = writeln!(out, "  its tokens for the connect API have the audience {connects}");
        let _ = writeln!(out, "  signed with {}", algorithms.join(", "));
        if let Some(note) = foreign_audience(url, &connects) {
            let _ = writeln!(out, "  NOTE: {note}");
        }
    }
    for (name, connection) in &config.connections {
        let _ = writeln!(out, "\nConnection {name} ({})", connection.strategy);
        let _ = writeln!(out, "  redirect URI to register: {}", url.callback(name));
        let registration = &connection.registration;
        let _ = writeln!(
            out,
            "  its grants are bound to the authority `{}` and the client_id `{}`",
            registration.authority, registration.client_id
        );
        if connection.client_secret.is_some() {
            let _ = writeln!(out, "  needs PROVIDER_SECRETS.{name}");
        }
        for (kind, _) in connection.kinds.iter().filter(|(_, kind)| kind.issuance.is_some()) {
            let _ = writeln!(
                out,
                "  issues tokens of the kind {kind} if PROVIDER_SECRETS.{name} is a table with a \
                 private_key"
            );
        }
        let _ = writeln!(out, "  {}", renewal(connection));
        let _ = writeln!(out, "  {}", revocation(connection));
        if let Some(note) = accounts(connection) {
            let _ = writeln!(out, "  {note}");
        }
        if let Some(place) = places::of_connection(config, name) {
            let _ = writeln!(out, "  {place}");
        }
        for note in places::notes_of_connection(config, name) {
            let _ = writeln!(out, "  NOTE: {note}");
        }
        if let Some(note) = connection_note(config, name) {
            let _ = writeln!(out, "  NOTE: {note}");
        }
    }
    for (id, client) in &config.clients {
        let _ = writeln!(out, "\nClient {id}: connections {}", list(&client.connections));
        if client.account_access == AccountAccess::All {
            let _ = writeln!(out, "  lists and deletes its users' accounts at all connections");
        }
        if client.grants.contains(&GrantType::AuthorizationCode) {
            let asks =
                if client.kind == ClientKind::ThirdParty { ", with their consent" } else { "" };
            let _ = writeln!(out, "  signs users in{asks}");
        }
        let _ = writeln!(out, "  redirect URIs: {}", list(&client.redirect_uris));
        if exchanges(client) {
            let _ = writeln!(out, "  exchanges tokens issued to {}", list(&client.accepts_from));
        }
        if let Some(place) = places::of_client(config, id, client) {
            let _ = writeln!(out, "  {place}");
        }
        for note in client_notes(config, client) {
            let _ = writeln!(out, "  NOTE: {note}");
        }
    }
    out
}

/// A note if the audience of the connect API is an address on another host than the vault's. Audiences that are no
/// web addresses, such as `api://0000-1111` of Entra ID, say nothing of a host.
fn foreign_audience(vault: &PublicUrl, audience: &str) -> Option<String> {
    let url =
        parse_url(audience, "").ok().filter(|url| matches!(url.scheme(), "https" | "http"))?;
    let own = parse_url(vault.origin(), "").ok()?;
    (url.host() != own.host()).then(|| {
        format!(
            "`api_audience` is on another host than PUBLIC_URL, so tokens for what is there may also connect and \
             delete accounts here; the audience of this vault is {}",
            vault.me()
        )
    })
}

/// Whether the client exchanges tokens for those of providers.
fn exchanges(client: &Client) -> bool {
    client.grants.iter().any(|grant| !grant.is_issuing())
}

/// The vault's identifier in all examples.
const EXAMPLE: &str = "https://vault.example.com/";

/// What is valid but leaves the vault without a use.
fn gaps(config: &Config) -> Vec<String> {
    let mut gaps = Vec::new();
    let own = config.public_url.identifier();
    if own == EXAMPLE {
        gaps.push("PUBLIC_URL is that of the examples: set the address of your vault".to_owned());
    }
    if config.sign_in.is_none() && config.issuers.contains_key(&own) {
        gaps.push("ISSUERS has the vault itself, which issues tokens with SIGN_IN only".to_owned());
    }
    if config.issuers.is_empty() {
        gaps.push(
            "there are no ISSUERS and no SIGN_IN: the vault accepts no user's token".to_owned(),
        );
    }
    if config.connections.is_empty() {
        gaps.push("there are no CONNECTIONS: users can connect nothing".to_owned());
    }
    if config.clients.is_empty() {
        gaps.push("there are no CLIENTS: nobody can use the vault".to_owned());
    }
    gaps
}

/// What is valid in a connection's configuration but may not be meant.
fn connection_note(config: &Config, name: &str) -> Option<&'static str> {
    let signs_in = config.sign_in.iter().flat_map(|sign_in| &sign_in.connections);
    let used = config.clients.values().flat_map(|client| &client.connections);
    let is_used = config.clients.is_empty() || signs_in.chain(used).any(|other| other == name);
    (!is_used).then_some("no client may use it: name it in the `connections` of one")
}

/// Secrets that are tried first by everybody who guesses. The first is also that of the example in the
/// reference of the configuration.
const GUESSED_SECRETS: [&str; 8] =
    ["test", "secret", "password", "changeme", "admin", "123456", "client_secret", "example"];

/// A note for each hash of a client that is that of a well-known word.
fn guessed_secrets(authentication: &Authentication) -> impl Iterator<Item = String> {
    let hashes = match authentication {
        Authentication::Secret(hashes) => hashes.as_slice(),
        Authentication::PrivateKeyJwt(_) | Authentication::None => &[],
    };
    hashes.iter().enumerate().filter_map(|(index, hash)| {
        let word = GUESSED_SECRETS.into_iter().find(|word| encoding::sha256(word) == *hash)?;
        Some(format!(
            "secret_sha256[{index}] is the hash of the word `{word}`, which everybody can guess: generate a \
             secret of 32 random bytes, and put its hash here"
        ))
    })
}

/// What is valid in a client's configuration but may not be meant.
fn client_notes(config: &Config, client: &Client) -> Vec<String> {
    let mut notes = Vec::new();
    let is_public = matches!(client.authentication, Authentication::None);
    if !is_public && client.grants.is_empty() {
        notes.push("it has no `grants`: it can exchange nothing".to_owned());
    }
    notes.extend(guessed_secrets(&client.authentication));
    if exchanges(client) {
        let ids = &client.accepts_from;
        if ids.is_empty() {
            let note = "its `accepts_from` is empty: it can exchange no user's token; without the field it \
                        accepts those issued to itself";
            notes.push(note.to_owned());
        }
        if client.connections.is_empty() {
            let note = "it has no `connections`: it can exchange tokens for those of no provider";
            notes.push(note.to_owned());
        }
        notes.extend(ids.iter().filter_map(|id| unknown_client(config, id)));
        notes.extend(no_audience(config, client));
    }
    let connects = is_public && !client.connections.is_empty();
    if connects && client.redirect_uris.is_empty() {
        notes.push("it has no `redirect_uris`: it can connect no account".to_owned());
    }
    if client.kind == ClientKind::Spa && client.origins.is_empty() {
        notes.push("it has no `origins`: browsers refuse the vault's responses to it".to_owned());
    }
    notes
}

/// A note if no issuer's tokens can have an audience that the client accepts.
fn no_audience(config: &Config, client: &Client) -> Option<String> {
    let all: Vec<&String> = config.issuers.values().flat_map(|issuer| &issuer.audiences).collect();
    let meets = client.audiences.iter().any(|audience| all.contains(&audience));
    (!meets && !all.is_empty()).then(|| {
        let all: Vec<String> = all.into_iter().cloned().collect();
        let (own, all) = (list(&client.audiences), list(&all));
        format!(
            "no token passes: it accepts tokens for {own}, and the issuers' `audiences` have {all} alone"
        )
    })
}

/// A note if a name in `accepts_from` is that of no client.
fn unknown_client(config: &Config, id: &str) -> Option<String> {
    if config.clients.contains_key(id) {
        return None;
    }
    let means = if others(config).next().is_some() {
        "it has an effect only if an issuer issues tokens to a client of this name"
    } else {
        "it has no effect, because the vault issues tokens to its clients only"
    };
    let question = did_you_mean(id, config.clients.keys().map(String::as_str));
    let question = question.map(|question| format!("; {question}")).unwrap_or_default();
    Some(format!("accepts_from names `{id}`, which is not among CLIENTS: {means}{question}"))
}

/// The trusted issuers other than the vault itself.
fn others(config: &Config) -> impl Iterator<Item = &Issuer> {
    let own = config.public_url.identifier();
    config.issuers.values().filter(move |issuer| issuer.source.issuer != own)
}

/// What will happen when an access token expires.
fn renewal(connection: &Connection) -> String {
    let asks = |scope: &str| {
        connection.scopes.iter().chain(&connection.required_scopes).any(|asked| asked == scope)
    };
    let offline = connection.authorization_params.get("access_type").map(String::as_str);
    let open_id = matches!(connection.protocol, Protocol::OpenId { .. });
    if open_id && !asks("offline_access") && offline != Some("offline") {
        return "does not ask for a refresh token (scope offline_access, or the provider's own way): \
                users may have to connect again when a token expires"
            .to_owned();
    }
    let end = match connection.grant_lifetime {
        Some(seconds) => format!(". The grant ends {} days after the consent", seconds / 86_400),
        None => String::new(),
    };
    if connection.renewal.by_access_token {
        return format!(
            "its access token renews itself: the vault exchanges it for a new one before it expires{end}"
        );
    }
    let old = match connection.rotation {
        Rotation::None => "a refresh leaves the refresh token as it is",
        Rotation::SingleUse => {
            "each refresh returns a new refresh token and invalidates the old one"
        }
        Rotation::OldStaysValid => {
            "each refresh returns a new refresh token; the old one stays valid"
        }
        Rotation::Periodic | Rotation::Sometimes => "some refreshes return a new refresh token",
        Rotation::PerApp => {
            "the app's settings at the provider say whether a refresh invalidates the refresh token"
        }
        Rotation::Unknown => {
            "the vault assumes that a refresh invalidates the refresh token, because no source says \
             otherwise"
        }
    };
    let life = match connection.answer.default_expires_in {
        Some(seconds) => {
            format!(". Its responses have no expires_in: the vault assumes {seconds} s")
        }
        None => String::new(),
    };
    let grace = match connection.rotation_leeway {
        Some(seconds) => format!(", which is accepted once more for {seconds} s"),
        None => String::new(),
    };
    let ahead = if connection.refresh_ends_access_token {
        ". It also invalidates the access token, so the vault does not refresh ahead of time"
    } else {
        ""
    };
    format!("renewed if the provider gives a refresh token; {old}{grace}{ahead}{life}{end}")
}

/// What will happen when an account is deleted.
fn revocation(connection: &Connection) -> &'static str {
    let found = matches!(connection.protocol, Protocol::OpenId { .. });
    match (&connection.endpoints.revocation_endpoint, connection.revocation.blast) {
        (None, _) if !found => {
            "a deleted account's tokens stay valid at the provider: there is no revocation_endpoint"
        }
        (None, _) => {
            "a deleted account's tokens are revoked at the provider if its metadata has a \
             revocation_endpoint"
        }
        (_, RevocationScope::App) => {
            "a deleted account's tokens stay valid at the provider: a revocation would also end other \
             users' grants"
        }
        (_, RevocationScope::Grant) if accounts(connection).is_some() => {
            "a deleted account's tokens stay valid at the provider: the vault cannot tell whose grant a \
             revocation would end"
        }
        (_, RevocationScope::Token) => "a deleted account's tokens are revoked at the provider",
        (_, RevocationScope::Grant) => {
            "a deleted account's tokens are revoked at the provider, unless another user of the \
             vault has the same account there"
        }
    }
}

/// A note for connections where nothing identifies the user at the provider, so that several accounts of one
/// user cannot be told apart.
fn accounts(connection: &Connection) -> Option<&'static str> {
    let open_id = matches!(connection.protocol, Protocol::OpenId { .. });
    let identifies_user = open_id
        || matches!(
            connection.identity.from,
            Some(IdentitySource::Answer | IdentitySource::Callback)
        )
        || connection.endpoints.userinfo_endpoint.is_some();
    (!identifies_user).then_some("one account per user: there is no userinfo_endpoint")
}

fn list(items: &[String]) -> String {
    if items.is_empty() { "(none)".to_owned() } else { items.join(", ") }
}

/// What a deployment needs in addition to the file: `{"provider_secrets": [connection names]}`.
pub(crate) fn needs(config: &Config) -> Value {
    let with_secret = config.connections.iter().filter(|(_, one)| one.client_secret.is_some());
    let names: Vec<&String> = with_secret.map(|(name, _)| name).collect();
    json!({"provider_secrets": names})
}

/// The input of `check.mjs`: the servers to check, and what the configuration expects of them.
pub(crate) fn questions(config: &Config) -> Value {
    let issuers = others(config).map(|issuer| {
        let algorithms: Vec<&str> = issuer.algorithms.iter().map(|one| one.name()).collect();
        json!({"issuer": issuer.source.issuer, "jwks_uri": issuer.source.jwks_uri, "algorithms": algorithms})
    });
    let connections = config.connections.iter().map(|(name, connection)| match &connection.protocol {
        Protocol::OpenId { issuer, pattern } => {
            // A configured endpoint was checked when the configuration was loaded.
            let discovers = connection.endpoints.authorization_endpoint.is_none();
            let own: &[&str] = if discovers { &OWN_PARAMETERS } else { &[] };
            json!({"name": name, "issuer": issuer, "pattern": pattern, "own_parameters": own})
        }
        Protocol::OAuth2 => {
            let endpoints = &connection.endpoints;
            json!({"name": name, "endpoints": [endpoints.authorization_endpoint, endpoints.token_endpoint]})
        }
    });
    json!({"issuers": issuers.collect::<Vec<_>>(), "connections": connections.collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variables;

    #[test]
    fn a_report_says_what_to_register_and_what_will_happen() {
        let file = r#"
            [vars]
            PUBLIC_URL = "https://vault.example.com"
            [vars.ISSUERS.main]
            issuer = "https://login.example.com"
            algorithms = ["ES256"]
            [vars.CONNECTIONS.calendar]
            kind = "oidc"
            issuer = "https://accounts.example.com"
            client_id = "1"
            [vars.CONNECTIONS.code]
            kind = "oauth2"
            authorization_endpoint = "https://code.example.com/a"
            token_endpoint = "https://code.example.com/t"
            client_id = "2"
            client_authentication = "none"
            [vars.CONNECTIONS.app]
            provider = "github_app"
            client_id = "3"
            [vars.CONNECTIONS.page]
            kind = "oauth2"
            authorization_endpoint = "https://page.example.com/a"
            token_endpoint = "https://page.example.com/t"
            client_id = "5"
            client_authentication = "none"
            renewal = "access_token"
            grant_lifetime_days = 365
            [vars.CONNECTIONS.crm]
            provider = "salesforce"
            client_id = "4"
            [vars.CLIENTS.spa]
            authentication = "none"
            connections = ["calendar"]
            redirect_uris = ["https://app.example.com/"]
            [vars.CLIENTS.page]
            authentication = "none"
            account_access = "all"
        "#;
        let config = variables::loaded(file);
        let text = text(&config);
        for line in [
            "  signed with ES256\n",
            "  its tokens for the connect API have the audience https://vault.example.com/me/\n",
            "  redirect URI to register: https://vault.example.com/callback/calendar\n",
            "  needs PROVIDER_SECRETS.calendar\n",
            "  does not ask for a refresh token",
            "  one account per user",
            "Connection app (github_app)\n",
            "  issues tokens of the kind installation if PROVIDER_SECRETS.app is a table with a private_key\n",
            "returns a new refresh token and invalidates the old one. It also invalidates the access token",
            "unless another user of the vault has the same account there\n",
            "Its responses have no expires_in: the vault assumes 900 s\n",
            "  a deleted account's tokens are revoked at the provider if its metadata has a revocation_endpoint\n",
            "  its access token renews itself: the vault exchanges it for a new one before it expires. The grant ends 365 days after the consent\n",
            "Client page: connections (none)\n  lists and deletes its users' accounts at all connections\n",
            "Client spa: connections calendar\n  redirect URIs: https://app.example.com/\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(!text.contains("PROVIDER_SECRETS.code"));
        assert_eq!(needs(&config), json!({"provider_secrets": ["app", "calendar", "crm"]}));
        let calendar = &questions(&config)["connections"][1];
        assert_eq!(calendar["issuer"], "https://accounts.example.com");
        assert_eq!(calendar["own_parameters"], json!(OWN_PARAMETERS));
    }

    #[test]
    fn a_report_shows_the_redirect_uris_of_all_clients_and_notes_what_may_not_be_meant() {
        let file = r#"
            [vars]
            PUBLIC_URL = "https://vault.example.com"
            [vars.ISSUERS.main]
            issuer = "https://login.example.com"
            [vars.CONNECTIONS.code]
            provider = "github"
            client_id = "1"
            [vars.CONNECTIONS.spare]
            provider = "slack"
            client_id = "2"
            [vars.CLIENTS.backend]
            authentication = "client_secret"
            secret_sha256 = ["0000000000000000000000000000000000000000000000000000000000000000"]
            grants = ["urn:ietf:params:oauth:grant-type:token-exchange"]
            accepts_from = ["spaa", "mobile", "spa"]
            connections = ["code"]
            redirect_uris = ["https://backend.example.com/a", "https://backend.example.com/b"]
            [vars.CLIENTS.idle]
            authentication = "client_secret"
            secret_sha256 = ["1111111111111111111111111111111111111111111111111111111111111111"]
            accepts_from = ["nobody"]
            [vars.CLIENTS.spa]
            authentication = "none"
            kind = "spa"
            connections = ["code"]
        "#;
        let report = |file: &str| text(&variables::loaded(file));
        let found = report(file);
        let only = "it has an effect only if an issuer issues tokens to a client of this name";
        for line in [
            "  redirect URIs: https://backend.example.com/a, https://backend.example.com/b\n".to_owned(),
            format!("  NOTE: accepts_from names `spaa`, which is not among CLIENTS: {only}; did you mean `spa`?\n"),
            format!("  NOTE: accepts_from names `mobile`, which is not among CLIENTS: {only}\n"),
            "Client idle: connections (none)\n  redirect URIs: (none)\n  NOTE: it has no `grants`: it can exchange nothing\n\n".to_owned(),
            "  NOTE: it has no `redirect_uris`: it can connect no account\n  NOTE: it has no `origins`".to_owned(),
        ] {
            assert!(found.contains(&line), "{line}: {found}");
        }
        let (_, spare) = found.split_once("Connection spare").unwrap();
        assert!(spare.contains("NOTE: no client may use it"), "{spare}");
        assert_eq!(found.matches("no client may use it").count(), 1);
        assert!(!found.contains("names `spa`") && !found.contains("nobody"), "{found}");

        let file = "[vars]\nPUBLIC_URL = \"https://vault.example.com\"\n";
        let issuer = "[vars.ISSUERS.a]\nissuer = \"https://a.example\"";
        let found = report(&format!("{file}{issuer}"));
        assert!(found.contains("NOTE: there are no CONNECTIONS: users can connect nothing\n"));
        assert!(found.contains("NOTE: there are no CLIENTS: nobody can use the vault\n"));
        assert!(!found.contains("ISSUERS"), "{found}");
        let connection = "[vars.CONNECTIONS.a]\nprovider = \"github\"\nclient_id = \"1\"";
        let found = report(&format!("{file}{connection}"));
        assert!(found.contains("NOTE: there are no ISSUERS and no SIGN_IN: "), "{found}");
    }

    #[test]
    fn a_report_notes_that_no_token_can_pass_and_what_was_taken_from_the_examples() {
        let file = |url: &str, issuer: &str, audience: &str| {
            let file = format!(
                r#"
                [vars]
                PUBLIC_URL = "{url}"
                [vars.ISSUERS.main]
                issuer = "{issuer}"
                audiences = ["{audience}"]
                [vars.CLIENTS.backend]
                authentication = "client_secret"
                secret_sha256 = ["0000000000000000000000000000000000000000000000000000000000000000"]
                grants = ["urn:ietf:params:oauth:grant-type:token-exchange"]
                "#
            );
            text(&variables::loaded(&file))
        };
        let (url, issuer) = ("https://vault.my.example", "https://login.example.com");
        let without_slash = file(url, issuer, "https://vault.my.example");
        let note = "NOTE: no token passes: it accepts tokens for https://vault.my.example/, and the issuers' \
                    `audiences` have https://vault.my.example alone\n";
        assert!(without_slash.contains(note), "{without_slash}");
        let good = file(url, issuer, "https://vault.my.example/");
        for (note, text) in [
            ("no token passes", None),
            ("ISSUERS has the vault itself", Some(file(url, "https://vault.my.example/", "a"))),
            (
                "PUBLIC_URL is that of the examples",
                Some(file("https://vault.example.com", issuer, "a")),
            ),
        ] {
            assert!(!good.contains(note), "{good}");
            assert!(text.is_none_or(|text| text.contains(&format!("NOTE: {note}"))), "{note}");
        }
    }

    #[test]
    fn a_report_notes_each_secret_that_is_a_well_known_word() {
        // `printf %s test | sha256sum`, and that of `secret`.
        const TEST: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        const SECRET: &str = "2BB80D537B1DA3E38BD30361AA855686BDE0EACD7162FEF6A25FE97BF527A25B";
        let other = "0".repeat(64);
        let file = format!(
            "[vars]\nPUBLIC_URL = \"https://vault.example.com\"\n[vars.CLIENTS.a]\n\
             authentication = \"client_secret\"\nsecret_sha256 = [\"{TEST}\", \"{other}\", \"{SECRET}\"]\n"
        );
        let found = text(&variables::loaded(&file));
        for note in [
            "NOTE: secret_sha256[0] is the hash of the word `test`, which everybody can guess: generate",
            "NOTE: secret_sha256[2] is the hash of the word `secret`, which everybody can guess: generate",
        ] {
            assert!(found.contains(note), "{note}: {found}");
        }
        assert_eq!(found.matches("everybody can guess").count(), 2, "{found}");
        for word in ["test", "secret", "password", "changeme", "admin", "123456"] {
            let authentication = Authentication::Secret(vec![encoding::sha256(word)]);
            assert_eq!(guessed_secrets(&authentication).count(), 1, "{word}");
        }
    }

    #[test]
    fn a_report_notes_a_client_that_can_exchange_nothing() {
        let report = |more: &str| {
            let file = format!(
                r#"
                [vars]
                PUBLIC_URL = "https://vault.example.com"
                [vars.CONNECTIONS.code]
                provider = "github"
                client_id = "1"
                [vars.CLIENTS.backend]
                authentication = "client_secret"
                secret_sha256 = ["0000000000000000000000000000000000000000000000000000000000000000"]
                {more}
                "#
            );
            text(&variables::loaded(&file))
        };
        let grants = "grants = [\"urn:ietf:params:oauth:grant-type:token-exchange\"]";
        let (nobody, nothing) =
            ("NOTE: its `accepts_from` is empty: it can", "NOTE: it has no `connections`: it can");
        for (more, expected) in [
            (format!("{grants}\nconnections = [\"code\"]"), [false, false]),
            (format!("{grants}\nconnections = [\"code\"]\naccepts_from = []"), [true, false]),
            (grants.to_owned(), [false, true]),
            ("accepts_from = []".to_owned(), [false, false]),
        ] {
            let found = report(&more);
            assert_eq!([nobody, nothing].map(|note| found.contains(note)), expected, "{found}");
        }
    }

    #[test]
    fn a_report_shows_the_audience_of_the_connect_api_and_notes_one_on_another_host() {
        let report = |api_audience: &str| {
            let file = format!(
                "[vars]\nPUBLIC_URL = \"https://vault.example.org\"\n[vars.ISSUERS.main]\n\
                 issuer = \"https://login.example.com\"\n{api_audience}"
            );
            text(&variables::loaded(&file))
        };
        for (audience, noted) in [
            ("https://vault.example.org/me/", false),
            ("https://vault.example.org:8443/accounts", false),
            ("https://login.example.com/me/", true),
            ("https://vault.example.org.example.net/", true),
            ("vault-accounts", false),
            ("urn:example:vault", false),
            ("api://0000-1111", false),
        ] {
            let found = report(&format!("api_audience = \"{audience}\""));
            let line = format!("  its tokens for the connect API have the audience {audience}\n");
            assert!(found.contains(&line), "{found}");
            let note = "NOTE: `api_audience` is on another host than PUBLIC_URL";
            assert_eq!(found.contains(note), noted, "{found}");
        }
        let line =
            "  its tokens for the connect API have the audience https://vault.example.org/me/\n";
        assert!(report("").contains(line));
        assert!(!report("").contains("another host"));
    }

    #[test]
    fn where_only_the_vault_issues_tokens_a_name_that_is_no_client_has_no_effect() {
        let file = r#"
            [vars]
            PUBLIC_URL = "https://vault.example.com"
            [vars.SIGN_IN]
            connections = ["code"]
            [vars.CONNECTIONS.code]
            provider = "github"
            client_id = "1"
            [vars.CLIENTS.backend]
            authentication = "client_secret"
            secret_sha256 = ["0000000000000000000000000000000000000000000000000000000000000000"]
            grants = ["urn:ietf:params:oauth:grant-type:token-exchange"]
            accepts_from = ["other"]
        "#;
        let found = text(&variables::loaded(file));
        assert!(found.contains(
            "NOTE: accepts_from names `other`, which is not among CLIENTS: it has no effect, because \
             the vault issues tokens to its clients only\n"
        ));
    }

    #[test]
    fn a_report_says_that_the_vault_signs_users_in_and_the_vault_is_not_asked_about_itself() {
        let file = r#"
            [vars]
            PUBLIC_URL = "https://vault.example.com"
            [vars.SIGN_IN]
            connections = ["work"]
            [vars.APIS.orders]
            identifier = "https://orders.example.com/"
            [vars.CONNECTIONS.work]
            provider = "github"
            client_id = "1"
            [vars.CLIENTS.partner]
            authentication = "none"
            kind = "third_party"
            grants = ["authorization_code"]
            redirect_uris = ["https://partner.example.com/"]
        "#;
        let config = variables::loaded(file);
        let text = text(&config);
        for line in [
            "The vault signs users in, as the issuer https://vault.example.com/\n  with the connections work\n  its tokens for the connect API have the audience https://vault.example.com/me/\n",
            "  issues tokens for orders (https://orders.example.com/), for 600 s\n",
            "  signs users in, with their consent\n  redirect URIs: https://partner.example.com/\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(!text.contains("\nIssuer "));
        assert_eq!(questions(&config)["issuers"], json!([]));
    }
}
