use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, IoSlice, Write},
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use longshore_service::private_files;

use super::{super::Mapping, Folder, StorageError, directories};

/// An object's bytes under a passing name, not yet on disk. Dropped before it is placed, it leaves nothing behind.
#[derive(Debug)]
pub(super) struct Incoming {
    path: PathBuf,
    file: File,
    is_placed: bool,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.is_placed {
            // Refused for a reason that was told already; what stays is removed at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Folder {
    /// Hands an object's bytes to the kernel.
    pub(super) fn write(&self, key: &str, content: &[Bytes]) -> Result<Incoming, StorageError> {
        let path = self.incoming.join(self.next_incoming.fetch_add(1, Ordering::Relaxed).to_string());
        let created = private_files::options().write(true).create_new(true).open(&path).map(|file| Incoming {
            path,
            file,
            is_placed: false,
        });
        let written = created.and_then(|mut incoming| write_all(&mut incoming.file, content).map(|()| incoming));
        written.map_err(|error| StorageError::file("write", &self.root.join(key))(error))
    }

    /// Makes what was written an object: its bytes reach the disk first, then the rename does.
    pub(super) fn keep(&self, key: &str, mut incoming: Incoming) -> Result<(), StorageError> {
        let path = self.root.join(key);
        let placed = incoming.file.sync_data().and_then(|()| self.place(&incoming.path, &path));
        incoming.is_placed = placed.is_ok();
        placed.map_err(StorageError::file("write", &path))
    }

    /// Renames a file whose bytes are on disk into its place, durably.
    pub(super) fn place(&self, from: &Path, path: &Path) -> io::Result<()> {
        let parent = path.parent().unwrap_or(&self.root);
        self.directories.ensure(&self.root, parent)?;
        fs::rename(from, path)?;
        directories::sync(parent)
    }

    /// Maps an object of known length.
    pub(super) fn map(&self, key: String, size_bytes: u64) -> Result<Arc<Mapping>, StorageError> {
        let path = self.root.join(&key);
        let mapping = File::open(&path).and_then(Mapping::of).map_err(|error| absent_or_file("open", &key, &path, error))?;
        if mapping.size_bytes() != size_bytes {
            return Err(StorageError::Length { key, expected_bytes: size_bytes, actual_bytes: mapping.size_bytes() });
        }
        Ok(Arc::new(mapping))
    }

    /// Removes objects, durably: one that came back after a power failure would be nobody's.
    pub(super) fn delete(&self, keys: &[String]) -> Result<(), StorageError> {
        let mut parents = BTreeSet::new();
        for key in keys {
            let path = self.root.join(key);
            match fs::remove_file(&path) {
                Ok(()) => parents.extend(path.parent().map(Path::to_owned)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(StorageError::file("remove", &path)(error)),
            }
        }
        for parent in parents {
            directories::sync(&parent).map_err(StorageError::file("sync", &parent))?;
        }
        Ok(())
    }

    /// Writes, syncs and removes a byte.
    pub(super) fn probe(&self) -> Result<(), StorageError> {
        let path = self.incoming.join(format!("probe-{}", self.next_incoming.fetch_add(1, Ordering::Relaxed)));
        let written = File::create_new(&path).and_then(|mut file| {
            file.write_all(b"\n")?;
            file.sync_data()
        });
        let removed = fs::remove_file(&path);
        written.and(removed).map_err(StorageError::file("write", &path))
    }
}

/// A missing file is a missing object; anything else is the file system's fault.
pub(super) fn absent_or_file(operation: &'static str, key: &str, path: &Path, error: io::Error) -> StorageError {
    if error.kind() == io::ErrorKind::NotFound {
        StorageError::NotFound { key: key.to_owned() }
    } else {
        StorageError::file(operation, path)(error)
    }
}

/// Writes all chunks, in as few system calls as the kernel takes.
fn write_all(file: &mut File, content: &[Bytes]) -> io::Result<()> {
    let mut chunks: Vec<_> = content.iter().filter(|chunk| !chunk.is_empty()).map(|chunk| IoSlice::new(chunk)).collect();
    let mut left = chunks.as_mut_slice();
    while !left.is_empty() {
        match file.write_vectored(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written_bytes) => IoSlice::advance_slices(&mut left, written_bytes),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
