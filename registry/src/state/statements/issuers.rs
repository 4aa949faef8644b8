//! Whose word is taken on who calls.

use longshore_oci::{Algorithm, Digest};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sqlx::Row as _;

use super::super::super::{
    Deletion, EventKind, Expected, IssuerTrust, IssuerVersions, Put, PutIssuer, StateError, StoredIssuer, Subject,
};
use super::{Connection, Result, Row, accounts, emit_detail, roles, signed, timestamp, unsigned};

/// Those after a name. All are read, however few are wanted: there are never many, and one that can't be read is left out.
pub async fn list(connection: &mut Connection, after: &str, limit: u32) -> Result<Vec<StoredIssuer>> {
    let rows =
        sqlx::query("SELECT name, trust, versions, revision, created_at, changed_at FROM issuers WHERE name > $1 ORDER BY name")
            .bind(after)
            .fetch_all(&mut *connection)
            .await?;
    let read = |row| match read(row) {
        Err(error @ StateError::Unreadable { .. }) => {
            // One that a later version wrote, perhaps. What it asks of its tokens is not known, so none is taken.
            tracing::warn!(error = &error as &dyn std::error::Error, "an issuer can't be read, and is not trusted");
            None
        }
        outcome => Some(outcome),
    };
    rows.iter().filter_map(read).take(limit as usize).collect()
}

/// One of them.
pub async fn find(connection: &mut Connection, name: &str) -> Result<Option<StoredIssuer>> {
    let row = sqlx::query("SELECT name, trust, versions, revision, created_at, changed_at FROM issuers WHERE name = $1")
        .bind(name)
        .fetch_optional(&mut *connection)
        .await?;
    row.as_ref().map(read).transpose()
}

/// Makes one, or has it take another's place; the roles of rules that it has no more go.
pub async fn put(connection: &mut Connection, put: &PutIssuer) -> Result<Put> {
    accounts::begin_change(connection).await?;
    let before = find(connection, &put.name).await?;
    if !put.expected.is(before.as_ref().map(|before| before.revision)) {
        return Ok(Put::Unexpected);
    }
    if before.is_none() && count(connection).await? >= u64::from(put.most) {
        return Ok(Put::TooMany);
    }
    let revision = accounts::version(connection).await?;
    let after = StoredIssuer {
        name: put.name.clone(),
        trust: put.trust.clone(),
        versions: IssuerVersions::following(before.as_ref(), &put.trust, revision),
        revision,
        created_at: before.as_ref().map_or(put.at, |before| before.created_at),
        changed_at: put.at,
    };
    sqlx::query(
        "INSERT INTO issuers (name, trust, versions, revision, created_at, changed_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (name) DO UPDATE SET
             trust = excluded.trust, versions = excluded.versions, revision = excluded.revision, changed_at = excluded.changed_at",
    )
    .bind(after.name.as_str())
    .bind(serde_json::to_string(&after.trust).unwrap_or_default())
    .bind(serde_json::to_string(&after.versions).unwrap_or_default())
    .bind(signed(after.revision))
    .bind(after.created_at.as_microsecond())
    .bind(after.changed_at.as_microsecond())
    .execute(&mut *connection)
    .await?;
    emit_detail(connection, EventKind::IssuerChanged, &json!({ "issuer": put.name, "trust": told(&put.trust) })).await?;
    let Some(before) = before else { return Ok(Put::Made(after)) };
    for rule in before.trust.rules.iter().filter(|rule| after.trust.rule(&rule.name).is_none()) {
        roles::delete_of(connection, &format!("{}{}/{}", Subject::RULE, put.name, rule.name)).await?;
    }
    Ok(Put::Replaced(after))
}

/// Deletes one, and the roles of its rules and groups, so that whoever has its name next does not have them.
pub async fn delete(connection: &mut Connection, name: &str, expected: Expected) -> Result<Deletion> {
    accounts::begin_change(connection).await?;
    let row = sqlx::query("SELECT revision FROM issuers WHERE name = $1").bind(name).fetch_optional(&mut *connection).await?;
    let present = row.map(|row| unsigned(&row, "revision")).transpose()?;
    if !expected.is(present) {
        return Ok(Deletion::Unexpected);
    }
    if present.is_none() {
        return Ok(Deletion::Absent);
    }
    for kind in [Subject::RULE, Subject::GROUP] {
        roles::delete_beginning(connection, &format!("{kind}{name}/")).await?;
    }
    sqlx::query("DELETE FROM issuers WHERE name = $1").bind(name).execute(&mut *connection).await?;
    emit_detail(connection, EventKind::IssuerDeleted, &json!({ "issuer": name })).await?;
    Ok(Deletion::Done)
}

/// Whether a role can be for a subject.
pub async fn has_subject(connection: &mut Connection, subject: &str) -> Result<bool> {
    let trust = |issuer: Option<StoredIssuer>| issuer.map(|issuer| issuer.trust);
    Ok(match Subject::of(subject) {
        Subject::Anonymous => true,
        Subject::Account(name) => accounts::find(connection, name).await?.is_some(),
        Subject::Rule { issuer, rule } => trust(find(connection, issuer).await?).is_some_and(|trust| trust.rule(rule).is_some()),
        Subject::Group { issuer, group } => !group.is_empty() && find(connection, issuer).await?.is_some(),
    })
}

async fn count(connection: &mut Connection) -> Result<u64> {
    let row = sqlx::query("SELECT COUNT(*) AS issuers FROM issuers").fetch_one(&mut *connection).await?;
    unsigned(&row, "issuers")
}

fn read(row: &Row) -> Result<StoredIssuer> {
    Ok(StoredIssuer {
        name: row.try_get("name")?,
        trust: of_json(row, "trust")?,
        versions: of_json(row, "versions")?,
        revision: unsigned(row, "revision")?,
        created_at: timestamp(row, "created_at")?,
        changed_at: timestamp(row, "changed_at")?,
    })
}

/// What is asked of an issuer's tokens, as the outbox tells of it: of what is long its digest.
fn told(trust: &IssuerTrust) -> Value {
    let mut told = json!(trust);
    for long in ["jwks", "caCertificates"] {
        if let Some(value) = told.get_mut(long) {
            *value = json!(Digest::of(Algorithm::Sha256, value.to_string().as_bytes()));
        }
    }
    told
}

fn of_json<T: DeserializeOwned>(row: &Row, column: &'static str) -> Result<T> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text).map_err(|_| StateError::Unreadable { column, value: text })
}
