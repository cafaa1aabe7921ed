// SPDX-License-Identifier: Apache-2.0
//! The browser session: what each request gives in each state, how long it lives, and what its end
//! leaves.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod issuer_support;

use issuer_support::{NOW, at, pinned, sealer};
use vault_base::secret::Secret;
use vault_core::event::Event;
use vault_core::issuer::machine::{Machine, Step, Write};
use vault_core::issuer::session::{
    BrowserSession, Ended, MAX_CLIENTS, MAX_FAMILIES, Member, Pending, Proof, Record, Request,
    Response, SignIn, Task, View,
};

const HOUR: i64 = 3600;
const DAY: i64 = 86_400;
const SID: &str = "BwcHBwcHBwcHBwcHcgzT0hrJwnXKRTfb";

fn sign_in(sub: &str, auth_time: i64) -> SignIn {
    SignIn {
        sub: sub.into(),
        connection: "github".into(),
        auth_time,
        idle_seconds: HOUR,
        absolute_seconds: DAY,
    }
}

/// A session's object, and the browser's cookie.
struct Session {
    record: Option<Record>,
    secret: Secret,
}

impl Session {
    /// Alice has signed in at `NOW`.
    fn begun() -> Self {
        let mut session = Self { record: None, secret: Secret::new("") };
        let start = Request::Start { sid: SID.into(), sign_in: sign_in("github|alice", NOW) };
        session.secret = secret_of(session.step(NOW, start));
        session
    }

    /// Signed in to `app` and `web`, with families.
    fn joined() -> Self {
        let mut session = Self::begun();
        session.join(NOW, "app", Some("f1"));
        session.join(NOW, "app", Some("f2"));
        session.join(NOW, "web", None);
        session
    }

    fn step(&mut self, now: i64, request: Request) -> Step<Record, Response> {
        let before = self.record.clone();
        let step = BrowserSession::step(before.clone(), request, &at(now, &sealer())).unwrap();
        self.record = match &step.write {
            Write::Keep => before,
            Write::Put(record) => Some(record.clone()),
            Write::Delete => None,
        };
        step
    }

    fn check(&mut self, now: i64) -> Option<View> {
        let secret = self.secret.clone();
        match self.step(now, Request::Check { secret }).response {
            Response::Session(view) => Some(*view),
            Response::None => None,
            other => panic!("{other:?}"),
        }
    }

    fn join(&mut self, now: i64, client: &str, family: Option<&str>) -> Option<Vec<String>> {
        let family = family.map(str::to_owned);
        match self.step(now, Request::Join { client_id: client.into(), family }).response {
            Response::Joined { end } => Some(end),
            Response::None => None,
            other => panic!("{other:?}"),
        }
    }

    fn cookie(&self) -> Proof {
        Proof::Secret(self.secret.clone())
    }

    fn end(&mut self, now: i64, proof: Proof) -> Option<Vec<Task>> {
        match self.step(now, Request::End { proof }).response {
            Response::Ended { sid, sub, tasks } => {
                assert_eq!((sid.as_str(), sub.as_str()), (SID, "github|alice"));
                Some(tasks)
            }
            Response::None => None,
            other => panic!("{other:?}"),
        }
    }

    fn due(&mut self, now: i64) -> Vec<Task> {
        match self.step(now, Request::Due).response {
            Response::Due { tasks, .. } => tasks,
            Response::None => Vec::new(),
            other => panic!("{other:?}"),
        }
    }
}

fn secret_of(step: Step<Record, Response>) -> Secret {
    match step.response {
        Response::Started { secret } => secret,
        other => panic!("{other:?}"),
    }
}

fn notify(client: &str) -> Task {
    Task::Notify { client_id: client.into() }
}

fn end_family(family: &str) -> Task {
    Task::EndFamily { family: family.into() }
}

