//! What is decided, until all of it is: then it is written, in order and wholly or not at all.

use std::path::{Path, PathBuf};

use super::{
    MirrorError,
    files::{Files, delete, make_folders, read, remove_folders, replace},
};

/// Files as they are to become, in the order in which they are written.
pub(super) struct Plan {
    files: Files,
    edits: Vec<Edit>,
}

struct Edit {
    path: PathBuf,
    before: Option<String>,
    after: Option<String>,
    /// How many of its folders go with it when it goes.
    folders: usize,
}

impl Plan {
    pub(super) fn new(files: Files) -> Self {
        Self { files, edits: Vec::new() }
    }

    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    /// A file's text as it is planned; `None` where there is no file.
    pub(super) fn text(&mut self, path: &Path) -> Result<Option<String>, MirrorError> {
        let position = self.position(path)?;
        Ok(self.edits[position].after.clone())
    }

    /// Plans a file's text, or that there is none, and so many of its folders neither where nothing else is in them. It is written after
    /// those that were planned before.
    pub(super) fn set(&mut self, path: &Path, text: Option<String>, folders: usize) -> Result<(), MirrorError> {
        let position = self.position(path)?;
        let edit = self.edits.remove(position);
        self.edits.push(Edit { after: text, folders, ..edit });
        Ok(())
    }

    /// The files that become others, in the order in which they are written.
    #[cfg(test)]
    pub(super) fn changed(&self) -> Vec<&Path> {
        self.edits.iter().filter(|edit| edit.before != edit.after).map(|edit| edit.path.as_path()).collect()
    }

    fn position(&mut self, path: &Path) -> Result<usize, MirrorError> {
        let path = self.files.real(path)?;
        if let Some(position) = self.edits.iter().position(|edit| edit.path == path) {
            return Ok(position);
        }
        let before = read(&path)?;
        self.edits.push(Edit { path, after: before.clone(), before, folders: 0 });
        Ok(self.edits.len() - 1)
    }

    /// Writes what is another than before. Where one can't be written, those before it are put back.
    pub(super) fn apply(self) -> Result<(), MirrorError> {
        let changed: Vec<_> = self.edits.into_iter().filter(|edit| edit.before != edit.after).collect();
        for (position, edit) in changed.iter().enumerate() {
            let Err(error) = edit.apply() else { continue };
            for done in changed[..position].iter().rev() {
                // What can't be put back is what the next install or remove finds.
                let _ = done.reversed().apply();
            }
            return Err(error);
        }
        Ok(())
    }
}

impl Edit {
    fn reversed(&self) -> Self {
        Self { path: self.path.clone(), before: self.after.clone(), after: self.before.clone(), folders: self.folders }
    }

    fn apply(&self) -> Result<(), MirrorError> {
        let Some(text) = &self.after else {
            delete(&self.path, self.before.as_deref())?;
            remove_folders(&self.path, self.folders);
            return Ok(());
        };
        let made = make_folders(&self.path)?;
        let written = replace(&self.path, self.before.as_deref(), text);
        if written.is_err() {
            remove_folders(&self.path, made);
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn edit(path: &Path, before: Option<&str>, after: Option<&str>) -> Edit {
        Edit { path: path.to_owned(), before: before.map(str::to_owned), after: after.map(str::to_owned), folders: 1 }
    }

    #[test]
    fn what_another_changed_meanwhile_stays() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        fs::write(&path, "another's").unwrap();
        for (before, after) in [(Some("a"), Some("b")), (None, Some("b")), (Some("a"), None)] {
            assert!(matches!(edit(&path, before, after).apply(), Err(MirrorError::Changed { .. })));
            assert_eq!(read(&path).unwrap().as_deref(), Some("another's"));
            assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "nothing is left beside it");
        }
        fs::remove_file(&path).unwrap();
        assert!(edit(&path, Some("a"), Some("b")).apply().is_err());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn folders_go_again_where_the_file_can_not_be_written() {
        let root = tempfile::tempdir().unwrap();
        // Long enough that what is not whole yet can have no name.
        let path = root.path().join("a/b").join("x".repeat(250));
        assert!(matches!(edit(&path, None, Some("a")).apply(), Err(MirrorError::Io { .. })));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
