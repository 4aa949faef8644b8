//! What has happened, in the order of the commits.

use jiff::Timestamp;
use longshore_fleet::{Name, api::Event};
use sqlx::{QueryBuilder, Row as _};

use super::super::super::{EventPage, NewEvent, StateError};
use super::bulk::Bulk;
use super::column::{clean, json, optional, optional_json, read_word, signed, unsigned, word};
use super::{Connection, Db, Result, Row};

const ADD: Bulk = Bulk {
    before: "INSERT INTO events (position, at, kind, change, id, namespace, name, reason, message, author, object) VALUES",
    columns: 11,
    after: "",
};

/// The position of the last event.
pub async fn position(connection: &mut Connection) -> Result<u64> {
    unsigned(&sqlx::query("SELECT position FROM head").fetch_one(&mut *connection).await?, "position")
}

/// Adds events at the next positions; the last one. It comes last in a transaction: from here on others that have events wait for its end,
/// and so positions are in the order of the commits.
pub async fn add(connection: &mut Connection, events: &[NewEvent], now: i64) -> Result<u64> {
    if events.is_empty() {
        return position(connection).await;
    }
    let count = events.len() as u64;
    let head = sqlx::query("UPDATE head SET position = position + $1 RETURNING position").bind(signed(count));
    let last = unsigned(&head.fetch_one(&mut *connection).await?, "position")?;
    let numbered: Vec<_> = (last - count + 1..).zip(events).collect();
    let bind_event = |query: super::Query, (position, event): &(u64, &NewEvent)| {
        Ok(query
            .bind(signed(*position))
            .bind(now)
            .bind(word(&event.kind)?)
            .bind(word(&event.change)?)
            .bind(clean(&event.id))
            .bind(event.namespace.as_ref().map(Name::as_str))
            .bind(clean(&event.name))
            .bind(clean(&event.reason))
            .bind(clean(&event.message))
            .bind(event.author.as_deref().map(clean))
            .bind(event.object.as_ref().map(json).transpose()?))
    };
    ADD.run(connection, &numbered, bind_event).await?;
    Ok(last)
}

const SELECT: &str = "SELECT position, at, kind, change, id, namespace, name, reason, message, author, object FROM events";

/// Events after a position. How far it goes back is read after them, so that it tells of what was dropped meanwhile.
pub async fn page(connection: &mut Connection, after: u64, most: u32) -> Result<EventPage> {
    let mut query = QueryBuilder::<Db>::new(SELECT);
    query.push(" WHERE position > ").push_bind(signed(after));
    query.push(" ORDER BY position LIMIT ").push_bind(i64::from(most));
    let rows = query.build().fetch_all(&mut *connection).await?;
    let head = sqlx::query("SELECT position, dropped FROM head").fetch_one(&mut *connection).await?;
    if after < unsigned(&head, "dropped")? || after > unsigned(&head, "position")? {
        return Err(StateError::TooOld);
    }
    let events: Vec<_> = rows.iter().map(read).collect::<Result<_>>()?;
    let position = events.last().map_or(after, |event| event.position);
    Ok(EventPage { events, position })
}

/// The latest events of a thing, of a namespace, or of all, the newest first.
pub async fn latest(connection: &mut Connection, namespace: Option<&Name>, id: Option<&str>, most: u32) -> Result<Vec<Event>> {
    let mut query = QueryBuilder::<Db>::new(SELECT);
    query.push(" WHERE position > 0");
    if let Some(namespace) = namespace {
        // A thing has fewer than its namespace: where both are asked for, it is looked up by the thing.
        let column = if id.is_some() { "COALESCE(namespace, '')" } else { "namespace" };
        query.push(format!(" AND {column} = ")).push_bind(namespace.as_str());
    }
    if let Some(id) = id {
        query.push(" AND id = ").push_bind(clean(id));
    }
    query.push(" ORDER BY position DESC LIMIT ").push_bind(i64::from(most));
    query.build().fetch_all(&mut *connection).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Event> {
    let at: i64 = row.try_get("at")?;
    Ok(Event {
        position: unsigned(row, "position")?,
        at: Timestamp::from_microsecond(at).map_err(|_| StateError::Unreadable { column: "at", value: at.to_string() })?,
        kind: read_word(row, "kind")?,
        change: read_word(row, "change")?,
        id: row.try_get("id")?,
        namespace: optional(row, "namespace")?,
        name: row.try_get("name")?,
        reason: row.try_get("reason")?,
        message: row.try_get("message")?,
        author: row.try_get("author")?,
        object: optional_json(row, "object")?,
    })
}
