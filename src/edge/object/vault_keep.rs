//! Keeping a grant that was just connected.

use super::vault::{Open, RefreshTokens, view};
use super::vault_store::{Contents, NewToken, Sealed};
use crate::edge::clock;
use crate::edge::objects::Trouble;
use crate::encoding;
use crate::ids::AccountId;
use crate::message::vault::{Answer, KindTokens, Store};
use crate::provider::registration::Registration;
use crate::provider::scopes;
use crate::seal::SealError;
use crate::time::UnixSeconds;
use crate::vault::consent::{self, RefreshTokenFrom};
use crate::vault::jobs::{self, Job};
use crate::vault::record::{
    self, AccessTokenRecord, Account, AccountState, Grant, Intent, SUCCESSOR, Selector,
};

/// Keeps a grant that was just connected. The same provider user connecting again renews the
/// account it has.
///
/// Tokens are stored once: those that come again may have been renewed meanwhile, or deleted.
pub(super) fn keep(open: &Open, new: Store) -> Result<Kept, Trouble> {
    open.store.create(&open.home.user, &open.home.connection)?;
    let done = |answer| Ok(Kept { answer, job: None, registration: None });
    let identity = new.identity();
    let contents = open.store.contents()?;
    let connection = open.connection()?;
    // Its isolate knew another configuration: the session keeps the tokens, and comes again.
    if !connection.accepts(new.registration.as_ref()) {
        return Err(Trouble::Failed("registration_changed"));
    }
    // An account of another registration is another account, whoever it is of.
    let own = contents.accounts.iter();
    let own = own.filter(|account| connection.accepts(contents.registration(&account.id)));
    let known = consent::renews(own, &identity);
    if let Some(stored) = open.store.redeemed(&new.account)? {
        let account = contents.accounts.iter().find(|account| account.id == stored);
        return done(account.map_or(Answer::Deleted(true), |account| {
            let grant = contents.grant(&account.id, "").map(|grant| &grant.record);
            Answer::Stored(view(account, grant))
        }));
    }
    let missing = lost(open, known, &contents, &new)?;
    if !missing.is_empty() {
        return done(Answer::Narrower { missing });
    }
    let account = Account {
        id: known.map_or_else(|| new.account.clone(), |account| account.id.clone()),
        identity,
        state: AccountState::Active,
        created_at: known.map_or(new.issued_at, |account| account.created_at),
        extra: new.extra.clone(),
    };
    let redemption = new.account.clone();
    let (mut sealed, mut registration) = (Vec::new(), new.registration.clone());
    let issued = Issued { at: new.issued_at, registration: new.registration.clone() };
    for (kind, tokens) in consent::by_kind(new) {
        let old = contents.grant(&account.id, &kind);
        let state = |old: &Grant| known.map_or(account.state, |known| old.state_of(&kind, known));
        let stored = old.map(|old| (&old.record, state(&old.record)));
        let brings_one = tokens.refresh_token.is_some();
        let is_same_user = account.identity.id.is_some()
            && known.is_some_and(|known| known.identity.id == account.identity.id);
        let from = consent::refresh_token_from(brings_one, is_same_user, stored, clock::now());
        let Ok(from) = from else {
            return done(Answer::UnknownUser);
        };
        let kept = old.filter(|_| from == RefreshTokenFrom::Stored);
        let keep = seal(open, &account.id, &kind, tokens, &issued, old, kept)?;
        if kind.is_empty() {
            registration.clone_from(&keep.grant.registration);
        }
        sealed.push(keep);
    }
    // One write from here on.
    open.store.drop_jobs(|job| job.is_against(account.identity.id.as_deref(), connection))?;
    open.store.put_account(&account)?;
    open.store.remember_redemption(&redemption, &account.id, clock::now())?;
    let job = match account.identity.id.clone() {
        Some(user) => {
            let due = clock::now() + jobs::HOLD_AGAIN;
            let job = Job::Hold { user, registration: registration.clone() };
            Some(open.store.add_job(&job, due)?)
        }
        None => None,
    };
    let mut own = None;
    for Keep { kind, grant, refresh_token, record, access_token } in sealed {
        // A kind that did not come along this time goes on as it was.
        open.store.drop_access_tokens(&account.id, &kind)?;
        open.store.put_grant(&account.id, &kind, &grant, refresh_token)?;
        if grant.intent.is_some() {
            move_follow_up(open, &account.id, &kind, grant.generation)?;
        }
        open.store.put_access_token(NewToken {
            account: &account.id,
            selector: &Selector::new(&kind, "", &[]),
            record,
            envelope: access_token,
        })?;
        if kind.is_empty() {
            own = Some(grant);
        }
    }
    Ok(Kept { answer: Answer::Stored(view(&account, own.as_ref())), job, registration })
}

