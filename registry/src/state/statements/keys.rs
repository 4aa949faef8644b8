//! The registry's own keys, sealed.

use jiff::Timestamp;
use sqlx::Row as _;

use super::super::super::{StateError, StoredKey};
use super::{Connection, Result, signed, unsigned};

/// All of them, in the order of their generations.
pub async fn list(connection: &mut Connection) -> Result<Vec<StoredKey>> {
    let rows = sqlx::query("SELECT generation, public_key, sealed, signs_from FROM signing_keys ORDER BY generation")
        .fetch_all(&mut *connection)
        .await?;
    let read = |row: &super::Row| {
        let signs_from: i64 = row.try_get("signs_from")?;
        let unreadable = |_| StateError::Unreadable { column: "signs_from", value: signs_from.to_string() };
        Ok(StoredKey {
            generation: unsigned(row, "generation")?,
            public: row.try_get("public_key")?,
            sealed: row.try_get("sealed")?,
            signs_from: Timestamp::from_microsecond(signs_from).map_err(unreadable)?,
        })
    };
    rows.iter().map(read).collect()
}

/// Adds one. False where there is one of its generation, or of a later one.
pub async fn add(connection: &mut Connection, key: &StoredKey) -> Result<bool> {
    let added = sqlx::query(
        "INSERT INTO signing_keys (generation, public_key, sealed, signs_from) SELECT $1, $2, $3, $4
         WHERE NOT EXISTS (SELECT 1 FROM signing_keys WHERE generation >= $1) ON CONFLICT (generation) DO NOTHING",
    )
    .bind(signed(key.generation))
    .bind(key.public.as_str())
    .bind(key.sealed.as_slice())
    .bind(key.signs_from.as_microsecond())
    .execute(&mut *connection)
    .await?;
    Ok(added.rows_affected() == 1)
}

/// Drops those of generations before this.
pub async fn drop_before(connection: &mut Connection, generation: u64) -> Result<()> {
    sqlx::query("DELETE FROM signing_keys WHERE generation < $1").bind(signed(generation)).execute(&mut *connection).await?;
    Ok(())
}
