//! What the node is to run, in a file: without the orchestrator it goes by that.

use std::{
    io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use longshore_fleet::{Assignment, Fetch, Image};
use longshore_service::private_files;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The largest file that is read, in bytes.
const MOST_BYTES: u64 = 256 << 20;

/// What the node is to run.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Kept {
    /// Its pods.
    pub pods: Vec<KeptPod>,
    /// Images that are to stay.
    pub keep: Vec<Image>,
    /// Images that are to be fetched.
    pub fetch: Vec<Fetch>,
}

/// A pod that the node is to run.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptPod {
    /// What was said of it last.
    pub assignment: Assignment,
    /// When the node heard of it first.
    pub heard_at: Timestamp,
    /// Whether nobody asks after it any more.
    #[serde(default)]
    pub is_dropped: bool,
}

/// Why what is kept can't be read.
#[derive(Debug, thiserror::Error)]
#[error("{} can't be read; where it is removed, the node waits for the orchestrator to say what runs here", path.display())]
pub struct KeptError {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    #[source]
    pub source: io::Error,
}

/// Reads a file of ours; what it would be by default where there is none. Blocks.
pub fn read<T: Default + DeserializeOwned>(path: &Path) -> Result<T, KeptError> {
    let failed = |source| KeptError { path: path.to_owned(), source };
    match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(T::default()),
        Err(error) => return Err(failed(error)),
        Ok(found) if found.len() > MOST_BYTES => return Err(failed(io::Error::other("it is too long to be ours"))),
        Ok(_) => {}
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    serde_json::from_slice(&bytes).map_err(|error| failed(error.into()))
}

/// Writes a file of ours, whole or not at all, for its owner alone. Blocks.
pub fn write(path: &Path, value: &impl Serialize) -> io::Result<()> {
    private_files::replace(path, &serde_json::to_vec(value)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::pod::tests::assignment;

    #[test]
    fn what_is_written_is_read_and_what_is_damaged_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pods.json");
        assert_eq!(read::<Kept>(&path).unwrap(), Kept::default());
        let pod = KeptPod { assignment: assignment("{}"), heard_at: Timestamp::UNIX_EPOCH, is_dropped: false };
        let kept = Kept { pods: vec![pod], ..Kept::default() };
        write(&path, &kept).unwrap();
        assert_eq!(read::<Kept>(&path).unwrap(), kept);
        assert!(!private_files::is_open(&path));
        std::fs::write(&path, "{").unwrap();
        let error = read::<Kept>(&path).unwrap_err();
        assert!(error.to_string().contains("pods.json"), "{error}");
    }
}
