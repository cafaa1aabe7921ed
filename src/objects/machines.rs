// SPDX-License-Identifier: Apache-2.0
//! The classes of the vault as an OpenID provider. Each is a machine of the core in an object.

use std::rc::Rc;

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Request;
use worker::Env;
use worker::worker_sys::DurableObjectState;

use crate::issuer::machine::Erased;
use crate::issuer::{authorization, family, identity, session, signing_keys, user};
use crate::message::Class;
use crate::objects::browser_session;
use crate::objects::machine::MachineObject;

macro_rules! object {
    ($(#[$doc:meta])* $name:ident, $machine:ty, $alarm:path) => {
        $(#[$doc])*
        #[wasm_bindgen]
        pub struct $name {
            object: Rc<MachineObject>,
        }

        #[wasm_bindgen]
        impl $name {
            /// The platform calls it.
            #[wasm_bindgen(constructor)]
            #[must_use]
            pub fn new(state: DurableObjectState, env: Env) -> Self {
                let machine = Erased::of::<$machine>();
                Self { object: MachineObject::new(state, env, Class::$name, machine) }
            }

            /// Answers one message.
            #[must_use]
            pub fn fetch(&self, request: Request) -> JsValue {
                self.object.fetch(request)
            }

            /// Takes the step that is due.
            ///
            /// # Errors
            /// An error of the platform, which then calls again.
            pub async fn alarm(&self) -> Result<(), JsValue> {
                $alarm(&self.object).await
            }
        }
    };
}

object!(
    /// One object per authorization request.
    Authorization,
    authorization::Authorization,
    MachineObject::alarm
);
object!(
    /// One object per refresh token family.
    RefreshFamily,
    family::Family,
    MachineObject::alarm
);
object!(
    /// One object per browser session.
    BrowserSession,
    session::BrowserSession,
    browser_session::alarm
);
object!(
    /// One object per account at a provider.
    Identity,
    identity::Identity,
    MachineObject::alarm
);
object!(
    /// One object per user of the vault as an OpenID provider.
    User,
    user::User,
    MachineObject::alarm
);
object!(
    /// One object per deployment.
    SigningKeys,
    signing_keys::SigningKeys,
    MachineObject::alarm
);
