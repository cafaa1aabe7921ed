// SPDX-License-Identifier: Apache-2.0
//! Stores a grant that was just connected.

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
use super::keep_alive;
use super::plan::{Plan, StoredJob, Write};
use super::record::{
    self, AccessTokenRecord, Account, AccountState, AccountView, Grant, Intent, SUCCESSOR, Selector,
};

/// What storing a new grant does.
#[derive(Debug)]
pub enum KeepOutcome {
    /// It is stored by this plan.
    Stored {
        /// The writes; the last one adds the job that tells the registry.
        plan: Plan,
        /// The account that holds the grant.
        account: AccountView,
        /// The reference to tell the registry at once. The job does it if the registry does not
        /// answer.
        registry: Option<(String, Option<Registration>)>,
    },
    /// The same tokens were stored before, for this account.
    Before(AccountView),
    /// The same tokens were stored before, and their account was deleted.
    Gone,
    /// The stored grant is valid and has these scopes, which the new one lacks.
    Narrower(Vec<String>),
    /// Nothing proves that the stored grant is the same user's.
    UnknownUser,
    /// The grant belongs to another registration than the connection has.
    OtherRegistration,
}

/// Decides how to store a grant. A provider user who connects again renews the existing account.
/// Tokens are stored once, because tokens that arrive again may have been renewed or deleted
/// meanwhile; `redeemed` is the account that the same tokens were stored for before.
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
    let known = consent::renews(connection, own, &identity);
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

/// The state of one call of [`keep`].
struct Keeping<'a> {
    home: &'a Home,
    contents: &'a Contents,
    connection: &'a Connection,
    /// The account that is renewed, if any.
    known: Option<&'a Account>,
    /// The account as it will be stored.
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
            let lifetime = tokens.expires_at.map(|at| at - issued.at);
            let Ok(kept) = self.kept(&kind, &tokens) else {
                return Ok(KeepOutcome::UnknownUser);
            };
            let grant = self.write(&mut plan, kind.clone(), tokens, &issued, kept)?;
            if grant.has_refresh_token {
                keep_alive::ensure(&mut plan, jobs, connection, (&id, &kind), lifetime, now);
            }
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
        let is_same_user = self.connection.proves_identity()
            && self.account.identity.id.is_some()
            && self.known.is_some_and(|known| known.identity.id == self.account.identity.id);
        let brings_one = new.refresh_token.is_some();
        let from = consent::refresh_token_from(brings_one, is_same_user, stored, self.now)?;
        Ok(old.filter(|_| from == RefreshTokenFrom::Stored))
    }

    /// Writes the grant of one kind. A kind that the consent did not bring is unchanged.
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
        // A refresh token that no longer opens is not kept.
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
        // The successor and the intent stay with the refresh token that they belong to.
        let successor = still_good.as_ref().and_then(RefreshTokens::successor);
        let successor = successor.map(|next| seal(SUCCESSOR, next)).transpose()?;
        let successor = successor.map(encoding::base64url);
        let intent = kept.and_then(|kept| kept.record.intent.clone());
        let grant = Grant {
            intent: intent.map(|intent| Intent {
                generation,
                successor,
                unexplained: None,
                ..intent
            }),
            expires_at: kept.map_or(new.refresh_token_expires_at, |kept| kept.record.expires_at),
            consented_at: kept.map_or(Some(issued.at), |kept| kept.record.consented_at),
            // A kept refresh token keeps the registration that it came from.
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

    /// The stored refresh tokens of the account, if they open.
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

    /// Moves the job of an unsettled refresh to the grant's new generation.
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

/// The scopes that the consent would take from the account's valid grants of any kind.
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
