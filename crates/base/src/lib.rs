// SPDX-License-Identifier: Apache-2.0
//! What every layer of the vault uses and nothing of it knows the vault for: secrets and their sealing,
//! names of objects, encodings, a strict reading of JSON, small rules about text and time.

pub mod encoding;
pub mod ids;
pub mod json;
pub mod mac_id;
pub mod public_url;
pub mod seal;
pub mod secret;
pub mod text;
pub mod time;
