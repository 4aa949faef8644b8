use jiff::{Timestamp, ToSpan as _};

use super::{
    Subject, on_every_database,
    samples::{begin, garbage, whole},
};
use crate::{state::Garbage, storage::PartsId};

on_every_database!(the_longest_due_goes_first, what_was_deleted_is_struck_off);

async fn the_longest_due_goes_first(subject: Subject) {
    let state = &subject.state;
    let mut expected = Vec::new();
    for minutes in [3, 1, -60, 4, 2] {
        let (upload, claim) = begin(state, "a/b").await;
        let mut commit = whole(&upload, claim, &format!("content {minutes}"));
        commit.garbage_due_at = Timestamp::now() - minutes.minutes();
        let key = upload.clone().claimed(claim).parts_key(1);
        commit.garbage.push(Garbage { key: key.clone(), parts: None });
        state.commit_blob(commit).await.unwrap();
        expected.push((minutes, key));
    }
    expected.sort_by_key(|(minutes, _)| -minutes);
    expected.pop();
    let keys = async |limit| state.due_garbage(limit).await.unwrap().into_iter().map(|garbage| garbage.key).collect::<Vec<_>>();
    let expected: Vec<_> = expected.into_iter().map(|(_, key)| key).collect();
    assert_eq!(keys(10).await, expected, "and what is not due yet stays");
    assert_eq!(keys(2).await, expected[..2]);
}

async fn what_was_deleted_is_struck_off(subject: Subject) {
    let (state, other) = (&subject.state, subject.replica().await);
    let (upload, claim) = begin(state, "a/b").await;
    let key = upload.clone().claimed(claim).parts_key(1);
    let mut commit = whole(&upload, claim, "content");
    let whole_object = Garbage { key: key.clone(), parts: None };
    let in_parts = Garbage { key: key.clone(), parts: Some(PartsId("many".to_owned())) };
    commit.garbage = vec![whole_object.clone(), in_parts.clone(), whole_object.clone()];
    state.commit_blob(commit).await.unwrap();
    assert_eq!(garbage(state).await.len(), 2, "twice the same is once");
    other.forget_garbage(vec![whole_object.clone()]).await.unwrap();
    other.forget_garbage(vec![whole_object]).await.unwrap();
    let left = state.due_garbage(10).await.unwrap();
    assert_eq!(left.iter().collect::<Vec<_>>(), [&in_parts]);
    state.forget_garbage(left).await.unwrap();
    assert!(garbage(state).await.is_empty());
    assert_eq!(subject.count("garbage").await, 0);
}
