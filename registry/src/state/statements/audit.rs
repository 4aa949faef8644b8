//! The audit log: what of the outbox is put into a chain, one line after the other, and never changed.
//!
//! Whoever changes the head first in a transaction is alone with the chain until that ends. An event says itself that it waits for its
//! line, since one with a smaller id may be committed later.

use jiff::{SignedDuration, Timestamp};
use longshore_oci::{AuditHead, AuditLine};
use sqlx::{AssertSqlSafe, Row as _};

use super::super::super::{AuditFilter, Author, NotedBatch, audit::Entry};
use super::{Connection, Result, Row, places, rows, signed, timestamp, unsigned};

/// Who makes a change, as the outbox has it: the account, the address, the request's id.
pub fn author() -> (Option<String>, Option<String>, Option<String>) {
    let Some(author) = Author::current() else { return (None, None, None) };
    let account = author.account().map(str::to_owned);
    (account, Some(author.address().to_string()), Some(author.request_id().to_owned()))
}

/// How long it is known which batch of a noter's was its last, at least.
const KNOWN_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Puts what is no change into the outbox, where it is not there already; there is something.
pub async fn note(connection: &mut Connection, NotedBatch { noter, number, events }: &NotedBatch) -> Result<()> {
    let now = Timestamp::now();
    if *number == 1 {
        let before = now.checked_sub(KNOWN_FOR).unwrap_or(Timestamp::MIN);
        sqlx::query("DELETE FROM audit_noters WHERE noted_at < $1")
            .bind(before.as_microsecond())
            .execute(&mut *connection)
            .await?;
    }
    let is_new = sqlx::query(
        "INSERT INTO audit_noters (noter, batch, noted_at) VALUES ($1, $2, $3)
         ON CONFLICT (noter) DO UPDATE SET batch = excluded.batch, noted_at = excluded.noted_at
         WHERE audit_noters.batch < excluded.batch",
    )
    .bind(noter.as_str())
    .bind(signed(*number))
    .bind(now.as_microsecond())
    .execute(&mut *connection)
    .await?;
    if is_new.rows_affected() == 0 {
        return Ok(());
    }
    let sql = format!(
        "INSERT INTO events (kind, repository, digest, tag, happened_at, actor, address, request_id, detail, is_unaudited) VALUES {}",
        rows(events.len(), 10)
    );
    // One text for each number of rows: none of them is worth remembering.
    let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
    for event in events {
        query = query
            .bind(event.kind.as_str())
            .bind(event.repository.as_deref().unwrap_or_default())
            .bind(event.digest.as_deref())
            .bind(event.tag.as_deref())
            .bind(event.happened_at.as_microsecond())
            .bind(event.actor.as_deref())
            .bind(event.address.map(|address| address.to_string()))
            .bind(event.request_id.as_deref())
            .bind(event.detail.as_ref().map(ToString::to_string))
            .bind(true);
    }
    query.execute(&mut *connection).await?;
    Ok(())
}

/// Whether something waits for its line.
pub async fn is_waiting(connection: &mut Connection) -> Result<bool> {
    let row = sqlx::query("SELECT 1 FROM events WHERE is_unaudited LIMIT 1").fetch_optional(&mut *connection).await?;
    Ok(row.is_some())
}

/// Gives events that wait their lines; how many. What is played back in a rebuilding is no news, that was broken off too.
pub async fn chain(connection: &mut Connection, limit: u32) -> Result<u64> {
    let head = sqlx::query("UPDATE audit_head SET seq = seq RETURNING seq, hash").fetch_one(&mut *connection).await?;
    let (mut seq, mut hash): (u64, String) = (unsigned(&head, "seq")?, head.try_get("hash")?);
    let events = sqlx::query(
        "SELECT id, kind, repository, digest, tag, happened_at, actor, address, request_id, detail FROM events
         WHERE is_unaudited AND NOT EXISTS (SELECT 1 FROM rebuilding) ORDER BY id LIMIT $1",
    )
    .bind(i64::from(limit))
    .fetch_all(&mut *connection)
    .await?;
    if events.is_empty() {
        return Ok(0);
    }
    let mut lines = Vec::with_capacity(events.len());
    for event in &events {
        seq += 1;
        let line = Line::of(event, seq, &hash)?;
        hash.clone_from(&line.hash);
        lines.push(line);
    }
    insert(connection, &lines).await?;
    let sql = format!("UPDATE events SET is_unaudited = FALSE WHERE id IN ({})", places(1, lines.len()));
    let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
    for line in &lines {
        query = query.bind(line.event);
    }
    query.execute(&mut *connection).await?;
    sqlx::query("UPDATE audit_head SET seq = $1, hash = $2").bind(signed(seq)).bind(hash).execute(&mut *connection).await?;
    Ok(events.len() as u64)
}

/// A line to be, and the event that it is of.
struct Line {
    event: i64,
    seq: u64,
    happened_at: i64,
    actor: String,
    action: String,
    text: String,
    hash: String,
}

