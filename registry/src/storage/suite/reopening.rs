use super::{
    super::{PartTag, Unfinished},
    PART_BYTES, StorageError, Store, Subject, bytes, key, on_every_store,
    parts::{assert_parts, put_parts},
};

on_every_store!(
    goes_on_after_a_short_part,
    goes_on_after_full_parts,
    goes_on_with_a_tail_alone,
    reopens_again_when_the_first_was_not_heard_of,
    what_was_reopened_takes_no_more_parts,
);

/// An object in parts that somebody left behind.
async fn left_behind(store: &dyn Store, sizes_bytes: &[u64]) -> (Unfinished, Vec<PartTag>) {
    let key = key();
    let id = store.begin(&key).await.unwrap();
    let tags = put_parts(store, &key, &id, sizes_bytes).await;
    (Unfinished { key, id }, tags)
}

/// Reopens, writes the tail and what follows it, and reads it all.
async fn goes_on(store: &dyn Store, full_parts: usize, tail_bytes: u64) {
    let mut sizes_bytes = vec![PART_BYTES; full_parts];
    sizes_bytes.extend((tail_bytes > 0).then_some(tail_bytes));
    let (old, tags) = left_behind(store, &sizes_bytes).await;
    finish(store, &old, &tags, full_parts, tail_bytes).await;
    store.abort(&old.key, &old.id).await.unwrap();
    store.delete(std::slice::from_ref(&old.key)).await.unwrap();
    assert_eq!(store.list_unfinished(None).await.unwrap(), []);
}

async fn finish(store: &dyn Store, old: &Unfinished, tags: &[PartTag], full_parts: usize, tail_bytes: u64) {
    let new_key = key();
    let mut reopened = store.reopen(old, tags, tail_bytes, &new_key).await.unwrap();
    assert_eq!(reopened.parts.len(), full_parts);
    let number = u64::try_from(full_parts).unwrap() + 1;
    let whole = bytes(tail_bytes + 1_000, number);
    let (head, rest) = whole.split_at(usize::try_from(tail_bytes).unwrap());
    assert!(reopened.tail.concat() == head, "the tail differs");
    let mut content = reopened.tail;
    content.push(rest.to_vec().into());
    reopened.parts.push(store.put_part(&new_key, &reopened.id, u32::try_from(number).unwrap(), content).await.unwrap());
    store.complete(&new_key, &reopened.id, &reopened.parts).await.unwrap();
    let mut sizes_bytes = vec![PART_BYTES; full_parts];
    sizes_bytes.push(tail_bytes + 1_000);
    assert_parts(store, &new_key, &sizes_bytes).await;
}

async fn goes_on_after_a_short_part(Subject { store, folder: _folder }: Subject) {
    goes_on(&*store, 2, 333_333).await;
}

async fn goes_on_after_full_parts(Subject { store, folder: _folder }: Subject) {
    goes_on(&*store, 2, 0).await;
}

async fn goes_on_with_a_tail_alone(Subject { store, folder: _folder }: Subject) {
    goes_on(&*store, 0, 10).await;
}

async fn reopens_again_when_the_first_was_not_heard_of(Subject { store, folder: _folder }: Subject) {
    let (old, tags) = left_behind(&*store, &[PART_BYTES, 50]).await;
    let (lost_key, next_key) = (key(), key());
    let lost = store.reopen(&old, &tags, 50, &lost_key).await.unwrap();
    // The lost one still writes, after the tail that it was given, and so does the next; neither sees the other's bytes.
    let next = store.reopen(&old, &tags, 50, &next_key).await.unwrap();
    assert_eq!(next.tail.concat(), bytes(50, 2));
    let mut next_parts = next.parts;
    next_parts.push(store.put_part(&next_key, &next.id, 2, vec![bytes(70, 2)]).await.unwrap());
    store.put_part(&lost_key, &lost.id, 2, vec![bytes(50, 2), bytes(90, 99)]).await.unwrap();
    store.complete(&next_key, &next.id, &next_parts).await.unwrap();
    store.put_part(&lost_key, &lost.id, 2, vec![bytes(50, 2), bytes(90, 98)]).await.unwrap();
    assert_parts(&*store, &next_key, &[PART_BYTES, 70]).await;
    finish(&*store, &old, &tags, 1, 50).await;
}

async fn what_was_reopened_takes_no_more_parts(Subject { store, folder: _folder }: Subject) {
    let (old, tags) = left_behind(&*store, &[PART_BYTES]).await;
    let new_key = key();
    store.reopen(&old, &tags, 0, &new_key).await.unwrap();
    let late = store.put_part(&old.key, &old.id, 2, vec![bytes(5, 1)]).await;
    assert!(matches!(late, Err(StorageError::NotFound { .. })), "{late:?}");
    assert!(matches!(store.reopen(&old, &tags, 0, &new_key).await, Ok(_) | Err(StorageError::File { .. })));
}
