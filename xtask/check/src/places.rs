// SPDX-License-Identifier: Apache-2.0
//! Where objects will be created, and what of that may not be meant.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use edge_token_vault::address::Location;
use edge_token_vault::config::{Client, Config};

/// What stands for the missing place in the report.
const ANYWHERE: &str = "wherever the first request comes from";

/// What is valid but may not be meant, for all objects.
pub(crate) fn gaps(config: &Config) -> Vec<String> {
    let mut gaps = Vec::new();
    // In development, hints do nothing.
    if config.location.is_none() && !config.public_url.is_local() && !config.clients.is_empty() {
        gaps.push(match config.objects(None).shared() {
            None => "LOCATION is not set: objects are created near whoever asks first, such as the browser of a user \
                     who connects an account, and never move. Set it to the region of the back ends that exchange \
                     tokens, before the first user comes"
                .to_owned(),
            Some(place) => format!(
                "LOCATION is not set: what all clients share is created in {}, the `location` of the first client \
                 that exchanges tokens. Set LOCATION, so that it does not depend on the clients' names",
                place.hint()
            ),
        });
    }
    gaps.extend(used(config).into_iter().filter_map(|hint| far(hint).map(str::to_owned)));
    gaps
}

/// All hints that are configured.
fn used(config: &Config) -> BTreeSet<&'static str> {
    let connections = config.connections.values().map(|connection| connection.location);
    let clients = config.clients.values().map(|client| client.location);
    let all = std::iter::once(config.location).chain(connections).chain(clients);
    all.flatten().map(Location::hint).collect()
}

/// Which hints lead elsewhere than their names say
/// (<https://developers.cloudflare.com/durable-objects/reference/data-location/>, read on 28 November 2026).
fn far(hint: &str) -> Option<&'static str> {
    Some(match hint {
        "sam" => {
            "`sam`: Cloudflare has no objects in South America; they are created in the east of North America"
        }
        "afr" => "`afr`: Cloudflare has no objects in Africa; they are created in a region near it",
        "me" => {
            "`me`: Cloudflare has no objects in the Middle East; they are created in a region near it"
        }
        "apac" => {
            "`apac` is wide, and the first request decides where in it an object is created: name `apac-ne` or \
             `apac-se`"
        }
        _ => return None,
    })
}

/// Where what all clients share is created.
pub(crate) fn shared(config: &Config) -> String {
    format!("What all clients share is created {}", place(config.objects(None).shared()))
}

fn place(location: Option<Location>) -> String {
    location.map_or_else(|| ANYWHERE.to_owned(), |location| format!("in {}", location.hint()))
}

/// Where the objects of a client's users are created, if tokens are issued to it.
pub(crate) fn of_client(config: &Config, id: &str, client: &Client) -> Option<String> {
    if !has_users(config, id, client) {
        return client.location.map(|own| {
            format!(
                "its back ends are in {}, so the vaults whose tokens it exchanges are, too",
                own.hint()
            )
        });
    }
    let objects = config.objects(Some(id));
    let most = objects.near_back_ends(None);
    let mut line = format!("what is its users' is created {}", place(most));
    for connection in &client.connections {
        let vaults = objects.near_back_ends(Some(connection));
        if vaults != most {
            let _ = write!(line, ", their vaults at {connection} {}", place(vaults));
        }
    }
    Some(line)
}

/// Whether tokens are issued to a client: it connects accounts, signs users in, or its tokens are exchanged.
fn has_users(config: &Config, id: &str, client: &Client) -> bool {
    !client.redirect_uris.is_empty()
        || config.clients.values().any(|other| other.exchanges_for(Some(id), None))
}

/// The clients whose users have vaults at a connection, with the place of these vaults.
fn vaults<'a>(config: &'a Config, connection: &str) -> BTreeMap<&'a str, Option<Location>> {
    let exchanging =
        config.clients.values().filter(|client| client.exchanges_for(None, Some(connection)));
    let issued_to = exchanging.flat_map(|client| &client.accepts_from);
    let connecting = config.clients.iter().filter(|(id, client)| {
        client.connections.iter().any(|one| one == connection) && has_users(config, id, client)
    });
    let ids = issued_to.chain(connecting.map(|(id, _)| id));
    let place = |id: &'a String| config.objects(Some(id)).near_back_ends(Some(connection));
    ids.map(|id| (id.as_str(), place(id))).collect()
}

