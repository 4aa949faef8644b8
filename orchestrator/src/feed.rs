//! What has happened, for those who watch: one look at the database for all of them together.
//!
//! While somebody watches, a task reads the events that are new, and keeps the last of them. A watcher holds a position and nothing else:
//! it is told when there is more, and takes it from here, or from the database while it is catching up. So how slow it is costs nobody
//! anything but itself; one that had caught up and falls behind what is kept is ended.

#[cfg(test)]
mod tests;
mod window;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use longshore_fleet::api::Event;
use prometheus::IntGauge;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::state::{SharedState, StateError};
pub(crate) use window::Told;
use window::Window;

/// How often the database is looked at while somebody watches and nobody says that there is more.
const PERIOD: Duration = Duration::from_millis(200);
/// How long the database may take to be asked.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// How many events are read at once.
pub(crate) const BATCH: u32 = 500;
/// How many who catch up are served from the database at once.
const CATCHING_UP: usize = 8;

/// What has happened, as far as it was read.
pub(crate) struct Feed {
    state: SharedState,
    window: Mutex<Window>,
    /// How far it was read; `None` until somebody has looked.
    reach: watch::Sender<Option<u64>>,
    places: Arc<Semaphore>,
    catching_up: Semaphore,
    watchers: IntGauge,
    wake: Notify,
}

/// Somebody who watches, until this is dropped.
pub(crate) struct Watching {
    feed: Arc<Feed>,
    reach: watch::Receiver<Option<u64>>,
    /// The last position that was had.
    pub(crate) at: u64,
    /// Whether it has had all there was once.
    is_live: bool,
    _place: OwnedSemaphorePermit,
}

/// What comes next for a watcher.
pub(crate) enum Next {
    /// These, in order.
    Events(Vec<Arc<Told>>),
    /// Nothing yet.
    Nothing,
    /// It had caught up, and then was too slow.
    Behind,
}

impl Feed {
    /// That of a database, for so many who watch at once.
    pub(crate) fn new(state: SharedState, most_watchers: usize, watchers: IntGauge) -> Arc<Self> {
        Arc::new(Self {
            state,
            window: Mutex::default(),
            reach: watch::Sender::new(None),
            places: Arc::new(Semaphore::new(most_watchers)),
            catching_up: Semaphore::new(CATCHING_UP),
            watchers,
            wake: Notify::new(),
        })
    }

    /// There may be more: it is looked at now, rather than soon.
    pub(crate) fn hint(&self) {
        self.wake.notify_one();
    }

    /// Begins to watch after a position; `None` where there are too many who do.
    pub(crate) fn watch(self: &Arc<Self>, after: u64) -> Option<Watching> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        self.watchers.inc();
        let watching = Watching { feed: self.clone(), reach: self.reach.subscribe(), at: after, is_live: false, _place: place };
        self.wake.notify_one();
        Some(watching)
    }

    /// Looks while somebody watches, until told to stop.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut is_failing = false;
        loop {
            let is_watched = self.reach.receiver_count() > 0;
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(PERIOD), if is_watched => {}
            }
            if self.reach.receiver_count() == 0 {
                // Whoever comes next begins from then: nobody wants what happens meanwhile.
                self.lock().clear();
                self.reach.send_replace(None);
                continue;
            }
            let looked = tokio::time::timeout(LOOK_TIMEOUT, self.look()).await;
            if let (Ok(Err(error)), false) = (&looked, is_failing) {
                let error = error as &dyn std::error::Error;
                tracing::warn!(error, "those who watch are told of nothing, until the database answers");
            }
            is_failing = !matches!(looked, Ok(Ok(())));
        }
    }

    /// Reads what is new.
    async fn look(&self) -> Result<(), StateError> {
        let Some(mut at) = *self.reach.borrow() else { return self.begin().await };
        loop {
            let page = match self.state.events(at, BATCH).await {
                Ok(page) => page,
                // So long nobody has looked that what followed was dropped.
                Err(StateError::TooOld) => return self.begin().await,
                Err(error) => return Err(error),
            };
            let came = page.events.len();
            at = page.position;
            if came > 0 {
                self.lock().extend(page.events);
                self.reach.send_replace(Some(at));
            }
            if came < BATCH as usize {
                return Ok(());
            }
        }
    }

    /// Begins from now, with nothing kept.
    async fn begin(&self) -> Result<(), StateError> {
        let position = self.state.position().await?;
        self.lock().clear();
        self.reach.send_replace(Some(position));
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watching {
    /// What comes next, at once.
    pub(crate) async fn next(&mut self) -> Result<Next, StateError> {
        let reach = *self.reach.borrow_and_update();
        if reach.is_some_and(|reach| self.at >= reach) {
            self.is_live = true;
            return Ok(Next::Nothing);
        }
        let kept = self.feed.lock().after(self.at, BATCH as usize);
        if let Some(events) = kept {
            self.at = events.last().map_or(self.at, |event| event.position);
            return Ok(Next::Events(events));
        }
        if self.is_live && reach.is_some() {
            return Ok(Next::Behind);
        }
        self.catch_up().await
    }

    /// What comes next, from the database.
    async fn catch_up(&mut self) -> Result<Next, StateError> {
        let _turn = self.feed.catching_up.acquire().await;
        let page = self.feed.state.events(self.at, BATCH).await?;
        if page.events.is_empty() {
            return Ok(Next::Nothing);
        }
        self.at = page.position;
        Ok(Next::Events(page.events.into_iter().map(|event: Event| Arc::new(Told::new(event))).collect()))
    }

    /// Waits until there may be more.
    pub(crate) async fn changed(&mut self) {
        if self.reach.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.feed.watchers.dec();
    }
}
