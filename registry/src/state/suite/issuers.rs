use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Subject, on_every_database};
use crate::state::{ClaimRule, Deletion, Expected, IssuerTrust, Made, Put, PutIssuer, RolePlace, StoredIssuer, StoredRole};

on_every_database!(
    an_issuer_is_made_replaced_and_deleted,
    a_change_meanwhile_is_not_undone,
    there_are_no_more_issuers_than_there_may_be,
    roles_go_with_what_they_are_for,
);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn trust(rules: &[&str]) -> IssuerTrust {
    let rule = |name: &&str| ClaimRule {
        name: (*name).to_owned(),
        claims: BTreeMap::from([("repository".to_owned(), "acme/*".to_owned())]),
    };
    IssuerTrust {
        url: "https://issuer.example/".into(),
        audiences: vec!["here".into()],
        jwks_url: None,
        jwks: None,
        ca_certificates: Some("PEM".into()),
        groups_claim: "groups".into(),
        session_seconds: 60,
        rules: rules.iter().map(rule).collect(),
    }
}

fn put(name: &str, rules: &[&str], expected: Expected) -> PutIssuer {
    PutIssuer { name: name.into(), trust: trust(rules), at: at(5), expected, most: 3 }
}

fn role(id: &str, subject: &str) -> StoredRole {
    let place = RolePlace::Repositories("**".into());
    StoredRole { id: id.into(), subject: subject.into(), actions: "pull".into(), place, created_at: at(2) }
}

fn made(outcome: Put) -> StoredIssuer {
    match outcome {
        Put::Made(issuer) | Put::Replaced(issuer) => issuer,
        other => panic!("{other:?}"),
    }
}

async fn an_issuer_is_made_replaced_and_deleted(subject: Subject) {
    let (state, other) = (&subject.state, subject.replica().await);
    let before = state.access_version().await.unwrap();
    let first = made(state.put_issuer(put("b", &["r"], Expected::Anything)).await.unwrap());
    assert_eq!((first.trust.clone(), first.created_at, first.changed_at), (trust(&["r"]), at(5), at(5)));
    made(state.put_issuer(put("a", &[], Expected::Nothing)).await.unwrap());
    assert_eq!(other.issuer("b").await.unwrap(), Some(first.clone()));
    let names = |issuers: Vec<StoredIssuer>| issuers.into_iter().map(|issuer| issuer.name).collect::<Vec<_>>();
    assert_eq!(names(other.issuers("", 9).await.unwrap()), ["a", "b"]);
    assert_eq!(names(other.issuers("a", 9).await.unwrap()), ["b"]);
    assert_eq!(names(other.issuers("", 1).await.unwrap()), ["a"]);

    let again = PutIssuer { at: at(7), ..put("b", &["s"], Expected::Anything) };
    let Put::Replaced(second) = other.put_issuer(again).await.unwrap() else { panic!("it was there") };
    assert_eq!((second.created_at, second.changed_at, &second.trust), (at(5), at(7), &trust(&["s"])));
    assert!(second.revision > first.revision, "each change has a number of its own");
    assert!(state.access_version().await.unwrap() > before, "replicas see that something is another");

    let revision = state.issuer("b").await.unwrap().unwrap().revision;
    assert_eq!(state.delete_issuer("b", Expected::Revision(revision - 1)).await.unwrap(), Deletion::Unexpected);
    assert!(state.issuer("b").await.unwrap().is_some());
    assert_eq!(state.delete_issuer("b", Expected::Revision(revision)).await.unwrap(), Deletion::Done);
    assert_eq!(state.delete_issuer("b", Expected::Anything).await.unwrap(), Deletion::Absent);
    assert_eq!(state.delete_issuer("b", Expected::Something).await.unwrap(), Deletion::Unexpected);
    assert_eq!(other.issuer("b").await.unwrap(), None);
    state.clear().await.unwrap();
    assert!(state.issuer("a").await.unwrap().is_some(), "a rebuilding has no other to put in its place");
}

async fn a_change_meanwhile_is_not_undone(subject: Subject) {
    let state = &subject.state;
    assert_eq!(state.put_issuer(put("a", &[], Expected::Revision(1))).await.unwrap(), Put::Unexpected);
    let first = made(state.put_issuer(put("a", &[], Expected::Nothing)).await.unwrap());
    assert_eq!(state.put_issuer(put("a", &["r"], Expected::Nothing)).await.unwrap(), Put::Unexpected);
    let second = made(state.put_issuer(put("a", &["r"], Expected::Revision(first.revision))).await.unwrap());
    assert_eq!(state.put_issuer(put("a", &[], Expected::Revision(first.revision))).await.unwrap(), Put::Unexpected);
    assert_eq!(state.issuer("a").await.unwrap(), Some(second));
}

async fn there_are_no_more_issuers_than_there_may_be(subject: Subject) {
    let state = &subject.state;
    for name in ["a", "b", "c"] {
        made(state.put_issuer(put(name, &[], Expected::Anything)).await.unwrap());
    }
    assert_eq!(state.put_issuer(put("d", &[], Expected::Anything)).await.unwrap(), Put::TooMany);
    made(state.put_issuer(put("c", &["r"], Expected::Anything)).await.unwrap());
}

async fn roles_go_with_what_they_are_for(subject: Subject) {
    let state = &subject.state;
    made(state.put_issuer(put("i", &["r", "s"], Expected::Anything)).await.unwrap());
    made(state.put_issuer(put("i2", &["r"], Expected::Anything)).await.unwrap());
    for subject in ["rule:i/t", "rule:j/r", "group:j/g", "rule:i", "i/r"] {
        assert_eq!(state.add_role(role("role_x", subject), 9).await.unwrap(), Made::NoSubject, "{subject}");
    }
    for (id, subject) in
        [("1", "rule:i/r"), ("2", "rule:i/s"), ("3", "group:i/a group/é"), ("4", "rule:i2/r"), ("5", "group:i2/g")]
    {
        assert_eq!(state.add_role(role(id, subject), 9).await.unwrap(), Made::Done, "{subject}");
    }
    let left = async || state.roles(None, "", 99).await.unwrap().into_iter().map(|role| role.id).collect::<Vec<_>>();
    made(state.put_issuer(put("i", &["s"], Expected::Anything)).await.unwrap());
    assert_eq!(left().await, ["2", "3", "4", "5"], "those of a rule that is gone");
    state.delete_issuer("i", Expected::Anything).await.unwrap();
    assert_eq!(left().await, ["4", "5"]);
}
