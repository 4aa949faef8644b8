//! Who may call.

use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row as _};

use super::super::super::{AccountChange, EventKind, Expiry, Made, NewAccount, StateError, StoredAccount};
use super::{Connection, Result, Row, emit_detail, optional_timestamp, parse, roles, timestamp, unsigned};

const COLUMNS: &str = "name, kind, secret_hash, credential, is_disabled, created_at, expires_at, certificate, last_used_at";

/// The number of the last change of accounts and roles.
pub async fn version(connection: &mut Connection) -> Result<u64> {
    let row = sqlx::query("SELECT version FROM access_version").fetch_one(&mut *connection).await?;
    unsigned(&row, "version")
}

/// Numbers a change of accounts or roles. Whoever does so first in a transaction is alone with both until that ends.
pub async fn begin_change(connection: &mut Connection) -> Result<()> {
    sqlx::query("UPDATE access_version SET version = version + 1").execute(&mut *connection).await?;
    Ok(())
}

/// Those after a name.
pub async fn list(connection: &mut Connection, after: &str, limit: u32) -> Result<Vec<StoredAccount>> {
    let rows = sqlx::query(AssertSqlSafe(format!("SELECT {COLUMNS} FROM accounts WHERE name > $1 ORDER BY name LIMIT $2")))
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&mut *connection)
        .await?;
    rows.iter().map(read).collect()
}

/// One of them.
pub async fn find(connection: &mut Connection, name: &str) -> Result<Option<StoredAccount>> {
    let row = sqlx::query(AssertSqlSafe(format!("SELECT {COLUMNS} FROM accounts WHERE name = $1")))
        .bind(name)
        .fetch_optional(&mut *connection)
        .await?;
    row.as_ref().map(read).transpose()
}

/// Makes one, and its roles.
pub async fn add(connection: &mut Connection, new: &NewAccount) -> Result<Made> {
    begin_change(connection).await?;
    let count = count(connection).await?;
    if new.is_first && count > 0 {
        return Ok(Made::Taken);
    }
    let account = &new.account;
    if find(connection, &account.name).await?.is_some() {
        return Ok(Made::Taken);
    }
    let roles_after = roles::count(connection).await? + new.roles.len() as u64;
    require_certificate_free(connection, account.certificate.as_deref(), &account.name).await?;
    if count >= u64::from(new.limits.accounts) || roles_after > u64::from(new.limits.roles) {
        return Ok(Made::TooMany);
    }
    sqlx::query(AssertSqlSafe(format!("INSERT INTO accounts ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL)")))
        .bind(account.name.as_str())
        .bind(account.kind.to_string())
        .bind(account.secret_hash.as_str())
        .bind(account.credential.as_str())
        .bind(account.is_disabled)
        .bind(account.created_at.as_microsecond())
        .bind(account.expires_at.map(Timestamp::as_microsecond))
        .bind(account.certificate.as_deref())
        .execute(&mut *connection)
        .await?;
    let (kind, certificate) = (account.kind, &account.certificate);
    let detail = json!({ "account": account.name, "kind": kind, "certificate": certificate, "expiresAt": account.expires_at });
    emit_detail(connection, EventKind::AccountCreated, &detail).await?;
    for role in &new.roles {
        roles::insert(connection, role).await?;
    }
    Ok(Made::Done)
}

/// Changes one.
pub async fn change(connection: &mut Connection, name: &str, change: &AccountChange) -> Result<Option<StoredAccount>> {
    begin_change(connection).await?;
    let had_one = has_administrator(connection).await?;
    let Some(mut account) = find(connection, name).await? else { return Ok(None) };
    if let Some((hash, credential)) = &change.secret {
        (account.secret_hash, account.credential) = (hash.clone(), credential.clone());
    }
    if let Some((certificate, credential)) = &change.certificate {
        require_certificate_free(connection, certificate.as_deref(), name).await?;
        (account.certificate, account.credential) = (certificate.clone(), credential.clone());
    }
    account.kind = change.kind.unwrap_or(account.kind);
    account.is_disabled = change.is_disabled.unwrap_or(account.is_disabled);
    match change.expires_at {
        None => {}
        Some(Expiry::Never) => account.expires_at = None,
        Some(Expiry::At(end)) => account.expires_at = Some(end),
    }
    sqlx::query(
        "UPDATE accounts SET secret_hash = $2, credential = $3, is_disabled = $4, expires_at = $5, kind = $6, certificate = $7
         WHERE name = $1",
    )
    .bind(name)
    .bind(account.secret_hash.as_str())
    .bind(account.credential.as_str())
    .bind(account.is_disabled)
    .bind(account.expires_at.map(Timestamp::as_microsecond))
    .bind(account.kind.to_string())
    .bind(account.certificate.as_deref())
    .execute(&mut *connection)
    .await?;
    require_administrator(connection, had_one).await?;
    emit_detail(connection, EventKind::AccountChanged, &told(name, change)).await?;
    Ok(Some(account))
}

