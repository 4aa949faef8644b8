use std::collections::HashMap;

use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use longshore_client::EdgeBlob;
use longshore_oci::{Digest, Query};
use serde::Serialize;

use super::{Answer, ROOT, json, lease, refusal::Refusal};
use crate::{edge::Edge, piece::PIECE_BYTES, store::EntrySummary};

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
    let (page, is_last) = page(edge.store.list(), &query.get("last").unwrap_or_default(), count.clamp(1, MOST_ON_A_PAGE));
    let mut pinned_by: HashMap<Digest, Vec<String>> = HashMap::new();
    for pin in edge.store.pins() {
        let owners = pinned_by.entry(pin.digest).or_default();
        let owner = lease::owner(&pin.owner).to_owned();
        if !owners.contains(&owner) {
            owners.push(owner);
        }
    }
    let blobs: Vec<EdgeBlob> = page.into_iter().map(|entry| told(entry, &mut pinned_by)).collect();
    let next =
        blobs.last().filter(|_| !is_last).map(|last| format!("<{ROOT}blobs?n={count}&last={}>; rel=\"next\"", last.digest));
    let mut answer = json(StatusCode::OK, &BlobsBody { blobs });
    if let Some(next) = next {
        let next = HeaderValue::try_from(next).expect("a path, a number and a digest are plain ASCII");
        answer.headers_mut().insert(header::LINK, next);
    }
    Ok(answer)
}

/// The first so many after one of those that come by digest, and whether there are no more.
fn page(mut entries: Vec<EntrySummary>, after: &str, count: usize) -> (Vec<EntrySummary>, bool) {
    entries.retain(|entry| entry.digest.as_str() > after);
    let is_last = entries.len() <= count;
    entries.truncate(count);
    (entries, is_last)
}

fn told(entry: EntrySummary, pinned_by: &mut HashMap<Digest, Vec<String>>) -> EdgeBlob {
    EdgeBlob {
        pinned_by: pinned_by.remove(&entry.digest).unwrap_or_default(),
        digest: entry.digest,
        size_bytes: entry.size_bytes,
        present_bytes: present_bytes(entry.pieces, entry.present_pieces, entry.size_bytes),
        used_at: entry.used.last_used,
    }
}

/// How much is there; the last piece may be shorter, and counts as whole until all are there.
fn present_bytes(pieces: u32, present_pieces: u32, size_bytes: u64) -> u64 {
    if present_pieces >= pieces { size_bytes } else { (u64::from(present_pieces) * PIECE_BYTES).min(size_bytes) }
}

/// Throws away what is kept of a blob.
pub async fn evict(edge: &Edge, digest: &Digest) -> Result<Answer, Refusal> {
    if !edge.store.evict(digest).await.map_err(|error| Refusal::store(&error))? {
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
    use jiff::Timestamp;
    use longshore_oci::Algorithm;

    use super::*;
    use crate::store::Use;

    fn entry(content: u8) -> EntrySummary {
        EntrySummary {
            digest: Digest::of(Algorithm::Sha256, &[content]),
            size_bytes: 1,
            pieces: 1,
            present_pieces: 1,
            disk_bytes: 4096,
            used: Use::first(Timestamp::UNIX_EPOCH),
            is_pinned: false,
        }
    }

    #[test]
    fn pages_follow_each_other_to_the_end() {
        let mut all: Vec<EntrySummary> = (0..7).map(entry).collect();
        all.sort_by(|one, other| one.digest.cmp(&other.digest));
        let (mut seen, mut after) = (Vec::new(), String::new());
        for lengths in [3, 3, 1] {
            let (entries, is_last) = page(all.clone(), &after, 3);
            assert_eq!((entries.len(), is_last), (lengths, lengths == 1));
            after = entries.last().expect("there are some").digest.to_string();
            seen.extend(entries);
        }
        assert_eq!(seen, all);
        assert_eq!(page(all, &after, 3), (Vec::new(), true));
    }

    #[test]
    fn a_blob_is_there_as_far_as_its_pieces_are() {
        assert_eq!(present_bytes(3, 2, 2 * PIECE_BYTES + 5), 2 * PIECE_BYTES);
        assert_eq!(present_bytes(3, 3, 2 * PIECE_BYTES + 5), 2 * PIECE_BYTES + 5);
        assert_eq!(present_bytes(0, 0, 0), 0);
    }
}
