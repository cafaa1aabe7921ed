// SPDX-License-Identifier: Apache-2.0
//! Keeping a grant that was just connected.

use vault_base::encoding;
use vault_base::ids::AccountId;
use vault_base::seal::SealError;
use vault_base::time::UnixSeconds;
use vault_provider::connection::Connection;
use vault_provider::registration::Registration;
use vault_provider::scopes;

use super::consent::{self, KindTokens, NewGrant, RefreshTokenFrom, UnknownUser};
use super::contents::{Contents, Sealed};
use super::home::{Home, RefreshTokens};
use super::jobs::{self, Job};
use super::plan::{Plan, StoredJob, Write};
use super::record::{
    self, AccessTokenRecord, Account, AccountState, AccountView, Grant, Intent, SUCCESSOR, Selector,
};

/// What becomes of a grant that was just connected.
#[derive(Debug)]
pub enum KeepOutcome {
    /// It is stored by this plan, the registry's job last.
    Stored {
        /// What to write.
        plan: Plan,
        /// The account that holds it.
        account: AccountView,
        /// Whom to tell the registry of, at once: the plan's last write is the job that stands in for a
        /// registry that is silent.
        registry: Option<(String, Option<Registration>)>,
    },
    /// It was stored before, for this account.
    Before(AccountView),
    /// It was stored before, and its account is gone.
    Gone,
    /// The account's grant lives and has these scopes that the new one lacks.
    Narrower(Vec<String>),
    /// Nothing tells whether the account's grant is the same user's.
    UnknownUser,
    /// It belongs to another registration than the connection has.
    OtherRegistration,
}

/// Decides what to keep. The same provider user connecting again renews the account it has. Tokens are stored
/// once: those that come again may have been renewed meanwhile, or deleted. `redeemed`: the account that
/// these tokens were stored for before.
///
/// # Errors
/// [`SealError`]; nothing changes.
pub fn keep(
    home: &Home,
    contents: &Contents,
    jobs: &[StoredJob],
    connection: &Connection,
    redeemed: Option<&AccountId>,
    new: NewGrant,
    now: UnixSeconds,
) -> Result<KeepOutcome, SealError> {
    if !connection.accepts(new.registration.as_ref()) {
        return Ok(KeepOutcome::OtherRegistration);
    }
    if let Some(stored) = redeemed {
        let account = contents.account(stored);
        return Ok(account
            .map_or(KeepOutcome::Gone, |account| KeepOutcome::Before(contents.view(account))));
    }
    let identity = new.identity();
    let own = contents.accounts.iter();
    let own = own.filter(|account| connection.accepts(contents.registration(&account.id)));
    let known = consent::renews(own, &identity);
    let missing = lost(contents, connection, known, &new, now);
    if !missing.is_empty() {
        return Ok(KeepOutcome::Narrower(missing));
    }
    let account = Account {
        id: known.map_or_else(|| new.account.clone(), |account| account.id.clone()),
        identity,
        state: AccountState::Active,
        created_at: known.map_or(new.issued_at, |account| account.created_at),
        provider_data: new.provider_data.clone(),
    };
    let keeping = Keeping { home, contents, connection, known, account, now };
    keeping.store(jobs, new)
}

/// A grant that is being kept.
struct Keeping<'a> {
    home: &'a Home,
    contents: &'a Contents,
    connection: &'a Connection,
    /// The account it renews.
    known: Option<&'a Account>,
    /// The account as it will be.
    account: Account,
    now: UnixSeconds,
}