/// What of an account was set to what; of its secret, that it was.
fn told(name: &str, change: &AccountChange) -> Value {
    let mut told = json!({ "account": name });
    if change.secret.is_some() {
        told["secret"] = "changed".into();
    }
    if let Some(kind) = change.kind {
        told["kind"] = json!(kind);
    }
    if let Some(is_disabled) = change.is_disabled {
        told["isDisabled"] = is_disabled.into();
    }
    if let Some((certificate, _)) = &change.certificate {
        told["certificate"] = json!(certificate);
    }
    match change.expires_at {
        None => {}
        Some(Expiry::Never) => told["expiresAt"] = Value::Null,
        Some(Expiry::At(end)) => told["expiresAt"] = json!(end),
    }
    told
}

/// Deletes one, and its roles, so that whoever has its name next does not have them.
pub async fn delete(connection: &mut Connection, name: &str) -> Result<bool> {
    begin_change(connection).await?;
    let had_one = has_administrator(connection).await?;
    roles::delete_of(connection, name).await?;
    let deleted = sqlx::query("DELETE FROM accounts WHERE name = $1").bind(name).execute(&mut *connection).await?;
    require_administrator(connection, had_one).await?;
    let is_deleted = deleted.rows_affected() == 1;
    if is_deleted {
        emit_detail(connection, EventKind::AccountDeleted, &json!({ "account": name })).await?;
    }
    Ok(is_deleted)
}

/// Notes when they last called.
pub async fn note_used(connection: &mut Connection, used: &[(String, Timestamp)]) -> Result<()> {
    for (name, at) in used {
        sqlx::query("UPDATE accounts SET last_used_at = $2 WHERE name = $1 AND (last_used_at IS NULL OR last_used_at < $2)")
            .bind(name.as_str())
            .bind(at.as_microsecond())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Whether somebody may keep accounts and roles, now and for good.
pub async fn has_administrator(connection: &mut Connection) -> Result<bool> {
    let row = sqlx::query(
        "SELECT 1 FROM accounts a JOIN roles r ON r.subject = a.name
         WHERE NOT a.is_disabled AND a.expires_at IS NULL AND r.repositories = '**' AND r.actions LIKE '%admin%' LIMIT 1",
    )
    .fetch_optional(&mut *connection)
    .await?;
    Ok(row.is_some())
}

/// Refuses a change after which nobody could keep accounts and roles any more.
pub async fn require_administrator(connection: &mut Connection, had_one: bool) -> Result<()> {
    if had_one && !has_administrator(connection).await? { Err(StateError::LastAdministrator) } else { Ok(()) }
}

/// Refuses a certificate that another account has.
async fn require_certificate_free(connection: &mut Connection, certificate: Option<&str>, name: &str) -> Result<()> {
    let Some(identity) = certificate else { return Ok(()) };
    let row = sqlx::query("SELECT name FROM accounts WHERE certificate = $1 AND name <> $2")
        .bind(identity)
        .bind(name)
        .fetch_optional(&mut *connection)
        .await?;
    match row {
        None => Ok(()),
        Some(row) => Err(StateError::CertificateTaken { identity: identity.to_owned(), account: row.try_get("name")? }),
    }
}

async fn count(connection: &mut Connection) -> Result<u64> {
    let row = sqlx::query("SELECT COUNT(*) AS accounts FROM accounts").fetch_one(&mut *connection).await?;
    unsigned(&row, "accounts")
}

fn read(row: &Row) -> Result<StoredAccount> {
    Ok(StoredAccount {
        name: row.try_get("name")?,
        kind: parse(row, "kind")?,
        secret_hash: row.try_get("secret_hash")?,
        credential: row.try_get("credential")?,
        is_disabled: row.try_get("is_disabled")?,
        created_at: timestamp(row, "created_at")?,
        expires_at: optional_timestamp(row, "expires_at")?,
        certificate: row.try_get("certificate")?,
        last_used_at: optional_timestamp(row, "last_used_at")?,
    })
}
