use jiff::Timestamp;

use super::{Subject, on_every_database};
use crate::state::{
    AccessLimits, AccountChange, AccountKind, Expiry, Made, NewAccount, RolePlace, StateError, StoredAccount, StoredRole,
};

on_every_database!(
    an_account_comes_with_its_roles_and_goes_with_them,
    a_role_is_on_repositories_or_on_namespaces,
    a_first_account_is_made_once,
    there_are_no_more_than_there_may_be,
    a_change_is_seen_by_its_number,
    somebody_stays_who_administers,
    a_certificate_is_one_account_s,
);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn account(name: &str, kind: AccountKind) -> StoredAccount {
    StoredAccount {
        name: name.into(),
        kind,
        secret_hash: format!("hash of {name}"),
        credential: format!("credential of {name}"),
        certificate: None,
        is_disabled: false,
        created_at: at(1),
        expires_at: Some(at(9)),
        last_used_at: None,
    }
}

fn role(id: &str, subject: &str) -> StoredRole {
    StoredRole {
        id: id.into(),
        subject: subject.into(),
        actions: "pull,push".into(),
        place: RolePlace::Repositories("team/*".into()),
        created_at: at(2),
    }
}

fn new(name: &str) -> NewAccount {
    NewAccount {
        account: account(name, AccountKind::Robot),
        roles: vec![role(&format!("role_{name}"), name)],
        limits: AccessLimits { accounts: 3, roles: 4 },
        is_first: false,
    }
}

async fn an_account_comes_with_its_roles_and_goes_with_them(subject: Subject) {
    let (state, other) = (&subject.state, subject.replica().await);
    assert_eq!(state.add_account(new("b")).await.unwrap(), Made::Done);
    assert_eq!(state.add_account(new("a")).await.unwrap(), Made::Done);
    assert_eq!(other.add_account(new("a")).await.unwrap(), Made::Taken);
    let names = |accounts: Vec<StoredAccount>| accounts.into_iter().map(|account| account.name).collect::<Vec<_>>();
    assert_eq!(names(other.accounts("", 10).await.unwrap()), ["a", "b"]);
    assert_eq!(names(other.accounts("a", 1).await.unwrap()), ["b"]);
    assert_eq!(other.account("a").await.unwrap(), Some(account("a", AccountKind::Robot)));
    assert_eq!(other.account("c").await.unwrap(), None);

    assert_eq!(state.add_role(role("role_c", "anonymous"), 9).await.unwrap(), Made::Done);
    assert_eq!(state.add_role(role("role_d", "nobody"), 9).await.unwrap(), Made::NoSubject);
    assert_eq!(state.roles(None, "", 10).await.unwrap(), [role("role_a", "a"), role("role_b", "b"), role("role_c", "anonymous")]);
    assert_eq!(state.roles(None, "role_a", 1).await.unwrap(), [role("role_b", "b")]);
    assert_eq!(state.roles(Some("anonymous"), "", 10).await.unwrap(), [role("role_c", "anonymous")]);
    assert!(state.delete_role("role_c").await.unwrap());
    assert!(!state.delete_role("role_c").await.unwrap());

    assert!(state.delete_account("a").await.unwrap());
    assert!(!state.delete_account("a").await.unwrap());
    assert_eq!(other.roles(None, "", 10).await.unwrap(), [role("role_b", "b")]);
    state.clear().await.unwrap();
    assert!(state.account("b").await.unwrap().is_some(), "a rebuilding has no other to put in its place");
}

async fn a_role_is_on_repositories_or_on_namespaces(subject: Subject) {
    let (state, other) = (&subject.state, subject.replica().await);
    let on = |id: &str, actions: &str, pattern: &str| StoredRole {
        actions: actions.into(),
        place: RolePlace::Namespaces(pattern.into()),
        ..role(id, "a")
    };
    let all = on("role_2", "admin", "*");
    let account = NewAccount { roles: vec![role("role_1", "a"), all.clone()], ..new("a") };
    assert_eq!(state.add_account(account).await.unwrap(), Made::Done);
    let deploys = on("role_3", "view,deploy", "team-*");
    let before = other.access_version().await.unwrap();
    assert_eq!(state.add_role(deploys.clone(), 9).await.unwrap(), Made::Done);
    assert_ne!(other.access_version().await.unwrap(), before, "others hear of it");
    assert_eq!(other.roles(Some("a"), "", 10).await.unwrap(), [role("role_1", "a"), all.clone(), deploys]);
    assert!(!all.administers(), "who has all namespaces does not have the registry");
    assert!(state.delete_role("role_3").await.unwrap());
    assert!(state.delete_account("a").await.unwrap());
    assert_eq!(other.roles(None, "", 10).await.unwrap(), []);
}

async fn a_first_account_is_made_once(subject: Subject) {
    let (state, other) = (&subject.state, subject.replica().await);
    let first = |name: &str| NewAccount { is_first: true, ..new(name) };
    let (one, two) = tokio::join!(state.add_account(first("a")), other.add_account(first("b")));
    let mut made = [one.unwrap(), two.unwrap()];
    made.sort_by_key(|made| *made == Made::Taken);
    assert_eq!(made, [Made::Done, Made::Taken]);
    assert_eq!(state.accounts("", 10).await.unwrap().len(), 1);
}

async fn there_are_no_more_than_there_may_be(subject: Subject) {
    let state = &subject.state;
    for name in ["a", "b", "c"] {
        assert_eq!(state.add_account(new(name)).await.unwrap(), Made::Done);
    }
    assert_eq!(state.add_account(new("d")).await.unwrap(), Made::TooMany);
    assert!(state.delete_account("c").await.unwrap());
    let many = NewAccount { roles: vec![role("1", "d"), role("2", "d"), role("3", "d")], ..new("d") };
    assert_eq!(state.add_account(many).await.unwrap(), Made::TooMany);
    assert!(state.account("d").await.unwrap().is_none(), "all or nothing");
    assert_eq!(state.add_role(role("1", "a"), 2).await.unwrap(), Made::TooMany);
    assert_eq!(state.add_role(role("1", "a"), 3).await.unwrap(), Made::Done);
}

