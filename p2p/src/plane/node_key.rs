use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use libp2p_identity::{Keypair, PeerId};

/// The longest file of a key, in bytes; one has 68.
const MOST_BYTES: u64 = 1024;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum NodeKeyError {
    /// The file can't be read or written.
    #[error("the node's key in {} can't be {operation}", path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Others than its owner may read or write the file.
    #[error("the node's key in {} is open to others (mode {mode:03o}); make it its owner's alone, by chmod 600", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file holds something else.
    #[error("{} holds no key: {why}; where it is removed the node makes another, and is another peer", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// Who a node is: an Ed25519 key, in a file that only its owner may read, as libp2p writes keys.
#[derive(Clone, Debug)]
pub struct NodeKey(Keypair);

impl NodeKey {
    /// The key in a file, which is made where there is none, whole or not at all. Blocks.
    pub fn open(path: &Path) -> Result<Self, NodeKeyError> {
        match read(path) {
            Err(NodeKeyError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            found => return found,
        }
        let key = Keypair::generate_ed25519();
        let bytes = key.to_protobuf_encoding().expect("an Ed25519 key can be written");
        match keep(path, &bytes) {
            Ok(()) => {
                tracing::info!(peer = %key.public().to_peer_id(), "the node made its key");
                Ok(Self(key))
            }
            // Another process was first.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(path),
            Err(source) => Err(NodeKeyError::File { operation: "written", path: path.to_owned(), source }),
        }
    }

    /// The key itself.
    pub fn keypair(&self) -> &Keypair {
        &self.0
    }

    /// The peer id that it makes.
    pub fn peer_id(&self) -> PeerId {
        self.0.public().to_peer_id()
    }
}

impl From<Keypair> for NodeKey {
    fn from(keypair: Keypair) -> Self {
        Self(keypair)
    }
}

fn read(path: &Path) -> Result<NodeKey, NodeKeyError> {
    let failed = |source| NodeKeyError::File { operation: "read", path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(NodeKeyError::Exposed { path: path.to_owned(), mode });
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    let key = Keypair::from_protobuf_encoding(&bytes);
    let why = if bytes.is_empty() { "it is empty" } else { "it is no Ed25519 key as libp2p writes one" };
    key.map(NodeKey).map_err(|_| NodeKeyError::Invalid { path: path.to_owned(), why })
}

/// Writes the key's file, where there is none.
fn keep(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Processes in two containers may have the same id.
    let next = path.with_added_extension(format!("new.{:016x}", rand::random::<u64>()));
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&next)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    // Unlike a renaming it leaves alone what has come in the meantime.
    let linked = written.and_then(|()| fs::hard_link(&next, path));
    fs::remove_file(&next)?;
    linked?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.key");
        let made = NodeKey::open(&path).unwrap().peer_id();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(NodeKey::open(&path).unwrap().peer_id(), made);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn who_comes_second_takes_what_the_first_has_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.key");
        let first = Keypair::generate_ed25519();
        keep(&path, &first.to_protobuf_encoding().unwrap()).unwrap();
        let second = Keypair::generate_ed25519().to_protobuf_encoding().unwrap();
        assert_eq!(keep(&path, &second).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(NodeKey::open(&path).unwrap().peer_id(), first.public().to_peer_id());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_key_that_others_may_read_or_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.key");
        NodeKey::open(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(NodeKey::open(&path), Err(NodeKeyError::Exposed { mode: found, .. }) if found == mode));
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for content in [b"".as_slice(), b"no key", &[8; 4096]] {
            fs::write(&path, content).unwrap();
            let error = NodeKey::open(&path).unwrap_err();
            assert!(matches!(error, NodeKeyError::Invalid { .. }), "{} bytes", content.len());
            let why = if content.is_empty() { "it is empty" } else { "it is no Ed25519 key" };
            assert!(error.to_string().contains(why), "{error}");
        }
        assert!(matches!(NodeKey::open(&folder.path().join("no/folder")), Err(NodeKeyError::File { operation: "written", .. })));
        assert!(NodeKey::open(folder.path()).is_err(), "a folder is no key");
    }
}
