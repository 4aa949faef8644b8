//! SQLite: one file, one writer, for a registry on one machine.
//!
//! Readers have connections of their own and see the last commit. Every change goes through one task, the writer, which takes
//! what is waiting and commits it together. Where one of them fails they are done again by halves, so that it takes no other with
//! it.
//!
//! SQLite itself does not wait for the disk (`synchronous = NORMAL`). Another task, the syncer, has the write-ahead log reach it,
//! once for all commits that came while it did so before, and then tells those whose change must be durable. The log is in the
//! order of the commits, so what is durable never rests on what is not.

#[path = "statements/mod.rs"]
#[allow(clippy::duplicate_mod, reason = "the statements are compiled once for each database")]
mod statements;
mod syncer;
mod writer;

use std::{
    path::Path,
    str::FromStr as _,
    sync::atomic::{AtomicU64, Ordering},
};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use longshore_oci::{AuditHead, AuditLine, Digest, Reference, RepositoryName, Tag};
use longshore_service::private_files;
use sqlx::{
    ConnectOptions as _,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use syncer::Syncer;
use writer::{Change, Reply};

use super::backend::{Durability, READ_ATTEMPTS, implement_state, read, write};
use super::{
    AccountChange, AuditFilter, BlobCommit, Cancelled, Checkpoint, Claim, ClaimWish, DeleteBlob, DeleteManifest, Deletion,
    EvidenceIndex, Expected, FinishUpload, Finished, Garbage, ImageDetail, ImageFilter, ImageSummary, Made, NewAccount,
    NewUpload, NotedBatch, OutboxEvent, OutboxHead, Put, PutIssuer, PutManifest, Referrer, RestoredBlob, RestoredRecord, Sharing,
    StateError, StoredAccount, StoredBlob, StoredDocument, StoredIssuer, StoredKey, StoredManifest, StoredRole, UploadStatus,
};
use crate::storage::ObjectKey;

/// The database that the statements are compiled for.
pub type Db = sqlx::Sqlite;
/// What a `SELECT` ends with that keeps its rows as they are until the transaction ends. With one writer they are anyway.
const FOR_SHARE: &str = "";
/// As [`FOR_SHARE`], and keeps them from being read so by others.
const FOR_UPDATE: &str = "";

/// Statements that are run one after the other, with the same values: as one here, since each one sent to the database's thread
/// costs more than it takes.
fn script(statements: &[&str]) -> Vec<String> {
    vec![statements.join(";\n")]
}

/// How many changes may wait for the writer.
const QUEUE_LENGTH: usize = 1024;

/// The state in an SQLite file.
pub struct SqliteState {
    readers: SqlitePool,
    writer: mpsc::Sender<Change>,
    syncer: Syncer,
    last_revision: AtomicU64,
    /// Held, not read: a second process on the file would trust a memory that this one makes false.
    _lock: std::fs::File,
}

impl SqliteState {
    /// Opens the file, makes it where there is none, and brings it to this program's schema.
    pub async fn open(file: &Path, max_connections: u32) -> Result<Self, StateError> {
        let lock = lock(file)?;
        make_private(file).map_err(|error| StateError::Unavailable(sqlx::Error::Io(error)))?;
        let options = SqliteConnectOptions::from_str("sqlite:")?
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .busy_timeout(std::time::Duration::from_secs(5))
            .statement_cache_capacity(256)
            .disable_statement_logging();
        let mut connection = options.clone().connect().await?;
        super::migrations::sqlite().run_direct(None, &mut connection, false).await?;
        // Whoever held a claim went with the last process.
        sqlx::query("UPDATE uploads SET claim = NULL, has_strays = TRUE WHERE claim IS NOT NULL")
            .execute(&mut connection)
            .await?;
        let row = sqlx::query(
            "SELECT MAX(COALESCE((SELECT MAX(revision) FROM records), 0), COALESCE((SELECT MAX(revision) FROM pending_changes), 0)) AS revision",
        )
        .fetch_one(&mut connection)
        .await?;
        let last_revision = AtomicU64::new(statements::unsigned(&row, "revision")?);
        let readers = SqlitePoolOptions::new().max_connections(max_connections).test_before_acquire(false);
        let readers = readers.connect_with(options.read_only(true).create_if_missing(false)).await?;
        let (writer, changes) = mpsc::channel(QUEUE_LENGTH);
        let syncer = syncer::start(file).map_err(|error| StateError::Unavailable(sqlx::Error::Io(error)))?;
        tokio::spawn(writer::write_all(connection, changes, syncer.clone()));
        Ok(Self { readers, writer, syncer, last_revision, _lock: lock })
    }

    /// Refuses where nothing can be changed any more.
    fn require(&self) -> Result<(), StateError> {
        self.syncer.require()
    }

    fn pool(&self) -> &SqlitePool {
        &self.readers
    }

    async fn reader(&self) -> Result<PoolConnection<Db>, StateError> {
        Ok(self.readers.acquire().await?)
    }

    /// The clock, pushed on where it stands still or goes back: greater than every revision before, those of a former life
    /// included. It is on disk before the record is.
    async fn begin_change(&self, repository: &RepositoryName) -> Result<u64, StateError> {
        let now = u64::try_from(Timestamp::now().as_microsecond()).unwrap_or_default();
        let next = |last: u64| now.max(last + 1);
        let last = self.last_revision.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| Some(next(last)));
        let revision = last.map_or_else(next, next);
        let (name, begun_at) = (repository.to_string(), now.cast_signed());
        write!(self, Durable, [name], |connection| async move {
            let sql = "INSERT INTO pending_changes (revision, repository, begun_at) VALUES ($1, $2, $3)";
            let pending = sqlx::query(sql).bind(statements::signed(revision)).bind(name.as_str()).bind(begun_at);
            Ok(pending.execute(&mut *connection).await.map(drop)?)
        })?;
        Ok(revision)
    }

    #[expect(clippy::unused_async, reason = "the other database has to be told")]
    async fn resume_revisions(&self, highest: u64) -> Result<(), StateError> {
        self.last_revision.fetch_max(highest, Ordering::SeqCst);
        Ok(())
    }

    async fn write<T, F>(&self, durability: Durability, run: F) -> Result<T, StateError>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, StateError>> + Send + Sync + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let reply = std::sync::Arc::new(std::sync::Mutex::new(Some(reply)));
        let send = move |reply: &std::sync::Mutex<Option<oneshot::Sender<_>>>, outcome: Result<T, StateError>| {
            let reply = reply.lock().ok().and_then(|mut reply| reply.take());
            // A caller that has gone away wants no answer.
            reply.map(|reply| reply.send(outcome).ok());
        };
        let failure = reply.clone();
        let change = Change {
            durability,
            run: Box::new(move |connection| {
                let (done, reply) = (run(connection), reply.clone());
                Box::pin(async move {
                    let value = done.await?;
                    let reply: Reply = Box::new(move || send(&reply, Ok(value)));
                    Ok(reply)
                })
            }),
            fail: Box::new(move |error| send(&failure, Err(error))),
        };
        self.writer.send(change).await.map_err(|_| StateError::Closed)?;
        answer.await.map_err(|_| StateError::Closed)?
    }
}

