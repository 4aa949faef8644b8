//! What is here and on its way, layer by layer, and what has changed of that: for whoever follows it, as a scheduler does.
//!
//! A cursor is `<epoch>.<number>`: the epoch is of this process, the number that of a change. While all there is is told in pages, the digest
//! after which there is more comes after a second dot. What is known here is the store's own index and which blobs changed last; a cursor
//! of another process, or one older than that, begins anew.

use std::{collections::BTreeSet, time::Duration};

use longshore_client::{EdgeTransfer, Layer, LayerChanges, LayerPlace, LayerState, SuppliedBytes};
use longshore_oci::{Digest, Query};
use serde::Serialize;
use tokio::sync::Semaphore;

use super::{Answer, StatusCode, blobs, json, lease, refusal::Refusal};
use crate::{blobs::Transfer, edge::Edge, store::EntrySummary, supply::Supplied};

/// The longest page, and how long one is where nobody says: some 500 KiB.
const MOST_ON_A_PAGE: usize = 1000;
/// The longest time for which it is waited for a change: shorter than what is between takes for a dead connection.
const MOST_WAIT: Duration = Duration::from_secs(30);
/// How many may wait for changes at once. One scheduler asks, or a few.
const MOST_WAITING: usize = 64;
/// How long it is waited after a change for others that come with it, so that a blob on its way is told of a few times a second at most.
const SETTLE: Duration = Duration::from_millis(250);
/// Of how many repositories of a layer is told.
const MOST_PLACES: usize = 16;

/// Those who follow what is here.
pub struct LayerFollowers {
    epoch: String,
    waiting: Semaphore,
}

impl Default for LayerFollowers {
    fn default() -> Self {
        // A cursor of another process, though it began at the same time, is no cursor of this one.
        Self { epoch: uuid::Uuid::now_v7().simple().to_string(), waiting: Semaphore::new(MOST_WAITING) }
    }
}

/// Up to where somebody has been told.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Cursor {
    number: u64,
    /// Where all there is is being told: up to which digest that was.
    told_to: Option<Digest>,
}

impl Cursor {
    /// That of a text; `None` where it is none of this process.
    fn parse(text: &str, epoch: &str) -> Option<Self> {
        let (number, told_to) = match text.strip_prefix(epoch)?.strip_prefix('.')?.split_once('.') {
            Some((number, digest)) => (number, Some(digest.parse().ok()?)),
            None => (text.strip_prefix(epoch)?.strip_prefix('.')?, None),
        };
        Some(Self { number: number.parse().ok()?, told_to })
    }

    fn text(&self, epoch: &str) -> String {
        let told_to = self.told_to.as_ref().map(|digest| format!(".{digest}")).unwrap_or_default();
        format!("{epoch}.{}{told_to}", self.number)
    }
}

/// What has changed since a cursor, or all there is.
pub async fn changes(edge: &Edge, query: Query<'_>) -> Result<Answer, Refusal> {
    let count = |name: &str| -> Result<Option<usize>, Refusal> {
        let text = query.get(name).filter(|text| !text.is_empty());
        let read =
            |text: &str| text.parse().map_err(|_| Refusal::request(format!("the parameter {name} is a count, not {text:?}")));
        text.as_deref().map(read).transpose()
    };
    let most = count("n")?.unwrap_or(MOST_ON_A_PAGE).clamp(1, MOST_ON_A_PAGE);
    let wait = Duration::from_secs(count("wait")?.unwrap_or(0) as u64).min(MOST_WAIT);
    let cursor = query.get("since").and_then(|text| Cursor::parse(&text, &edge.layers.epoch));
    let told = match cursor {
        Some(Cursor { number, told_to: Some(digest) }) => page(edge, number, Some(&digest), most),
        Some(Cursor { number, told_to: None }) => {
            if !wait.is_zero() {
                let _waiting = edge.layers.waiting.try_acquire().map_err(|_| Refusal::busy("as many wait for changes as may"))?;
                until_changed(edge, number, wait).await;
            }
            delta(edge, number, most).unwrap_or_else(|| page(edge, edge.store.changes().last(), None, most))
        }
        None => page(edge, edge.store.changes().last(), None, most),
    };
    Ok(json(StatusCode::OK, &told))
}

/// Waits for a change after this one, and a moment longer for those that come with it.
async fn until_changed(edge: &Edge, number: u64, wait: Duration) {
    let changed = async {
        edge.store.changes().after(number).await;
        tokio::time::sleep(SETTLE).await;
    };
    tokio::select! {
        () = changed => {}
        () = tokio::time::sleep(wait) => {}
        () = edge.stopping.cancelled() => {}
    }
}

/// What has changed after a change; `None` where that is not known any more.
fn delta(edge: &Edge, number: u64, most: usize) -> Option<LayerChanges> {
    let (changed, has_more) = edge.store.changes().since(number, most)?;
    let number = changed.last().map_or(number, |(number, _)| *number);
    let layers = changed.into_iter().map(|(_, digest)| layer(edge, digest)).collect();
    let cursor = Cursor { number, told_to: None }.text(&edge.layers.epoch);
    Some(LayerChanges { cursor, is_reset: false, has_more, layers })
}

