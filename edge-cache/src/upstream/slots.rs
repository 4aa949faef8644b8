//! How many requests may be under way.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many requests may wait for each place.
const WAITING_EACH: usize = 16;
/// How many may wait where there are few places.
const LEAST_WAITING: usize = 256;

/// Places for requests, waited for in turn. The bodies of blobs, which are long under way, leave some of them free for what is short.
#[derive(Debug)]
pub struct Slots {
    all: Arc<Semaphore>,
    long: Arc<Semaphore>,
    /// Leave to wait, for what is short and for what is long: who waits for an upstream that hangs takes others' memory and turns.
    waiting: [Semaphore; 2],
    most_waiting: usize,
    patience: Duration,
}

/// One request's place, until it is dropped.
#[derive(Debug)]
pub struct Slot {
    _long: Option<OwnedSemaphorePermit>,
    _any: OwnedSemaphorePermit,
}

/// How many requests of either kind may wait for so many places.
pub fn most_waiting(places: usize) -> usize {
    places.saturating_mul(WAITING_EACH).max(LEAST_WAITING)
}

impl Slots {
    /// So many, for which so many of either kind wait, each so long.
    pub fn new(count: usize, waiting: usize, patience: Duration) -> Self {
        let count = count.clamp(1, Semaphore::MAX_PERMITS);
        let long = (count - count.div_ceil(4)).max(1);
        let most_waiting = waiting.clamp(1, Semaphore::MAX_PERMITS);
        let waiting = [(); 2].map(|()| Semaphore::new(most_waiting));
        Self { all: Arc::new(Semaphore::new(count)), long: Arc::new(Semaphore::new(long)), waiting, most_waiting, patience }
    }

    /// Whether a place is waited for.
    pub fn are_waited_for(&self) -> bool {
        self.waiting.iter().any(|waiting| waiting.available_permits() < self.most_waiting)
    }

    /// A place; `None` where none is free in time, or as many wait as may.
    pub async fn take(&self, is_long: bool) -> Option<Slot> {
        let _waiting = self.waiting[usize::from(is_long)].try_acquire().ok()?;
        let taken = async {
            let long = if is_long { Some(self.long.clone().acquire_owned().await.ok()?) } else { None };
            Some(Slot { _long: long, _any: self.all.clone().acquire_owned().await.ok()? })
        };
        tokio::time::timeout(self.patience, taken).await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn leaves_some_for_what_is_short() {
        let slots = Slots::new(4, 100, Duration::from_millis(10));
        let mut long = Vec::new();
        while let Some(slot) = slots.take(true).await {
            long.push(slot);
        }
        assert_eq!(long.len(), 3);
        let short = slots.take(false).await;
        assert!(short.is_some() && slots.take(false).await.is_none());
        drop((short, long));
        assert!(slots.take(true).await.is_some());
        assert!(Slots::new(0, 0, Duration::from_millis(10)).take(true).await.is_some());
    }

    #[tokio::test]
    async fn lets_no_more_wait_than_may() {
        let slots = Slots::new(2, 3, Duration::from_mins(10));
        let _held = slots.take(true).await.expect("a place");
        assert!(!slots.are_waited_for());
        let waiting = futures_util::future::join_all((0..3).map(|_| slots.take(true)));
        tokio::select! {
            biased;
            _ = waiting => unreachable!("the place is held"),
            refused = async { (slots.take(true).await.is_none(), slots.are_waited_for()) } => {
                assert_eq!(refused, (true, true), "at once");
            }
        }
        assert!(!slots.are_waited_for(), "who waited is gone");
        assert!(slots.take(false).await.is_some(), "what is short waits elsewhere");
        assert_eq!((most_waiting(1), most_waiting(64)), (256, 1024));
    }
}
