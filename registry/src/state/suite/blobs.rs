use jiff::{Timestamp, ToSpan as _};

use super::{
    Subject, on_every_database,
    samples::{at_tag, commit, digest, garbage, image, put, repository, short},
};
use crate::state::BlobDeletion;

on_every_database!(
    a_blob_is_its_repositorys,
    mounts_from_a_repository,
    mounts_from_anywhere,
    the_last_repository_takes_the_bytes_along,
    what_a_manifest_is_made_of_stays,
    a_blob_comes_back,
    tells_what_is_missing,
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
    let delete = async |name: &str| state.delete_blob(&repository(name), &digest("content"), Timestamp::now()).await.unwrap();
    assert_eq!(delete("nowhere").await, BlobDeletion::Unknown);
    assert_eq!(delete("one").await, BlobDeletion::Deleted);
    assert_eq!(delete("one").await, BlobDeletion::Unknown);
    assert!(state.blob(&repository("one"), &digest("content")).await.unwrap().is_none());
    assert_eq!(state.blob(&repository("two"), &digest("content")).await.unwrap().unwrap().key, key);
    assert!(garbage(state).await.is_empty());

    let later = Timestamp::now() + 1.hour();
    assert_eq!(state.delete_blob(&repository("two"), &digest("content"), later).await.unwrap(), BlobDeletion::Deleted);
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
    let delete =
        async |name: &str, content: &str| state.delete_blob(&repository(name), &digest(content), Timestamp::now()).await.unwrap();
    for content in ["config", "layer"] {
        assert_eq!(delete("a/b", content).await, BlobDeletion::Needed(manifest.to_string()));
    }
    assert_eq!(delete("a/c", "layer").await, BlobDeletion::Deleted, "other repositories' manifests do not hold it");
    assert_eq!(at_tag(state, "a/b", "latest").await, Some(manifest));
    assert!(state.blob(&repository("a/b"), &digest("layer")).await.unwrap().is_some());
}

async fn a_blob_comes_back(subject: Subject) {
    let state = &subject.state;
    let first = commit(state, "a/b", "content").await;
    state.delete_blob(&repository("a/b"), &digest("content"), Timestamp::now()).await.unwrap();
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
