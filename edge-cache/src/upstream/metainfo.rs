//! What a registry of ours says that a blob is made of.

use std::time::Duration;

use http::StatusCode;
use longshore_oci::{Digest, Metainfo, RepositoryName, Route, Voucher};
use longshore_service::{budget::Budget, signing::InvalidSignature};

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
        let metainfo: Metainfo = serde_json::from_slice(body).map_err(|error| format!("it can't be read: {error}"))?;
        if metainfo.digest != *digest {
            return Err(format!("it is that of {}", metainfo.digest));
        }
        let signature = metainfo.signature.as_deref().ok_or("it is not signed")?;
        let voucher = match self.settings.trusted_keys.check::<Voucher>(Voucher::KIND, signature) {
            Err(InvalidSignature::UnknownKey(_)) => {
                self.check(Voucher::KIND, signature).await.ok_or("the upstream's keys could not be had")?
            }
            checked => checked,
        };
        let voucher = voucher.map_err(|error| error.to_string())?;
        if !voucher.vouches_for(&metainfo) {
            return Err("its signature is for something else".to_owned());
        }
        let hashes = PieceHashes::of(&metainfo).ok_or("its pieces are not of 1 MiB")?;
        Ok((metainfo.size_bytes, hashes))
    }
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
