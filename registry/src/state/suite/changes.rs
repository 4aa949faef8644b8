//! Changes of manifests and tags, from their beginning to their end, whichever that is.

use jiff::{Timestamp, ToSpan as _};
use longshore_oci::Algorithm;

use super::{
    Subject,
    journal::Journal,
    on_every_database,
    samples::{at_tag, commit, delete, digest, garbage, has, image, push, repository, tag},
};
use crate::{
    state::{DeleteManifest, PutManifest, StateError},
    storage::ObjectKey,
};

on_every_database!(
    a_change_that_was_made_is_not_pending,
    a_change_that_was_abandoned_is_not_made,
    a_change_that_was_dropped_leaves_nothing,
    an_older_pending_change_keeps_the_newest_record,
    a_manifest_that_must_be_whole_is,
);

async fn a_change_that_was_made_is_not_pending(subject: Subject) {
    let (state, journal, name) = (&subject.state, Journal::default(), repository("a/b"));
    let digest = journal.push(state, "a/b", &image("one", &[]), &["latest", "old"]).await;
    assert!(journal.untag(state, &name, &tag("old")).await);
    assert!(journal.delete(state, &name, &digest).await);
    assert_eq!(subject.count("pending_changes").await, 0);
    assert_eq!(state.abandon_changes(Timestamp::now() + 1.hour(), 10).await.unwrap(), 0);
}

async fn a_change_that_was_abandoned_is_not_made(subject: Subject) {
    let (state, other, name) = (&subject.state, subject.replica().await, repository("a/b"));
    let content = image("one", &[]);
    let kept = Journal::default().push(state, "a/b", &content, &["latest"]).await;
    let revisions = [
        state.begin_change(&name).await.unwrap(),
        state.begin_change(&name).await.unwrap(),
        state.begin_change(&name).await.unwrap(),
    ];
    assert_eq!(other.abandon_changes(Timestamp::now() - 1.hour(), 10).await.unwrap(), 0, "they are young");
    assert_eq!(other.abandon_changes(Timestamp::now() + 1.hour(), 2).await.unwrap(), 2);
    assert_eq!(other.abandon_changes(Timestamp::now() + 1.hour(), 2).await.unwrap(), 1);

    let late = push("a/b", &image("two", &[]), &["latest"], revisions[0]);
    assert!(matches!(state.put_manifest(late.clone()).await, Err(StateError::Changed)));
    assert!(matches!(state.delete_tag(&name, &tag("latest"), revisions[1]).await, Err(StateError::Changed)));
    let deletion =
        DeleteManifest { repository: name.clone(), digest: kept.clone(), tags: vec![tag("latest")], revision: revisions[2] };
    assert!(matches!(state.delete_manifest(deletion).await, Err(StateError::Changed)));
    assert_eq!(at_tag(state, "a/b", "latest").await, Some(kept));
    assert!(!has(state, "a/b", &late.digest).await);
    assert_eq!(garbage(state).await, revisions.map(|revision| ObjectKey::Record(name.clone(), revision)));
}

async fn a_change_that_was_dropped_leaves_nothing(subject: Subject) {
    let (state, name) = (&subject.state, repository("a/b"));
    let revision = state.begin_change(&name).await.unwrap();
    state.drop_change(revision).await.unwrap();
    state.drop_change(revision).await.unwrap();
    assert_eq!(state.abandon_changes(Timestamp::now() + 1.hour(), 10).await.unwrap(), 0);
    assert!(garbage(state).await.is_empty());
}

/// A deletion's record must outlive an older push that may yet be found beside it.
async fn an_older_pending_change_keeps_the_newest_record(subject: Subject) {
    let (state, journal, name) = (&subject.state, Journal::default(), repository("a/b"));
    let pending = state.begin_change(&name).await.unwrap();
    journal.push(state, "a/b", &image("one", &[]), &["latest"]).await;
    let newer = state.begin_change(&name).await.unwrap();
    assert!(journal.untag(state, &name, &tag("latest")).await);
    journal.settle(state).await;
    assert_eq!(journal.count(), 2, "the push of what is still there, and the deletion");
    state.drop_change(pending).await.unwrap();
    let digest = longshore_oci::Digest::of(Algorithm::Sha256, &image("one", &[]));
    assert!(journal.delete(state, &name, &digest).await);
    journal.settle(state).await;
    assert_eq!(journal.count(), 2, "the newer change may be of either");
    state.drop_change(newer).await.unwrap();
    journal.settle(state).await;
    assert_eq!(journal.count(), 0);
}

async fn a_manifest_that_must_be_whole_is(subject: Subject) {
    let (state, name) = (&subject.state, repository("a/b"));
    for content in ["config", "layer"] {
        commit(state, "a/b", content).await;
    }
    commit(state, "elsewhere", "other layer").await;
    let put = async |content, layers: &[&str]| {
        let revision = state.begin_change(&name).await.unwrap();
        let put = PutManifest { must_be_whole: true, ..push("a/b", &image(content, layers), &["latest"], revision) };
        state.put_manifest(put).await
    };
    let Err(StateError::Missing(missing)) = put("config", &["layer", "other layer"]).await else { panic!("it was taken") };
    assert_eq!(missing, [digest("other layer")]);
    assert_eq!(at_tag(state, "a/b", "latest").await, None);
    put("config", &["layer"]).await.unwrap();
    let deletion = delete(state, "a/b", "layer", Timestamp::now()).await;
    assert!(matches!(deletion, Err(StateError::Needed(_))));
    assert_eq!(subject.count("pending_changes").await, 1, "of the change that was refused");
}
