//! Images by their names, as the cache itself may have them: for prewarming.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderValue, Request, header};
use longshore_client::{FetchedManifest, ImageReference};
use longshore_oci::{Digest, Reference, RepositoryName, Route};

use crate::{
    Origin,
    edge::Upstreams,
    error::Error,
    grants::{Client, Denied, Grants, MANIFESTS, What},
    names::{self, Meant},
    prewarm::{
        Image, Images, NoImage, Repository,
        advice::{Refused, advice},
    },
    sources::Sources,
    tags::Tags,
    upstream::{Ask, Identity, Upstream, UpstreamError},
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

impl Place {
    /// A refusal with what it means. A HEAD is refused without words, so the upstream is asked once more for them.
    async fn explained(&self, error: Error, reference: &Reference) -> NoImage {
        let Error::Denied(Denied::Upstream(refused)) = &error else { return error.into() };
        let credentials = &self.upstream.settings().credentials;
        let Some(advice) = refused.status().and_then(|status| advice(status, credentials, &self.repository, reference)) else {
            return error.into();
        };
        let is_wordless = matches!(refused, UpstreamError::Refused { errors, .. } if errors.is_empty());
        let told = if is_wordless { self.words(reference).await } else { None };
        let answer = told.filter(|told| told.status() == refused.status()).unwrap_or_else(|| refused.clone());
        Box::new(Refused { answer, advice })
    }

    /// What the upstream says where it refuses a manifest.
    async fn words(&self, reference: &Reference) -> Option<UpstreamError> {
        let mut ask = Ask::get(Route::Manifest(self.repository.clone(), reference.clone()));
        ask.headers.insert(header::ACCEPT, HeaderValue::from_static(MANIFESTS));
        self.upstream.ask(&Identity::Edge, ask).await.err()
    }
}

#[async_trait]
impl Repository for Place {
    async fn manifest(&self, reference: &Reference) -> Result<FetchedManifest, NoImage> {
        let fetched = self.tags.fetch(&self.grants, &self.upstream, &self.repository, reference, &Identity::Edge).await;
        let (digest, manifest) = match fetched {
            Ok(fetched) => fetched,
            Err(error) => return Err(self.explained(error, reference).await),
        };
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
