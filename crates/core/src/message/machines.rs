// SPDX-License-Identifier: Apache-2.0
//! Messages to the machines of the vault as an OpenID provider. Each machine is a class of its own.

use super::{Class, Question};
use crate::issuer::machine::Addressed;

impl Question for Addressed {
    /// The class of most messages; a message to another machine is sent to that one's class.
    const CLASS: Class = Class::User;
    type Answer = String;
}
