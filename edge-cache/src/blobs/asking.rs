//! Asking a source for bytes, and what is said of it where they are wrong.

use std::ops::Range;

use futures_util::StreamExt as _;
use longshore_oci::Digest;

use super::{Fetched, Shared};
use crate::{
    piece::PIECE_BYTES,
    source::{Reading, SharedSource, SourceError},
    store::StoreError,
    supply::Supplied,
};

impl Shared {
    /// That a blob without content is the one that has none: there will be no byte of it to check.
    pub fn require_content(&self, digest: &Digest, source: &SharedSource, size_bytes: u64) -> Result<(), SourceError> {
        if size_bytes > 0 || *digest == Digest::of(digest.algorithm(), b"") {
            return Ok(());
        }
        Err(self.wrong(source, digest, "it is said to be empty".to_owned()))
    }

    /// Asks a source for bytes, and counts what comes.
    pub async fn read(&self, digest: &Digest, source: &SharedSource, range: Option<Range<u64>>) -> Result<Reading, SourceError> {
        let name = [source.name()];
        self.metrics.fetches.with_label_values(&name).inc();
        let Reading { size_bytes, is_ranged, sender, stream } = source.read(digest, range.clone()).await?;
        if !is_ranged && range.is_some_and(|range| range != (0..size_bytes)) {
            self.rangeless.note(source);
        }
        let here_bytes = self.store.peek(digest).map_or(0, |entry| Fetched::of(entry.geometry(), &entry.present()).bytes);
        let bringing = self.transfers.begin(digest, source.name(), size_bytes, here_bytes);
        let (metrics, name, said, mut untold) = (self.metrics.clone(), source.name().to_owned(), sender.clone(), 0);
        let counted = stream.inspect(move |chunk| {
            if let Ok(bytes) = chunk {
                let supplied = Supplied::of(said.now(), bytes.len() as u64);
                metrics.came(&name, supplied);
                bringing.came(supplied);
                untold += supplied.sum();
                if untold >= PIECE_BYTES {
                    untold = 0;
                    bringing.tell();
                }
            }
        });
        Ok(Reading { size_bytes, is_ranged, sender, stream: counted.boxed() })
    }

    /// What a source sent is not what it was to be: counts it, and tells.
    pub fn wrong(&self, source: &SharedSource, digest: &Digest, reason: String) -> SourceError {
        let name = source.name();
        source.distrust(digest);
        self.metrics.wrong.with_label_values(&[name]).inc();
        tracing::error!(upstream = name, %digest, reason, "an upstream sent what a blob is not; nothing of it was kept");
        SourceError::Wrong { name: name.to_owned(), digest: digest.clone(), reason }
    }

    /// What can't be kept is passed on. Tells of a piece, or a blob, once in a while: where one can't be kept, most can't.
    pub fn tell_not_kept(&self, what: &str, digest: &Digest, error: &StoreError) {
        if let Some(count) = self.not_kept.due() {
            let error = error as &dyn std::error::Error;
            tracing::warn!(%digest, count, error, "{what} was passed on and not kept");
        }
    }
}
