//! Objects as files of a folder.
//!
//! An object's path below the root is its key. It is written under `incoming/` and renamed into place once its bytes are on disk,
//! so that a file at its key is always whole. Objects in parts grow under `unfinished/`, at the same path. Both are on the root's
//! file system, and the rename is followed by an fsync of the directory, before anything is acknowledged.
//!
//! One process owns the folder, by a lock on its `lock` file, which the kernel drops with the process however it ends.

mod direct;
mod directories;
mod lengths;
mod objects;
mod parts;
#[cfg(test)]
mod tests;
mod turns;
mod walk;

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use longshore_service::private_files;
use std::ops::Range;

use super::{Content, ObjectKey, Page, PartTag, PartsId, Reopened, StorageError, Store, Unfinished};
use direct::Direct;
use directories::Directories;
use lengths::WrittenPart;
use turns::Turns;

const INCOMING: &str = "incoming";
const UNFINISHED: &str = "unfinished";
const LOCK: &str = "lock";

/// A store of files below one folder, which it owns.
#[derive(Clone, Debug)]
pub struct FolderStore(Arc<Folder>);

#[derive(Debug)]
struct Folder {
    root: PathBuf,
    incoming: PathBuf,
    unfinished: PathBuf,
    directories: Directories,
    direct: Direct,
    turns: Turns,
    part_bytes: u64,
    /// Names files in `incoming/`.
    next_incoming: AtomicU64,
    /// Which run of the system this is: written parts that were not yet synced are lost when it ends, and only then.
    boot: String,
    /// Held, not read.
    _lock: File,
}

impl FolderStore {
    /// Makes the folder if need be, locks it, and removes what an earlier process had not written to the end.
    ///
    /// `part_bytes` is the length of every part but the last, in bytes. Fails with [`StorageError::InUse`] when another process
    /// has the folder.
    pub fn open(root: &Path, part_bytes: u64) -> Result<Self, StorageError> {
        private_files::make_folder(root).map_err(StorageError::file("create the folder", root))?;
        let root = fs::canonicalize(root).map_err(StorageError::file("resolve the folder", root))?;
        let lock = lock(&root)?;
        let directories = Directories::default();
        let (incoming, unfinished) = (root.join(INCOMING), root.join(UNFINISHED));
        for directory in [&incoming, &unfinished] {
            private_files::make_folders(directory).map_err(StorageError::file("create the folder", directory))?;
        }
        private_files::tell_open(&root, [incoming.as_path()]);
        for directory in root.ancestors().take(2) {
            directories::sync(directory).map_err(StorageError::file("sync the folder", directory))?;
        }
        for entry in fs::read_dir(&incoming).map_err(StorageError::file("list", &incoming))? {
            let path = entry.map_err(StorageError::file("list", &incoming))?.path();
            fs::remove_file(&path).map_err(StorageError::file("remove", &path))?;
        }
        let direct = Direct::of(&incoming, part_bytes).map_err(StorageError::file("write to", &incoming))?;
        let next_incoming = AtomicU64::new(0);
        Ok(Self(Arc::new(Folder {
            root,
            incoming,
            unfinished,
            directories,
            direct,
            turns: Turns::default(),
            part_bytes,
            next_incoming,
            boot: boot(),
            _lock: lock,
        })))
    }

    /// Runs work with files off the runtime's own threads.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folder) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let folder = self.0.clone();
        match tokio::task::spawn_blocking(move || work(&folder)).await {
            Ok(result) => result,
            Err(stopped) if stopped.is_panic() => std::panic::resume_unwind(stopped.into_panic()),
            // The runtime is going down.
            Err(stopped) => Err(StorageError::file("work in", &self.0.root)(stopped.into())),
        }
    }
}

