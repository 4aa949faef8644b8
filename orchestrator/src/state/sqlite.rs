//! SQLite: one file, one process, for an orchestrator on one machine.
//!
//! Readers have connections of their own and see the last commit. There is one connection that changes anything, and whoever wants to
//! waits for it. A commit returns when the disk has it (`synchronous = FULL`): a leader's batch is one, however much is in it.

#[path = "statements/mod.rs"]
#[allow(clippy::duplicate_mod, reason = "the statements are compiled once for each database")]
mod statements;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    str::FromStr as _,
    time::Duration,
};

use jiff::Timestamp;
use longshore_fleet::{Image, Name, NodeId, NodeName, OperationId, PodId, WorkloadId, WorkloadKind, api::Event};
use longshore_service::private_files;
use sqlx::{
    ConnectOptions as _, Connection as _,
    pool::PoolConnection,
    sqlite::{
        SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
        SqliteTransaction,
    },
};
use uuid::Uuid;

use super::backend::{ATTEMPTS, implement_state, read, write};
use super::{
    Act, Acted, Answer, AuditLine, Batch, EventPage, JoinTokenRow, LayerRow, Lease, LeaseWish, NamespaceRow, NodeRow,
    OperationKey, OperationRow, PodFilter, PodRow, RevisionRow, RolloutRow, Slice, StateError, Sweep, WorkloadFilter,
    WorkloadRow,
};

/// The database that the statements are compiled for.
pub type Db = sqlx::Sqlite;
/// What a `SELECT` ends with that keeps its rows as they are until the transaction ends. With one writer they are anyway.
const FOR_KEY_SHARE: &str = "";
/// The same.
const FOR_UPDATE: &str = "";
/// The texts of a JSON array that is the first value.
const EACH_TEXT: &str = "(SELECT value FROM json_each($1))";
/// The numbers of a JSON array that is the first value.
const EACH_NUMBER: &str = EACH_TEXT;

/// Writes the place of a value of a statement over many rows. A place with a name is looked up among all others, each time that its value
/// is bound: for thousands of them that would take longer than what the statement does.
fn push_place(sql: &mut String, _number: usize) {
    sql.push('?');
}

/// How many rows of an answer may wait for who reads them, so that the database's thread does not wait after every few.
const ROWS_AHEAD: usize = 1000;
/// How much of the file the one writer keeps in memory: pragma `cache_size`, in KiB where it is negative.
const WRITER_CACHE: &str = "-65536";
/// How long a change waits for those before it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The database's clock: with one process, that process's.
async fn now(_: &mut SqliteConnection) -> Result<i64, StateError> {
    Ok(Timestamp::now().as_microsecond())
}

/// The state in an SQLite file.
pub struct SqliteState {
    readers: SqlitePool,
    /// Of one connection.
    writer: SqlitePool,
    /// Held, not read: two processes on a file would each take the lead for its own.
    _lock: std::fs::File,
}

impl SqliteState {
    /// Opens the file, makes it where there is none, and brings it to this program's schema. Whoever led goes with the last process.
    pub async fn open(file: &Path, readers: u32) -> Result<Self, StateError> {
        let lock = lock(file)?;
        make_private(file).map_err(sqlx::Error::Io)?;
        let options = SqliteConnectOptions::from_str("sqlite:")?
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5))
            .statement_cache_capacity(256)
            .row_buffer_size(ROWS_AHEAD)
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new().acquire_timeout(PATIENCE).idle_timeout(None).max_lifetime(None);
        let pool = pool.test_before_acquire(false);
        let writer = pool.clone().max_connections(1).connect_with(options.clone().pragma("cache_size", WRITER_CACHE)).await?;
        let mut connection = writer.acquire().await?;
        super::migrations::sqlite().run_direct(None, &mut *connection, false).await?;
        sqlx::query("UPDATE lease SET holder = NULL WHERE holder IS NOT NULL").execute(&mut *connection).await?;
        drop(connection);
        let readers = pool.max_connections(readers).connect_with(options.read_only(true).create_if_missing(false)).await?;
        Ok(Self { readers, writer, _lock: lock })
    }

    fn count_connections(&self) -> (u32, usize) {
        (self.readers.size() + self.writer.size(), self.readers.num_idle() + self.writer.num_idle())
    }

    async fn reader(&self) -> Result<PoolConnection<Db>, StateError> {
        Ok(self.readers.acquire().await?)
    }

    async fn writer(&self) -> Result<PoolConnection<Db>, StateError> {
        Ok(self.writer.acquire().await?)
    }

    async fn begin(connection: &mut SqliteConnection) -> Result<SqliteTransaction<'_>, StateError> {
        Ok(connection.begin_with("BEGIN IMMEDIATE").await?)
    }
}

implement_state!(SqliteState);

/// Makes the file where there is none: SQLite would make it for all to read. Its files beside it get the mode that it has.
fn make_private(file: &Path) -> std::io::Result<()> {
    private_files::options().create(true).truncate(false).write(true).open(file)?;
    if let Some(folder) = file.parent() {
        private_files::tell_open(folder, [file]);
    }
    Ok(())
}

/// Locks `<file>.lock`, which the kernel lets go of with the process however that ends. SQLite locks the file itself its own way.
fn lock(file: &Path) -> Result<std::fs::File, StateError> {
    let path = file.with_added_extension("lock");
    let lock = private_files::options().create(true).truncate(false).write(true).open(&path).map_err(sqlx::Error::Io)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => Err(StateError::InUse(file.display().to_string())),
        Err(std::fs::TryLockError::Error(error)) => Err(sqlx::Error::Io(error).into()),
    }
}
