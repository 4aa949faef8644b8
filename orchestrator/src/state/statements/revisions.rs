//! What pods were made from.

use longshore_fleet::WorkloadId;
use sqlx::Row as _;

use super::super::super::{RevisionRow, StateError};
use super::column::{clean, json, parse, read_json, signed, unsigned};
use super::{Connection, Result, Row};
use crate::schedule::ImageLayers;

/// An image of one platform as it is stored: its os, its architecture, and its layers with their lengths in bytes.
type StoredLayers = (String, String, Vec<(longshore_oci::Digest, u64)>);

/// Puts one.
pub async fn put(connection: &mut Connection, row: &RevisionRow) -> Result<()> {
    let layers: Vec<_> = row.layers.iter().map(|image| (&image.os, &image.architecture, &image.layers)).collect();
    sqlx::query(
        "INSERT INTO revisions (workload, number, template, image, layers, created, author) VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (workload, number) DO UPDATE SET template = excluded.template, image = excluded.image,
             layers = excluded.layers, created = excluded.created, author = excluded.author",
    )
    .bind(row.workload.to_string())
    .bind(signed(row.number))
    .bind(json(&row.template)?)
    .bind(row.image.to_string())
    .bind(json(&layers)?)
    .bind(row.created)
    .bind(row.author.as_deref().map(clean))
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

/// Removes one.
pub async fn remove(connection: &mut Connection, workload: WorkloadId, number: u64) -> Result<()> {
    let removed = sqlx::query("DELETE FROM revisions WHERE workload = $1 AND number = $2");
    Ok(removed.bind(workload.to_string()).bind(signed(number)).execute(&mut *connection).await.map(drop)?)
}

/// The revisions of a workload, the newest first.
pub async fn list(connection: &mut Connection, workload: WorkloadId) -> Result<Vec<RevisionRow>> {
    let rows = sqlx::query(
        "SELECT workload, number, template, image, layers, created, author, refused FROM revisions
         WHERE workload = $1 ORDER BY number DESC",
    )
    .bind(workload.to_string())
    .fetch_all(&mut *connection)
    .await?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<RevisionRow> {
    let layers: Vec<StoredLayers> = read_json(row, "layers")?;
    let layers = layers.into_iter().map(|(os, architecture, layers)| ImageLayers { os, architecture, layers }).collect();
    let image: String = row.try_get("image")?;
    Ok(RevisionRow {
        workload: parse(row, "workload")?,
        number: unsigned(row, "number")?,
        template: read_json(row, "template")?,
        image: image.parse().map_err(|_| StateError::Unreadable { column: "image", value: image })?,
        layers,
        created: row.try_get("created")?,
        author: row.try_get("author")?,
        refused: row.try_get("refused")?,
    })
}
