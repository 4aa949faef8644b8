//! Who asked for what, and what became of it.

use sqlx::Row as _;

use super::super::super::AuditLine;
use super::bulk::Bulk;
use super::column::{clean, signed, unsigned};
use super::{Connection, Result, Row};

const ADD: Bulk = Bulk {
    before: "INSERT INTO audit (at, account, address, request, subject, outcome, request_id) VALUES",
    columns: 7,
    after: "",
};

/// Adds lines.
pub async fn add(connection: &mut Connection, lines: &[AuditLine]) -> Result<()> {
    let bind = |query: super::Query, line: &AuditLine| {
        Ok(query
            .bind(line.at)
            .bind(clean(&line.account))
            .bind(line.address.as_deref().map(clean))
            .bind(clean(&line.request))
            .bind(clean(&line.subject))
            .bind(clean(&line.outcome))
            .bind(line.request_id.as_deref().map(clean)))
    };
    ADD.run(connection, lines, bind).await.map(drop)
}

/// Lines with their numbers, the newest first, before a number.
pub async fn list(connection: &mut Connection, before: Option<u64>, most: u32) -> Result<Vec<(u64, AuditLine)>> {
    let rows = sqlx::query(
        "SELECT number, at, account, address, request, subject, outcome, request_id FROM audit
         WHERE number < $1 ORDER BY number DESC LIMIT $2",
    )
    .bind(before.map_or(i64::MAX, signed))
    .bind(i64::from(most))
    .fetch_all(&mut *connection)
    .await?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<(u64, AuditLine)> {
    let line = AuditLine {
        at: row.try_get("at")?,
        account: row.try_get("account")?,
        address: row.try_get("address")?,
        request: row.try_get("request")?,
        subject: row.try_get("subject")?,
        outcome: row.try_get("outcome")?,
        request_id: row.try_get("request_id")?,
    };
    Ok((unsigned(row, "number")?, line))
}
