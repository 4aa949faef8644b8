//! The one place of metadata: which blobs there are, which pieces of them, how they were asked for, what is pinned, and records.

mod load;

use std::{
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use longshore_oci::Digest;
use redb::{Builder, Database, ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction, backends::FileBackend};

pub(super) use load::LoadedEntry;

use super::{error::StoreError, folder::plain, notes::Notes, usage::Use};
use crate::piece::PieceHashes;

/// How the index is written; another version of the program may do it otherwise.
const FORMAT: u64 = 1;
/// How much of the index is kept in memory, in bytes.
const CACHE_BYTES: usize = 16 << 20;

/// `format` and its number.
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// A blob's digest; its length, and the hashes of its pieces.
const ENTRIES: TableDefinition<&str, (u64, &[u8])> = TableDefinition::new("entries");
/// A blob's digest; the bits of the pieces that are here.
const PIECES: TableDefinition<&str, &[u8]> = TableDefinition::new("pieces");
/// A blob's digest; when it was asked for, in milliseconds since 1970, and how often as of then.
const USES: TableDefinition<&str, (i64, f64)> = TableDefinition::new("uses");
/// The owner and the digest of a pin; the pin as JSON.
const PINS: TableDefinition<(&str, &str), &[u8]> = TableDefinition::new("pins");
/// The kind and the key of a record; its value.
const RECORDS: TableDefinition<(&str, &str), &[u8]> = TableDefinition::new("records");

/// What is written in one go: all of it, or nothing.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Blobs whose pieces changed.
    pub(super) rows: Vec<Row>,
    /// Blobs that are no more.
    pub(super) gone: Vec<Digest>,
    /// How blobs were asked for.
    pub(super) uses: Vec<(Digest, Use)>,
    /// Pins and records.
    pub(super) notes: Notes,
}

/// What is noted of a blob.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) digest: Digest,
    /// Its length and hashes, where they are not there yet.
    pub(super) header: Option<(u64, PieceHashes)>,
    /// Which pieces are on the disk for good.
    pub(super) bits: Vec<u8>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.gone.is_empty() && self.uses.is_empty() && self.notes.is_empty()
    }
}

/// The index, open.
#[derive(Debug)]
pub(super) struct Index {
    path: PathBuf,
    max_records: u64,
    /// `None` after a failure: it is opened again then.
    database: Mutex<Option<Database>>,
}

impl Index {
    /// Opens it, or begins one.
    pub(super) fn open(path: PathBuf, max_records: usize) -> Result<Self, StoreError> {
        let max_records = u64::try_from(max_records).unwrap_or(u64::MAX);
        let index = Self { path, max_records, database: Mutex::new(None) };
        let found = index.with(|database| {
            let transaction = database.begin_write()?;
            let format = {
                let mut meta = transaction.open_table(META)?;
                let found = meta.get("format")?.map(|found| found.value());
                if found.is_none() {
                    meta.insert("format", FORMAT)?;
                }
                found.unwrap_or(FORMAT)
            };
            if format == FORMAT {
                // So that whoever reads finds them.
                transaction.open_table(ENTRIES)?;
                transaction.open_table(PIECES)?;
                transaction.open_table(USES)?;
                transaction.open_table(PINS)?;
                transaction.open_table(RECORDS)?;
            }
            transaction.commit()?;
            Ok(format)
        })?;
        if found != FORMAT {
            return Err(StoreError::Format { path: index.path.display().to_string(), found, expected: FORMAT });
        }
        Ok(index)
    }

    /// Writes a batch so that a power failure does not undo it; how many records were one too many.
    pub(super) fn commit(&self, batch: &Batch) -> Result<u64, StoreError> {
        self.with(|database| {
            let transaction = database.begin_write()?;
            write_blobs(&transaction, batch)?;
            write_pins(&transaction, &batch.notes)?;
            let lost = self.write_records(&transaction, &batch.notes)?;
            transaction.commit()?;
            Ok(lost)
        })
    }

    fn write_records(&self, transaction: &WriteTransaction, notes: &Notes) -> Result<u64, redb::Error> {
        let (mut records, mut lost) = (transaction.open_table(RECORDS)?, 0);
        for ((kind, key), value) in &notes.records {
            let key = (*kind, key.as_str());
            let Some(value) = value else {
                records.remove(key)?;
                continue;
            };
            if records.len()? >= self.max_records && records.get(key)?.is_none() {
                lost += 1;
            } else {
                records.insert(key, value.as_slice())?;
            }
        }
        Ok(lost)
    }

    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        let failed = StoreError::index::<redb::Error>(&self.path);
        let mut database = self.lock();
        let open = if let Some(open) = database.take() {
            open
        } else {
            let file = plain::open(&self.path, |options| options.create(true).truncate(false).read(true).write(true));
            let file = file.map_err(|error| failed(redb::Error::Io(error)))?;
            let backend = FileBackend::new(file).map_err(|error| failed(error.into()))?;
            Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(backend).map_err(|error| failed(error.into()))?
        };
        // After a failure it refuses everything, until it is opened anew.
        let done = work(&open).map_err(failed)?;
        *database = Some(open);
        Ok(done)
    }

    /// Does work with the index closed, as it is after a failure.
    #[cfg(test)]
    pub(super) fn while_closed(&self, work: impl FnOnce()) {
        let mut database = self.lock();
        *database = None;
        work();
    }

    fn lock(&self) -> MutexGuard<'_, Option<Database>> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_blobs(transaction: &WriteTransaction, batch: &Batch) -> Result<(), redb::Error> {
    let mut entries = transaction.open_table(ENTRIES)?;
    let mut pieces = transaction.open_table(PIECES)?;
    let mut uses = transaction.open_table(USES)?;
    for digest in &batch.gone {
        entries.remove(digest.as_str())?;
        pieces.remove(digest.as_str())?;
        uses.remove(digest.as_str())?;
    }
    for row in &batch.rows {
        if let Some((size_bytes, hashes)) = &row.header {
            entries.insert(row.digest.as_str(), (*size_bytes, hashes.as_bytes()))?;
        }
        pieces.insert(row.digest.as_str(), row.bits.as_slice())?;
    }
    for (digest, used) in &batch.uses {
        uses.insert(digest.as_str(), (used.last_used.as_millisecond(), used.frequency))?;
    }
    Ok(())
}

fn write_pins(transaction: &WriteTransaction, notes: &Notes) -> Result<(), redb::Error> {
    let mut pins = transaction.open_table(PINS)?;
    for ((owner, digest), pin) in &notes.pins {
        let key = (owner.as_str(), digest.as_str());
        match pin {
            Some(pin) => {
                let json = serde_json::to_vec(pin).expect("a pin is texts, numbers and times");
                pins.insert(key, json.as_slice())?;
            }
            None => {
                pins.remove(key)?;
            }
        }
    }
    Ok(())
}
