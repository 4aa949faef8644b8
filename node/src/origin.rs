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
        let reading = self.source.read(&self.digest, Some(bytes)).await.map_err(failed)?;
        Ok(reading.stream.map_err(failed).boxed())
    }
}

fn failed(error: SourceError) -> OriginError {
    let retry_after = match &error {
        SourceError::Upstream(upstream) => error.busy_for().or(upstream.retry_after()),
        SourceError::Wrong { .. } | SourceError::Unkept => None,
    };
    OriginError { retry_after: retry_after.unwrap_or(PAUSE), source: Box::new(error) }
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
    use longshore_oci::Algorithm;

    use super::*;

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
