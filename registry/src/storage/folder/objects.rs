use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, IoSlice, Write},
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;

use super::{super::Mapping, Folder, StorageError, directories};

impl Folder {
    /// Writes a whole object: its bytes reach the disk under a passing name, then the rename does.
    pub(super) fn put(&self, key: &str, content: &[Bytes]) -> Result<(), StorageError> {
        let path = self.root.join(key);
        let incoming = self.incoming.join(self.next_incoming.fetch_add(1, Ordering::Relaxed).to_string());
        let written = File::create_new(&incoming).and_then(|mut file| {
            write_all(&mut file, content)?;
            file.sync_data()
        });
        let placed = written.and_then(|()| self.place(&incoming, &path));
        placed.map_err(|error| {
            // Already refused for the reason that counts; what stays is removed at the next start.
            let _ = fs::remove_file(&incoming);
            StorageError::file("write", &path)(error)
        })
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
