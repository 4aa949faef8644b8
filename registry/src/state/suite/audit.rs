use std::{collections::BTreeMap, net::IpAddr};

use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue};
use jiff::{Timestamp, ToSpan as _};
use longshore_oci::{AuditHead, AuditLine};
use longshore_service::request_id::{HEADER, RequestId};
use serde_json::{Value, json};

use super::{
    Subject, on_every_database,
    samples::{commit, digest, repository, tag},
};
use crate::state::{
    AccessLimits, AccountChange, AccountKind, AuditFilter, Author, Event, EventKind, Expiry, Made, NewAccount, NotedBatch,
    RolePlace, SharedState, StateError, StoredAccount, StoredRole,
};

on_every_database!(
    each_event_says_who_did_it_and_becomes_a_line,
    lines_are_found_by_who_what_and_when,
    what_is_no_change_is_noted_with_its_own_author,
    accounts_and_roles_are_told_of_without_their_secrets,
    changes_that_are_made_together_keep_their_authors,
    replicas_make_one_chain,
    lines_are_kept_for_a_time_and_the_rest_still_holds,
    what_waits_for_its_line_is_not_dropped,
    a_rebuilding_leaves_the_log_as_it_is,
);

/// Work in the name of this account, or of nobody in particular, in a request whose id is `r-` and the number.
async fn by<T>(account: Option<&str>, number: usize, work: impl Future<Output = T>) -> T {
    let id = HeaderValue::try_from(format!("r-{number}")).unwrap();
    let author = Author::new(IpAddr::from([10, 0, 0, 7]), RequestId::of(&HeaderMap::from_iter([(HEADER, id)])));
    let named = async {
        if let Some(account) = account {
            Author::known_as(account);
        }
        work.await
    };
    Author::scope(Some(author), named).await
}

async fn chain_all(state: &SharedState) {
    while state.is_audit_waiting().await.unwrap() {
        state.chain_audit(3).await.unwrap();
    }
}

fn all() -> AuditFilter {
    AuditFilter { after: 0, upto: u64::MAX, since: None, until: None, actor: None, action: None, limit: 100_000 }
}

/// All lines; each must have the next number, and the hash that it should.
async fn lines(state: &SharedState) -> (Vec<Value>, AuditHead) {
    let (lines, head) = (state.audit_lines(all()).await.unwrap(), state.audit_head().await.unwrap());
    let (mut seq, mut hash) = (head.first_seq, head.first_previous.clone());
    for (number, line) in &lines {
        assert_eq!(*number, seq);
        assert_eq!(line.hash, AuditLine::hash_of(&hash, &line.line), "{}", line.line);
        (seq, hash) = (seq + 1, line.hash.clone());
    }
    assert_eq!((head.seq + 1, &head.hash), (seq, &hash));
    let lines: Vec<Value> = lines.iter().map(|(_, line)| serde_json::from_str(&line.line).unwrap()).collect();
    for (line, number) in lines.iter().zip(head.first_seq..) {
        assert_eq!(line["seq"], number);
    }
    (lines, head)
}

async fn each_event_says_who_did_it_and_becomes_a_line(subject: Subject) {
    let state = &subject.state;
    assert!(!state.is_audit_waiting().await.unwrap());
    let empty = state.audit_head().await.unwrap();
    assert_eq!((empty.seq, empty.hash.as_str(), empty.first_seq), (0, AuditLine::NO_HASH, 1));
    by(Some("ann"), 1, commit(state, "a/b", "one")).await;
    by(None, 2, commit(state, "a/b", "two")).await;
    commit(state, "a/b", "three").await;
    assert!(state.is_audit_waiting().await.unwrap());
    assert_eq!(state.chain_audit(2).await.unwrap(), 2, "so many at a time");
    let first_head = state.audit_head().await.unwrap();
    assert_eq!(state.chain_audit(2).await.unwrap(), 1);
    assert_eq!(state.chain_audit(2).await.unwrap(), 0);

    let (mut lines, head) = lines(state).await;
    let at = lines[0]["at"].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert!((Timestamp::now().as_second() - at.as_second()).abs() < 600);
    for line in &mut lines {
        line.as_object_mut().unwrap().remove("at");
    }
    let line = |seq: u64, content: &str| json!({"seq": seq, "action": "blob.pushed", "repository": "a/b", "digest": digest(content), "result": "done"});
    let with = |mut line: Value, members: Value| {
        line.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        line
    };
    assert_eq!(
        lines,
        [
            with(line(1, "one"), json!({"actor": "ann", "address": "10.0.0.7", "requestId": "r-1"})),
            with(line(2, "two"), json!({"actor": "anonymous", "address": "10.0.0.7", "requestId": "r-2"})),
            with(line(3, "three"), json!({"actor": "(registry)"})),
        ]
    );
    let second = &state.audit_lines(all()).await.unwrap()[1].1;
    assert_eq!((first_head.seq, &first_head.hash), (2, &second.hash));
    assert_eq!((head.seq, head.first_seq), (3, 1));
}

