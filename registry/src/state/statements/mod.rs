//! The statements, written once and compiled for each database: this folder is a module of `sqlite` and of `postgres`, and
//! `super::Db` is the database of whichever it is in.
//!
//! What is SQL here both databases understand; where one needs more (a lock, a sequence), its own file says so. Counts of bytes and
//! times are `i64`, as the databases keep them.

pub mod accounts;
pub mod audit;
pub mod blobs;
pub mod evidence;
pub mod garbage;
pub mod images;
pub mod issuers;
pub mod keys;
pub mod lists;
pub mod manifests;
pub mod outbox;
pub mod policies;
pub mod records;
pub mod restore;
pub mod retention;
pub mod roles;
pub mod uploads;

use jiff::Timestamp;
use longshore_oci::{Digest, RepositoryName};
use sqlx::{Database, Row as _};

use super::super::{EventKind, StateError};
pub use super::Db;
use crate::storage::ObjectKey;

/// A connection, inside a transaction or not.
pub type Connection = <Db as Database>::Connection;
/// A row of an answer.
pub type Row = <Db as Database>::Row;
/// What a statement comes to.
pub type Result<T> = std::result::Result<T, StateError>;

/// The repository's row, made if there is none yet.
pub async fn ensure_repository(connection: &mut Connection, name: &RepositoryName) -> Result<i64> {
    if let Some(id) = find_repository(connection, name).await? {
        return Ok(id);
    }
    sqlx::query("INSERT INTO repositories (name, created_at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
        .bind(name.as_str())
        .bind(Timestamp::now().as_microsecond())
        .execute(&mut *connection)
        .await?;
    find_repository(connection, name).await?.ok_or(StateError::Refused(sqlx::Error::RowNotFound))
}

/// The repository's row.
pub async fn find_repository(connection: &mut Connection, name: &RepositoryName) -> Result<Option<i64>> {
    let row =
        sqlx::query("SELECT id FROM repositories WHERE name = $1").bind(name.as_str()).fetch_optional(&mut *connection).await?;
    row.map(|row| Ok(row.try_get("id")?)).transpose()
}

/// Puts a change of a repository into the outbox, in the name of its author.
pub async fn emit(
    connection: &mut Connection,
    kind: EventKind,
    repository: &RepositoryName,
    digest: Option<&Digest>,
    tag: Option<&str>,
) -> Result<()> {
    put_out(connection, kind, repository.as_str(), (digest.map(Digest::as_str), tag), None).await
}

/// As [`emit`], of a change that is no repository's; `detail` is an object.
pub async fn emit_detail(connection: &mut Connection, kind: EventKind, detail: &serde_json::Value) -> Result<()> {
    put_out(connection, kind, "", (None, None), Some(detail.to_string())).await
}

async fn put_out(
    connection: &mut Connection,
    kind: EventKind,
    repository: &str,
    (digest, tag): (Option<&str>, Option<&str>),
    detail: Option<String>,
) -> Result<()> {
    let (account, address, request_id) = audit::author();
    sqlx::query(
        "INSERT INTO events (kind, repository, digest, tag, happened_at, actor, address, request_id, detail, is_unaudited)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, TRUE)",
    )
    .bind(kind.as_str())
    .bind(repository)
    .bind(digest)
    .bind(tag)
    .bind(Timestamp::now().as_microsecond())
    .bind(account)
    .bind(address)
    .bind(request_id)
    .bind(detail)
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// Reads a column that this program wrote from a typed value.
pub fn parse<T: std::str::FromStr>(row: &Row, column: &'static str) -> Result<T> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|_| StateError::Unreadable { column, value: text })
}

/// Reads a count or a length.
pub fn unsigned(row: &Row, column: &'static str) -> Result<u64> {
    let value: i64 = row.try_get(column)?;
    u64::try_from(value).map_err(|_| StateError::Unreadable { column, value: value.to_string() })
}

/// Writes a count, a length or a revision; none comes near the limit of 8 EiB.
pub fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Reads a time.
pub fn timestamp(row: &Row, column: &'static str) -> Result<Timestamp> {
    let value: i64 = row.try_get(column)?;
    Timestamp::from_microsecond(value).map_err(|_| StateError::Unreadable { column, value: value.to_string() })
}

/// Reads the column `object_key`.
pub fn read_key(row: &Row) -> Result<ObjectKey> {
    let key: String = row.try_get("object_key")?;
    ObjectKey::parse(&key).ok_or(StateError::Unreadable { column: "object_key", value: key })
}

/// Reads a time that may be absent.
pub fn optional_timestamp(row: &Row, column: &'static str) -> Result<Option<Timestamp>> {
    let value: Option<i64> = row.try_get(column)?;
    value.map(|_| timestamp(row, column)).transpose()
}

/// `$3, $4…` for a list of `count` values, of which `first` is the first.
pub fn places(first: usize, count: usize) -> String {
    (first..first + count).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ")
}

/// `($1, $2), ($3, $4)…` for an insert of several rows.
pub fn rows(count: usize, columns: usize) -> String {
    let mut text = String::new();
    for row in 0..count {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 1..=columns {
            if column > 1 {
                text.push_str(", ");
            }
            text.push('$');
            text.push_str(&(row * columns + column).to_string());
        }
        text.push(')');
    }
    text
}
