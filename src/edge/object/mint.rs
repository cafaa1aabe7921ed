//! Making a token ourselves: the user's own token shows for whom, our signature makes it.

use std::pin::Pin;
use std::rc::Rc;

use super::refresh::{Waited, end, log_failure};
use super::vault::{Inner, Open};
use super::vault_revoke::revoke_job;
use super::vault_store::NewToken;
use crate::edge::objects::Trouble;
use crate::edge::outbound::{self, OTHER_TIME};
use crate::edge::{clock, crypto, providers};
use crate::ids::AccountId;
use crate::provider::connection::Connection;
use crate::provider::dialect::Minting;
use crate::provider::endpoints::Provider;
use crate::provider::errors::Failure;
use crate::provider::minting::{self, Making, Minted, NoAccount, Unminted, Wanted};
use crate::provider::registration::Registration;
use crate::secret::Secret;
use crate::vault::mint::{self, After};
use crate::vault::record::{self, AccessTokenRecord, Account, Selector};
use crate::vault::release::{self, Held, Withheld};

impl Inner {
    /// Makes a token and stores it, or stores why there is none; the caller looks again.
    pub(super) async fn mint(
        self: &Rc<Self>,
        open: &Open,
        id: &AccountId,
        selector: &Selector,
        minting: &Minting,
    ) -> Result<(), Trouble> {
        let connection = open.connection()?;
        if own_token(open, id)?.is_none() {
            self.renew_own(open, id).await?;
        }
        let found = providers::of(&self.env, &open.config, connection, clock::now()).await;
        let contents = open.store.contents()?;
        let account = contents.accounts.iter().find(|account| account.id == *id);
        let grant = contents.grant(id, "").map(|grant| grant.record.clone());
        let (Some(account), Some(grant)) = (account, grant) else {
            return Ok(());
        };
        let key = (id.clone(), selector.clone());
        let remember = |held| self.held.borrow_mut().insert(key.clone(), held, clock::now());
        let Some((record, own)) = own_token(open, id)? else {
            // What became of a renewal is stored with the grant. Without one, the token does not open.
            if !grant.has_refresh_token {
                remember(Held::new(Withheld::Corrupt, clock::now()));
            }
            return Ok(());
        };
        let wanted = Wanted {
            user_token: &own,
            user: account.identity.id.as_deref(),
            name: selector.resource(),
            scopes: selector.narrowed(),
        };
        let minted = match &found {
            Ok(provider) => make(connection, provider, minting, wanted).await,
            Err(reason) => Err(Unminted::Failure((*reason).into())),
        };
        let unminted = match minted {
            Ok(minted) => {
                self.held.borrow_mut().remove(&key);
                keep(open, account, contents.registration(id), selector, minted)?;
                return self.schedule(open).await;
            }
            Err(unminted) => unminted,
        };
        match &unminted {
            Unminted::Failure(failure) => log_failure(open, id, failure),
            Unminted::UserToken => log_failure(open, id, &Failure::Refused("http_401".into())),
            Unminted::NoAccount(_) | Unminted::Scopes => {}
        }
        let before = self.held.borrow().get(&key).copied();
        let after = mint::after(&unminted, &grant, &record, before, clock::now());
        let stored = open.store.grant(id, "")?.map(|sealed| sealed.record.generation);
        match after {
            After::Withhold(held) => {
                remember(held);
                if held.why == Withheld::NoAccount(NoAccount::NotOwner) {
                    self.drop_made(open, account, selector).await?;
                }
            }
            // Connected again meanwhile, or gone: that grant was not asked about.
            _ if stored != Some(grant.generation) => {}
            After::Renew(held) => {
                remember(held);
                self.renew_own(open, id).await?;
            }
            After::End { state, grant } => end(open, id, "", state, *grant)?,
        }
        Ok(())
    }
}

impl Inner {
    /// Renews the user's own token, or waits for whoever does. Boxed, for that may make tokens as well.
    async fn renew_own(self: &Rc<Self>, open: &Open, id: &AccountId) -> Result<(), Trouble> {
        let renewal = self.refresh(open, id, Selector::default());
        let renewal: Pin<Box<dyn Future<Output = Result<Waited, Trouble>> + '_>> =
            Box::pin(renewal);
        renewal.await.map(drop)
    }

    /// Revokes and forgets what was made for an account that is not the user's any more.
    async fn drop_made(
        &self,
        open: &Open,
        account: &Account,
        selector: &Selector,
    ) -> Result<(), Trouble> {
        let (kind, now) = (selector.kind(), clock::now());
        let field = record::field("access_token", kind);
        let contents = open.store.contents()?;
        for token in contents.made(&account.id, kind, selector.resource()) {
            let lives = release::remaining(&token.record, now).is_some();
            if let Some(envelope) = token.envelope.clone().filter(|_| lives) {
                let generation = token.record.generation;
                let of = contents.registration(&account.id);
                let job = revoke_job(account, of, &field, generation, envelope, false);
                open.store.add_job(&job, now)?;
            }
        }
        open.store.drop_made(&account.id, kind, selector.resource())?;
        self.schedule(open).await
    }
}

/// Asks the provider, step by step.
async fn make(
    connection: &Connection,
    provider: &Provider,
    minting: &Minting,
    wanted: Wanted<'_>,
) -> Result<Minted, Unminted> {
    let misconfigured = |word: &str| Unminted::Failure(Failure::Misconfigured(word.into()));
    let signed = minting::signed(&connection.client_id, clock::now());
    let signature = match &connection.private_key {
        Some(key) => crypto::sign(key, &signed).await,
        None => None,
    };
    let signature = signature.ok_or_else(|| misconfigured("private_key_unusable"))?;
    let signature = Secret::new(format!("{signed}.{signature}"));
    let mut making = Making::new(connection, provider, minting, wanted, signature);
    loop {
        let request = making.request().ok_or_else(|| misconfigured("address"))?;
        let received = outbound::send(&request, OTHER_TIME).await;
        if let Some(minted) = making.answered(&received, clock::now())? {
            return Ok(minted);
        }
    }
}

/// The user's own token, while it lives.
fn own_token(open: &Open, id: &AccountId) -> Result<Option<(AccessTokenRecord, Secret)>, Trouble> {
    let (contents, own) = (open.store.contents()?, Selector::default());
    let stored = contents.access_token(id, &own);
    if stored.is_none_or(|token| release::remaining(&token.record, clock::now()).is_none()) {
        return Ok(None);
    }
    let token = open.access_token(&contents, id, &own)?;
    Ok(token.map(|(record, token)| (record.clone(), token)))
}

/// Stores a token, or revokes it if its account was deleted meanwhile.
fn keep(
    open: &Open,
    account: &Account,
    registration: Option<&Registration>,
    selector: &Selector,
    minted: Minted,
) -> Result<(), Trouble> {
    let id = &account.id;
    let field = record::field("access_token", selector.kind());
    let grant = open.store.grant(id, "")?;
    let generation = grant.as_ref().map_or(0, |grant| grant.record.generation);
    let envelope = open.seal(id, &field, generation, &minted.access_token)?;
    if grant.is_none() {
        let job = revoke_job(account, registration, &field, generation, envelope, false);
        return open.store.add_job(&job, clock::now()).map(drop);
    }
    open.store.drop_over(id, selector.kind(), clock::now())?;
    open.store.put_access_token(NewToken {
        account: id,
        selector,
        record: AccessTokenRecord {
            generation,
            scopes: minted.scopes,
            issued_at: clock::now(),
            expires_at: Some(minted.expires_at),
        },
        envelope,
    })
}
