//! Who leads: one row.
//!
//! A transaction of a term keeps the row from who would begin the next, and not from its own leader, who keeps the lead meanwhile.

use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use super::super::super::{Lease, LeaseWish, StateError};
use super::super::{FOR_KEY_SHARE, FOR_UPDATE, now};
use super::column::{optional, signed, unsigned};
use super::{Connection, Result};

struct Held {
    holder: Option<Uuid>,
    address: String,
    term: u64,
    until: i64,
}

async fn read(connection: &mut Connection, lock: &str) -> Result<Held> {
    let sql = format!("SELECT holder, address, term, until FROM lease{lock}");
    let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut *connection).await?;
    let (holder, term) = (optional(&row, "holder")?, unsigned(&row, "term")?);
    Ok(Held { holder, address: row.try_get("address")?, term, until: row.try_get("until")? })
}

/// Who leads, if anybody does.
pub async fn find(connection: &mut Connection) -> Result<Option<Lease>> {
    let Held { holder, address, term, until } = read(connection, "").await?;
    let Some(holder) = holder else { return Ok(None) };
    Ok(Some(Lease { holder, address, term, remaining_ms: (until - now(connection).await?) / 1000 }))
}

/// Takes the lead, keeps it, or learns who has it. Nobody is waited for but by who takes it: for transactions of the term before. The time
/// is asked after that, which may have taken long.
pub async fn take(connection: &mut Connection, wish: &LeaseWish) -> Result<Lease> {
    if let Some(term) = keep(connection, wish).await? {
        return Ok(granted(wish, term));
    }
    let held = read(connection, "").await?;
    if let Some(lease) = another(connection, held, wish).await? {
        return Ok(lease);
    }
    let held = read(connection, FOR_UPDATE).await?;
    let term = held.term + u64::from(held.holder != Some(wish.holder));
    if let Some(lease) = another(connection, held, wish).await? {
        return Ok(lease);
    }
    sqlx::query("UPDATE lease SET holder = $1, address = $2, term = $3, until = $4")
        .bind(wish.holder.to_string())
        .bind(wish.address.as_str())
        .bind(signed(term))
        .bind(end(connection, wish).await?)
        .execute(&mut *connection)
        .await?;
    Ok(granted(wish, term))
}

/// Keeps the lead for longer, if it is this holder's; the term.
async fn keep(connection: &mut Connection, wish: &LeaseWish) -> Result<Option<u64>> {
    let until = end(connection, wish).await?;
    let row = sqlx::query("UPDATE lease SET address = $2, until = $3 WHERE holder = $1 RETURNING term")
        .bind(wish.holder.to_string())
        .bind(wish.address.as_str())
        .bind(until)
        .fetch_optional(&mut *connection)
        .await?;
    row.map(|row| unsigned(&row, "term")).transpose()
}

async fn end(connection: &mut Connection, wish: &LeaseWish) -> Result<i64> {
    Ok(now(connection).await?.saturating_add(wish.length_ms.saturating_mul(1000)))
}

fn granted(wish: &LeaseWish, term: u64) -> Lease {
    Lease { holder: wish.holder, address: wish.address.clone(), term, remaining_ms: wish.length_ms }
}

/// Another's lead that has not run out.
async fn another(connection: &mut Connection, held: Held, wish: &LeaseWish) -> Result<Option<Lease>> {
    let Some(holder) = held.holder.filter(|holder| *holder != wish.holder) else { return Ok(None) };
    let remaining_us = held.until - now(connection).await?;
    let lease = Lease { holder, address: held.address, term: held.term, remaining_ms: remaining_us / 1000 };
    Ok((remaining_us > 0).then_some(lease))
}

/// Gives the lead up. The term stays: the next is greater.
pub async fn resign(connection: &mut Connection, holder: Uuid) -> Result<()> {
    let resigned = sqlx::query("UPDATE lease SET holder = NULL WHERE holder = $1").bind(holder.to_string());
    Ok(resigned.execute(&mut *connection).await.map(drop)?)
}

/// Proves that a term is the last and was not given up, and keeps it so until the transaction ends: whoever would begin the next waits for that.
pub async fn prove(connection: &mut Connection, term: u64) -> Result<()> {
    let held = read(connection, FOR_KEY_SHARE).await?;
    if held.term == term && held.holder.is_some() { Ok(()) } else { Err(StateError::Fenced) }
}

/// Notes a batch of a term. False where it, or one after it, was written before.
pub async fn note(connection: &mut Connection, term: u64, number: u64) -> Result<bool> {
    let noted = sqlx::query("UPDATE committed SET term = $1, number = $2 WHERE term < $1 OR (term = $1 AND number < $2)")
        .bind(signed(term))
        .bind(signed(number))
        .execute(&mut *connection)
        .await?;
    Ok(noted.rows_affected() == 1)
}
