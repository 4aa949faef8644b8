//! A body that was begun, and that its source breaks off or can't go on with for a moment.

use std::{ops::Range, time::Duration};

use longshore_oci::Digest;

use super::{MOST_WAITS, Shared};
use crate::{
    piece::PIECE_BYTES,
    source::{Reading, SharedSource, SourceError},
};

/// How long it is waited before the source is asked to go on where it broke off.
const PAUSE: Duration = Duration::from_millis(200);

/// How often a source broke off, as long as hardly anything came between.
#[derive(Debug, Default)]
pub struct Resuming {
    failures: u32,
    /// How much of the blob had come when it last did.
    failed_at: u64,
}

impl Resuming {
    /// Notes that a source broke off when so much had come. Whether it is to be asked to go on: so many attempts are made for a piece.
    fn may_go_on(&mut self, taken: u64, attempts: u32) -> bool {
        if taken.saturating_sub(self.failed_at) >= PIECE_BYTES {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        self.failed_at = taken;
        self.failures < attempts
    }

    /// The same, with the error that it broke off with, if any; waits for a moment where it is to be asked.
    pub async fn goes_on(&mut self, taken: u64, error: Option<&SourceError>, attempts: u32) -> bool {
        let may_go_on = self.may_go_on(taken, attempts) && error.is_none_or(SourceError::is_passing);
        if may_go_on {
            tokio::time::sleep(PAUSE).await;
        }
        may_go_on
    }
}

impl Shared {
    /// Asks a source for more of a blob of which some was handed on already. Where it is asked too much at once, others are waited for.
    pub async fn read_on(
        &self,
        digest: &Digest,
        source: &SharedSource,
        range: Option<Range<u64>>,
    ) -> Result<Reading, SourceError> {
        let mut waits = 0;
        loop {
            let read = self.read(digest, source, range.clone()).await;
            let wait = read.as_ref().err().and_then(SourceError::busy_for).filter(|_| waits < MOST_WAITS);
            let Some(wait) = wait else { return read };
            drop(read);
            waits += 1;
            tokio::time::sleep(wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_in_drops_comes_to_an_end() {
        let mut resuming = Resuming::default();
        assert_eq!([1, 2, 3].map(|taken| resuming.may_go_on(taken, 3)), [true, true, false]);
        let mut resuming = Resuming::default();
        assert!((1..50).all(|times| resuming.may_go_on(times * PIECE_BYTES, 2)), "a piece each time is as good as it gets");
        assert!(!resuming.may_go_on(50 * PIECE_BYTES - 1, 2));
    }
}
