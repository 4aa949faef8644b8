//! One prewarming: what is asked for, how far it is, and what came of it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use longshore_oci::Digest;
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::wish::Wish;
use crate::{blobs::Fetched, supply::Supplied};

/// Of how many blobs is told one by one: of more than an image or two has, and an event is some 64 KiB then.
const MOST_SHOWN_BLOBS: usize = 256;

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

/// A prewarming, as JSON. Its pieces and bytes count once what several images share.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationView {
    /// `op_` and a UUID of version 7.
    pub id: String,
    /// What is done: `prewarm`.
    pub kind: &'static str,
    /// `running`, `done`, `failed` or `cancelled`.
    pub state: State,
    /// The images.
    pub images: Vec<ImageView>,
    /// The platforms that they are wanted for; none for all.
    pub platforms: Vec<String>,
    /// How long they are pinned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
    /// When it must be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How far it is.
    #[serde(flatten)]
    pub progress: Progress,
    /// Bytes that were here when it was known that they are wanted.
    pub here_bytes: u64,
    /// What came since, and from whom.
    #[serde(flatten)]
    pub supplied: Supplied,
    /// Configurations and layers, the first of them.
    pub blobs: Vec<BlobView>,
    /// Why it ended before all images had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// An image of a prewarming, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageView {
    /// As it was asked for.
    pub image: String,
    /// Where it is.
    pub state: State,
    /// What its name leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// How far it is.
    #[serde(flatten)]
    pub progress: Progress,
    /// Why it failed, or why it waits for its upstream. Where the deadline ended it: why it last waited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A configuration or layer of a prewarming, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlobView {
    /// Which.
    pub digest: Digest,
    /// How long it is.
    pub size_bytes: u64,
    /// How much of it is here.
    pub bytes_done: u64,
    /// How much of it was here when it was known that it is wanted.
    pub here_bytes: u64,
    /// What came since, and from whom.
    #[serde(flatten)]
    pub supplied: Supplied,
}

/// How much is here of configurations and layers, and how much there is as far as is known.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Bytes that are here.
    pub bytes_done: u64,
    /// Bytes that there are.
    pub bytes_total: u64,
    /// Pieces that are here.
    pub pieces_done: u64,
    /// Pieces that there are.
    pub pieces_total: u64,
}

impl Progress {
    fn sum(blobs: impl Iterator<Item = Fetched>) -> Self {
        blobs.fold(Self::default(), |sum, blob| Self {
            bytes_done: sum.bytes_done + blob.bytes,
            bytes_total: sum.bytes_total + blob.bytes_in_all,
            pieces_done: sum.pieces_done + u64::from(blob.pieces),
            pieces_total: sum.pieces_total + u64::from(blob.pieces_in_all),
        })
    }
}

/// Why an operation ends before all of its images have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stop {
    /// Somebody wants it to.
    Cancelled,
    /// It took too long.
    Deadline,
}

/// A prewarming.
pub struct Operation {
    id: String,
    wish: Wish,
    created_at: Timestamp,
    live: Mutex<Live>,
    changed: watch::Sender<()>,
    cancelled: CancellationToken,
}

enum Live {
    Running { images: Vec<LiveImage>, blobs: HashMap<Digest, LiveBlob> },
    Ended(Arc<OperationView>),
}

#[derive(Clone)]
struct LiveImage {
    state: State,
    digest: Option<Digest>,
    blobs: Vec<Digest>,
    error: Option<String>,
    /// Why it last waited for its upstream.
    last_wait: Option<String>,
}

#[derive(Clone, Copy)]
struct LiveBlob {
    fetched: Fetched,
    here_bytes: u64,
    /// What had come when it was first heard of.
    before: Option<Supplied>,
    supplied: Supplied,
}

impl LiveBlob {
    fn new(fetched: Fetched) -> Self {
        Self { fetched, here_bytes: fetched.bytes, before: None, supplied: Supplied::default() }
    }
}

impl LiveImage {
    fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::Failed)
    }
}

