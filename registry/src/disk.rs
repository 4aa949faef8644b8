//! What a file needs besides its own sync to be found again after a power failure.

use std::{fs::File, io, path::Path};

/// Has it reach the disk which files there are beside this one.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