#[test]
fn without_a_session_nothing_but_its_start_does_anything() {
    let secret = || Secret::new("s");
    for request in [
        Request::SignIn { secret: secret(), sign_in: sign_in("github|alice", NOW) },
        Request::Check { secret: secret() },
        Request::Join { client_id: "app".into(), family: None },
        Request::End { proof: Proof::Subject("github|alice".into()) },
        Request::Due,
        Request::Done { tasks: vec![] },
    ] {
        let step = BrowserSession::step(None, request.clone(), &at(NOW, &sealer())).unwrap();
        assert!(matches!(step.response, Response::None), "{request:?}");
        assert_eq!(step.write, Write::Keep, "{request:?}");
    }
}

#[test]
fn a_session_starts_once_and_keeps_its_cookies_hash_alone() {
    let session = Session::begun();
    assert_eq!(session.secret.expose().len(), 43);
    let stored = serde_json::to_string(&session.record).unwrap();
    assert!(!stored.contains(session.secret.expose()));
    let again = Request::Start { sid: SID.into(), sign_in: sign_in("github|eve", NOW) };
    let step = BrowserSession::step(session.record, again, &at(NOW, &sealer())).unwrap();
    assert!(matches!((&step.response, &step.write), (Response::None, Write::Keep)));
}

#[test]
fn a_session_lives_while_it_is_used_and_no_longer_than_it_may() {
    let view = Session::begun().check(NOW).unwrap();
    assert_eq!(
        view,
        View {
            sid: SID.into(),
            sub: "github|alice".into(),
            connection: "github".into(),
            auth_time: NOW,
            absolute_end: NOW + DAY,
            clients: vec![],
        }
    );
    for (uses, now, lives) in [
        (vec![], NOW + HOUR - 1, true),
        (vec![], NOW + HOUR, false),
        (vec![NOW + HOUR - 1], NOW + HOUR, true),
        (vec![NOW + HOUR - 1], NOW + 2 * HOUR - 1, false),
        ((1..48).map(|half| NOW + half * HOUR / 2).collect(), NOW + DAY - 1, true),
        ((1..48).map(|half| NOW + half * HOUR / 2).collect(), NOW + DAY, false),
    ] {
        let mut session = Session::begun();
        for at in &uses {
            assert!(session.check(*at).is_some(), "{at}");
        }
        assert_eq!(session.check(now).is_some(), lives, "{uses:?} {now}");
    }
}

#[test]
fn a_use_is_written_once_a_minute_and_moves_no_alarm() {
    let mut session = Session::begun();
    for (now, writes) in [(NOW + 1, false), (NOW + 59, false), (NOW + 60, true), (NOW + 61, false)]
    {
        let secret = session.secret.clone();
        let step = session.step(now, Request::Check { secret });
        assert_eq!(matches!(step.write, Write::Put(_)), writes, "{now}");
        assert_eq!(step.wake_at, None);
    }
}

#[test]
fn another_secret_admits_nobody() {
    let mut session = Session::joined();
    let hash = session.record.as_ref().unwrap().secret.clone();
    for wrong in ["", "s", &hash] {
        let wrong = Secret::new(wrong);
        for request in [
            Request::Check { secret: wrong.clone() },
            Request::SignIn { secret: wrong.clone(), sign_in: sign_in("github|alice", NOW) },
            Request::End { proof: Proof::Secret(wrong.clone()) },
        ] {
            let step = session.step(NOW, request);
            assert!(matches!((&step.response, &step.write), (Response::None, Write::Keep)));
        }
    }
}

#[test]
fn each_sign_in_changes_the_cookie_and_keeps_the_sid_and_the_clients() {
    let mut session = Session::joined();
    let old = session.secret.clone();
    let later = NOW + HOUR / 2;
    let again = Request::SignIn { secret: old.clone(), sign_in: sign_in("github|alice", later) };
    let step = session.step(later, again);
    assert_eq!(step.wake_at, Some(later + DAY));
    session.secret = secret_of(step);
    let view = session.check(later).unwrap();
    assert_eq!((view.sid.as_str(), view.auth_time, view.absolute_end), (SID, later, later + DAY));
    assert_eq!(view.clients, ["app", "web"]);
    session.secret = old;
    assert_eq!(session.check(later), None);
}

