// SPDX-License-Identifier: Apache-2.0
//! `/me/v1/connected-accounts`: a user's application connects, lists and deletes accounts. Beside it is
//! `/me/v1/identities`: the accounts that sign in as a user of the vault itself.

use std::rc::Rc;

use serde_json::{Value, json};

use crate::config::Client;
use crate::connect::listing::{self, Page};
use crate::connect::policy;
use crate::connect::record::TICKET_LIFETIME;
use crate::connect::request::{self, CompleteBody, ConnectBody, MAX_BODY};
use crate::endpoints::issuer::identities;
use crate::error::{ProblemDetails, ValidationError};
use crate::ids::{AccountId, UserId};
use crate::jwt::verified::VerifiedToken;
use crate::message::vault::{VaultAction, VaultRequest, VaultResponse};
use crate::message::{connect, directory, registry};
use crate::placement::Objects;
use crate::provider::revocation::Revocation;
use crate::provider::scopes;
use crate::request_line::RequestLine;
use crate::routes::{Authentication, Endpoint, Routed};
use crate::runtime::context::Context;
use crate::runtime::http::{self, Incoming};
use crate::runtime::object_call::{self, CallError};
use crate::runtime::{executor, key_check, leases, tokens};
use crate::secret::Secret;
use crate::time::{UnixSeconds, rfc3339};
use crate::vault::record::AccountView;

/// Serves the paths below `/me/v1/`.
pub async fn serve(
    context: Context<'_>,
    incoming: &Incoming,
    routed: &Routed<'_>,
    line: &mut RequestLine,
) -> http::HttpResult {
    match answer(context, incoming, routed, line).await {
        Ok(Done::Json(status, body)) => http::json(status, &body),
        Ok(Done::Connected(body, until)) => {
            let until = until.map(rfc3339);
            http::json_with(201, &body, [(LEASE_UNTIL, until.as_deref())])
        }
        Ok(Done::Deleted(revocation, until)) => {
            let until = until.map(rfc3339);
            let lease = until.as_ref().map(|until| (LEASE_UNTIL, until.as_str()));
            let revocation = revocation.map(|one| ("token-revocation", one.name()));
            let headers: Vec<_> = revocation.into_iter().chain(lease).collect();
            http::no_content(&headers)
        }
        Err(problem) => {
            line.reason.get_or_insert_with(|| problem.reason.to_owned());
            http::problem(&problem)
        }
    }
}

/// The header that says until when a lease may still serve tokens from before (RFC 3339).
const LEASE_UNTIL: &str = "lease-until";

/// What a request has done.
enum Done {
    /// A response with this status.
    Json(u16, Value),
    /// The account is connected, and until then a lease may serve tokens that it had before.
    Connected(Value, Option<UnixSeconds>),
    /// The account does not exist any more. The first value says what happened at its provider, if the
    /// account existed; the second, until when a lease may still serve its tokens.
    Deleted(Option<Revocation>, Option<UnixSeconds>),
}

type HttpResult = Result<Done, ProblemDetails>;

async fn answer(
    context: Context<'_>,
    incoming: &Incoming,
    routed: &Routed<'_>,
    line: &mut RequestLine,
) -> HttpResult {
    let (route, rest) = match *routed {
        Routed::Served { route, rest } => (route, rest),
        Routed::MethodNotAllowed { allow, .. } => {
            return Err(ProblemDetails::method_not_allowed(allow));
        }
        Routed::Speculative { .. } | Routed::Preflight { .. } | Routed::NotFound { .. } => {
            return Err(nothing_there());
        }
    };
    let Authentication::User(scope) = route.authentication else {
        return Err(nothing_there());
    };
    let caller = Caller::of(context, incoming, scope, line).await?;
    match route.endpoint {
        Endpoint::Connect => {
            let body = read_body(incoming).await?;
            caller.connect(request::read(incoming.content_type.as_deref(), &body)?, line).await
        }
        Endpoint::Complete => {
            let body = read_body(incoming).await?;
            caller.complete(request::read(incoming.content_type.as_deref(), &body)?, line).await
        }
        Endpoint::Accounts => {
            let page = Page::read(incoming.query.expose())?;
            Ok(Done::Json(200, page.accounts(&caller.accounts(&page).await?)))
        }
        Endpoint::Connections => {
            let page = Page::read(incoming.query.expose())?;
            Ok(Done::Json(200, page.connections(context.config, caller.client)))
        }
        Endpoint::DeleteAccount => {
            let id = AccountId::parse(rest).ok_or_else(|| {
                let detail = "must be the id of a connected account: cac_ and letters, digits";
                ProblemDetails::invalid(vec![ValidationError { detail, field: "id" }])
            })?;
            caller.delete(&id, line).await
        }
        Endpoint::Identities => {
            let user = policy::own_user(context.config, &caller.verified.token)?;
            Ok(Done::Json(200, identities::list(context, user).await.map_err(unavailable)??))
        }
        Endpoint::UnlinkIdentity => {
            let user = policy::own_user(context.config, &caller.verified.token)?;
            identities::unlink(context, user, rest, line).await.map_err(unavailable)??;
            Ok(Done::Deleted(None, None))
        }
        _ => Err(nothing_there()),
    }
}

