use std::{fs, path::Path};

use bytes::Bytes;
use longshore_oci::Algorithm;
use uuid::Uuid;

use super::{FolderStore, INCOMING, PartTag, StorageError, Store, UNFINISHED, Unfinished};
use crate::storage::{BlobName, ObjectKey};

const PART_BYTES: u64 = 1 << 20;

fn open(root: &Path) -> FolderStore {
    FolderStore::open(root, PART_BYTES).unwrap()
}

fn key(number: u32) -> ObjectKey {
    ObjectKey::Blob("a/b".parse().unwrap(), BlobName { upload: Uuid::nil(), number, algorithm: Algorithm::Sha256 })
}

#[test]
fn two_stores_never_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let second = FolderStore::open(folder.path(), PART_BYTES).unwrap_err();
    assert!(matches!(second, StorageError::InUse { .. }), "{second}");
    assert!(second.to_string().contains(&*folder.path().file_name().unwrap().to_string_lossy()), "{second}");
    drop(first);
    open(folder.path());
}

#[tokio::test]
async fn removes_what_an_earlier_process_was_writing_and_keeps_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (key(1), key(2));
    let (id, tag) = {
        let store = open(folder.path());
        store.put(&whole, vec![Bytes::from_static(b"whole")]).await.unwrap();
        let id = store.begin(&parts).await.unwrap();
        let tag = store.put_part(&parts, &id, 1, vec![Bytes::from_static(b"part")]).await.unwrap();
        (id, tag)
    };
    fs::write(folder.path().join(INCOMING).join("0"), b"half").unwrap();
    let store = open(folder.path());
    assert_eq!(fs::read_dir(folder.path().join(INCOMING)).unwrap().count(), 0);
    store.read(&whole, 5, 0..5).await.unwrap();
    store.complete(&parts, &id, &[tag]).await.unwrap();
    store.read(&parts, 4, 0..4).await.unwrap();
}

#[tokio::test]
async fn gives_up_parts_that_a_power_failure_may_have_taken() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let key = key(1);
    let id = store.begin(&key).await.unwrap();
    let tag = store.put_part(&key, &id, 1, vec![Bytes::from_static(b"part")]).await.unwrap();
    let of_another_run = PartTag(format!("{}@another-run", tag.0.split_once('@').unwrap().0));
    let refused = store.complete(&key, &id, &[of_another_run]).await;
    assert!(matches!(refused, Err(StorageError::NotFound { .. })), "{refused:?}");
}

#[tokio::test]
async fn leaves_no_folders_behind_what_was_unfinished() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let id = store.begin(&key(1)).await.unwrap();
    let tag = store.put_part(&key(1), &id, 1, vec![Bytes::from_static(b"part")]).await.unwrap();
    let reopened = store.reopen(&Unfinished { key: key(1), id: id.clone() }, &[tag], 4, &key(2)).await.unwrap();
    assert_eq!(reopened.tail, [Bytes::from_static(b"part")]);
    store.abort(&key(1), &id).await.unwrap();
    let tag = store.put_part(&key(2), &reopened.id, 1, reopened.tail).await.unwrap();
    store.complete(&key(2), &reopened.id, &[tag]).await.unwrap();
    assert_eq!(fs::read_dir(folder.path().join(UNFINISHED)).unwrap().count(), 0);
}

#[tokio::test]
async fn many_writers_of_one_folder_get_their_own_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let writes = (0..64_u32).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let content = Bytes::from(number.to_le_bytes().repeat(1_000));
            store.put(&key(number), vec![content.clone()]).await.unwrap();
            let in_parts = key(1_000 + number);
            let id = store.begin(&in_parts).await.unwrap();
            let tag = store.put_part(&in_parts, &id, 1, vec![content]).await.unwrap();
            store.complete(&in_parts, &id, &[tag]).await.unwrap();
        })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.unwrap();
    }
    for number in (0..64).chain(1_000..1_064) {
        let written = fs::read(folder.path().join(key(number).to_string())).unwrap();
        assert_eq!(written, (number % 1_000).to_le_bytes().repeat(1_000));
    }
}
