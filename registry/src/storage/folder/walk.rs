use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    super::{Listed, ObjectKey, Page, PartsId, Unfinished},
    Folder, INCOMING, LOCK, StorageError, UNFINISHED,
    parts::{ID, SEALED},
};

/// How many entries a page has.
const PAGE: usize = 1_000;

impl Folder {
    /// A page of objects in the byte order of their whole keys, which is S3's order too.
    pub(super) fn list(&self, prefix: &str, after: &str) -> Result<Page, StorageError> {
        let mut walk = Walk { prefix, after, page: Page::default() };
        walk.visit(&self.root, "").map_err(StorageError::file("list", &self.root))?;
        Ok(walk.page)
    }

    /// A page of the files of `unfinished/`; a sealed one goes by its key.
    pub(super) fn list_unfinished(&self, after: &str) -> Result<Vec<Unfinished>, StorageError> {
        let mut after = after.to_owned();
        let mut unfinished: Vec<Unfinished> = Vec::new();
        // A page may hold nothing that is ours but still not be the last.
        loop {
            let mut walk = Walk { prefix: "", after: &after, page: Page::default() };
            walk.visit(&self.unfinished, "").map_err(StorageError::file("list", &self.unfinished))?;
            let page = walk.page;
            for object in &page.objects {
                let text = object.key.strip_suffix(SEALED).unwrap_or(&object.key);
                let Some(key) = ObjectKey::parse(text).filter(|_| *text > *after) else { continue };
                if unfinished.last().is_none_or(|last| last.key != key) {
                    unfinished.push(Unfinished { key, id: PartsId(ID.to_owned()) });
                }
            }
            match page.objects.last() {
                Some(last) if page.has_more && unfinished.is_empty() => after.clone_from(&last.key),
                _ => return Ok(unfinished),
            }
        }
    }
}

/// A walk of a tree that fills a page. Only the directories on the way to the page are read, each once.
struct Walk<'a> {
    prefix: &'a str,
    after: &'a str,
    page: Page,
}

impl Walk<'_> {
    /// Visits a directory whose keys begin with `base`, until the page is full.
    fn visit(&mut self, directory: &Path, base: &str) -> io::Result<()> {
        for key in self.keys(directory, base)? {
            if self.page.has_more {
                break;
            }
            let path: PathBuf = directory.join(&key[base.len()..]);
            if key.ends_with('/') {
                self.visit(&path, &key)?;
            } else {
                self.take(&path, key)?;
            }
        }
        Ok(())
    }

    /// What a directory holds that may belong in the page, sorted. A subdirectory's `/` counts, as it does in the keys below it.
    fn keys(&self, directory: &Path, base: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(directory) {
            // Removed since it was seen.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut keys = Vec::new();
        for entry in entries {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if base.is_empty() && [INCOMING, UNFINISHED, LOCK].contains(&name.as_str()) {
                continue;
            }
            let (key, is_wanted) = if entry.file_type()?.is_dir() {
                let key = format!("{base}{name}/");
                let is_on_the_way = key.starts_with(self.prefix) || self.prefix.starts_with(&key);
                let is_ahead = key.as_str() > self.after || self.after.starts_with(&key);
                (key, is_on_the_way && is_ahead)
            } else {
                let key = format!("{base}{name}");
                let is_wanted = key.starts_with(self.prefix) && key.as_str() > self.after;
                (key, is_wanted)
            };
            if is_wanted {
                keys.push(key);
            }
        }
        keys.sort_unstable();
        Ok(keys)
    }

    fn take(&mut self, path: &Path, key: String) -> io::Result<()> {
        if self.page.objects.len() == PAGE {
            self.page.has_more = true;
            return Ok(());
        }
        let metadata = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            metadata => metadata?,
        };
        let modified_at = jiff::Timestamp::try_from(metadata.modified()?).map_err(io::Error::other)?;
        self.page.objects.push(Listed { key, size_bytes: metadata.len(), modified_at });
        Ok(())
    }
}
