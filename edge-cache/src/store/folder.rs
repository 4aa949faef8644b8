pub(super) mod plain;

use std::{
    ffi::OsStr,
    fs::{self, File, TryLockError},
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use longshore_oci::{Algorithm, Digest};
use longshore_service::private_files;
use rustix::fs::{FallocateFlags, fallocate};

use super::error::StoreError;

const LOCK: &str = "lock";
const INDEX: &str = "index.redb";
const BLOBS: &str = "blobs";
const INCOMING: &str = "incoming";

/// Where what lies. One process has it, by a lock that the kernel drops with the process, however it ends.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// Names files in `incoming/`.
    next_incoming: AtomicU64,
    /// Held, not read.
    _lock: File,
}

impl Folder {
    /// Makes it if need be, locks it, and removes what was on its way when an earlier process ended.
    pub(super) fn open(root: &Path) -> Result<Self, StoreError> {
        private_files::make_folder(root).map_err(StoreError::file("create the folder", root))?;
        let root = fs::canonicalize(root).map_err(StoreError::file("resolve the folder", root))?;
        let lock = lock(&root)?;
        let incoming = root.join(INCOMING);
        plain::remove(&incoming).map_err(StoreError::file("empty the folder", &incoming))?;
        let of_algorithm = |algorithm: Algorithm| root.join(BLOBS).join(algorithm.name());
        for folder in [incoming, of_algorithm(Algorithm::Sha256), of_algorithm(Algorithm::Sha512)] {
            private_files::make_folders(&folder).map_err(StoreError::file("create the folder", &folder))?;
        }
        for folder in [root.join(BLOBS), root.clone()].iter().map(PathBuf::as_path).chain(root.parent()) {
            sync(folder).map_err(StoreError::file("sync the folder", folder))?;
        }
        let (blobs, index) = (root.join(BLOBS), root.join(INDEX));
        private_files::tell_open(&root, [blobs.as_path(), index.as_path()]);
        Ok(Self { root, next_incoming: AtomicU64::new(0), _lock: lock })
    }

    /// The folder itself.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Where the index lies.
    pub(super) fn index(&self) -> PathBuf {
        self.root.join(INDEX)
    }

    /// Where a blob's bytes lie.
    pub(super) fn blob(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.root.join(BLOBS).join(digest.algorithm().name()).join(&hex[..2]).join(hex)
    }

    /// A blob's file, to be read. What is no plain file is none: [`plain::is_not_plain`].
    pub(super) fn open_to_read(&self, digest: &Digest) -> io::Result<File> {
        plain::open(&self.blob(digest), |options| options.read(true))
    }

    /// How long a blob's file is, in bytes; `None` where there is none.
    pub(super) fn length(&self, digest: &Digest) -> Option<u64> {
        plain::length(&self.blob(digest))
    }

    /// A blob's file, made where it is not there; `before_made` is called before it is.
    pub(super) fn open_to_write(&self, digest: &Digest, before_made: impl FnOnce()) -> io::Result<File> {
        let path = self.blob(digest);
        let open = |is_made| plain::open(&path, |options| options.create(is_made).truncate(false).read(true).write(true));
        let is_missing = |opened: &io::Result<File>| opened.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        let mut opened = open(false);
        if is_missing(&opened) {
            before_made();
            opened = open(true);
        }
        if is_missing(&opened) {
            make_folder_of(&path)?;
            opened = open(true);
        }
        opened
    }

    /// Makes a hole in a blob's file, which is given back to the disk and reads as zeros, where the file system can.
    pub(super) fn punch(&self, digest: &Digest, bytes: &Range<u64>) -> io::Result<()> {
        let file = plain::open(&self.blob(digest), |options| options.write(true))?;
        fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, bytes.start, bytes.end - bytes.start)?;
        Ok(())
    }

    /// A file for a blob on its way.
    pub(super) fn open_incoming(&self) -> io::Result<(PathBuf, File)> {
        let number = self.next_incoming.fetch_add(1, Ordering::Relaxed);
        let path = self.root.join(INCOMING).join(number.to_string());
        let file = plain::open(&path, |options| options.create_new(true).read(true).write(true))?;
        Ok((path, file))
    }

    /// Puts a file at a blob's place.
    pub(super) fn install(&self, incoming: &Path, digest: &Digest) -> io::Result<()> {
        let path = self.blob(digest);
        match fs::rename(incoming, &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_folder_of(&path)?;
                fs::rename(incoming, &path)
            }
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                plain::remove(&path)?;
                fs::rename(incoming, &path)
            }
            renamed => renamed,
        }
    }

    /// Has the index be found again after a power failure.
    pub(super) fn sync_root(&self) -> Result<(), StoreError> {
        sync(&self.root).map_err(StoreError::file("sync the folder", &self.root))
    }

    /// Has a blob's file be found again after a power failure.
    pub(super) fn sync_name(&self, digest: &Digest) -> io::Result<()> {
        self.blob(digest).parent().map_or(Ok(()), sync)
    }

    /// Removes what lies in a blob's place, if there is something.
    pub(super) fn remove(&self, digest: &Digest) -> io::Result<()> {
        plain::remove(&self.blob(digest))
    }

    /// Removes all that lies among the blobs but the files of those to keep; how many. What can't be removed stays, and is told.
    pub(super) fn drop_strays(&self, is_kept: impl Fn(&Digest) -> bool) -> Result<usize, StoreError> {
        let mut dropped = 0;
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            for folder in list(&self.root.join(BLOBS).join(algorithm.name()))? {
                // A link to a folder is none: what it leads to is not the cache's.
                if !fs::symlink_metadata(&folder).is_ok_and(|found| found.is_dir()) {
                    dropped += drop_stray(&folder);
                    continue;
                }
                for path in list(&folder)? {
                    let hex = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
                    let digest = format!("{}:{hex}", algorithm.name()).parse::<Digest>().ok();
                    let is_blob = digest.is_some_and(|digest| self.blob(&digest) == path && is_kept(&digest));
                    if !is_blob || plain::length(&path).is_none() {
                        dropped += drop_stray(&path);
                    }
                }
            }
        }
        Ok(dropped)
    }
}

/// Removes what is no blob; how many that were.
fn drop_stray(path: &Path) -> usize {
    match plain::remove(path) {
        Ok(()) => 1,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "what is no blob lies among the blobs, and can't be removed");
            0
        }
    }
}

fn lock(root: &Path) -> Result<File, StoreError> {
    let path = root.join(LOCK);
    let file = plain::open(&path, |options| options.create(true).truncate(false).write(true));
    let file = file.map_err(StoreError::file("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: root.display().to_string() }),
        Err(TryLockError::Error(error)) => Err(StoreError::file("lock", &path)(error)),
    }
}

/// Makes the folder that a blob's file lies in, and has it be found again.
fn make_folder_of(path: &Path) -> io::Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    private_files::make_folders(folder)?;
    folder.parent().map_or(Ok(()), sync)
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let listed = fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    listed.map_err(StoreError::file("list", folder))
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
