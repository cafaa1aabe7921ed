// SPDX-License-Identifier: Apache-2.0
//! Deletes an account and revokes its tokens at the provider; keeps the registry's holders up to date.

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
use crate::vault::keep_alive;
use crate::vault::revoke::{HoldersCheck, RevocationStep, Revoking};

/// How long a deletion sends revocation requests before it leaves the rest to jobs, in milliseconds.
const PATIENCE: i64 = 8_000;

/// Time limit of a message to the registry, in milliseconds. It is short, because callers wait meanwhile and
/// a job retries.
const REGISTRY_TIME: u32 = 3_000;

/// The kind of message to the registry: add this vault as a holder of an account at a provider, remove it,
/// or ask whether there are other holders.
enum Registry {
    AddReference,
    RemoveReference,
    Others,
}

impl Inner {
    /// Deletes an account and returns the outcome of the revocation at the provider. `None` if there is no
    /// such account. `Err` if the registry does not answer: then nothing is deleted.
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
        let at_provider = AtProvider { user: user.as_deref(), registration: registration.as_ref() };
        // If the deletion fails, this job restores the registry entry.
        if let Some(user) = user.clone() {
            let job = Job::AddReference { user, registration: registration.clone() };
            open.store.add_job(&job, clock::now() + jobs::HOLD_AGAIN)?;
            self.schedule().await?;
        }
        let shared = self.registry(open, at_provider, Registry::RemoveReference).await?;
        // During the await the account may have been renewed or deleted.
        let (contents, now) = (open.store.contents()?, clock::now());
        let connection = open.connection().ok();
        let shared = shared || holders::rests(&contents, connection, at_provider, Some(id));
        let deletion = delete::delete(&contents, id, connection, shared, now);
        let Some(Deletion { mut plan, jobs }) = deletion else {
            return Ok(None);
        };
        keep_alive::end(&mut plan, &open.store.jobs()?, id);
        let added = open.carry_out(plan)?;
        self.schedule().await?;
        let begun = clock::milliseconds();
        let mut total = None;
        for (job_id, job) in added.into_iter().zip(jobs) {
            let outcome = if clock::milliseconds() - begun < PATIENCE {
                self.run_revocation(open, job_id, &job, HoldersCheck::Now, now).await?
            } else {
                Revocation::Pending
            };
            total = Some(total.map_or(outcome, |total: Revocation| total.and(outcome)));
        }
        self.schedule().await?;
        Ok(Some(total.unwrap_or(Revocation::NotSupported)))
    }

    /// Adds or removes this vault as a holder of an account at the provider, whichever is true now. Returns
    /// `false` if the registry did not answer or if the vault changed meanwhile: then a job retries.
    pub(super) async fn hold(&self, open: &Open, at_provider: AtProvider<'_>) -> bool {
        let rests = || {
            let contents = open.store.contents().ok()?;
            Some(holders::rests(&contents, open.connection().ok(), at_provider, None))
        };
        let before = rests();
        let what =
            if before == Some(true) { Registry::AddReference } else { Registry::RemoveReference };
        let updated = before.is_some() && self.registry(open, at_provider, what).await.is_ok();
        updated && before == rests()
    }

    /// Sends a message about an account at a provider to the registry. Returns whether another vault holds
    /// that account; `true` also if the user at the provider is unknown, because then nobody can tell.
    async fn registry(
        &self,
        open: &Open,
        at_provider: AtProvider<'_>,
        what: Registry,
    ) -> Result<bool, ObjectError> {
        let names = &open.config.names;
        let holders = holders::holders(names, &open.home, open.connection().ok(), at_provider);
        let mut shared = holders.is_empty();
        for Holder { shard, account, vault } in holders {
            let message = match what {
                Registry::AddReference => RegistryRequest::AddReference { account, vault },
                Registry::RemoveReference => RegistryRequest::RemoveReference { account, vault },
                Registry::Others => RegistryRequest::Others { account, vault },
            };
            let registry = open.config.objects(None).registry_shard(shard);
            match object_call::ask_within(&self.env, &registry, &message, REGISTRY_TIME).await {
                Ok(RegistryResponse::Shared { shared: by_others }) => shared |= by_others,
                // A reference is added once, under the account's own registration, which comes first.
                Ok(_) => return Ok(false),
                Err(_) => return Err(ObjectError::Failed("registry")),
            }
        }
        Ok(shared)
    }

    /// Binds an account's grants that have no stored registration to the configured one, if the registry
    /// lists this vault as a holder under it. Returns `false` if a job must try again.
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
        let message = RegistryRequest::Lists { account, vault };
        let registry = open.config.objects(None).registry_shard(shard);
        match object_call::ask_within(&self.env, &registry, &message, REGISTRY_TIME).await {
            Ok(RegistryResponse::Listed { listed: true }) => {
                open.apply(vec![holders::bound(id, registration)])?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Runs a revocation job: removes it when it is done, or postpones it. `asked` says whether the registry
    /// was just asked for other holders.
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
        let (outcome, plan) = revoking.settle(id, open.store.has_job(id)?, now);
        open.carry_out(plan)?;
        Ok(outcome)
    }
}
