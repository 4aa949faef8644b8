//! What nobody needs any more goes.

use sqlx::Row as _;

use super::super::super::Sweep;
use super::column::{signed, unsigned};
use super::{Connection, Result, layers};

/// A statement that drops what is from before a time, and at most so much, and which time.
type ByTime = (&'static str, fn(&Sweep) -> i64);

/// What goes by a time alone.
const BY_TIME: [ByTime; 5] = [
    ("DELETE FROM answers WHERE (caller, id) IN (SELECT caller, id FROM answers WHERE at < $1 ORDER BY at LIMIT $2)", |sweep| {
        sweep.answers_before
    }),
    (
        "DELETE FROM join_tokens WHERE hash IN (SELECT hash FROM join_tokens WHERE expires < $1 ORDER BY expires LIMIT $2)",
        |sweep| sweep.answers_before,
    ),
    ("DELETE FROM operations WHERE id IN (SELECT id FROM operations WHERE ended < $1 ORDER BY ended LIMIT $2)", |sweep| {
        sweep.operations_before
    }),
    (
        "DELETE FROM rollouts WHERE (workload, revision) IN (
             SELECT workload, revision FROM rollouts WHERE ended < $1
                 AND EXISTS (SELECT 1 FROM rollouts AS later WHERE later.workload = rollouts.workload AND later.revision > rollouts.revision)
             ORDER BY ended LIMIT $2)",
        |sweep| sweep.operations_before,
    ),
    ("DELETE FROM audit WHERE number IN (SELECT number FROM audit WHERE at < $1 ORDER BY at LIMIT $2)", |sweep| {
        sweep.audit_before
    }),
];

/// Drops it; how many rows.
pub async fn drop_all(connection: &mut Connection, sweep: &Sweep, unnamed: &layers::Unnamed) -> Result<u64> {
    let mut dropped = layers::drop_unnamed(connection, unnamed).await?;
    for (sql, before) in BY_TIME {
        let query = sqlx::query(sql).bind(before(sweep)).bind(i64::from(sweep.most));
        dropped += query.execute(&mut *connection).await?.rows_affected();
    }
    dropped += drop_audit(connection, sweep).await?;
    Ok(dropped + drop_events(connection, sweep).await?)
}

/// Drops the oldest lines of the audit log, as long as they are too many. Their numbers follow one another, but for what was never written.
async fn drop_audit(connection: &mut Connection, sweep: &Sweep) -> Result<u64> {
    let query = sqlx::query(
        "DELETE FROM audit WHERE number IN (
             SELECT number FROM audit WHERE number <= (SELECT MAX(number) FROM audit) - $1 ORDER BY number LIMIT $2)",
    );
    let query = query.bind(signed(sweep.audit_kept)).bind(i64::from(sweep.most));
    Ok(query.execute(&mut *connection).await?.rows_affected())
}

/// Drops events from the beginning on, as long as they are too old or too many.
async fn drop_events(connection: &mut Connection, sweep: &Sweep) -> Result<u64> {
    let head = sqlx::query("SELECT position, dropped FROM head").fetch_one(&mut *connection).await?;
    let (position, dropped) = (unsigned(&head, "position")?, unsigned(&head, "dropped")?);
    let too_many = position.saturating_sub(sweep.events_kept);
    let oldest = sqlx::query("SELECT position, at FROM events WHERE position > $1 ORDER BY position LIMIT $2")
        .bind(signed(dropped))
        .bind(i64::from(sweep.most))
        .fetch_all(&mut *connection)
        .await?;
    let mut last = dropped;
    for row in &oldest {
        let position = unsigned(row, "position")?;
        if position > too_many && row.try_get::<i64, _>("at")? >= sweep.events_before {
            break;
        }
        last = position;
    }
    if last == dropped {
        return Ok(0);
    }
    let gone = sqlx::query("DELETE FROM events WHERE position <= $1").bind(signed(last)).execute(&mut *connection).await?;
    // Another may have gone further meanwhile.
    sqlx::query("UPDATE head SET dropped = $1 WHERE dropped < $1").bind(signed(last)).execute(&mut *connection).await?;
    Ok(gone.rows_affected())
}
