//! Has images come before they are needed.

use std::{collections::BTreeSet, sync::Arc};

use longshore_fleet::{Fetch, FetchReport, FetchState};
use longshore_service::error_text::with_sources;
use tokio_util::task::AbortOnDropHandle;

use super::Images;
use crate::{
    agent::{hands::Hands, make::image_text},
    runtime::Runtime,
};

impl Images {
    /// Begins what is new, and breaks off what nobody wants any more.
    pub(super) fn fetch(&mut self, wanted: &[Fetch]) {
        let all: BTreeSet<_> = wanted.iter().map(Fetch::key).collect();
        self.fetching.retain(|fetch, _| all.contains(fetch));
        for fetch in wanted {
            let (hands, runtime) = (&self.hands, &self.runtime);
            let begin = || AbortOnDropHandle::new(tokio::spawn(bring(hands.clone(), runtime.clone(), fetch.clone())));
            self.fetching.entry(fetch.key()).or_insert_with(begin);
        }
    }
}

/// Has one image come, and tells how far it is.
async fn bring(hands: Arc<Hands>, runtime: Option<Arc<Runtime>>, fetch: Fetch) {
    let image = image_text(&fetch.image);
    let tell = |state: FetchState, bytes_done: u64, bytes_total: u64, message: Option<String>| {
        let (operation, image) = (fetch.operation, fetch.image.clone());
        hands.board.set_fetch(FetchReport { operation, image, state, bytes_done, bytes_total, message });
    };
    tell(FetchState::Waiting, 0, 0, None);
    let pulled = hands.pulls.pull_noting(&hands.cri, &image, || tell(FetchState::Fetching, 0, 0, None)).await;
    if let Err(error) = pulled {
        tracing::warn!(image, error = with_sources(&error), "an image that was to be fetched does not come");
        tell(FetchState::Failed, 0, 0, Some(with_sources(&error)));
        return;
    }
    let of_blobs = match &runtime {
        Some(runtime) => runtime.blobs_of_image(&image).await.map(|blobs| blobs.values().sum()),
        None => None,
    };
    let bytes = match of_blobs {
        Some(bytes) => bytes,
        None => hands.cri.image(&image).await.ok().flatten().map_or(0, |image| image.size),
    };
    tell(FetchState::Done, bytes, bytes, None);
}
