//! One prewarming: what is asked for, how far it is, and what came of it.

mod live;
#[cfg(test)]
mod tests;
mod view;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use longshore_oci::Digest;
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use live::{Live, LiveBlob, LiveImage, shown_blobs};
pub use view::{BlobView, ImageView, OperationView, Progress};

use super::wish::Wish;
use crate::{blobs::Fetched, supply::Supplied};

/// Where an operation, or an image of one, is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// An image: others come first.
    Waiting,
    /// An image: it is being found out what it is made of.
    Resolving,
    /// It is on its way.
    Running,
    /// All of it is here.
    Done,
    /// Some of it is not.
    Failed,
    /// Somebody ended it.
    Cancelled,
}

/// Why an operation ends before all of its images have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stop {
    /// Somebody wants it to.
    Cancelled,
    /// The cache is being stopped.
    Stopping,
    /// It took too long.
    Deadline,
}

/// What is told of one that ended as the cache did.
const STOPPED: &str = "what fetches it was stopped; what has come is kept, and whoever asks again goes on from there";

/// A prewarming.
pub struct Operation {
    id: String,
    wish: Wish,
    created_at: Timestamp,
    live: Mutex<Live>,
    changed: watch::Sender<()>,
    cancelled: CancellationToken,
    /// Cancelled when the cache is stopped.
    stopping: CancellationToken,
}

impl Operation {
    /// One that begins now, and ends at the latest when this token is cancelled.
    pub fn new(wish: Wish, created_at: Timestamp, until: &CancellationToken) -> Self {
        let waiting = LiveImage { state: State::Waiting, digest: None, blobs: Vec::new(), error: None, last_wait: None };
        let images = vec![waiting; wish.images.len()];
        let live = Mutex::new(Live::Running { images, blobs: HashMap::new() });
        let (changed, _) = watch::channel(());
        let (id, cancelled, stopping) = (format!("op_{}", Uuid::now_v7()), until.child_token(), until.clone());
        Self { id, wish, created_at, live, changed, cancelled, stopping }
    }

    /// `op_` and a UUID of version 7.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What is asked for.
    pub fn wish(&self) -> &Wish {
        &self.wish
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        matches!(*self.live(), Live::Ended(_))
    }

    /// Whether it is to end before it is done.
    pub fn is_ending(&self) -> bool {
        self.cancelled.is_cancelled()
    }

    /// Has it ended.
    pub fn cancel(&self) {
        self.cancelled.cancel();
    }

