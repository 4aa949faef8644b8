//! Rebuilds the database from the store alone.
//!
//! Records are played back in the order of their revisions, which gives manifests, tags, referrers and their dates. Every blob's
//! object is read once and hashed, which gives its digest and its piece hashes, and proves it on the way. A blob belongs to the
//! repository below which it lies, unless a record says that it was deleted there; to those that a record links it to; and to those
//! whose manifests name it.

use std::{collections::BTreeSet, fmt};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use longshore_oci::{Algorithm, Digest, Hasher};
use longshore_service::metrics::Metrics;

use crate::{
    config::Config,
    record,
    start::{StartError, open_state, open_store},
    state::{RestoredBlob, RestoredRecord, SharedState, StateError, Tenancy},
    storage::{Content, Listed, ObjectKey, SharedStore, StorageError},
    upload::PieceHasher,
};

/// How many events of the outbox become lines of the audit log in one transaction.
const OUTBOX_BATCH: u32 = 500;
/// How many blobs are read at once.
const READERS: usize = 4;

/// Why the database could not be rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum ReindexError {
    /// The store or the database can't be opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The store failed meanwhile.
    #[error("the storage could not be read")]
    Storage(#[from] StorageError),
    /// The database failed meanwhile.
    #[error("the database could not be written")]
    State(#[from] StateError),
    /// A thread failed.
    #[error("hashing failed")]
    Task(#[from] tokio::task::JoinError),
}

/// How far a rebuilding has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReindexProgress {
    /// Records played back.
    pub records: u64,
    /// Blobs read.
    pub blobs: u64,
    /// The blobs' bytes.
    pub blob_bytes: u64,
}

/// What a rebuilding found.
#[derive(Clone, Debug, Default)]
pub struct ReindexReport {
    /// What was done.
    pub done: ReindexProgress,
    /// What could not be used, and why: keys of the store.
    pub skipped: Vec<(String, String)>,
    /// How many of these are not the registry's at all.
    pub strangers: usize,
}

impl fmt::Display for ReindexProgress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { records, blobs, blob_bytes } = self;
        write!(formatter, "{records} records played back, {blobs} blobs read ({blob_bytes} bytes)")
    }
}

impl fmt::Display for ReindexReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, {} objects skipped", self.done, self.skipped.len())?;
        for (key, reason) in &self.skipped {
            write!(formatter, "\n  {key}: {reason}")?;
        }
        Ok(())
    }
}

/// Empties the database and fills it from the store. `report` is told of the progress now and then.
pub async fn reindex(config: Config, mut report: impl FnMut(&ReindexProgress)) -> Result<ReindexReport, ReindexError> {
    let store = open_store(&config, &Metrics::new())?;
    let state = open_state(&config, Tenancy::Sole).await?;
    let mut found = ReindexReport::default();
    // Before anything is lost, since a store that can't be reached gives nothing back.
    let records = record_keys(&store, &mut found).await?;
    // What the outbox still holds for the audit log, which stays. What is played back is no news.
    while config.is_audited() && state.chain_audit(OUTBOX_BATCH).await? > 0 {}
    state.clear().await?;
    let mut long_digests = BTreeSet::new();
    let mut disowned = BTreeSet::new();
    let mut linking = Vec::new();
    let mut highest = 0;
    for key in records {
        highest = highest.max(key.1);
        let read = match read_record(&store, &key).await {
            Err(ReindexError::Storage(error)) if !error.is_transient() => Err(error.to_string()),
            read => read?,
        };
        match read {
            Ok(record) => {
                long_digests.extend(long_digests_of(&record));
                disowned.extend(record.unlinked.iter().flat_map(|(_, objects)| objects.iter().cloned()));
                if !record.linked.is_empty() {
                    linking.push(key);
                }
                state.restore_record(record).await?;
                found.done.records += 1;
            }
            Err(reason) => found.skipped.push((key.0.to_string(), reason)),
        }
        report(&found.done);
    }
    let hints = Hints { long_digests, disowned };
    restore_blobs(&store, &state, &hints, &mut found, &mut report).await?;
    for key in linking {
        if let Ok(record) = read_record(&store, &key).await? {
            state.restore_links(&record.repository, &record.linked, record.revision).await?;
        }
    }
    state.settle_blobs(found.strangers == found.skipped.len()).await?;
    state.resume_revisions(highest).await?;
    drop_unfinished(&store).await?;
    state.finish_rebuilding().await?;
    Ok(found)
}

/// No upload is open any more, so nothing will finish these.
async fn drop_unfinished(store: &SharedStore) -> Result<(), ReindexError> {
    loop {
        // From the start each time: what was dropped is no place to go on from.
        let page = store.list_unfinished(None).await?;
        if page.is_empty() {
            return Ok(());
        }
        for unfinished in &page {
            store.abort(&unfinished.key, &unfinished.id).await?;
        }
    }
}

/// A record's key, its revision and its length.
type RecordKey = (ObjectKey, u64, u64);

