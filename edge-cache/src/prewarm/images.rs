//! What prewarming asks of the rest of the cache.

use std::{error::Error, sync::Arc};

use async_trait::async_trait;
use longshore_client::FetchedManifest;
use longshore_oci::{Digest, Reference};

use crate::{grants::What, source::SharedSource};

/// Why an image, or a manifest of it, can't be had.
pub type NoImage = Box<dyn Error + Send + Sync>;

/// Finds images by what they are called.
pub trait Images: Send + Sync + 'static {
    /// Where an image is, by its name as whoever pulls through the cache would write it, or with the upstream's host before it. It is asked
    /// for as the cache itself; nothing is fetched yet.
    fn find(&self, image: &str) -> Result<Image, NoImage>;
}

/// An image, wherever it is.
#[derive(Clone)]
pub struct Image {
    /// Where its manifests are.
    pub repository: Arc<dyn Repository>,
    /// Where its blobs are.
    pub blobs: SharedSource,
    /// Which manifest it is.
    pub reference: Reference,
}

/// Where manifests are.
#[async_trait]
pub trait Repository: Send + Sync + 'static {
    /// A manifest, whose digest is right; it is kept in the cache as if a client had asked for it.
    async fn manifest(&self, reference: &Reference) -> Result<FetchedManifest, NoImage>;

    /// Finds out whether whoever shows nothing may have something of it, so that they get it when the upstream can't be asked any more.
    async fn learn_right(&self, what: &What);

    /// Tells neighbours that a blob of it is or will be here, where it is sure that the repository has it.
    async fn share(&self, digest: &Digest);
}