fn batch(number: u64, events: Vec<Event>) -> NotedBatch {
    NotedBatch { noter: "noter".into(), number, events }
}

async fn lines_are_found_by_who_what_and_when(subject: Subject) {
    let state = &subject.state;
    let kinds = [EventKind::LoginFailed, EventKind::LoginSucceeded, EventKind::TagSet, EventKind::AccessDenied];
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    let event = |number: usize| Event {
        actor: Some(if number.is_multiple_of(2) { "a_n" } else { "axn" }.to_owned()),
        // In the order of commits, which is not that of times.
        happened_at: at([10, 30, 20, 40][number]),
        ..Event::of_nobody(kinds[number])
    };
    state.note_events(batch(1, (0..4).map(event).collect())).await.unwrap();
    chain_all(state).await;
    let found = async |filter: AuditFilter| -> Vec<u64> {
        state.audit_lines(filter).await.unwrap().into_iter().map(|(seq, _)| seq).collect()
    };
    let of = |actor: &str| AuditFilter { actor: Some(actor.into()), ..all() };
    let action = |action: &str| AuditFilter { action: Some(action.into()), ..all() };
    assert_eq!(found(all()).await, [1, 2, 3, 4]);
    assert_eq!(found(AuditFilter { after: 1, upto: 3, ..all() }).await, [2, 3]);
    assert_eq!(found(AuditFilter { after: 1, limit: 1, ..all() }).await, [2]);
    assert_eq!(found(of("a_n")).await, [1, 3]);
    assert_eq!(found(action("login")).await, [1, 2]);
    assert_eq!(found(action("login.failed")).await, [1]);
    for none in ["log", "login.", "%", "login%", "_ogin"] {
        assert!(found(action(none)).await.is_empty(), "{none}");
    }
    assert_eq!(found(AuditFilter { since: Some(at(20)), ..all() }).await, [2, 3, 4]);
    assert_eq!(found(AuditFilter { since: Some(at(20)), until: Some(at(30)), ..all() }).await, [3]);
    for (since, first) in [(5, Some(1)), (15, Some(2)), (30, Some(2)), (31, Some(4)), (41, None)] {
        assert_eq!(state.first_audited_since(at(since)).await.unwrap(), first, "{since}");
    }
}

async fn what_is_no_change_is_noted_with_its_own_author(subject: Subject) {
    let state = &subject.state;
    let events = (0..1200).map(|number| Event {
        actor: Some(format!("a{number}")),
        address: Some(IpAddr::from([10, 0, 0, 1])),
        request_id: Some(format!("r-{number}")),
        detail: Some(json!({"reason": format!("\u{0}\"{number}"), "count": 2})),
        ..Event::of_nobody(EventKind::LoginFailed)
    });
    let events: Vec<Event> = events.collect();
    by(Some("other"), 9, state.note_events(batch(1, events.clone()))).await.unwrap();
    // What is not known to be written is written again, and is there once.
    state.note_events(batch(1, events)).await.unwrap();
    chain_all(state).await;
    let (lines, _) = lines(state).await;
    assert_eq!(lines.len(), 1200);
    // So is one that comes late, after the next.
    let noters = async || subject.texts("SELECT noter FROM audit_noters").await;
    for (number, expected) in [(3, 1201), (2, 1201), (3, 1201), (4, 1202)] {
        state.note_events(batch(number, vec![Event::of_nobody(EventKind::LoginFailed)])).await.unwrap();
        chain_all(state).await;
        assert_eq!(self::lines(state).await.0.len(), expected, "{number}");
    }
    // Another has numbers of its own, and ends what is known of those who are long gone.
    subject.execute("UPDATE audit_noters SET noted_at = 0").await;
    state
        .note_events(NotedBatch { noter: "another".into(), ..batch(1, vec![Event::of_nobody(EventKind::LoginFailed)]) })
        .await
        .unwrap();
    chain_all(state).await;
    assert_eq!((self::lines(state).await.0.len(), noters().await), (1203, vec!["another".to_owned()]));
    let last = &lines[1199];
    assert_eq!((&last["actor"], &last["requestId"], &last["result"]), (&json!("a1199"), &json!("r-1199"), &json!("failed")));
    assert_eq!((&last["detail"], last.get("repository")), (&json!({"reason": "\u{0}\"1199", "count": 2}), None));
    subject
        .execute("INSERT INTO events (kind, repository, happened_at, detail, is_unaudited) VALUES ('x', '', 0, '{', TRUE)")
        .await;
    chain_all(state).await;
    assert_eq!(self::lines(state).await.0[1203]["detail"], "{", "what is no JSON holds nothing up");
}

