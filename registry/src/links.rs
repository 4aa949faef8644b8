//! Writes down which blobs are which repositories', where the store would not show it.
//!
//! A blob's object lies below the repository that it was first pushed to, and manifests name blobs in theirs; but a blob that was
//! mounted, or pushed when another repository had it, has nothing there that stays. To mount it costs the store no call, so its record
//! is written a little later, one for all such blobs of a repository; and an object that was brought in vain stays until then.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use longshore_oci::{Digest, RepositoryName};
use tokio_util::sync::CancellationToken;

use crate::{error::Error, record, registry::Registry, state::StateError, sweep::ago};

/// How many links one record may have.
const BATCH: u32 = 1000;
/// The least time between two attempts of which the first failed.
const PAUSE: Duration = Duration::from_millis(100);

/// The task that writes.
pub struct Scribe {
    registry: Arc<Registry>,
    delay: Duration,
}

impl Scribe {
    /// A scribe that writes `delay` after it was woken.
    pub fn new(registry: Arc<Registry>, delay: Duration) -> Self {
        Self { registry, delay }
    }

    /// Writes until told to stop, and then what is left.
    pub async fn run(self, shutdown: CancellationToken) {
        let woken = async || {
            self.registry.links.notified().await;
            tokio::time::sleep(self.delay).await;
        };
        loop {
            let is_last = tokio::select! {
                () = shutdown.cancelled() => true,
                () = woken() => false,
            };
            if is_last {
                return self.write_all().await;
            }
            if let Err(error) = self.write(ago(self.delay)).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "blobs' links were not written down, and will be later");
                self.registry.links.notify_one();
                // Not at once again, however short the delay.
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Writes until there is nothing left. How long that may take is for whoever waits for it.
    async fn write_all(&self) {
        loop {
            // None of them is from the future, whatever the clocks say.
            match self.write(Timestamp::MAX).await {
                Ok(true) => return,
                Ok(false) => tracing::warn!("some of the blobs' links could not be written down yet"),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "blobs' links were not written down yet");
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Writes all there is since `before` or longer, of every repository where that can be done, and whether that was all. Whoever is
    /// younger wakes the scribe again.
    async fn write(&self, before: Timestamp) -> Result<bool, Error> {
        loop {
            let links = self.registry.state.unrecorded_links(before, BATCH).await?;
            if links.is_empty() {
                return Ok(true);
            }
            let (mut is_written, mut outcome) = (false, Ok(()));
            for (repository, digests) in links {
                match self.write_one(&repository, &digests).await {
                    Ok(()) => is_written = true,
                    // One of them was deleted meanwhile, or another replica was faster. What is left is looked for again later.
                    Err(Error::State(StateError::Changed)) => self.registry.links.notify_one(),
                    Err(error) => outcome = Err(error),
                }
            }
            if !is_written || outcome.is_err() {
                return outcome.map(|()| false);
            }
        }
    }

    async fn write_one(&self, repository: &RepositoryName, digests: &[Digest]) -> Result<(), Error> {
        let record = |revision| record::of_links(revision, Timestamp::now(), digests);
        let note = |revision| self.registry.state.record_links(repository, digests, revision);
        Ok(record::change(&self.registry, repository, record, note).await??)
    }
}
