// SPDX-License-Identifier: Apache-2.0
//! Deleting an account, and revoking its tokens at the provider.

use std::rc::Rc;

use crate::ids::AccountId;
use crate::message::registry::{RegistryRequest, RegistryResponse};
use crate::objects::vault::{Inner, Open};
use crate::provider::revocation::Revocation;
use crate::runtime::http_client::{self, OTHER_TIME, TOKEN_TIME};
use crate::runtime::object_call::{self, ObjectError};
use crate::runtime::{clock, providers};
use crate::time::UnixSeconds;
use crate::vault::delete::{self, Deletion};
use crate::vault::holders::{self, AtProvider, Binding, Holder};
use crate::vault::jobs::{self, Job};
use crate::vault::revoke::{HoldersCheck, RevocationStep, Revoking};

/// How many milliseconds a deletion waits for the provider before the jobs take over.
const PATIENCE: i64 = 8_000;

/// How many milliseconds the registry may take: others wait meanwhile, and a job comes back to it.
const REGISTRY_TIME: u32 = 3_000;

/// What the registry is told or asked.
enum Registry {
    AddReference,
    RemoveReference,
    Others,
}

impl Inner {
    /// Deletes an account, and says what became of it at the provider. `None`: there is none.
    pub(super) async fn delete(
        self: &Rc<Self>,
        open: &Open,
        id: &AccountId,
    ) -> Result<Option<Revocation>, ObjectError> {
        let contents = open.store.contents()?;
        let Some(account) = contents.account(id) else {
            return Ok(None);
        };
        let (user, registration) =
            (account.identity.id.clone(), contents.registration(id).cloned());
        let of = AtProvider { user: user.as_deref(), registration: registration.as_ref() };
        // Whatever comes of it, this puts right what the registry knows.
        if let Some(user) = user.clone() {
            let job = Job::AddReference { user, registration: registration.clone() };
            open.store.add_job(&job, clock::now() + jobs::HOLD_AGAIN)?;
            self.schedule(open).await?;
        }
        let shared = self.registry(open, of, Registry::RemoveReference).await?;
        // Meanwhile the account may have been renewed, or deleted.
        let (contents, now) = (open.store.contents()?, clock::now());
        let connection = open.connection().ok();
        let shared = shared || holders::rests(&contents, connection, of, Some(id));
        let deletion = delete::delete(&contents, id, connection, shared, now);
        let Some(Deletion { plan, jobs }) = deletion else {
            return Ok(None);
        };
        let added = open.carry_out(plan)?;
        self.schedule(open).await?;
        let begun = clock::milliseconds();
        let mut told = None;
        for (job_id, job) in added.into_iter().zip(jobs) {
            let one = if clock::milliseconds() - begun < PATIENCE {
                self.run_revocation(open, job_id, &job, HoldersCheck::Now, now).await?
            } else {
                Revocation::Pending
            };
            told = Some(told.map_or(one, |told: Revocation| told.and(one)));
        }
        self.schedule(open).await?;
        Ok(Some(told.unwrap_or(Revocation::NotSupported)))
    }

    /// Lets the registry know whether this vault rests on an account at the provider. Whether that
    /// is settled.
    pub(super) async fn hold(&self, open: &Open, of: AtProvider<'_>) -> bool {
        let rests = || {
            let contents = open.store.contents().ok()?;
            Some(holders::rests(&contents, open.connection().ok(), of, None))
        };
        let before = rests();
        let what =
            if before == Some(true) { Registry::AddReference } else { Registry::RemoveReference };
        let told = before.is_some() && self.registry(open, of, what).await.is_ok();
        told && before == rests()
    }

    /// Tells or asks the registry of an account at a provider. Returns whether another vault rests on it,
    /// which nobody knows of an unknown one.
    async fn registry(
        &self,
        open: &Open,
        of: AtProvider<'_>,
        what: Registry,
    ) -> Result<bool, ObjectError> {
        let names = &open.config.names;
        let holders = holders::holders(names, &open.home, open.connection().ok(), of);
        let mut shared = holders.is_empty();
        for Holder { shard, account, vault } in holders {
            let ask = match what {
                Registry::AddReference => RegistryRequest::AddReference { account, vault },
                Registry::RemoveReference => RegistryRequest::RemoveReference { account, vault },
                Registry::Others => RegistryRequest::Others { account, vault },
            };
            match object_call::ask_within(&self.env, &shard, &ask, REGISTRY_TIME).await {
                Ok(RegistryResponse::Shared { shared: one }) => shared |= one,
                // Told once, under its own registration.
                Ok(_) => return Ok(false),
                Err(_) => return Err(ObjectError::Failed("registry")),
            }
        }
        Ok(shared)
    }

    /// Binds an account's grants that do not tell their registration to today's, if the registry was told
    /// of them under it. Whether that is settled.
    pub(super) async fn bind(&self, open: &Open, id: &AccountId) -> bool {
        self.bind_if_listed(open, id).await.unwrap_or(false)
    }

    async fn bind_if_listed(&self, open: &Open, id: &AccountId) -> Result<bool, ObjectError> {
        let contents = open.store.contents()?;
        let names = &open.config.names;
        let binding = holders::binding(names, &open.home, &contents, open.connection()?, id);
        let Binding::IfListed(Holder { shard, account, vault }, registration) = binding else {
            return Ok(true);
        };
        let ask = RegistryRequest::Lists { account, vault };
        match object_call::ask_within(&self.env, &shard, &ask, REGISTRY_TIME).await {
            Ok(RegistryResponse::Listed { listed: true }) => {
                open.store.apply(vec![holders::bound(id, registration)])?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Runs a revocation that is among the jobs: ends it there, or puts it off.
    pub(super) async fn run_revocation(
        &self,
        open: &Open,
        id: i64,
        job: &Job,
        asked: HoldersCheck,
        now: UnixSeconds,
    ) -> Result<Revocation, ObjectError> {
        let callback = open.callback();
        let connection = open.connection().ok();
        let mut revoking = Revoking::new(&open.home, connection, &callback, job);
        let mut step = revoking.begin(asked);
        loop {
            step = match step {
                RevocationStep::AskOthers => {
                    let others = self.registry(open, revoking.of(), Registry::Others).await.ok();
                    revoking.others(others, &*open.store.contents()?)
                }
                RevocationStep::FindProvider(connection) => {
                    revoking.found(providers::of(self.context(open), connection).await.ok())
                }
                RevocationStep::Renew(_) | RevocationStep::Revoke(_)
                    if !open.store.has_job(id)? =>
                {
                    revoking.taken_back()
                }
                RevocationStep::Renew(request) => {
                    let received = http_client::send(&request, TOKEN_TIME).await;
                    revoking.renewed(&received, clock::now())?
                }
                RevocationStep::Revoke(request) => {
                    revoking.revoked(&http_client::send(&request, OTHER_TIME).await)
                }
                RevocationStep::Settle => break,
            };
        }
        let (told, plan) = revoking.settle(id, open.store.has_job(id)?, now);
        open.carry_out(plan)?;
        Ok(told)
    }
}
