use jiff::{Timestamp, ToSpan as _};
use longshore_oci::{Algorithm, Digest};

use super::{
    Subject, on_every_database,
    samples::{at_tag, begin, commit, delete, digest, garbage, image, put, record_links, repository, short, whole},
};
use crate::state::{BlobCommit, DeleteBlob, StateError};

on_every_database!(
    a_blob_is_its_repositorys,
    mounts_from_a_repository,
    mounts_from_anywhere,
    the_last_repository_takes_the_bytes_along,
    what_a_manifest_is_made_of_stays,
    a_blob_comes_back,
    links_that_nothing_shows_are_told,
    an_object_that_shows_a_link_stays_until_a_record_does,
    a_deletion_knows_every_object,
    a_link_deleted_meanwhile_is_not_recorded,
    a_deletions_record_stays_as_long_as_an_object,
    tells_what_is_missing,
    a_deletion_that_may_have_left_a_record_is_answered,
    an_object_that_does_not_tell_its_algorithm_shows_nothing,
);

async fn a_blob_is_its_repositorys(subject: Subject) {
    let state = &subject.state;
    commit(state, "a/b", "content").await;
    assert!(state.blob(&repository("a/b"), &digest("content")).await.unwrap().is_some());
    assert!(state.blob(&repository("a/b"), &digest("other")).await.unwrap().is_none());
    assert!(state.blob(&repository("a/c"), &digest("content")).await.unwrap().is_none());
    assert_eq!(subject.events().await, [format!("blob.pushed a/b {}", short(&digest("content")))]);
}

async fn mounts_from_a_repository(subject: Subject) {
    let state = &subject.state;
    let key = commit(state, "from", "content").await;
    commit(state, "empty", "other").await;
    let mount = async |from: &str, content: &str| {
        state.mount_blob(&repository("to"), Some(&repository(from)), &digest(content)).await.unwrap()
    };
    assert!(!mount("empty", "content").await);
    assert!(!mount("nowhere", "content").await);
    assert!(!mount("from", "unknown").await);
    assert_eq!(state.repositories("", 10).await.unwrap(), ["empty", "from"], "what failed leaves nothing");
    assert!(mount("from", "content").await);
    assert!(mount("from", "content").await, "once more is as good");
    assert_eq!(state.blob(&repository("to"), &digest("content")).await.unwrap().unwrap().key, key);
    let mounted = format!("blob.mounted to {}", short(&digest("content")));
    assert_eq!(subject.events().await.iter().filter(|event| **event == mounted).count(), 1);
}

async fn mounts_from_anywhere(subject: Subject) {
    let state = &subject.state;
    commit(state, "from", "content").await;
    assert!(!state.mount_blob(&repository("to"), None, &digest("unknown")).await.unwrap());
    assert!(state.mount_blob(&repository("to"), None, &digest("content")).await.unwrap());
    assert!(state.blob(&repository("to"), &digest("content")).await.unwrap().is_some());
}

async fn the_last_repository_takes_the_bytes_along(subject: Subject) {
    let state = &subject.state;
    let key = commit(state, "one", "content").await;
    state.mount_blob(&repository("two"), None, &digest("content")).await.unwrap();
    let now = Timestamp::now();
    assert!(!delete(state, "nowhere", "content", now).await.unwrap());
    assert!(delete(state, "one", "content", now).await.unwrap());
    assert!(!delete(state, "one", "content", now).await.unwrap());
    assert!(state.blob(&repository("one"), &digest("content")).await.unwrap().is_none());
    assert_eq!(state.blob(&repository("two"), &digest("content")).await.unwrap().unwrap().key, key);
    assert!(garbage(state).await.is_empty());

    let later = Timestamp::now() + 1.hour();
    assert!(delete(state, "two", "content", later).await.unwrap());
    assert_eq!((subject.count("blobs").await, subject.count("garbage").await), (0, 1));
    assert!(garbage(state).await.is_empty(), "it is not due yet");
    let short = short(&digest("content")).to_owned();
    let deleted = [format!("blob.deleted one {short}"), format!("blob.deleted two {short}")];
    assert_eq!(subject.events().await[2..], deleted);
}

async fn what_a_manifest_is_made_of_stays(subject: Subject) {
    let state = &subject.state;
    for content in ["config", "layer"] {
        commit(state, "a/b", content).await;
        state.mount_blob(&repository("a/c"), None, &digest(content)).await.unwrap();
    }
    let manifest = put(state, "a/b", &image("config", &["layer"]), &["latest"]).await;
    let now = Timestamp::now();
    for content in ["config", "layer"] {
        let Err(StateError::Needed(by)) = delete(state, "a/b", content, now).await else { panic!("{content} was deleted") };
        assert_eq!(by, manifest);
    }
    assert!(delete(state, "a/c", "layer", now).await.unwrap(), "other repositories' manifests do not hold it");
    assert_eq!(at_tag(state, "a/b", "latest").await, Some(manifest));
    assert!(state.blob(&repository("a/b"), &digest("layer")).await.unwrap().is_some());
}

