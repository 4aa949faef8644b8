//! Tags and manifests. A tag is asked again after a short time, and named as it was while its upstream is down; a manifest, which its
//! digest names, stays what it is.

mod looking;
mod manifest_bytes;
mod manifests;
mod memo;
mod neighbours;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use longshore_oci::{Digest, Reference, RepositoryName, Tag};
use longshore_service::metrics::Metrics;
use prometheus::IntCounterVec;

use crate::{
    error::Error,
    first_byte::unless_silent,
    grants::{Attempt, Client, Denied, Granted, Grants, Now, Place, What, Who},
    seldom::Seldom,
    single::Single,
    site::Site,
    store::{Store, StoreError},
    turns::Turns,
    upstream::{Identity, Upstream},
};

use looking::Looked;
pub use manifest_bytes::MOST_BYTES as MOST_MANIFEST_BYTES;
pub use manifests::{MOST_KINDS as MOST_MANIFEST_KINDS, Manifest, Manifests};
use memo::{Kept, Memo};
use neighbours::Asking;
pub use neighbours::VouchedManifest;

/// What may be set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TagSettings {
    /// How long a tag is believed before its upstream is asked again.
    pub ttl: Duration,
    /// How many are remembered.
    pub most: u64,
    /// How many bytes manifests may take of memory.
    pub manifest_bytes: u64,
    /// How many an upstream is asked about at once.
    pub most_asked: usize,
}

/// What is counted of tags and manifests.
pub struct TagMetrics {
    /// Manifests that an upstream sent, and were not those of their digests, by upstream.
    wrong: IntCounterVec,
    /// Tags that were served as they were while their upstream was down, by upstream.
    stale: IntCounterVec,
}

impl TagMetrics {
    /// Those of a daemon, which counts all that is wrong in one place.
    pub fn new(metrics: &Metrics, wrong: IntCounterVec) -> Self {
        let help = "Tags served as they were while their upstream was down.";
        Self { wrong, stale: metrics.counters("longshore_edge_stale_total", help, &["upstream"]) }
    }
}

/// When it was asked, and what came of it.
type Answered = (Now, Result<Looked, Denied>);

/// What tags name, and the manifests.
pub struct Tags {
    settings: TagSettings,
    memo: Arc<Memo>,
    /// What is being asked, and since when.
    looking: Single<(Place, Tag, Who), Answered>,
    turns: Arc<Turns>,
    stale: IntCounterVec,
    /// That one was served as it was.
    told_stale: Seldom,
    asking: Asking,
    /// The manifests.
    pub manifests: Manifests,
}

/// What a tag names, for a client that may see it.
#[derive(Clone, Debug)]
pub struct Named {
    /// The manifest.
    pub digest: Digest,
    /// That the client may see it.
    pub granted: Granted,
    /// How long ago the upstream said so.
    pub age: Duration,
    /// Whether it said so too long ago, and can't be asked.
    pub is_stale: bool,
}

impl Tags {
    /// Those that are written down in a store, and its manifests; other manifests come from the other edges of a site first.
    pub fn new(store: Store, site: Option<Arc<Site>>, settings: TagSettings, metrics: TagMetrics) -> Result<Self, StoreError> {
        let memo = Arc::new(Memo::new(Some(store.clone()), settings.most, settings.ttl)?);
        let turns = Arc::new(Turns::new(settings.most_asked));
        let (looking, manifests) = (Single::default(), Manifests::new(store, site, settings.manifest_bytes, metrics.wrong)?);
        let (stale, told_stale) = (metrics.stale, Seldom::default());
        Ok(Self { settings, memo, looking, turns, stale, told_stale, asking: Asking::default(), manifests })
    }

    /// Notes that a tag changed: what it named before is not believed without asking any more.
    pub fn outdate(&self, place: &Place, tag: &Tag) {
        self.memo.outdate(place, tag);
    }

    /// The same of all tags of an upstream, by its address.
    pub fn outdate_all(&self, upstream: &Arc<str>) {
        self.memo.outdate_all(upstream);
    }

