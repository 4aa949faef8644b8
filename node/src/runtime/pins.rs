//! Keeps what runs in the cache: the blobs of running containers' images are pinned as `runtime` while they run.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use longshore_edge_cache::store::{Pin, StoreError};
use longshore_oci::{Digest, Manifest};

use super::{Runtime, client::RuntimeError};

/// Whose these pins are.
const OWNER: &str = "runtime";
/// The namespace of what is pulled and run over the container runtime interface.
const KUBERNETES: &str = "k8s.io";
/// How many running containers are looked at, in all namespaces; a node of Kubernetes has 110 pods.
const MOST_CONTAINERS: usize = 4096;
/// The largest manifest that is read, in bytes (distribution-spec, "Pushing Manifests").
const MOST_MANIFEST_BYTES: u64 = 4 << 20;
/// How many manifests one image is followed through: an index of all platforms and what is said about each.
const MOST_MANIFESTS: usize = 64;
/// How many blobs are pinned.
const MOST_PINS: usize = 16_384;
/// The longest name of an image that a pin is told with.
const MOST_NAME_BYTES: usize = 512;

/// What is known of what runs.
#[derive(Default)]
pub struct Pinning {
    /// The image of each running container, by namespace and id: one that is tagged anew does not become another by that.
    containers: HashMap<(String, String), Option<RunningImage>>,
    /// Images' manifests and their blobs, as far as they could be read, by the first.
    blobs: HashMap<Digest, BTreeMap<Digest, u64>>,
    is_full: bool,
}

/// The image of a container.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct RunningImage {
    name: String,
    namespace: String,
    media_type: String,
    manifest: Digest,
}

impl Runtime {
    /// Pins the blobs that are here of what runs, and lets go of what does not any more.
    pub(super) async fn pin_running(&self, pinning: &mut Pinning) -> Result<(), RuntimeError> {
        let images = self.running_images(pinning).await?;
        for image in &images {
            if !pinning.blobs.contains_key(&image.manifest) {
                let blobs = self.blobs_of(image).await?;
                pinning.blobs.extend(blobs.map(|blobs| (image.manifest.clone(), blobs)));
            }
        }
        let running: HashSet<_> = images.iter().map(|image| &image.manifest).collect();
        pinning.blobs.retain(|manifest, _| running.contains(manifest));
        let mut wanted = BTreeMap::new();
        for image in &images {
            for (digest, size_bytes) in pinning.blobs.get(&image.manifest).into_iter().flatten() {
                // What is not here is pinned once it is; and what is to go as containerd has it is not held.
                let is_wanted =
                    self.edge.store.peek(digest).is_some() && !(self.settings.drop_copies && self.stock.may_have(digest));
                if is_wanted && wanted.len() < MOST_PINS {
                    wanted.insert((format!("{OWNER} {}", image.name), digest.clone()), (image.name.clone(), *size_bytes));
                }
            }
        }
        let placed = self.place_pins(wanted).await;
        if let Err(error) = &placed
            && !pinning.is_full
        {
            let error = error as &dyn std::error::Error;
            tracing::warn!(error, "not all that runs can be pinned; what is not may leave the cache");
        }
        pinning.is_full = placed.is_err();
        Ok(())
    }

    /// Makes the pins of what runs these, by owner and blob, with the image and the blob's length.
    async fn place_pins(&self, wanted: BTreeMap<(String, Digest), (String, u64)>) -> Result<(), StoreError> {
        let store = &self.edge.store;
        let is_ours = |pin: &Pin| pin.owner.split(' ').next() == Some(OWNER) && pin.image.is_some();
        let placed: BTreeMap<_, _> =
            store.pins().into_iter().filter(is_ours).map(|pin| ((pin.owner.clone(), pin.digest.clone()), pin)).collect();
        for (owner, digest) in placed.keys().filter(|key| !wanted.contains_key(*key)) {
            store.unpin(owner, digest).await?;
        }
        let now = Timestamp::now();
        let expires_at = now.checked_add(self.settings.pins_stay.get()).unwrap_or(Timestamp::MAX);
        let half = now.checked_add(self.settings.pins_stay.get() / 2).unwrap_or(Timestamp::MAX);
        let (mut pins, mut refused) = (0, None);
        for ((owner, digest), (image, size_bytes)) in wanted {
            let before = placed.get(&(owner.clone(), digest.clone()));
            if before.and_then(|pin| pin.expires_at).is_none_or(|end| end < half) {
                let created_at = before.map_or(now, |pin| pin.created_at);
                let reason = "a container runs it".to_owned();
                let pin = Pin { owner, reason, image: Some(image), digest, size_bytes, expires_at: Some(expires_at), created_at };
                if let Err(error) = store.pin(pin).await {
                    refused = Some(error);
                    continue;
                }
            }
            pins += 1;
        }
        self.metrics.pinned.set(pins);
        refused.map_or(Ok(()), Err)
    }

