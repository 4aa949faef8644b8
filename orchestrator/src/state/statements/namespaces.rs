//! Namespaces, and what is asked of their quotas.

use longshore_fleet::{Name, NamespaceSpec};
use sqlx::{AssertSqlSafe, Row as _};

use super::super::super::{Charge, Expected, NamespaceRow, Slice, StateError};
use super::super::FOR_UPDATE;
use super::column::{json, read_json, signed, unsigned};
use super::{Connection, Query, Result, Row, seen};

const KEY: (&str, &str) = ("namespaces", "name");

/// Puts one.
pub async fn put(connection: &mut Connection, row: &NamespaceRow, expected: Expected) -> Result<()> {
    match expected {
        Expected::None => {
            let sql = "INSERT INTO namespaces (name, revision, spec, quota_cpu_millis, quota_memory_bytes, quota_pods,
                     asked_cpu_millis, asked_memory_bytes, asked_pods)
                 VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0) ON CONFLICT DO NOTHING";
            seen::add(connection, bind(sqlx::query(sql), row)?).await
        }
        Expected::At(revision) => {
            let sql =
                "UPDATE namespaces SET revision = $2, spec = $3, quota_cpu_millis = $4, quota_memory_bytes = $5, quota_pods = $6
                 WHERE name = $1 AND revision = $7";
            let update = bind(sqlx::query(sql), row)?.bind(signed(revision));
            seen::change(connection, update, KEY, row.spec.name.as_str()).await
        }
    }
}

fn bind(query: Query, row: &NamespaceRow) -> Result<Query> {
    let quota = &row.spec.quota;
    Ok(query
        .bind(row.spec.name.to_string())
        .bind(signed(row.revision))
        .bind(json(&row.spec)?)
        .bind(quota.cpu.map(|cpu| signed(cpu.millis)))
        .bind(quota.memory.map(|memory| signed(memory.count)))
        .bind(quota.pods.map(i64::from)))
}

/// Removes one, if it has no workloads. One that comes at the same time finds no namespace, or is found here.
pub async fn remove(connection: &mut Connection, name: &Name, expected: Expected) -> Result<()> {
    let Expected::At(expected) = expected else {
        let revision = seen::revision(connection, KEY, name.as_str()).await?;
        return if revision.is_some() { Err(StateError::Exists) } else { Ok(()) };
    };
    let removed = sqlx::query(
        "DELETE FROM namespaces WHERE name = $1 AND revision = $2
             AND NOT EXISTS (SELECT 1 FROM workloads WHERE workloads.namespace = namespaces.name)",
    )
    .bind(name.as_str())
    .bind(signed(expected))
    .execute(&mut *connection)
    .await?;
    if removed.rows_affected() == 1 {
        return Ok(());
    }
    let revision = seen::revision(connection, KEY, name.as_str()).await?;
    Err(if revision == Some(expected) { StateError::NotEmpty(name.clone()) } else { StateError::Changed(revision) })
}

/// Asks for more of a quota, or for less. What is not more is always granted, also where a quota shrank below what was granted before.
const CHARGE: &str = "UPDATE namespaces SET asked_cpu_millis = asked_cpu_millis + $2,
         asked_memory_bytes = asked_memory_bytes + $3, asked_pods = asked_pods + $4
     WHERE name = $1
         AND ($2 <= 0 OR quota_cpu_millis IS NULL OR asked_cpu_millis + $2 <= quota_cpu_millis)
         AND ($3 <= 0 OR quota_memory_bytes IS NULL OR asked_memory_bytes + $3 <= quota_memory_bytes)
         AND ($4 <= 0 OR quota_pods IS NULL OR asked_pods + $4 <= quota_pods)";

/// Changes what is asked of a namespace's quota.
pub async fn charge(connection: &mut Connection, name: &Name, charge: Charge) -> Result<()> {
    loop {
        let charged = sqlx::query(CHARGE)
            .bind(name.as_str())
            .bind(charge.cpu_millis)
            .bind(charge.memory_bytes)
            .bind(charge.pods)
            .execute(&mut *connection)
            .await?;
        if charged.rows_affected() == 1 {
            return Ok(());
        }
        // From here on the row stays as it is: where there is room by now, the second try finds it.
        if let Some(what) = exhausted(connection, name, charge).await? {
            return Err(StateError::OverQuota { namespace: name.clone(), what });
        }
    }
}

async fn exhausted(connection: &mut Connection, name: &Name, charge: Charge) -> Result<Option<&'static str>> {
    let sql = format!("{SELECT} WHERE name = $1{FOR_UPDATE}");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(name.as_str()).fetch_optional(&mut *connection).await?;
    let row = row.ok_or_else(|| StateError::NoNamespace(name.clone()))?;
    let wanted = [("cpu", "quota_cpu_millis", "asked_cpu_millis", charge.cpu_millis)];
    let wanted = wanted.into_iter().chain([
        ("memory", "quota_memory_bytes", "asked_memory_bytes", charge.memory_bytes),
        ("pods", "quota_pods", "asked_pods", charge.pods),
    ]);
    for (what, quota, asked, more) in wanted {
        let (quota, asked): (Option<i64>, i64) = (row.try_get(quota)?, row.try_get(asked)?);
        if more > 0 && quota.is_some_and(|quota| asked.saturating_add(more) > quota) {
            return Ok(Some(what));
        }
    }
    Ok(None)
}

const SELECT: &str = "SELECT revision, spec, quota_cpu_millis, quota_memory_bytes, quota_pods,
         asked_cpu_millis, asked_memory_bytes, asked_pods FROM namespaces";

/// Namespaces by name.
pub async fn list(connection: &mut Connection, slice: &Slice<Name>) -> Result<Vec<NamespaceRow>> {
    let sql = format!("{SELECT} WHERE name > $1 ORDER BY name LIMIT $2");
    let query = sqlx::query(AssertSqlSafe(sql)).bind(slice.after.as_ref().map_or("", Name::as_str)).bind(i64::from(slice.most));
    query.fetch_all(&mut *connection).await?.iter().map(read).collect()
}

/// One namespace.
pub async fn find(connection: &mut Connection, name: &Name) -> Result<Option<NamespaceRow>> {
    let sql = format!("{SELECT} WHERE name = $1");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(name.as_str()).fetch_optional(&mut *connection).await?;
    row.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<NamespaceRow> {
    let asked = Charge {
        cpu_millis: row.try_get("asked_cpu_millis")?,
        memory_bytes: row.try_get("asked_memory_bytes")?,
        pods: row.try_get("asked_pods")?,
    };
    Ok(NamespaceRow { spec: read_json::<NamespaceSpec>(row, "spec")?, revision: unsigned(row, "revision")?, asked })
}
