use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use crate::disk::sync_folder_of;

/// What a repository has in its folder, besides the metadata that it is at: the last that was verified as a whole, and when. An attempt
/// that fails half way leaves newer metadata beside older, which can't be verified together, and must not cost what was had before.
///
/// A copy is made beside the last one, is given its time when it was verified, and takes the place of the last one then. Wherever the
/// program or the machine ends, there is one that is whole, once there was one. All of this waits for the disk.
pub struct Folder {
    path: PathBuf,
}

/// The metadata that attempts are made with: no older version is taken than is there.
const METADATA: &str = "metadata";
/// The last that was verified as a whole.
const VERIFIED: &str = "verified";
/// The file that whoever changes these holds a lock on.
const LOCK: &str = "lock";
/// What was that before, until it is removed.
const OLD: &str = "verified.old";
/// As it is being written.
const NEXT: &str = "verified.next";
/// The file in it that says when that was.
const REFRESHED_AT: &str = "refreshed-at";
/// What verification needs.
const FILES: [&str; 4] = ["root.json", "timestamp.json", "snapshot.json", "targets.json"];
/// The folders of what else it needs.
const FOLDERS: [&str; 2] = ["root_history", "targets"];
/// The longest that says when something was, in bytes.
const MOST_TIME_BYTES: u64 = 64;

impl Folder {
    /// One at a path, which need not be there.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where attempts are made.
    pub fn metadata(&self) -> PathBuf {
        self.path.join(METADATA)
    }

    /// What was verified last, and when; `None` where nothing ever was.
    pub fn verified(&self) -> io::Result<Option<(PathBuf, Timestamp)>> {
        let verified = self.path.join(VERIFIED);
        if verified.try_exists()? {
            let at = time(&verified)?.ok_or_else(|| io::Error::other(format!("it has no {REFRESHED_AT}")))?;
            return Ok(Some((verified, at)));
        }
        // It ended between the two steps of taking a place.
        let next = self.path.join(NEXT);
        Ok(time(&next)?.map(|at| (next, at)))
    }

    /// Waits until no other process changes what is kept; none does until this is dropped.
    pub fn lock(&self) -> io::Result<File> {
        let file = File::create(self.path.join(LOCK))?;
        file.lock()?;
        Ok(file)
    }

    /// Copies what attempts are made with. What is in the copy is to be verified before [`Self::take`].
    pub fn copy(&self) -> io::Result<PathBuf> {
        let (metadata, next, verified) = (self.metadata(), self.path.join(NEXT), self.path.join(VERIFIED));
        if !verified.try_exists()? && time(&next)?.is_some() {
            self.rename(&next, &verified)?;
        }
        remove(&next)?;
        fs::create_dir_all(&next)?;
        for file in FILES {
            fs::copy(metadata.join(file), next.join(file))?;
        }
        for folder in FOLDERS {
            fs::create_dir_all(next.join(folder))?;
            for file in fs::read_dir(metadata.join(folder))? {
                let file = file?;
                fs::copy(file.path(), next.join(folder).join(file.file_name()))?;
            }
        }
        Ok(next)
    }

    /// Has the copy take the place of what was verified before, as verified at this time.
    pub fn take(&self, at: Timestamp) -> io::Result<()> {
        let (next, verified, old) = (self.path.join(NEXT), self.path.join(VERIFIED), self.path.join(OLD));
        for folder in FOLDERS {
            sync(&next.join(folder))?;
        }
        sync(&next)?;
        // Last, as what has none is not whole; and under its name when it is.
        let temporary = self.path.join(REFRESHED_AT);
        fs::write(&temporary, at.to_string())?;
        File::open(&temporary)?.sync_all()?;
        fs::rename(&temporary, next.join(REFRESHED_AT))?;
        File::open(&next)?.sync_all()?;
        for path in [&next, &self.path] {
            sync_folder_of(path)?;
        }
        // What is removed may be half of what it was when the program ends, so it has another name by then.
        remove(&old)?;
        if verified.try_exists()? {
            self.rename(&verified, &old)?;
        }
        self.rename(&next, &verified)?;
        if let Err(error) = remove(&old).and_then(|()| forget_old_snapshots(&self.metadata())) {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(folder = %self.path.display(), error, "old metadata of a TUF repository could not be removed");
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)?;
        File::open(&self.path)?.sync_all()
    }
}

