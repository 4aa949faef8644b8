use longshore_oci::{Digest, Reference, media_type};

use super::{
    Subject, on_every_database,
    samples::{at_tag, has, image, index, push, put, repository, short, tag, tags},
};
use crate::state::{DeleteManifest, SharedState, StateError};

on_every_database!(
    a_manifest_is_served_as_it_came,
    tags_move_and_go,
    one_push_sets_many_tags,
    a_manifest_takes_its_tags_along,
    what_was_not_seen_is_not_deleted,
    an_older_change_never_undoes_a_newer_one,
    a_late_push_is_not_lost_behind_a_deletion,
    failures_leave_the_others_of_their_group_alone,
);

async fn delete(state: &SharedState, name: &str, digest: &Digest, seen: &[&str]) -> Result<(), StateError> {
    let revision = state.begin_change(&repository(name)).await.unwrap();
    delete_at(state, name, digest, seen, revision).await
}

async fn delete_at(state: &SharedState, name: &str, digest: &Digest, seen: &[&str], revision: u64) -> Result<(), StateError> {
    let (repository, digest, tags) = (repository(name), digest.clone(), tags(seen));
    state.delete_manifest(DeleteManifest { repository, digest, tags, revision }).await
}

async fn untag(state: &SharedState, name: &str, at: &str) -> bool {
    let revision = state.begin_change(&repository(name)).await.unwrap();
    match state.delete_tag(&repository(name), &tag(at), revision).await {
        Err(StateError::Changed) => false,
        deleted => deleted.map(|()| true).unwrap(),
    }
}

async fn a_manifest_is_served_as_it_came(subject: Subject) {
    let state = &subject.state;
    let content = image("config", &["layer"]);
    let digest = put(state, "a/b", &content, &["latest"]).await;
    for reference in [Reference::Digest(digest.clone()), Reference::Tag(tag("latest"))] {
        let found = state.manifest(&repository("a/b"), &reference).await.unwrap().unwrap();
        assert_eq!((&found.digest, found.media_type.as_str(), &found.content), (&digest, media_type::OCI_MANIFEST, &content));
        assert!(state.manifest(&repository("a/c"), &reference).await.unwrap().is_none());
    }
    assert_eq!(at_tag(state, "a/b", "other").await, None);

    put(state, "a/b", &content, &[]).await;
    assert_eq!(at_tag(state, "a/b", "latest").await, Some(digest.clone()), "a push without tags leaves them");
    assert_eq!((subject.count("manifests").await, subject.count("manifest_edges").await), (1, 2));
    let (pushed, set) = (format!("manifest.pushed a/b {}", short(&digest)), format!("tag.set a/b {} latest", short(&digest)));
    assert_eq!(subject.events().await, [pushed.clone(), set, pushed]);
}

async fn tags_move_and_go(subject: Subject) {
    let state = &subject.state;
    let first = put(state, "a/b", &image("one", &[]), &["latest"]).await;
    let second = put(state, "a/b", &image("two", &[]), &["latest"]).await;
    assert_eq!(at_tag(state, "a/b", "latest").await, Some(second.clone()));
    assert_eq!(state.tags_of(&repository("a/b"), &first).await.unwrap(), Some(Vec::new()));
    assert_eq!(state.tags_of(&repository("a/b"), &second).await.unwrap(), Some(tags(&["latest"])));
    assert!(has(state, "a/b", &first).await, "a tag's leaving deletes nothing");

    assert!(!untag(state, "a/b", "other").await);
    assert!(!untag(state, "nowhere", "latest").await);
    assert!(untag(state, "a/b", "latest").await);
    assert!(!untag(state, "a/b", "latest").await);
    assert!(has(state, "a/b", &second).await);
    assert_eq!(state.tags(&repository("a/b"), "", 10).await.unwrap(), Some(Vec::new()));
    let history = subject.texts("SELECT COALESCE(digest, 'none') FROM tag_history ORDER BY revision").await;
    assert_eq!(history, [first.as_str(), second.as_str(), "none"]);
    assert_eq!(subject.events().await.last().unwrap(), "tag.deleted a/b latest");
}

