//! What an operation does.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use longshore_oci::Digest;
use longshore_service::error_text::with_sources;
use tokio::{sync::SemaphorePermit, time::Instant};

use super::{
    Shared,
    contents::{Contents, NoContents},
    images::{Image, NoImage},
    leases::{Lease, NotPinned, Part},
    operation::{Operation, State, Stop},
    patience::Patience,
};
use crate::{
    blobs::{Fetched, OpenError},
    error::Error,
    grants::{Denied, What},
    source::SourceError,
    supply::Supplied,
    upstream::UpstreamError,
};

/// An image is not there.
#[derive(Debug, thiserror::Error)]
enum NotThere {
    /// Its name leads nowhere.
    #[error(transparent)]
    Name(NoImage),
    /// See [`NoContents`].
    #[error(transparent)]
    Contents(#[from] NoContents),
    /// See [`NotPinned`].
    #[error(transparent)]
    Pin(#[from] NotPinned),
    /// A blob of it did not come.
    #[error("blob {digest} is not here")]
    Blob {
        /// Which.
        digest: Digest,
        /// Why.
        #[source]
        source: OpenError,
    },
    /// A blob is not as long as a manifest says.
    #[error("blob {digest} has {actual_bytes} bytes, and {expected_bytes} by its manifest")]
    Length {
        /// Which.
        digest: Digest,
        /// As it came.
        actual_bytes: u64,
        /// By its manifest.
        expected_bytes: u64,
    },
    /// Pinning it for so long leads past the end of the calendar.
    #[error("the pin ends past the end of the calendar")]
    Calendar,
}

/// Leave to fetch an image, which is given back while it is waited for an upstream.
type Turn<'a> = Option<SemaphorePermit<'a>>;

impl NotThere {
    /// What an upstream said, where that is why.
    fn upstream(&self) -> Option<&UpstreamError> {
        let denied = match self {
            Self::Blob { source: OpenError::Source(SourceError::Upstream(error)), .. } => return Some(error),
            Self::Contents(NoContents::Manifest { source, .. }) => match source.downcast_ref::<Error>()? {
                Error::Denied(denied) => denied,
                Error::Refused { denied, .. } => denied.as_ref(),
                _ => return None,
            },
            _ => return None,
        };
        if let Denied::Upstream(error) = denied { Some(error) } else { None }
    }
}

/// Does all of it. However it ends, nothing of an image that did not come stays pinned. All images are begun at once, and those
/// that have a turn are fetched: one that waits for its upstream keeps no other from its turn.
pub async fn run(shared: Arc<Shared>, operation: Arc<Operation>) {
    shared.metrics.running.inc();
    let images = stream::iter(0..operation.wish().images.len()).map(|image| one(&shared, &operation, image));
    let stops: Vec<Option<Stop>> = images.buffer_unordered(operation.wish().images.len().max(1)).collect().await;
    let state = operation.ended(stops.into_iter().flatten().next(), Timestamp::now());
    shared.metrics.running.dec();
    let name = match state {
        State::Done => "done",
        State::Cancelled => "cancelled",
        _ => "failed",
    };
    shared.metrics.operations.with_label_values(&[name]).inc();
    tracing::info!(operation = operation.id(), state = name, "a prewarming is over");
}

/// One image, unless the operation is stopped before it is there.
async fn one(shared: &Shared, operation: &Operation, image: usize) -> Option<Stop> {
    let mut taken = Vec::new();
    let outcome = tokio::select! {
        biased;
        stop = operation.stopped() => Err(stop),
        outcome = fetch(shared, operation, image, &mut taken) => Ok(outcome),
    };
    let settled = shared.leases.settle(&shared.store, taken, matches!(outcome, Ok(Ok(())))).await;
    match outcome {
        Err(stop) => Some(stop),
        Ok(outcome) => {
            let outcome = outcome.and_then(|()| settled.map_err(NotThere::Pin)).map_err(|error| with_sources(&error));
            if let Err(error) = &outcome {
                let name = &operation.wish().images[image];
                tracing::warn!(operation = operation.id(), image = name, error, "an image could not be prewarmed");
            }
            operation.image_ended(image, outcome);
            None
        }
    }
}

async fn fetch(shared: &Shared, operation: &Operation, image: usize, taken: &mut Vec<Part>) -> Result<(), NotThere> {
    let (wish, name) = (operation.wish(), &operation.wish().images[image]);
    let mut patience = Patience::new(wish.deadline.is_none().then_some(shared.settings.patience));
    let mut failed = None;
    let mut turn = shared.images_at_once.acquire().await.ok();
    operation.resolving(image);
    let found = shared.images.find(name).map_err(NotThere::Name)?;
    let contents = loop {
        let reading = Contents::of(&found, &wish.platforms, shared.settings.blobs_each);
        match patience.try_out(|| 0, reading).await {
            Some(Ok(contents)) => break contents,
            Some(Err(error)) => wait(shared, (operation, image), error.into(), &mut failed, &mut patience, &mut turn).await?,
            None => return Err(failed.expect("patience is spent from the first failure on")),
        }
    };
    let here = |(digest, size_bytes): &(Digest, u64)| {
        (digest.clone(), shared.blobs.fetched(digest).unwrap_or_else(|| Fetched::nothing_of(*size_bytes)))
    };
    let digest = contents.manifests.first().map(|(digest, _)| digest.clone());
    operation.resolved(image, digest, contents.blobs.iter().map(here).collect());
    contents.blobs.iter().for_each(|(digest, _)| operation.supplied(digest, supplied(shared, digest)));
    if let Some(pin) = wish.pin {
        let end = Timestamp::now().as_second().checked_add_unsigned(pin.get().as_secs().max(1));
        let expires_at = end.and_then(|second| Timestamp::from_second(second).ok()).ok_or(NotThere::Calendar)?;
        let lease = Lease { reason: operation.id().to_owned(), image: name.clone(), expires_at };
        shared.leases.take(&shared.store, &lease, contents.all(), taken).await?;
    }
    loop {
        let fetching = fetch_contents(shared, operation, contents.clone(), &found);
        match patience.try_out(|| pieces_here(shared, &contents), fetching).await {
            Some(Ok(())) => return Ok(()),
            Some(Err(error)) => wait(shared, (operation, image), error, &mut failed, &mut patience, &mut turn).await?,
            None => return Err(failed.expect("patience is spent from the first failure on")),
        }
    }
}

/// Waits until what failed may be tried again; an error where that is no use. Why is told of the image meanwhile, and is `last`
/// for the next time: that an upstream is left alone says less than what it failed with. Who stops the operation ends it.
async fn wait<'a>(
    shared: &'a Shared,
    (operation, image): (&Operation, usize),
    failed: NotThere,
    last: &mut Option<NotThere>,
    patience: &mut Patience,
    turn: &mut Turn<'a>,
) -> Result<(), NotThere> {
    let wait = failed.upstream().and_then(|error| patience.wait(error));
    let is_left_alone = matches!(failed.upstream(), Some(UpstreamError::Paused { .. }));
    let why = match last.take() {
        Some(before) if is_left_alone => last.insert(before),
        _ => last.insert(failed),
    };
    let Some(wait) = wait else { return Err(last.take().expect("it was put there")) };
    let (error, wait_seconds) = (with_sources(why), wait.as_secs());
    tracing::info!(operation = operation.id(), error, wait_seconds, "a prewarming waits for its upstream");
    operation.waits(image, error);
    let begun = Instant::now();
    *turn = None;
    tokio::time::sleep(wait).await;
    *turn = shared.images_at_once.acquire().await.ok();
    patience.spend(begun.elapsed());
    operation.goes_on(image);
    Ok(())
}

/// What has come of a blob, and from whom.
fn supplied(shared: &Shared, digest: &Digest) -> Supplied {
    shared.blobs.transfers().of(digest).map(|transfer| transfer.supplied).unwrap_or_default()
}

/// How many pieces of an image's blobs are here.
fn pieces_here(shared: &Shared, contents: &Contents) -> u64 {
    let fetched = contents.blobs.iter().filter_map(|(digest, _)| shared.blobs.fetched(digest));
    fetched.map(|fetched| u64::from(fetched.pieces)).sum()
}

async fn fetch_contents(shared: &Shared, operation: &Operation, contents: Contents, found: &Image) -> Result<(), NotThere> {
    let at_once = shared.settings.blobs_at_once.max(1);
    let repository = &found.repository;
    let learn = |(digest, _)| async move { repository.learn_right(&What::Manifest(digest)).await };
    stream::iter(contents.manifests).for_each_concurrent(at_once, learn).await;
    let blobs = stream::iter(contents.blobs.into_iter().map(Ok));
    blobs.try_for_each_concurrent(at_once, |blob| fetch_blob(shared, operation, blob, found)).await
}

async fn fetch_blob(
    shared: &Shared,
    operation: &Operation,
    (digest, expected_bytes): (Digest, u64),
    image: &Image,
) -> Result<(), NotThere> {
    let tell = |fetched| {
        operation.supplied(&digest, supplied(shared, &digest));
        operation.fetched(&digest, fetched);
    };
    let fetching = shared.blobs.prewarm(&digest, image.blobs.clone(), &shared.background, tell);
    // Neighbours who fetch the same have what is here of it meanwhile.
    let (fetched, ()) = tokio::join!(fetching, image.repository.share(&digest));
    let fetched = fetched.map_err(|source| NotThere::Blob { digest: digest.clone(), source })?;
    if fetched.bytes_in_all != expected_bytes {
        return Err(NotThere::Length { digest, actual_bytes: fetched.bytes_in_all, expected_bytes });
    }
    image.repository.learn_right(&What::Blob(digest)).await;
    Ok(())
}
