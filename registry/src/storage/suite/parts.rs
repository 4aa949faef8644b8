use super::{
    super::{ObjectKey, PartTag, PartsId},
    PART_BYTES, StorageError, Store, Subject, bytes, cut, key, on_every_store, read,
};

on_every_store!(
    joins_one_short_part,
    joins_many_parts,
    joins_parts_that_are_all_full,
    takes_the_last_of_a_part_written_twice,
    shows_nothing_before_it_is_complete,
    completing_twice_is_completing_once,
    aborting_leaves_nothing,
    refuses_to_complete_what_is_gone,
);

/// Writes parts one after the other; the seeds tell them apart.
pub(super) async fn put_parts(store: &dyn Store, key: &ObjectKey, id: &PartsId, sizes_bytes: &[u64]) -> Vec<PartTag> {
    let mut tags = Vec::new();
    for (number, size_bytes) in (1..).zip(sizes_bytes) {
        tags.push(store.put_part(key, id, number, cut(&bytes(*size_bytes, number.into()))).await.unwrap());
    }
    tags
}

/// Reads the parts back, and across what joins them.
pub(super) async fn assert_parts(store: &dyn Store, key: &ObjectKey, sizes_bytes: &[u64]) {
    let parts: Vec<_> = (1..).zip(sizes_bytes).map(|(number, size_bytes)| bytes(*size_bytes, number)).collect();
    let (whole, total_bytes) = (parts.concat(), sizes_bytes.iter().sum());
    assert!(read(store, key, total_bytes, 0..total_bytes).await.unwrap() == whole, "the bytes differ");
    if total_bytes > PART_BYTES {
        let (start, end) = (PART_BYTES - 3, PART_BYTES + 1);
        let across = read(store, key, total_bytes, start..end).await.unwrap();
        assert_eq!(across, whole[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()]);
    }
}

async fn joins(store: &dyn Store, sizes_bytes: &[u64]) {
    let key = key();
    let id = store.begin(&key).await.unwrap();
    let tags = put_parts(store, &key, &id, sizes_bytes).await;
    store.complete(&key, &id, &tags).await.unwrap();
    assert_parts(store, &key, sizes_bytes).await;
    assert_eq!(store.list_unfinished(None).await.unwrap(), []);
}

async fn joins_one_short_part(Subject { store, folder: _folder }: Subject) {
    joins(&*store, &[12_345]).await;
}

async fn joins_many_parts(Subject { store, folder: _folder }: Subject) {
    joins(&*store, &[PART_BYTES, PART_BYTES, PART_BYTES, PART_BYTES, 1]).await;
}

async fn joins_parts_that_are_all_full(Subject { store, folder: _folder }: Subject) {
    joins(&*store, &[PART_BYTES, PART_BYTES]).await;
}

async fn takes_the_last_of_a_part_written_twice(Subject { store, folder: _folder }: Subject) {
    let key = key();
    let id = store.begin(&key).await.unwrap();
    // The last part was longer once, and a later one was written and is not wanted.
    store.put_part(&key, &id, 3, vec![bytes(100, 9)]).await.unwrap();
    store.put_part(&key, &id, 2, vec![bytes(70_000, 9)]).await.unwrap();
    let tags = put_parts(&*store, &key, &id, &[PART_BYTES, 60_000]).await;
    store.complete(&key, &id, &tags).await.unwrap();
    assert_parts(&*store, &key, &[PART_BYTES, 60_000]).await;
}

async fn shows_nothing_before_it_is_complete(Subject { store, folder: _folder }: Subject) {
    let key = key();
    let id = store.begin(&key).await.unwrap();
    put_parts(&*store, &key, &id, &[PART_BYTES]).await;
    assert!(matches!(read(&*store, &key, PART_BYTES, 0..PART_BYTES).await, Err(StorageError::NotFound { .. })));
    assert_eq!(store.list("", None).await.unwrap().objects, []);
}

async fn completing_twice_is_completing_once(Subject { store, folder: _folder }: Subject) {
    let key = key();
    let id = store.begin(&key).await.unwrap();
    let tags = put_parts(&*store, &key, &id, &[PART_BYTES, 5]).await;
    store.complete(&key, &id, &tags).await.unwrap();
    store.complete(&key, &id, &tags).await.unwrap();
    assert_parts(&*store, &key, &[PART_BYTES, 5]).await;
    store.abort(&key, &id).await.unwrap();
    assert_parts(&*store, &key, &[PART_BYTES, 5]).await;
}

async fn aborting_leaves_nothing(Subject { store, folder: _folder }: Subject) {
    let key = key();
    let id = store.begin(&key).await.unwrap();
    put_parts(&*store, &key, &id, &[PART_BYTES, 5]).await;
    store.abort(&key, &id).await.unwrap();
    store.abort(&key, &id).await.unwrap();
    assert_eq!(store.list_unfinished(None).await.unwrap(), []);
    let late = store.put_part(&key, &id, 3, vec![bytes(5, 1)]).await;
    assert!(matches!(late, Err(StorageError::NotFound { .. })), "{late:?}");
}

async fn refuses_to_complete_what_is_gone(Subject { store, folder: _folder }: Subject) {
    let key = key();
    let id = store.begin(&key).await.unwrap();
    let tags = put_parts(&*store, &key, &id, &[7]).await;
    store.abort(&key, &id).await.unwrap();
    let completed = store.complete(&key, &id, &tags).await;
    assert!(matches!(completed, Err(StorageError::NotFound { .. })), "{completed:?}");
}
