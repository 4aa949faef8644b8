//! Which layers are on which nodes. A layer has a number, and a node has a list of numbers: four bytes for each of its layers.
//!
//! Layers that no node has any more are looked for outside of a transaction, since all nodes' lists are read for that, and dropped in one.
//! It drops none that a list names which came in between: each list has the version at which it was written, and whoever writes lists
//! or drops layers is alone with the version until its transaction ends.

use std::collections::BTreeSet;

use longshore_fleet::NodeId;
use longshore_oci::Digest;
use rustc_hash::{FxHashMap, FxHashSet};
use sqlx::{AssertSqlSafe, Row as _};

use super::super::super::{LayerRow, StateError};
use super::super::{EACH_NUMBER, EACH_TEXT, FOR_UPDATE};
use super::bulk::Bulk;
use super::column::{array, parse, signed, small, unsigned};
use super::{Connection, Query, Result, Row};

/// How many layers are looked up at once.
const LOOKUP: usize = 10_000;
/// How many nodes' lists are read at once.
const LISTS: i64 = 500;

const ADD: Bulk =
    Bulk { before: "INSERT INTO layers (digest, size_bytes) VALUES", columns: 2, after: "ON CONFLICT (digest) DO NOTHING" };

const PUT: Bulk = Bulk {
    before: "INSERT INTO node_layers (node, numbers, version)
         SELECT fresh.column1, fresh.column2, fresh.column3 FROM (VALUES",
    columns: 3,
    after: ") AS fresh WHERE EXISTS (SELECT 1 FROM nodes WHERE nodes.id = fresh.column1)
         ON CONFLICT (node) DO UPDATE SET numbers = excluded.numbers, version = excluded.version",
};

/// Puts all layers of these nodes, where they are still there.
pub async fn put(connection: &mut Connection, nodes: &[(NodeId, &[LayerRow])]) -> Result<()> {
    let head = sqlx::query("UPDATE layers_head SET version = version + 1 RETURNING version").fetch_one(&mut *connection).await?;
    let version = unsigned(&head, "version")?;
    let mut layers = FxHashMap::default();
    for layer in nodes.iter().flat_map(|(_, layers)| *layers) {
        layers.entry(&layer.digest).or_insert(layer.size_bytes);
    }
    let numbers = number(connection, layers).await?;
    let bind = |query: Query, (id, layers): &(NodeId, &[LayerRow])| {
        let bytes: Vec<u8> =
            layers.iter().filter_map(|layer| numbers.get(&layer.digest)).flat_map(|number| number.to_le_bytes()).collect();
        Ok(query.bind(id.to_string()).bind(bytes).bind(signed(version)))
    };
    PUT.run(connection, nodes, bind).await.map(drop)
}

/// The numbers of layers; those that have none get one.
async fn number(connection: &mut Connection, layers: FxHashMap<&Digest, u64>) -> Result<FxHashMap<Digest, u32>> {
    let mut numbers = FxHashMap::default();
    find_numbers(connection, layers.keys().copied(), &mut numbers).await?;
    let missing: Vec<_> = layers.into_iter().filter(|(digest, _)| !numbers.contains_key(*digest)).collect();
    let bind = |query: Query, (digest, size_bytes): &(&Digest, u64)| Ok(query.bind(digest.to_string()).bind(signed(*size_bytes)));
    ADD.run(connection, &missing, bind).await?;
    find_numbers(connection, missing.into_iter().map(|(digest, _)| digest), &mut numbers).await?;
    Ok(numbers)
}

async fn find_numbers<'d>(
    connection: &mut Connection,
    digests: impl Iterator<Item = &'d Digest>,
    numbers: &mut FxHashMap<Digest, u32>,
) -> Result<()> {
    let digests: Vec<_> = digests.collect();
    let sql = format!("SELECT number, digest FROM layers WHERE digest IN {EACH_TEXT}");
    for digests in digests.chunks(LOOKUP) {
        let query = sqlx::query(AssertSqlSafe(sql.as_str().to_owned())).bind(array(digests));
        for row in query.fetch_all(&mut *connection).await? {
            numbers.insert(parse(&row, "digest")?, small(&row, "number")?);
        }
    }
    Ok(())
}

/// The layers of a node.
pub async fn of_node(connection: &mut Connection, node: NodeId) -> Result<Vec<LayerRow>> {
    let sql = "SELECT node, numbers FROM node_layers WHERE node = $1";
    let rows = sqlx::query(sql).bind(node.to_string()).fetch_all(&mut *connection).await?;
    Ok(resolve(connection, &rows).await?.pop().map(|(_, layers)| layers).unwrap_or_default())
}

/// The layers of all nodes that have any, by node.
pub async fn list(connection: &mut Connection, after: Option<NodeId>, most: u32) -> Result<Vec<(NodeId, Vec<LayerRow>)>> {
    let rows = lists(connection, after.map_or_else(String::new, |id| id.to_string()), i64::from(most)).await?;
    resolve(connection, &rows).await
}

