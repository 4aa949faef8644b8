//! What those who call may do.

use sqlx::Row as _;

use super::super::super::{Made, StoredRole};
use super::{Connection, Result, Row, accounts, issuers, timestamp, unsigned};

/// Those after an id.
pub async fn list(connection: &mut Connection, subject: Option<&str>, after: &str, limit: u32) -> Result<Vec<StoredRole>> {
    let rows = sqlx::query(
        "SELECT id, subject, actions, repositories, created_at FROM roles
         WHERE id > $1 AND ($2 IS NULL OR subject = $2) ORDER BY id LIMIT $3",
    )
    .bind(after)
    .bind(subject)
    .bind(i64::from(limit))
    .fetch_all(&mut *connection)
    .await?;
    rows.iter().map(read).collect()
}

/// Makes one.
pub async fn add(connection: &mut Connection, role: &StoredRole, most: u32) -> Result<Made> {
    accounts::begin_change(connection).await?;
    if !issuers::has_subject(connection, &role.subject).await? {
        return Ok(Made::NoSubject);
    }
    if count(connection).await? >= u64::from(most) {
        return Ok(Made::TooMany);
    }
    insert(connection, role).await?;
    Ok(Made::Done)
}

/// Makes one, whatever there is.
pub async fn insert(connection: &mut Connection, role: &StoredRole) -> Result<()> {
    sqlx::query("INSERT INTO roles (id, subject, actions, repositories, created_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(role.id.as_str())
        .bind(role.subject.as_str())
        .bind(role.actions.as_str())
        .bind(role.repositories.as_str())
        .bind(role.created_at.as_microsecond())
        .execute(&mut *connection)
        .await?;
    Ok(())
}

/// Deletes one.
pub async fn delete(connection: &mut Connection, id: &str) -> Result<bool> {
    accounts::begin_change(connection).await?;
    let had_one = accounts::has_administrator(connection).await?;
    let deleted = sqlx::query("DELETE FROM roles WHERE id = $1").bind(id).execute(&mut *connection).await?;
    accounts::require_administrator(connection, had_one).await?;
    Ok(deleted.rows_affected() == 1)
}

/// How many there are.
pub async fn count(connection: &mut Connection) -> Result<u64> {
    let row = sqlx::query("SELECT COUNT(*) AS roles FROM roles").fetch_one(&mut *connection).await?;
    unsigned(&row, "roles")
}

fn read(row: &Row) -> Result<StoredRole> {
    Ok(StoredRole {
        id: row.try_get("id")?,
        subject: row.try_get("subject")?,
        actions: row.try_get("actions")?,
        repositories: row.try_get("repositories")?,
        created_at: timestamp(row, "created_at")?,
    })
}
