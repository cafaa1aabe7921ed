// SPDX-License-Identifier: Apache-2.0
//! The grant type of Auth0's Token Vault, with the codes that Auth0's SDKs look for.

use super::ExchangeProfile;

/// The token type that Auth0's SDKs ask for.
pub const FEDERATED_ACCESS_TOKEN: &str =
    "http://auth0.com/oauth/token-type/federated-connection-access-token";

/// Auth0's SDKs discard the body of an error that carries `WWW-Authenticate`.
pub(super) const PROFILE: ExchangeProfile = ExchangeProfile {
    issued_token_type: FEDERATED_ACCESS_TOKEN,
    accepts_json: true,
    sends_challenge: false,
    subject_token_refused: (403, "invalid_grant"),
    grant_forbidden: (403, "unauthorized_client"),
    connection_forbidden: (403, "unauthorized_client"),
    not_connected: (401, "federated_connection_refresh_token_not_found"),
    reconnect_required: (401, "federated_connection_refresh_token_flow_failed"),
};