/// When what is in a folder was verified; `None` where it does not say.
fn time(folder: &Path) -> io::Result<Option<Timestamp>> {
    let mut text = String::new();
    match File::open(folder.join(REFRESHED_AT)).and_then(|file| file.take(MOST_TIME_BYTES).read_to_string(&mut text)) {
        Ok(_) => text.trim().parse().map(Some).map_err(|_| io::Error::other(format!("its {REFRESHED_AT} is no time"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Has a folder and the files in it reach the disk.
fn sync(folder: &Path) -> io::Result<()> {
    for file in fs::read_dir(folder)? {
        let file = file?;
        if file.file_type()?.is_file() {
            File::open(file.path())?.sync_all()?;
        }
    }
    File::open(folder)?.sync_all()
}

/// Each version of a snapshot is there under a name of its own; the last also without a number.
fn forget_old_snapshots(metadata: &Path) -> io::Result<()> {
    for file in fs::read_dir(metadata)? {
        let file = file?;
        if file.file_name().to_string_lossy().ends_with(".snapshot.json") {
            fs::remove_file(file.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A folder with metadata in it.
    fn filled(parent: &Path) -> Folder {
        let folder = Folder::new(parent.join("corp"));
        let metadata = folder.metadata();
        for name in FOLDERS {
            fs::create_dir_all(metadata.join(name)).unwrap();
            fs::write(metadata.join(name).join("file"), name).unwrap();
        }
        for name in FILES.into_iter().chain(["1.snapshot.json", "2.snapshot.json"]) {
            fs::write(metadata.join(name), name).unwrap();
        }
        folder
    }

    fn keep(folder: &Folder, second: i64) -> io::Result<()> {
        folder.copy()?;
        folder.take(at(second))
    }

    #[test]
    fn what_is_kept_is_whole_or_what_was_kept_before() {
        let parent = tempfile::tempdir().unwrap();
        let empty = Folder::new(parent.path().join("corp"));
        assert_eq!(empty.verified().unwrap(), None);
        assert!(keep(&empty, 1).is_err(), "there is nothing");
        assert_eq!(empty.verified().unwrap(), None);
        let folder = filled(parent.path());
        keep(&folder, 2).unwrap();
        let (kept, when) = folder.verified().unwrap().unwrap();
        assert_eq!((&kept, when), (&parent.path().join("corp").join(VERIFIED), at(2)));
        assert_eq!(fs::read_to_string(kept.join("targets/file")).unwrap(), "targets");
        let metadata = folder.metadata();
        assert!(metadata.join("snapshot.json").exists() && !metadata.join("1.snapshot.json").exists());
        folder.copy().unwrap();
        assert_eq!(folder.verified().unwrap(), Some((kept.clone(), at(2))), "a copy that was not verified yet is nothing");
        fs::remove_file(metadata.join("snapshot.json")).unwrap();
        assert!(keep(&folder, 3).is_err());
        assert_eq!(folder.verified().unwrap(), Some((kept, at(2))));
    }

    #[test]
    fn what_was_about_to_take_its_place_is_not_lost() {
        let parent = tempfile::tempdir().unwrap();
        let folder = filled(parent.path());
        keep(&folder, 2).unwrap();
        // The program ended after the old one was moved away.
        let (verified, next) = (folder.path.join(VERIFIED), folder.path.join(NEXT));
        fs::rename(&verified, &next).unwrap();
        assert_eq!(folder.verified().unwrap(), Some((next, at(2))));
        assert!(!folder.path.join(OLD).exists());
        fs::remove_file(folder.metadata().join("root.json")).unwrap();
        assert!(folder.copy().is_err(), "there is nothing to copy");
        assert_eq!(folder.verified().unwrap(), Some((verified, at(2))));
    }

    #[test]
    fn what_was_kept_and_can_t_be_read_is_not_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let folder = filled(parent.path());
        keep(&folder, 2).unwrap();
        let said = folder.path.join(VERIFIED).join(REFRESHED_AT);
        fs::write(&said, "no time").unwrap();
        assert!(folder.verified().is_err());
        fs::remove_file(&said).unwrap();
        assert!(folder.verified().is_err());
    }
}
