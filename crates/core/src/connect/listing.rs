// SPDX-License-Identifier: Apache-2.0
//! Lists of the connected-accounts API: paging, and the form of accounts and connections.

use serde_json::{Value, json};

use crate::config::{Client, Config};
use crate::error::{ProblemDetails, ValidationError};
use crate::vault::record::AccountView;
use vault_base::encoding;
use vault_base::text::{self, MAX_PARAMETERS};
use vault_base::time::rfc3339;
use vault_provider::connection::Connection;
use vault_provider::scopes;

/// Items on a page if the request does not say.
const DEFAULT_TAKE: usize = 10;
/// Most items on a page, and most connections in a filter.
const MAX_TAKE: usize = 20;

/// The query of a list request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    take: usize,
    after: Option<String>,
    connections: Vec<String>,
}

impl Page {
    /// Reads `take`, `connection` (which may repeat) and the cursor, which clients send as `from`
    /// or `next`.
    ///
    /// # Errors
    /// A 400 that names the field.
    pub fn read(query: &str) -> Result<Self, ProblemDetails> {
        let invalid =
            |field, detail| ProblemDetails::invalid(vec![ValidationError { detail, field }]);
        let mut page = Self { take: DEFAULT_TAKE, after: None, connections: Vec::new() };
        let parameters = text::parameters(query.as_bytes()).ok_or_else(|| {
            let detail = format!("The query may have at most {MAX_PARAMETERS} parameters.");
            ProblemDetails::new(400, detail)
        })?;
        for (name, value) in parameters {
            match name.as_ref() {
                "take" => {
                    page.take = value
                        .parse()
                        .ok()
                        .filter(|take| (1..=MAX_TAKE).contains(take))
                        .ok_or_else(|| invalid("take", "must be a number from 1 to 20"))?;
                }
                "from" | "next" if !value.is_empty() => {
                    let cursor = encoding::from_base64url(&value)
                        .and_then(|bytes| String::from_utf8(bytes).ok())
                        .ok_or_else(|| invalid("from", "must be `next` of the page before"))?;
                    page.after = Some(cursor);
                }
                "connection" => page.connections.push(value.into_owned()),
                _ => {}
            }
        }
        if page.connections.len() > MAX_TAKE {
            return Err(invalid("connection", "may stand at most 20 times"));
        }
        Ok(page)
    }

    /// Whether the filter includes this connection.
    pub fn wants(&self, connection: &str) -> bool {
        self.connections.is_empty() || self.connections.iter().any(|name| name == connection)
    }

    /// Cuts the page out of all items. Each item has a key that orders them. The second value is
    /// the cursor of the next page: the key of this page's last item.
    fn cut(&self, mut items: Vec<(String, Value)>) -> (Vec<Value>, Option<String>) {
        items.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let mut rest =
            items.into_iter().filter(|(key, _)| self.after.as_ref().is_none_or(|at| key > at));
        let mut last = None;
        let mut shown = Vec::new();
        for (key, item) in rest.by_ref().take(self.take) {
            last = Some(key);
            shown.push(item);
        }
        let more = rest.next().is_some();
        (shown, last.filter(|_| more).map(encoding::base64url))
    }

    /// The response of `GET /accounts`: accounts by time of connection.
    pub fn accounts(&self, accounts: &[(String, AccountView)]) -> Value {
        let wanted = accounts.iter().filter(|(connection, _)| self.wants(connection));
        let items = wanted.map(|(connection, account)| {
            let key = format!("{:020} {}", account.created_at.max(0), account.id);
            (key, account_item(account, connection))
        });
        self.answer("accounts", items.collect())
    }

    /// The response of `GET /connections`: what the client may connect, by name.
    pub fn connections(&self, config: &Config, client: &Client) -> Value {
        let wanted = client.connections.iter().filter(|name| self.wants(name));
        let known = wanted.filter_map(|name| Some((name, config.connections.get(name)?)));
        let items = known.map(|(name, record)| (name.clone(), connection_item(name, record)));
        self.answer("connections", items.collect())
    }

    fn answer(&self, member: &str, items: Vec<(String, Value)>) -> Value {
        let (items, next) = self.cut(items);
        match next {
            Some(next) => json!({ member: items, "next": next }),
            None => json!({ member: items }),
        }
    }
}

/// One account, as `complete` and lists show it. `user_id` and `label`, which Auth0's schema does not have, say
/// whose account it is.
pub fn account_item(account: &AccountView, connection: &str) -> Value {
    let mut item = json!({
        "id": account.id,
        "connection": connection,
        "access_type": "offline",
        "scopes": account.scopes,
        "created_at": rfc3339(account.created_at),
    });
    if let Some(members) = item.as_object_mut() {
        let named = [("user_id", &account.user_id), ("label", &account.label)];
        for (name, text) in named {
            members.extend(text.as_ref().map(|text| (name.into(), json!(text))));
        }
        // This is when the provider's refresh token expires.
        members.extend(account.expires_at.map(|at| ("expires_at".into(), json!(rfc3339(at)))));
        if !account.provider_data.is_empty() {
            members.insert("provider_data".into(), json!(account.provider_data));
        }
    }
    item
}

fn connection_item(name: &str, connection: &Connection) -> Value {
    let scopes = scopes::ask(connection, &[]);
    let mut item = json!({ "name": name, "strategy": connection.strategy, "scopes": scopes });
    let kinds: Vec<&String> = connection.kinds_there().collect();
    if let (false, Some(members)) = (kinds.is_empty(), item.as_object_mut()) {
        members.insert("token_kinds".into(), json!(kinds));
    }
    item
}
