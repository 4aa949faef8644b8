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
    let hash = |piece: &[u8]| piece.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let pieces: Vec<String> = blob.pieces.chunks(32).map(hash).collect();
    Ok(reply::json(&json!({
        "digest": digest,
        "sizeBytes": blob.size_bytes,
        "pieceSizeBytes": PIECE_BYTES,
        "pieces": pieces,
    })))
}
