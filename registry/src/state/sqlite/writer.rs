//! The one task that changes the database.

use futures_util::{FutureExt as _, future::BoxFuture};
use sqlx::sqlite::SqliteConnection;
use tokio::sync::mpsc;

use super::{
    super::{StateError, backend::Durability},
    syncer::Syncer,
};

/// How many changes are committed together at most.
const GROUP_LENGTH: usize = 128;

/// A change on its way to the writer.
pub struct Change {
    /// What it must survive when it is acknowledged.
    pub durability: Durability,
    /// What it does to the database; done again where another of its group failed.
    pub run: Run,
    /// Tells the caller that it was not done.
    pub fail: Fail,
}

/// What a change does to the database.
pub type Run = Box<dyn for<'c> Fn(&'c mut SqliteConnection) -> BoxFuture<'c, Result<Reply, StateError>> + Send + Sync>;
/// Tells a caller of its success, once that is committed and as durable as it must be.
pub type Reply = Box<dyn FnOnce() + Send>;
/// Tells a caller of a failure.
pub type Fail = Box<dyn FnOnce(StateError) + Send + Sync>;

/// Makes changes until nobody is left who could send one.
pub async fn write_all(mut connection: SqliteConnection, mut changes: mpsc::Receiver<Change>, syncer: Syncer) {
    let mut waiting = Vec::with_capacity(GROUP_LENGTH);
    while changes.recv_many(&mut waiting, GROUP_LENGTH).await > 0 {
        let mut groups = vec![std::mem::take(&mut waiting)];
        while let Some(group) = groups.pop() {
            let Err((mut failed, error)) = write_group(&mut connection, &syncer, group).await else { continue };
            if failed.len() > 1 {
                // By halves, in their order, down to the one that fails, which then fails alone.
                let later = failed.split_off(failed.len() / 2);
                groups.extend([later, failed]);
            } else if let Some(change) = failed.pop() {
                (change.fail)(error);
            }
        }
    }
}

/// Makes changes in one transaction, or hands all of them back, with nothing done.
async fn write_group(
    connection: &mut SqliteConnection,
    syncer: &Syncer,
    group: Vec<Change>,
) -> Result<(), (Vec<Change>, StateError)> {
    let replies = match apply(connection, syncer, &group).await {
        Ok(replies) => replies,
        Err(error) => return Err((group, error)),
    };
    for (change, reply) in group.into_iter().zip(replies) {
        match change.durability {
            Durability::Durable => syncer.reply_when_synced(reply, change.fail).await,
            Durability::Light | Durability::Passing => reply(),
        }
    }
    Ok(())
}

async fn apply(connection: &mut SqliteConnection, syncer: &Syncer, group: &[Change]) -> Result<Vec<Reply>, StateError> {
    syncer.require()?;
    if let [Change { durability: Durability::Light, run, .. }] = group {
        // One statement, which commits itself.
        return Ok(vec![run_whole(connection, run).await?]);
    }
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    let applied = async {
        let mut replies = Vec::with_capacity(group.len());
        for change in group {
            replies.push(run_whole(connection, &change.run).await?);
        }
        sqlx::query("COMMIT").execute(&mut *connection).await?;
        Ok(replies)
    };
    let applied = applied.await;
    if applied.is_err() {
        // Leaves the connection ready for the next; where the transaction is over already, that is as good.
        sqlx::query("ROLLBACK").execute(&mut *connection).await.ok();
    }
    applied
}

/// Runs a change. One that panics fails alone: the writer is everybody's, and must go on.
async fn run_whole(connection: &mut SqliteConnection, run: &Run) -> Result<Reply, StateError> {
    let ran = std::panic::AssertUnwindSafe(async { run(connection).await }).catch_unwind().await;
    ran.unwrap_or_else(|_| Err(StateError::Refused(sqlx::Error::Protocol("a change panicked".to_owned()))))
}
