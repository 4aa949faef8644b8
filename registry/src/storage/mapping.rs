//! A stored file in the address space.
//!
//! This is the one file with `unsafe`: mapping a file is unsound where somebody may change or shorten it meanwhile. Objects never
//! change once in place, and are unlinked, never truncated; [`Mapping::is_intact`] asks the file system before bytes are used, so a
//! file that an outsider shortened or overwrote is found before its bytes are touched.
#![expect(unsafe_code, reason = "memory maps have no safe constructor; what makes this one sound stands above")]

use std::{fs::File, io, ops::Range, os::unix::fs::MetadataExt, sync::Arc};

use bytes::Bytes;

/// A whole file, mapped, and what identified it when it was.
#[derive(Debug)]
pub struct Mapping {
    file: File,
    identity: Identity,
    bytes: Option<memmap2::Mmap>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Identity {
    size_bytes: u64,
    modified: (i64, i64),
    changed_inode: u64,
}

impl Identity {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        Ok(Self { size_bytes: metadata.size(), modified, changed_inode: metadata.ino() })
    }
}

/// A part of a mapping, which keeps the whole alive.
struct Slice {
    mapping: Arc<Mapping>,
    range: Range<usize>,
}

impl AsRef<[u8]> for Slice {
    fn as_ref(&self) -> &[u8] {
        self.mapping.bytes.as_ref().map_or(&[], |bytes| &bytes[self.range.clone()])
    }
}

impl Mapping {
    /// Maps a whole file; an empty one needs no map.
    pub fn of(file: File) -> io::Result<Self> {
        let identity = Identity::of(&file)?;
        let bytes = if identity.size_bytes == 0 {
            None
        } else {
            // SAFETY: the file is an object in place: written whole before this name existed, and never written again.
            Some(unsafe { memmap2::Mmap::map(&file)? })
        };
        Ok(Self { file, identity, bytes })
    }

    /// The file's length in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.identity.size_bytes
    }

    /// Whether the file is still as it was when mapped, by its size and times; one system call.
    pub fn is_intact(&self) -> bool {
        Identity::of(&self.file).is_ok_and(|identity| identity == self.identity)
    }

    /// A part of the file, shared and not copied.
    pub fn slice(self: &Arc<Self>, range: Range<u64>) -> Bytes {
        let position = |at: u64| usize::try_from(at).expect("a mapped file fits the address space");
        if range.is_empty() {
            return Bytes::new();
        }
        Bytes::from_owner(Slice { mapping: self.clone(), range: position(range.start)..position(range.end) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn sees_that_a_file_was_shortened_or_overwritten() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"hello").unwrap();
        let mapping = Arc::new(Mapping::of(file.reopen().unwrap()).unwrap());
        assert_eq!(mapping.slice(1..4), "ell");
        assert!(mapping.is_intact());
        file.as_file().set_len(2).unwrap();
        assert!(!mapping.is_intact());
    }

    #[test]
    fn maps_an_empty_file() {
        let file = tempfile::tempfile().unwrap();
        let mapping = Arc::new(Mapping::of(file).unwrap());
        assert_eq!(mapping.slice(0..0), "");
    }
}