    /// The images of all containers that have not ended.
    async fn running_images(&self, pinning: &mut Pinning) -> Result<BTreeSet<RunningImage>, RuntimeError> {
        let mut running = HashMap::new();
        for namespace in &self.settings.namespaces {
            for id in self.client.running(namespace).await?.into_iter().take(MOST_CONTAINERS - running.len()) {
                let key = (namespace.clone(), id);
                let image = match pinning.containers.remove(&key) {
                    Some(image) => image,
                    None => self.image_of(namespace, &key.1).await?,
                };
                running.insert(key, image);
            }
        }
        pinning.containers = running;
        Ok(pinning.containers.values().flatten().cloned().collect())
    }

    /// A container's image; `None` where it has none that containerd knows.
    async fn image_of(&self, namespace: &str, container: &str) -> Result<Option<RunningImage>, RuntimeError> {
        let known = async {
            let name = self.client.image_of(namespace, container).await?;
            if name.is_empty() || name.len() > MOST_NAME_BYTES {
                return Ok(None);
            }
            let target = self.client.manifest_of(namespace, &name).await?;
            let namespace = namespace.to_owned();
            Ok(target.map(|(media_type, manifest)| RunningImage { name, namespace, media_type, manifest }))
        };
        match known.await {
            Err(error) if RuntimeError::is_missing(&error) => Ok(None),
            known => known,
        }
    }

    /// The blobs of an image that Kubernetes' namespace has by this name, and their lengths; `None` where that can't be found out now.
    pub async fn blobs_of_image(&self, name: &str) -> Option<BTreeMap<Digest, u64>> {
        let known = async {
            let target = self.client.manifest_of(KUBERNETES, name).await?;
            let Some((media_type, manifest)) = target else { return Ok(None) };
            let image = RunningImage { name: name.to_owned(), namespace: KUBERNETES.to_owned(), media_type, manifest };
            self.blobs_of(&image).await
        };
        known.await.unwrap_or_else(|error: RuntimeError| {
            if !error.is_missing() {
                tracing::debug!(image = name, error = &error as &dyn std::error::Error, "an image's blobs can't be told");
            }
            None
        })
    }

    /// The manifests of an image as far as containerd holds them, which are those of its platform, and their blobs. `None` where one can't be
    /// read now.
    async fn blobs_of(&self, image: &RunningImage) -> Result<Option<BTreeMap<Digest, u64>>, RuntimeError> {
        let mut blobs = BTreeMap::new();
        let mut open = vec![(image.media_type.clone(), image.manifest.clone())];
        let mut followed = HashSet::new();
        while let Some((media_type, digest)) = open.pop() {
            // What is not held of an index is of other platforms.
            let Some(held) = self.stock.get(&digest).filter(|held| held.size_bytes <= MOST_MANIFEST_BYTES) else { continue };
            if followed.len() >= MOST_MANIFESTS || !followed.insert(digest.clone()) {
                continue;
            }
            let bytes = match self.client.read_all(&image.namespace, &digest, 0, held.size_bytes).await {
                Ok(bytes) => bytes,
                Err(error) if error.is_missing() => continue,
                Err(error) => return Err(error),
            };
            if Digest::of(digest.algorithm(), &bytes) != digest {
                self.distrust(&digest);
                continue;
            }
            let Ok(manifest) = Manifest::parse(&bytes, Some(&media_type)) else { continue };
            // Without it the image can't be begun again while the registry is away.
            blobs.insert(digest, held.size_bytes);
            blobs.extend(manifest.blobs().map(|blob| (blob.digest.clone(), blob.size)));
            open.extend(manifest.children().iter().map(|child| (child.media_type.clone(), child.digest.clone())));
        }
        Ok((!blobs.is_empty()).then_some(blobs))
    }
}
