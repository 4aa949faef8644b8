//! Blobs, and what a node has of them.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use longshore_oci::{
    Algorithm, Digest,
    piece::{Geometry, PIECE_BYTES, PieceHashes, PieceIndex, PieceSet},
};

use crate::{
    swarm::{Holdings, Kept},
    topic::Topic,
};

/// A blob that some have.
pub struct Blob {
    pub digest: Digest,
    pub content: Arc<[Bytes]>,
    pub geometry: Geometry,
    pub(super) hashes: PieceHashes,
}

impl Blob {
    /// Of so many pieces; the last is short.
    pub fn new(pieces: u32, seed: u64) -> Self {
        let piece = |number: u32| {
            let length = if number + 1 == pieces { 1000 } else { usize::try_from(PIECE_BYTES).unwrap() };
            let mut bytes = vec![0; length];
            blake3::Hasher::new().update(&seed.to_le_bytes()).update(&number.to_le_bytes()).finalize_xof().fill(&mut bytes);
            Bytes::from(bytes)
        };
        let content: Arc<[Bytes]> = (0..pieces).map(piece).collect();
        let size = content.iter().map(|piece| piece.len() as u64).sum();
        let hashes: Vec<u8> = content.iter().flat_map(|piece| *blake3::hash(piece).as_bytes()).collect();
        Self {
            digest: Digest::of(Algorithm::Sha256, &seed.to_le_bytes()),
            content,
            geometry: Geometry::new(size).unwrap(),
            hashes: PieceHashes::from_bytes(&hashes).unwrap(),
        }
    }

    pub fn topic(&self) -> Topic {
        Topic { registry: "registry.test".into(), repository: "team/app".parse().unwrap(), digest: self.digest.clone() }
    }
}

/// How a blob falls into pieces, and those that are there.
pub(super) type Content = (Geometry, Vec<Option<Bytes>>);

/// What a node has.
#[derive(Default)]
pub struct Shelf {
    pub(super) blobs: Mutex<HashMap<Digest, Content>>,
    /// What it tells of a blob.
    pub metainfo: Mutex<HashMap<Digest, Bytes>>,
    /// Whether it sends what is not so.
    pub lies: AtomicBool,
    /// Whether it can't read what it has.
    pub is_broken: AtomicBool,
}

#[async_trait]
impl Holdings for Shelf {
    fn kept(&self, topic: &Topic) -> Option<Kept> {
        let blobs = self.blobs.lock().unwrap();
        let (geometry, content) = blobs.get(&topic.digest)?;
        let mut pieces = PieceSet::none_of(geometry.pieces());
        for (piece, _) in (0..).zip(content).filter(|(_, bytes)| bytes.is_some()) {
            pieces.insert(PieceIndex(piece));
        }
        Some(Kept { geometry: *geometry, pieces })
    }

    async fn read(&self, topic: &Topic, piece: PieceIndex) -> Option<Bytes> {
        let bytes = self.blobs.lock().unwrap().get(&topic.digest)?.1[piece.0 as usize].clone()?;
        if self.is_broken.load(Ordering::Relaxed) {
            return None;
        }
        if self.lies.load(Ordering::Relaxed) {
            let mut wrong = bytes.to_vec();
            wrong[0] ^= 1;
            return Some(wrong.into());
        }
        Some(bytes)
    }

    async fn metainfo(&self, topic: &Topic) -> Option<Bytes> {
        self.metainfo.lock().unwrap().get(&topic.digest).cloned()
    }
}
