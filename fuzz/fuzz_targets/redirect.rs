// SPDX-License-Identifier: Apache-2.0
//! Redirect URIs and origins: only those that are registered byte for byte are accepted. The first line of
//! the input is a redirect URI, the second an origin, the third a query, the rest a cookie header.
#![no_main]

use edge_token_vault::config::Config;
use edge_token_vault::connect::browser::{self, CallbackRequest, ResponseMode};
use edge_token_vault::connect::policy;
use edge_token_vault::connect::request::{self, ConnectBody};
use edge_token_vault::ids::UserId;
use edge_token_vault::public_url::PublicUrl;
use edge_token_vault::text;
use edge_token_vault_fuzz::{ORIGINS, REDIRECT_URIS, config, lines};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    thread_local!(static CONFIG: Config = config());
    let Some([redirect_uri, origin, query, cookies]) = lines(data) else { return };
    CONFIG.with(|config| {
        let Some(client) = config.clients.get("spa") else { panic!("no client") };
        let body =
            serde_json::json!({"connection": "demo", "redirect_uri": redirect_uri, "state": "s"});
        let body = body.to_string();
        let Ok(body) = request::read::<ConnectBody>(Some("application/json"), body.as_bytes())
        else {
            panic!("the body is valid")
        };
        let user = UserId { issuer: "https://login.example.com/".into(), subject: "alice".into() };
        let find = |name: &str| config.connections.get(name);
        let begun = body.begin(&user, "spa", client, &config.names, find);
        assert_eq!(begun.is_ok(), REDIRECT_URIS.contains(&redirect_uri), "{redirect_uri}");
        assert_eq!(policy::check_origin(client, Some(origin)).is_ok(), ORIGINS.contains(&origin));
        assert_eq!(policy::preflight_allowed(config, origin), ORIGINS.contains(&origin));
        let (names, vault) = (&config.names, &config.public_url);
        let connection = config.connections.get("demo");
        for mode in [ResponseMode::Query, ResponseMode::FormPost, ResponseMode::PostedAgain] {
            let cookies = Some(cookies);
            let request = CallbackRequest { connection: "demo", parameters: query, mode, cookies };
            let _ = browser::callback(&request, connection, names, vault).is_ok();
        }
        let _ = browser::ticket(query, names).is_ok();
        // An allowed address of a provider has the scheme https and a host.
        if config.public_url.allows(redirect_uri).is_ok() {
            let url = url::Url::parse(redirect_uri);
            assert!(
                url.is_ok_and(|url| url.scheme() == "https" && url.host_str().is_some()),
                "{redirect_uri}"
            );
        }
        if let Ok(url) = PublicUrl::parse(redirect_uri) {
            let callback = url.callback("demo");
            assert_eq!(text::path_and_query(&callback), ("/callback/demo", ""), "{callback}");
        }
    });
});
