//! Workloads: what is wanted, and how it is.

use std::collections::BTreeMap;

use longshore_fleet::{Name, WorkloadId, WorkloadKind, api::WorkloadStatus};
use sqlx::{AssertSqlSafe, QueryBuilder, Row as _};

use super::super::super::{Charge, Expected, Slice, StateError, WorkloadFilter, WorkloadRow};
use super::super::{EACH_TEXT, FOR_UPDATE};
use super::bulk::Bulk;
use super::column::{array, json, parse, read_json, signed, unsigned};
use super::{Connection, Db, Query, Result, Row, namespaces, revisions, seen};
use crate::charge;

/// Puts one as it is wanted. One that is there keeps its status, and when it was made.
pub async fn put(connection: &mut Connection, row: &WorkloadRow, expected: Expected) -> Result<()> {
    let put = match expected {
        Expected::None => {
            let sql = "INSERT INTO workloads (id, namespace, name, revision, template_revision, spec, updated, deleted, kind, created, status)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING";
            let insert = bind(sqlx::query(sql), row)?.bind(row.id.kind.to_string()).bind(row.created).bind(json(&row.status)?);
            seen::add(connection, insert).await
        }
        Expected::At(revision) => {
            let sql =
                "UPDATE workloads SET namespace = $2, name = $3, revision = $4, template_revision = $5, spec = $6, updated = $7,
                     deleted = $8
                 WHERE id = $1 AND revision = $9";
            let update = bind(sqlx::query(sql), row)?.bind(signed(revision));
            seen::change(connection, update, ("workloads", "id"), &row.id.to_string()).await
        }
    };
    match put {
        Err(StateError::Refused(error)) if names_none(&error) => Err(StateError::NoNamespace(row.namespace.clone())),
        put => put,
    }
}

fn bind(query: Query, row: &WorkloadRow) -> Result<Query> {
    Ok(query
        .bind(row.id.to_string())
        .bind(row.namespace.to_string())
        .bind(row.name.to_string())
        .bind(signed(row.revision))
        .bind(signed(row.template_revision))
        .bind(json(&row.spec)?)
        .bind(row.updated)
        .bind(row.deleted))
}

/// Whether what was put names a row that there is not: a workload names its namespace.
fn names_none(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_foreign_key_violation)
}

const PUT_STATUSES: Bulk = Bulk {
    before: "UPDATE workloads SET status = fresh.column2 FROM (VALUES",
    columns: 2,
    after: ") AS fresh WHERE workloads.id = fresh.column1",
};

/// Says how workloads are, where they are still there.
pub async fn put_statuses(connection: &mut Connection, statuses: &[(WorkloadId, &WorkloadStatus)]) -> Result<()> {
    let bind = |query: Query, (id, status): &(WorkloadId, &WorkloadStatus)| Ok(query.bind(id.to_string()).bind(json(status)?));
    PUT_STATUSES.run(connection, statuses, bind).await.map(drop)
}

/// Removes workloads, with what they still ask of quotas, and then what hangs on them: whoever changed one until a moment ago has put that before.
pub async fn remove(connection: &mut Connection, ids: &[WorkloadId]) -> Result<()> {
    let ids = array(ids);
    let released = released(connection, &ids).await?;
    for (table, column) in [("workloads", "id"), ("revisions", "workload"), ("rollouts", "workload")] {
        let sql = format!("DELETE FROM {table} WHERE {column} IN {EACH_TEXT}");
        sqlx::query(AssertSqlSafe(sql)).bind(ids.as_str()).execute(&mut *connection).await?;
    }
    for (namespace, charge) in released {
        namespaces::charge(connection, &namespace, charge).await?;
    }
    Ok(())
}

/// What is not asked of namespaces' quotas any more once these workloads are gone. Whoever had one deleted has given back what it asked
/// for; a job that goes by itself does so now.
async fn released(connection: &mut Connection, ids: &str) -> Result<BTreeMap<Name, Charge>> {
    let sql = format!("{SELECT} WHERE deleted IS NULL AND id IN {EACH_TEXT}{FOR_UPDATE}");
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(ids).fetch_all(&mut *connection).await?;
    let mut released: BTreeMap<Name, Charge> = BTreeMap::new();
    for row in &rows {
        let row = read(row)?;
        let Some(template) = revisions::template(connection, row.id, row.template_revision).await? else { continue };
        let asked = charge::of_stored(row.id.kind, &row.spec, &template);
        let before = released.remove(&row.namespace).unwrap_or_default();
        released.insert(row.namespace, charge::difference(before, asked));
    }
    Ok(released)
}

const SELECT: &str =
    "SELECT id, namespace, name, revision, template_revision, spec, created, updated, deleted, status FROM workloads";

/// Workloads by id.
pub async fn list(connection: &mut Connection, filter: &WorkloadFilter, slice: &Slice<WorkloadId>) -> Result<Vec<WorkloadRow>> {
    let mut query = QueryBuilder::<Db>::new(SELECT);
    query.push(" WHERE id > ").push_bind(slice.after.map_or_else(String::new, |id| id.to_string()));
    if let Some(kind) = filter.kind {
        query.push(" AND kind = ").push_bind(kind.to_string());
    }
    if let Some(namespace) = &filter.namespace {
        query.push(" AND namespace = ").push_bind(namespace.as_str());
    }
    query.push(" ORDER BY id LIMIT ").push_bind(i64::from(slice.most));
    query.build().fetch_all(&mut *connection).await?.iter().map(read).collect()
}

/// One workload.
pub async fn find(connection: &mut Connection, id: WorkloadId) -> Result<Option<WorkloadRow>> {
    let sql = format!("{SELECT} WHERE id = $1");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id.to_string()).fetch_optional(&mut *connection).await?;
    row.as_ref().map(read).transpose()
}

/// The workload of a name.
pub async fn find_named(
    connection: &mut Connection,
    kind: WorkloadKind,
    namespace: &Name,
    name: &Name,
) -> Result<Option<WorkloadRow>> {
    let sql = format!("{SELECT} WHERE namespace = $1 AND kind = $2 AND name = $3");
    let query = sqlx::query(AssertSqlSafe(sql)).bind(namespace.as_str()).bind(kind.to_string()).bind(name.as_str());
    query.fetch_optional(&mut *connection).await?.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<WorkloadRow> {
    Ok(WorkloadRow {
        id: parse(row, "id")?,
        namespace: parse(row, "namespace")?,
        name: parse(row, "name")?,
        revision: unsigned(row, "revision")?,
        template_revision: unsigned(row, "template_revision")?,
        spec: read_json(row, "spec")?,
        created: row.try_get("created")?,
        updated: row.try_get("updated")?,
        deleted: row.try_get("deleted")?,
        status: read_json(row, "status")?,
    })
}
