// SPDX-License-Identifier: Apache-2.0
//! The grant type of RFC 8693.

use super::ExchangeProfile;

/// The token type of an access token (RFC 8693 §3).
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The token type of a refresh token (RFC 8693 §3).
pub const REFRESH_TOKEN: &str = "urn:ietf:params:oauth:token-type:refresh_token";

/// RFC 8693 §2.2.2: a bad subject token is `invalid_request`, a bad target `invalid_target`.
pub(super) const PROFILE: ExchangeProfile = ExchangeProfile {
    issued_token_type: ACCESS_TOKEN,
    accepts_json: false,
    sends_challenge: true,
    subject_token_refused: (400, "invalid_request"),
    grant_forbidden: (400, "unauthorized_client"),
    connection_forbidden: (400, "invalid_target"),
    not_connected: (400, "invalid_target"),
    reconnect_required: (400, "invalid_target"),
};
