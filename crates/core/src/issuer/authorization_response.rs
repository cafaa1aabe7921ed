// SPDX-License-Identifier: Apache-2.0
//! Authorization responses (RFC 6749 §4.1.2): what goes to the client, and by which way.

use url::Url;

use super::authorization_request::{AuthorizationRequest, ClientError, ResponseMode};
use vault_base::secret::Secret;

/// A response, ready to be sent through the browser.
#[derive(Debug)]
pub enum Response {
    /// Redirect the browser.
    Redirect(Secret),
    /// Show a page with a form that posts these fields.
    FormPost {
        /// The form's action: the redirect URI.
        action: String,
        /// The fields, in order.
        fields: Vec<(&'static str, Secret)>,
    },
    /// Show a page that sends these fields to the window that opened or embeds it.
    WebMessage {
        /// The only origin that may receive them.
        origin: String,
        /// The fields, in order.
        fields: Vec<(&'static str, Secret)>,
    },
}

impl AuthorizationRequest {
    /// The response with an authorization code. `issuer`: the vault's issuer identifier (RFC 9207 §2).
    pub fn granted(&self, code: &Secret, issuer: &str) -> Response {
        let fields = vec![("code", code.clone())];
        send(&self.redirect_uri, self.response_mode, fields, self.state.as_ref(), issuer)
    }

    /// The response with an error.
    pub fn failed(&self, code: &'static str, description: &'static str, issuer: &str) -> Response {
        let error = ClientError {
            redirect_uri: self.redirect_uri.clone(),
            response_mode: self.response_mode,
            state: self.state.clone(),
            code,
            description,
        };
        error.response(issuer)
    }
}

impl ClientError {
    /// The response with this error.
    pub fn response(&self, issuer: &str) -> Response {
        let fields = vec![
            ("error", Secret::new(self.code)),
            ("error_description", Secret::new(self.description)),
        ];
        send(&self.redirect_uri, self.response_mode, fields, self.state.as_ref(), issuer)
    }
}

fn send(
    redirect_uri: &str,
    mode: ResponseMode,
    mut fields: Vec<(&'static str, Secret)>,
    state: Option<&String>,
    issuer: &str,
) -> Response {
    fields.extend(state.map(|state| ("state", Secret::new(state.as_str()))));
    fields.push(("iss", Secret::new(issuer)));
    let url = Url::parse(redirect_uri).ok();
    match mode {
        ResponseMode::Query => {
            // A redirect URI is checked when the configuration is read.
            let location = url.map(|mut url| {
                let pairs = fields.iter().map(|(name, value)| (*name, value.expose()));
                url.query_pairs_mut().extend_pairs(pairs);
                url.to_string()
            });
            Response::Redirect(Secret::new(location.unwrap_or_default()))
        }
        ResponseMode::FormPost => Response::FormPost { action: redirect_uri.to_owned(), fields },
        ResponseMode::WebMessage => {
            let origin = url.map(|url| url.origin().ascii_serialization()).unwrap_or_default();
            Response::WebMessage { origin, fields }
        }
    }
}
