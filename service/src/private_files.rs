//! Files and folders that are their owner's alone. What a daemon keeps may be private, and is not for every user of its machine.
//!
//! Only what is made is made so. What exists stays as it is, for whoever set it up may have meant it, and [`tell_open`] says so.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

/// The mode of a file that is made.
pub const FILE_MODE: u32 = 0o600;
/// The mode of a folder that is made.
pub const FOLDER_MODE: u32 = 0o700;
/// What a mode has where others than the owner may do anything.
const OTHERS: u32 = 0o077;

/// How to open a file which, if it is made by that, is its owner's alone.
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(FILE_MODE);
    options
}

/// Writes a file which is there as a whole or not at all, in place of what was there. It is its owner's alone.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let next = path.with_added_extension("new");
    match std::fs::remove_file(&next) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = options().write(true).create_new(true).open(&next)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&next, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Makes a folder where there is none. Those above it that are missing are made as any, since others may be to have their own
/// there.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    if let Some(above) = folder.parent().filter(|above| !above.as_os_str().is_empty()) {
        std::fs::create_dir_all(above)?;
    }
    make_folders(folder)
}

/// Makes a folder, and those above it that are missing, in one that is the owner's alone.
pub fn make_folders(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)
}

/// Makes a folder; fails where there is something.
pub fn make_new_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().mode(FOLDER_MODE).create(folder)
}

/// Tells that others on the machine may read what is kept in a folder: where it and one of these in it are open to them.
pub fn tell_open<'p>(folder: &Path, inside: impl IntoIterator<Item = &'p Path>) {
    if is_open(folder) && inside.into_iter().any(is_open) {
        let folder = folder.display();
        tracing::warn!(
            "other users of this machine may read what is kept in {folder}, as it was made: `chmod -R go= {folder}` closes it to them"
        );
    }
}

/// Whether others than its owner may do anything with it.
pub fn is_open(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & OTHERS != 0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_replaced_is_there_as_a_whole_and_the_owners_alone() {
        let top = tempfile::tempdir().unwrap();
        let (path, next) = (top.path().join("key"), top.path().join("key.new"));
        for bytes in ["one", "another"] {
            // What a crash left.
            fs::write(&next, "half").unwrap();
            replace(&path, bytes.as_bytes()).unwrap();
            assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode(&path), next.exists()), (bytes, 0o600, false));
        }
        assert!(replace(&top.path().join("none/key"), b"").is_err());
    }

    #[test]
    fn what_is_made_is_the_owners_alone_and_what_exists_stays() {
        let top = tempfile::tempdir().unwrap();
        let (above, folder) = (top.path().join("above"), top.path().join("above/cache"));
        make_folder(&folder).unwrap();
        assert_eq!(mode(&folder), 0o700);
        assert!(mode(&above) & 0o055 != 0, "what is above is not the daemon's own: {:o}", mode(&above));
        make_folders(&folder.join("a/b")).unwrap();
        make_new_folder(&folder.join("c")).unwrap();
        assert_eq!(["a", "a/b", "c"].map(|name| mode(&folder.join(name))), [0o700; 3]);
        assert!(make_new_folder(&folder.join("c")).is_err());
        let file = folder.join("file");
        options().write(true).create(true).truncate(false).open(&file).unwrap();
        assert_eq!(mode(&file), 0o600);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        options().write(true).create(true).truncate(false).open(&file).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        make_folder(&folder).unwrap();
        assert_eq!((mode(&file), mode(&folder)), (0o644, 0o755));
        assert!(is_open(&file) && !is_open(&folder.join("a")) && !is_open(&folder.join("missing")));
    }
}
