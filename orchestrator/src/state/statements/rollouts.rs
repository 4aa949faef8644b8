//! From one revision to another.

use longshore_fleet::WorkloadId;
use sqlx::Row as _;

use super::super::super::RolloutRow;
use super::bulk::Bulk;
use super::column::{parse, signed, unsigned};
use super::{Connection, Query, Result, Row};

const PUT: Bulk = Bulk {
    before: "INSERT INTO rollouts (workload, revision, template_revision, state, began, ended) VALUES",
    columns: 6,
    after:
        "ON CONFLICT (workload, revision) DO UPDATE SET template_revision = excluded.template_revision, state = excluded.state,
             began = excluded.began, ended = excluded.ended",
};

/// Puts rollouts.
pub async fn put(connection: &mut Connection, rows: &[&RolloutRow]) -> Result<()> {
    let bind = |query: Query, row: &&RolloutRow| {
        Ok(query
            .bind(row.workload.to_string())
            .bind(signed(row.revision))
            .bind(signed(row.template_revision))
            .bind(row.state.as_str())
            .bind(row.began)
            .bind(row.ended))
    };
    PUT.run(connection, rows, bind).await.map(drop)
}

/// The rollouts of a workload, the newest first.
pub async fn list(connection: &mut Connection, workload: WorkloadId, most: u32) -> Result<Vec<RolloutRow>> {
    let rows = sqlx::query(
        "SELECT workload, revision, template_revision, state, began, ended FROM rollouts
         WHERE workload = $1 ORDER BY revision DESC LIMIT $2",
    )
    .bind(workload.to_string())
    .bind(i64::from(most))
    .fetch_all(&mut *connection)
    .await?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<RolloutRow> {
    Ok(RolloutRow {
        workload: parse(row, "workload")?,
        revision: unsigned(row, "revision")?,
        template_revision: unsigned(row, "template_revision")?,
        state: row.try_get("state")?,
        began: row.try_get("began")?,
        ended: row.try_get("ended")?,
    })
}
