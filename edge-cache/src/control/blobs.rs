use std::collections::BTreeSet;

use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use longshore_client::EdgeBlob;
use longshore_oci::{Digest, Query};
use serde::Serialize;

use super::{Answer, ROOT, json, lease, refusal::Refusal};
use crate::{
    edge::Edge,
    piece::PIECE_BYTES,
    store::{EntrySummary, Store},
};

/// The longest page, and how long one is where nobody says.
const MOST_ON_A_PAGE: usize = 1000;

#[derive(Serialize)]
struct BlobsBody {
    blobs: Vec<EdgeBlob>,
}

/// A page of what is kept, by digest.
pub fn list(edge: &Edge, query: Query<'_>) -> Result<Answer, Refusal> {
    let count = match query.get("n").as_deref() {
        None | Some("") => MOST_ON_A_PAGE,
        Some(text) => text.parse().map_err(|_| Refusal::request(format!("the parameter n is a count, not {text:?}")))?,
    };
    let (page, last) = edge.store.page(&query.get("last").unwrap_or_default(), count.clamp(1, MOST_ON_A_PAGE));
    let mut answer = json(StatusCode::OK, &BlobsBody { blobs: page.into_iter().map(told).collect() });
    if let Some(last) = last {
        let next = format!("<{ROOT}blobs?n={count}&last={last}>; rel=\"next\"");
        let next = HeaderValue::try_from(next).expect("a path, a number and a digest are plain ASCII");
        answer.headers_mut().insert(header::LINK, next);
    }
    Ok(answer)
}

fn told(entry: EntrySummary) -> EdgeBlob {
    let owners: BTreeSet<&str> = entry.pinned_by.iter().map(|pin| lease::owner(pin)).collect();
    EdgeBlob {
        pinned_by: owners.into_iter().map(str::to_owned).collect(),
        digest: entry.digest,
        size_bytes: entry.size_bytes,
        present_bytes: present_bytes(entry.pieces, entry.present_pieces, entry.size_bytes),
        used_at: entry.used.last_used,
    }
}

/// How much of a blob is here, in bytes; nothing of one that is not known.
pub fn here(store: &Store, digest: &Digest) -> u64 {
    store.peek(digest).map_or(0, |entry| {
        let geometry = entry.geometry();
        present_bytes(geometry.pieces(), entry.present().count(), geometry.size_bytes())
    })
}

/// How much is there; the last piece may be shorter, and counts as whole until all are there.
pub fn present_bytes(pieces: u32, present_pieces: u32, size_bytes: u64) -> u64 {
    if present_pieces >= pieces { size_bytes } else { (u64::from(present_pieces) * PIECE_BYTES).min(size_bytes) }
}

/// Throws away what is kept of a blob.
pub async fn evict(edge: &Edge, digest: &Digest) -> Result<Answer, Refusal> {
    if !edge.blobs.evict(digest).await.map_err(|error| Refusal::store(&error))? {
        return Err(Refusal::nothing(format!("nothing of {digest} is kept here")));
    }
    edge.tags.manifests.forget(digest);
    tracing::info!(%digest, "evicted by hand");
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_there_as_far_as_its_pieces_are() {
        assert_eq!(present_bytes(3, 2, 2 * PIECE_BYTES + 5), 2 * PIECE_BYTES);
        assert_eq!(present_bytes(3, 3, 2 * PIECE_BYTES + 5), 2 * PIECE_BYTES + 5);
        assert_eq!(present_bytes(0, 0, 0), 0);
    }
}
