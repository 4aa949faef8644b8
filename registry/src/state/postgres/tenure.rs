//! Who may use a database at the same time: any number of registries, or one rebuilding and nobody else.
//!
//! Each holds an advisory lock on a connection of its own, shared or exclusive, which the server lets go of with the connection. One
//! that loses it takes it again as soon as it can, and changes nothing meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, Connection as _, Row as _,
    postgres::{PgConnectOptions, PgConnection},
};
use tokio::task::JoinHandle;

use super::super::StateError;

/// How often the connection that holds the lock is tried.
const PROBE_PERIOD: Duration = Duration::from_secs(2);
/// How long the server may take to answer about it.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);
/// Tells our locks from those of other programs.
const LOCK_CLASS: i32 = 0x4c6f_6e67;

/// What a database is opened for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tenancy {
    /// To serve from it, beside others.
    Shared,
    /// To empty and to fill it, alone.
    Sole,
}

/// A lock that is held, and the task that holds on to it.
pub struct Tenure {
    is_held: Arc<AtomicBool>,
    keeper: JoinHandle<()>,
}

impl Tenure {
    /// Takes the lock; refused while others hold one that does not go with it.
    pub async fn take(options: PgConnectOptions, tenancy: Tenancy) -> Result<Self, StateError> {
        let connection = lock(&options, tenancy).await?.ok_or(match tenancy {
            Tenancy::Shared => StateError::Rebuilding,
            Tenancy::Sole => StateError::InUse("the database".to_owned()),
        })?;
        let is_held = Arc::new(AtomicBool::new(true));
        let keeper = tokio::spawn(keep(connection, options, tenancy, is_held.clone()));
        Ok(Self { is_held, keeper })
    }

    /// Refuses where the lock is lost.
    pub fn require(&self) -> Result<(), StateError> {
        if self.is_held.load(Ordering::SeqCst) { Ok(()) } else { Err(StateError::Rebuilding) }
    }
}

impl Drop for Tenure {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// A connection that holds the lock; `None` where others are in the way.
async fn lock(options: &PgConnectOptions, tenancy: Tenancy) -> Result<Option<PgConnection>, StateError> {
    let mut connection = options.connect().await?;
    let sql = match tenancy {
        Tenancy::Shared => "SELECT pg_try_advisory_lock_shared($1, hashtext(current_schema())) AS is_taken",
        Tenancy::Sole => "SELECT pg_try_advisory_lock($1, hashtext(current_schema())) AS is_taken",
    };
    let row = sqlx::query(sql).bind(LOCK_CLASS).fetch_one(&mut connection).await?;
    Ok(row.try_get::<bool, _>("is_taken")?.then_some(connection))
}

async fn keep(mut connection: PgConnection, options: PgConnectOptions, tenancy: Tenancy, is_held: Arc<AtomicBool>) {
    loop {
        tokio::time::sleep(PROBE_PERIOD).await;
        if let Ok(Ok(())) = tokio::time::timeout(PROBE_TIMEOUT, connection.ping()).await {
            continue;
        }
        is_held.store(false, Ordering::SeqCst);
        tracing::warn!("the connection that holds the lock on the database broke; nothing is changed until it is held again");
        connection = loop {
            match tokio::time::timeout(PROBE_TIMEOUT, lock(&options, tenancy)).await {
                Ok(Ok(Some(mut connection))) => match is_half_rebuilt(&mut connection).await {
                    Ok(false) => break connection,
                    Ok(true) => tracing::warn!("a rebuilding was broken off; nothing is changed until it was run again"),
                    Err(error) => tracing::debug!(%error, "the database could not be asked whether it is whole"),
                },
                Ok(Ok(None)) => tracing::warn!("the database is being rebuilt; nothing is changed until that is done"),
                Ok(Err(error)) => tracing::debug!(%error, "the lock on the database could not be taken"),
                Err(_) => tracing::debug!("the database did not answer when asked for the lock"),
            }
            tokio::time::sleep(PROBE_PERIOD).await;
        };
        is_held.store(true, Ordering::SeqCst);
    }
}

/// Whether a rebuilding began that has not ended. Nobody is at it, since the lock is held here.
async fn is_half_rebuilt(connection: &mut PgConnection) -> Result<bool, StateError> {
    let row = sqlx::query("SELECT EXISTS (SELECT 1 FROM rebuilding) AS is_begun").fetch_one(connection).await?;
    Ok(row.try_get("is_begun")?)
}
