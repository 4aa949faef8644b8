//! The edge's own word for what a blob is made of: of registries that do not vouch for their blobs, those of which all was hashed here and
//! found right. It is signed with a key of the edge's own, and counts for those who were told to trust that one.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use longshore_oci::{Metainfo, Voucher};
use longshore_service::{
    budget::{Budget, NoBudget},
    private_files,
    signing::{InvalidKey, PublicKey, SigningKey},
};
use tokio::sync::OwnedSemaphorePermit;

use crate::{piece::PIECE_BYTES, store::Entry};

/// The header that names the edge's own key: among those that it publishes, and of a metainfo that it has signed itself.
pub const EDGE_KEY: HeaderName = HeaderName::from_static("longshore-edge-key");

/// The file of the key, in PKCS#8 (RFC 8410).
const FILE: &str = "vouching.key";

/// What all lists of pieces may take of memory that are made here and not yet taken by whom they are for, in bytes; one that needs more is
/// made alone.
const ROOM_BYTES: u64 = 64 << 20;
/// How long one waits for that.
const ROOM_PATIENCE: Duration = Duration::from_secs(10);
/// What each piece takes of it while a list is made, in bytes: its hash as a text of its own, and as part of a text that grows.
const ROOM_OF_EACH: u64 = 256;
/// What the rest of a list takes, in bytes.
const ROOM_OF_REST: u64 = 4096;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum VouchingError {
    /// The file can't be read or written.
    #[error("the cache's key in {} can't be {operation}", path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{} holds no key; where it is removed the cache makes another, of which whoever trusts it must be told", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: InvalidKey,
    },
}

/// The key that an edge vouches with.
#[derive(Debug)]
pub struct Vouching {
    key: SigningKey,
    room: Budget,
}

impl Vouching {
    /// The key in a folder that this process alone has; it is made where there is none. Blocks.
    pub fn open(folder: &Path) -> Result<Self, VouchingError> {
        let path = folder.join(FILE);
        let failed = |operation| {
            let path = path.clone();
            move |source| VouchingError::File { operation, path, source }
        };
        match fs::read(&path) {
            Ok(bytes) => {
                let key = SigningKey::from_pkcs8(&bytes);
                let key = key.map_err(|source| VouchingError::Invalid { path: path.clone(), source })?;
                Ok(Self { key, room: room() })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (key, bytes) = SigningKey::generate();
                private_files::replace(&path, &bytes).map_err(failed("written"))?;
                tracing::info!(key = key.id(), "the cache made the key that it vouches with");
                Ok(Self { key, room: room() })
            }
            Err(error) => Err(failed("read")(error)),
        }
    }

    /// The key's public half.
    pub fn public(&self) -> PublicKey {
        self.key.public()
    }

    /// What names the key in a header.
    pub fn header(&self) -> HeaderValue {
        HeaderValue::from_str(self.key.id()).expect("a thumbprint is plain ASCII")
    }

    /// A blob's metainfo, signed at a second since 1970; it must have been hashed here, and found right.
    pub fn metainfo(&self, entry: &Entry, now: i64) -> Metainfo {
        let mut metainfo = unsigned(entry);
        metainfo.signature = Voucher::of(&metainfo, now).map(|voucher| self.key.sign(Voucher::KIND, &voucher));
        metainfo
    }

    /// Memory for the lists of pieces that are signed.
    pub fn room(&self) -> &Budget {
        &self.room
    }
}

/// Memory for lists of pieces that are made here.
pub fn room() -> Budget {
    Budget::new(ROOM_BYTES, ROOM_PATIENCE)
}