async fn one_push_sets_many_tags(subject: Subject) {
    let state = &subject.state;
    let names: Vec<String> = (0..100).map(|number| format!("v{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let first = put(state, "a/b", &image("one", &[]), &names).await;
    assert_eq!(state.tags_of(&repository("a/b"), &first).await.unwrap(), Some(tags(&names)));
    let second = put(state, "a/b", &image("two", &[]), &names[50..]).await;
    assert_eq!(state.tags_of(&repository("a/b"), &first).await.unwrap(), Some(tags(&names[..50])));
    assert_eq!(state.tags_of(&repository("a/b"), &second).await.unwrap(), Some(tags(&names[50..])));
    assert_eq!(subject.count("events").await, 2 + 150);
}

async fn a_manifest_takes_its_tags_along(subject: Subject) {
    let state = &subject.state;
    let (kept, gone) = (image("one", &[]), image("two", &["layer"]));
    let kept = put(state, "a/b", &kept, &["stays"]).await;
    let gone = put(state, "a/b", &gone, &["a", "b"]).await;
    put(state, "a/c", &image("two", &["layer"]), &["a"]).await;
    let events = subject.count("events").await;
    delete(state, "a/b", &gone, &["a", "b"]).await.unwrap();
    assert!(!has(state, "a/b", &gone).await);
    assert_eq!(state.tags_of(&repository("a/b"), &gone).await.unwrap(), None);
    assert_eq!(state.tags(&repository("a/b"), "", 10).await.unwrap(), Some(vec!["stays".to_owned()]));
    assert!(has(state, "a/b", &kept).await);
    assert_eq!(at_tag(state, "a/c", "a").await, Some(gone.clone()), "another repository's is another");
    let short = short(&gone);
    let expected =
        [format!("tag.deleted a/b {short} a"), format!("tag.deleted a/b {short} b"), format!("manifest.deleted a/b {short}")];
    assert_eq!(subject.events().await[events..], expected);
    put(state, "a/b", &image("two", &["layer"]), &["a"]).await;
    assert_eq!(at_tag(state, "a/b", "a").await, Some(gone), "it can come back");
}

async fn what_was_not_seen_is_not_deleted(subject: Subject) {
    let state = &subject.state;
    let digest = put(state, "a/b", &image("one", &[]), &["a", "b"]).await;
    let before = subject.events().await;
    for seen in [&["a"][..], &[], &["a", "b", "c"], &["a", "c"]] {
        assert!(matches!(delete(state, "a/b", &digest, seen).await, Err(StateError::Changed)), "{seen:?}");
    }
    let other = super::samples::digest("no manifest");
    assert!(matches!(delete(state, "a/b", &other, &[]).await, Err(StateError::Changed)));
    assert!(matches!(delete(state, "nowhere", &digest, &[]).await, Err(StateError::Changed)));
    assert_eq!(state.tags_of(&repository("a/b"), &digest).await.unwrap(), Some(tags(&["a", "b"])));
    assert_eq!((subject.events().await, subject.count("records").await), (before, 1), "what was refused left nothing");
    delete(state, "a/b", &digest, &["a", "b"]).await.unwrap();
}

async fn an_older_change_never_undoes_a_newer_one(subject: Subject) {
    let (state, other) = (&subject.state, subject.replica().await);
    let mut revisions = Vec::new();
    for _ in 0..4 {
        revisions.push(state.begin_change(&repository("a/b")).await.unwrap());
    }
    let (one, two) = (image("one", &[]), image("two", &[]));
    let newer = push("a/b", &two, &["latest"], revisions[2]);
    state.put_manifest(newer.clone()).await.unwrap();
    let older = push("a/b", &one, &["latest", "only"], revisions[1]);
    other.put_manifest(older.clone()).await.unwrap();
    assert_eq!(at_tag(state, "a/b", "latest").await, Some(newer.digest.clone()), "the tag stays where the newer push set it");
    assert_eq!(at_tag(state, "a/b", "only").await, Some(older.digest.clone()));
    assert!(has(state, "a/b", &older.digest).await, "the older push is kept all the same");
    let set = format!("tag.set a/b {} latest", short(&older.digest));
    assert!(!subject.events().await.contains(&set), "a tag that was not moved is no event");

    let older = other.delete_tag(&repository("a/b"), &tag("latest"), revisions[0]).await;
    assert!(matches!(older, Err(StateError::Changed)));
    let late = delete_at(state, "a/b", &newer.digest, &["latest"], revisions[0]).await;
    assert!(matches!(late, Err(StateError::Changed)));
    assert_eq!(at_tag(state, "a/b", "latest").await, Some(newer.digest));

    // The same manifest, later with another platform: the row says what the newest push said, whichever came through last.
    let at = |revision, platform: &str| crate::state::PutManifest {
        platform: Some(platform.to_owned()),
        ..push("a/b", &image("three", &[]), &[], revision)
    };
    state.put_manifest(at(revisions[3], "linux/arm64")).await.unwrap();
    other.put_manifest(at(revisions[0], "linux/amd64")).await.unwrap();
    assert_eq!(subject.texts("SELECT platform FROM manifests WHERE platform IS NOT NULL").await, ["linux/arm64"]);
}

async fn a_late_push_is_not_lost_behind_a_deletion(subject: Subject) {
    let (state, other) = (&subject.state, subject.replica().await);
    let content = image("one", &[]);
    let digest = put(state, "a/b", &content, &["latest"]).await;
    let early = state.begin_change(&repository("a/b")).await.unwrap();
    delete(state, "a/b", &digest, &["latest"]).await.unwrap();
    // The deletion has the greater number. Were the push taken, a rebuilding would lose what was acknowledged.
    let late = push("a/b", &content, &[], early);
    assert!(matches!(other.put_manifest(late).await, Err(StateError::Changed)));
    let moved = push("a/b", &image("two", &[]), &["latest"], early);
    assert!(matches!(other.put_manifest(moved.clone()).await, Err(StateError::Changed)));
    assert!(!has(state, "a/b", &digest).await && !has(state, "a/b", &moved.digest).await);
    assert_eq!(at_tag(state, "a/b", "latest").await, None);
    let revision = other.begin_change(&repository("a/b")).await.unwrap();
    other.put_manifest(crate::state::PutManifest { revision, ..moved.clone() }).await.unwrap();
    assert_eq!(at_tag(state, "a/b", "latest").await, Some(moved.digest));

    let early = state.begin_change(&repository("a/b")).await.unwrap();
    assert!(untag(state, "a/b", "latest").await);
    assert!(matches!(other.put_manifest(push("a/b", &content, &["latest"], early)).await, Err(StateError::Changed)));
    other.put_manifest(push("a/b", &content, &["free"], early)).await.unwrap();
    assert_eq!(at_tag(state, "a/b", "free").await, Some(digest));
}

async fn failures_leave_the_others_of_their_group_alone(subject: Subject) {
    let state = &subject.state;
    let digest = put(state, "a/b", &index(&[]), &["latest"]).await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..40 {
        let (state, digest) = (state.clone(), digest.clone());
        tasks.spawn(async move {
            if number % 2 == 0 {
                put(&state, "a/b", &image(&format!("config {number}"), &[]), &[&format!("v{number:02}")]).await;
            } else {
                assert!(matches!(delete(&state, "a/b", &digest, &["wrong"]).await, Err(StateError::Changed)));
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(state.tags(&repository("a/b"), "", 100).await.unwrap().unwrap().len(), 21);
    assert_eq!(at_tag(state, "a/b", "latest").await, Some(digest));
}
