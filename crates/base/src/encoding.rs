// SPDX-License-Identifier: Apache-2.0
//! Byte encodings, SHA-256, constant-time comparison and random bytes.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Encodes bytes as base64url without padding (RFC 7515 §2).
pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Base64 with padding (RFC 4648 §4).
pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// Decodes canonical base64url. `None` for padding, for trailing bits that are not zero, and for any
/// character outside the URL-safe alphabet.
pub fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Decodes canonical base64url of exactly `N` bytes; `None` otherwise.
pub fn from_base64url_array<const N: usize>(text: &str) -> Option<[u8; N]> {
    from_base64url(text)?.try_into().ok()
}

/// Encodes bytes as lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Decodes exactly `2 * N` hexadecimal digits of either case; `None` otherwise.
pub fn from_hex_array<const N: usize>(text: &str) -> Option<[u8; N]> {
    // `from_str_radix` alone would accept a leading `+`.
    if text.len() != N * 2 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut out = [0; N];
    for (index, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(out)
}

/// The SHA-256 digest of `bytes`.
pub fn sha256(bytes: impl AsRef<[u8]>) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Compares two byte strings in constant time, so that the duration does not reveal where they differ.
/// Strings of different lengths are unequal; their lengths are not hidden.
pub fn constant_time_eq(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

/// Concatenates parts, each preceded by its length in bytes (32 bits, big endian), so that different lists
/// of parts give different bytes: `["a|b", "c"]` and `["a", "b|c"]` differ.
pub fn length_prefixed(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
    for part in parts {
        // No part comes near 4 GiB; the conversion saturates only so that it cannot panic.
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

/// The runtime's random number generator failed. The operation that needs random bytes must fail as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RandomnessError;

impl std::fmt::Display for RandomnessError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the runtime gave no random bytes")
    }
}

impl std::error::Error for RandomnessError {}

/// `N` bytes from the runtime's cryptographically secure random number generator.
///
/// # Errors
/// [`RandomnessError`] if the generator fails.
pub fn random<const N: usize>() -> Result<[u8; N], RandomnessError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| RandomnessError)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_is_read_only_in_its_canonical_form() {
        assert_eq!(from_base64url("AA"), Some(vec![0]));
        for refused in ["AB", "AA==", "A", "+/8", "AA\n", " AA"] {
            assert_eq!(from_base64url(refused), None, "{refused:?}");
        }
    }

    #[test]
    fn length_prefixes_keep_lists_of_parts_apart() {
        assert_ne!(length_prefixed(&[b"a|b", b"c"]), length_prefixed(&[b"a", b"b|c"]));
        assert_ne!(length_prefixed(&[b"", b"a"]), length_prefixed(&[b"a", b""]));
        assert_eq!(length_prefixed(&[b"ab"]), [0, 0, 0, 2, b'a', b'b']);
    }

    #[test]
    fn hex_goes_both_ways() {
        assert_eq!(hex(&[0, 0xab, 0xff]), "00abff");
        assert_eq!(from_hex_array::<3>("00ABff"), Some([0, 0xab, 0xff]));
        for refused in ["00abf", "00abfg", "00abff00", "+0abff", "éé00"] {
            assert_eq!(from_hex_array::<3>(refused), None, "{refused:?}");
        }
    }
}