async fn a_blob_comes_back(subject: Subject) {
    let state = &subject.state;
    let first = commit(state, "a/b", "content").await;
    assert!(delete(state, "a/b", "content", Timestamp::now()).await.unwrap());
    assert!(!state.mount_blob(&repository("a/c"), None, &digest("content")).await.unwrap());
    let second = commit(state, "a/b", "content").await;
    assert_eq!(state.blob(&repository("a/b"), &digest("content")).await.unwrap().unwrap().key, second);
    assert_eq!(garbage(state).await, [first], "only the old object goes");
}

async fn tells_what_is_missing(subject: Subject) {
    let state = &subject.state;
    commit(state, "a/b", "config").await;
    commit(state, "a/c", "layer").await;
    let (here, there) = (image("config", &[]), image("config", &["layer"]));
    let here = put(state, "a/b", &here, &[]).await;
    let there = put(state, "a/c", &there, &[]).await;
    let many: Vec<_> = (0..1200).map(|number| digest(&format!("absent {number}"))).collect();
    let mut blobs = many.clone();
    blobs.splice(600..600, [digest("config"), digest("layer")]);
    let missing = state.missing(&repository("a/b"), &blobs, &[here.clone(), there.clone()]).await.unwrap();
    let mut expected = many.clone();
    expected.insert(600, digest("layer"));
    expected.push(there.clone());
    assert_eq!(missing, expected);
    assert!(state.missing(&repository("a/b"), &[], &[]).await.unwrap().is_empty());
    assert!(state.missing(&repository("a/b"), &[digest("config")], std::slice::from_ref(&here)).await.unwrap().is_empty());
    let nowhere = state.missing(&repository("nowhere"), &[digest("config")], std::slice::from_ref(&here)).await.unwrap();
    assert_eq!(nowhere, [digest("config"), here]);
}

/// The links that need a record, as `repository content`.
async fn unrecorded(subject: &Subject, contents: &[&str]) -> Vec<String> {
    let name = |digest| contents.iter().copied().find(|content| super::samples::digest(content) == digest).unwrap();
    let links = subject.state.unrecorded_links(Timestamp::MAX, 100).await.unwrap().into_iter();
    let mut told: Vec<String> = links
        .flat_map(|(repository, digests)| digests.into_iter().map(move |digest| format!("{repository} {}", name(digest))))
        .collect();
    told.sort();
    told
}

async fn links_that_nothing_shows_are_told(subject: Subject) {
    let (state, contents) = (&subject.state, ["one", "two"]);
    for content in contents {
        commit(state, "first", content).await;
    }
    assert!(unrecorded(&subject, &contents).await.is_empty(), "their objects show them");
    commit(state, "second", "one").await;
    commit(state, "first", "one").await;
    state.mount_blob(&repository("third"), None, &digest("two")).await.unwrap();
    assert_eq!(unrecorded(&subject, &contents).await, ["second one", "third two"]);
    assert_eq!(state.unrecorded_links(Timestamp::MAX, 1).await.unwrap().len(), 1, "so many at a time");
    assert!(state.unrecorded_links(Timestamp::now() - 1.hour(), 10).await.unwrap().is_empty(), "they are new");
    assert_eq!(record_links(state).await, 2);
    commit(state, "second", "one").await;
    state.mount_blob(&repository("third"), None, &digest("two")).await.unwrap();
    assert!(unrecorded(&subject, &contents).await.is_empty(), "they have their records");
    // What a damaged object showed, only a record shows now.
    let damaged = state.blob(&repository("first"), &digest("one")).await.unwrap().unwrap().key;
    let (upload, claim) = begin(state, "fourth").await;
    let healed = BlobCommit { damaged: Some(damaged), ..whole(&upload, claim, "one") };
    assert!(state.commit_blob(healed).await.unwrap());
    assert_eq!(unrecorded(&subject, &contents).await, ["first one"]);
}

async fn an_object_that_shows_a_link_stays_until_a_record_does(subject: Subject) {
    let state = &subject.state;
    commit(state, "first", "content").await;
    let second = commit(state, "second", "content").await;
    let again = commit(state, "first", "content").await;
    assert_eq!(garbage(state).await, [again], "its repository's link is shown by the object that stays");
    record_links(state).await;
    assert!(garbage(state).await.contains(&second));
}