/// The records of all repositories, in the order of their revisions.
async fn record_keys(store: &SharedStore, found: &mut ReindexReport) -> Result<Vec<RecordKey>, ReindexError> {
    let mut records = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = store.list(ObjectKey::PREFIX, after.as_deref()).await?;
        for Listed { key, size_bytes, .. } in &page.objects {
            match ObjectKey::parse(key) {
                Some(parsed @ ObjectKey::Record(_, revision)) => records.push((parsed, revision, *size_bytes)),
                Some(ObjectKey::Blob(..)) => {}
                None => {
                    found.strangers += 1;
                    found.skipped.push((key.clone(), "not a key of ours".to_owned()));
                }
            }
        }
        after = page.objects.last().map(|last| last.key.clone()).or(after);
        if !page.has_more {
            records.sort_unstable_by_key(|&(_, revision, _)| revision);
            return Ok(records);
        }
    }
}

async fn read_record(
    store: &SharedStore,
    (key, _, size_bytes): &RecordKey,
) -> Result<Result<RestoredRecord, String>, ReindexError> {
    let content = store.read(key, *size_bytes, 0..*size_bytes).await?.collect(0..*size_bytes).await?;
    Ok(record::read(key.repository(), &content.concat().into()).map_err(|reason| reason.to_string()))
}

/// The digests in a record that are not of the canonical kind: an object's key tells its kind only where the upload did.
fn long_digests_of(record: &RestoredRecord) -> Vec<Digest> {
    let named = record.push.iter().flat_map(|push| push.manifest.blobs()).map(|blob| &blob.digest);
    named.chain(&record.linked).filter(|digest| digest.algorithm() == Algorithm::Sha512).cloned().collect()
}

/// What records tell of blobs before these are read.
struct Hints {
    /// The digests to look for that are not of the canonical kind.
    long_digests: BTreeSet<Digest>,
    /// The objects that don't show that their blob is the repository's.
    disowned: BTreeSet<ObjectKey>,
}

async fn restore_blobs(
    store: &SharedStore,
    state: &SharedState,
    hints: &Hints,
    found: &mut ReindexReport,
    report: &mut impl FnMut(&ReindexProgress),
) -> Result<(), ReindexError> {
    let mut after: Option<String> = None;
    loop {
        let page = store.list(ObjectKey::PREFIX, after.as_deref()).await?;
        after = page.objects.last().map(|last| last.key.clone()).or(after);
        let blobs = page.objects.into_iter().filter_map(|listed| match ObjectKey::parse(&listed.key) {
            Some(key @ ObjectKey::Blob(..)) => Some((key, listed)),
            _ => None,
        });
        let mut restored =
            stream::iter(blobs).map(|(key, listed)| read_blob(store, key, listed, hints)).buffer_unordered(READERS);
        while let Some(blob) = restored.next().await {
            match blob {
                Ok(blob) => {
                    found.done.blobs += 1;
                    found.done.blob_bytes += blob.size_bytes;
                    state.restore_blob(blob).await?;
                }
                Err((key, ReindexError::Storage(reason))) if !reason.is_transient() => {
                    found.skipped.push((key, reason.to_string()));
                }
                Err((_, error)) => return Err(error),
            }
            report(&found.done);
        }
        if !page.has_more {
            return Ok(());
        }
    }
}

/// Reads a blob's object and hashes it.
async fn read_blob(
    store: &SharedStore,
    key: ObjectKey,
    listed: Listed,
    Hints { long_digests, disowned }: &Hints,
) -> Result<RestoredBlob, (String, ReindexError)> {
    let fail = |error: ReindexError| (listed.key.clone(), error);
    let is_long = matches!(&key, ObjectKey::Blob(_, name) if name.algorithm == Algorithm::Sha512);
    let mut hashes = Hashes {
        short: (!is_long).then(|| Hasher::new(Algorithm::Sha256)),
        long: (is_long || !long_digests.is_empty()).then(|| Hasher::new(Algorithm::Sha512)),
        pieces: PieceHasher::default(),
    };
    let size_bytes = listed.size_bytes;
    match store.read(&key, size_bytes, 0..size_bytes).await.map_err(|error| fail(error.into()))? {
        Content::Mapped(mapping) => hashes = hashes.after(mapping.slice(0..size_bytes)).await.map_err(fail)?,
        Content::Stream(mut stream) => {
            while let Some(bytes) = stream.try_next().await.map_err(|error| fail(error.into()))? {
                hashes = hashes.after(bytes).await.map_err(fail)?;
            }
        }
    }
    let long = hashes.long.map(|hasher| hasher.digest()).filter(|digest| is_long || long_digests.contains(digest));
    let digest = long.or_else(|| hashes.short.map(|hasher| hasher.digest())).expect("at least one hash is made");
    Ok(RestoredBlob {
        digest,
        size_bytes,
        pieces: hashes.pieces.so_far(),
        is_disowned: disowned.contains(&key),
        key,
        created_at: listed.modified_at,
    })
}

/// All the hashes that a blob may need.
struct Hashes {
    short: Option<Hasher>,
    long: Option<Hasher>,
    pieces: PieceHasher,
}

impl Hashes {
    /// The hashes after these bytes too, made on a thread that may block.
    async fn after(mut self, bytes: Bytes) -> Result<Self, ReindexError> {
        let hashed = tokio::task::spawn_blocking(move || {
            for hasher in self.short.iter_mut().chain(&mut self.long) {
                hasher.update(&bytes);
            }
            self.pieces.update(&bytes);
            self
        });
        Ok(hashed.await?)
    }
}
