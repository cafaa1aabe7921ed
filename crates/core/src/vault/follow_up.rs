// SPDX-License-Identifier: Apache-2.0
//! The follow-up of a refresh whose response is awaited. Its time is part of the intent
//! ([`super::record::Intent::follow_up`]), so that one row holds both, and a response that settles the refresh ends both. A
//! follow-up that is due becomes a job ([`Job::Recover`]): the object was stopped, or the provider is slow.

use vault_base::time::UnixSeconds;

use super::contents::{Contents, StoredGrant};
use super::jobs::Job;
use super::plan::{StoredJob, Write};

/// When the earliest follow-up that is no job yet is due, Unix seconds.
pub fn next(contents: &Contents) -> Option<UnixSeconds> {
    let due = |row: &StoredGrant| row.grant.record.intent.as_ref()?.follow_up;
    contents.grants.iter().filter_map(due).min()
}

/// Makes jobs of the follow-ups that are due. `jobs` are the stored ones: a grant has one such job at most.
pub fn into_jobs(contents: &Contents, jobs: &[StoredJob], now: UnixSeconds) -> Vec<Write> {
    let mut writes = Vec::new();
    for row in &contents.grants {
        let mut grant = row.grant.record.clone();
        let Some(intent) = &mut grant.intent else {
            continue;
        };
        let Some(due) = intent.follow_up.take_if(|due| *due <= now) else {
            continue;
        };
        let (account, kind, generation) =
            (row.account.clone(), row.kind.clone(), intent.generation);
        writes.push(Write::UpdateGrant { account: account.clone(), kind: kind.clone(), grant });
        if !jobs.iter().any(|(_, _, job)| job.recovers(&account, &kind)) {
            writes.push(Write::AddJob {
                job: Job::Recover { account, generation, token_kind: kind },
                due,
            });
        }
    }
    writes
}
