//! What a registry of ours says that a blob is made of.

use std::time::Duration;

use http::StatusCode;
use longshore_oci::{Digest, Metainfo, RepositoryName, Route, Voucher};
use longshore_service::{budget::Budget, signing::InvalidSignature};
use moka::sync::Cache;

use super::{Ask, Identity, Upstream, UpstreamError};
use crate::{piece::PieceHashes, vouching::edge_key};

/// The code of a refusal of what there is none of here.
const UNSUPPORTED: &str = "UNSUPPORTED";
/// The longest metainfo: of a blob of 1 TiB.
pub(super) const MOST_BYTES: usize = 80 << 20;
/// The longest where that is not told before: of a blob of 50 GiB. It would have to be read alone otherwise.
const MOST_UNTOLD_BYTES: usize = 4 << 20;
/// What a metainfo takes of memory while it is read, in times its length: its text, and each hash as a text of its own.
const TIMES: u64 = 3;
/// What all that are read at once may take, in bytes. That of blobs of 300 GiB together fits; one that needs more is read alone.
const ROOM_BYTES: u64 = 64 << 20;
/// How long one waits for that.
const ROOM_PATIENCE: Duration = Duration::from_secs(30);
/// How long one may take to come, which keeps its memory from others meanwhile.
const READ_PATIENCE: Duration = Duration::from_secs(30);

/// What metainfo may take of memory that was asked for ahead, in bytes: that of blobs of half a tebibyte together.
const AHEAD_BYTES: u64 = 16 << 20;
/// How long it is kept for who asks for it: about as long as a pull takes.
const AHEAD_KEPT: Duration = Duration::from_mins(15);
/// What a blob's takes beside the hashes, in bytes.
const AHEAD_BESIDE: usize = 512;

/// Metainfo that was asked for before it is needed.
#[derive(Debug)]
pub(super) struct Ahead(Cache<(RepositoryName, Digest), (u64, PieceHashes)>);

impl Default for Ahead {
    fn default() -> Self {
        let weigh = |_: &_, (_, hashes): &(u64, PieceHashes)| {
            u32::try_from(hashes.as_bytes().len().saturating_add(AHEAD_BESIDE)).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().max_capacity(AHEAD_BYTES).weigher(weigh).time_to_live(AHEAD_KEPT).build())
    }
}

/// Memory for metainfo while it is read, for all upstreams of a process together: [`Upstream::sharing`].
pub fn metainfo_room() -> Budget {
    Budget::new(ROOM_BYTES, ROOM_PATIENCE)
}

/// The most that is read of a metainfo, in bytes, by the length that is told of it.
fn longest(told_bytes: Option<usize>) -> usize {
    told_bytes.map_or(MOST_UNTOLD_BYTES, |told| told.min(MOST_BYTES))
}