fn lock(root: &Path) -> Result<File, StorageError> {
    let path = root.join(LOCK);
    let file = private_files::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(StorageError::file("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StorageError::InUse { path: root.display().to_string() }),
        Err(TryLockError::Error(error)) => Err(StorageError::file("lock", &path)(error)),
    }
}

/// The kernel's name for this run of the system. Where it has none, a name of this process: unsynced parts are then given up
/// sooner.
fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| uuid::Uuid::now_v7().to_string(), |text| text.trim().to_owned())
}

#[async_trait]
impl Store for FolderStore {
    fn part_bytes(&self) -> u64 {
        self.0.part_bytes
    }

    fn chunk_min_bytes(&self) -> Option<u64> {
        None
    }

    async fn put(&self, key: &ObjectKey, content: Vec<Bytes>) -> Result<(), StorageError> {
        let key = key.to_string();
        if let Some(_turn) = self.0.turns.take_free() {
            return self.run(move |folder| folder.keep(&key, folder.write(&key, &content)?)).await;
        }
        // Who has to wait does so without the bytes.
        let size_bytes = content.iter().map(|chunk| chunk.len() as u64).sum();
        let name = key.clone();
        let incoming = self.run(move |folder| folder.write(&name, &content)).await?;
        let _turn = self.0.turns.take(size_bytes).await;
        self.run(move |folder| folder.keep(&key, incoming)).await
    }

    async fn read(&self, key: &ObjectKey, size_bytes: u64, _range: Range<u64>) -> Result<Content, StorageError> {
        let key = key.to_string();
        self.run(move |folder| folder.map(key, size_bytes)).await.map(Content::Mapped)
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), StorageError> {
        let keys: Vec<_> = keys.iter().map(ToString::to_string).collect();
        self.run(move |folder| folder.delete(&keys)).await
    }

    async fn begin(&self, key: &ObjectKey) -> Result<PartsId, StorageError> {
        let key = key.to_string();
        self.run(move |folder| folder.begin(&key)).await
    }

    async fn put_part(&self, key: &ObjectKey, _id: &PartsId, number: u32, content: Vec<Bytes>) -> Result<PartTag, StorageError> {
        let key = key.to_string();
        let slot = self.0.direct.slot().await;
        self.run(move |folder| folder.put_part(key, number, &content, slot.as_ref())).await
    }

    async fn complete(&self, key: &ObjectKey, _id: &PartsId, parts: &[PartTag]) -> Result<(), StorageError> {
        let (key, parts) = (key.to_string(), parts.to_vec());
        let _turn = self.0.turns.take(parts.len() as u64 * self.0.part_bytes).await;
        self.run(move |folder| folder.complete(key, &parts)).await
    }

    async fn abort(&self, key: &ObjectKey, _id: &PartsId) -> Result<(), StorageError> {
        let key = key.to_string();
        self.run(move |folder| folder.abort(&key)).await
    }

    async fn reopen(
        &self,
        unfinished: &Unfinished,
        parts: &[PartTag],
        tail_bytes: u64,
        new_key: &ObjectKey,
    ) -> Result<Reopened, StorageError> {
        let (key, parts, new_key) = (unfinished.key.to_string(), parts.to_vec(), new_key.to_string());
        self.run(move |folder| folder.reopen(key, parts, tail_bytes, &new_key)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, StorageError> {
        let (prefix, after) = (prefix.to_owned(), after.unwrap_or_default().to_owned());
        self.run(move |folder| folder.list(&prefix, &after)).await
    }

    async fn list_unfinished(&self, after: Option<&Unfinished>) -> Result<Vec<Unfinished>, StorageError> {
        let after = after.map(|after| after.key.to_string()).unwrap_or_default();
        self.run(move |folder| folder.list_unfinished(&after)).await
    }

    async fn presign(&self, _key: &ObjectKey, _valid_for: Duration) -> Result<Option<String>, StorageError> {
        Ok(None)
    }

    async fn probe(&self) -> Result<(), StorageError> {
        self.run(Folder::probe).await
    }
}