fn nothing_there() -> ProblemDetails {
    ProblemDetails::new(404, "There is nothing at this address.")
}

async fn read_body(incoming: &Incoming) -> Result<Vec<u8>, ProblemDetails> {
    incoming
        .body(MAX_BODY)
        .await
        .ok_or_else(|| ProblemDetails::new(413, "The body is larger than 512 KiB."))
}

/// An authenticated caller.
struct Caller<'a> {
    verified: Rc<VerifiedToken>,
    client: &'a Client,
    context: Context<'a>,
}

impl<'a> Caller<'a> {
    async fn of(
        context: Context<'a>,
        incoming: &Incoming,
        scope: &'static str,
        line: &mut RequestLine,
    ) -> Result<Self, ProblemDetails> {
        let bearer = policy::bearer(incoming.authorization.as_ref().map(Secret::expose))?;
        let config = context.config;
        let verified = tokens::verify_access_token(context, &Secret::new(bearer)).await;
        let verified = verified.map_err(policy::token_refused)?;
        let token = &verified.token;
        line.user = Some(verified.names.log(&config.names, &token.user).to_owned());
        // The line has no client id that is not configured.
        line.client_id = config.clients.get_key_value(&token.client_id).map(|(id, _)| id.clone());
        let client = policy::check(config, token, scope)?;
        policy::check_origin(client, incoming.origin.as_deref())?;
        Ok(Self { verified, client, context })
    }

    fn user(&self) -> &UserId {
        &self.verified.token.user
    }

