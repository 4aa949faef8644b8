//! Manifests, and what tags name, by neighbours while an upstream is away: never by their own word, only with that of the upstream, which
//! it has signed and which still counts.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt as _;
use jiff::Timestamp;
use longshore_oci::{Digest, Manifest as Parsed, Reference, RepositoryName};
use moka::sync::Cache;
use serde::{Deserialize, Serialize};

use super::{Manifest, Tags, manifest_bytes::MOST_BYTES, memo::Kept};
use crate::{
    error::Error,
    grants::{Denied, Grants, Place, TakenBack},
    prewarm::blobs_of,
    single::Single,
    site::SiteRepository,
    sources::Sources,
    statements::{Vouched, tag_topic},
    upstream::{Identity, Upstream},
};

/// How long neighbours are asked for one at most.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much longer it is waited for a later word for a tag when there is one.
const LATER: Duration = Duration::from_millis(300);
/// How long none is asked again for what none had.
const MISSED_FOR: Duration = Duration::from_secs(3);
/// How much of that is remembered, and of how many manifests that what they name was noted.
const REMEMBERED: u64 = 10_000;
/// Of how many blobs that one manifest names it is noted that the repository has them. Images have 127 layers at most, as the kernel mounts
/// no more; whatever has more is asked about blob by blob.
const MOST_NOTED: usize = 1000;

/// A manifest as neighbours hand it on.
#[derive(Debug, Deserialize, Serialize)]
pub struct VouchedManifest {
    /// The upstream's word, signed.
    pub voucher: String,
    /// The manifest's bytes, which are JSON and so text.
    pub content: String,
}

/// Whom to ask, and what was asked.
pub struct Asking {
    sources: Option<Arc<Sources>>,
    running: Single<(Place, Digest), Option<Arc<Found>>>,
    missed: Cache<(Place, Digest), ()>,
    /// The manifests of whose blobs it was noted that the repository has them, and when that was said.
    noted: Cache<(Place, Digest), i64>,
}

/// What neighbours brought that is proven.
struct Found {
    vouched: Vouched,
    content: Bytes,
}

impl Default for Asking {
    fn default() -> Self {
        let missed = Cache::builder().max_capacity(REMEMBERED).time_to_live(MISSED_FOR).build();
        Self { sources: None, running: Single::default(), missed, noted: Cache::new(REMEMBERED) }
    }
}

impl Tags {
    /// The same, which asks these sources' neighbours where an upstream is away.
    #[must_use]
    pub fn with_neighbours_of(mut self, sources: Arc<Sources>) -> Self {
        self.asking.sources = Some(sources);
        self
    }

    /// A manifest that its asker may see: from here, from its upstream, or while that is away from neighbours.
    pub async fn manifest(
        &self,
        grants: &Grants,
        upstream: &Arc<Upstream>,
        repository: &RepositoryName,
        digest: &Digest,
        identity: &Identity,
    ) -> Result<Manifest, Error> {
        let mut found = self.manifests.get(upstream, repository, digest, identity).await;
        if let Err(Error::Denied(denied)) = &found
            && self.ask_neighbours(grants, denied, upstream, repository, &Reference::Digest(digest.clone())).await.is_some()
        {
            found = self.manifests.get(upstream, repository, digest, identity).await;
        }
        let manifest = found?;
        self.note_contents(grants, &Place::new(upstream, repository.clone()), digest, &manifest);
        Ok(manifest)
    }

