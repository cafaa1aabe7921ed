// SPDX-License-Identifier: Apache-2.0
//! The values of `reason` in the log's line of a request: what each means, and what the operator does about
//! it. `docs/log.md` is generated from this module and [`crate::event`].

use crate::event;

/// A value of `reason`, its meaning, and what the operator does about it.
pub type Row = (&'static str, &'static str, &'static str);

/// Why a token was rejected: a user's access token, a client's assertion, or the ID token of a connect.
pub const TOKENS: [Row; 17] = [
    (
        "algorithm",
        "`alg` is unknown, `none`, symmetric, or not one of the issuer's algorithms.",
        "Check `algorithms` of the issuer.",
    ),
    (
        "audience",
        "`aud` has no audience that is accepted for this request. The connected-accounts API has one of its own.",
        "Check `audiences` of the issuer and the client, and for the API `api_audience` of the issuer.",
    ),
    (
        "binding",
        "`nonce` or `at_hash` does not have the expected value.",
        "None if it affects one user.",
    ),
    (
        "bound",
        "The token is bound to a key (`cnf`), but the vault accepts only bearer tokens.",
        "Configure the issuer to issue bearer tokens for the vault.",
    ),
    (
        "client",
        "The token has neither `azp` nor `client_id`, or they differ, or the client does not accept tokens of that client. At the connected-accounts API: it is no client of the vault.",
        "Check `accepts_from` of the client, and for the API `CLIENTS`.",
    ),
    (
        "critical",
        "The header has `crit`, `b64` or `zip`, and demands processing that the vault does not support.",
        "None.",
    ),
    (
        "format",
        "The token does not consist of three segments in canonical base64url, or is too long.",
        "None: the caller sends something other than a JWT.",
    ),
    (
        "id_token",
        "The caller sent an ID token instead of an access token, or the provider sent no ID token.",
        "The application must send its access token.",
    ),
    ("issuer", "`iss` is missing or not a trusted issuer.", "Check `ISSUERS`."),
    (
        "json",
        "The header or the claims are not a strict JSON object, or a member has the wrong type.",
        "None.",
    ),
    (
        "key",
        "The issuer has no key that fits `kid` and `alg`.",
        "Check that the issuer publishes the key with which it signs.",
    ),
    (
        "keys_unavailable",
        "The issuer's keys are unavailable at present.",
        "See the event `issuer_unavailable`.",
    ),
    (
        "keys_unusable",
        "What the issuer publishes cannot be used: its metadata or key set is not valid, has no usable key, or has moved.",
        "See `detail` of the event `issuer_unavailable`, and run `cargo xtask check`, which names each key.",
    ),
    (
        "signature",
        "The signature is wrong.",
        "None: the token was modified, or signed with another key.",
    ),
    (
        "subject",
        "`sub` is missing, empty or too long; or the provider does not tell the user's id.",
        "For a connect, check `identity` of the connection.",
    ),
    (
        "time",
        "`exp` is missing, in the past or too far in the future; or `iat` or `nbf` is in the future.",
        "Check the issuer's clock, and that its tokens are valid for 24 hours at most.",
    ),
    ("type", "`typ` is not one of the issuer's token types.", "Check `typ` of the issuer."),
];

/// Why a client was rejected.
pub const CLIENTS: [Row; 5] = [
    (
        "connection",
        "The client may not use this connection, or no connection has this name. At a deletion: the account is at such a connection.",
        "Check `connections` and `account_access` of the client.",
    ),
    ("grant", "The client may not use this grant type.", "Check `grants` of the client."),
    (
        "no_scope",
        "The client's `scope_policy` is `exact`, and its request names no scopes.",
        "The client must name scopes, or change its `scope_policy`.",
    ),
    (
        "secret",
        "The client's secret is wrong, or the client must not authenticate with a secret.",
        "Check `authentication` and `secret_sha256` of the client.",
    ),
    ("unknown", "There is no such client.", "Check `CLIENTS`."),
];

/// Why no token was released: the value of `connection_state.state`, or of `connection_state.reason` where the
/// state is `not_connected` ([`crate::error::ConnectionState::log_reason`]). The caller gets both as well.
pub const CONNECTION_STATES: [Row; 12] = [
    (
        "login_hint_ambiguous",
        "`login_hint` matches several accounts of the user.",
        "None: the application should send the account's id.",
    ),
    (
        "login_hint_unknown",
        "`login_hint` matches none of the accounts of the user.",
        "None: the application should list the accounts, or let the user connect.",
    ),
    (
        "misconfigured",
        "The operator must fix something; `connection_state.reason` says what.",
        "See the events `refresh_refused` and `registration_changed`.",
    ),
    ("missing_scopes", "The account did not grant the requested scopes.", "None."),
    ("not_connected", "The user has connected no account at this connection.", "None."),
    (
        "not_installed",
        "The application is not installed at the account for which an installation's token was requested.",
        "None: its owner installs it.",
    ),
    (
        "not_owner",
        "The provider does not say that the user owns the account for which an installation's token was requested.",
        "None.",
    ),
    (
        "reconnect_required",
        "The grant has ended, and the user must connect again.",
        "See the event `reconnect_required`.",
    ),
    (
        "resource_unknown",
        "`resource` names no account of the provider for which it issues such tokens.",
        "None: the application's developer must fix it.",
    ),
    (
        "suspended",
        "The application is suspended at the account.",
        "None: its owner takes that back.",
    ),
    (
        "token_kind_unknown",
        "The account has no token of the kind `token_kind`.",
        "Check `kinds` of the connection; accounts that were connected before a kind was added have none.",
    ),
    ("unavailable", "The provider is unavailable at present.", "None, unless it persists."),
];

/// Why a step of a connect was rejected.
pub const CONNECTS: [Row; 17] = [
    (
        "code_refused",
        "The provider rejected the authorization code.",
        "See the event `code_not_redeemed`.",
    ),
    (
        "code_verifier",
        "The PKCE code verifier is missing, wrong or not expected.",
        "None: the application's developer must fix it.",
    ),
    ("expired", "The ticket, state or connect code has expired.", "None."),
    ("identity", "The ID token is not valid.", "See the event `id_token_refused`."),
    ("narrower", "The user consented to fewer scopes than the account has.", "None."),
    (
        "not_stored",
        "The code is being redeemed, or the vault could not store the grant. The application can complete the connect again.",
        "See the other events at the same time.",
    ),
    (
        "other_browser",
        "The request came from another browser than the one that opened the ticket.",
        "None.",
    ),
    (
        "other_provider",
        "The authorization response came to another connection's callback, or from another issuer.",
        "Check the redirect URIs at the provider. It may be an attack.",
    ),
    (
        "other_redirect_uri",
        "The redirect URI differs from the one with which the connect began.",
        "None: the application's developer must fix it.",
    ),
    (
        "other_user",
        "The user or client differs from the one that began the connect.",
        "It may be an attack, or two sessions in one browser.",
    ),
    (
        "provider_misconfigured",
        "The provider does not accept the registration, its configuration is incomplete, or its metadata or keys cannot be used.",
        "Run `cargo xtask check`.",
    ),
    (
        "provider_unavailable",
        "The provider cannot be reached, or its response was lost or cannot be read.",
        "None, unless it persists.",
    ),
    (
        "registration_changed",
        "The connection has another provider or client id than when the connect began.",
        "Correct the configuration.",
    ),
    (
        "unknown_handle",
        "There is no such session, or the handle is not one of its handles.",
        "None.",
    ),
    (
        "unknown_user",
        "The provider issued no refresh token, the account has one, and they are not known to be the same user's.",
        "Make the provider ask for consent again (`authorization_params` of the connection).",
    ),
    (
        "user_unnamed",
        "The provider's responses, or the callback, do not tell who the user is.",
        "See the event `userinfo_refused`.",
    ),
    ("used", "The handle was used before, or the session has ended.", "None."),
];

/// Why an authorization request of the vault as an OpenID provider, a sign-in or a link of an account ended
/// on a page of the vault.
pub const SIGN_INS: [Row; 18] = [
    (
        "account_of_other_user",
        "The account that was to be linked signs in as another user.",
        "None: the user signs in with it, or links another one.",
    ),
    (
        "client_unknown",
        "`client_id` is missing, unknown, or not that of a client with the grant `authorization_code`.",
        "Check `CLIENTS`.",
    ),
    (
        "connection_unknown",
        "The connection is not in `SIGN_IN`, or not any more.",
        "None, unless it persists.",
    ),
    (
        "declined",
        "The user or the provider declined. The client receives `access_denied`.",
        "None.",
    ),
    ("form_invalid", "The form does not fit the step at which the request is.", "None."),
    (
        "identity_busy",
        "Another sign-in or link with the same account was under way.",
        "None: a new attempt succeeds.",
    ),
    (
        "link_expired",
        "The authorization request has expired, was answered, or began in another browser.",
        "None.",
    ),
    ("other_browser", "The browser has no cookie of the authorization request.", "None."),
    ("other_origin", "A form came from a page of another origin.", "None. It may be an attack."),
    (
        "other_request",
        "The account that was to be linked came with a consent that does not count any more.",
        "It may be an attack, or two sign-ins in one browser.",
    ),
    (
        "redirect_uri_unknown",
        "`redirect_uri` is missing, or not among the client's.",
        "Check `redirect_uris` of the client.",
    ),
    (
        "repeated_parameter",
        "A parameter stands twice.",
        "None: the application's developer must fix it.",
    ),
    (
        "request_uri_unknown",
        "The pushed request has expired, was used, or is another client's.",
        "None.",
    ),
    (
        "session_ended",
        "The session in which the user consented to link an account has ended.",
        "None.",
    ),
    ("sign_in_too_old", "The user signed in too long ago to link an account.", "None."),
    (
        "too_many_identities",
        "The user has as many accounts to sign in with as a user may have.",
        "None.",
    ),
    (
        "too_many_parameters",
        "The request has too many parameters.",
        "None: the application's developer must fix it.",
    ),
    (
        "user_disabled",
        "The vault's record of the user is missing, disabled or erased. No command disables or erases a user yet.",
        "Report it.",
    ),
];

/// Why a request of the connected-accounts API was rejected, where no other table has the reason; and the
/// outcome of a deletion at the provider.
pub const REQUESTS: [Row; 24] = [
    ("answer_failed", "The platform could not build the response.", "If it persists, report it."),
    ("body_too_large", "Status 413.", "None."),
    ("configuration_error", "The configuration is invalid.", "See the event of the same name."),
    ("conflict", "Status 409.", "None."),
    (
        "declined",
        "At the callback of a connect: the user or the provider declined. The application receives `access_denied`.",
        "None.",
    ),
    (
        "error_without_state",
        "An authorization error response had no `state`. The browser has one session at that provider, and went to its \
         application.",
        "None. The response may be forged; the session is still open.",
    ),
    (
        "failed",
        "The account was deleted, but the revocation of its tokens failed.",
        "Revoke it at the provider.",
    ),
    ("forbidden", "Status 403, for a reason that has no word of its own.", "None."),
    (
        "foreign_user",
        "The token's user does not sign in at this vault, but only such users have identities and userinfo here.",
        "None: the caller's developer must fix it.",
    ),
    (
        "invalid_request",
        "Status 400: a parameter is wrong.",
        "None: the caller's developer must fix it.",
    ),
    ("media_type", "Status 415.", "None."),
    ("method_not_allowed", "Status 405.", "None."),
    ("not_found", "Status 404.", "None."),
    (
        "not_supported",
        "The account was deleted. Its tokens were not revoked, because the provider cannot revoke them, or not without ending more than this account.",
        "None.",
    ),
    (
        "origin",
        "Status 403: a page called the connected-accounts API, and its origin is not one of the client's.",
        "Check `origins` of the client.",
    ),
    (
        "origin_unknown",
        "A page asked for the response, and its origin is not one of any client's, so the browser does not let the page read it.",
        "Check `origins` of the client.",
    ),
    ("pending", "The account was deleted. The revocation of its tokens is tried again.", "None."),
    (
        "provider_error",
        "At the callback of a connect: the provider answered with another error, and the application was told so.",
        "If it persists, try the connect yourself: the provider's page usually says what is wrong.",
    ),
    ("revoked", "The account was deleted, and its tokens were revoked.", "None."),
    (
        "scope",
        "The access token does not have the scope that the request needs.",
        "Check that the issuer grants the scopes of the connected-accounts API to the application.",
    ),
    (
        "speculative",
        "Status 503: a browser, an application or a scanner fetched a link ahead of a person. Nothing changed.",
        "None.",
    ),
    (
        "too_many_requests",
        "Status 429: the user has as many connects in flight as a user may have.",
        "None, unless many users have it.",
    ),
    ("unauthorized", "Status 401: the request has no access token.", "None."),
    ("unavailable", "Status 503.", "See the other events at the same time."),
];

/// The tables with their headings in `docs/log.md`.
const TABLES: [(&str, &[Row]); 6] = [
    ("Tokens", &TOKENS),
    ("Clients", &CLIENTS),
    ("Connections", &CONNECTION_STATES),
    ("Connects", &CONNECTS),
    ("Sign-ins", &SIGN_INS),
    ("Other requests", &REQUESTS),
];

/// The text of `docs/log.md`.
pub fn reference() -> String {
    let mut out = String::from(
        "# The log\n\nThe log has one JSON line for each request, and one for each event. This page is \
         generated from the code by `WRITE_DOCS=1 cargo test -p vault-core --test log_reference`.\n\n\
         `user` is a keyed hash of the user, which `cargo xtask user-hash SUBJECT` prints for a subject (`sub`). \
         Lines of exchanges, of the connected-accounts and identities APIs and of `/userinfo` have it once the \
         token is verified, and so do events about a user's account. Lines of token grants \
         (`authorization_code`, `refresh_token`), of `/authorize` and of the browser's hops through a connect or \
         a sign-in have none. `connection` and `account` name the connection and the account's id.\n\n## \
         Events\n\n| `event` | meaning | what to do |\n|---|---|---|\n",
    );
    out.push_str(&event::reference());
    out.push_str(
        "\n## Reasons of requests\n\nThese are the values of the member `reason` of a line with \
         `\"event\":\"request\"`. Callers do not receive them, except for those under \"Connections\" and the \
         outcome of a deletion.\n",
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
