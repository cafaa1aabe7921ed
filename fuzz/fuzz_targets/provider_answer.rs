//! What providers and issuers answer. The first lines are a status and `Retry-After`.
#![no_main]

use edge_token_vault::config::{IdentityFields, PublicUrl};
use edge_token_vault::provider::answer::{self, Failure, Received};
use edge_token_vault::provider::endpoints::Metadata;
use edge_token_vault::provider::identity;
use edge_token_vault::secret::Secret;
use edge_token_vault_fuzz::{NOW, lines};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some([status, retry_after, body]) = lines(data) else { return };
    let received = Received::Answer {
        status: status.parse().unwrap_or(200),
        retry_after: Some(retry_after.to_owned()).filter(|value| !value.is_empty()),
        body: Secret::new(body),
    };
    match answer::read(&received, " ", NOW) {
        Ok(tokens) => {
            assert!(!tokens.access_token.expose().is_empty());
            assert!(tokens.refresh_token.is_none_or(|token| !token.expose().is_empty()));
            assert!(tokens.expires_in.is_none_or(|seconds| seconds >= 0));
        }
        Err(Failure::Unavailable { retry_after: Some(seconds) }) => {
            assert!((1..=3600).contains(&seconds), "{seconds}");
        }
        // A code of the provider's is logged and shown to operators.
        Err(Failure::Misconfigured(code)) => {
            assert!(code.bytes().all(|b| b.is_ascii_graphic()), "{code}");
        }
        Err(_) => {}
    }
    let _ = identity::read(&received, &IdentityFields::open_id()).is_some();
    let Ok(vault) = PublicUrl::parse("https://vault.example.com") else { return };
    let issuer = "https://accounts.example.com";
    if let Ok(metadata) = Metadata::parse(body.as_bytes(), issuer, &vault) {
        let url = url::Url::parse(&metadata.jwks_uri);
        assert!(url.is_ok_and(|url| url.scheme() == "https"), "{}", metadata.jwks_uri);
    }
});
