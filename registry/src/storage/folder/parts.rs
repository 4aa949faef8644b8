//! Objects in parts: one file each below `unfinished/`, whose parts are written at their offsets.
//!
//! Two writers of one upload are told apart by their keys, and must never share a file. So whoever reopens a file first seals it:
//! renames it to `<key>.sealed`, where no part is ever written, and links it at the new key. A file has one name that takes parts
//! at most. Who writes after its full parts begins with the tail that was handed out, so the sealed one still says what it said.
//! Where it is linked already (somebody reopened it and was not heard of again), it is copied instead. A lock on the file keeps a
//! late write of a part from falling into a file that was sealed or completed meanwhile.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use longshore_service::private_files;

use super::{
    super::{PartTag, PartsId, Reopened},
    Folder, StorageError, WrittenPart,
    direct::Slot,
    directories,
    lengths::total_bytes,
    objects::absent_or_file,
};

/// Every file in parts has the same name to the store: its key says all.
pub(super) const ID: &str = "file";

/// What the name of a reopened file ends with. No key does.
pub(super) const SEALED: &str = ".sealed";

/// How often making a file is tried while others remove its empty directory.
const DIRECTORY_ATTEMPTS: u32 = 16;

impl Folder {
    pub(super) fn begin(&self, key: &str) -> Result<PartsId, StorageError> {
        let path = self.unfinished.join(key);
        in_directory(&path, || create(&path).map(drop)).map_err(StorageError::file("create", &path))?;
        Ok(PartsId(ID.to_owned()))
    }

    /// A part's bytes, past the page cache where there is a slot for it. The last part's may then be followed by zeros in the
    /// file.
    pub(super) fn put_part(
        &self,
        key: String,
        number: u32,
        content: &[Bytes],
        slot: Option<&Slot>,
    ) -> Result<PartTag, StorageError> {
        let path = self.unfinished.join(&key);
        let file = File::options().write(true).open(&path).map_err(|error| absent_or_file("open", &key, &path, error))?;
        file.lock_shared().map_err(StorageError::file("lock", &path))?;
        if !is_at(&file, &path).map_err(StorageError::file("look at", &path))? {
            return Err(StorageError::NotFound { key });
        }
        let start = u64::from(number.saturating_sub(1)) * self.part_bytes;
        let written = match slot {
            Some(slot) => self.direct.write(slot, &path, content, start),
            None => write_all_at(&file, content, start),
        };
        written.map_err(StorageError::file("write", &path))?;
        let size_bytes = content.iter().map(|chunk| chunk.len() as u64).sum();
        Ok(PartTag(WrittenPart { size_bytes, boot: self.boot.clone() }.to_string()))
    }

    pub(super) fn complete(&self, key: String, parts: &[PartTag]) -> Result<(), StorageError> {
        let size_bytes = total_bytes(&key, parts, self.part_bytes, &self.boot)?;
        let (path, place) = (self.unfinished.join(&key), self.root.join(&key));
        let Some(file) = exclusively(&path).map_err(StorageError::file("lock", &path))? else {
            return self.completed_before(key, &place, size_bytes);
        };
        let written = file.metadata().map_err(StorageError::file("look at", &path))?.len();
        if written < size_bytes {
            return Err(StorageError::Length { key, expected_bytes: size_bytes, actual_bytes: written });
        }
        if written > size_bytes {
            file.set_len(size_bytes).map_err(StorageError::file("cut", &path))?;
        }
        file.sync_data().map_err(|error| doomed(&path, error))?;
        self.place(&path, &place).map_err(StorageError::file("complete", &path))?;
        self.prune(&path);
        Ok(())
    }

    /// Completing twice is completing once: the object is there then, as long as it should be.
    fn completed_before(&self, key: String, place: &Path, size_bytes: u64) -> Result<(), StorageError> {
        let found = fs::metadata(place).map_err(|error| absent_or_file("look at", &key, place, error))?;
        if found.len() != size_bytes {
            return Err(StorageError::Length { key, expected_bytes: size_bytes, actual_bytes: found.len() });
        }
        // The rename may have been another's that has not synced it yet.
        let parent = place.parent().unwrap_or(&self.root);
        directories::sync(parent).map_err(StorageError::file("sync", parent))
    }

