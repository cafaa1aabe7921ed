// SPDX-License-Identifier: Apache-2.0
//! The vault's own private keys, with which it signs requests to providers. The runtime signs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use vault_base::secret::Secret;

/// The minimum length of a key in PKCS#8, in bytes: an RSA key of 2048 bits has about 1200.
const SHORTEST: usize = 1100;

/// The maximum length of a key in PKCS#8, in bytes: an RSA key of 8192 bits has about 4700.
const LONGEST: usize = 6000;

const SEQUENCE: u8 = 0x30;

/// The DER bytes before the key of an RSA key in PKCS#8: version 0 and the algorithm `rsaEncryption` (RFC
/// 5958 §2, RFC 8017 §A.1).
const RSA: [u8; 18] = [
    0x02, 0x01, 0x00, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
    0x05, 0x00,
];

/// A private RSA key in PKCS#8 (RFC 5958), held as base64 of its DER.
#[derive(Debug, Clone)]
pub struct PrivateKey(Secret);

impl PrivateKey {
    /// Parses a PEM file (RFC 7468) with the label `PRIVATE KEY` (PKCS#8), or `RSA PRIVATE KEY` (PKCS#1),
    /// which GitHub issues. Line breaks may have been replaced by spaces, as happens in environment
    /// variables. `None` if the text is not an RSA key of 2048 to 8192 bits. Only the outer structure and
    /// the length are checked: a key with inconsistent numbers fails when it signs.
    pub fn parse(pem: &Secret) -> Option<Self> {
        let text = pem.expose().trim();
        let between = |begin: &str, end: &str| {
            let text = text.strip_prefix(begin)?.strip_suffix(end)?;
            let text: Zeroizing<String> =
                Zeroizing::new(text.chars().filter(|c| !c.is_whitespace()).collect());
            STANDARD.decode(text.as_bytes()).ok().map(Zeroizing::new)
        };
        let pkcs8 = match between("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----") {
            Some(pkcs8) => pkcs8,
            None => wrapped(&between(
                "-----BEGIN RSA PRIVATE KEY-----",
                "-----END RSA PRIVATE KEY-----",
            )?),
        };
        Self::from_pkcs8(&pkcs8)
    }

    /// Takes a key in PKCS#8, as WebCrypto exports it. `None` if it is no RSA key.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Option<Self> {
        let fits =
            (SHORTEST..=LONGEST).contains(&pkcs8.len()) && contents(pkcs8)?.starts_with(&RSA);
        fits.then(|| Self(Secret::new(STANDARD.encode(pkcs8))))
    }

    /// The key in PKCS#8.
    pub fn pkcs8(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(STANDARD.decode(self.0.expose()).unwrap_or_default())
    }
}

/// Wraps the DER of a PKCS#1 key in PKCS#8.
fn wrapped(pkcs1: &[u8]) -> Zeroizing<Vec<u8>> {
    const OCTET_STRING: u8 = 0x04;
    let key = element(OCTET_STRING, &[pkcs1]);
    element(SEQUENCE, &[&RSA, &key])
}

/// A DER element (X.690 §8.1) with these contents and a length field of two bytes. The contents must have at
/// most 65,535 bytes.
fn element(tag: u8, contents: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length: usize = contents.iter().map(|part| part.len()).sum();
    let [high, low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    let mut out = Zeroizing::new(Vec::with_capacity(length + 4));
    out.extend([tag, 0x82, high, low]);
    for part in contents {
        out.extend_from_slice(part);
    }
    out
}

/// The contents of a DER sequence whose length field has two bytes. `None` for another element or if bytes
/// are missing or left over.
fn contents(der: &[u8]) -> Option<&[u8]> {
    let (head, contents) = der.split_first_chunk::<4>()?;
    let [SEQUENCE, 0x82, high, low] = *head else {
        return None;
    };
    (usize::from(u16::from_be_bytes([high, low])) == contents.len()).then_some(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A placeholder for the numbers of a key.
    const NUMBERS: [u8; 1190] = [0x55; 1190];

    fn pem(label: &str, der: &[u8]) -> String {
        let text = STANDARD.encode(der);
        let lines: Vec<&str> =
            (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
    }

    fn parse(text: &str) -> Option<Vec<u8>> {
        PrivateKey::parse(&Secret::new(text)).map(|key| key.pkcs8().to_vec())
    }

    #[test]
    fn both_forms_of_a_key_are_read_however_their_lines_are_broken() {
        let pkcs8 = wrapped(&NUMBERS);
        let (one, other) = (pem("PRIVATE KEY", &pkcs8), pem("RSA PRIVATE KEY", &NUMBERS));
        for text in [&one, &other] {
            assert_eq!(parse(text).as_deref(), Some(pkcs8.as_slice()));
            assert_eq!(parse(&text.replace('\n', " ")).as_deref(), Some(pkcs8.as_slice()));
            assert_eq!(parse(&text.replace('\n', "\r\n")).as_deref(), Some(pkcs8.as_slice()));
        }
    }

    #[test]
    fn what_is_no_rsa_key_or_only_a_part_of_one_is_refused() {
        let pkcs8 = wrapped(&NUMBERS);
        let whole = pem("PRIVATE KEY", &pkcs8);
        let elliptic = [0x30, 0x82, 0x04, 0xb0].into_iter().chain([0x02; 1200]).collect::<Vec<_>>();
        for bad in [
            pem("PRIVATE KEY", &pkcs8[..pkcs8.len() - 1]),
            pem("PRIVATE KEY", &elliptic),
            pem("PRIVATE KEY", &wrapped(&NUMBERS[..600])),
            pem("ENCRYPTED PRIVATE KEY", &pkcs8),
            pem("PUBLIC KEY", &pkcs8),
            whole.replace("-----END PRIVATE KEY-----", ""),
            whole.replace('g', "*"),
            String::new(),
        ] {
            assert_eq!(parse(&bad), None, "{bad}");
        }
    }

    #[test]
    fn a_key_does_not_print() {
        let key = PrivateKey::parse(&Secret::new(pem("RSA PRIVATE KEY", &NUMBERS)));
        assert_eq!(format!("{key:?}"), "Some(PrivateKey([secret]))");
    }
}
