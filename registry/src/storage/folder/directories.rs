use std::{
    collections::HashSet,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use longshore_service::private_files;

/// How many directories are remembered as durable; past it all are forgotten, which only costs asking again.
const REMEMBERED: usize = 16_384;

/// Makes directories durable, once each.
#[derive(Debug, Default)]
pub(super) struct Directories {
    durable: Mutex<HashSet<PathBuf>>,
}

impl Directories {
    /// Makes the directory and its parents down from `root`, each durable in its own parent.
    ///
    /// A directory found on disk is synced once too, since an earlier process may have ended between making and syncing it.
    pub(super) fn ensure(&self, root: &Path, directory: &Path) -> io::Result<()> {
        if directory == root || self.durable.lock().unwrap_or_else(PoisonError::into_inner).contains(directory) {
            return Ok(());
        }
        let parent = directory.parent().unwrap_or(root);
        self.ensure(root, parent)?;
        match private_files::make_new_folder(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => sync(parent)?,
        }
        self.remember(directory);
        Ok(())
    }

    fn remember(&self, directory: &Path) {
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if durable.len() >= REMEMBERED {
            durable.clear();
        }
        durable.insert(directory.to_owned());
    }
}

/// Syncs what was renamed, made or removed in the directory before this call.
///
/// Writers do not share these syncs: the file system's journal commits for all who wait at once, and waiting for each other
/// first, to sync once for several, was measured to be slower.
pub(super) fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_all_parents() {
        let root = tempfile::tempdir().unwrap();
        let (directories, deep) = (Directories::default(), root.path().join("a/b/c"));
        directories.ensure(root.path(), &deep).unwrap();
        directories.ensure(root.path(), &deep).unwrap();
        assert!(deep.is_dir());
    }
}
