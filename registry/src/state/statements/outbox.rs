//! The outbox in an order for those who follow it.
//!
//! On PostgreSQL a transaction may commit after one whose events have greater ids. So an event gets its position after its commit: from
//! whoever changes the head first, in a transaction, and is alone with it until that ends. What is committed later gets a later position,
//! and none that was told is ever followed by a smaller one. It costs a second write of each event, and so is done while somebody follows.

use longshore_oci::Change;
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use super::super::super::{OutboxEvent, OutboxHead};
use super::{Connection, Result, Row, places, signed, timestamp, unsigned};

/// Where it stands, and whether something waits for its position. What is played back in a rebuilding is no news.
pub async fn head(connection: &mut Connection) -> Result<(OutboxHead, bool)> {
    let row = sqlx::query(
        "SELECT epoch, position, dropped, CASE WHEN EXISTS (SELECT 1 FROM events WHERE position IS NULL)
             AND NOT EXISTS (SELECT 1 FROM rebuilding) THEN 1 ELSE 0 END AS waiting FROM outbox_head",
    )
    .fetch_one(&mut *connection)
    .await?;
    let waiting: i32 = row.try_get("waiting")?;
    Ok((read_head(&row)?, waiting != 0))
}

fn read_head(row: &Row) -> Result<OutboxHead> {
    Ok(OutboxHead { epoch: row.try_get("epoch")?, position: unsigned(row, "position")?, dropped: unsigned(row, "dropped")? })
}

/// Gives what waits its positions, at most so much; where it stands then, and how much that was.
pub async fn order(connection: &mut Connection, limit: u32) -> Result<(OutboxHead, u64)> {
    let mut head = lock(connection).await?;
    let ordered = sqlx::query(
        "UPDATE events SET position = $1 + fresh.place
         FROM (SELECT id, ROW_NUMBER() OVER (ORDER BY id) AS place
               FROM (SELECT id FROM events WHERE position IS NULL AND NOT EXISTS (SELECT 1 FROM rebuilding)
                     ORDER BY id LIMIT $2) AS oldest) AS fresh
         WHERE events.id = fresh.id",
    )
    .bind(signed(head.position))
    .bind(i64::from(limit))
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if ordered > 0 {
        head.position += ordered;
        sqlx::query("UPDATE outbox_head SET position = $1").bind(signed(head.position)).execute(&mut *connection).await?;
    }
    Ok((head, ordered))
}

/// Is alone with the positions until the transaction ends.
async fn lock(connection: &mut Connection) -> Result<OutboxHead> {
    let sql = "UPDATE outbox_head SET position = position RETURNING epoch, position, dropped";
    read_head(&sqlx::query(sql).fetch_one(&mut *connection).await?)
}

/// The changes after a position up to another, and where all stands: read after them, so that it tells of what was dropped meanwhile.
pub async fn page(connection: &mut Connection, after: u64, upto: u64) -> Result<(OutboxHead, Vec<OutboxEvent>)> {
    let sql = format!(
        "SELECT position, kind, repository, digest, tag, happened_at FROM events
         WHERE position > $1 AND position <= $2 AND kind IN ({}) ORDER BY position",
        places(3, Change::KINDS.len())
    );
    let mut query = sqlx::query(AssertSqlSafe(sql)).bind(signed(after)).bind(signed(upto));
    for kind in Change::KINDS {
        query = query.bind(kind);
    }
    let rows = query.fetch_all(&mut *connection).await?;
    let read = |row: &Row| {
        Ok(OutboxEvent {
            position: unsigned(row, "position")?,
            kind: row.try_get("kind")?,
            repository: row.try_get("repository")?,
            digest: row.try_get("digest")?,
            tag: row.try_get("tag")?,
            happened_at: timestamp(row, "happened_at")?,
        })
    };
    let events = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
    Ok((head(connection).await?.0, events))
}

/// Drops events; how many. Whoever has not been told of one of them can see that by the head.
pub async fn drop_events(connection: &mut Connection, ids: &[i64]) -> Result<u64> {
    if ids.is_empty() {
        return Ok(0);
    }
    let head = lock(connection).await?;
    let sql = format!("DELETE FROM events WHERE id IN ({}) RETURNING position", places(1, ids.len()));
    let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
    for id in ids {
        query = query.bind(*id);
    }
    let gone = query.fetch_all(&mut *connection).await?;
    let mut dropped = head.dropped;
    let mut position = head.position;
    for row in &gone {
        if let Some(position) = row.try_get::<Option<i64>, _>("position")?.and_then(|position| u64::try_from(position).ok()) {
            dropped = dropped.max(position);
        } else {
            // Nobody has been told of it, and nobody will be: all who follow have missed it.
            (position, dropped) = (head.position + 1, head.position + 1);
        }
    }
    sqlx::query("UPDATE outbox_head SET position = $1, dropped = $2")
        .bind(signed(position))
        .bind(signed(dropped))
        .execute(&mut *connection)
        .await?;
    Ok(gone.len() as u64)
}

/// Ends the present life of the database: whoever followed it begins anew.
pub async fn renew(connection: &mut Connection) -> Result<()> {
    sqlx::query("UPDATE outbox_head SET epoch = $1, position = 0, dropped = 0")
        .bind(Uuid::new_v4().simple().to_string())
        .execute(&mut *connection)
        .await?;
    Ok(())
}
