//! SQLite: one file, one writer, for a registry on one machine.
//!
//! Readers have connections of their own and see the last commit. Every change goes through one task, which takes what is waiting
//! and commits it together: one `fsync` for as many changes as came while the last was under way. Each change has a savepoint of its
//! own, so that one which fails takes no other with it.

#[path = "statements/mod.rs"]
#[allow(clippy::duplicate_mod, reason = "the statements are compiled once for each database")]
mod statements;

use std::{
    path::Path,
    str::FromStr as _,
    sync::atomic::{AtomicU64, Ordering},
};

use futures_util::{FutureExt as _, future::BoxFuture};
use jiff::Timestamp;
use longshore_oci::{Digest, Reference, RepositoryName, Tag};
use sqlx::{
    ConnectOptions as _,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::backend::{Durability, READ_ATTEMPTS, implement_state, read, write};
use super::{
    BlobCommit, BlobDeletion, Cancelled, Checkpoint, Claim, ClaimWish, DeleteManifest, Garbage, ImageDetail, ImageFilter,
    ImageSummary, NewUpload, PutManifest, Referrer, RestoredBlob, RestoredRecord, StateError, StoredBlob, StoredManifest,
    UploadStatus,
};

/// The database that the statements are compiled for.
pub type Db = sqlx::Sqlite;

/// How many changes may wait for the writer.
const QUEUE_LENGTH: usize = 1024;
/// How many changes are committed together at most.
const GROUP_LENGTH: usize = 128;

/// The state in an SQLite file.
pub struct SqliteState {
    readers: SqlitePool,
    writer: mpsc::Sender<Change>,
    last_revision: AtomicU64,
    /// Held, not read: a second process on the file would trust a memory that this one makes false.
    _lock: std::fs::File,
}

/// What a change does to the database.
type Run = Box<dyn for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<Reply, StateError>> + Send>;

/// A change on its way to the writer.
struct Change {
    durability: Durability,
    run: Run,
    fail: Box<dyn FnOnce(StateError) + Send>,
}

/// Tells the caller of its success, once that is committed.
type Reply = Box<dyn FnOnce() + Send>;

impl SqliteState {
    /// Opens the file, makes it where there is none, and brings it to this program's schema.
    pub async fn open(file: &Path, max_connections: u32) -> Result<Self, StateError> {
        let lock = lock(file)?;
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
        sqlx::query("UPDATE uploads SET claim = NULL").execute(&mut connection).await?;
        let row = sqlx::query("SELECT COALESCE(MAX(revision), 0) AS revision FROM records").fetch_one(&mut connection).await?;
        let last_revision = AtomicU64::new(statements::unsigned(&row, "revision")?);
        let readers = SqlitePoolOptions::new().max_connections(max_connections).test_before_acquire(false);
        let readers = readers.connect_with(options.read_only(true).create_if_missing(false)).await?;
        let (writer, changes) = mpsc::channel(QUEUE_LENGTH);
        tokio::spawn(write_all(connection, changes));
        Ok(Self { readers, writer, last_revision, _lock: lock })
    }

    fn pool(&self) -> &SqlitePool {
        &self.readers
    }

    async fn reader(&self) -> Result<PoolConnection<Db>, StateError> {
        Ok(self.readers.acquire().await?)
    }

    /// The clock, pushed on where it stands still or goes back: greater than every revision before, those of a former life included.
    #[expect(clippy::unused_async, reason = "the other database has to be asked")]
    async fn next_revision(&self) -> Result<u64, StateError> {
        let now = u64::try_from(Timestamp::now().as_microsecond()).unwrap_or_default();
        let next = |last: u64| now.max(last + 1);
        let last = self.last_revision.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| Some(next(last)));
        Ok(last.map_or_else(next, next))
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
                let done = run(connection);
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

/// Locks `<file>.lock`, which the kernel lets go of with the process however that ends. SQLite locks the file itself its own way.
fn lock(file: &Path) -> Result<std::fs::File, StateError> {
    let refused = |error| StateError::Unavailable(sqlx::Error::Io(error));
    let path = file.with_added_extension("lock");
    let lock = std::fs::File::options().create(true).truncate(false).write(true).open(&path).map_err(refused)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => Err(StateError::InUse(file.display().to_string())),
        Err(std::fs::TryLockError::Error(error)) => Err(refused(error)),
    }
}

/// The one task that changes the database.
async fn write_all(mut connection: SqliteConnection, mut changes: mpsc::Receiver<Change>) {
    let mut group = Vec::with_capacity(GROUP_LENGTH);
    let mut synced = Durability::Passing;
    while changes.recv_many(&mut group, GROUP_LENGTH).await > 0 {
        let durability = group.iter().map(|change| change.durability).max().unwrap_or(Durability::Passing);
        write_group(&mut connection, &mut synced, durability, &mut group).await;
    }
}

async fn write_group(
    connection: &mut SqliteConnection,
    synced: &mut Durability,
    durability: Durability,
    group: &mut Vec<Change>,
) {
    if durability == Durability::Light && group.len() == 1 {
        return write_alone(connection, synced, group).await;
    }
    let begun = begin(connection, synced, durability).await;
    let mut done = Vec::with_capacity(group.len());
    let is_alone = group.len() == 1;
    for Change { durability, run, fail } in group.drain(..) {
        if let Err(error) = &begun {
            fail(again(error));
            continue;
        }
        // A change alone in its transaction goes with it where it fails, and one statement undoes itself.
        let needs_savepoint = !is_alone && durability != Durability::Light;
        match apply(connection, needs_savepoint, run).await {
            Ok(reply) => done.push((reply, fail)),
            Err(error) => fail(error),
        }
    }
    if begun.is_err() {
        return;
    }
    let ended = if done.is_empty() { "ROLLBACK" } else { "COMMIT" };
    let outcome = sqlx::query(ended).execute(&mut *connection).await.map_err(StateError::from);
    for (reply, fail) in done {
        match &outcome {
            Ok(_) => reply(),
            Err(error) => fail(again(error)),
        }
    }
    if outcome.is_err() {
        // Leaves the connection ready for the next group; where there is no transaction to end, that is as good.
        sqlx::query("ROLLBACK").execute(&mut *connection).await.ok();
    }
}

/// One statement, which commits itself.
async fn write_alone(connection: &mut SqliteConnection, synced: &mut Durability, group: &mut Vec<Change>) {
    for Change { run, fail, .. } in group.drain(..) {
        let applied = match synchronize(connection, synced, Durability::Light).await {
            Ok(()) => run_whole(connection, run).await,
            Err(error) => Err(error),
        };
        match applied {
            Ok(reply) => reply(),
            Err(error) => fail(error),
        }
    }
}

async fn begin(connection: &mut SqliteConnection, synced: &mut Durability, durability: Durability) -> Result<(), StateError> {
    synchronize(connection, synced, durability).await?;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    Ok(())
}

/// Has commits reach the disk, or not, from here on.
async fn synchronize(
    connection: &mut SqliteConnection,
    synced: &mut Durability,
    durability: Durability,
) -> Result<(), StateError> {
    let is_durable = durability == Durability::Durable;
    if (*synced == Durability::Durable) != is_durable {
        let pragma = if is_durable { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" };
        sqlx::query(pragma).execute(&mut *connection).await?;
        *synced = durability;
    }
    Ok(())
}

async fn apply(connection: &mut SqliteConnection, needs_savepoint: bool, run: Run) -> Result<Reply, StateError> {
    if !needs_savepoint {
        return run_whole(connection, run).await;
    }
    sqlx::query("SAVEPOINT change").execute(&mut *connection).await?;
    let outcome = run_whole(connection, run).await;
    if outcome.is_err() {
        sqlx::query("ROLLBACK TO change").execute(&mut *connection).await?;
    }
    sqlx::query("RELEASE change").execute(&mut *connection).await?;
    outcome
}

/// Runs a change. One that panics fails alone: the writer is everybody's, and must go on.
async fn run_whole(connection: &mut SqliteConnection, run: Run) -> Result<Reply, StateError> {
    let ran = std::panic::AssertUnwindSafe(async { run(connection).await }).catch_unwind().await;
    ran.unwrap_or_else(|_| Err(StateError::Refused(sqlx::Error::Protocol("a change panicked".to_owned()))))
}

/// The same failure, for one more of those it hit.
fn again(error: &StateError) -> StateError {
    StateError::Unavailable(sqlx::Error::Protocol(error_chain(error)))
}

fn error_chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", error_chain(source)),
        None => error.to_string(),
    }
}