#[test]
fn another_user_never_takes_a_session_over() {
    let mut session = Session::joined();
    let secret = session.secret.clone();
    let eve = Request::SignIn { secret, sign_in: sign_in("github|eve", NOW) };
    let step = session.step(NOW, eve);
    assert!(matches!((&step.response, &step.write), (Response::None, Write::Keep)));
    assert_eq!(session.check(NOW).unwrap().sub, "github|alice");
    // Nor is one that is over signed in to again.
    let secret = session.secret.clone();
    let late = Request::SignIn { secret, sign_in: sign_in("github|alice", NOW + HOUR) };
    assert!(matches!(session.step(NOW + HOUR, late).response, Response::None));
}

#[test]
fn a_client_is_listed_once_with_its_families() {
    let mut session = Session::joined();
    let before = session.record.clone().unwrap();
    assert_eq!(
        before.clients,
        [
            Member { client_id: "app".into(), families: vec!["f1".into(), "f2".into()] },
            Member { client_id: "web".into(), families: vec![] },
        ]
    );
    // Joining again with what is known writes nothing.
    let again = Request::Join { client_id: "web".into(), family: None };
    assert_eq!(session.step(NOW, again).write, Write::Keep);
}

#[test]
fn what_a_session_cannot_remember_is_handed_back_to_be_ended() {
    let mut session = Session::begun();
    for number in 0..MAX_FAMILIES {
        assert_eq!(session.join(NOW, "app", Some(&format!("f{number}"))), Some(vec![]));
    }
    assert_eq!(session.join(NOW, "app", Some("next")), Some(vec!["f0".into()]));
    for number in 1..MAX_CLIENTS {
        assert_eq!(session.join(NOW, &format!("c{number}"), None), Some(vec![]));
    }
    let dropped = session.join(NOW, "one more", None).unwrap();
    assert_eq!((dropped.len(), dropped[0].as_str()), (MAX_FAMILIES, "f1"));
    assert_eq!(session.record.unwrap().clients.len(), MAX_CLIENTS);
}

#[test]
fn nobody_joins_a_session_that_is_over() {
    let mut session = Session::joined();
    assert_eq!(session.join(NOW + HOUR, "late", Some("f9")), None);
    let cookie = session.cookie();
    session.end(NOW, cookie);
    assert_eq!(session.join(NOW, "late", Some("f9")), None);
}

#[test]
fn the_end_of_a_session_gives_the_caller_tokens_to_end_and_the_object_clients_to_notify() {
    let tokens = [Task::EndAccessTokens, end_family("f1"), end_family("f2")];
    for by_cookie in [true, false] {
        let mut session = Session::joined();
        let proof =
            if by_cookie { session.cookie() } else { Proof::Subject("github|alice".into()) };
        let step = session.step(NOW, Request::End { proof });
        let Response::Ended { tasks, .. } = step.response else { panic!("{step:?}") };
        assert_eq!((tasks.as_slice(), step.wake_at), (tokens.as_slice(), Some(NOW)));
        assert_eq!(session.check(NOW), None);
        assert_eq!(session.due(NOW), [notify("app"), notify("web")]);
    }
    let eve = Proof::Subject("github|eve".into());
    assert_eq!(Session::joined().end(NOW, eve), None);
}

#[test]
fn a_logout_still_finds_the_clients_of_a_session_that_was_idle() {
    let mut session = Session::joined();
    let cookie = session.cookie();
    assert_eq!(session.check(NOW + 2 * HOUR), None);
    assert_eq!(session.end(NOW + 2 * HOUR, cookie).unwrap().len(), 3);
}

