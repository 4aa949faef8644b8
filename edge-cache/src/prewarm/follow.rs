//! Who pulls a manifest will ask for its layers next, so they are fetched at once.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use longshore_oci::{Digest, Manifest};
use tokio::sync::Semaphore;

use super::{Shared, contents::blobs_of};
use crate::{blobs::Background, source::SharedSource};

/// How long a manifest is not followed again.
const PAUSE: Duration = Duration::from_secs(30);
/// How many manifests are remembered for that.
const REMEMBERED: u64 = 10_000;

/// The manifests that are followed, or were a moment ago.
pub struct Following {
    /// By where they were pulled from, too: what one upstream has is no news of another.
    lately: moka::sync::Cache<(Arc<str>, Digest), ()>,
    room: Arc<Semaphore>,
    background: Background,
}

impl Following {
    /// None yet; so many at once, whose blobs are fetched in this way.
    pub fn new(most: usize, background: Background) -> Self {
        let lately = moka::sync::Cache::builder().max_capacity(REMEMBERED).time_to_live(PAUSE).build();
        Self { lately, room: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))), background }
    }
}

/// Fetches what an image is made of, as whoever pulled its manifest. An index tells nothing yet: which platform its caller is of, the
/// manifest tells that is pulled next.
pub fn follow(shared: &Arc<Shared>, digest: &Digest, media_type: &str, bytes: &[u8], source: SharedSource) {
    let followed = |result| shared.metrics.follows.with_label_values(&[result]).inc();
    if !shared.settings.follows_pulls || shared.shutdown.is_cancelled() {
        return;
    }
    if !shared.following.lately.entry((source.address(), digest.clone())).or_insert(()).is_fresh() {
        return;
    }
    let Ok(manifest) = Manifest::parse(bytes, Some(media_type)) else { return };
    let mut blobs = blobs_of(&manifest);
    blobs.retain(|(digest, _)| shared.blobs.fetched(digest).is_none_or(|fetched| fetched.pieces < fetched.pieces_in_all));
    if blobs.is_empty() {
        return;
    }
    let Ok(permit) = shared.following.room.clone().try_acquire_owned() else { return followed("skipped") };
    followed("begun");
    let (shared, digest, tasks) = (shared.clone(), digest.clone(), shared.tasks.clone());
    tasks.spawn(async move {
        let fetch = stream::iter(blobs).for_each_concurrent(shared.settings.blobs_at_once.max(1), |(blob, _)| {
            let (shared, source, manifest) = (&shared, source.clone(), &digest);
            async move {
                if let Err(error) = shared.blobs.prewarm(&blob, source, &shared.following.background, |_| ()).await {
                    // Whoever wants it asks for it, and is told.
                    let error = &error as &dyn std::error::Error;
                    tracing::debug!(%manifest, digest = %blob, error, "a blob was not fetched ahead");
                }
            }
        });
        tokio::select! {
            () = fetch => {}
            () = shared.shutdown.cancelled() => {}
        }
        drop(permit);
    });
}
