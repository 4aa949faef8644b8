//! Plain files alone. What else lies in the folder, such as a link, was put there by others, and may lead anywhere: nothing is
//! read or written by it.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use longshore_service::private_files;
use rustix::{fs::OFlags, io::Errno};

/// How a file is opened: a link is not followed, and nobody is waited for at a pipe's other end.
pub(in crate::store) const FLAGS: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// Something lies there that is no file.
#[derive(Debug, thiserror::Error)]
#[error("it is no plain file: a link, a folder or a device")]
struct NotPlain;

/// Opens a file with these options besides; fails as [`is_not_plain`] says where it is none.
pub(in crate::store) fn open(path: &Path, set: impl FnOnce(&mut OpenOptions) -> &mut OpenOptions) -> io::Result<File> {
    let flags = i32::try_from(FLAGS.bits()).map_err(io::Error::other)?;
    let mut options = private_files::options();
    let opened = set(options.custom_flags(flags)).open(path);
    match opened {
        Ok(file) if file.metadata()?.is_file() => Ok(file),
        Ok(_) => Err(io::Error::other(NotPlain)),
        Err(error) if is_refusal(&error) => Err(io::Error::other(NotPlain)),
        Err(error) => Err(error),
    }
}

/// Whether it failed as there is no plain file.
pub(in crate::store) fn is_not_plain(error: &io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<NotPlain>()).is_some()
}

/// A file's length in bytes; `None` where there is none, or what is there is no plain one.
pub(in crate::store) fn length(path: &Path) -> Option<u64> {
    fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file).map(|found| found.len())
}

/// Removes what is there, if there is something: of a link the link alone.
pub(in crate::store) fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// What the system says of a link that is not followed, of a folder, and of a pipe, socket or device that nobody serves.
fn is_refusal(error: &io::Error) -> bool {
    let is = |code: Errno| error.raw_os_error() == Some(code.raw_os_error());
    [Errno::LOOP, Errno::ISDIR, Errno::NXIO, Errno::NODEV].into_iter().any(is)
}