    pub(super) fn abort(&self, key: &str) -> Result<(), StorageError> {
        let path = self.unfinished.join(key);
        for path in [&path, &sealed(&path)] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(StorageError::file("remove", path)(error)),
                _ => {}
            }
        }
        self.prune(&path);
        Ok(())
    }

    pub(super) fn reopen(
        &self,
        key: String,
        mut parts: Vec<PartTag>,
        tail_bytes: u64,
        new_key: &str,
    ) -> Result<Reopened, StorageError> {
        let size_bytes = total_bytes(&key, &parts, self.part_bytes, &self.boot)?;
        if tail_bytes > 0 {
            parts.pop();
        }
        let (path, new_path) = (self.unfinished.join(&key), self.unfinished.join(new_key));
        let Some(file) = seal(&path).map_err(StorageError::file("seal", &path))? else {
            return Err(StorageError::NotFound { key });
        };
        let found = file.metadata().map_err(StorageError::file("look at", &path))?;
        if found.len() < size_bytes {
            return Err(StorageError::Length { key, expected_bytes: size_bytes, actual_bytes: found.len() });
        }
        let tail = read_at(&file, size_bytes - tail_bytes, tail_bytes).map_err(StorageError::file("read", &path))?;
        if found.nlink() == 1 {
            let link = || fs::hard_link(sealed(&path), &new_path);
            in_directory(&new_path, link).map_err(StorageError::file("link", &new_path))?;
        } else {
            let copy = || copy(&file, &new_path, size_bytes - tail_bytes);
            in_directory(&new_path, copy).map_err(StorageError::file("copy to", &new_path))?;
        }
        Ok(Reopened { id: PartsId(ID.to_owned()), parts, tail: if tail.is_empty() { Vec::new() } else { vec![tail] } })
    }

    /// Removes directories of `unfinished/` that have become empty, so that a listing of it stays as short as what is open.
    fn prune(&self, path: &Path) {
        let parents = path.ancestors().skip(1).take_while(|directory| *directory != self.unfinished);
        for directory in parents {
            if fs::remove_dir(directory).is_err() {
                return;
            }
        }
    }
}

fn sealed(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(SEALED);
    PathBuf::from(name)
}

/// Empties and removes a file that could not be synced: the kernel forgets bytes that it failed to write, and the next sync would
/// succeed. A sealed name of the same file is then too short for anything.
fn doomed(path: &Path, error: io::Error) -> StorageError {
    // Where this fails too the disk is gone, and nothing can be completed on it.
    File::options().write(true).open(path).and_then(|file| file.set_len(0)).ok();
    fs::remove_file(path).ok();
    StorageError::file("sync", path)(error)
}

/// Makes a file whose directory may be missing, or be removed by [`Folder::prune`] at any moment.
fn in_directory(path: &Path, make: impl Fn() -> io::Result<()>) -> io::Result<()> {
    let mut attempts_left = DIRECTORY_ATTEMPTS;
    loop {
        attempts_left -= 1;
        let outcome = match path.parent() {
            Some(parent) => private_files::make_folders(parent).and_then(|()| make()),
            None => make(),
        };
        match outcome {
            Err(error) if error.kind() == io::ErrorKind::NotFound && attempts_left > 0 => {}
            outcome => return outcome,
        }
    }
}

fn write_all_at(file: &File, content: &[Bytes], mut offset: u64) -> io::Result<()> {
    for chunk in content {
        file.write_all_at(chunk, offset)?;
        offset += chunk.len() as u64;
    }
    Ok(())
}

/// Whether the path still names the open file.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let here = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((here.dev(), here.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Opens the file with nobody writing to it, or tells that it is no longer at the path.
fn exclusively(path: &Path) -> io::Result<Option<File>> {
    let file = match File::options().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    file.lock()?;
    Ok(is_at(&file, path)?.then_some(file))
}

/// Seals the file at the path, or finds it sealed.
fn seal(path: &Path) -> io::Result<Option<File>> {
    match exclusively(path)? {
        Some(file) => {
            fs::rename(path, sealed(path))?;
            Ok(Some(file))
        }
        None => exclusively(&sealed(path)),
    }
}

fn read_at(file: &File, offset: u64, size_bytes: u64) -> io::Result<Bytes> {
    let mut bytes = vec![0; usize::try_from(size_bytes).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes.into())
}

/// Makes a file, or empties the one that is there.
fn create(path: &Path) -> io::Result<File> {
    private_files::options().write(true).create(true).truncate(true).open(path)
}

/// Copies the front of a file. The kernel does it, and shares the blocks where the file system can.
fn copy(file: &File, to: &Path, size_bytes: u64) -> io::Result<()> {
    let mut front = file.try_clone()?.take(size_bytes);
    let copied_bytes = io::copy(&mut front, &mut create(to)?)?;
    if copied_bytes == size_bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
