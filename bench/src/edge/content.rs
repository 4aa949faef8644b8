//! What lies in the upstream and goes through the caches.

use std::path::Path;
use std::rc::Rc;

use super::case::{Kind, STORM_LAYER_BYTES, STORM_LAYERS};
use crate::candidate::configuration::make;
use crate::content::{Blob, Noise};
use crate::error::BenchError;
use crate::image::Image;
use crate::load::connection::Connection;
use crate::load::push::{REPOSITORY, bare_request, blob_path, manifest_path, push_blob, push_manifest};
use crate::load::stream::Get;

const CONFIG_BYTES: u64 = 1500;

/// Makes content that nobody has seen, for the turns of one case.
#[derive(Debug)]
pub struct Supply {
    kind: Kind,
    noise: Rc<Noise>,
}

impl Supply {
    /// Of a run's noise.
    pub fn new(kind: Kind, noise: &Rc<Noise>) -> Self {
        Self { kind, noise: Rc::clone(noise) }
    }

    /// New content of one round, under a tag of its own where it is an image.
    pub fn round(&self, tag: &str) -> Content {
        // A cache may know a piece again that is in another blob, so no two are alike.
        let blobs = |size_bytes: u64, count: usize| (0..count).map(|_| self.noise.blob(size_bytes)).collect::<Vec<_>>();
        match self.kind {
            Kind::Storm => {
                let (config, layers) = (self.noise.blob(CONFIG_BYTES), blobs(STORM_LAYER_BYTES, STORM_LAYERS));
                let all = std::iter::once(config.clone()).chain(layers.iter().cloned()).collect();
                Content { image: Some(Image::new(tag, config, layers)), blobs: all }
            }
            Kind::Hit(size_bytes, count) | Kind::Cold(size_bytes, count) => {
                Content { image: None, blobs: blobs(size_bytes, count) }
            }
        }
    }

    /// Content for what is done before it counts: all that is read again and again, and little of what is read once.
    pub fn sample(&self) -> Content {
        let mut content = self.round("sample");
        if matches!(self.kind, Kind::Cold(..)) {
            content.blobs.truncate(1);
        }
        content
    }
}

/// Blobs, and the image that they are where they are one.
#[derive(Debug)]
pub struct Content {
    image: Option<Image>,
    blobs: Vec<Blob>,
}

impl Content {
    /// All its bytes.
    pub fn size_bytes(&self) -> u64 {
        let manifest = self.image.as_ref().map_or(0, |image| image.manifest.len() as u64);
        manifest + self.blobs.iter().map(Blob::size_bytes).sum::<u64>()
    }

    /// What one client asks for to have all of it, in order.
    pub fn gets(&self, host: &str) -> Vec<Get> {
        let get = |path: &str, size_bytes: u64| Get { request: bare_request("GET", path, host), size_bytes };
        let manifest = self.image.iter().map(|image| get(&manifest_path(&image.tag), image.manifest.len() as u64));
        manifest.chain(self.blobs.iter().map(|blob| get(&blob_path(&blob.digest), blob.size_bytes()))).collect()
    }

    /// Where it is, with its digests.
    pub fn paths(&self) -> impl Iterator<Item = (String, &str)> {
        let manifest = self.image.iter().map(|image| (manifest_path(&image.tag), image.digest.as_str()));
        manifest.chain(self.blobs.iter().map(|blob| (blob_path(&blob.digest), blob.digest.as_str())))
    }

    /// Pushes it to a registry.
    pub async fn push(&self, connection: &mut Connection, host: &str) -> Result<(), BenchError> {
        for blob in &self.blobs {
            push_blob(connection, host, blob).await?;
        }
        match &self.image {
            Some(image) => push_manifest(connection, host, image).await,
            None => Ok(()),
        }
    }

    /// Writes its blobs where a server of plain files has them.
    pub fn write(&self, files: &Path) -> Result<(), BenchError> {
        let folder = files.join("v2").join(REPOSITORY).join("blobs");
        make(&folder)?;
        self.blobs.iter().try_for_each(|blob| blob.write(&folder.join(&blob.digest)))
    }
}