/// Where the vaults of a connection are created.
pub(crate) fn of_connection(config: &Config, connection: &str) -> Option<String> {
    let mut by_place: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (id, location) in vaults(config, connection) {
        by_place.entry(place(location)).or_default().push(id);
    }
    let places: Vec<String> = match by_place.len() {
        1 => by_place.into_keys().collect(),
        _ => by_place
            .into_iter()
            .map(|(place, ids)| format!("{place} for users of {}", ids.join(", ")))
            .collect(),
    };
    (!places.is_empty()).then(|| format!("its vaults are created {}", places.join("; ")))
}

/// Notes on clients that differ about the vaults of a connection.
pub(crate) fn notes_of_connection(config: &Config, connection: &str) -> Vec<String> {
    let vaults = vaults(config, connection);
    let mut notes = Vec::new();
    let places: BTreeSet<Option<&str>> =
        vaults.values().map(|location| location.map(Location::hint)).collect();
    if places.len() > 1 {
        let ids: Vec<&str> = vaults.keys().copied().collect();
        notes.push(format!(
            "the vault of a user of several of the clients {} is created where the first of them that asks has its \
             place, and stays there: give the same `location` to clients that share users",
            ids.join(", ")
        ));
    }
    for (id, place) in &vaults {
        if config.clients.get(*id).is_some_and(|client| client.location.is_some()) {
            continue;
        }
        let exchanging = config.clients.iter().filter(|(_, client)| {
            client.location.is_some() && client.exchanges_for(Some(id), Some(connection))
        });
        let found: Vec<(&String, &str)> =
            exchanging.filter_map(|(name, client)| Some((name, client.location?.hint()))).collect();
        let differ =
            found.iter().any(|(_, hint)| found.first().is_some_and(|(_, first)| first != hint));
        if differ {
            let named: Vec<String> =
                found.iter().map(|(name, hint)| format!("{name} ({hint})")).collect();
            let chosen = place.map_or("", Location::hint);
            notes.push(format!(
                "clients in different places exchange tokens issued to `{id}`: {}. Vaults are created in {chosen}; set \
                 the `location` of `{id}` to choose for its users",
                named.join(", ")
            ));
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use crate::{report, variables};

    /// An application, and two back ends that exchange tokens issued to it.
    const FILE: &str = r#"
        [vars]
        PUBLIC_URL = "https://vault.example.org"
        [vars.ISSUERS.main]
        issuer = "https://login.example.com"
        audiences = ["https://vault.example.org/"]
        [vars.CONNECTIONS.calendar]
        provider = "google"
        client_id = "1"
        [vars.CLIENTS.app]
        authentication = "none"
        connections = ["calendar"]
        redirect_uris = ["https://app.example.com/"]
        [vars.CLIENTS.east]
        authentication = "client_secret"
        secret_sha256 = ["0000000000000000000000000000000000000000000000000000000000000000"]
        grants = ["urn:ietf:params:oauth:grant-type:token-exchange"]
        accepts_from = ["app"]
        connections = ["calendar"]
        [vars.CLIENTS.west]
        authentication = "client_secret"
        secret_sha256 = ["1111111111111111111111111111111111111111111111111111111111111111"]
        grants = ["urn:ietf:params:oauth:grant-type:token-exchange"]
        accepts_from = ["app"]
        connections = ["calendar"]
    "#;

    /// The report with a `location` added below each of these headings; an empty one stands for `LOCATION`.
    fn report(places: &[(&str, &str)]) -> String {
        let mut file = FILE.to_owned();
        for (table, hint) in places {
            file = match *table {
                "" => file.replace("[vars]", &format!("[vars]\nLOCATION = \"{hint}\"")),
                table => file.replace(
                    &format!("[vars.{table}]"),
                    &format!("[vars.{table}]\nlocation = \"{hint}\""),
                ),
            };
        }
        report::text(&variables::loaded(&file))
    }

    #[test]
    fn the_report_says_where_objects_are_created_and_notes_if_nothing_says_so() {
        let nothing = report(&[]);
        for line in [
            "NOTE: LOCATION is not set: objects are created near whoever asks first",
            "\nWhat all clients share is created wherever the first request comes from\n",
            "\n  its vaults are created wherever the first request comes from\n",
            "\n  what is its users' is created wherever the first request comes from\n",
        ] {
            assert!(nothing.contains(line), "{line}: {nothing}");
        }
        let deployment = report(&[("", "weur")]);
        for line in [
            "\nWhat all clients share is created in weur\n",
            "\n  its vaults are created in weur\n",
            "\n  what is its users' is created in weur\n",
        ] {
            assert!(deployment.contains(line), "{line}: {deployment}");
        }
        assert!(!deployment.contains("LOCATION is not set"), "{deployment}");
        let connection = report(&[("", "weur"), ("CONNECTIONS.calendar", "enam")]);
        for line in [
            "\nWhat all clients share is created in weur\n",
            "\n  its vaults are created in enam\n",
            "\n  what is its users' is created in weur, their vaults at calendar in enam\n",
        ] {
            assert!(connection.contains(line), "{line}: {connection}");
        }
        let client = report(&[("", "weur"), ("CLIENTS.east", "enam")]);
        for line in [
            "\n  its vaults are created in enam\n",
            "\n  what is its users' is created in enam\n",
            "\n  its back ends are in enam, so the vaults whose tokens it exchanges are, too\n",
        ] {
            assert!(client.contains(line), "{line}: {client}");
        }
        let first = report(&[("CLIENTS.west", "wnam")]);
        assert!(first.contains("LOCATION is not set: what all clients share is created in wnam"));
        for found in [deployment, connection, client] {
            assert!(!found.contains("NOTE"), "{found}");
        }
    }

    #[test]
    fn the_report_notes_clients_that_differ_about_the_vaults_of_a_connection() {
        let differ = report(&[("", "weur"), ("CLIENTS.east", "enam"), ("CLIENTS.west", "wnam")]);
        let note = "  NOTE: clients in different places exchange tokens issued to `app`: east (enam), west (wnam). \
                    Vaults are created in weur; set the `location` of `app`";
        assert!(differ.contains(note), "{differ}");
        let chosen = report(&[
            ("", "weur"),
            ("CLIENTS.app", "oc"),
            ("CLIENTS.east", "enam"),
            ("CLIENTS.west", "wnam"),
        ]);
        assert!(!chosen.contains("clients in different places"), "{chosen}");
        assert!(chosen.contains("\n  its vaults are created in oc\n"), "{chosen}");
        let file = FILE.replace("accepts_from = [\"app\"]", "accepts_from = [\"app\", \"mobile\"]");
        let file = file.replace("[vars.CLIENTS.app]", "[vars.CLIENTS.app]\nlocation = \"oc\"");
        let two = report::text(&variables::loaded(
            &file.replace("[vars]", "[vars]\nLOCATION = \"weur\""),
        ));
        let line =
            "\n  its vaults are created in oc for users of app; in weur for users of mobile\n";
        assert!(two.contains(line), "{two}");
        assert!(
            two.contains("NOTE: the vault of a user of several of the clients app, mobile"),
            "{two}"
        );
    }

    #[test]
    fn the_report_notes_hints_that_lead_elsewhere_than_they_say() {
        for (hint, note) in [
            ("sam", Some("NOTE: `sam`: Cloudflare has no objects in South America")),
            ("afr", Some("NOTE: `afr`: Cloudflare has no objects in Africa")),
            ("me", Some("NOTE: `me`: Cloudflare has no objects in the Middle East")),
            ("apac", Some("NOTE: `apac` is wide")),
            ("apac-se", None),
            ("weur", None),
        ] {
            let found = report(&[("", "oc"), ("CONNECTIONS.calendar", hint)]);
            match note {
                Some(note) => assert_eq!(found.matches(note).count(), 1, "{found}"),
                None => assert!(!found.contains("NOTE"), "{found}"),
            }
        }
    }

    #[test]
    fn a_vault_in_development_is_not_told_to_set_a_place() {
        let file = FILE.replace("https://vault.example.org", "http://127.0.0.1:8787");
        assert!(!report::text(&variables::loaded(&file)).contains("LOCATION"));
    }
}
