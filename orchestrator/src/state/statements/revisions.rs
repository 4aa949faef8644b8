//! What pods were made from.

use std::collections::{BTreeMap, BTreeSet};

use longshore_fleet::{Image, Name, Template, WorkloadId};
use sqlx::{AssertSqlSafe, Row as _};

use super::super::super::{RevisionRow, StateError};
use super::super::{EACH_TEXT, FOR_UPDATE};
use super::column::{array, clean, json, parse, read_json, signed, unsigned};
use super::{Connection, Result, Row};
use crate::schedule::ImageLayers;

/// An image of one platform as it is stored: its os, its architecture, and its layers with their lengths in bytes.
type StoredLayers = (String, String, Vec<(longshore_oci::Digest, u64)>);

/// Puts one.
pub async fn put(connection: &mut Connection, row: &RevisionRow) -> Result<()> {
    let layers: Vec<_> = row.layers.iter().map(|image| (&image.os, &image.architecture, &image.layers)).collect();
    sqlx::query(
        "INSERT INTO revisions (workload, number, template, image, layers, created, author, wanted)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (workload, number) DO UPDATE SET template = excluded.template, image = excluded.image,
             layers = excluded.layers, created = excluded.created, author = excluded.author, wanted = excluded.wanted",
    )
    .bind(row.workload.to_string())
    .bind(signed(row.number))
    .bind(json(&row.template)?)
    .bind(row.image.to_string())
    .bind(json(&layers)?)
    .bind(row.created)
    .bind(row.author.as_deref().map(clean))
    .bind(signed(row.wanted))
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// Notes why the image of one may not run, or that it may.
pub async fn refuse(connection: &mut Connection, workload: WorkloadId, number: u64, why: Option<&str>) -> Result<()> {
    let noted = sqlx::query("UPDATE revisions SET refused = $3 WHERE workload = $1 AND number = $2");
    let noted = noted.bind(workload.to_string()).bind(signed(number)).bind(why.map(clean));
    Ok(noted.execute(&mut *connection).await.map(drop)?)
}

/// Removes one, unless its workload's pods are to be made from it. Whoever goes back to it at this moment has the workload's row, and is
/// waited for; whoever does so later waits here, and puts the revision again.
pub async fn remove(connection: &mut Connection, workload: WorkloadId, number: u64) -> Result<()> {
    let sql = format!("SELECT template_revision FROM workloads WHERE id = $1{FOR_UPDATE}");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(workload.to_string()).fetch_optional(&mut *connection).await?;
    if let Some(row) = row
        && unsigned(&row, "template_revision")? == number
    {
        return Ok(());
    }
    let removed = sqlx::query("DELETE FROM revisions WHERE workload = $1 AND number = $2");
    Ok(removed.bind(workload.to_string()).bind(signed(number)).execute(&mut *connection).await.map(drop)?)
}

/// What pods are made from at a revision; `None` where there is none of this number.
pub async fn template(connection: &mut Connection, workload: WorkloadId, number: u64) -> Result<Option<Template>> {
    let query = sqlx::query("SELECT template FROM revisions WHERE workload = $1 AND number = $2");
    let row = query.bind(workload.to_string()).bind(signed(number)).fetch_optional(&mut *connection).await?;
    row.map(|row| read_json(&row, "template")).transpose()
}

/// The revisions of a workload, the newest first.
pub async fn list(connection: &mut Connection, workload: WorkloadId) -> Result<Vec<RevisionRow>> {
    page(connection, workload, None, u32::MAX).await
}

/// Those whose number is below one, the newest first.
pub async fn page(connection: &mut Connection, workload: WorkloadId, below: Option<u64>, most: u32) -> Result<Vec<RevisionRow>> {
    let rows = sqlx::query(
        "SELECT workload, number, template, image, layers, created, author, wanted, refused FROM revisions
         WHERE workload = $1 AND number < $2 ORDER BY number DESC LIMIT $3",
    )
    .bind(workload.to_string())
    .bind(below.map_or(i64::MAX, signed))
    .bind(i64::from(most))
    .fetch_all(&mut *connection)
    .await?;
    rows.iter().map(read).collect()
}

/// The names of workloads, and the images of these revisions of theirs.
pub async fn owners(
    connection: &mut Connection,
    of: &BTreeSet<(WorkloadId, u64)>,
) -> Result<BTreeMap<(WorkloadId, u64), (Name, Image)>> {
    let workloads: BTreeSet<WorkloadId> = of.iter().map(|(workload, _)| *workload).collect();
    let sql = format!(
        "SELECT revisions.workload, revisions.number, revisions.template, workloads.name
         FROM revisions JOIN workloads ON workloads.id = revisions.workload WHERE revisions.workload IN {EACH_TEXT}"
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(array(workloads)).fetch_all(&mut *connection).await?;
    let mut owners = BTreeMap::new();
    for row in &rows {
        let key = (parse(row, "workload")?, unsigned(row, "number")?);
        if of.contains(&key) {
            let Template { image, .. } = read_json(row, "template")?;
            owners.insert(key, (parse(row, "name")?, image));
        }
    }
    Ok(owners)
}

fn read(row: &Row) -> Result<RevisionRow> {
    let layers: Vec<StoredLayers> = read_json(row, "layers")?;
    let layers = layers.into_iter().map(|(os, architecture, layers)| ImageLayers { os, architecture, layers }).collect();
    let image: String = row.try_get("image")?;
    Ok(RevisionRow {
        workload: parse(row, "workload")?,
        number: unsigned(row, "number")?,
        wanted: unsigned(row, "wanted")?,
        template: read_json(row, "template")?,
        image: image.parse().map_err(|_| StateError::Unreadable { column: "image", value: image })?,
        layers,
        created: row.try_get("created")?,
        author: row.try_get("author")?,
        refused: row.try_get("refused")?,
    })
}
