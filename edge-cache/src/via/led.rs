use std::{ops::Range, sync::Arc};

use async_trait::async_trait;
use longshore_oci::Digest;

use super::Way;
use crate::{
    piece::PieceHashes,
    source::{Reading, SharedSource, Source, SourceError},
    upstream::Identity,
};

/// A source that is asked for a request, whichever task does so.
pub struct Led<S> {
    way: Way,
    source: S,
}

impl<S: Source> Led<S> {
    /// A source, for the request that this is done for: it is asked as on that one's way by whatever task, now and later.
    pub fn shared(source: S) -> SharedSource {
        Arc::new(Self { way: Way::now(), source })
    }
}

#[async_trait]
impl<S: Source> Source for Led<S> {
    fn name(&self) -> &str {
        self.source.name()
    }

    fn address(&self) -> Arc<str> {
        self.source.address()
    }

    fn caller(&self) -> Option<&Identity> {
        self.source.caller()
    }

    fn is_waited_for(&self) -> bool {
        self.source.is_waited_for()
    }

    async fn vouched(&self, digest: &Digest) -> Result<Option<(u64, PieceHashes)>, SourceError> {
        self.way.clone().lead(self.source.vouched(digest)).await
    }

    async fn read(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<Reading, SourceError> {
        self.way.clone().lead(self.source.read(digest, range)).await
    }

    fn distrust(&self, digest: &Digest) {
        self.source.distrust(digest);
    }

    fn refute(&self, digest: &Digest) {
        self.source.refute(digest);
    }
}
