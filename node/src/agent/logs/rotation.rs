//! A log that became too long goes on in a new file; of the old ones so many are kept.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use longshore_service::error_text::with_sources;

use super::files;
use crate::agent::{cri::Cri, make::log_file};

/// How much is kept of a container's log.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long one file becomes.
    pub file_bytes: u64,
    /// How many files there are.
    pub files: usize,
}

/// Has a container's log go on in a new file, where it is long enough.
pub async fn rotate(cri: &Cri, folder: PathBuf, container: &str, attempt: u32, limits: Limits) {
    let live = folder.join(log_file(attempt));
    let (from, within) = (live.clone(), folder.clone());
    let moving = tokio::task::spawn_blocking(move || move_away(&within, &from, attempt, limits)).await;
    let moved = match moving {
        Ok(Ok(Some(moved))) => moved,
        Ok(Err(error)) => {
            return tracing::warn!(container, error = with_sources(&error), "a log that is too long can't be put away");
        }
        Ok(Ok(None)) | Err(_) => return,
    };
    if let Err(error) = cri.reopen_log(container).await {
        // It writes to the old one still: that gets its name back, unless the container has ended meanwhile.
        tracing::debug!(container, error = with_sources(&error), "a log goes on in its old file");
        if !live.exists() {
            let _ = fs::rename(moved, live);
        }
    }
}

/// Gives a log that is too long another name, and removes the oldest of those that have one; its other name, where it has one now. Blocks.
fn move_away(folder: &Path, live: &Path, attempt: u32, limits: Limits) -> io::Result<Option<PathBuf>> {
    match fs::metadata(live) {
        Ok(found) if found.len() >= limits.file_bytes => {}
        Ok(_) => return Ok(None),
        // It was put away already, by one who ended before the runtime was told.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(files::of_container(folder, attempt)?.pop()),
        Err(error) => return Err(error),
    }
    let all = files::of_container(folder, attempt)?;
    // With the new one there is one more.
    for old in &all[..(all.len() + 1).saturating_sub(limits.files).min(all.len() - 1)] {
        fs::remove_file(old)?;
    }
    let moved = files::next_name(folder, attempt)?;
    fs::rename(live, &moved)?;
    Ok(Some(moved))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let live = folder.path().join("0.log");
        let limits = Limits { file_bytes: 3, files: 3 };
        for (text, moves) in [("ab", false), ("abc", true), ("abcd", true), ("abcde", true), ("abcdef", true)] {
            fs::write(&live, text).unwrap();
            assert_eq!(move_away(folder.path(), &live, 0, limits).unwrap().is_some(), moves, "{text}");
        }
        let kept = files::of_container(folder.path(), 0).unwrap();
        let texts: Vec<_> = kept.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        assert_eq!(texts, ["abcde", "abcdef"], "and the one that is written to next");
        let again = move_away(folder.path(), &live, 0, limits).unwrap();
        assert_eq!(again.as_ref(), kept.last(), "the runtime is told once more");
        assert!(move_away(folder.path(), &folder.path().join("1.log"), 1, limits).unwrap().is_none(), "there is none yet");
    }
}
