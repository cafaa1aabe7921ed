// SPDX-License-Identifier: Apache-2.0
//! The same test vectors as the native tests, against the runtime's `WebCrypto`, which is another
//! implementation.

#![cfg(target_arch = "wasm32")]

#[path = "../crates/jose/tests/support/vectors.rs"]
mod vectors;

use edge_token_vault::jwt::jws::Jws;
use edge_token_vault::jwt::signature::SignatureCheck;
use edge_token_vault::runtime::webcrypto;
use edge_token_vault::{encoding, jwt};
use vectors::Message;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_test::wasm_bindgen_test;

/// The directory of the repository.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[wasm_bindgen(module = "node:fs")]
extern "C" {
    #[wasm_bindgen(js_name = readFileSync)]
    fn read_file(path: &str, encoding: &str) -> String;
}

async fn wrong(messages: &[Message]) -> Vec<&str> {
    let mut wrong = Vec::new();
    for message in messages {
        let (set, parsed) = (message.set(), Jws::parse_message(&message.text));
        let accepted = match Message::check(&set, &parsed) {
            Ok(check) => webcrypto::verify(&check).await,
            Err(_) => false,
        };
        if accepted != message.valid {
            wrong.push(message.name.as_str());
        }
    }
    wrong
}

#[wasm_bindgen_test]
async fn the_rfcs_examples_verify_and_their_forgeries_do_not() {
    assert_eq!(wrong(&vectors::rfc()).await, [""; 0]);
}

#[wasm_bindgen_test]
async fn wycheproofs_messages_and_key_sets_are_judged_as_labelled() {
    for (name, cases) in vectors::WYCHEPROOF_FILES {
        let messages = vectors::wycheproof_messages(&read_file(&vectors::path(name), "utf8"));
        assert_eq!(messages.len(), cases, "{name}");
        assert_eq!(wrong(&messages).await, [""; 0], "{name}");
    }
}

#[wasm_bindgen_test]
async fn wycheproofs_bare_signatures_of_our_four_algorithms_are_judged_as_labelled() {
    let signatures = vectors::wycheproof_signatures();
    assert_eq!(signatures.len(), vectors::WYCHEPROOF_SIGNATURES);
    for signature in signatures {
        let key = signature.key();
        let check = key.as_ref().and_then(|key| {
            SignatureCheck::new(signature.algorithm, key, &signature.message, &signature.bytes).ok()
        });
        let accepted = match &check {
            Some(check) => webcrypto::verify(check).await,
            None => false,
        };
        assert_eq!(accepted, signature.valid, "{}", signature.name);
    }
}
