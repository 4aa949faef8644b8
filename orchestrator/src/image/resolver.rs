//! Asking registries about images.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use longshore_client::{ClientError, PullClient};
use longshore_fleet::Image;
use longshore_oci::{Descriptor, Manifest, ManifestKind, Platform, Reference};
use tokio::sync::Semaphore;

use super::{ImageError, ImageVerdict, Resolved, clients::Clients, contents, fetching};
use crate::{config::Registry, schedule::ImageLayers};

/// The most platforms that an image may be for.
const MOST_PLATFORMS: usize = 64;
/// How many manifests of one index are asked for at once.
const AT_ONCE: usize = 4;

/// Asks registries about images, so many at once. Copies ask together.
#[derive(Clone, Debug)]
pub struct ImageResolver {
    clients: Arc<Clients>,
    turns: Arc<Semaphore>,
    timeout: Duration,
}

impl ImageResolver {
    /// One of a configuration; nothing is asked yet. Reads the files of certificates, so this blocks.
    pub fn new(config: &Registry) -> Result<Self, ClientError> {
        Ok(Self {
            clients: Arc::new(Clients::new(config)?),
            turns: Arc::new(Semaphore::new(config.max_asked)),
            timeout: config.timeout.get(),
        })
    }

    /// Who asks our registry.
    pub(crate) fn own(&self) -> &PullClient {
        self.clients.own()
    }

    /// An image by digest, and what it is made of. Its policy's verdict is asked with it: what may not be pulled is an error.
    pub async fn resolve(&self, image: &Image) -> Result<Resolved, ImageError> {
        self.in_time(image, self.look_up(image)).await
    }

    /// Whether an image, named by digest, may run now. An error where that can't be found out.
    pub async fn verdict(&self, image: &Image) -> Result<ImageVerdict, ImageError> {
        let asked = async {
            let client = self.clients.of(image).await?;
            fetching::manifest(&client, image, reference(image)).await
        };
        match self.in_time(image, asked).await {
            Ok(fetched) => Ok(ImageVerdict::Allowed { until: fetched.until }),
            Err(ImageError::NotAllowed { reason, .. }) => Ok(ImageVerdict::Refused { reason }),
            Err(error) => Err(error),
        }
    }

    /// Waits for a turn and for what is asked, not longer than all of it may take.
    async fn in_time<T>(&self, image: &Image, work: impl Future<Output = Result<T, ImageError>>) -> Result<T, ImageError> {
        let turn = async {
            let _turn = self.turns.acquire().await;
            work.await
        };
        tokio::time::timeout(self.timeout, turn).await.unwrap_or_else(|_| {
            let reason = format!("{} did not answer within {:?}", image.registry, self.timeout);
            Err(ImageError::Unavailable { image: image.clone(), reason })
        })
    }

    async fn look_up(&self, image: &Image) -> Result<Resolved, ImageError> {
        let client = self.clients.of(image).await?;
        let fetched = fetching::manifest(&client, image, reference(image)).await?;
        let manifest = parse(image, &fetched)?;
        let at = image.at(fetched.digest);
        let layers = match &manifest.kind {
            ManifestKind::Image { .. } => vec![of_manifest(&client, image, &manifest, None).await?],
            ManifestKind::Index { manifests } => of_index(&client, image, manifests).await?,
        };
        Ok(Resolved { image: at, layers })
    }
}

/// What an image is asked for by: its digest alone, where it has one.
fn reference(image: &Image) -> Reference {
    match (&image.digest, &image.tag) {
        (Some(digest), _) => Reference::Digest(digest.clone()),
        (None, Some(tag)) => Reference::Tag(tag.clone()),
        (None, None) => unreachable!("an image has a tag wherever it has no digest"),
    }
}

fn parse(image: &Image, fetched: &fetching::Fetched) -> Result<Manifest, ImageError> {
    let parsed = Manifest::parse(&fetched.content, fetched.media_type.as_deref());
    parsed.map_err(|error| ImageError::Unusable { image: image.clone(), reason: error.to_string() })
}

/// What is needed of each image of an index.
async fn of_index(client: &PullClient, image: &Image, entries: &[Descriptor]) -> Result<Vec<ImageLayers>, ImageError> {
    let unusable = |reason: String| ImageError::Unusable { image: image.clone(), reason };
    let runnable: Vec<Descriptor> = entries.iter().filter(|entry| contents::is_runnable(entry)).cloned().collect();
    if runnable.len() > MOST_PLATFORMS {
        return Err(unusable(format!("it is for {} platforms, more than {MOST_PLATFORMS}", runnable.len())));
    }
    let asked = runnable.into_iter().map(|entry| of_entry(client.clone(), image.clone(), entry));
    let all: Vec<Option<ImageLayers>> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
    let mut layers: Vec<ImageLayers> = Vec::new();
    for one in all.into_iter().flatten() {
        // Nodes are told apart by these two alone; of two images that differ in more, the first counts.
        if !layers.iter().any(|known| known.os == one.os && known.architecture == one.architecture) {
            layers.push(one);
        }
    }
    if layers.is_empty() { Err(unusable("its index has no image for any platform".to_owned())) } else { Ok(layers) }
}

/// What is needed of an index's entry; nothing of one that is an index itself, into which no runtime looks.
async fn of_entry(client: PullClient, image: Image, entry: Descriptor) -> Result<Option<ImageLayers>, ImageError> {
    let fetched = fetching::manifest(&client, &image, Reference::Digest(entry.digest)).await?;
    let manifest = parse(&image, &fetched)?;
    match manifest.kind {
        ManifestKind::Image { .. } => of_manifest(&client, &image, &manifest, entry.platform).await.map(Some),
        ManifestKind::Index { .. } => Ok(None),
    }
}

/// What is needed of one image, whose platform its configuration says where nobody else does.
async fn of_manifest(
    client: &PullClient,
    image: &Image,
    manifest: &Manifest,
    platform: Option<Platform>,
) -> Result<ImageLayers, ImageError> {
    let platform = platform.filter(|platform| !platform.os.is_empty() && !platform.architecture.is_empty());
    if let Some(platform) = platform {
        return Ok(contents::layers(manifest, platform));
    }
    let ManifestKind::Image { config, .. } = &manifest.kind else {
        unreachable!("it is asked of images alone");
    };
    let configuration = fetching::blob(client, image, &config.digest).await?;
    let platform = contents::platform(&configuration).ok_or_else(|| ImageError::Unusable {
        image: image.clone(),
        reason: "its configuration does not say what it runs on: it is an artifact, not an image".to_owned(),
    })?;
    Ok(contents::layers(manifest, platform))
}
