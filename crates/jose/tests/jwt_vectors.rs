// SPDX-License-Identifier: Apache-2.0
//! Verification of signatures against published test vectors: RFC 7515, RFC 8037 and Wycheproof.

#[path = "support/native.rs"]
mod native;
#[path = "support/vectors.rs"]
mod vectors;

use vault_base::encoding;
use vault_jose as jwt;
use vault_jose::jws::Jws;
use vault_jose::signature::SignatureCheck;
use vectors::Message;

/// The directory of the repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn is_accepted(message: &Message) -> bool {
    let (set, parsed) = (message.set(), Jws::parse_message(&message.text));
    Message::check(&set, &parsed).is_ok_and(|check| native::verify(&check))
}

fn wrong(messages: &[Message]) -> Vec<&str> {
    let differs = |message: &&Message| is_accepted(message) != message.valid;
    messages.iter().filter(differs).map(|message| message.name.as_str()).collect()
}

#[test]
fn the_rfcs_examples_verify_and_their_forgeries_do_not() {
    let messages = vectors::rfc();
    assert_eq!(messages.len(), 6);
    assert_eq!(wrong(&messages), [""; 0]);
}

#[test]
fn wycheproofs_messages_and_key_sets_are_judged_as_labelled() {
    for (name, cases) in vectors::WYCHEPROOF_FILES {
        let file = std::fs::read_to_string(vectors::path(name)).unwrap();
        let messages = vectors::wycheproof_messages(&file);
        assert_eq!(messages.len(), cases, "{name}");
        assert!(messages.iter().any(|message| message.valid), "{name}");
        assert_eq!(wrong(&messages), [""; 0], "{name}");
    }
}

#[test]
fn wycheproofs_bare_signatures_of_our_four_algorithms_are_judged_as_labelled() {
    let signatures = vectors::wycheproof_signatures();
    assert_eq!(signatures.len(), vectors::WYCHEPROOF_SIGNATURES);
    for signature in &signatures {
        let key = signature.key();
        let accepted = key.as_ref().is_some_and(|key| {
            SignatureCheck::new(signature.algorithm, key, &signature.message, &signature.bytes)
                .is_ok_and(|check| native::verify(&check))
        });
        assert_eq!(accepted, signature.valid, "{}", signature.name);
    }
}
