// SPDX-License-Identifier: Apache-2.0
//! Requests to the machines of the vault as an OpenID provider.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::address::Address;
use crate::issuer::machine::Addressed;
use crate::issuer::{authorization, family, identity, session, signing_keys, user};
use crate::json;
use crate::message::Class;
use crate::runtime::context::Context;
use crate::runtime::object_call::{self, CallError};

/// A request to a machine.
pub trait MachineRequest: Serialize {
    /// The class of the machine.
    const CLASS: Class;
    /// What it answers.
    type Response: DeserializeOwned;
}

macro_rules! request {
    ($module:ident, $class:ident) => {
        impl MachineRequest for $module::Request {
            const CLASS: Class = Class::$class;
            type Response = $module::Response;
        }
    };
}

request!(authorization, Authorization);
request!(family, RefreshFamily);
request!(session, BrowserSession);
request!(identity, Identity);
request!(user, User);
request!(signing_keys, SigningKeys);

/// Asks the machine at this address.
pub async fn ask<Q: MachineRequest>(
    context: Context<'_>,
    address: Address,
    request: Q,
) -> Result<Q::Response, CallError> {
    let request = serde_json::to_string(&request).map_err(|_| CallError::Unavailable)?;
    let message = Addressed { name: address.name.to_string(), request };
    let answer = object_call::ask_machine(context.env, Q::CLASS, &address, &message).await?;
    json::parse_trusted(&answer).map_err(|_| CallError::Unavailable)
}