async fn a_change_is_seen_by_its_number(subject: Subject) {
    let (state, other) = (&subject.state, subject.replica().await);
    state.add_account(new("a")).await.unwrap();
    let before = other.access_version().await.unwrap();
    state.note_used(vec![("a".into(), at(7)), ("a".into(), at(6)), ("nobody".into(), at(7))]).await.unwrap();
    assert_eq!(other.access_version().await.unwrap(), before, "that somebody called is no change");
    assert_eq!(other.account("a").await.unwrap().unwrap().last_used_at, Some(at(7)));

    let change = AccountChange { is_disabled: Some(true), expires_at: Some(Expiry::Never), ..AccountChange::default() };
    let changed = state.change_account("a", change).await.unwrap().unwrap();
    assert_eq!((changed.is_disabled, changed.expires_at, changed.secret_hash.as_str()), (true, None, "hash of a"));
    assert!(other.access_version().await.unwrap() > before);
    let change = AccountChange { secret: Some(("another hash".into(), "another".into())), ..AccountChange::default() };
    state.change_account("a", change).await.unwrap();
    let changed = other.account("a").await.unwrap().unwrap();
    assert_eq!(
        (changed.is_disabled, changed.secret_hash.as_str(), changed.credential.as_str()),
        (true, "another hash", "another")
    );
    assert!(state.change_account("nobody", AccountChange::default()).await.unwrap().is_none());
}

async fn somebody_stays_who_administers(subject: Subject) {
    let (state, other) = (&subject.state, subject.replica().await);
    for name in ["a", "b"] {
        let place = RolePlace::Repositories("**".into());
        let admin = StoredRole { actions: "admin".into(), place, ..role(&format!("role_{name}"), name) };
        let account = StoredAccount { expires_at: None, ..account(name, AccountKind::Person) };
        assert_eq!(state.add_account(NewAccount { account, roles: vec![admin], ..new(name) }).await.unwrap(), Made::Done);
    }
    let (one, two) = tokio::join!(state.delete_account("a"), other.delete_account("b"));
    let is_last = |outcome: &Result<bool, StateError>| matches!(outcome, Err(StateError::LastAdministrator));
    assert!(is_last(&one) != is_last(&two), "{one:?} {two:?}");
    let left = state.accounts("", 10).await.unwrap();
    let [left] = left.as_slice() else { panic!("{left:?}") };
    assert!(is_last(&state.delete_role(&format!("role_{}", left.name)).await));
    for change in [
        AccountChange { is_disabled: Some(true), ..AccountChange::default() },
        AccountChange { expires_at: Some(Expiry::At(at(9))), ..AccountChange::default() },
    ] {
        let outcome = state.change_account(&left.name, change).await;
        assert!(matches!(outcome, Err(StateError::LastAdministrator)), "{outcome:?}");
    }
    assert_eq!(state.account(&left.name).await.unwrap().as_ref(), Some(left));
}

async fn a_certificate_is_one_account_s(subject: Subject) {
    let (state, other) = (&subject.state, subject.replica().await);
    let identity = "uri:spiffe://example.org/ci";
    let with = |name: &str| NewAccount {
        account: StoredAccount { certificate: Some(identity.into()), ..account(name, AccountKind::Robot) },
        ..new(name)
    };
    let (one, two) = tokio::join!(state.add_account(with("a")), other.add_account(with("b")));
    let (owner, late) = if one.is_ok() { ("a", two) } else { ("b", one) };
    let is_taken_by =
        |outcome: &StateError, owner: &str| matches!(outcome, StateError::CertificateTaken { account, .. } if account == owner);
    assert!(late.as_ref().is_err_and(|error| is_taken_by(error, owner)), "of two at once one has it: {late:?}");
    assert_eq!(state.accounts("", 10).await.unwrap().len(), 1, "and the other is not made");
    assert_eq!(other.account(owner).await.unwrap().unwrap().certificate.as_deref(), Some(identity));

    state.add_account(new("c")).await.unwrap();
    let give = |certificate: Option<&str>| AccountChange {
        certificate: Some((certificate.map(str::to_owned), "another".into())),
        ..AccountChange::default()
    };
    let before = other.access_version().await.unwrap();
    let refused = state.change_account("c", give(Some(identity))).await.unwrap_err();
    assert!(is_taken_by(&refused, owner), "{refused:?}");
    assert_eq!(other.account("c").await.unwrap(), Some(account("c", AccountKind::Robot)), "nothing of it was done");
    let again = state.change_account(owner, give(Some(identity))).await.unwrap().unwrap();
    assert_eq!((again.certificate.as_deref(), again.credential.as_str()), (Some(identity), "another"), "its own it may keep");
    let disabled = AccountChange { is_disabled: Some(true), ..AccountChange::default() };
    let kept = state.change_account(owner, disabled).await.unwrap().unwrap();
    assert_eq!(kept.certificate.as_deref(), Some(identity), "another change leaves it");
    assert_eq!(state.change_account(owner, give(None)).await.unwrap().unwrap().certificate, None);
    assert!(other.access_version().await.unwrap() > before);
    assert_eq!(state.change_account("c", give(Some(identity))).await.unwrap().unwrap().certificate.as_deref(), Some(identity));
    state.clear().await.unwrap();
    assert_eq!(state.account("c").await.unwrap().unwrap().certificate.as_deref(), Some(identity));
}