/// What came of it, the job that tells the registry, and the registration that it tells.
pub(super) struct Kept {
    pub(super) answer: Answer,
    pub(super) job: Option<i64>,
    pub(super) registration: Option<Registration>,
}

/// When tokens were issued, and to which registration.
struct Issued {
    at: UnixSeconds,
    registration: Option<Registration>,
}

/// Scopes that a consent would take from an account's grants that live, of any kind.
fn lost(
    open: &Open,
    known: Option<&Account>,
    contents: &Contents,
    new: &Store,
) -> Result<Vec<String>, Trouble> {
    let Some(account) = known else {
        return Ok(Vec::new());
    };
    let (connection, now) = (open.connection()?, clock::now());
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
    Ok(missing)
}

/// A grant of one kind, sealed and ready to be written.
struct Keep {
    kind: String,
    grant: Grant,
    refresh_token: Option<Vec<u8>>,
    record: AccessTokenRecord,
    access_token: Vec<u8>,
}

fn seal(
    open: &Open,
    account: &AccountId,
    kind: &str,
    new: KindTokens,
    issued: &Issued,
    old: Option<&Sealed<Grant>>,
    kept: Option<&Sealed<Grant>>,
) -> Result<Keep, Trouble> {
    let generation = old.map_or(1, |grant| grant.record.generation + 1);
    let field = record::field("refresh_token", kind);
    let still_good = kept.map_or(Ok(None), |kept| still_good(open, account, kind, kept))?;
    // What does not open any more is not kept.
    let kept = kept.filter(|_| still_good.is_some());
    let own = still_good.as_ref().map(RefreshTokens::own);
    let sealed = match own.or(new.refresh_token.as_ref()) {
        Some(token) => Some(open.seal(account, &field, generation, token)?),
        None => None,
    };
    let expires_at = kept.map_or(new.refresh_token_expires_at, |kept| kept.record.expires_at);
    // A refresh token goes on with the registration that it came from.
    let registration = match kept {
        Some(kept) => kept.record.registration.clone(),
        None => issued.registration.clone(),
    };
    // What is open of a refresh token goes on with it, too.
    let successor = match still_good.as_ref().and_then(RefreshTokens::successor) {
        Some(next) => {
            let field = record::field(SUCCESSOR, kind);
            Some(encoding::base64url(open.seal(account, &field, generation, next)?))
        }
        None => None,
    };
    let intent = kept.and_then(|kept| kept.record.intent.clone());
    let intent = intent.map(|intent| Intent { generation, successor, ..intent });
    let access = record::field("access_token", kind);
    let scopes = scopes::of_first_token(open.connection()?, &new.scopes);
    Ok(Keep {
        kind: kind.to_owned(),
        grant: Grant {
            intent,
            expires_at,
            registration,
            ..Grant::new(generation, sealed.is_some(), new.scopes)
        },
        refresh_token: sealed,
        access_token: open.seal(account, &access, generation, &new.access_token)?,
        record: AccessTokenRecord {
            generation,
            scopes,
            issued_at: issued.at,
            expires_at: new.expires_at,
        },
    })
}

/// Lets the job that takes up an unsettled refresh go on with the grant's new generation.
fn move_follow_up(
    open: &Open,
    account: &AccountId,
    kind: &str,
    generation: u64,
) -> Result<(), Trouble> {
    for (id, due, job) in open.store.jobs()? {
        if job.recovers(account, kind) {
            open.store.end_job(id)?;
            let (account, token_kind) = (account.clone(), kind.to_owned());
            open.store.add_job(&Job::Recover { account, generation, token_kind }, due)?;
        }
    }
    Ok(())
}

/// The refresh tokens an account had before it was connected again.
fn still_good(
    open: &Open,
    account: &AccountId,
    kind: &str,
    old: &Sealed<Grant>,
) -> Result<Option<RefreshTokens>, Trouble> {
    match open.refresh_tokens(account, kind, old) {
        Ok(tokens) => Ok(tokens),
        Err(SealError::Corrupt) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