    fn objects(&self) -> Objects<'_> {
        self.context.config.objects(Some(&self.verified.token.client_id))
    }

    async fn connect(&self, body: ConnectBody, line: &mut RequestLine) -> HttpResult {
        let Self { verified, client, context } = self;
        let Context { env, config, .. } = *context;
        let token = &verified.token;
        let find = |name: &str| config.connections.get(name);
        let mut session = body.begin(&token.user, &token.client_id, client, &config.names, find)?;
        line.connection = Some(session.begin.connection.clone());
        key_check::remember(*context).await.map_err(unavailable)?;
        if let Some(record) = find(&session.begin.connection).filter(|one| scopes::keeps(one))
            && let VaultResponse::Accounts(accounts) =
                self.ask_vault(&session.begin.connection, VaultAction::Accounts).await?
        {
            session.keep_granted(record, &accounts);
        }
        // The session comes last: when it begins, every account can be found from the registry and the directory.
        let add_user = registry::RegistryRequest::Add { user: token.user.clone() };
        let objects = self.objects();
        let shard = objects.registry(&token.user);
        let add = directory::DirectoryRequest::Add {
            connection: session.begin.connection.clone(),
            session: Some(session.begin.session.clone()),
        };
        let directory = objects.directory(&token.user);
        let (registered, added) = executor::both(
            object_call::ask(env, &shard, &add_user),
            object_call::ask(env, &directory, &add),
        )
        .await;
        registered.map_err(unavailable)?;
        if let directory::DirectoryResponse::TooManyInFlight { retry_after } =
            added.map_err(unavailable)?
        {
            return Err(policy::too_many_in_flight(retry_after));
        }
        let at = Some(session.begin.connection.as_str());
        let object = objects.connect_session(&session.begin.session, at);
        let begin = connect::SessionRequest::Begin(Box::new(session.begin));
        match object_call::ask(env, &object, &begin).await.map_err(unavailable)? {
            connect::SessionResponse::Begun => {}
            _ => return Err(ProblemDetails::unavailable(5)),
        }
        Ok(Done::Json(
            201,
            json!({
                "auth_session": session.auth_session.expose(),
                "connect_uri": config.public_url.path("/connected-accounts/connect"),
                "connect_params": { "ticket": session.ticket.expose() },
                "expires_in": TICKET_LIFETIME,
            }),
        ))
    }

    async fn complete(&self, body: CompleteBody, line: &mut RequestLine) -> HttpResult {
        let names = &self.context.config.names;
        let client_id = &self.verified.token.client_id;
        let (session, complete) = body.complete(self.user(), client_id, names)?;
        let object = self.objects().connect_session(&session, None);
        let ask = connect::SessionRequest::Complete(complete);
        match object_call::ask(self.context.env, &object, &ask).await.map_err(unavailable)? {
            connect::SessionResponse::Completed { account, connection } => {
                leases::end(&names.vault(self.user(), &connection));
                line.connection = Some(connection.clone());
                line.account = Some(account.id.to_string());
                let until = account.lease_until;
                Ok(Done::Connected(listing::account_item(&account, &connection), until))
            }
            connect::SessionResponse::Denied(denied) => Err(policy::completion_denied(denied)),
            _ => Err(ProblemDetails::unavailable(5)),
        }
    }

    /// The user's accounts at all connections of the page that the client may manage, each with its connection.
    async fn accounts(&self, page: &Page) -> Result<Vec<(String, AccountView)>, ProblemDetails> {
        let mut accounts = Vec::new();
        for connection in self.connections().await? {
            if !page.wants(&connection) || !self.client.may_manage(&connection) {
                continue;
            }
            if let VaultResponse::Accounts(found) =
                self.ask_vault(&connection, VaultAction::Accounts).await?
            {
                accounts.extend(found.into_iter().map(|account| (connection.clone(), account)));
            }
        }
        Ok(accounts)
    }

    /// Deletes the account at whichever connection it is, if the client may manage that. The id of another
    /// user's account, or of none, is answered like a deleted one, because this user has no such account.
    async fn delete(&self, id: &AccountId, line: &mut RequestLine) -> HttpResult {
        // With another sealing key the account would be deleted, and its tokens never revoked.
        key_check::compare(self.context).await.map_err(unavailable)?;
        let mut until = None;
        for connection in &self.connections().await? {
            if !self.client.may_manage(connection) {
                let found = self.ask_vault(connection, VaultAction::Accounts).await?;
                if matches!(found, VaultResponse::Accounts(all) if all.iter().any(|one| one.id == *id))
                {
                    return Err(policy::not_among_connections());
                }
                continue;
            }
            let act = VaultAction::Delete { account: id.clone(), tell: true, tell_leases: true };
            let (revocation, lease_until) = match self.ask_vault(connection, act).await? {
                VaultResponse::Ended { revocation, lease_until } => (revocation, lease_until),
                // Objects of earlier versions answer so, and lend nothing.
                VaultResponse::Removed(revocation) => (revocation, None),
                VaultResponse::Deleted(true) => (Some(Revocation::Pending), None),
                _ => (None, None),
            };
            leases::end(&self.context.config.names.vault(self.user(), connection));
            let Some(revocation) = revocation else {
                // The account may have been deleted here a moment ago.
                until = until.max(lease_until);
                continue;
            };
            line.connection = Some(connection.clone());
            line.account = Some(id.to_string());
            line.reason = Some(revocation.name().to_owned());
            return Ok(Done::Deleted(Some(revocation), lease_until));
        }
        Ok(Done::Deleted(None, until))
    }

    /// The connections that this user ever started. There are none also if the name key is a wrong one, so
    /// that is checked then.
    async fn connections(&self) -> Result<Vec<String>, ProblemDetails> {
        let directory = self.objects().directory(self.user());
        match object_call::ask(self.context.env, &directory, &directory::DirectoryRequest::List)
            .await
            .map_err(unavailable)?
        {
            directory::DirectoryResponse::Connections(names) => {
                if names.is_empty() {
                    key_check::compare(self.context).await.map_err(unavailable)?;
                }
                Ok(names)
            }
            _ => Err(ProblemDetails::unavailable(5)),
        }
    }

    async fn ask_vault(
        &self,
        connection: &str,
        act: VaultAction,
    ) -> Result<VaultResponse, ProblemDetails> {
        let vault = self.objects().vault(self.user(), connection);
        let ask =
            VaultRequest { user: self.user().clone(), connection: connection.to_owned(), act };
        object_call::ask(self.context.env, &vault, &ask).await.map_err(unavailable)
    }
}

fn unavailable(error: CallError) -> ProblemDetails {
    match error {
        CallError::Unavailable => ProblemDetails::unavailable(5),
        CallError::KeyUnavailable | CallError::Misconfigured => ProblemDetails {
            retry_after: Some(60),
            ..ProblemDetails::new(
                503,
                "The vault's configuration needs its operator; nothing is lost.",
            )
        },
    }
}