impl Keeping<'_> {
    fn store(self, jobs: &[StoredJob], new: NewGrant) -> Result<KeepOutcome, SealError> {
        let Self { connection, now, .. } = self;
        let id = self.account.id.clone();
        let user = self.account.identity.id.clone();
        let mut plan = Plan::default();
        for (job, _, taken_back) in jobs {
            if taken_back.is_against(user.as_deref(), connection) {
                plan.write(Write::EndJob(*job));
            }
        }
        plan.write(Write::PutAccount(self.account.clone()));
        let remembered = new.account.clone();
        plan.write(Write::RememberRedemption { id: remembered, account: id.clone(), now });
        let issued = Issued { at: new.issued_at, registration: new.registration.clone() };
        let mut own = None;
        for (kind, tokens) in consent::by_kind(new) {
            let Ok(kept) = self.kept(&kind, &tokens) else {
                return Ok(KeepOutcome::UnknownUser);
            };
            let grant = self.write(&mut plan, kind.clone(), tokens, &issued, kept)?;
            if grant.intent.is_some() {
                self.move_follow_up(&mut plan, jobs, &kind, grant.generation);
            }
            if kind.is_empty() {
                own = Some(grant);
            }
        }
        let registration = own.as_ref().and_then(|grant| grant.registration.clone());
        if let Some(user) = user.clone() {
            let job = Job::AddReference { user, registration: registration.clone() };
            plan.add_job(job, now + jobs::HOLD_AGAIN);
        }
        let account = self.account.view(own.as_ref());
        Ok(KeepOutcome::Stored { plan, account, registry: user.map(|user| (user, registration)) })
    }

    /// The stored grant of this kind, if its refresh token is kept.
    fn kept(&self, kind: &str, new: &KindTokens) -> Result<Option<&Sealed<Grant>>, UnknownUser> {
        let old = self.contents.grant(&self.account.id, kind);
        let state =
            |old: &Grant| self.known.map_or(self.account.state, |known| old.state_of(kind, known));
        let stored = old.map(|old| (&old.record, state(&old.record)));
        let is_same_user = self.account.identity.id.is_some()
            && self.known.is_some_and(|known| known.identity.id == self.account.identity.id);
        let brings_one = new.refresh_token.is_some();
        let from = consent::refresh_token_from(brings_one, is_same_user, stored, self.now)?;
        Ok(old.filter(|_| from == RefreshTokenFrom::Stored))
    }

    /// Writes the grant of one kind. A kind that did not come along this time goes on as it was.
    fn write(
        &self,
        plan: &mut Plan,
        kind: String,
        new: KindTokens,
        issued: &Issued,
        kept: Option<&Sealed<Grant>>,
    ) -> Result<Grant, SealError> {
        let id = &self.account.id;
        let old = self.contents.grant(id, &kind);
        let generation = old.map_or(1, |grant| grant.record.generation + 1);
        let still_good = kept.map_or(Ok(None), |kept| self.still_good(&kind, kept))?;
        // What does not open any more is not kept.
        let kept = kept.filter(|_| still_good.is_some());
        let seal =
            |column, token| self.home.seal(id, &record::field(column, &kind), generation, token);
        let own = still_good.as_ref().map(RefreshTokens::own);
        let refresh_token = own.or(new.refresh_token.as_ref());
        let refresh_token = refresh_token.map(|token| seal("refresh_token", token)).transpose()?;
        let access_token = seal("access_token", &new.access_token)?;
        let token = AccessTokenRecord {
            generation,
            scopes: scopes::of_first_token(self.connection, &new.scopes),
            issued_at: issued.at,
            expires_at: new.expires_at,
        };
        // What is open of a refresh token goes on with it, too.
        let successor = still_good.as_ref().and_then(RefreshTokens::successor);
        let successor = successor.map(|next| seal(SUCCESSOR, next)).transpose()?;
        let successor = successor.map(encoding::base64url);
        let intent = kept.and_then(|kept| kept.record.intent.clone());
        let grant = Grant {
            intent: intent.map(|intent| Intent { generation, successor, ..intent }),
            expires_at: kept.map_or(new.refresh_token_expires_at, |kept| kept.record.expires_at),
            // A refresh token goes on with the registration that it came from.
            registration: match kept {
                Some(kept) => kept.record.registration.clone(),
                None => issued.registration.clone(),
            },
            ..Grant::new(generation, refresh_token.is_some(), new.scopes)
        };
        plan.write(Write::DropAccessTokens(id.clone(), kind.clone()));
        plan.write(Write::PutAccessToken {
            account: id.clone(),
            selector: Selector::new(&kind, "", &[]),
            record: token,
            envelope: access_token,
        });
        plan.write(Write::PutGrant {
            account: id.clone(),
            kind,
            grant: grant.clone(),
            envelope: refresh_token,
        });
        Ok(grant)
    }

    /// The refresh tokens an account had before it was connected again.
    fn still_good(
        &self,
        kind: &str,
        old: &Sealed<Grant>,
    ) -> Result<Option<RefreshTokens>, SealError> {
        match self.home.refresh_tokens(&self.account.id, kind, old) {
            Err(SealError::Corrupt) => Ok(None),
            opened => opened,
        }
    }

    /// Lets the job that takes up an unsettled refresh go on with the grant's new generation.
    fn move_follow_up(&self, plan: &mut Plan, jobs: &[StoredJob], kind: &str, generation: u64) {
        let id = &self.account.id;
        for (job, due, _) in jobs.iter().filter(|(_, _, job)| job.recovers(id, kind)) {
            plan.write(Write::EndJob(*job));
            let (account, token_kind) = (id.clone(), kind.to_owned());
            plan.add_job(Job::Recover { account, generation, token_kind }, *due);
        }
    }
}

/// When tokens were issued, and to which registration.
struct Issued {
    at: UnixSeconds,
    registration: Option<Registration>,
}

/// Scopes that a consent would take from an account's grants that live, of any kind.
fn lost(
    contents: &Contents,
    connection: &Connection,
    known: Option<&Account>,
    new: &NewGrant,
    now: UnixSeconds,
) -> Vec<String> {
    let Some(account) = known else {
        return Vec::new();
    };
    let further = new.kinds.iter().map(|(kind, tokens)| (kind.as_str(), &tokens.scopes));
    let mut missing = Vec::new();
    for (kind, scopes) in std::iter::once(("", &new.scopes)).chain(further) {
        let Some(Sealed { record: grant, .. }) = contents.grant(&account.id, kind) else {
            continue;
        };
        let token = contents.access_token(&account.id, &Selector::new(kind, "", &[]));
        let token = token.map(|token| &token.record);
        let state = grant.state_of(kind, account);
        missing.extend(consent::lost(connection, state, grant, token, scopes, now));
    }
    missing
}
