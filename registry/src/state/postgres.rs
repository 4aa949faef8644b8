//! PostgreSQL (13 and later): for registries of several replicas.
//!
//! Transactions are READ COMMITTED; what must not happen at once is kept apart by keys, foreign keys and conditions in the statements
//! themselves. A transaction that met another is run again.

#[path = "statements/mod.rs"]
#[allow(clippy::duplicate_mod, reason = "the statements are compiled once for each database")]
mod statements;
mod tenure;

use std::{str::FromStr as _, time::Duration};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use longshore_oci::{AuditHead, AuditLine, Digest, Reference, RepositoryName, Tag};
use sqlx::{
    ConnectOptions as _, Connection as _,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions},
};
use uuid::Uuid;

pub use tenure::Tenancy;
use tenure::Tenure;

use super::backend::{Durability, READ_ATTEMPTS, implement_state, read, write};
use super::{
    AccountChange, AuditFilter, BlobCommit, Cancelled, Checkpoint, Claim, ClaimWish, DeleteBlob, DeleteManifest, Deletion,
    EvidenceIndex, Expected, FinishUpload, Finished, Garbage, ImageDetail, ImageFilter, ImageSummary, Made, NewAccount,
    NewUpload, NotedBatch, OutboxEvent, OutboxHead, Put, PutIssuer, PutManifest, Referrer, RestoredBlob, RestoredRecord, Sharing,
    StateError, StoredAccount, StoredBlob, StoredDocument, StoredIssuer, StoredKey, StoredManifest, StoredRole, UploadStatus,
};
use crate::storage::ObjectKey;

/// The database that the statements are compiled for.
pub type Db = sqlx::Postgres;
/// What a `SELECT` ends with that keeps its rows as they are until the transaction ends.
const FOR_SHARE: &str = " FOR SHARE";
/// As [`FOR_SHARE`], and keeps them from being read so by others.
const FOR_UPDATE: &str = " FOR UPDATE";

/// Statements that are run one after the other, with the same values.
fn script(statements: &[&str]) -> Vec<String> {
    statements.iter().map(ToString::to_string).collect()
}

/// How often a transaction that met another, or lost its connection before it was to commit, is tried.
const WRITE_ATTEMPTS: u32 = 20;

/// The state in a PostgreSQL database.
pub struct PostgresState {
    pool: PgPool,
    tenure: Tenure,
}

impl PostgresState {
    /// Connects, and brings the database to this program's schema; replicas that start together wait for each other.
    pub async fn connect(
        url: &str,
        tenancy: Tenancy,
        max_connections: u32,
        acquire_timeout: Duration,
    ) -> Result<Self, StateError> {
        let options = PgConnectOptions::from_str(url)?.disable_statement_logging();
        let tenure = Tenure::take(options.clone(), tenancy).await?;
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(acquire_timeout)
            .test_before_acquire(false)
            .connect_with(options)
            .await?;
        super::migrations::postgres().run(&pool).await?;
        Ok(Self { pool, tenure })
    }

    /// Refuses while somebody else may be rebuilding the database.
    fn require(&self) -> Result<(), StateError> {
        self.tenure.require()
    }

    fn pool(&self) -> &PgPool {
        &self.pool
    }

    async fn reader(&self) -> Result<PoolConnection<Db>, StateError> {
        Ok(self.pool.acquire().await?)
    }

    /// One statement, which commits itself. Run again where its answer got lost, it leaves a change behind that is never ended.
    async fn begin_change(&self, repository: &RepositoryName) -> Result<u64, StateError> {
        self.require()?;
        let now = Timestamp::now().as_microsecond();
        let row = read!(self, |connection| async move {
            let sql = "INSERT INTO pending_changes (revision, repository, begun_at) VALUES (nextval('revisions'), $1, $2)
                 RETURNING revision";
            Ok(sqlx::query(sql).bind(repository.as_str()).bind(now).fetch_one(&mut *connection).await?)
        })?;
        statements::unsigned(&row, "revision")
    }

    async fn resume_revisions(&self, highest: u64) -> Result<(), StateError> {
        let mut connection = self.reader().await?;
        sqlx::query("SELECT setval('revisions', GREATEST($1, (SELECT last_value FROM revisions)))")
            .bind(statements::signed(highest.max(1)))
            .execute(&mut *connection)
            .await?;
        Ok(())
    }

    async fn write<T, F>(&self, _: Durability, run: F) -> Result<T, StateError>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, Result<T, StateError>> + Send + Sync + 'static,
    {
        let mut attempts_left = WRITE_ATTEMPTS;
        self.require()?;
        loop {
            attempts_left -= 1;
            match self.attempt(&run).await {
                Attempt::Done(outcome) => return outcome,
                Attempt::Undone(error) if attempts_left == 0 => return Err(error),
                Attempt::Undone(_) => {}
            }
        }
    }

    async fn attempt<T, F>(&self, run: &F) -> Attempt<T>
    where
        F: for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, Result<T, StateError>>,
    {
        let is_broken =
            |error: &StateError| matches!(error, StateError::Unavailable(sqlx::Error::Io(_) | sqlx::Error::Protocol(_)));
        let mut connection = match self.reader().await {
            Ok(connection) => connection,
            Err(error) => return Attempt::Done(Err(error)),
        };
        let mut transaction = match connection.begin().await.map_err(StateError::from) {
            Ok(transaction) => transaction,
            Err(error) if is_broken(&error) => return Attempt::Undone(error),
            Err(error) => return Attempt::Done(Err(error)),
        };
        let value = match run(&mut transaction).await {
            Ok(value) => value,
            // Not committed, so not done: trying again can't do it twice.
            Err(error) if error.is_conflict() || is_broken(&error) => return Attempt::Undone(error),
            Err(error) => return Attempt::Done(Err(error)),
        };
        match transaction.commit().await.map_err(StateError::from) {
            Ok(()) => Attempt::Done(Ok(value)),
            Err(error) if error.is_conflict() => Attempt::Undone(error),
            Err(error) => Attempt::Done(Err(error)),
        }
    }
}

/// What came of one try of a transaction.
enum Attempt<T> {
    /// It is decided, for better or worse.
    Done(Result<T, StateError>),
    /// Nothing was done.
    Undone(StateError),
}

implement_state!(PostgresState, is_exclusive: false);