    /// Waits until it is to end early.
    pub async fn stopped(&self) -> Stop {
        let until_deadline = self.wish.deadline.map(|deadline| {
            let milliseconds = deadline.as_millisecond().saturating_sub(Timestamp::now().as_millisecond());
            tokio::time::sleep(std::time::Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0)))
        });
        let deadline = async {
            match until_deadline {
                Some(sleep) => sleep.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.cancelled.cancelled() => if self.stopping.is_cancelled() { Stop::Stopping } else { Stop::Cancelled },
            () = deadline => Stop::Deadline,
        }
    }

    /// Tells of each change from now on; what it says is asked of [`Self::view`].
    pub fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// How it is.
    pub fn view(&self) -> Arc<OperationView> {
        match &*self.live() {
            Live::Running { images, blobs } => Arc::new(self.shown(images, blobs)),
            Live::Ended(view) => view.clone(),
        }
    }

    /// It is being found out what an image is made of.
    pub fn resolving(&self, image: usize) {
        self.change(image, |image, _| image.state = State::Resolving);
    }

    /// It is known what an image is made of, and how much of that is here.
    pub fn resolved(&self, image: usize, digest: Option<Digest>, found: Vec<(Digest, Fetched)>) {
        self.change(image, |image, blobs| {
            image.state = State::Running;
            image.digest = digest;
            image.blobs = found.iter().map(|(digest, _)| digest.clone()).collect();
            for (digest, fetched) in found {
                blobs.entry(digest).or_insert_with(|| LiveBlob::new(fetched)).fetched = fetched;
            }
        });
    }

    /// An image waits for its upstream, for this reason. Its state stays as it is.
    pub fn waits(&self, image: usize, reason: String) {
        self.change(image, |image, _| {
            image.error = Some(reason.clone());
            image.last_wait = Some(reason);
        });
    }

    /// An image that waited is tried again.
    pub fn goes_on(&self, image: usize) {
        self.change(image, |image, _| image.error = None);
    }

    /// A blob has come so far.
    pub fn fetched(&self, digest: &Digest, fetched: Fetched) {
        if let Live::Running { blobs, .. } = &mut *self.live()
            && let Some(before) = blobs.get_mut(digest)
        {
            before.fetched = fetched;
        }
        self.changed.send_replace(());
    }

    /// What has come of a blob by now, and from whom; what had come when this was told first does not count.
    pub fn supplied(&self, digest: &Digest, now: Supplied) {
        if let Live::Running { blobs, .. } = &mut *self.live()
            && let Some(blob) = blobs.get_mut(digest)
        {
            let before = *blob.before.get_or_insert(now);
            // Where it was dropped meanwhile, it is counted anew.
            blob.supplied = if now.sum() < before.sum() { now } else { now.since(before) };
        }
    }

    /// An image is over.
    pub fn image_ended(&self, image: usize, outcome: Result<(), String>) {
        self.change(image, |image, _| match outcome {
            Ok(()) => image.state = State::Done,
            Err(error) => (image.state, image.error) = (State::Failed, Some(error)),
        });
    }

    /// It is over; what came of it.
    pub fn ended(&self, stop: Option<Stop>, now: Timestamp) -> State {
        let mut live = self.live();
        let Live::Running { images, blobs } = &mut *live else { return State::Cancelled };
        let unfinished = match stop {
            Some(Stop::Cancelled | Stop::Stopping) => State::Cancelled,
            Some(Stop::Deadline) | None => State::Failed,
        };
        let past_deadline = self.past_deadline(images);
        for image in images.iter_mut().filter(|image| !image.is_over()) {
            image.state = unfinished;
            image.error = image.last_wait.take().filter(|_| stop == Some(Stop::Deadline));
        }
        let mut view = self.shown(images, blobs);
        view.ended_at = Some(now);
        view.state = match stop {
            _ if images.iter().all(|image| image.state == State::Done) => State::Done,
            Some(Stop::Cancelled | Stop::Stopping) => State::Cancelled,
            Some(Stop::Deadline) | None => State::Failed,
        };
        if view.state != State::Done {
            view.error = match stop {
                Some(Stop::Cancelled) => Some("it was cancelled".to_owned()),
                Some(Stop::Stopping) => Some(STOPPED.to_owned()),
                Some(Stop::Deadline) => Some(past_deadline),
                None => None,
            };
        }
        let state = view.state;
        *live = Live::Ended(Arc::new(view));
        drop(live);
        self.changed.send_replace(());
        state
    }

    /// That the deadline passed, with why the first image waited that waited for its upstream.
    fn past_deadline(&self, images: &[LiveImage]) -> String {
        let text = "its deadline passed before all of it was here";
        let mut unfinished = self.wish.images.iter().zip(images).filter(|(_, image)| !image.is_over());
        let waited = unfinished.find_map(|(name, image)| image.last_wait.as_ref().map(|reason| (name, reason)));
        match waited {
            Some((name, reason)) => format!("{text}; {name} last waited for its upstream: {reason}"),
            None => text.to_owned(),
        }
    }

    fn live(&self) -> std::sync::MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, image: usize, change: impl FnOnce(&mut LiveImage, &mut HashMap<Digest, LiveBlob>)) {
        if let Live::Running { images, blobs } = &mut *self.live()
            && let Some(image) = images.get_mut(image)
        {
            change(image, blobs);
        }
        self.changed.send_replace(());
    }

    fn shown(&self, images: &[LiveImage], blobs: &HashMap<Digest, LiveBlob>) -> OperationView {
        let image = |(name, live): (&String, &LiveImage)| ImageView {
            image: name.clone(),
            state: live.state,
            digest: live.digest.clone(),
            progress: Progress::sum(live.blobs.iter().filter_map(|digest| blobs.get(digest)).map(|blob| blob.fetched)),
            error: live.error.clone(),
        };
        OperationView {
            id: self.id.clone(),
            kind: "prewarm",
            state: State::Running,
            images: self.wish.images.iter().zip(images).map(image).collect(),
            platforms: self.wish.platforms.iter().map(ToString::to_string).collect(),
            pin: self.wish.pin.map(|pin| pin.to_string()),
            deadline: self.wish.deadline,
            created_at: self.created_at,
            ended_at: None,
            progress: Progress::sum(blobs.values().map(|blob| blob.fetched)),
            here_bytes: blobs.values().map(|blob| blob.here_bytes).sum(),
            supplied: blobs.values().fold(Supplied::default(), |sum, blob| sum.plus(blob.supplied)),
            blobs: shown_blobs(images, blobs),
            error: None,
        }
    }
}
