// SPDX-License-Identifier: Apache-2.0
//! Building blocks that every layer of the vault uses and that depend on none of them: secrets and their
//! sealing, the names and addresses of Durable Objects, encodings, strict JSON parsing, rules for text and time.

pub mod address;
pub mod encoding;
pub mod ids;
pub mod json;
pub mod mac_id;
pub mod objects;
pub mod public_url;
pub mod seal;
pub mod secret;
pub mod text;
pub mod time;
