use jiff::Timestamp;
use longshore_oci::Digest;
use redb::{ReadableDatabase, ReadableTable};

use super::{ENTRIES, Index, PIECES, PINS, RECORDS, USES};
use crate::{
    piece::{Geometry, PieceHashes, PieceSet},
    store::{error::StoreError, pin::Pin, usage::Use},
};

/// What the index has at start.
#[derive(Debug, Default)]
pub(in crate::store) struct Loaded {
    pub(in crate::store) entries: Vec<LoadedEntry>,
    pub(in crate::store) pins: Vec<Pin>,
    /// Blobs of which nothing is here, or whose row is none: they are to be forgotten.
    pub(in crate::store) gone: Vec<Digest>,
}

/// A blob that the index has.
#[derive(Debug)]
pub(in crate::store) struct LoadedEntry {
    pub(in crate::store) digest: Digest,
    pub(in crate::store) geometry: Geometry,
    pub(in crate::store) hashes: PieceHashes,
    pub(in crate::store) present: PieceSet,
    pub(in crate::store) used: Use,
}

impl Index {
    /// Reads all but the records. A blob without a note of its use counts as used once, `now`.
    pub(in crate::store) fn load(&self, now: Timestamp) -> Result<Loaded, StoreError> {
        self.with(|database| {
            let transaction = database.begin_read()?;
            let (pieces, notes) = (transaction.open_table(PIECES)?, transaction.open_table(USES)?);
            let mut loaded = Loaded::default();
            for row in transaction.open_table(ENTRIES)?.iter()? {
                let (digest, header) = row?;
                let Ok(digest) = digest.value().parse::<Digest>() else { continue };
                let (size_bytes, hashes) = header.value();
                let bits = pieces.get(digest.as_str())?;
                let used = notes.get(digest.as_str())?.and_then(|used| read_use(used.value()));
                match read_blob(size_bytes, hashes, bits.as_ref().map(redb::AccessGuard::value)) {
                    Some((geometry, hashes, present)) => {
                        let used = used.unwrap_or_else(|| Use::first(now));
                        loaded.entries.push(LoadedEntry { digest, geometry, hashes, present, used });
                    }
                    None => loaded.gone.push(digest),
                }
            }
            for row in transaction.open_table(PINS)?.iter()? {
                match serde_json::from_slice(row?.1.value()) {
                    Ok(pin) => loaded.pins.push(pin),
                    Err(error) => tracing::warn!(%error, "a pin in the index can't be read, and is passed over"),
                }
            }
            Ok(loaded)
        })
    }

    /// All records of a kind, by key.
    pub(in crate::store) fn records(&self, kind: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.with(|database| {
            let records = database.begin_read()?.open_table(RECORDS)?;
            let mut found = Vec::new();
            for row in records.range((kind, "")..)? {
                let (key, value) = row?;
                let (of, key) = key.value();
                if of != kind {
                    break;
                }
                found.push((key.to_owned(), value.value().to_vec()));
            }
            Ok(found)
        })
    }
}

/// A blob as it was written; `None` where it is not sound, or where nothing of it is here.
fn read_blob(size_bytes: u64, hashes: &[u8], bits: Option<&[u8]>) -> Option<(Geometry, PieceHashes, PieceSet)> {
    let geometry = Geometry::new(size_bytes)?;
    let hashes = PieceHashes::from_bytes(hashes)?;
    let present = PieceSet::from_bytes(geometry.pieces(), bits?)?;
    let is_sound = hashes.count() == usize::try_from(geometry.pieces()).ok()?;
    (is_sound && (present.count() > 0 || size_bytes == 0)).then_some((geometry, hashes, present))
}

fn read_use((last_used_ms, frequency): (i64, f64)) -> Option<Use> {
    let last_used = Timestamp::from_millisecond(last_used_ms).ok()?;
    (frequency.is_finite() && frequency >= 0.0).then_some(Use { last_used, frequency })
}
