//! PostgreSQL (13 and later): for orchestrators of several replicas.
//!
//! Transactions are READ COMMITTED; what must not happen at once is kept apart by keys, rows that are locked, and conditions in the
//! statements themselves. A transaction that met another is run again. One whose process stands still between its statements is ended by
//! the server, so that a leader that was stopped does not keep the next from taking over.

#[path = "statements/mod.rs"]
#[allow(clippy::duplicate_mod, reason = "the statements are compiled once for each database")]
mod statements;

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr as _,
    time::Duration,
};

use longshore_fleet::{Image, Name, NodeId, NodeName, OperationId, PodId, WorkloadId, WorkloadKind, api::Event};
use sqlx::{
    ConnectOptions as _, Connection as _,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgTransaction},
};
use uuid::Uuid;

use super::backend::{ATTEMPTS, implement_state, read, write};
use super::{
    Act, Acted, Answer, AuditLine, Batch, EventPage, JoinTokenRow, LayerRow, Lease, LeaseWish, NamespaceRow, NodeRow,
    OperationKey, OperationRow, PodFilter, PodRow, RevisionRow, RolloutRow, Slice, StateError, Sweep, WorkloadFilter,
    WorkloadRow,
};

/// The database that the statements are compiled for.
pub type Db = sqlx::Postgres;
/// What a `SELECT` ends with that keeps its rows from those who read them with [`FOR_UPDATE`], until the transaction ends.
const FOR_KEY_SHARE: &str = " FOR KEY SHARE";
/// What a `SELECT` ends with that keeps its rows from all who would change them, or read them with [`FOR_KEY_SHARE`].
const FOR_UPDATE: &str = " FOR UPDATE";
/// The texts of a JSON array that is the first value.
const EACH_TEXT: &str = "(SELECT json_array_elements_text(CAST($1 AS JSON)))";
/// The numbers of a JSON array that is the first value.
const EACH_NUMBER: &str = "(SELECT CAST(json_array_elements_text(CAST($1 AS JSON)) AS BIGINT))";

/// Writes the place of a value of a statement over many rows.
fn push_place(sql: &mut String, number: usize) {
    sql.push('$');
    sql.push_str(&number.to_string());
}

/// What the server bounds: how long a transaction may stand still before its locks are taken from it, and how long a statement may take.
const BOUNDS: [(&str, &str); 2] = [("idle_in_transaction_session_timeout", "5s"), ("statement_timeout", "60s")];
/// How long a call waits for a connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// The database's clock, whatever a transaction has waited for before.
async fn now(connection: &mut PgConnection) -> Result<i64, StateError> {
    let sql = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)";
    Ok(sqlx::query_scalar(sql).fetch_one(connection).await?)
}

/// The state in a PostgreSQL database.
pub struct PostgresState {
    pool: PgPool,
}

impl PostgresState {
    /// Connects, and brings the database to this program's schema; replicas that start together wait for each other.
    pub async fn connect(url: &str, most_connections: u32) -> Result<Self, StateError> {
        let options = PgConnectOptions::from_str(url)?.disable_statement_logging().statement_cache_capacity(256);
        let mut connection = options.connect().await?;
        // Without the bounds: a step over many rows takes as long as it takes.
        super::migrations::postgres().run(&mut connection).await?;
        connection.close().await?;
        let pool = PgPoolOptions::new().max_connections(most_connections).acquire_timeout(PATIENCE).test_before_acquire(false);
        Ok(Self { pool: pool.connect_with(options.options(BOUNDS)).await? })
    }

    fn count_connections(&self) -> (u32, usize) {
        (self.pool.size(), self.pool.num_idle())
    }

    async fn reader(&self) -> Result<PoolConnection<Db>, StateError> {
        Ok(self.pool.acquire().await?)
    }

    async fn writer(&self) -> Result<PoolConnection<Db>, StateError> {
        self.reader().await
    }

    async fn begin(connection: &mut PgConnection) -> Result<PgTransaction<'_>, StateError> {
        Ok(connection.begin().await?)
    }
}

implement_state!(PostgresState);
