//! The files of a pod's logs. All of this blocks.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use longshore_fleet::PodId;

use crate::agent::make::log_file;

/// How the number of a file that became too long is written, behind the name that it had.
fn numbered(attempt: u32, number: u64) -> String {
    format!("{}.{number:09}", log_file(attempt))
}

/// The container whose log a file is, and its number where it became too long.
fn parse(name: &str) -> Option<(u32, Option<u64>)> {
    let (attempt, rest) = name.split_once(".log")?;
    let number = match rest {
        "" => None,
        rest => Some(rest.strip_prefix('.')?.parse().ok()?),
    };
    Some((attempt.parse().ok()?, number))
}

fn all(folder: &Path) -> io::Result<Vec<(u32, Option<u64>, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let Some((attempt, number)) = entry.file_name().to_str().and_then(parse) {
            found.push((attempt, number, entry.path()));
        }
    }
    Ok(found)
}

/// The files of a container's log, oldest first: the last is that which is written to.
pub(super) fn of_container(folder: &Path, attempt: u32) -> io::Result<Vec<PathBuf>> {
    let mut found: Vec<_> = all(folder)?.into_iter().filter(|(of, ..)| *of == attempt).collect();
    found.sort_by_key(|(_, number, _)| number.unwrap_or(u64::MAX));
    Ok(found.into_iter().map(|(_, _, path)| path).collect())
}

/// The next name for a file that became too long.
pub(super) fn next_name(folder: &Path, attempt: u32) -> io::Result<PathBuf> {
    let last = all(folder)?.into_iter().filter(|(of, ..)| *of == attempt).filter_map(|(_, number, _)| number).max();
    Ok(folder.join(numbered(attempt, last.map_or(1, |last| last + 1))))
}

/// Removes the logs of the containers before the one before this.
pub fn remove_before(folder: &Path, attempt: u32) -> io::Result<()> {
    for (of, _, path) in all(folder)? {
        if of + 1 < attempt {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Removes a pod's folder, with all that is in it.
pub fn remove(folder: PathBuf) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes the folders of all pods but these.
pub fn remove_others(folder: &Path, stay: &BTreeSet<String>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        // What is named otherwise is not the agent's.
        let is_pod = entry.file_name().to_str().is_some_and(|name| name.parse::<PodId>().is_ok() && !stay.contains(name));
        if is_pod {
            remove(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_logs_of_pods_that_are_gone_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let pods: Vec<String> = (1..4).map(|number| format!("pod_{number:032x}")).collect();
        for name in pods.iter().map(String::as_str).chain(["other"]) {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("0.log"), "a").unwrap();
        }
        remove_others(folder.path(), &BTreeSet::from([pods[1].clone()])).unwrap();
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["other", pods[1].as_str()]);
        remove_others(&folder.path().join("none"), &BTreeSet::new()).unwrap();
    }

    #[test]
    fn logs_are_found_by_their_container_oldest_first() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["1.log", "1.log.000000002", "1.log.000000010", "2.log", "other", "x.log", "1.log.x"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let names = |attempt| {
            let found = of_container(folder.path(), attempt).unwrap().into_iter();
            found.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(1), ["1.log.000000002", "1.log.000000010", "1.log"]);
        assert!(next_name(folder.path(), 1).unwrap().ends_with("1.log.000000011"));
        assert!(next_name(folder.path(), 2).unwrap().ends_with("2.log.000000001"));
        remove_before(folder.path(), 2).unwrap();
        assert_eq!(names(1).len(), 3, "one before is kept");
        remove_before(folder.path(), 3).unwrap();
        assert_eq!((names(1).len(), names(2).len()), (0, 1));
        remove(folder.path().to_owned()).unwrap();
        remove(folder.path().to_owned()).unwrap();
        assert!(of_container(folder.path(), 1).unwrap().is_empty());
    }
}
