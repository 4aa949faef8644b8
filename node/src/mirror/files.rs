//! Reads and writes configuration: the only place here that does.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::{self, File, Metadata, OpenOptions, Permissions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown},
    path::{Component, Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::MirrorError;

/// The longest file that is read; people have a few kilobytes.
const MAX_BYTES: u64 = 4 << 20;
/// How long to wait for another of us.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// For what is new: podman reads it as whoever calls it.
const NEW_FILE_MODE: u32 = 0o644;
const NEW_FOLDER_MODE: u32 = 0o755;
/// How a file ends that is not whole yet. No runtime reads such a file, so what a crash leaves does no harm; the next write takes
/// it away.
const UNFINISHED: &str = ".longshore-new";

/// The files below a root.
pub(super) struct Files {
    root: PathBuf,
}

impl Files {
    pub(super) fn new(root: &Path) -> Result<Self, MirrorError> {
        let root = fs::canonicalize(root).map_err(MirrorError::io(root))?;
        Ok(Self { root })
    }

    /// Keeps others of us from writing below this root until it is dropped.
    pub(super) fn lock(&self) -> Result<File, MirrorError> {
        let root = File::open(&self.root).map_err(MirrorError::io(&self.root))?;
        let deadline = Instant::now() + LOCK_TIMEOUT;
        loop {
            match root.try_lock() {
                Ok(()) => return Ok(root),
                Err(TryLockError::Error(error)) => return Err(MirrorError::io(&self.root)(error)),
                Err(TryLockError::WouldBlock) if Instant::now() > deadline => {
                    return Err(MirrorError::Busy { root: self.root.clone() });
                }
                Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            }
        }
    }

    /// Where a path of the node is.
    pub(super) fn below(&self, path: &Path) -> PathBuf {
        let inner = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
        self.root.join(inner.collect::<PathBuf>())
    }

    /// How many of a file's folders, from the innermost on, are ours once it is there: they are not there yet, or were made for
    /// another of ours.
    pub(super) fn folders_to_make(&self, path: &Path, made: &BTreeSet<PathBuf>) -> usize {
        let folders = path.ancestors().skip(1).take_while(|folder| *folder != self.root);
        folders.take_while(|folder| made.contains(*folder) || !folder.exists()).count()
    }

    /// The names of what is in a folder, in order; none where it is not there.
    pub(super) fn names(&self, folder: &Path) -> Result<Vec<String>, MirrorError> {
        let folder = self.real(folder)?;
        let list = || -> io::Result<Vec<String>> {
            let names = fs::read_dir(&folder)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
            names.filter_map(io::Result::transpose).collect()
        };
        match list() {
            Ok(mut names) => {
                names.sort();
                Ok(names)
            }
            Err(error) if is_absent(&error) => Ok(Vec::new()),
            Err(error) => Err(MirrorError::io(folder)(error)),
        }
    }

    /// The file itself behind any links, whether it is there or not.
    pub(super) fn real(&self, path: &Path) -> Result<PathBuf, MirrorError> {
        let there = path.ancestors().find(|ancestor| ancestor.symlink_metadata().is_ok()).unwrap_or(&self.root);
        let rest = path.strip_prefix(there).unwrap_or(Path::new(""));
        let real = fs::canonicalize(there).map_err(|error| match fs::read_link(there) {
            Ok(target) if is_absent(&error) => MirrorError::Dangling { path: there.to_owned(), target },
            _ => MirrorError::io(there)(error),
        })?;
        let goes_back = rest.components().any(|part| part == Component::ParentDir);
        if goes_back || !real.starts_with(&self.root) {
            return Err(MirrorError::OutsideRoot { path: path.to_owned(), root: self.root.clone() });
        }
        Ok(if rest.as_os_str().is_empty() { real } else { real.join(rest) })
    }
}

/// A file's text; `None` where there is none.
pub(super) fn read(path: &Path) -> Result<Option<String>, MirrorError> {
    let read = || -> io::Result<String> {
        // Asked first, as opening what is no file may wait for ever.
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        let mut text = String::new();
        File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
        if text.len() as u64 > MAX_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {MAX_BYTES} bytes")));
        }
        Ok(text)
    };
    match read() {
        Ok(text) => Ok(Some(text)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(MirrorError::io(path)(error)),
    }
}

fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// Has a file hold this text: whoever reads it sees the one or the other. Its mode and its owner stay.
pub(super) fn replace(path: &Path, before: Option<&str>, text: &str) -> Result<(), MirrorError> {
    let unfinished = unfinished(path);
    let finish = || {
        let kept = if before.is_some() { Some(fs::metadata(path).map_err(MirrorError::io(path))?) } else { None };
        write_new(&unfinished, text, kept.as_ref()).map_err(MirrorError::io(&unfinished))?;
        if read(path)?.as_deref() != before {
            return Err(MirrorError::Changed { path: path.to_owned() });
        }
        fs::rename(&unfinished, path).and_then(|()| sync_folder_of(path)).map_err(MirrorError::io(path))
    };
    let finished = finish();
    if finished.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    finished
}

/// Removes a file, with what a crash left of a change to it.
pub(super) fn delete(path: &Path, before: Option<&str>) -> Result<(), MirrorError> {
    if read(path)?.as_deref() != before {
        return Err(MirrorError::Changed { path: path.to_owned() });
    }
    let _ = fs::remove_file(unfinished(path));
    fs::remove_file(path).and_then(|()| sync_folder_of(path)).map_err(MirrorError::io(path))
}

/// The file that becomes this one when it is whole.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(UNFINISHED);
    path.with_file_name(name)
}