    /// Has neighbours bring what an upstream does not that has answered so: the manifest is here then, and with it the upstream's word that
    /// whoever may pull from the repository may have it. Which manifest it is; `None` where none of them has it, or the upstream is not away.
    pub async fn ask_neighbours(
        &self,
        grants: &Grants,
        denied: &Denied,
        upstream: &Arc<Upstream>,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Option<Digest> {
        let sources = self.asking.sources.as_ref().filter(|sources| denied.is_down() && sources.neighbours().is_some())?;
        let about = match reference {
            Reference::Digest(digest) => digest.clone(),
            Reference::Tag(tag) => tag_topic(tag),
        };
        let place = Place::new(upstream, repository.clone());
        let key = (place.clone(), about.clone());
        if self.asking.missed.contains_key(&key) {
            return None;
        }
        let ask = || {
            let (sources, upstream, place, reference) = (sources.clone(), upstream.clone(), place.clone(), reference.clone());
            let taken_back = grants.taken_back().clone();
            async move { find(&sources, &upstream, &place, &reference, &about, &taken_back).await.map(Arc::new) }
        };
        let Some(found) = self.asking.running.run(key.clone(), ask).await.flatten() else {
            self.asking.missed.insert(key, ());
            return None;
        };
        let Found { vouched, content } = &*found;
        let digest = vouched.said.digest.clone();
        self.manifests.take(&place, &digest, content, &vouched.said.media_type).await;
        grants.statements().add_manifest(upstream.key(), vouched.clone());
        grants.note_vouched(&place, &vouched.said, std::iter::empty());
        if let Reference::Tag(tag) = reference {
            let said_at = Timestamp::from_second(vouched.said.issued_at).unwrap_or_default();
            self.memo.put(&place, tag, Kept::new(digest.clone(), None, said_at));
        }
        tracing::info!(upstream = upstream.name(), %repository, %reference, %digest, "a neighbour brought a manifest");
        Some(digest)
    }

    /// Notes that the repository has the blobs that a manifest names, where the upstream has signed that.
    fn note_contents(&self, grants: &Grants, place: &Place, digest: &Digest, manifest: &Manifest) {
        let Some(vouched) = grants.statements().counting(place, digest, Timestamp::now()) else { return };
        let key = (place.clone(), digest.clone());
        let is_noted = || self.asking.noted.get(&key).is_some_and(|said_at| said_at == vouched.said.issued_at);
        if !vouched.said.is_whole || is_noted() {
            return;
        }
        let Ok(parsed) = Parsed::parse(&manifest.bytes, Some(&manifest.media_type)) else { return };
        grants.note_vouched(place, &vouched.said, blobs_of(&parsed).into_iter().take(MOST_NOTED));
        self.asking.noted.insert(key, vouched.said.issued_at);
    }
}

/// The first manifest that neighbours have and prove; of a tag's the one that was named last, of those that come at about the same time.
async fn find(
    sources: &Sources,
    upstream: &Upstream,
    place: &Place,
    reference: &Reference,
    about: &Digest,
    taken_back: &TakenBack,
) -> Option<Found> {
    let repository = &place.repository;
    let mut answers = sources.neighbours()?.ask_about(&SiteRepository::new(upstream, repository.clone()), about, PATIENCE);
    let mut found: Option<Found> = None;
    let wait = |found: &Option<Found>| if found.is_some() { LATER } else { PATIENCE };
    while let Ok(Some((by, answer))) = tokio::time::timeout(wait(&found), answers.next()).await {
        match proven(upstream, place, reference, &answer, taken_back) {
            Ok(other) => {
                let is_later = |found: &Found| found.vouched.said.issued_at >= other.vouched.said.issued_at;
                found = Some(found.filter(is_later).unwrap_or(other));
            }
            Err(reason) => {
                tracing::warn!(upstream = upstream.name(), %repository, %reference, by, reason, "a neighbour's manifest is not taken");
            }
        }
        if found.is_some() && matches!(reference, Reference::Digest(_)) {
            break;
        }
    }
    found
}

/// What a neighbour hands on, where it is what is asked for and the upstream's word for it counts; an error says why not.
fn proven(
    upstream: &Upstream,
    place: &Place,
    reference: &Reference,
    answer: &[u8],
    taken_back: &TakenBack,
) -> Result<Found, String> {
    let VouchedManifest { voucher, content } =
        serde_json::from_slice(answer).map_err(|error| format!("it can't be read: {error}"))?;
    if content.len() > MOST_BYTES {
        return Err("it is too long".to_owned());
    }
    let vouched = upstream.proven_voucher(&voucher, &place.repository, reference)?;
    if !vouched.counts(Timestamp::now()) {
        return Err("what the upstream has said of it is over".to_owned());
    }
    if taken_back.has_word(place, &vouched.said) {
        return Err("the upstream has taken back since what it said of it".to_owned());
    }
    let digest = &vouched.said.digest;
    if Digest::of(digest.algorithm(), content.as_bytes()) != *digest {
        return Err(format!("it is not {digest}"));
    }
    Ok(Found { vouched, content: content.into() })
}

#[cfg(test)]
mod tests;
