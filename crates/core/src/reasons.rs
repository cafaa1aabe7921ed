// SPDX-License-Identifier: Apache-2.0
//! The words that stand as `reason` in the log's line of a request: what each means and what the operator does.
//! `docs/log.md` is made of this and of [`crate::event`].

use crate::event;

/// A word, what it means, what the operator does.
pub type Row = (&'static str, &'static str, &'static str);

/// Why a token was refused: a user's, or the ID token of a connect.
pub const TOKENS: [Row; 16] = [
    (
        "algorithm",
        "`alg` is unknown, `none`, symmetric, or not among the issuer's.",
        "Check `algorithms` of the issuer.",
    ),
    (
        "audience",
        "`aud` names nothing that this request is about.",
        "Check `audiences` of the issuer and the client.",
    ),
    ("binding", "`nonce` or `at_hash` is not the one expected.", "None for one user."),
    (
        "bound",
        "The token is bound to a key (`cnf`), and no proof of it was shown.",
        "Let the issuer give bearer tokens for the vault.",
    ),
    (
        "client",
        "Neither `azp` nor `client_id`, two that differ, or a client whose tokens this one does not accept.",
        "Check `accepts_from` of the client.",
    ),
    ("critical", "`crit`, `b64` or `zip` ask for something that is not understood.", "None."),
    (
        "format",
        "Not three segments of canonical base64url, or too long.",
        "None: the caller sends something else than a JWT.",
    ),
    (
        "id_token",
        "An ID token where an access token belongs, or none where one must come.",
        "Let the application send its access token.",
    ),
    ("issuer", "`iss` is missing or not a trusted issuer.", "Check `ISSUERS`."),
    (
        "json",
        "Header or claims are not a strict JSON object, or a member has the wrong type.",
        "None.",
    ),
    (
        "key",
        "No key of the issuer fits `kid` and `alg`.",
        "Check that the issuer publishes the key it signs with.",
    ),
    (
        "keys_unavailable",
        "The issuer's keys cannot be had now.",
        "See the event `issuer_unavailable`.",
    ),
    (
        "signature",
        "The signature is wrong.",
        "None: the token was changed, or its key is another's.",
    ),
    (
        "subject",
        "`sub` is missing, empty or too long; or a provider tells no id of the user.",
        "Of a connect: check `identity` of the connection.",
    ),
    (
        "time",
        "`exp` is missing, past or too far ahead; or `iat` or `nbf` are ahead.",
        "Check the issuer's clock, and that its tokens live 24 hours at most.",
    ),
    ("type", "`typ` is not what the issuer's tokens carry.", "Check `typ` of the issuer."),
];

/// Why a client may not do what it asks for.
pub const CLIENTS: [Row; 5] = [
    (
        "connection",
        "The client may not use this connection, or there is none of this name.",
        "Check `connections` of the client.",
    ),
    ("grant", "The client may not use this grant type.", "Check `grants` of the client."),
    (
        "no_scope",
        "The client gets tokens with the scopes it names and no others, and names none.",
        "Let it name scopes, or set `scope_policy`.",
    ),
    (
        "secret",
        "The client's secret is wrong, or it must not use one.",
        "Check `authentication` and `secret_sha256` of the client.",
    ),
    ("unknown", "There is no such client.", "Check `CLIENTS`."),
];

/// Why a connection gives no token: the word of `connection_state.state`, which the caller is told as well.
pub const CONNECTION_STATES: [Row; 5] = [
    (
        "misconfigured",
        "The operator must act; `connection_state.reason` says why.",
        "See the events `refresh_refused` and `registration_changed`.",
    ),
    ("missing_scopes", "The account did not grant the scopes that are asked for.", "None."),
    ("not_connected", "The user has no such account.", "None."),
    ("reconnect_required", "The grant is over.", "See the event `reconnect_required`."),
    ("unavailable", "The provider cannot renew now.", "None, unless it goes on."),
];

/// Why a step of a connect was refused.
pub const CONNECTS: [Row; 16] = [
    (
        "code_refused",
        "The provider refused its authorization code.",
        "See the event `code_not_redeemed`.",
    ),
    (
        "code_verifier",
        "The verifier is missing, wrong, or not expected.",
        "None: the application's developer fixes it.",
    ),
    ("expired", "The ticket, state or code is too old.", "None."),
    (
        "identity",
        "The provider's statement of who the user is does not hold.",
        "See the event `id_token_refused`.",
    ),
    ("narrower", "The user consented to less than the account has.", "None."),
    (
        "not_stored",
        "The vault could not store the grant now; completing again will.",
        "See the events beside it.",
    ),
    ("other_browser", "Another browser than the one that opened the ticket.", "None."),
    (
        "other_provider",
        "The answer came to another connection's callback, or from another issuer.",
        "Check the redirect URIs at the provider. It may be an attack.",
    ),
    (
        "other_redirect_uri",
        "Another redirect URI than the one of the request.",
        "None: the application's developer fixes it.",
    ),
    (
        "other_user",
        "Another user or client than the one that began.",
        "It may be an attack, or two sessions in one browser.",
    ),
    (
        "provider_misconfigured",
        "The provider does not accept the registration, or is not described in full.",
        "Run `cargo xtask check`.",
    ),
    (
        "provider_unavailable",
        "The provider's answer is lost or unreadable.",
        "None, unless it goes on.",
    ),
    (
        "registration_changed",
        "The connection stands for another provider or client than when the connect began.",
        "Put the configuration right.",
    ),
    ("unknown_handle", "No such session, or not this handle of it.", "None."),
    (
        "unknown_user",
        "No refresh token came, the account has one, and nothing tells whether both are the same user's.",
        "Let the connection ask for consent again (`authorization_params`).",
    ),
    ("used", "The handle was used already, or the session is over.", "None."),
];

/// Why a request of the connected-accounts API was refused, where no other word is known; and what became of
/// an account's tokens when it was deleted.
pub const REQUESTS: [Row; 15] = [
    ("answer_failed", "The platform could not build the answer.", "If it goes on, report it."),
    ("body_too_large", "413.", "None."),
    ("configuration_error", "The configuration cannot be used.", "See the event of the same name."),
    ("conflict", "409.", "None."),
    ("failed", "Deleted, and the provider refused to revoke.", "Revoke it at the provider."),
    (
        "forbidden",
        "403: a scope is missing, or the origin is not the client's.",
        "Check `origins` of the client.",
    ),
    ("invalid_request", "400: a parameter is wrong.", "None: the caller's developer fixes it."),
    ("media_type", "415.", "None."),
    ("method_not_allowed", "405.", "None."),
    ("not_found", "404.", "None."),
    (
        "not_supported",
        "Deleted, and the provider revokes nothing, or only more than this account.",
        "None.",
    ),
    ("pending", "Deleted, and the revocation is tried again.", "None."),
    ("revoked", "Deleted, and revoked at the provider.", "None."),
    ("unauthorized", "401: no access token.", "None."),
    ("unavailable", "503.", "See the events beside it."),
];

/// The tables, with their headings.
const TABLES: [(&str, &[Row]); 5] = [
    ("Tokens", &TOKENS),
    ("Clients", &CLIENTS),
    ("Connections", &CONNECTION_STATES),
    ("Connects", &CONNECTS),
    ("Other requests", &REQUESTS),
];

/// `docs/log.md`.
pub fn reference() -> String {
    let mut out = String::from(
        "# The log\n\nOne JSON line for each request, and one for each event that no request waits for. This \
         page is made from the code: `WRITE_DOCS=1 cargo test -p vault-core --test log_reference` renews \
         it.\n\n## Events\n\n| `event` | meaning | what to do |\n|---|---|---|\n",
    );
    out.push_str(&event::reference());
    out.push_str(
        "\n## Reasons of requests\n\nThe member `reason` of a line with `\"event\":\"request\"`. Callers are \
         not told it, unless this page says so.\n",
    );
    for (heading, rows) in TABLES {
        out.push_str("\n### ");
        out.push_str(heading);
        out.push_str("\n\n| `reason` | meaning | what to do |\n|---|---|---|\n");
        let row = |(word, meaning, action): &Row| format!("| `{word}` | {meaning} | {action} |\n");
        out.extend(rows.iter().map(row));
    }
    out
}