    /// What a tag names, where a client may see that.
    ///
    /// Where it is not remembered that the client may, the upstream is asked in the client's name about the tag, whether or not what it
    /// names is known here: so what is told, and how long that takes, are the same for both. Where the upstream has nothing to say, a right
    /// that is remembered opens what the tag named before.
    pub async fn resolve(
        &self,
        grants: &Grants,
        upstream: &Arc<Upstream>,
        repository: &RepositoryName,
        tag: &Tag,
        client: &Client,
    ) -> Result<Named, Denied> {
        let place = Place::new(upstream, repository.clone());
        let attempts = grants.attempts(upstream, &place, client).await;
        let kept = self.memo.get(&place, tag);
        let now = Timestamp::now();
        if let Some(kept) =
            kept.as_ref().filter(|kept| kept.is_fresh(now, self.settings.ttl) && !self.memo.is_outdated(&place, tag, kept))
            && let Some(granted) = grants.remembered(&attempts, &place, &What::Manifest(kept.digest.clone()))
        {
            return Ok(named(kept, granted, now, false));
        }
        let despite = |denied: &Denied, attempt: &Attempt| {
            let kept = kept.as_ref()?;
            let granted = grants.remembered_despite(denied, attempt, &place, &What::Manifest(kept.digest.clone()))?;
            self.note_stale(upstream, repository, tag);
            Some(named(kept, granted, now, true))
        };
        let mut refusal = None;
        for attempt in &attempts {
            // Where nobody answered it is not tried again in another's name, if that is not needed.
            if let Some(stale) =
                refusal.as_ref().filter(|denied| Denied::is_unreached(denied)).and_then(|denied| despite(denied, attempt))
            {
                return Ok(stale);
            }
            let despite_silence = |patience| {
                let silent = Denied::Upstream(upstream.silent(patience));
                let may = !matches!(attempt.who, Who::Credential(_))
                    && kept.as_ref().is_some_and(|kept| {
                        let what = What::Manifest(kept.digest.clone());
                        grants.remembered_despite(&silent, attempt, &place, &what).is_some()
                    });
                may.then_some(Err(silent))
            };
            let looking = self.look(grants, upstream, &place, tag, attempt, kept.as_ref());
            let mut looked = unless_silent(looking, despite_silence).await;
            if looked.as_ref().is_ok_and(|looked| self.memo.is_outdated(&place, tag, &looked.kept)) {
                // Who asked first did so before it changed.
                looked = self.look(grants, upstream, &place, tag, attempt, kept.as_ref()).await;
            }
            match looked {
                Ok(Looked { kept, lifetime }) => {
                    let now = Timestamp::now();
                    let left = lifetime.map(|lifetime| lifetime.after(kept.age(now).unwrap_or_default()));
                    let granted = grants.granted(attempt, &place, &What::Manifest(kept.digest.clone()), left);
                    return Ok(named(&kept, granted, now, false));
                }
                Err(denied) => match despite(&denied, attempt) {
                    Some(stale) => return Ok(stale),
                    None => refusal = Some(denied),
                },
            }
        }
        let refusal = refusal.unwrap_or(Denied::Overloaded);
        let may_pull = attempts.iter().any(|attempt| grants.may_pull(attempt, &place));
        if may_pull && self.ask_neighbours(grants, &refusal, upstream, repository, &Reference::Tag(tag.clone())).await.is_some() {
            let kept = self.memo.get(&place, tag);
            let what = kept.as_ref().map(|kept| What::Manifest(kept.digest.clone()));
            let despite = |attempt| grants.remembered_despite(&refusal, attempt, &place, what.as_ref()?);
            if let (Some(granted), Some(kept)) = (attempts.iter().find_map(despite), &kept) {
                self.note_stale(upstream, repository, tag);
                return Ok(named(kept, granted, Timestamp::now(), true));
            }
        }
        Err(refusal)
    }

    /// A tag is served as it was; which one is told once in a while.
    fn note_stale(&self, upstream: &Upstream, repository: &RepositoryName, tag: &Tag) {
        self.stale.with_label_values(&[upstream.name()]).inc();
        if let Some(count) = self.told_stale.due() {
            let upstream = upstream.name();
            tracing::warn!(upstream, %repository, %tag, count, "the upstream does not say what a tag names; it is served as it was");
        }
    }

    /// A manifest, as somebody who may have it; what a tag names is asked of the upstream, and while that is away of neighbours.
    pub async fn fetch(
        &self,
        grants: &Grants,
        upstream: &Arc<Upstream>,
        repository: &RepositoryName,
        reference: &Reference,
        identity: &Identity,
    ) -> Result<(Digest, Manifest), Error> {
        let digest = match reference {
            Reference::Digest(digest) => digest.clone(),
            Reference::Tag(tag) => match looking::look(upstream, identity, repository, tag, None).await {
                Ok(Looked { kept, .. }) => {
                    self.memo.put(&Place::new(upstream, repository.clone()), tag, kept.clone());
                    kept.digest
                }
                Err(denied) => {
                    let found = self.ask_neighbours(grants, &denied, upstream, repository, reference).await;
                    found.ok_or(denied)?
                }
            },
        };
        let manifest = self.manifest(grants, upstream, repository, &digest, identity).await?;
        Ok((digest, manifest))
    }

    /// What a tag names, asked in an attempt's name; once, however many want to know the same.
    async fn look(
        &self,
        grants: &Grants,
        upstream: &Arc<Upstream>,
        place: &Place,
        tag: &Tag,
        attempt: &Attempt,
        known: Option<&Kept>,
    ) -> Result<Looked, Denied> {
        if let Some(denied) = grants.closed(attempt, place) {
            return Err(denied);
        }
        let look = || {
            let (upstream, place, tag, memo) = (upstream.clone(), place.clone(), tag.clone(), self.memo.clone());
            let (identity, known, turns) = (attempt.checks.clone(), known.cloned(), self.turns.clone());
            async move {
                let asked_at = Now::read();
                let Some(_turn) = turns.take(&place.upstream) else { return (asked_at, Err(Denied::Overloaded)) };
                let found = looking::look(&upstream, &identity, &place.repository, &tag, known.as_ref()).await;
                if let Ok(looked) = &found {
                    memo.put(&place, &tag, looked.kept.clone());
                }
                (asked_at, found)
            }
        };
        let key = (place.clone(), tag.clone(), attempt.who.clone());
        let (asked_at, found) = self.looking.run(key, look).await.ok_or(Denied::Overloaded)?;
        let before = known.map(|known| &known.digest);
        let outcome = found.as_ref().map(|looked| (&looked.kept.digest, looked.lifetime));
        grants.note_tag(attempt, place, asked_at, before, outcome);
        if let Err(denied) = &found
            && denied.is_missing()
            && grants.may_pull(attempt, place)
        {
            self.memo.remove(place, tag);
        }
        found
    }
}

fn named(kept: &Kept, granted: Granted, now: Timestamp, is_stale: bool) -> Named {
    Named { digest: kept.digest.clone(), granted, age: kept.age(now).unwrap_or_default(), is_stale }
}
