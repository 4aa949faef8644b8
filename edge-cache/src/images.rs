//! Images by their names, as the cache itself may have them: for prewarming.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderValue, Request};
use longshore_client::{FetchedManifest, ImageReference};
use longshore_oci::{Digest, Reference, RepositoryName};

use crate::{
    Origin,
    edge::Upstreams,
    grants::{Client, Grants, What},
    names::{self, Meant},
    prewarm::{Image, Images, NoImage, Repository},
    sources::Sources,
    tags::Tags,
    upstream::{Identity, Upstream},
};

/// Those of the upstreams.
pub struct UpstreamImages {
    upstreams: Arc<Upstreams>,
    tags: Arc<Tags>,
    grants: Arc<Grants>,
    sources: Arc<Sources>,
}

impl UpstreamImages {
    /// Those of these, with their manifests kept here.
    pub fn new(upstreams: Arc<Upstreams>, tags: Arc<Tags>, grants: Arc<Grants>, sources: Arc<Sources>) -> Self {
        Self { upstreams, tags, grants, sources }
    }
}

impl Images for UpstreamImages {
    fn find(&self, image: &str) -> Result<Image, NoImage> {
        let image = ImageReference::parse(image, true)?;
        let (upstream, repository) = place(&self.upstreams, &image)?;
        let latest = || Reference::Tag("latest".parse().expect("it is a tag"));
        let origin = Origin { upstream: upstream.clone(), repository: repository.clone(), who: Identity::Edge };
        let (tags, grants, sources) = (self.tags.clone(), self.grants.clone(), self.sources.clone());
        Ok(Image {
            blobs: sources.of(origin),
            repository: Arc::new(Place { upstream, repository, tags, grants, sources }),
            reference: image.reference().unwrap_or_else(latest),
        })
    }
}

/// Where an image is: as for a client on this machine that asks for it by these words.
pub fn place(upstreams: &Upstreams, image: &ImageReference) -> Result<(Arc<Upstream>, RepositoryName), NoImage> {
    let mut request = Request::new(());
    if let Some(registry) = &image.registry {
        let host = HeaderValue::from_str(registry.authority())?;
        request.headers_mut().insert("oci-namespace", host);
    }
    let Meant { upstream, repository, .. } =
        names::meant(upstreams.iter(), &request.into_parts().0, Some(&image.repository), true)?;
    Ok((upstream, repository.unwrap_or_else(|| image.repository.clone())))
}

/// A repository of an upstream.
struct Place {
    upstream: Arc<Upstream>,
    repository: RepositoryName,
    tags: Arc<Tags>,
    grants: Arc<Grants>,
    sources: Arc<Sources>,
}

#[async_trait]
impl Repository for Place {
    async fn manifest(&self, reference: &Reference) -> Result<FetchedManifest, NoImage> {
        let (digest, manifest) =
            self.tags.fetch(&self.grants, &self.upstream, &self.repository, reference, &Identity::Edge).await?;
        self.sources.shares_manifest(&self.grants, &self.upstream, &self.repository, &digest, reference);
        Ok(FetchedManifest { digest, media_type: manifest.media_type.to_string(), content: manifest.bytes })
    }

    async fn learn_right(&self, what: &What) {
        if let Err(denied) = self.grants.allowed(&self.upstream, &self.repository, &Client::default(), what).await {
            // Whoever asks is told then.
            let (digest, denied) = (what.digest(), &denied as &dyn std::error::Error);
            tracing::debug!(upstream = self.upstream.name(), %digest, denied, "what is prewarmed is not for everybody");
        }
    }

    async fn share(&self, digest: &Digest) {
        if self.sources.neighbours().is_none() {
            return;
        }
        // That a manifest names it is no proof: it may be here from elsewhere.
        match self.grants.has(&self.upstream, &self.repository, &What::Blob(digest.clone())).await {
            Ok(()) => self.sources.shares(&self.upstream, &self.repository, digest),
            Err(denied) => {
                let denied = &denied as &dyn std::error::Error;
                tracing::debug!(upstream = self.upstream.name(), %digest, denied, "what is prewarmed is not shared");
            }
        }
    }
}
