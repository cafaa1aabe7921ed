// SPDX-License-Identifier: Apache-2.0
//! Request bodies of both APIs, and queries. The first line of the input is the header `Content-Type`, the
//! second is `Authorization`, the rest is the body or the query.
#![no_main]

use edge_token_vault::config::Config;
use edge_token_vault::connect::listing::Page;
use edge_token_vault::connect::request::{self as connect, CompleteBody};
use edge_token_vault::ids::UserId;
use edge_token_vault::oauth::token_request::{Grant, TokenRequest};
use edge_token_vault_fuzz::{config, lines};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    thread_local!(static CONFIG: Config = config());
    let Some([content_type, authorization, body]) = lines(data) else { return };
    let authorization = Some(authorization).filter(|value| !value.is_empty());
    match TokenRequest::read(Some(content_type), authorization, body.as_bytes(), true) {
        Ok(TokenRequest { grant: Grant::Exchange(read), .. }) => {
            assert!(!read.subject_token.expose().is_empty() && !read.connection.is_empty());
        }
        Ok(_) => {}
        // An error is one that may leave (RFC 6749 §5.2).
        Err(error) => {
            assert!((400..500).contains(&error.status), "{}", error.status);
            let description = error.body()["error_description"].to_string();
            assert!(description.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{description}");
        }
    }
    let user = UserId { issuer: "https://login.example.com/".into(), subject: "alice".into() };
    if let Ok(complete) = connect::read::<CompleteBody>(Some(content_type), body.as_bytes()) {
        let _ = CONFIG.with(|config| complete.complete(&user, "spa", &config.names).is_ok());
    }
    let _ = Page::read(body).is_ok();
});
