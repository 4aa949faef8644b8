//! Policy documents.

use longshore_oci::{Algorithm, Digest};
use serde_json::json;
use sqlx::Row as _;

use super::super::super::{EventKind, StateError, StoredDocument};
use super::{Connection, Result, Row, emit_detail, signed, timestamp, unsigned};

/// The number of their last change.
pub async fn version(connection: &mut Connection) -> Result<u64> {
    let row = sqlx::query("SELECT version FROM policy_version").fetch_one(&mut *connection).await?;
    unsigned(&row, "version")
}

/// Numbers a change. Whoever does so is alone with the documents until the transaction ends. `Changed` where the last change was not
/// the one that the caller has seen.
async fn begin_change(connection: &mut Connection, seen: u64) -> Result<u64> {
    let row =
        sqlx::query("UPDATE policy_version SET version = version + 1 RETURNING version").fetch_one(&mut *connection).await?;
    let version = unsigned(&row, "version")?;
    if version == seen + 1 { Ok(version) } else { Err(StateError::Changed) }
}

/// All of them, by name.
pub async fn list(connection: &mut Connection) -> Result<Vec<StoredDocument>> {
    let rows = sqlx::query("SELECT name, document, revision, applied_at, applied_by FROM policies ORDER BY name")
        .fetch_all(&mut *connection)
        .await?;
    rows.iter().map(read).collect()
}

/// Keeps one, in place of the one of its name. Its revision.
pub async fn put(connection: &mut Connection, document: &StoredDocument, seen: u64) -> Result<u64> {
    let revision = begin_change(connection, seen).await?;
    sqlx::query(
        "INSERT INTO policies (name, document, revision, applied_at, applied_by) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (name) DO UPDATE SET document = excluded.document, revision = excluded.revision,
             applied_at = excluded.applied_at, applied_by = excluded.applied_by",
    )
    .bind(document.name.as_str())
    .bind(document.text.as_str())
    .bind(signed(revision))
    .bind(document.applied_at.as_microsecond())
    .bind(document.applied_by.as_deref())
    .execute(&mut *connection)
    .await?;
    let content = Digest::of(Algorithm::Sha256, document.text.as_bytes());
    let detail = json!({ "document": document.name, "revision": revision, "content": content });
    emit_detail(connection, EventKind::PolicyApplied, &detail).await?;
    Ok(revision)
}

/// Deletes one. `Changed` where there is none.
pub async fn delete(connection: &mut Connection, name: &str, seen: u64) -> Result<()> {
    begin_change(connection, seen).await?;
    let deleted = sqlx::query("DELETE FROM policies WHERE name = $1").bind(name).execute(&mut *connection).await?;
    if deleted.rows_affected() == 0 {
        return Err(StateError::Changed);
    }
    emit_detail(connection, EventKind::PolicyRemoved, &json!({ "document": name })).await
}

fn read(row: &Row) -> Result<StoredDocument> {
    Ok(StoredDocument {
        name: row.try_get("name")?,
        text: row.try_get("document")?,
        revision: unsigned(row, "revision")?,
        applied_at: timestamp(row, "applied_at")?,
        applied_by: row.try_get("applied_by")?,
    })
}