async fn lists(connection: &mut Connection, after: String, most: i64) -> Result<Vec<Row>> {
    let sql = "SELECT node, numbers FROM node_layers WHERE node > $1 ORDER BY node LIMIT $2";
    Ok(sqlx::query(sql).bind(after).bind(most).fetch_all(&mut *connection).await?)
}

/// What lists of numbers stand for. A layer that is not found was dropped after the list was read: its node has it no more.
async fn resolve(connection: &mut Connection, rows: &[Row]) -> Result<Vec<(NodeId, Vec<LayerRow>)>> {
    let mut nodes = Vec::with_capacity(rows.len());
    for row in rows {
        nodes.push((parse(row, "node")?, read_numbers(row)?));
    }
    let distinct: BTreeSet<u32> = nodes.iter().flat_map(|(_, numbers)| numbers).copied().collect();
    let distinct: Vec<_> = distinct.into_iter().collect();
    let sql = format!("SELECT number, digest, size_bytes FROM layers WHERE number IN {EACH_NUMBER}");
    let mut layers: FxHashMap<u32, LayerRow> = FxHashMap::default();
    for numbers in distinct.chunks(LOOKUP) {
        let query = sqlx::query(AssertSqlSafe(sql.clone())).bind(super::column::json(&numbers)?);
        for row in query.fetch_all(&mut *connection).await? {
            let layer = LayerRow { digest: parse(&row, "digest")?, size_bytes: unsigned(&row, "size_bytes")? };
            layers.insert(small(&row, "number")?, layer);
        }
    }
    let of = |numbers: Vec<u32>| numbers.iter().filter_map(|number| layers.get(number).cloned()).collect();
    Ok(nodes.into_iter().map(|(id, numbers)| (id, of(numbers))).collect())
}

fn read_numbers(row: &Row) -> Result<Vec<u32>> {
    let bytes: &[u8] = row.try_get("numbers")?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(StateError::Unreadable { column: "numbers", value: format!("of {} bytes", bytes.len()) });
    }
    Ok(numbers.iter().map(|number| u32::from_le_bytes(*number)).collect())
}

/// Layers that no list of a version or before names.
#[derive(Default)]
pub struct Unnamed {
    version: u64,
    numbers: FxHashSet<u32>,
}

/// Looks for layers that no node has; at most so many.
pub async fn unnamed(connection: &mut Connection, most: u32) -> Result<Unnamed> {
    let head = sqlx::query("SELECT version FROM layers_head").fetch_one(&mut *connection).await?;
    let version = unsigned(&head, "version")?;
    let named = named(connection).await?;
    let (mut numbers, mut after) = (FxHashSet::default(), 0_i64);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    loop {
        let sql = "SELECT number FROM layers WHERE number > $1 ORDER BY number LIMIT $2";
        let rows = sqlx::query(sql).bind(after).bind(signed(LOOKUP as u64)).fetch_all(&mut *connection).await?;
        let Some(last) = rows.last() else { break };
        after = last.try_get("number")?;
        for row in &rows {
            let number = small(row, "number")?;
            if numbers.len() < most && !named.contains(&number) {
                numbers.insert(number);
            }
        }
        if numbers.len() == most {
            break;
        }
    }
    Ok(Unnamed { version, numbers })
}

async fn named(connection: &mut Connection) -> Result<FxHashSet<u32>> {
    let (mut named, mut after) = (FxHashSet::default(), String::new());
    loop {
        let rows = lists(connection, after, LISTS).await?;
        let Some(last) = rows.last() else { return Ok(named) };
        after = last.try_get("node")?;
        for row in &rows {
            named.extend(read_numbers(row)?);
        }
    }
}

/// Drops layers that were found to be no node's, but for those that are one's by now; how many.
pub async fn drop_unnamed(connection: &mut Connection, unnamed: &Unnamed) -> Result<u64> {
    if unnamed.numbers.is_empty() {
        return Ok(0);
    }
    let lock = format!("SELECT version FROM layers_head{FOR_UPDATE}");
    sqlx::query(AssertSqlSafe(lock)).execute(&mut *connection).await?;
    let sql = "SELECT numbers FROM node_layers WHERE version > $1";
    let mut numbers = unnamed.numbers.clone();
    for row in sqlx::query(sql).bind(signed(unnamed.version)).fetch_all(&mut *connection).await? {
        for number in read_numbers(&row)? {
            numbers.remove(&number);
        }
    }
    let sql = format!("DELETE FROM layers WHERE number IN {EACH_NUMBER}");
    let dropped = sqlx::query(AssertSqlSafe(sql)).bind(super::column::json(&numbers)?);
    Ok(dropped.execute(&mut *connection).await?.rows_affected())
}