#[test]
fn a_session_without_clients_is_gone_when_its_access_tokens_have_ended() {
    let mut session = Session::begun();
    let cookie = session.cookie();
    assert_eq!(session.end(NOW, cookie), Some(vec![Task::EndAccessTokens]));
    session.step(NOW, Request::Done { tasks: vec![Task::EndAccessTokens] });
    assert_eq!(session.record, None);
}

#[test]
fn a_logout_that_was_cut_short_is_carried_on_by_the_object_and_by_the_next_logout() {
    let mut session = Session::joined();
    let cookie = session.cookie();
    session.end(NOW, cookie.clone());
    assert_eq!(session.end(NOW + 1, cookie.clone()), Some(vec![]));
    let tokens = [Task::EndAccessTokens, end_family("f1"), end_family("f2")];
    assert_eq!(session.end(NOW + 60, cookie), Some(tokens.to_vec()));
    assert_eq!(session.due(NOW + 200)[..3], tokens);
}

#[test]
fn a_task_is_due_again_until_it_is_done() {
    let mut session = Session::joined();
    let cookie = session.cookie();
    let mut done = session.end(NOW, cookie).unwrap();
    assert_eq!(session.due(NOW), [notify("app"), notify("web")]);
    done.push(notify("app"));
    session.step(NOW, Request::Done { tasks: done });
    assert_eq!(session.due(NOW + 59), []);
    assert_eq!(session.due(NOW + 60), [notify("web")]);
    assert_eq!(session.due(NOW + 61), []);
    let step = session.step(NOW + 70, Request::Done { tasks: vec![notify("web")] });
    assert_eq!((step.write, step.wake_at), (Write::Delete, None));
}

