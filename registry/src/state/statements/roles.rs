//! What those who call may do.

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row as _};

use super::super::super::{EventKind, Made, RolePlace, StoredRole};
use super::{Connection, Result, Row, accounts, emit_detail, issuers, timestamp, unsigned};

const COLUMNS: &str = "id, subject, actions, repositories, namespaces, created_at";

/// Those after an id.
pub async fn list(connection: &mut Connection, subject: Option<&str>, after: &str, limit: u32) -> Result<Vec<StoredRole>> {
    let listed = format!("SELECT {COLUMNS} FROM roles WHERE id > $1 AND ($2 IS NULL OR subject = $2) ORDER BY id LIMIT $3");
    let rows =
        sqlx::query(AssertSqlSafe(listed)).bind(after).bind(subject).bind(i64::from(limit)).fetch_all(&mut *connection).await?;
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
    let (repositories, namespaces) = match &role.place {
        RolePlace::Repositories(pattern) => (pattern.as_str(), ""),
        RolePlace::Namespaces(pattern) => ("", pattern.as_str()),
    };
    sqlx::query(AssertSqlSafe(format!("INSERT INTO roles ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6)")))
        .bind(role.id.as_str())
        .bind(role.subject.as_str())
        .bind(role.actions.as_str())
        .bind(repositories)
        .bind(namespaces)
        .bind(role.created_at.as_microsecond())
        .execute(&mut *connection)
        .await?;
    emit_detail(connection, EventKind::RoleCreated, &told(role)).await
}

/// A role as the outbox tells of it.
fn told(role: &StoredRole) -> Value {
    let actions: Vec<&str> = role.actions.split(',').collect();
    let mut told = json!({ "role": role.id, "subject": role.subject, "actions": actions });
    match &role.place {
        RolePlace::Repositories(pattern) => told["repositories"] = pattern.as_str().into(),
        RolePlace::Namespaces(pattern) => told["namespaces"] = pattern.as_str().into(),
    }
    told
}

/// Deletes one.
pub async fn delete(connection: &mut Connection, id: &str) -> Result<bool> {
    accounts::begin_change(connection).await?;
    let had_one = accounts::has_administrator(connection).await?;
    let deleted = sqlx::query(AssertSqlSafe(format!("DELETE FROM roles WHERE id = $1 RETURNING {COLUMNS}")))
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    accounts::require_administrator(connection, had_one).await?;
    let Some(row) = deleted else { return Ok(false) };
    emit_detail(connection, EventKind::RoleDeleted, &told(&read(&row)?)).await?;
    Ok(true)
}

/// Deletes those of a subject.
pub async fn delete_of(connection: &mut Connection, subject: &str) -> Result<()> {
    delete_where(connection, "subject = $1", subject).await
}

/// Deletes those of subjects that begin so.
pub async fn delete_beginning(connection: &mut Connection, subject: &str) -> Result<()> {
    delete_where(connection, "SUBSTR(subject, 1, LENGTH($1)) = $1", subject).await
}

async fn delete_where(connection: &mut Connection, condition: &str, subject: &str) -> Result<()> {
    let deleted = format!("DELETE FROM roles WHERE {condition} RETURNING {COLUMNS}");
    let deleted = sqlx::query(AssertSqlSafe(deleted)).bind(subject).fetch_all(&mut *connection).await?;
    for row in &deleted {
        emit_detail(connection, EventKind::RoleDeleted, &told(&read(row)?)).await?;
    }
    Ok(())
}

/// How many there are.
pub async fn count(connection: &mut Connection) -> Result<u64> {
    let row = sqlx::query("SELECT COUNT(*) AS roles FROM roles").fetch_one(&mut *connection).await?;
    unsigned(&row, "roles")
}

fn read(row: &Row) -> Result<StoredRole> {
    let namespaces: String = row.try_get("namespaces")?;
    let place = if namespaces.is_empty() {
        RolePlace::Repositories(row.try_get("repositories")?)
    } else {
        RolePlace::Namespaces(namespaces)
    };
    Ok(StoredRole {
        id: row.try_get("id")?,
        subject: row.try_get("subject")?,
        actions: row.try_get("actions")?,
        place,
        created_at: timestamp(row, "created_at")?,
    })
}