fn account(name: &str) -> NewAccount {
    let role = |id: &str| StoredRole {
        id: id.into(),
        subject: name.into(),
        actions: "pull,push".into(),
        place: RolePlace::Repositories("team/*".into()),
        created_at: Timestamp::UNIX_EPOCH,
    };
    NewAccount {
        account: StoredAccount {
            name: name.into(),
            kind: AccountKind::Person,
            secret_hash: "the hash of a secret".into(),
            credential: "a credential".into(),
            is_disabled: false,
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
            last_used_at: None,
            certificate: None,
        },
        roles: vec![role(&format!("role_{name}"))],
        limits: AccessLimits { accounts: 1000, roles: 1000 },
        is_first: false,
    }
}

async fn accounts_and_roles_are_told_of_without_their_secrets(subject: Subject) {
    let state = &subject.state;
    let work = async {
        state.add_account(account("ci")).await.unwrap();
        state.add_account(account("ci")).await.unwrap();
        let secret = Some(("the hash of a secret, again".to_owned(), "a credential, too".to_owned()));
        let end = Timestamp::from_second(9).unwrap();
        let change =
            AccountChange { secret, is_disabled: Some(true), expires_at: Some(Expiry::At(end)), ..AccountChange::default() };
        state.change_account("ci", change).await.unwrap();
        state.change_account("nobody", AccountChange::default()).await.unwrap();
        let place = RolePlace::Namespaces("team-*".into());
        let role = StoredRole { id: "role_2".into(), actions: "view,deploy".into(), place, ..account("ci").roles.remove(0) };
        assert_eq!(state.add_role(role, 9).await.unwrap(), Made::Done);
        assert!(state.delete_role("role_2").await.unwrap());
        assert!(!state.delete_role("role_2").await.unwrap());
        assert!(state.delete_account("ci").await.unwrap());
        assert!(!state.delete_account("ci").await.unwrap());
    };
    by(Some("admin"), 1, work).await;
    chain_all(state).await;
    let (lines, _) = lines(state).await;
    let told: Vec<(&str, &Value)> = lines.iter().map(|line| (line["action"].as_str().unwrap(), &line["detail"])).collect();
    let role = |id: &str| json!({"role": id, "subject": "ci", "actions": ["pull", "push"], "repositories": "team/*"});
    let of_fleet = |id: &str| json!({"role": id, "subject": "ci", "actions": ["view", "deploy"], "namespaces": "team-*"});
    assert_eq!(
        told,
        [
            ("account.created", &json!({"account": "ci", "kind": "person", "certificate": null, "expiresAt": null})),
            ("role.created", &role("role_ci")),
            (
                "account.changed",
                &json!({"account": "ci", "secret": "changed", "isDisabled": true, "expiresAt": "1970-01-01T00:00:09Z"})
            ),
            ("role.created", &of_fleet("role_2")),
            ("role.deleted", &of_fleet("role_2")),
            ("role.deleted", &role("role_ci")),
            ("account.deleted", &json!({"account": "ci"})),
        ]
    );
    assert!(lines.iter().all(|line| line["actor"] == "admin" && line["requestId"] == "r-1"));
    let text = Value::from(lines).to_string();
    assert!(!text.contains("hash of a secret") && !text.contains("credential"), "{text}");
}

/// Some of them fail, so that on SQLite the rest of their groups is done again, by another task than the one that asked.
async fn changes_that_are_made_together_keep_their_authors(subject: Subject) {
    const CHANGES: usize = 120;
    let (state, name) = (&subject.state, repository("a/b"));
    commit(state, "a/b", "there is such a repository").await;
    let changes = (0..CHANGES).map(|number| {
        let name = &name;
        let work = async move {
            if number.is_multiple_of(7) {
                let refused = state.delete_tag(name, &tag("absent"), 1).await;
                assert!(matches!(refused, Err(StateError::Changed)), "{refused:?}");
            }
            commit(state, "a/b", &format!("content {number}")).await;
        };
        async move { by(Some(&format!("a{number}")), number, work).await }
    });
    join_all(changes).await;
    chain_all(state).await;
    let (lines, _) = lines(state).await;
    let by_digest: BTreeMap<&str, &Value> = lines.iter().map(|line| (line["digest"].as_str().unwrap(), line)).collect();
    assert_eq!(lines.len(), CHANGES + 1);
    for number in 0..CHANGES {
        let line = by_digest[digest(&format!("content {number}")).as_str()];
        assert_eq!((&line["actor"], &line["requestId"]), (&json!(format!("a{number}")), &json!(format!("r-{number}"))));
    }
}

