//! Where the swarm's bytes come from that no neighbour has: whatever else the cache would ask.

use std::{
    collections::BTreeMap,
    error::Error,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _};
use longshore_edge_cache::{
    source::{Reading, SharedSource, SourceError},
    supply::Supplier,
};
use longshore_oci::{
    Digest,
    piece::{PIECE_BYTES, PieceIndex},
};
use longshore_p2p::swarm::{FetchError, Origin, OriginError, OriginStream};

/// How long a source is let be that does not say for how long.
const PAUSE: Duration = Duration::from_millis(500);

/// A blob at a source.
pub struct SourceOrigin {
    /// The source.
    pub source: SharedSource,
    /// The blob.
    pub digest: Digest,
    /// What of it edges have sent.
    pub by_edges: Arc<ByEdges>,
}

/// How much of each piece on its way was sent by another cache of ours, and not by the registry: to the swarm both are the origin.
#[derive(Debug, Default)]
pub struct ByEdges(Mutex<BTreeMap<u32, u64>>);

impl ByEdges {
    /// These bytes came, at this place of the blob. Where a piece begins anew, what came of it before does not count.
    fn note(&self, mut at: u64, bytes: u64, is_by_an_edge: bool) {
        let (end, mut pieces) = (at + bytes, self.0.lock().unwrap_or_else(PoisonError::into_inner));
        while at < end {
            let place = at / PIECE_BYTES;
            let part = end.min((place + 1) * PIECE_BYTES) - at;
            let piece = u32::try_from(place).unwrap_or(u32::MAX);
            if at == place * PIECE_BYTES {
                pieces.remove(&piece);
            }
            if is_by_an_edge {
                *pieces.entry(piece).or_default() += part;
            }
            at += part;
        }
    }

    /// How many bytes of a piece that has come edges have sent.
    pub fn take(&self, piece: PieceIndex) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&piece.0).unwrap_or(0)
    }
}

#[async_trait]
impl Origin for SourceOrigin {
    async fn read(&self, bytes: Range<u64>) -> Result<OriginStream, OriginError> {
        let mut at = bytes.start;
        let Reading { size_bytes, is_ranged, sender, stream } =
            self.source.read(&self.digest, Some(bytes.clone())).await.map_err(failed)?;
        // As many times over as there are parts it would send all.
        if !is_ranged && bytes != (0..size_bytes) {
            return Err(failed(SourceError::Rangeless { name: self.source.name().to_owned() }));
        }
        let by_edges = self.by_edges.clone();
        let noted = stream.inspect_ok(move |chunk| {
            by_edges.note(at, chunk.len() as u64, sender.now() == Supplier::Edge);
            at += chunk.len() as u64;
        });
        Ok(noted.map_err(failed).boxed())
    }
}

fn failed(error: SourceError) -> OriginError {
    let retry_after = match &error {
        SourceError::Upstream(upstream) => error.busy_for().or(upstream.retry_after()),
        SourceError::Wrong { .. } | SourceError::Rangeless { .. } | SourceError::Unkept => None,
    };
    let is_final = error.is_of_the_caller() || matches!(error, SourceError::Rangeless { .. });
    OriginError { retry_after: retry_after.unwrap_or(PAUSE), is_final, source: Box::new(error) }
}

/// Why a blob did not come, as the cache tells it: in the words of the source where that is what failed.
pub fn told(error: FetchError, name: &str, digest: &Digest) -> SourceError {
    let wrong = |reason: String| SourceError::Wrong { name: name.to_owned(), digest: digest.clone(), reason };
    match error {
        FetchError::Origin(OriginError { source, .. }) => match source.downcast::<SourceError>() {
            Ok(source) => *source,
            Err(source) => wrong(with_sources(&*source)),
        },
        FetchError::Left => wrong(error.to_string()),
    }
}

fn with_sources(error: &(dyn Error + 'static)) -> String {
    longshore_service::error_text::with_sources(error)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::stream;
    use http::StatusCode;
    use longshore_edge_cache::{
        piece::PieceHashes,
        source::{Reading, Source},
        supply::Sender,
        upstream::UpstreamError,
    };
    use longshore_oci::Algorithm;

    use super::*;

    /// Sends all of its ten bytes, whatever is asked for; or refuses.
    struct Simple(Option<StatusCode>);

    #[async_trait]
    impl Source for Simple {
        fn name(&self) -> &'static str {
            "simple"
        }

        async fn vouched(&self, _: &Digest) -> Result<Option<(u64, PieceHashes)>, SourceError> {
            Ok(None)
        }

        async fn read(&self, _: &Digest, _: Option<Range<u64>>) -> Result<Reading, SourceError> {
            if let Some(status) = self.0 {
                let (errors, retry_after, challenge) = (Vec::new(), None, None);
                return Err(UpstreamError::Refused { upstream: "simple".into(), status, errors, retry_after, challenge }.into());
            }
            let stream = stream::iter([Ok(Bytes::from_static(b"0123456789"))]).boxed();
            let sender = Sender::new(Supplier::Registry);
            Ok(Reading { size_bytes: 10, is_ranged: false, sender, stream })
        }
    }

    async fn read(refuses: Option<u16>, bytes: Range<u64>) -> Result<(), OriginError> {
        let refuses = refuses.map(|status| StatusCode::from_u16(status).unwrap());
        let (source, by_edges) = (Arc::new(Simple(refuses)), Arc::default());
        let origin = SourceOrigin { source, digest: Digest::of(Algorithm::Sha256, b""), by_edges };
        origin.read(bytes).await.map(drop)
    }

    #[tokio::test]
    async fn who_knows_no_ranges_is_not_asked_for_parts_again() {
        read(None, 0..10).await.expect("all of it is what was asked for");
        let error = read(None, 3..10).await.expect_err("as many times as there are parts all would come");
        assert!(error.is_final, "{error}");
        let told = told(FetchError::Origin(error), "simple", &Digest::of(Algorithm::Sha256, b""));
        assert!(matches!(told, SourceError::Rangeless { .. }), "{told}");
    }

    #[tokio::test]
    async fn a_refusal_of_who_asks_is_final() {
        for (status, is_final) in [(401, true), (403, true), (404, true), (429, false), (500, false), (503, false)] {
            assert_eq!(read(Some(status), 0..1).await.expect_err("it refuses").is_final, is_final, "{status}");
        }
    }

    #[test]
    fn what_edges_send_is_known_of_each_piece() {
        let by_edges = ByEdges::default();
        by_edges.note(PIECE_BYTES, PIECE_BYTES + 5, true);
        by_edges.note(2 * PIECE_BYTES + 5, 7, false);
        assert_eq!([0, 1, 2].map(|piece| by_edges.take(PieceIndex(piece))), [0, PIECE_BYTES, 5]);
        assert_eq!(by_edges.take(PieceIndex(1)), 0);
        // It broke off, and the registry sends it from the beginning.
        by_edges.note(0, 9, true);
        by_edges.note(0, PIECE_BYTES, false);
        assert_eq!(by_edges.take(PieceIndex(0)), 0);
    }

    #[test]
    fn a_sources_error_stays_what_it_was() {
        let digest = Digest::of(Algorithm::Sha256, b"");
        let error = SourceError::Wrong { name: "up".into(), digest: digest.clone(), reason: "it is short".into() };
        let origin = failed(error.clone());
        assert_eq!(origin.retry_after, PAUSE);
        assert_eq!(told(FetchError::Origin(origin), "up", &digest).to_string(), error.to_string());
        let left = told(FetchError::Left, "up", &digest).to_string();
        assert!(left.contains("the swarm was left"), "{left}");
    }
}
