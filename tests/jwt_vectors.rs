//! Signatures against published vectors: RFC 7515, RFC 8037 and Wycheproof.

#[path = "support/native.rs"]
mod native;
#[path = "support/vectors.rs"]
mod vectors;

use std::io::Write as _;

use edge_token_vault::jwt::compact::Compact;
use edge_token_vault::jwt::signature::SignatureCheck;
use vectors::Message;

fn is_accepted(message: &Message) -> bool {
    let (set, parsed) = (message.set(), Compact::parse_message(&message.text));
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
    for (name, cases) in [("json_web_signature_test.json", 401), ("json_web_key_test.json", 26)] {
        let path = format!("{}/../shared/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
        let Ok(file) = std::fs::read_to_string(path) else {
            // Past the harness, which would keep it: the last line of all tests counts these.
            let told = writeln!(std::io::stdout(), "left out: {name} is not at ../shared/vectors");
            told.unwrap();
            continue;
        };
        let messages = vectors::wycheproof_messages(&file);
        assert_eq!(messages.len(), cases, "{name}");
        assert!(messages.iter().any(|message| message.valid), "{name}");
        assert_eq!(wrong(&messages), [""; 0], "{name}");
    }
}

#[test]
fn wycheproofs_bare_signatures_of_our_four_algorithms_are_judged_as_labelled() {
    let signatures = vectors::wycheproof_signatures();
    assert!(signatures.len() > 700, "{}", signatures.len());
    for signature in &signatures {
        let key = signature.key();
        let accepted = key.as_ref().is_some_and(|key| {
            SignatureCheck::new(signature.algorithm, key, &signature.message, &signature.bytes)
                .is_ok_and(|check| native::verify(&check))
        });
        assert_eq!(accepted, signature.valid, "{}", signature.name);
    }
}