implement_state!(SqliteState, is_exclusive: true);

/// Makes the file where there is none, which has accounts in it: SQLite would make it for all to read. Its files beside it get
/// the mode that it has.
fn make_private(file: &Path) -> std::io::Result<()> {
    private_files::options().create(true).truncate(false).write(true).open(file)?;
    if let Some(folder) = file.parent() {
        private_files::tell_open(folder, [file]);
    }
    Ok(())
}

/// Locks `<file>.lock`, which the kernel lets go of with the process however that ends. SQLite locks the file itself its own way.
fn lock(file: &Path) -> Result<std::fs::File, StateError> {
    let refused = |error| StateError::Unavailable(sqlx::Error::Io(error));
    let path = file.with_added_extension("lock");
    let lock = private_files::options().create(true).truncate(false).write(true).open(&path).map_err(refused)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => Err(StateError::InUse(file.display().to_string())),
        Err(std::fs::TryLockError::Error(error)) => Err(refused(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_it_makes_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let state = SqliteState::open(&folder.path().join("registry.db"), 1).await.unwrap();
        state.begin_change(&"team/app".parse().unwrap()).await.unwrap();
        let mut names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        assert!(names.len() >= 3, "the database, what is beside it, and the lock: {names:?}");
        assert!(names.iter().all(|path| !private_files::is_open(path)), "{names:?}");
    }
}