impl Line {
    fn of(event: &Row, seq: u64, previous: &str) -> Result<Self> {
        let text = |column: &str| -> Result<Option<String>> { Ok(event.try_get(column)?) };
        let (account, address, request_id) = (text("actor")?, text("address")?, text("request_id")?);
        let (action, repository): (String, String) = (event.try_get("kind")?, event.try_get("repository")?);
        let (digest, tag, detail) = (text("digest")?, text("tag")?, text("detail")?);
        let entry = Entry {
            seq,
            at: timestamp(event, "happened_at")?,
            actor: Entry::actor(account.as_deref(), address.as_deref()),
            address: address.as_deref(),
            action: &action,
            repository: Some(repository.as_str()).filter(|name| !name.is_empty()),
            digest: digest.as_deref(),
            tag: tag.as_deref(),
            result: Entry::result(&action),
            request_id: request_id.as_deref(),
            // What is no JSON is a text, so that nothing that stands there holds up the rest.
            detail: detail.map(|detail| serde_json::from_str(&detail).unwrap_or(serde_json::Value::String(detail))),
        };
        let text = entry.text();
        let hash = AuditLine::hash_of(previous, &text);
        let (actor, happened_at) = (entry.actor.to_owned(), event.try_get("happened_at")?);
        Ok(Self { event: event.try_get("id")?, seq, happened_at, actor, action, text, hash })
    }
}

async fn insert(connection: &mut Connection, lines: &[Line]) -> Result<()> {
    let sql = format!("INSERT INTO audit (seq, happened_at, actor, action, line, hash) VALUES {}", rows(lines.len(), 6));
    let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
    for line in lines {
        query = query
            .bind(signed(line.seq))
            .bind(line.happened_at)
            .bind(line.actor.as_str())
            .bind(line.action.as_str())
            .bind(line.text.as_str())
            .bind(line.hash.as_str());
    }
    query.execute(&mut *connection).await?;
    Ok(())
}

/// Where it begins and ends; nobody has signed that.
pub async fn head(connection: &mut Connection) -> Result<AuditHead> {
    let row = sqlx::query("SELECT seq, hash, first_seq, first_previous FROM audit_head").fetch_one(&mut *connection).await?;
    Ok(AuditHead {
        seq: unsigned(&row, "seq")?,
        hash: row.try_get("hash")?,
        first_seq: unsigned(&row, "first_seq")?,
        first_previous: row.try_get("first_previous")?,
        signature: None,
    })
}

/// Lines in their order, with their numbers.
pub async fn lines(connection: &mut Connection, filter: &AuditFilter) -> Result<Vec<(u64, AuditLine)>> {
    // The signs keep an index out of it that would have all of a long time sorted.
    let rows = sqlx::query(
        "SELECT seq, line, hash FROM audit WHERE seq > $1 AND seq <= $2 AND +happened_at >= $3 AND +happened_at < $4
             AND ($5 IS NULL OR actor = $5)
             AND ($6 IS NULL OR action = $6 OR substr(action, 1, length($6) + 1) = $6 || '.')
         ORDER BY seq LIMIT $7",
    )
    .bind(signed(filter.after))
    .bind(signed(filter.upto))
    .bind(filter.since.map_or(i64::MIN, Timestamp::as_microsecond))
    .bind(filter.until.map_or(i64::MAX, Timestamp::as_microsecond))
    .bind(filter.actor.as_deref())
    .bind(filter.action.as_deref())
    .bind(i64::from(filter.limit))
    .fetch_all(&mut *connection)
    .await?;
    let read = |row: &Row| Ok((unsigned(row, "seq")?, AuditLine { line: row.try_get("line")?, hash: row.try_get("hash")? }));
    rows.iter().map(read).collect()
}

/// The number of the first line of what happened from then on.
pub async fn first_since(connection: &mut Connection, since: Timestamp) -> Result<Option<u64>> {
    // Lines are in the order of commits, which that of times may differ from a little. The sum keeps the primary key out of it, along which
    // all that is older would be looked at.
    let row = sqlx::query("SELECT MIN(seq + 0) AS seq FROM audit WHERE happened_at >= $1")
        .bind(since.as_microsecond())
        .fetch_one(&mut *connection)
        .await?;
    let seq: Option<i64> = row.try_get("seq")?;
    Ok(seq.and_then(|seq| u64::try_from(seq).ok()))
}

/// Drops lines from before a time off the beginning, and notes what the rest goes on from; how many. None goes whose turn it is not:
/// where one is missing, that stays to be seen.
pub async fn expire(connection: &mut Connection, before: Timestamp, limit: u32) -> Result<u64> {
    let oldest = sqlx::query("SELECT happened_at FROM audit ORDER BY seq LIMIT 1").fetch_optional(&mut *connection).await?;
    let is_due = |row: &Row| Ok::<_, sqlx::Error>(row.try_get::<i64, _>("happened_at")? < before.as_microsecond());
    if !oldest.as_ref().map(is_due).transpose()?.unwrap_or_default() {
        return Ok(0);
    }
    let head = sqlx::query("UPDATE audit_head SET seq = seq RETURNING first_seq").fetch_one(&mut *connection).await?;
    let first = unsigned(&head, "first_seq")?;
    let oldest = sqlx::query("SELECT seq, happened_at, hash FROM audit ORDER BY seq LIMIT $1")
        .bind(i64::from(limit))
        .fetch_all(&mut *connection)
        .await?;
    let mut last = None;
    for (expected, row) in (first..).zip(&oldest) {
        if unsigned(row, "seq")? != expected || !is_due(row)? {
            break;
        }
        last = Some((expected, row.try_get::<String, _>("hash")?));
    }
    let Some((last, hash)) = last else { return Ok(0) };
    sqlx::query("DELETE FROM audit WHERE seq <= $1").bind(signed(last)).execute(&mut *connection).await?;
    sqlx::query("UPDATE audit_head SET first_seq = $1, first_previous = $2")
        .bind(signed(last + 1))
        .bind(hash)
        .execute(&mut *connection)
        .await?;
    Ok(last + 1 - first)
}
