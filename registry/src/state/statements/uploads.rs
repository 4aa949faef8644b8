//! Uploads: begun, claimed, checkpointed, and ended one way or another.

use jiff::Timestamp;
use longshore_oci::{Algorithm, Digest, HashState, Hasher, RepositoryName};
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use super::super::super::{
    Assembly, Cancelled, Checkpoint, Claim, ClaimWish, Claimed, Garbage, NewUpload, StateError, StoredBlob, Tail, UploadPart,
    UploadStatus,
    upload::{parts_key, tail_key},
};
use super::{Connection, Result, Row, garbage, parse, signed, unsigned};
use crate::storage::{ObjectKey, PartTag, PartsId};

/// Begins an upload.
pub async fn create(connection: &mut Connection, upload: &NewUpload) -> Result<()> {
    let now = Timestamp::now().as_microsecond();
    sqlx::query(
        "INSERT INTO uploads (id, repository, algorithm, part_bytes, generation, claim, claimed_until, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
    )
    .bind(upload.id.simple().to_string())
    .bind(upload.repository.as_str())
    .bind(upload.algorithm.name())
    .bind(signed(upload.part_bytes))
    .bind(i64::from(upload.claim.is_some()))
    .bind(upload.claim.map(|(claim, _)| claim.simple().to_string()))
    .bind(upload.claim.map_or(0, |(_, lease_us)| now + lease_us))
    .bind(now)
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// Takes an upload for one writer, where nobody holds it. How its content is hashed is part of its keys, so that is settled once
/// something may have been written.
pub async fn claim(connection: &mut Connection, wish: &ClaimWish) -> Result<Claim> {
    let now = Timestamp::now().as_microsecond();
    let row = sqlx::query(
        "UPDATE uploads SET claim = $1, claimed_until = $2, generation = generation + 1, updated_at = $3,
             is_taken_over = CASE WHEN claim IS NULL THEN FALSE ELSE TRUE END,
             has_strays = CASE WHEN claim IS NULL THEN has_strays ELSE TRUE END,
             algorithm = CASE WHEN offset_bytes = 0 AND parts_id IS NULL AND claim IS NULL AND has_strays = FALSE
                 THEN COALESCE($6, algorithm) ELSE algorithm END
         WHERE id = $4 AND repository = $5 AND (claim IS NULL OR claimed_until < $3)
         RETURNING algorithm, part_bytes, offset_bytes, hash_state, generation, is_taken_over, parts_generation, parts_id, is_sealed, tail_generation,
             tail_bytes, pieces",
    )
    .bind(wish.claim.simple().to_string())
    .bind(now + wish.lease_us)
    .bind(now)
    .bind(wish.id.simple().to_string())
    .bind(wish.repository.as_str())
    .bind(wish.algorithm.map(Algorithm::name))
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else {
        let is_there = status(connection, &wish.repository, wish.id).await?.is_some();
        return Ok(if is_there { Claim::Busy } else { Claim::Unknown });
    };
    let hash_state: Vec<u8> = row.try_get("hash_state")?;
    Ok(Claim::Taken(Box::new(Claimed {
        id: wish.id,
        repository: wish.repository.clone(),
        claim: wish.claim,
        generation: generation(&row, "generation")?.unwrap_or_default(),
        is_taken_over: row.try_get("is_taken_over")?,
        algorithm: parse(&row, "algorithm")?,
        part_bytes: unsigned(&row, "part_bytes")?,
        offset_bytes: unsigned(&row, "offset_bytes")?,
        hash_state: (!hash_state.is_empty()).then_some(HashState(hash_state)),
        assembly: assembly(connection, wish.id, &row).await?,
        tail: generation(&row, "tail_generation")?
            .map(|generation| Ok::<_, StateError>(Tail { generation, size_bytes: unsigned(&row, "tail_bytes")? }))
            .transpose()?,
        pieces: row.try_get("pieces")?,
    })))
}

async fn assembly(connection: &mut Connection, id: Uuid, row: &Row) -> Result<Option<Assembly>> {
    let Some(begun_by) = generation(row, "parts_generation")? else { return Ok(None) };
    let rows = sqlx::query("SELECT number, tag, pieces FROM upload_parts WHERE upload_id = $1 ORDER BY number")
        .bind(id.simple().to_string())
        .fetch_all(&mut *connection)
        .await?;
    let parts = rows.iter().map(|row| {
        let number = generation(row, "number")?.unwrap_or_default();
        Ok(UploadPart { number, tag: PartTag(row.try_get("tag")?), pieces: row.try_get("pieces")? })
    });
    Ok(Some(Assembly {
        generation: begun_by,
        id: PartsId(row.try_get("parts_id")?),
        parts: parts.collect::<Result<_>>()?,
        is_sealed: row.try_get("is_sealed")?,
    }))
}

fn generation(row: &Row, column: &'static str) -> Result<Option<u32>> {
    let value: Option<i64> = row.try_get(column)?;
    let unreadable = |value: i64| StateError::Unreadable { column, value: value.to_string() };
    value.map(|value| u32::try_from(value).map_err(|_| unreadable(value))).transpose()
}

/// Keeps a claim for longer.
pub async fn renew(connection: &mut Connection, id: Uuid, claim: Uuid, lease_us: i64) -> Result<bool> {
    let now = Timestamp::now().as_microsecond();
    let answer = sqlx::query("UPDATE uploads SET claimed_until = $1, updated_at = $2 WHERE id = $3 AND claim = $4")
        .bind(now + lease_us)
        .bind(now)
        .bind(id.simple().to_string())
        .bind(claim.simple().to_string())
        .execute(&mut *connection)
        .await?;
    Ok(answer.rows_affected() == 1)
}

/// Gives a claim up.
pub async fn release(connection: &mut Connection, id: Uuid, claim: Uuid, has_written: bool) -> Result<()> {
    sqlx::query(
        "UPDATE uploads SET claim = NULL, has_strays = CASE WHEN $1 THEN TRUE ELSE has_strays END WHERE id = $2 AND claim = $3",
    )
    .bind(has_written)
    .bind(id.simple().to_string())
    .bind(claim.simple().to_string())
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// Notes where an upload stands.
pub async fn checkpoint(connection: &mut Connection, id: Uuid, claim: Uuid, at: &Checkpoint) -> Result<bool> {
    let now = Timestamp::now().as_microsecond();
    let (begun_by, parts_id, is_sealed) = match &at.assembly {
        Some((generation, id, is_sealed)) => (Some(i64::from(*generation)), Some(id.0.as_str()), *is_sealed),
        None => (None, None, false),
    };
    let answer = sqlx::query(
        "UPDATE uploads SET offset_bytes = $1, hash_state = $2, parts_generation = $3, parts_id = $4, is_sealed = $5,
             tail_generation = $6, tail_bytes = $7, pieces = $8, claimed_until = $9, updated_at = $10,
             claim = CASE WHEN $11 THEN NULL ELSE claim END
         WHERE id = $12 AND claim = $13",
    )
    .bind(signed(at.offset_bytes))
    .bind(at.hash_state.0.as_slice())
    .bind(begun_by)
    .bind(parts_id)
    .bind(is_sealed)
    .bind(at.tail.map(|tail| i64::from(tail.generation)))
    .bind(at.tail.map_or(0, |tail| signed(tail.size_bytes)))
    .bind(at.pieces.as_slice())
    .bind(now + at.lease_us)
    .bind(now)
    .bind(at.release)
    .bind(id.simple().to_string())
    .bind(claim.simple().to_string())
    .execute(&mut *connection)
    .await?;
    if answer.rows_affected() != 1 {
        return Ok(false);
    }
    if at.replaces_parts {
        sqlx::query("DELETE FROM upload_parts WHERE upload_id = $1")
            .bind(id.simple().to_string())
            .execute(&mut *connection)
            .await?;
    }
    for part in &at.new_parts {
        note_part(connection, id, part).await?;
    }
    for Garbage { key, parts } in &at.garbage {
        garbage::add(connection, key, parts.as_ref(), at.garbage_due_at).await?;
    }
    Ok(true)
}

async fn note_part(connection: &mut Connection, id: Uuid, part: &UploadPart) -> Result<()> {
    sqlx::query(
        "INSERT INTO upload_parts (upload_id, number, tag, pieces) VALUES ($1, $2, $3, $4)
         ON CONFLICT (upload_id, number) DO UPDATE SET tag = excluded.tag, pieces = excluded.pieces",
    )
    .bind(id.simple().to_string())
    .bind(i64::from(part.number))
    .bind(part.tag.0.as_str())
    .bind(part.pieces.as_slice())
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// How far an upload has come.
pub async fn status(connection: &mut Connection, repository: &RepositoryName, id: Uuid) -> Result<Option<UploadStatus>> {
    let row = sqlx::query("SELECT offset_bytes FROM uploads WHERE id = $1 AND repository = $2")
        .bind(id.simple().to_string())
        .bind(repository.as_str())
        .fetch_optional(&mut *connection)
        .await?;
    row.map(|row| Ok(UploadStatus { offset_bytes: unsigned(&row, "offset_bytes")? })).transpose()
}

/// Ends an upload and gives up its bytes.
pub async fn cancel(
    connection: &mut Connection,
    repository: &RepositoryName,
    id: Uuid,
    claim: Option<Uuid>,
) -> Result<Cancelled> {
    let sql = format!(
        "DELETE FROM uploads WHERE id = $1 AND repository = $2
             AND (claim = $3 OR ($3 IS NULL AND (claim IS NULL OR claimed_until < $4)))
         RETURNING {ENDED}"
    );
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(id.simple().to_string())
        .bind(repository.as_str())
        .bind(claim.map(|claim| claim.simple().to_string()))
        .bind(Timestamp::now().as_microsecond())
        .fetch_optional(&mut *connection)
        .await?;
    match row {
        Some(row) => Ended::read(&row)?.give_up(connection).await.map(|()| Cancelled::Done),
        None if status(connection, repository, id).await?.is_some() => Ok(Cancelled::Busy),
        None => Ok(Cancelled::Unknown),
    }
}

/// Ends uploads that nobody has touched for long.
pub async fn expire(connection: &mut Connection, before: Timestamp, limit: u32) -> Result<u64> {
    let sql = format!(
        "DELETE FROM uploads WHERE id IN (SELECT id FROM uploads WHERE updated_at < $1 ORDER BY updated_at LIMIT $2)
             AND updated_at < $1 AND (claim IS NULL OR claimed_until < $3)
         RETURNING {ENDED}"
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(before.as_microsecond())
        .bind(i64::from(limit))
        .bind(Timestamp::now().as_microsecond())
        .fetch_all(&mut *connection)
        .await?;
    for row in &rows {
        Ended::read(row)?.give_up(connection).await?;
    }
    Ok(rows.len() as u64)
}

/// Ends an upload that its writer has made whole. `None` where the claim was lost.
pub async fn end(connection: &mut Connection, id: Uuid, claim: Uuid) -> Result<Option<Ended>> {
    let sql = format!("DELETE FROM uploads WHERE id = $1 AND claim = $2 RETURNING {ENDED}");
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(id.simple().to_string())
        .bind(claim.simple().to_string())
        .fetch_optional(&mut *connection)
        .await?;
    row.as_ref().map(Ended::read).transpose()
}

/// The content of an upload that lay whole in one object.
pub struct Whole {
    /// Its digest, by the algorithm that it was hashed with as it came.
    pub digest: Digest,
    /// Where it is.
    pub stored: StoredBlob,
}

/// Ends an upload that nobody holds and that lies whole in one object. `None`, and nothing done, where it is not such a one.
pub async fn end_whole(
    connection: &mut Connection,
    id: Uuid,
    repository: &RepositoryName,
    algorithm: Algorithm,
) -> Result<Option<(Ended, Whole)>> {
    let sql = format!(
        "DELETE FROM uploads WHERE id = $1 AND repository = $2 AND algorithm = $3 AND claim IS NULL AND parts_generation IS NULL
             AND tail_generation IS NOT NULL AND tail_bytes = offset_bytes
         RETURNING {ENDED}, hash_state, tail_generation, tail_bytes, pieces"
    );
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(id.simple().to_string())
        .bind(repository.as_str())
        .bind(algorithm.name())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let (hash_state, pieces): (Vec<u8>, Vec<u8>) = (row.try_get("hash_state")?, row.try_get("pieces")?);
    let hasher = Hasher::resume(algorithm, &HashState(hash_state))
        .map_err(|reason| StateError::Unreadable { column: "hash_state", value: reason.to_string() })?;
    let stored = StoredBlob {
        size_bytes: unsigned(&row, "tail_bytes")?,
        key: tail_key(repository, id, algorithm, generation(&row, "tail_generation")?.unwrap_or_default()),
        pieces: pieces.into(),
    };
    Ok(Some((Ended::read(&row)?, Whole { digest: hasher.digest(), stored })))
}

/// The columns that [`Ended::read`] reads.
const ENDED: &str = "id, repository, algorithm, generation, has_strays, parts_generation, parts_id";

/// An upload whose row is gone.
pub struct Ended {
    id: Uuid,
    repository: RepositoryName,
    algorithm: Algorithm,
    generations: u32,
    has_strays: bool,
    parts: Option<(u32, PartsId)>,
}

impl Ended {
    fn read(row: &Row) -> Result<Self> {
        let begun_by = generation(row, "parts_generation")?;
        Ok(Self {
            id: parse(row, "id")?,
            repository: parse(row, "repository")?,
            algorithm: parse(row, "algorithm")?,
            generations: generation(row, "generation")?.unwrap_or_default(),
            has_strays: row.try_get("has_strays")?,
            parts: begun_by.map(|begun_by| Ok::<_, StateError>((begun_by, PartsId(row.try_get("parts_id")?)))).transpose()?,
        })
    }

    /// Everything that the upload's claims may have written becomes garbage.
    pub async fn give_up(&self, connection: &mut Connection) -> Result<()> {
        if let Some((begun_by, parts_id)) = &self.parts {
            let key = parts_key(&self.repository, self.id, self.algorithm, *begun_by);
            garbage::add(connection, &key, Some(parts_id), Timestamp::now()).await?;
        }
        for key in self.keys() {
            garbage::add(connection, &key, None, Timestamp::now()).await?;
        }
        Ok(())
    }

    /// What claims may have written that were never noted becomes garbage; the blob's object stays.
    /// Each may hold all of the blob.
    pub async fn clear_strays(
        &self,
        connection: &mut Connection,
        kept: &ObjectKey,
        digest: &Digest,
        due_at: Timestamp,
    ) -> Result<()> {
        if !self.has_strays {
            return Ok(());
        }
        for key in self.keys().filter(|key| key != kept) {
            garbage::add_blob(connection, &key, digest, due_at).await?;
        }
        Ok(())
    }

    /// Every key that a claim of the upload may have written to.
    fn keys(&self) -> impl Iterator<Item = ObjectKey> {
        let of_claim = |generation| [parts_key, tail_key].map(|key| key(&self.repository, self.id, self.algorithm, generation));
        (1..=self.generations).flat_map(of_claim)
    }
}

/// How many uploads are open.
pub async fn count(connection: &mut Connection) -> Result<u64> {
    let row = sqlx::query("SELECT COUNT(*) AS uploads FROM uploads").fetch_one(&mut *connection).await?;
    unsigned(&row, "uploads")
}

/// Whether an upload is open.
pub async fn is_open(connection: &mut Connection, id: Uuid) -> Result<bool> {
    let row = sqlx::query("SELECT id FROM uploads WHERE id = $1")
        .bind(id.simple().to_string())
        .fetch_optional(&mut *connection)
        .await?;
    Ok(row.is_some())
}