/// A page of all there is. What changes meanwhile is told after the last, by the number of the change before the first.
fn page(edge: &Edge, number: u64, after: Option<&Digest>, most: usize) -> LayerChanges {
    let (found, told_to) = edge.store.page(after.map(Digest::as_str).unwrap_or_default(), most);
    let mut layers: Vec<Layer> = found.into_iter().map(|entry| of_entry(edge, entry)).collect();
    if after.is_none() {
        // What comes whole is nowhere else until it is here.
        let coming = edge.blobs.transfers().all().into_iter().filter(|transfer| transfer.is_coming);
        let unkept = coming.filter(|transfer| edge.store.peek(&transfer.digest).is_none());
        layers.extend(unkept.map(|transfer| of_transfer(edge, &transfer)));
    }
    let has_more = told_to.is_some();
    let cursor = Cursor { number, told_to }.text(&edge.layers.epoch);
    LayerChanges { cursor, is_reset: after.is_none(), has_more, layers }
}

/// One as it is now.
fn layer(edge: &Edge, digest: Digest) -> Layer {
    if let Some(entry) = edge.store.summary(&digest) {
        return of_entry(edge, entry);
    }
    match edge.blobs.transfers().of(&digest).filter(|transfer| transfer.is_coming) {
        Some(transfer) => of_transfer(edge, &transfer),
        None => Layer {
            digest,
            state: LayerState::Gone,
            size_bytes: 0,
            have_bytes: 0,
            places: Vec::new(),
            pinned_by: Vec::new(),
            used_at: None,
            supplied: None,
        },
    }
}

fn of_entry(edge: &Edge, entry: EntrySummary) -> Layer {
    let transfer = edge.blobs.transfers().of(&entry.digest);
    let have_bytes = blobs::present_bytes(entry.pieces, entry.present_pieces, entry.size_bytes);
    let state = match &transfer {
        _ if entry.present_pieces >= entry.pieces => LayerState::Held,
        Some(transfer) if transfer.is_coming => LayerState::Coming,
        _ => LayerState::Partial,
    };
    let owners: BTreeSet<&str> = entry.pinned_by.iter().map(|pin| lease::owner(pin)).collect();
    Layer {
        state,
        size_bytes: entry.size_bytes,
        have_bytes,
        places: places(edge, &entry.digest),
        pinned_by: owners.into_iter().map(str::to_owned).collect(),
        used_at: Some(entry.used.last_used),
        supplied: transfer.map(|transfer| bytes(transfer.supplied)),
        digest: entry.digest,
    }
}

/// One of which nothing is kept yet.
fn of_transfer(edge: &Edge, transfer: &Transfer) -> Layer {
    let place = || LayerPlace { registry: transfer.upstream.to_string(), repository: None };
    let mut places = places(edge, &transfer.digest);
    if places.is_empty() {
        places.push(place());
    }
    Layer {
        digest: transfer.digest.clone(),
        state: LayerState::Coming,
        size_bytes: transfer.size_bytes,
        have_bytes: transfer.here_bytes.saturating_add(transfer.supplied.sum()).min(transfer.size_bytes),
        places,
        pinned_by: Vec::new(),
        used_at: None,
        supplied: Some(bytes(transfer.supplied)),
    }
}

/// Where it is of: the repositories that it is shared by with neighbours, or else who has shown that they have it.
fn places(edge: &Edge, digest: &Digest) -> Vec<LayerPlace> {
    let mut places = edge.sources.neighbours().map(|neighbours| neighbours.places(digest)).unwrap_or_default();
    if places.is_empty() {
        let known = edge.blobs.known_at(digest).into_iter();
        places = known.map(|registry| LayerPlace { registry, repository: None }).collect();
    }
    places.sort();
    places.dedup();
    places.truncate(MOST_PLACES);
    places
}

#[derive(Serialize)]
struct TransfersBody {
    transfers: Vec<EdgeTransfer>,
}

/// What comes, and what came last.
pub fn transfers(edge: &Edge) -> Answer {
    let told = |transfer: Transfer| EdgeTransfer {
        digest: transfer.digest,
        upstream: transfer.upstream.to_string(),
        size_bytes: transfer.size_bytes,
        here_bytes: transfer.here_bytes,
        supplied: bytes(transfer.supplied),
        begun_at: transfer.begun_at,
        last_at: transfer.last_at,
        is_coming: transfer.is_coming,
    };
    json(StatusCode::OK, &TransfersBody { transfers: edge.blobs.transfers().all().into_iter().map(told).collect() })
}

fn bytes(supplied: Supplied) -> SuppliedBytes {
    let Supplied { machine_bytes, neighbour_bytes, edge_bytes, registry_bytes } = supplied;
    SuppliedBytes { machine_bytes, neighbour_bytes, edge_bytes, registry_bytes }
}

#[cfg(test)]
mod tests {
    use longshore_oci::Algorithm;

    use super::*;

    #[test]
    fn a_cursor_is_of_one_process() {
        let digest = Digest::of(Algorithm::Sha256, b"");
        for told_to in [None, Some(digest)] {
            let cursor = Cursor { number: 7, told_to };
            let text = cursor.text("abc");
            assert_eq!(Cursor::parse(&text, "abc"), Some(cursor));
            assert_eq!(Cursor::parse(&text, "abd"), None);
        }
        for text in ["", "abc", "abc.", "abc.x", "abc.1.x", "abc.1.sha256:0", "1", "abc1", "abcd.1"] {
            assert_eq!(Cursor::parse(text, "abc"), None, "{text}");
        }
        assert_ne!(LayerFollowers::default().epoch, LayerFollowers::default().epoch);
    }
}