impl Operation {
    /// One that begins now, and ends at the latest when this token is cancelled.
    pub fn new(wish: Wish, created_at: Timestamp, until: &CancellationToken) -> Self {
        let waiting = LiveImage { state: State::Waiting, digest: None, blobs: Vec::new(), error: None, last_wait: None };
        let images = vec![waiting; wish.images.len()];
        let live = Mutex::new(Live::Running { images, blobs: HashMap::new() });
        let (changed, _) = watch::channel(());
        Self { id: format!("op_{}", Uuid::now_v7()), wish, created_at, live, changed, cancelled: until.child_token() }
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
            () = self.cancelled.cancelled() => Stop::Cancelled,
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
            Some(Stop::Cancelled) => State::Cancelled,
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
            Some(Stop::Cancelled) => State::Cancelled,
            Some(Stop::Deadline) | None => State::Failed,
        };
        if view.state != State::Done {
            view.error = match stop {
                Some(Stop::Cancelled) => Some("it was cancelled".to_owned()),
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

/// The first blobs, each once, in the order of the images.
fn shown_blobs(images: &[LiveImage], blobs: &HashMap<Digest, LiveBlob>) -> Vec<BlobView> {
    let mut seen = HashSet::new();
    let each = images.iter().flat_map(|image| &image.blobs).filter(|digest| seen.insert(*digest));
    let known = each.filter_map(|digest| Some((digest, blobs.get(digest)?))).take(MOST_SHOWN_BLOBS);
    let view = |(digest, blob): (&Digest, &LiveBlob)| BlobView {
        digest: digest.clone(),
        size_bytes: blob.fetched.bytes_in_all,
        bytes_done: blob.fetched.bytes,
        here_bytes: blob.here_bytes,
        supplied: blob.supplied,
    };
    known.map(view).collect()
}

#[cfg(test)]
mod tests {
    use longshore_oci::Algorithm;

    use super::*;
    use crate::supply::Supplier;

    fn operation(images: &[&str]) -> Operation {
        let images = images.iter().map(|&image| image.to_owned()).collect();
        let wish = Wish { images, platforms: vec!["linux/amd64".parse().unwrap()], pin: None, deadline: None };
        Operation::new(wish, Timestamp::UNIX_EPOCH, &CancellationToken::new())
    }

    fn digest(number: u8) -> Digest {
        Digest::of(Algorithm::Sha256, &[number])
    }

    #[test]
    fn what_images_share_counts_once_in_all() {
        let operation = operation(&["a", "b"]);
        assert!(operation.id().starts_with("op_"));
        let (base, own) = (Fetched::nothing_of(3 << 20), Fetched::nothing_of(5));
        operation.resolved(0, Some(digest(9)), vec![(digest(0), base), (digest(1), own)]);
        operation.resolved(1, None, vec![(digest(0), base)]);
        operation.fetched(&digest(0), Fetched::all_of(3 << 20));
        operation.fetched(&digest(7), Fetched::all_of(1));
        let view = operation.view();
        assert_eq!(view.progress, Progress { bytes_done: 3 << 20, bytes_total: (3 << 20) + 5, pieces_done: 3, pieces_total: 4 });
        assert_eq!(view.images[1].progress.bytes_done, 3 << 20);
        assert_eq!(view.images[0].progress.pieces_total, 4);
        let json = serde_json::to_value(&*view).unwrap();
        assert_eq!((&json["state"], &json["piecesDone"], &json["kind"]), (&"running".into(), &3.into(), &"prewarm".into()));
        assert_eq!(json["images"][0]["bytesTotal"], (3 << 20) + 5);
        assert_eq!(json["createdAt"], "1970-01-01T00:00:00Z");
        assert!(json.get("error").is_none() && json.get("progress").is_none());
    }

    #[test]
    fn what_came_is_told_by_who_sent_it() {
        let operation = operation(&["a", "b"]);
        let half = Fetched { bytes: 4, ..Fetched::nothing_of(9) };
        operation.resolved(0, None, vec![(digest(0), half), (digest(1), Fetched::nothing_of(5))]);
        operation.supplied(&digest(0), Supplied::of(Supplier::Registry, 4));
        operation.supplied(&digest(1), Supplied::default());
        operation.supplied(&digest(0), Supplied::of(Supplier::Registry, 4).plus(Supplied::of(Supplier::Neighbours, 5)));
        operation.fetched(&digest(0), Fetched::all_of(9));
        operation.resolved(1, None, vec![(digest(0), Fetched::all_of(9))]);
        operation.supplied(&digest(1), Supplied::of(Supplier::Edge, 2));
        operation.supplied(&digest(7), Supplied::of(Supplier::Edge, 2));
        let view = operation.view();
        let blobs: Vec<_> = view.blobs.iter().map(|blob| (blob.bytes_done, blob.here_bytes, blob.supplied)).collect();
        assert_eq!(blobs, [(9, 4, Supplied::of(Supplier::Neighbours, 5)), (0, 0, Supplied::of(Supplier::Edge, 2))]);
        let json = serde_json::to_value(&*view).unwrap();
        let told =
            |json: &serde_json::Value| ["hereBytes", "neighbourBytes", "edgeBytes", "registryBytes"].map(|of| json[of].as_u64());
        assert_eq!(told(&json), [Some(4), Some(5), Some(2), Some(0)]);
        assert_eq!(told(&json["blobs"][0]), [Some(4), Some(5), Some(0), Some(0)]);
        operation.supplied(&digest(0), Supplied::of(Supplier::Edge, 1));
        assert_eq!(operation.view().blobs[0].supplied, Supplied::of(Supplier::Edge, 1), "it was dropped, and comes anew");
    }

    #[test]
    fn of_many_blobs_the_first_are_told_one_by_one() {
        let operation = operation(&["a"]);
        let found = (0..=255).map(|number| (digest(number), Fetched::all_of(1)));
        let more = (0..=9).map(|number| (Digest::of(Algorithm::Sha256, &[number, 0]), Fetched::all_of(1)));
        operation.resolved(0, None, found.chain(more).collect());
        let view = operation.view();
        assert_eq!((view.blobs.len(), view.progress.bytes_total), (MOST_SHOWN_BLOBS, 266));
    }

    #[test]
    fn why_an_image_waits_is_told_until_it_goes_on_and_after_the_deadline() {
        let now = Timestamp::UNIX_EPOCH;
        let begun = || {
            let operation = operation(&["a", "b"]);
            operation.resolved(1, None, vec![]);
            operation.waits(1, "nobody listens".to_owned());
            operation
        };
        let error = |operation: &Operation| operation.view().images[1].error.clone();
        let one = begun();
        assert_eq!((error(&one).as_deref(), one.view().images[1].state), (Some("nobody listens"), State::Running));
        one.goes_on(1);
        assert_eq!(error(&one), None);
        one.ended(Some(Stop::Deadline), now);
        assert_eq!(error(&one).as_deref(), Some("nobody listens"));
        let told = one.view().error.clone().unwrap();
        assert!(told.contains("deadline") && told.ends_with("b last waited for its upstream: nobody listens"), "{told}");
        let two = begun();
        two.ended(Some(Stop::Cancelled), now);
        assert_eq!((error(&two), two.view().images[1].state), (None, State::Cancelled));
        let three = begun();
        three.goes_on(1);
        three.image_ended(1, Ok(()));
        three.ended(Some(Stop::Deadline), now);
        let view = three.view();
        assert_eq!((error(&three), view.error.as_deref()), (None, Some("its deadline passed before all of it was here")));
    }

    #[test]
    fn it_is_done_when_all_images_are() {
        let now = Timestamp::UNIX_EPOCH;
        let one = operation(&["a", "b"]);
        one.image_ended(0, Ok(()));
        one.image_ended(1, Ok(()));
        assert_eq!((one.ended(None, now), one.is_over()), (State::Done, true));
        let two = operation(&["a", "b"]);
        two.image_ended(0, Err("no such image".to_owned()));
        two.image_ended(1, Ok(()));
        assert_eq!(two.ended(None, now), State::Failed);
        let view = two.view();
        assert_eq!((view.images[0].error.as_deref(), view.images[1].state), (Some("no such image"), State::Done));
        let three = operation(&["a", "b"]);
        three.image_ended(0, Ok(()));
        assert_eq!(three.ended(Some(Stop::Cancelled), now), State::Cancelled);
        assert_eq!((three.view().images[0].state, three.view().images[1].state), (State::Done, State::Cancelled));
        let four = operation(&["a"]);
        assert_eq!(four.ended(Some(Stop::Deadline), now), State::Failed);
        assert!(four.view().error.as_ref().unwrap().contains("deadline"));
        four.fetched(&digest(0), Fetched::all_of(1));
        four.image_ended(0, Ok(()));
        assert_eq!(four.view().state, State::Failed, "what is over stays as it is");
    }
}
