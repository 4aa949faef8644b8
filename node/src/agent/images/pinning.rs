//! Pins what is to stay in the node's cache.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use longshore_edge_cache::store::Pin;
use longshore_fleet::Image;
use longshore_oci::Digest;
use longshore_service::error_text::with_sources;

use super::{Images, WantedImages};
use crate::agent::make::image_text;

/// Whose these pins are.
const OWNER: &str = "orchestrator";
/// How long a pin holds that is not renewed.
const LEASE: Duration = Duration::from_hours(1);
/// How many blobs are pinned.
const MOST_PINS: usize = 16_384;

impl Images {
    /// Pins the blobs of what is to stay, as far as they are known, and lets go of others.
    pub(super) async fn pin(&self, wanted: &WantedImages) {
        let Some(runtime) = &self.runtime else { return };
        let now = Timestamp::now();
        let held = wanted.fetch.iter().filter(|fetch| fetch.is_pinned_at(now));
        let images: BTreeSet<String> = wanted.keep.iter().chain(held.map(|fetch| &fetch.image)).map(Image::to_string).collect();
        let mut pins = BTreeMap::new();
        for image in &images {
            let Ok(name) = image.parse::<Image>().map(|image| image_text(&image)) else { continue };
            for (digest, size_bytes) in runtime.blobs_of_image(&name).await.into_iter().flatten() {
                if pins.len() < MOST_PINS {
                    pins.insert((format!("{OWNER} {image}"), digest), (image.clone(), size_bytes));
                }
            }
        }
        self.place(pins, now).await;
    }

    async fn place(&self, wanted: BTreeMap<(String, Digest), (String, u64)>, now: Timestamp) {
        let store = &self.edge.store;
        let is_ours = |pin: &Pin| pin.owner.split(' ').next() == Some(OWNER);
        let placed: BTreeMap<_, _> =
            store.pins().into_iter().filter(is_ours).map(|pin| ((pin.owner.clone(), pin.digest.clone()), pin)).collect();
        for (owner, digest) in placed.keys().filter(|key| !wanted.contains_key(*key)) {
            if let Err(error) = store.unpin(owner, digest).await {
                tracing::debug!(%digest, error = with_sources(&error), "a pin that nobody wants any more ends with its lease");
            }
        }
        let after = |time: Duration| now.checked_add(time).unwrap_or(Timestamp::MAX);
        for ((owner, digest), (image, size_bytes)) in wanted {
            let before = placed.get(&(owner.clone(), digest.clone()));
            if before.and_then(|pin| pin.expires_at).is_some_and(|end| end > after(LEASE / 2)) {
                continue;
            }
            let (reason, created_at) = ("the orchestrator wants it kept".to_owned(), before.map_or(now, |pin| pin.created_at));
            let expires_at = Some(after(LEASE));
            let pin = Pin { owner, reason, image: Some(image), digest, size_bytes, expires_at, created_at };
            if let Err(error) = store.pin(pin).await {
                tracing::debug!(error = with_sources(&error), "not all that is to stay can be pinned");
                return;
            }
        }
    }
}
