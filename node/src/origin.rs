//! Where the swarm's bytes come from that no neighbour has: whatever else the cache would ask.

use std::{error::Error, ops::Range, time::Duration};

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _};
use longshore_edge_cache::source::{SharedSource, SourceError};
use longshore_oci::Digest;
use longshore_p2p::swarm::{FetchError, Origin, OriginError, OriginStream};

/// How long a source is let be that does not say for how long.
const PAUSE: Duration = Duration::from_millis(500);

/// A blob at a source.
pub struct SourceOrigin {
    /// The source.
    pub source: SharedSource,
    /// The blob.
    pub digest: Digest,
}

#[async_trait]
impl Origin for SourceOrigin {
    async fn read(&self, bytes: Range<u64>) -> Result<OriginStream, OriginError> {
        let reading = self.source.read(&self.digest, Some(bytes.clone())).await.map_err(failed)?;
        // As many times over as there are parts it would send all.
        if !reading.is_ranged && bytes != (0..reading.size_bytes) {
            return Err(failed(SourceError::Rangeless { name: self.source.name().to_owned() }));
        }
        Ok(reading.stream.map_err(failed).boxed())
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
            Ok(Reading { size_bytes: 10, is_ranged: false, stream })
        }
    }

    async fn read(refuses: Option<u16>, bytes: Range<u64>) -> Result<(), OriginError> {
        let refuses = refuses.map(|status| StatusCode::from_u16(status).unwrap());
        let origin = SourceOrigin { source: std::sync::Arc::new(Simple(refuses)), digest: Digest::of(Algorithm::Sha256, b"") };
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
