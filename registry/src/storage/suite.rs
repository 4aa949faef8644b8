//! What every store must do, said once: each case runs on a folder and on a real S3 server.

mod gateway;
mod listing;
mod objects;
mod parts;
mod reopening;

use std::{
    ops::Range,
    sync::atomic::{AtomicU32, Ordering},
};

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use longshore_oci::Algorithm;
use uuid::Uuid;

use super::{BlobName, Content, FolderStore, ObjectKey, S3Store, StorageError, Store};

/// The least that S3 takes.
const PART_BYTES: u64 = 5 << 20;

/// A store of one test.
struct Subject {
    store: Box<dyn Store>,
    /// A folder's place, so that a test can look at the files; it goes with the test.
    folder: Option<tempfile::TempDir>,
}

impl Subject {
    fn folder() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = FolderStore::open(&folder.path().join("objects"), PART_BYTES).unwrap();
        Self { store: Box::new(store), folder: Some(folder) }
    }

    fn s3() -> Self {
        Self { store: Box::new(S3Store::new(gateway::settings())), folder: None }
    }
}

/// Runs each case, an async function of a [`Subject`], as a test on each store.
macro_rules! on_every_store {
    ($($case:ident),* $(,)?) => {
        mod on_a_folder {
            $(#[tokio::test] async fn $case() { super::$case(super::Subject::folder()).await; })*
        }
        mod on_s3 {
            $(#[tokio::test] async fn $case() { super::$case(super::Subject::s3()).await; })*
        }
    };
}
use on_every_store;

/// A key that no other has.
fn key() -> ObjectKey {
    key_in("library/alpine")
}

fn key_in(repository: &str) -> ObjectKey {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let blob = BlobName { upload: Uuid::now_v7(), number: NEXT.fetch_add(1, Ordering::Relaxed), algorithm: Algorithm::Sha256 };
    ObjectKey::Blob(repository.parse().unwrap(), blob)
}

/// So many bytes, which tell where they stand.
fn bytes(size_bytes: u64, seed: u64) -> Bytes {
    let word = |at: u64| (at ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    let mut all: BytesMut = (0..size_bytes.div_ceil(8)).flat_map(word).collect();
    all.truncate(usize::try_from(size_bytes).unwrap());
    all.freeze()
}

/// The bytes in chunks, as a socket hands them out.
fn cut(all: &Bytes) -> Vec<Bytes> {
    let mut chunks = vec![Bytes::new()];
    let mut rest = all.clone();
    while !rest.is_empty() {
        chunks.push(rest.split_to(rest.len().min(100_000)));
    }
    chunks
}

/// A range of an object, to its end.
async fn read(store: &dyn Store, key: &ObjectKey, size_bytes: u64, range: Range<u64>) -> Result<Bytes, StorageError> {
    match store.read(key, size_bytes, range.clone()).await? {
        Content::Mapped(mapping) => Ok(mapping.slice(range)),
        Content::Stream(stream) => {
            let all = stream.try_fold(BytesMut::new(), |mut all, chunk| async move {
                all.extend_from_slice(&chunk);
                Ok(all)
            });
            Ok(all.await?.freeze())
        }
    }
}
