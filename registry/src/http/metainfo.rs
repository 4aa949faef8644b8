//! `GET /v2/<name>/_longshore/metainfo/<digest>`: a blob's piece hashes, by which each piece can be checked as it comes, and the
//! registry's word for them.

use std::sync::Arc;

use jiff::Timestamp;
use longshore_oci::{Digest, Metainfo, RepositoryName, Voucher};

use super::{Outcome, reply};
use crate::{error::Error, registry::Registry, storage::PIECE_BYTES};

pub async fn metainfo(registry: &Arc<Registry>, name: RepositoryName, digest: Digest) -> Outcome {
    let Some(blob) = registry.memory.blob((name, digest.clone())).await? else {
        return Err(Error::BlobUnknown(digest));
    };
    let hash = |piece: &[u8]| piece.try_into().map(|bytes: [u8; 32]| blake3::Hash::from_bytes(bytes).to_hex().to_string());
    let mut metainfo = Metainfo {
        digest,
        size_bytes: blob.size_bytes,
        piece_size_bytes: PIECE_BYTES,
        pieces: blob.pieces.chunks(32).flat_map(hash).collect(),
        signature: None,
    };
    if let (Some(key), Some(voucher)) = (registry.keys.current(), Voucher::of(&metainfo, Timestamp::now().as_second())) {
        metainfo.signature = Some(key.sign(Voucher::KIND, &voucher));
    }
    Ok(reply::json(&metainfo))
}
