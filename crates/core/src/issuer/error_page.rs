// SPDX-License-Identifier: Apache-2.0
//! The page for a browser that cannot be redirected to the client, because no address is known to be right.

use crate::pages::{self, ErrorPage, Failed, Fault, Look, Page};

/// Status and page for a reason word.
pub fn page(failed: Failed, reason: &'static str, look: &Look) -> (u16, Page) {
    let (status, fault) = match reason {
        "unavailable" | "identity_busy" => (503, Fault::Unavailable),
        "link_expired" => (400, Fault::Expired),
        "other_browser" => (400, Fault::OtherBrowser),
        "client_unknown"
        | "redirect_uri_unknown"
        | "repeated_parameter"
        | "too_many_parameters"
        | "request_uri_unknown" => (400, Fault::Application),
        "user_disabled" => (403, Fault::Disabled),
        "account_of_other_user" => (403, Fault::AccountTaken),
        "sign_in_too_old" | "session_ended" => (403, Fault::SignInTooOld),
        "too_many_identities" => (403, Fault::TooManyAccounts),
        _ => (400, Fault::Invalid),
    };
    let detail = (fault == Fault::Application).then_some(reason);
    (status, pages::error(look, &ErrorPage { failed, fault, detail, application: None }))
}
