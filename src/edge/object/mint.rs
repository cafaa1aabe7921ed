//! Making a token ourselves: the user's own token shows for whom, our signature makes it.

use super::refresh::{end, log_failure};
use super::vault::{Inner, Open};
use super::vault_revoke::revoke_job;
use super::vault_store::{NewToken, Sealed};
use crate::config::Connection;
use crate::edge::objects::Trouble;
use crate::edge::outbound::{self, OTHER_TIME, TOKEN_TIME};
use crate::edge::{clock, crypto, providers};
use crate::ids::AccountId;
use crate::provider::answer::Received;
use crate::provider::dialect::Minting;
use crate::provider::endpoints::Provider;
use crate::provider::errors::Failure;
use crate::provider::minting::{self, Minted, NoAccount, Unminted};
use crate::provider::request::ProviderRequest;
use crate::seal::SealError;
use crate::secret::Secret;
use crate::vault::mint::{self, After};
use crate::vault::record::{self, AccessTokenRecord, Account, Grant, Selector};
use crate::vault::refresh::Settlement;
use crate::vault::release;

/// What one token is made with.
struct Ground<'a> {
    connection: &'a Connection,
    provider: &'a Provider,
    minting: &'a Minting,
    /// The user's own token.
    own: &'a Secret,
    /// The user's id at the provider.
    user: Option<&'a str>,
}

impl Inner {
    /// Makes a token and stores it, or stores why there is none; the caller looks again.
    pub(super) async fn mint(
        &self,
        open: &Open,
        id: &AccountId,
        selector: &Selector,
        minting: &Minting,
    ) -> Result<(), Trouble> {
        let connection = open.connection()?;
        if own_token(open, id)?.is_none() {
            self.renew(open, id, &Selector::default()).await?;
        }
        let found = providers::of(&self.env, &open.config, connection, clock::now()).await;
        let contents = open.store.contents()?;
        let account = contents.accounts.iter().find(|account| account.id == *id);
        let grant = contents.grant(id, "").map(|grant| grant.record.clone());
        let (Some(account), Some(grant), Some((record, own))) =
            (account, grant, own_token(open, id)?)
        else {
            // What became of the renewal is stored with the grant.
            return Ok(());
        };
        let minted = match &found {
            Ok(provider) => {
                let user = account.identity.id.as_deref();
                let ground = Ground { connection, provider, minting, own: &own, user };
                ground.mint(selector).await
            }
            Err(_) => Err(Unminted::Failure(Failure::Unavailable { retry_after: None })),
        };
        match minted {
            Ok(minted) => {
                keep(open, account, selector, minted)?;
                self.schedule(open).await
            }
            Err(unminted) => {
                match &unminted {
                    Unminted::Failure(failure) => log_failure(open, id, failure),
                    Unminted::UserToken => {
                        log_failure(open, id, &Failure::Refused("http_401".into()));
                    }
                    Unminted::NoAccount(_) | Unminted::Scopes => {}
                }
                match mint::after(unminted, &grant, &record, clock::now()) {
                    After::Withhold(why) => {
                        let key = (id.clone(), selector.clone());
                        self.refused.borrow_mut().insert(key, (why, clock::now()));
                        Ok(())
                    }
                    After::Renew => self.renew(open, id, &Selector::default()).await,
                    After::Settle(settlement) => settle(open, id, &grant, settlement),
                }
            }
        }
    }
}

impl Ground<'_> {
    async fn mint(&self, selector: &Selector) -> Result<Minted, Unminted> {
        let Self { connection, minting, .. } = *self;
        let name = selector.resource();
        let prove = minting::prove(connection, self.provider, minting, self.own, name);
        let proof = send(prove, OTHER_TIME).await?;
        let proven = minting::proven(&proof, connection, minting, self.user, name, clock::now());
        let signature = self.signature().await?;
        if proven == Err(Unminted::NoAccount(NoAccount::NotOwner)) {
            let look_up = minting::look_up_organization(connection, minting, name, &signature);
            let why = minting::why_not(&send(look_up, OTHER_TIME).await?);
            return Err(Unminted::NoAccount(why));
        }
        let owned = proven?;
        let look_up = minting::look_up(connection, minting, &owned, &signature);
        let found = send(look_up, OTHER_TIME).await?;
        let id = minting::found(&found, minting, &owned, clock::now())?;
        let request = minting::mint(connection, minting, &id, selector.narrowed(), &signature);
        let made = send(request, TOKEN_TIME).await?;
        minting::minted(&made, minting, clock::now())
    }

    /// Who we are, signed.
    async fn signature(&self) -> Result<Secret, Unminted> {
        let signed = minting::signed(&self.connection.client_id, clock::now());
        let signature = match &self.connection.private_key {
            Some(key) => crypto::sign(key, &signed).await,
            None => None,
        };
        let unusable = || Unminted::Failure(Failure::Misconfigured("private_key_unusable".into()));
        signature.map(|signature| Secret::new(format!("{signed}.{signature}"))).ok_or_else(unusable)
    }
}

async fn send(request: Option<ProviderRequest>, time: u32) -> Result<Received, Unminted> {
    match request {
        Some(request) => Ok(outbound::send(&request, time).await),
        None => Err(Unminted::Failure(Failure::Misconfigured("address".into()))),
    }
}

/// The user's own token, while it lives.
fn own_token(open: &Open, id: &AccountId) -> Result<Option<(AccessTokenRecord, Secret)>, Trouble> {
    let contents = open.store.contents()?;
    let Some(Sealed { record, envelope: Some(envelope) }) =
        contents.access_token(id, &Selector::default())
    else {
        return Ok(None);
    };
    if release::remaining(record, clock::now()).is_none() {
        return Ok(None);
    }
    match open.open(id, "access_token", record.generation, envelope) {
        Ok(token) => Ok(Some((record.clone(), token))),
        // One that does not open counts as none, as when it is to be released.
        Err(SealError::Corrupt) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Stores a token, or revokes it if its account was deleted meanwhile.
fn keep(
    open: &Open,
    account: &Account,
    selector: &Selector,
    minted: Minted,
) -> Result<(), Trouble> {
    let id = &account.id;
    let field = record::field("access_token", selector.kind());
    let Some(Sealed { record: grant, .. }) = open.store.grant(id, "")? else {
        let envelope = open.seal(id, &field, 0, &minted.access_token)?;
        let job = revoke_job(account, &field, 0, envelope, false);
        return open.store.add_job(&job, clock::now()).map(drop);
    };
    let envelope = open.seal(id, &field, grant.generation, &minted.access_token)?;
    if grant.retry_at.is_some() {
        let grant = Grant { retry_at: None, failures: 0, fault: None, ..grant.clone() };
        open.store.update_grant(id, "", &grant)?;
    }
    open.store.put_access_token(NewToken {
        account: id,
        selector,
        record: AccessTokenRecord {
            generation: grant.generation,
            scopes: minted.scopes,
            issued_at: clock::now(),
            expires_at: Some(minted.expires_at),
        },
        envelope,
    })
}

/// Stores what a failure does to the grant that it was about.
fn settle(
    open: &Open,
    id: &AccountId,
    asked: &Grant,
    settlement: Settlement,
) -> Result<(), Trouble> {
    let stored = open.store.grant(id, "")?.map(|sealed| sealed.record.generation);
    if stored != Some(asked.generation) {
        return Ok(());
    }
    match settlement {
        Settlement::Kept { grant } => open.store.update_grant(id, "", &grant),
        Settlement::Ended { state, grant } => end(open, id, "", state, grant),
        Settlement::Renewed(_) => Ok(()),
    }
}