fn write_new(path: &Path, text: &str, kept: Option<&Metadata>) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if !is_absent(&error) => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    if let Some(kept) = kept {
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (kept.uid(), kept.gid()) {
            fchown(&file, Some(kept.uid()), Some(kept.gid()))?;
        }
    }
    file.set_permissions(kept.map_or_else(|| Permissions::from_mode(NEW_FILE_MODE), Metadata::permissions))?;
    file.sync_all()
}

/// Makes the folders that a file is in, and says how many were not there.
pub(super) fn make_folders(path: &Path) -> Result<usize, MirrorError> {
    let missing: Vec<_> = path.ancestors().skip(1).take_while(|folder| !folder.exists()).collect();
    for (position, folder) in missing.iter().rev().enumerate() {
        let mode = Permissions::from_mode(NEW_FOLDER_MODE);
        let outcome =
            fs::create_dir(folder).and_then(|()| fs::set_permissions(folder, mode)).and_then(|()| sync_folder_of(folder));
        if let Err(error) = outcome {
            remove_folders(missing[missing.len() - position - 1], position);
            return Err(MirrorError::io(*folder)(error));
        }
    }
    Ok(missing.len())
}

/// Removes so many of the folders that this is in, from the innermost on, up to one that has more in it.
pub(super) fn remove_folders(path: &Path, count: usize) {
    for folder in path.ancestors().skip(1).take(count) {
        if fs::remove_dir(folder).and_then(|()| sync_folder_of(folder)).is_err() {
            return;
        }
    }
}

/// Has it reach the disk which files there are beside this one.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_or_more_than_a_configuration_is_not_read() {
        let root = tempfile::tempdir().unwrap();
        assert!(matches!(read(root.path()), Err(MirrorError::Io { .. })));
        let path = root.path().join("file");
        File::create(&path).unwrap().set_len(MAX_BYTES).unwrap();
        assert_eq!(read(&path).unwrap().unwrap().len() as u64, MAX_BYTES);
        File::create(&path).unwrap().set_len(MAX_BYTES + 1).unwrap();
        assert!(matches!(read(&path), Err(MirrorError::Io { .. })));
    }

    #[test]
    fn one_at_a_time_is_let_in() {
        let root = tempfile::tempdir().unwrap();
        let files = Files::new(root.path()).unwrap();
        let held = files.lock().unwrap();
        assert!(matches!(File::open(root.path()).unwrap().try_lock(), Err(TryLockError::WouldBlock)));
        drop(held);
        File::open(root.path()).unwrap().try_lock().unwrap();
    }
}
