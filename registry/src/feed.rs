//! What those who follow the registry's changes wait for: one look at the outbox, for all of them together.
//!
//! While somebody follows, a task of every replica gives what lies in the outbox its positions, and tells how far it reaches. What is
//! told would survive a power failure, so no position is ever given twice.

use std::{sync::Arc, time::Duration};

use prometheus::IntGauge;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    registry::Registry,
    state::{OutboxHead, SharedState, StateError},
};

/// How often the outbox is looked at while somebody follows.
const PERIOD: Duration = Duration::from_millis(250);
/// How long the database may take to be asked.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// How many events get their positions in one transaction.
const BATCH: u32 = 1000;

/// How far the outbox reaches, and who wants to know.
pub struct Feed {
    state: SharedState,
    /// `None` until somebody has looked.
    reach: watch::Sender<Option<OutboxHead>>,
    places: Arc<Semaphore>,
    followers: IntGauge,
    wake: Notify,
    closing: CancellationToken,
}

/// Somebody who follows, until this is dropped.
pub struct Following {
    reach: watch::Receiver<Option<OutboxHead>>,
    closing: CancellationToken,
    followers: IntGauge,
    _place: OwnedSemaphorePermit,
}

impl Feed {
    /// That of a database, for so many who follow at once.
    pub fn new(state: SharedState, max_followers: usize, followers: IntGauge) -> Self {
        Self {
            state,
            reach: watch::Sender::new(None),
            places: Arc::new(Semaphore::new(max_followers.min(Semaphore::MAX_PERMITS))),
            followers,
            wake: Notify::new(),
            closing: CancellationToken::new(),
        }
    }

    /// Begins to follow; `None` where there are too many who do, or the registry is to stop.
    pub fn follow(&self) -> Option<Following> {
        if self.closing.is_cancelled() {
            return None;
        }
        let place = self.places.clone().try_acquire_owned().ok()?;
        let (followers, closing) = (self.followers.clone(), self.closing.clone());
        followers.inc();
        let following = Following { reach: self.reach.subscribe(), closing, followers, _place: place };
        self.wake.notify_one();
        Some(following)
    }

    /// How far the outbox reaches now. What is committed by now has its position.
    pub async fn look(&self) -> Result<OutboxHead, StateError> {
        let (mut head, is_waiting) = self.state.outbox_head().await?;
        // Another may have given positions that the disk does not have yet: one more transaction has it take them.
        if is_waiting || self.reach.borrow().as_ref() != Some(&head) {
            loop {
                let (ordered_head, ordered) = self.state.order_outbox(BATCH).await?;
                head = ordered_head;
                if ordered < u64::from(BATCH) {
                    break;
                }
            }
        }
        self.reach.send_if_modified(|known| {
            let is_older = known.as_ref().is_some_and(|known| known.epoch == head.epoch && known.position > head.position);
            let is_news = !is_older && known.as_ref() != Some(&head);
            if is_news {
                *known = Some(head.clone());
            }
            is_news
        });
        Ok(head)
    }

    /// Looks while somebody follows, until told to stop.
    pub async fn run(registry: Arc<Registry>, stop: CancellationToken) {
        let feed = &registry.feed;
        let mut is_failing = false;
        loop {
            if feed.reach.receiver_count() == 0 {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = feed.wake.notified() => {}
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PERIOD) => {}
            }
            let looked = tokio::select! {
                () = stop.cancelled() => return,
                looked = tokio::time::timeout(LOOK_TIMEOUT, feed.look()) => looked,
            };
            if let (Ok(Err(error)), false) = (&looked, is_failing) {
                let error = error as &dyn std::error::Error;
                tracing::warn!(error, "those who follow the changes are told of none, until the database answers");
            }
            is_failing = !matches!(looked, Ok(Ok(_)));
        }
    }

    /// Ends all who follow.
    pub fn close(&self) {
        self.closing.cancel();
    }
}

impl Following {
    /// How far the outbox reached when it was last looked at.
    pub fn reach(&mut self) -> u64 {
        self.reach.borrow_and_update().as_ref().map_or(0, |head| head.position)
    }

    /// Waits until it reaches farther; or the registry is to stop, which is false.
    pub async fn changed(&mut self) -> bool {
        tokio::select! {
            biased;
            () = self.closing.cancelled() => false,
            changed = self.reach.changed() => changed.is_ok(),
        }
    }

    /// Whether the registry is to stop.
    pub fn is_over(&self) -> bool {
        self.closing.is_cancelled()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.followers.dec();
    }
}