impl Upstream {
    /// A blob's length and the hashes of its pieces, where the upstream is a registry of ours and vouches for them with a key that it
    /// publishes, or an edge that does so with one of [`UpstreamSettings::trusted_keys`](super::UpstreamSettings). `None` where it does
    /// not: then the whole blob has to be seen before any of it can be trusted.
    pub async fn metainfo(
        &self,
        who: &Identity,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<(u64, PieceHashes)>, UpstreamError> {
        if let Some(known) = self.ahead.0.get(&(repository.clone(), digest.clone())) {
            return Ok(Some(known));
        }
        self.fetch_metainfo(who, repository, digest).await
    }

    /// Asks for metainfo that will be needed, and keeps it for a while for who then asks for it and may have the blob.
    pub async fn metainfo_ahead(
        &self,
        who: &Identity,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<(), UpstreamError> {
        let key = (repository.clone(), digest.clone());
        if !self.ahead.0.contains_key(&key)
            && let Some(found) = self.fetch_metainfo(who, repository, digest).await?
        {
            self.ahead.0.insert(key, found);
        }
        Ok(())
    }

    async fn fetch_metainfo(
        &self,
        who: &Identity,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<(u64, PieceHashes)>, UpstreamError> {
        let is_ours = self.is_longshore().await;
        if !is_ours && self.settings.trusted_keys.is_empty() {
            return Ok(None);
        }
        let answer = match self.ask(who, Ask::get(Route::Metainfo(repository.clone(), digest.clone()))).await {
            Err(error) if is_wordless(&error, is_ours) => return Ok(None),
            answer => answer?,
        };
        if edge_key(&answer.headers).is_some_and(|key| !self.settings.trusted_keys.has(key)) {
            return Ok(None);
        }
        let most = longest(answer.told_bytes());
        let _room = self.room.take(most as u64 * TIMES).await.map_err(|_| self.busy())?;
        let vouched = match answer.read_within(most, READ_PATIENCE).await {
            Ok(body) => self.vouched(digest, &body).await,
            Err(UpstreamError::Malformed { reason, .. }) => Err(reason),
            Err(error) => return Err(error),
        };
        match vouched {
            Ok(vouched) => Ok(Some(vouched)),
            Err(reason) => {
                self.counts.not_vouched_for();
                tracing::warn!(upstream = %self.name, %digest, reason, "its metainfo of a blob is not taken");
                Ok(None)
            }
        }
    }

    /// An error says why it is not vouched for.
    async fn vouched(&self, digest: &Digest, body: &[u8]) -> Result<(u64, PieceHashes), String> {
        let metainfo = read(digest, body)?;
        let signature = metainfo.signature.as_deref().ok_or("it is not signed")?;
        let voucher = match self.settings.trusted_keys.check::<Voucher>(Voucher::KIND, signature) {
            Err(InvalidSignature::UnknownKey(_)) => {
                self.check(Voucher::KIND, signature).await.ok_or("the upstream's keys could not be had")?
            }
            checked => checked,
        };
        self.settle(&metainfo, signature, voucher)
    }

    /// The same of what somebody else says that is no upstream, by the keys that are known.
    pub async fn vouched_elsewhere(&self, digest: &Digest, body: &[u8]) -> Result<(u64, PieceHashes), String> {
        let _room = self.room.take(body.len() as u64 * TIMES).await.map_err(|error| error.to_string())?;
        let vouched = self.proven_metainfo(digest, body);
        if let Err(reason) = &vouched {
            self.counts.not_vouched_for();
            tracing::warn!(upstream = %self.name, %digest, reason, "a neighbour's metainfo of a blob is not taken");
        }
        vouched
    }

    /// Whether metainfo that is to be handed on is proven by the keys that are known.
    pub fn is_proven(&self, metainfo: &Metainfo) -> bool {
        let Some(signature) = metainfo.signature.as_deref() else { return false };
        self.checked(signature).is_some_and(|voucher| voucher.is_ok_and(|voucher| voucher.vouches_for(metainfo)))
    }

    fn proven_metainfo(&self, digest: &Digest, body: &[u8]) -> Result<(u64, PieceHashes), String> {
        let metainfo = read(digest, body)?;
        let signature = metainfo.signature.as_deref().ok_or("it is not signed")?;
        let voucher = self.checked(signature).ok_or("the upstream's keys are not known")?;
        self.settle(&metainfo, signature, voucher)
    }

    /// A signature by the keys that are known; `None` where the upstream's are not, and it is not by one that is trusted besides.
    fn checked(&self, signature: &str) -> Option<Result<Voucher, InvalidSignature>> {
        match self.settings.trusted_keys.check::<Voucher>(Voucher::KIND, signature) {
            Err(InvalidSignature::UnknownKey(_)) => self.check_known(Voucher::KIND, signature),
            checked => Some(checked),
        }
    }

    /// Takes what is signed for.
    fn settle(
        &self,
        metainfo: &Metainfo,
        signature: &str,
        voucher: Result<Voucher, InvalidSignature>,
    ) -> Result<(u64, PieceHashes), String> {
        if !voucher.map_err(|error| error.to_string())?.vouches_for(metainfo) {
            return Err("its signature is for something else".to_owned());
        }
        let hashes = PieceHashes::of(metainfo).ok_or("its pieces are not of 1 MiB")?;
        if let Some(statements) = self.statements.get() {
            statements.add_metainfo(&self.key, &metainfo.digest, signature);
        }
        Ok((metainfo.size_bytes, hashes))
    }
}

fn read(digest: &Digest, body: &[u8]) -> Result<Metainfo, String> {
    let metainfo: Metainfo = serde_json::from_slice(body).map_err(|error| format!("it can't be read: {error}"))?;
    if metainfo.digest == *digest { Ok(metainfo) } else { Err(format!("it is that of {}", metainfo.digest)) }
}

/// Whether a refusal is that of an edge whose upstream vouches for nothing, and which has not seen all of the blob itself. What is no
/// registry of ours either says by itself, to who then reads the blob, whether it has it.
fn is_wordless(error: &UpstreamError, is_ours: bool) -> bool {
    let UpstreamError::Refused { status, errors, .. } = error else { return false };
    let is_unsupported = || errors.iter().any(|entry| entry.code == UNSUPPORTED);
    if is_ours { *status == StatusCode::NOT_FOUND && is_unsupported() } else { status.is_client_error() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_told_keeps_nobody_waiting() {
        let untold = longest(None);
        assert!(untold as u64 * TIMES * 4 < ROOM_BYTES, "several are read at once");
        assert_eq!([Some(1000), Some(0), Some(usize::MAX)].map(longest), [1000, 0, MOST_BYTES]);
    }
}