async fn a_deletion_knows_every_object(subject: Subject) {
    let (state, name) = (&subject.state, repository("a/b"));
    let mut keys = vec![commit(state, "a/b", "content").await, commit(state, "a/b", "content").await];
    commit(state, "c", "content").await;
    let objects = state.blob_objects(&name, &digest("content")).await.unwrap().unwrap();
    keys.sort();
    assert_eq!(objects, keys);
    // One more comes between.
    commit(state, "a/b", "content").await;
    let revision = state.begin_change(&name).await.unwrap();
    let deletion =
        DeleteBlob { repository: name.clone(), digest: digest("content"), objects, revision, due_at: Timestamp::now() };
    assert!(matches!(state.delete_blob(deletion).await, Err(StateError::Changed)));
    assert!(state.blob(&name, &digest("content")).await.unwrap().is_some());
    assert!(delete(state, "a/b", "content", Timestamp::now()).await.unwrap());
    assert!(state.blob(&repository("c"), &digest("content")).await.unwrap().is_some());
}

async fn a_link_deleted_meanwhile_is_not_recorded(subject: Subject) {
    let (state, name) = (&subject.state, repository("to"));
    commit(state, "from", "content").await;
    let mount = async || assert!(state.mount_blob(&name, None, &digest("content")).await.unwrap());
    let record = async |revision| state.record_links(&name, &[digest("content")], revision).await;
    mount().await;
    let late = state.begin_change(&name).await.unwrap();
    assert!(delete(state, "to", "content", Timestamp::now()).await.unwrap());
    assert!(matches!(record(late).await, Err(StateError::Changed)), "it is gone");
    mount().await;
    assert!(matches!(record(late).await, Err(StateError::Changed)), "played back it would come before the deletion");
    let fresh = state.begin_change(&name).await.unwrap();
    record(fresh).await.unwrap();
    let twice = state.begin_change(&name).await.unwrap();
    assert!(matches!(record(twice).await, Err(StateError::Changed)), "it has its record");
    // A deletion that was begun before the record was.
    let objects = state.blob_objects(&name, &digest("content")).await.unwrap().unwrap();
    let deletion =
        DeleteBlob { repository: name.clone(), digest: digest("content"), objects, revision: late, due_at: Timestamp::now() };
    assert!(matches!(state.delete_blob(deletion).await, Err(StateError::Changed)));
    assert!(state.blob(&name, &digest("content")).await.unwrap().is_some());
}

async fn a_deletions_record_stays_as_long_as_an_object(subject: Subject) {
    let state = &subject.state;
    commit(state, "home", "content").await;
    state.mount_blob(&repository("to"), None, &digest("content")).await.unwrap();
    record_links(state).await;
    assert!(delete(state, "home", "content", Timestamp::now()).await.unwrap());
    let swept = async || {
        while state.retire_records(100).await.unwrap() > 0 {
            let due = state.due_garbage(100).await.unwrap();
            state.forget_garbage(due).await.unwrap();
        }
        subject.count("records").await
    };
    assert_eq!(swept().await, 2, "the object lies below the repository that gave the blob up");
    assert!(delete(state, "to", "content", Timestamp::now()).await.unwrap());
    assert_eq!(subject.count("blobs").await, 0);
    assert!(subject.count("records").await > 0);
    let object = state.due_garbage(100).await.unwrap();
    assert_eq!(object.len(), 1);
    state.forget_garbage(object).await.unwrap();
    assert_eq!(swept().await, 0);
}

/// The record of a deletion that was not made may lie in the store for a while. What is acknowledged after it must come after it.
async fn a_deletion_that_may_have_left_a_record_is_answered(subject: Subject) {
    let (state, name) = (&subject.state, repository("a/b"));
    commit(state, "a/b", "content").await;
    state.mount_blob(&repository("to"), None, &digest("content")).await.unwrap();
    record_links(state).await;
    let pending = [state.begin_change(&name).await.unwrap(), state.begin_change(&repository("to")).await.unwrap()];
    let again = commit(state, "a/b", "content").await;
    assert!(garbage(state).await.is_empty(), "{again} stays until there is a newer record");
    assert!(state.mount_blob(&repository("to"), None, &digest("content")).await.unwrap());
    let mounted = format!("blob.mounted to {}", short(&digest("content")));
    assert_eq!(subject.events().await.iter().filter(|event| **event == mounted).count(), 1);
    assert_eq!(unrecorded(&subject, &["content"]).await, ["a/b content", "to content"]);
    for revision in pending {
        state.drop_change(revision).await.unwrap();
    }
    assert_eq!(record_links(state).await, 2);
    assert_eq!(garbage(state).await, [again]);
}

async fn an_object_that_does_not_tell_its_algorithm_shows_nothing(subject: Subject) {
    let (state, long) = (&subject.state, Digest::of(Algorithm::Sha512, b"content"));
    let (upload, claim) = begin(state, "a/b").await;
    assert!(state.commit_blob(BlobCommit { digest: long.clone(), ..whole(&upload, claim, "content") }).await.unwrap());
    assert_eq!(state.unrecorded_links(Timestamp::MAX, 10).await.unwrap(), [(repository("a/b"), vec![long])]);
}
