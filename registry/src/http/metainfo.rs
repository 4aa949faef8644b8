//! `GET /v2/<name>/_longshore/metainfo/<digest>`: a blob's piece hashes, by which each piece can be checked as it comes.

use std::sync::Arc;

use longshore_oci::{Digest, RepositoryName};
use serde_json::json;

use super::{Outcome, reply};
use crate::{error::Error, registry::Registry, storage::PIECE_BYTES};

pub async fn metainfo(registry: &Arc<Registry>, name: RepositoryName, digest: Digest) -> Outcome {
    let Some(blob) = registry.memory.blob((name, digest.clone())).await? else {
        return Err(Error::BlobUnknown(digest));
    };
    let hash = |piece: &[u8]| piece.try_into().map(|bytes: [u8; 32]| blake3::Hash::from_bytes(bytes).to_hex().to_string());
    let pieces: Vec<String> = blob.pieces.chunks(32).flat_map(hash).collect();
    Ok(reply::json(&json!({
        "digest": digest,
        "sizeBytes": blob.size_bytes,
        "pieceSizeBytes": PIECE_BYTES,
        "pieces": pieces,
    })))
}
