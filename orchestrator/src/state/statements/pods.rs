//! Pods, the most rows that there are.

use std::collections::BTreeMap;

use longshore_fleet::{Phase, PodId, WorkloadId};
use sqlx::{AssertSqlSafe, QueryBuilder, Row as _};

use super::super::super::{PodFilter, PodRow, Slice};
use super::super::EACH_TEXT;
use super::bulk::Bulk;
use super::column::{array, clean, json, optional, optional_unsigned, parse, read_json, signed, small, unsigned};
use super::{Connection, Db, Query, Result, Row};

const PUT: Bulk = Bulk {
    before: "INSERT INTO pods (id, name, namespace, workload, revision, node, phase, state, missing_bytes, created, bound,
             end_within_seconds) VALUES",
    columns: 12,
    after: "ON CONFLICT (id) DO UPDATE SET name = excluded.name, namespace = excluded.namespace, workload = excluded.workload,
             revision = excluded.revision, node = excluded.node, phase = excluded.phase, state = excluded.state,
             missing_bytes = excluded.missing_bytes, created = excluded.created, bound = excluded.bound,
             end_within_seconds = excluded.end_within_seconds",
};

/// Puts pods.
pub async fn put(connection: &mut Connection, rows: &[&PodRow]) -> Result<()> {
    let bind = |query: Query, row: &&PodRow| {
        Ok(query
            .bind(row.id.to_string())
            .bind(clean(&row.name))
            .bind(row.namespace.as_str())
            .bind(row.workload.to_string())
            .bind(signed(row.revision))
            .bind(row.node.map(|node| node.to_string()))
            .bind(row.state.phase.to_string())
            .bind(json(&row.state)?)
            .bind(row.missing_bytes.map(signed))
            .bind(row.created)
            .bind(row.bound)
            .bind(row.end_within_seconds.map(i64::from)))
    };
    PUT.run(connection, rows, bind).await.map(drop)
}

/// Removes pods.
pub async fn remove(connection: &mut Connection, ids: &[PodId]) -> Result<()> {
    let sql = format!("DELETE FROM pods WHERE id IN {EACH_TEXT}");
    Ok(sqlx::query(AssertSqlSafe(sql)).bind(array(ids)).execute(&mut *connection).await.map(drop)?)
}

const SELECT: &str =
    "SELECT id, name, namespace, workload, revision, node, state, missing_bytes, created, bound, end_within_seconds
     FROM pods";

/// Pods by id.
pub async fn list(connection: &mut Connection, filter: &PodFilter, slice: &Slice<PodId>) -> Result<Vec<PodRow>> {
    let mut query = QueryBuilder::<Db>::new(SELECT);
    query.push(" WHERE id > ").push_bind(slice.after.map_or_else(String::new, |id| id.to_string()));
    // What is the narrowest comes first, and is looked up; the rest is compared, and kept from tempting the database with its index.
    let texts = [
        ("name", filter.name.as_deref().map(|name| clean(name).into_owned())),
        ("node", filter.node.map(|id| id.to_string())),
        ("workload", filter.workload.map(|id| id.to_string())),
        ("namespace", filter.namespace.as_ref().map(ToString::to_string)),
        ("phase", filter.phase.map(|phase| phase.to_string())),
    ];
    let asked = texts.into_iter().filter_map(|(column, value)| Some((column, value?)));
    for (place, (column, value)) in asked.enumerate() {
        let column = if place == 0 { format!(" AND {column} = ") } else { format!(" AND COALESCE({column}, '') = ") };
        query.push(column).push_bind(value);
    }
    query.push(" ORDER BY id LIMIT ").push_bind(i64::from(slice.most));
    query.build().fetch_all(&mut *connection).await?.iter().map(read).collect()
}

/// How many there are of each revision of a workload, those that have ended or are to end aside.
pub async fn count(connection: &mut Connection, workload: WorkloadId) -> Result<BTreeMap<u64, u32>> {
    let rows = sqlx::query(
        "SELECT revision, COUNT(*) AS pods FROM pods
         WHERE workload = $1 AND end_within_seconds IS NULL AND phase NOT IN ($2, $3) GROUP BY revision",
    )
    .bind(workload.to_string())
    .bind(Phase::Succeeded.to_string())
    .bind(Phase::Failed.to_string())
    .fetch_all(&mut *connection)
    .await?;
    rows.iter().map(|row| Ok((unsigned(row, "revision")?, small(row, "pods")?))).collect()
}

/// One pod.
pub async fn find(connection: &mut Connection, id: PodId) -> Result<Option<PodRow>> {
    let sql = format!("{SELECT} WHERE id = $1");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id.to_string()).fetch_optional(&mut *connection).await?;
    row.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<PodRow> {
    let end_within_seconds: Option<i64> = row.try_get("end_within_seconds")?;
    Ok(PodRow {
        id: parse(row, "id")?,
        name: row.try_get("name")?,
        namespace: parse(row, "namespace")?,
        workload: parse(row, "workload")?,
        revision: unsigned(row, "revision")?,
        node: optional(row, "node")?,
        state: read_json(row, "state")?,
        missing_bytes: optional_unsigned(row, "missing_bytes")?,
        created: row.try_get("created")?,
        bound: row.try_get("bound")?,
        end_within_seconds: end_within_seconds.map(|_| small(row, "end_within_seconds")).transpose()?,
    })
}