async fn replicas_make_one_chain(subject: Subject) {
    const CHANGES: usize = 40;
    let (state, other) = (&subject.state, subject.replica().await);
    let pushing = |state: SharedState, name: &'static str| async move {
        for number in 0..CHANGES {
            commit(&state, "a/b", &format!("{name} {number}")).await;
        }
    };
    let done = std::sync::atomic::AtomicBool::new(false);
    let keeping = async |state: &SharedState| {
        while !done.load(std::sync::atomic::Ordering::SeqCst) {
            state.chain_audit(5).await.unwrap();
        }
    };
    let pushed = async {
        tokio::join!(pushing(state.clone(), "one"), pushing(other.clone(), "two"));
        done.store(true, std::sync::atomic::Ordering::SeqCst);
    };
    tokio::join!(keeping(state), keeping(&other), pushed);
    chain_all(state).await;
    let (lines, head) = lines(&other).await;
    assert_eq!((lines.len(), head.seq), (2 * CHANGES, 2 * CHANGES as u64));
    let mut digests: Vec<&str> = lines.iter().map(|line| line["digest"].as_str().unwrap()).collect();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), 2 * CHANGES, "each has one line");
}

async fn lines_are_kept_for_a_time_and_the_rest_still_holds(subject: Subject) {
    let state = &subject.state;
    let event =
        |second: i64| Event { happened_at: Timestamp::from_second(second).unwrap(), ..Event::of_nobody(EventKind::AccessDenied) };
    state.note_events(batch(1, [1, 2, 9, 3, 4, 5, 6].map(event).to_vec())).await.unwrap();
    chain_all(state).await;
    let before = |second: i64| Timestamp::from_second(second).unwrap();
    assert_eq!(state.expire_audit(before(1), 10).await.unwrap(), 0);
    assert_eq!(state.expire_audit(before(8), 1).await.unwrap(), 1, "so many at a time");
    assert_eq!(state.expire_audit(before(8), 10).await.unwrap(), 1, "none goes before one that stays");
    let (left, head) = lines(state).await;
    assert_eq!((left.len(), head.first_seq, head.seq), (5, 3, 7));
    // Where one is missing what comes after it stays, so that it goes on being seen.
    subject.execute("DELETE FROM audit WHERE seq = 4").await;
    assert_eq!(state.expire_audit(before(100), 10).await.unwrap(), 1);
    assert_eq!(state.expire_audit(before(100), 10).await.unwrap(), 0);
    let head = state.audit_head().await.unwrap();
    assert_eq!((head.first_seq, head.seq), (4, 7));
    subject.execute("UPDATE audit_head SET first_seq = 5").await;
    assert_eq!(state.expire_audit(before(100), 10).await.unwrap(), 3);
    let (left, head) = lines(state).await;
    assert_eq!((left.len(), head.first_seq, head.seq, &head.first_previous), (0, 8, 7, &head.hash));
    commit(state, "a/b", "more").await;
    chain_all(state).await;
    assert_eq!(lines(state).await.0.len(), 1);
}

async fn what_waits_for_its_line_is_not_dropped(subject: Subject) {
    let state = &subject.state;
    commit(state, "a/b", "one").await;
    chain_all(state).await;
    commit(state, "a/b", "two").await;
    let later = Timestamp::now() + 1.hour();
    assert_eq!(state.expire_events(later, true, 10).await.unwrap(), 1);
    assert_eq!(subject.count("events").await, 1);
    chain_all(state).await;
    assert_eq!(state.expire_events(later, true, 10).await.unwrap(), 1);
    commit(state, "a/b", "three").await;
    assert_eq!(state.expire_events(later, false, 10).await.unwrap(), 1, "without a log nothing waits");
    chain_all(state).await;
    assert_eq!(lines(state).await.0.len(), 2);
}

async fn a_rebuilding_leaves_the_log_as_it_is(subject: Subject) {
    let state = &subject.state;
    commit(state, "a/b", "one").await;
    chain_all(state).await;
    let before = lines(state).await;
    state.clear().await.unwrap();
    commit(state, "a/b", "two").await;
    assert_eq!(state.chain_audit(10).await.unwrap(), 0, "as where it was broken off");
    state.finish_rebuilding().await.unwrap();
    chain_all(state).await;
    assert_eq!(lines(state).await, before, "what was played back is no news");
    commit(state, "a/b", "three").await;
    chain_all(state).await;
    assert_eq!(lines(state).await.0.len(), 2);
}
