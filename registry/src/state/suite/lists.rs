use super::{
    Subject, on_every_database,
    samples::{commit, image, put, repository},
};

on_every_database!(tags_come_in_byte_order, repositories_come_in_byte_order);

/// In the order of bytes, which is no language's: capitals before small letters, and marks between.
const TAGS: [&str; 12] = ["0", "1.10", "1.9", "10", "A", "B-1", "B.1", "Z", "_a", "a", "a-b", "b"];
const REPOSITORIES: [&str; 9] = ["a", "a-b", "a.b", "a/b", "a/b-c", "a0", "a__b", "ab", "b"];

async fn tags_come_in_byte_order(subject: Subject) {
    let state = &subject.state;
    assert_eq!(state.tags(&repository("a/b"), "", 10).await.unwrap(), None);
    let content = image("config", &[]);
    put(state, "a/b", &content, &[]).await;
    assert_eq!(state.tags(&repository("a/b"), "", 10).await.unwrap(), Some(Vec::new()));
    for name in TAGS.iter().rev() {
        put(state, "a/b", &content, &[name]).await;
    }
    put(state, "a/c", &content, &["elsewhere"]).await;
    let list = async |after: &str, limit| state.tags(&repository("a/b"), after, limit).await.unwrap().unwrap();
    assert_eq!(list("", 100).await, TAGS);
    for (index, name) in TAGS.iter().enumerate() {
        let rest = &TAGS[index + 1..];
        assert_eq!(list(name, 2).await, rest[..rest.len().min(2)], "after {name}");
    }
    assert_eq!(list("A!", 1).await, ["B-1"], "the last need not be a tag");
    assert!(list("", 0).await.is_empty());
    let by_digest =
        state.tags_of(&repository("a/b"), &longshore_oci::Digest::of(longshore_oci::Algorithm::Sha256, &content)).await;
    assert_eq!(by_digest.unwrap().unwrap().iter().map(ToString::to_string).collect::<Vec<_>>(), TAGS);
}

async fn repositories_come_in_byte_order(subject: Subject) {
    let state = &subject.state;
    assert!(state.repositories("", 10).await.unwrap().is_empty());
    for name in REPOSITORIES.iter().rev() {
        commit(state, name, "content").await;
    }
    assert_eq!(state.repositories("", 100).await.unwrap(), REPOSITORIES);
    for (index, name) in REPOSITORIES.iter().enumerate() {
        let rest = &REPOSITORIES[index + 1..];
        assert_eq!(state.repositories(name, 2).await.unwrap(), rest[..rest.len().min(2)], "after {name}");
    }
}