#[test]
fn a_task_that_never_succeeds_is_given_up_after_two_days_and_logged() {
    let mut session = Session::joined();
    let cookie = session.cookie();
    let mut done = session.end(NOW, cookie).unwrap();
    done.push(notify("app"));
    session.step(NOW, Request::Done { tasks: done });
    assert_eq!(session.due(NOW), [notify("web")]);
    let mut tries = 1;
    loop {
        let ended = session.record.as_ref().unwrap().ended.as_ref().unwrap();
        let due = ended.due().unwrap();
        let step = session.step(due, Request::Due);
        let Response::Due { tasks, .. } = &step.response else { panic!("{step:?}") };
        if tasks.is_empty() {
            assert_eq!(step.write, Write::Delete);
            let lines: Vec<String> = step.events.iter().map(Event::line).collect();
            assert_eq!(
                lines,
                [r#"{"event":"logout_incomplete","reason":"client_not_notified","detail":"web"}"#]
            );
            assert!((2 * DAY..3 * DAY).contains(&(due - NOW)), "{due}");
            break;
        }
        assert_eq!(step.wake_at, session.record.as_ref().unwrap().ended.as_ref().unwrap().due());
        tries += 1;
    }
    assert_eq!(tries, 7);
}

#[test]
fn the_object_wakes_to_delete_what_is_over() {
    let live = Session::joined().record.unwrap();
    let mut ended = Session::joined();
    let cookie = ended.cookie();
    ended.end(NOW, cookie);
    let ended = ended.record.unwrap();
    for (record, now, deletes, wakes) in [
        (&live, NOW + HOUR, false, Some(NOW + DAY)),
        (&live, NOW + DAY, true, None),
        (&ended, NOW + 1, false, Some(NOW + 61)),
        (&ended, NOW + 60, false, Some(NOW + 120)),
    ] {
        let step = BrowserSession::wake(record.clone(), &at(now, &sealer()));
        let write = if deletes { Write::Delete } else { Write::Keep };
        assert_eq!((step.write, step.wake_at), (write, wakes), "{now}");
    }
}

#[test]
fn the_record_is_pinned() {
    let record = Record {
        sid: "i".into(),
        sub: "github|alice".into(),
        secret: "h".into(),
        connection: "github".into(),
        auth_time: 1,
        created_at: 2,
        used_at: 3,
        idle_seconds: 4,
        absolute_end: 5,
        clients: vec![Member { client_id: "app".into(), families: vec!["f".into()] }],
        ended: None,
    };
    let live = r#"{"sid":"i","sub":"github|alice","secret":"h","connection":"github","auth_time":1,"created_at":2,"used_at":3,"idle_seconds":4,"absolute_end":5,"clients":[{"client_id":"app","families":["f"]}]"#;
    pinned(&record, &format!("{live}}}"));
    let pending = |task| Pending { task, due: 7, attempts: 1 };
    let tasks = vec![pending(notify("app")), pending(end_family("f"))];
    pinned(
        &Record { ended: Some(Ended { at: 6, tasks }), ..record },
        &format!(
            r#"{live},"ended":{{"at":6,"tasks":[{{"task":{{"notify":{{"client_id":"app"}}}},"due":7,"attempts":1}},{{"task":{{"end_family":{{"family":"f"}}}},"due":7,"attempts":1}}]}}}}"#
        ),
    );
}

#[test]
fn the_messages_are_pinned() {
    let sign_in = sign_in("github|alice", 1);
    let signed_in = r#"{"sub":"github|alice","connection":"github","auth_time":1,"idle_seconds":3600,"absolute_seconds":86400}"#;
    let secret = || Secret::new("s");
    let tasks = || vec![notify("app")];
    let listed = r#"[{"notify":{"client_id":"app"}}]"#;
    for (request, json) in [
        (
            Request::Start { sid: "i".into(), sign_in: sign_in.clone() },
            format!(r#"{{"start":{{"sid":"i","sign_in":{signed_in}}}}}"#),
        ),
        (
            Request::SignIn { secret: secret(), sign_in },
            format!(r#"{{"sign_in":{{"secret":"s","sign_in":{signed_in}}}}}"#),
        ),
        (Request::Check { secret: secret() }, r#"{"check":{"secret":"s"}}"#.into()),
        (
            Request::Join { client_id: "app".into(), family: Some("f".into()) },
            r#"{"join":{"client_id":"app","family":"f"}}"#.into(),
        ),
        (
            Request::Join { client_id: "app".into(), family: None },
            r#"{"join":{"client_id":"app"}}"#.into(),
        ),
        (
            Request::End { proof: Proof::Secret(secret()) },
            r#"{"end":{"proof":{"secret":"s"}}}"#.into(),
        ),
        (
            Request::End { proof: Proof::Subject("u".into()) },
            r#"{"end":{"proof":{"subject":"u"}}}"#.into(),
        ),
        (Request::Due, r#""due""#.into()),
        (Request::Done { tasks: tasks() }, format!(r#"{{"done":{{"tasks":{listed}}}}}"#)),
    ] {
        pinned(&request, &json);
    }
    let view = Session::begun().check(NOW).unwrap();
    let view = View { auth_time: 1, absolute_end: 2, clients: vec!["app".into()], ..view };
    for (response, json) in [
        (Response::None, r#""none""#.into()),
        (Response::Started { secret: secret() }, r#"{"started":{"secret":"s"}}"#.into()),
        (
            Response::Session(Box::new(view)),
            format!(
                r#"{{"session":{{"sid":"{SID}","sub":"github|alice","connection":"github","auth_time":1,"absolute_end":2,"clients":["app"]}}}}"#
            ),
        ),
        (Response::Joined { end: vec!["f".into()] }, r#"{"joined":{"end":["f"]}}"#.into()),
        (
            Response::Ended { sid: "i".into(), sub: "u".into(), tasks: tasks() },
            format!(r#"{{"ended":{{"sid":"i","sub":"u","tasks":{listed}}}}}"#),
        ),
        (
            Response::Due { sid: "i".into(), sub: "u".into(), tasks: tasks() },
            format!(r#"{{"due":{{"sid":"i","sub":"u","tasks":{listed}}}}}"#),
        ),
        (Response::Done, r#""done""#.into()),
    ] {
        pinned(&response, &json);
    }
}
