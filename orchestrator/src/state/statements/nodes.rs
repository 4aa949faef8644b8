//! Nodes.

use std::collections::{BTreeMap, BTreeSet};

use longshore_fleet::{NodeId, NodeName};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Row as _};

use super::super::super::{Expected, NodeRow, Slice};
use super::super::EACH_TEXT;
use super::bulk::Bulk;
use super::column::{array, json, optional_json, parse, signed, unsigned};
use super::{Connection, Query, Result, Row, seen};

/// Puts one as callers want it. One that is there keeps what it said of itself, and when it joined.
pub async fn put(connection: &mut Connection, row: &NodeRow, expected: Expected) -> Result<()> {
    match expected {
        Expected::None => {
            let sql = "INSERT INTO nodes (id, name, public_key, revision, is_cordoned, is_draining, facts, joined)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
            let insert = bind(sqlx::query(sql), row).bind(row.facts.as_ref().map(json).transpose()?).bind(row.joined);
            seen::add(connection, insert).await
        }
        Expected::At(revision) => {
            let sql = "UPDATE nodes SET name = $2, public_key = $3, revision = $4, is_cordoned = $5, is_draining = $6
                 WHERE id = $1 AND revision = $7";
            let update = bind(sqlx::query(sql), row).bind(signed(revision));
            seen::change(connection, update, ("nodes", "id"), &row.id.to_string()).await
        }
    }
}

fn bind(query: Query, row: &NodeRow) -> Query {
    query
        .bind(row.id.to_string())
        .bind(row.name.to_string())
        .bind(row.public_key.clone())
        .bind(signed(row.revision))
        .bind(row.is_cordoned)
        .bind(row.is_draining)
}

const PUT_FACTS: Bulk = Bulk {
    before: "UPDATE nodes SET facts = fresh.column2 FROM (VALUES",
    columns: 2,
    after: ") AS fresh WHERE nodes.id = fresh.column1",
};

/// Keeps what nodes said of themselves, where they are still there.
pub async fn put_facts(connection: &mut Connection, facts: &[(NodeId, &Value)]) -> Result<()> {
    let bind = |query: Query, (id, facts): &(NodeId, &Value)| Ok(query.bind(id.to_string()).bind(json(facts)?));
    PUT_FACTS.run(connection, facts, bind).await.map(drop)
}

/// Removes one; its layers go with it.
pub async fn remove(connection: &mut Connection, id: NodeId) -> Result<()> {
    Ok(sqlx::query("DELETE FROM nodes WHERE id = $1").bind(id.to_string()).execute(&mut *connection).await.map(drop)?)
}

const SELECT: &str = "SELECT id, name, public_key, revision, is_cordoned, is_draining, facts, joined FROM nodes";

/// Nodes by name.
pub async fn list(connection: &mut Connection, slice: &Slice<NodeName>) -> Result<Vec<NodeRow>> {
    let sql = format!("{SELECT} WHERE name > $1 ORDER BY name LIMIT $2");
    let after = slice.after.as_ref().map_or("", NodeName::as_str);
    let query = sqlx::query(AssertSqlSafe(sql)).bind(after).bind(i64::from(slice.most));
    query.fetch_all(&mut *connection).await?.iter().map(read).collect()
}

/// One node.
pub async fn find(connection: &mut Connection, id: NodeId) -> Result<Option<NodeRow>> {
    let sql = format!("{SELECT} WHERE id = $1");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id.to_string()).fetch_optional(&mut *connection).await?;
    row.as_ref().map(read).transpose()
}

/// What these are called.
pub async fn names(connection: &mut Connection, ids: &BTreeSet<NodeId>) -> Result<BTreeMap<NodeId, NodeName>> {
    let sql = format!("SELECT id, name FROM nodes WHERE id IN {EACH_TEXT}");
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(array(ids)).fetch_all(&mut *connection).await?;
    rows.iter().map(|row| Ok((parse(row, "id")?, parse(row, "name")?))).collect()
}

/// The node of a name.
pub async fn find_named(connection: &mut Connection, name: &NodeName) -> Result<Option<NodeRow>> {
    let sql = format!("{SELECT} WHERE name = $1");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(name.as_str()).fetch_optional(&mut *connection).await?;
    row.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<NodeRow> {
    Ok(NodeRow {
        id: parse(row, "id")?,
        name: parse(row, "name")?,
        public_key: row.try_get("public_key")?,
        revision: unsigned(row, "revision")?,
        is_cordoned: row.try_get("is_cordoned")?,
        is_draining: row.try_get("is_draining")?,
        facts: optional_json(row, "facts")?,
        joined: row.try_get("joined")?,
    })
}
