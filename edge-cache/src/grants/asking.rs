//! Asking an upstream whether somebody may have something.

use http::{HeaderMap, HeaderValue, Method, header};
use longshore_oci::VerdictLifetime;

use super::{Denied, Place, What, sighting};
use crate::upstream::{Ask, Identity, Upstream};

/// The kinds of manifests that are asked for.
pub const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// What an upstream said of something that its asker may have.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// How long it is, in bytes, where that was told.
    pub size_bytes: Option<u64>,
    /// For how long that holds, where it was told of a manifest.
    pub lifetime: Option<VerdictLifetime>,
}

/// What comes of a question: for how long it still holds that somebody may have a manifest, where that was told; or why they may not.
pub type Answered = Result<Option<VerdictLifetime>, Denied>;

impl Asked {
    /// Asks by a HEAD.
    pub async fn of(upstream: &Upstream, place: &Place, what: &What, identity: &Identity) -> Result<Self, Denied> {
        let mut headers = HeaderMap::new();
        if let What::Manifest(_) = what {
            headers.insert(header::ACCEPT, HeaderValue::from_static(MANIFESTS));
        }
        let ask = Ask { method: Method::HEAD, route: what.route(place.repository.clone()), query: None, headers };
        let answer = upstream.ask(identity, ask).await.map_err(Denied::Upstream)?;
        let sighting = sighting::sighting(what, answer.status, &answer.headers);
        let size_bytes = sighting.map_err(|reason| Denied::NotARegistry { upstream: upstream.name().to_owned(), reason })?;
        let lifetime = what.manifest().and_then(|_| sighting::verdict_lifetime(&answer.headers));
        Ok(Self { size_bytes, lifetime })
    }
}
