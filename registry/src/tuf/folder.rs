use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

/// What a repository has in its folder, besides the metadata that it is at: the last that was verified as a whole, and when. An attempt
/// that fails half way leaves newer metadata beside older, which can't be verified together, and must not cost what was had before.
pub struct Folder {
    path: PathBuf,
}

/// The metadata that attempts are made with: no older version is taken than is there.
const METADATA: &str = "metadata";
/// The last that was verified as a whole.
const VERIFIED: &str = "verified";
/// As it is being written.
const NEXT: &str = "verified.next";
/// The file in it that says when that was.
const REFRESHED_AT: &str = "refreshed-at";
/// What verification needs.
const FILES: [&str; 4] = ["root.json", "timestamp.json", "snapshot.json", "targets.json"];
/// The folders of what else it needs.
const FOLDERS: [&str; 2] = ["root_history", "targets"];
/// The longest that says when something was, in bytes.
const MOST_TIME_BYTES: usize = 64;

impl Folder {
    /// One at a path, which need not be there.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where attempts are made.
    pub fn metadata(&self) -> PathBuf {
        self.path.join(METADATA)
    }

    /// What was verified, and when: what was last written first.
    pub fn verified(&self) -> Vec<(PathBuf, Timestamp)> {
        let found = |name: &str| {
            let path = self.path.join(name);
            let text = fs::read_to_string(path.join(REFRESHED_AT)).ok().filter(|text| text.len() <= MOST_TIME_BYTES)?;
            Some((path, text.trim().parse().ok()?))
        };
        // It may have ended between the two steps of taking a place.
        [VERIFIED, NEXT].into_iter().filter_map(found).collect()
    }

    /// Keeps what attempts are made with as what was verified, at this time.
    pub fn keep(&self, at: Timestamp) -> io::Result<()> {
        let (metadata, next, verified) = (self.metadata(), self.path.join(NEXT), self.path.join(VERIFIED));
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
        // Last, as what has none is not whole.
        fs::write(next.join(REFRESHED_AT), at.to_string())?;
        remove(&verified)?;
        fs::rename(&next, &verified)?;
        forget_old_snapshots(&metadata)
    }
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
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

    #[test]
    fn what_is_kept_is_whole_or_what_was_kept_before() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::new(parent.path().join("corp"));
        assert!(folder.verified().is_empty());
        assert!(folder.keep(at(1)).is_err(), "there is nothing");
        let metadata = folder.metadata();
        for name in FOLDERS {
            fs::create_dir_all(metadata.join(name)).unwrap();
            fs::write(metadata.join(name).join("file"), name).unwrap();
        }
        for name in FILES.into_iter().chain(["1.snapshot.json", "2.snapshot.json"]) {
            fs::write(metadata.join(name), name).unwrap();
        }
        folder.keep(at(2)).unwrap();
        let verified = |when| (parent.path().join("corp").join(VERIFIED), at(when));
        assert_eq!(folder.verified(), [verified(2)]);
        let kept = folder.verified().remove(0).0;
        assert_eq!(fs::read_to_string(kept.join("targets/file")).unwrap(), "targets");
        assert!(metadata.join("snapshot.json").exists() && !metadata.join("1.snapshot.json").exists());
        fs::remove_file(metadata.join("snapshot.json")).unwrap();
        assert!(folder.keep(at(3)).is_err());
        assert_eq!(folder.verified(), [verified(2)]);
        // The program ended after the old one was removed.
        fs::write(parent.path().join("corp").join(NEXT).join(REFRESHED_AT), at(4).to_string()).unwrap();
        fs::remove_dir_all(&kept).unwrap();
        assert_eq!(folder.verified(), [(parent.path().join("corp").join(NEXT), at(4))]);
    }
}