/// A list of a blob's pieces as `make` writes it, which takes its time and has a thread for that, and what it makes beside. With the memory
/// that the list takes, which is to be held for as long.
pub async fn written<T: Send + 'static>(
    room: &Budget,
    entry: Arc<Entry>,
    make: impl FnOnce(&Entry) -> (Vec<u8>, T) + Send + 'static,
) -> Result<(Bytes, T, OwnedSemaphorePermit), NoBudget> {
    let mut room = room.take(u64::from(entry.geometry().pieces()) * ROOM_OF_EACH + ROOM_OF_REST).await?;
    let making = tokio::task::spawn_blocking(move || {
        let (mut list, beside) = make(&entry);
        list.shrink_to_fit();
        // It is taken until here, though who asked may be gone.
        let rest = room.num_permits().saturating_sub(list.len().div_ceil(1024).max(1));
        drop(room.split(rest));
        (Bytes::from(list), beside, room)
    });
    Ok(making.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())))
}

/// What is known here of a blob's pieces, as nobody's word.
pub fn unsigned(entry: &Entry) -> Metainfo {
    Metainfo {
        digest: entry.digest().clone(),
        size_bytes: entry.geometry().size_bytes(),
        piece_size_bytes: PIECE_BYTES,
        pieces: entry.hashes().as_bytes().chunks(blake3::OUT_LEN).map(hex::encode).collect(),
        signature: None,
    }
}

/// The id of the edge's own key that an answer names, where it is an edge's.
pub fn edge_key(headers: &HeaderMap) -> Option<&str> {
    headers.get(EDGE_KEY)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use longshore_oci::{Algorithm, Digest};
    use longshore_service::{metrics::Metrics, signing::KeySet};

    use super::*;
    use crate::store::{Store, StoreMetrics, StoreSettings};

    #[test]
    fn a_key_is_made_once_and_is_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        // What a crash left.
        let next = folder.path().join("vouching.key.new");
        fs::write(&next, "half").unwrap();
        let first = Vouching::open(folder.path()).unwrap();
        let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!((mode & 0o777, next.exists()), (0o600, false));
        assert_eq!(Vouching::open(folder.path()).unwrap().public(), first.public());
        fs::write(folder.path().join(FILE), "another thing").unwrap();
        assert!(matches!(Vouching::open(folder.path()), Err(VouchingError::Invalid { .. })));
        assert!(matches!(Vouching::open(&folder.path().join("none")), Err(VouchingError::File { operation: "written", .. })));
    }

    #[tokio::test]
    async fn what_is_signed_is_what_is_here() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _keeper) =
            Store::open(StoreSettings::new(folder.path(), 1 << 30), StoreMetrics::new(&Metrics::new())).unwrap();
        let content = Bytes::from(vec![7; 1_572_864]);
        let digest = Digest::of(Algorithm::Sha256, &content);
        let mut receiving = store.receive(&digest, content.len() as u64).await.unwrap();
        receiving.append(content.clone()).await.unwrap();
        let entry = receiving.finish().await.unwrap();
        let vouching = Vouching::open(folder.path()).unwrap();
        let metainfo = vouching.metainfo(&entry, 1_700_000_000);
        let keys = KeySet::from_iter([vouching.public()]);
        let voucher: Voucher = keys.check(Voucher::KIND, metainfo.signature.as_deref().unwrap()).unwrap();
        assert!(voucher.vouches_for(&metainfo) && voucher.issued_at == 1_700_000_000);
        let pieces: Vec<_> = content.chunks(1 << 20).map(|piece| blake3::hash(piece).to_string()).collect();
        assert_eq!((metainfo.digest, metainfo.size_bytes, metainfo.pieces), (digest, 1_572_864, pieces));

        let room = Budget::new(5 << 10, Duration::from_millis(20));
        let list = || written(&room, entry.clone(), |_| (vec![7; 2000], 8));
        let (bytes, beside, held) = list().await.unwrap();
        assert_eq!((bytes.len(), beside, held.num_permits()), (2000, 8, 2), "once it is made it takes no more than it has");
        assert!(list().await.is_err(), "there is no room for another");
        drop(held);
        assert!(list().await.is_ok());
    }
}
