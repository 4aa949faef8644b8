//! What upstreams have granted, to whom, and until when that is believed. Time is handed in.

mod believing;

use std::{
    hash::Hash,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use longshore_oci::{Digest, ManifestVoucher, VerdictLifetime};
use moka::{policy::EvictionPolicy, sync::Cache};

use super::{
    Closes, Now, Place, Resets, What, Who,
    asking::Asked,
    links::{Link, Links},
    public::Public,
    taken_back::{TakenBack, said_at},
};
use crate::{
    statements::Statements,
    store::{Store, StoreError},
};

/// How long it is not written down again that a repository has something.
const LINK_NOTED: Duration = Duration::from_hours(1);
/// The kind of the records of when all was forgotten.
const RESET_KIND: &str = "edge-grant-reset";

/// What may be set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GrantSettings {
    /// How long a right is believed before the upstream is asked again, where it has not said for how long it holds.
    pub ttl: Duration,
    /// How long it is believed while the upstream is down.
    pub stale: Duration,
    /// The same of what anybody may have.
    pub public_stale: Duration,
    /// How many rights are remembered, and how many things that repositories have.
    pub most: u64,
    /// How many questions an upstream is asked at once.
    pub most_asked: usize,
}

/// Whether somebody may have something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Question {
    /// Through which repository.
    pub place: Place,
    /// What.
    pub what: What,
    /// Who.
    pub who: Who,
    /// The second, since 1970, from which on its credential is no longer good, where that is known.
    pub ends_at: Option<i64>,
    /// Whether its token is proven to cover pulls from the repository.
    pub is_covered: bool,
}

/// How sure an answer must be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sureness {
    /// As it is while the upstream can be asked.
    Fresh,
    /// As it is while the upstream is down.
    Stale,
}

/// Whose right: to a manifest, or to a whole repository where that is `None`.
type Right = (Place, Option<What>, Who);

#[derive(Clone, Copy, Debug)]
struct Remembered {
    at: Instant,
    ends_at: Option<i64>,
    /// For how long that holds, where the upstream has said so; never of a whole repository.
    lifetime: Option<VerdictLifetime>,
}

/// All that was granted.
pub struct Book {
    settings: GrantSettings,
    rights: Cache<Right, Remembered>,
    /// Since when the rights in a repository count; those from before are forgotten.
    since: Cache<Place, Instant>,
    /// The same of an upstream, by its address; what its repositories had before is asked anew.
    resets: Resets,
    /// Since when rights to whole repositories are asked anew that are from before.
    doubted: Cache<(Place, Who), Instant>,
    /// Since when a repository is closed to somebody: no right from before counts any more.
    shut: Cache<(Place, Who), Instant>,
    links: Links,
    /// What anybody could have, a restart ago too.
    public: Public,
    /// What upstreams have signed of manifests.
    statements: Arc<Statements>,
    /// What of that does not count any more.
    taken_back: Arc<TakenBack>,
}

impl Book {
    /// None yet, but for what is written down: what repositories have, and what anybody could have.
    pub fn new(settings: GrantSettings, store: Option<Store>) -> Result<Self, StoreError> {
        // None is dropped while an upstream may have said that it holds, nor what ends it.
        let longest = settings.ttl.max(settings.stale).max(settings.public_stale).max(VerdictLifetime::LONGEST);
        let rights = Cache::builder().max_capacity(settings.most).time_to_live(longest).build();
        let (since, doubted, shut) = (ends(settings.most, longest), ends(settings.most, longest), ends(settings.most, longest));
        let links = Links::new(store.clone(), settings.most)?;
        let public = Public::new(store.clone(), settings.most, settings.public_stale, Now::read())?;
        let statements = Arc::new(Statements::new(store.clone())?);
        let taken_back = Arc::new(TakenBack::new(store.clone(), settings.most)?);
        let resets = Resets::new(store, RESET_KIND)?;
        Ok(Self { settings, rights, since, resets, doubted, shut, links, public, statements, taken_back })
    }

    /// What is known of something in a repository.
    pub fn link(&self, place: &Place, what: &What) -> Option<Link> {
        self.links.get(place, what)
    }

    /// The same, and no longer than since all was last forgotten of the upstream.
    pub fn is_linked_now(&self, place: &Place, what: &What) -> bool {
        self.link(place, what).is_some_and(|link| !self.is_from_before(place, link))
    }

    /// What upstreams have signed.
    pub fn statements(&self) -> &Arc<Statements> {
        &self.statements
    }

    /// Notes by an upstream's signed word that a repository has a manifest, and if it says so these blobs, with their lengths; but for what
    /// is known to have been taken back since.
    ///
    /// A word from before all was asked anew opens them while the upstream is away, and no longer.
    pub fn note_vouched(&self, place: &Place, said: &ManifestVoucher, blobs: impl Iterator<Item = (Digest, u64)>) {
        let seen_at = said_at(said);
        let blobs = blobs.map(|(digest, size_bytes)| (What::Blob(digest), Some(size_bytes)));
        for (what, size_bytes) in [(What::Manifest(said.digest.clone()), None)].into_iter().chain(blobs) {
            let is_known = |known: Link| {
                let is_recent = known.seen_at.checked_add(LINK_NOTED).is_ok_and(|until| until >= seen_at);
                known.seen_at >= seen_at || is_recent && !self.is_from_before(place, known)
            };
            let is_known = self.links.get(place, &what).is_some_and(is_known);
            if !is_known && !self.taken_back.has(place, what.digest(), seen_at) {
                self.links.add(place, &what, Link { seen_at, size_bytes });
            }
        }
    }

    /// What upstreams have taken back of what they have signed.
    pub fn taken_back(&self) -> &Arc<TakenBack> {
        &self.taken_back
    }

    /// How long a right is believed before the upstream is asked again.
    pub fn ttl(&self) -> Duration {
        self.settings.ttl
    }

    /// Notes that an upstream has granted it to one who asked at that time, from which on it counts.
    pub fn grant(&self, question: &Question, asked: Asked, now: Now) {
        let Question { place, what, who, ends_at, .. } = question;
        if self.is_forgotten(place, now.at) {
            return;
        }
        let Asked { size_bytes, lifetime } = asked;
        let remembered = Remembered { at: now.at, ends_at: *ends_at, lifetime: None };
        if *who != Who::Covered {
            self.rights.insert((place.clone(), None, who.clone()), remembered);
            if let What::Manifest(_) = what {
                self.rights.insert((place.clone(), Some(what.clone()), who.clone()), Remembered { lifetime, ..remembered });
            }
        }
        if *who == Who::Anybody && !self.is_shut(place, who, now.at) {
            let until = lifetime.map(|lifetime| now.time.checked_add(lifetime.stale_if_error).unwrap_or(now.time));
            self.public.add(place, what.manifest(), until, self.reset_at(place), now);
            if self.is_forgotten(place, now.at) || self.is_shut(place, who, now.at) {
                // Meanwhile.
                self.public.remove(place, None);
            }
        }
        let known = self.links.get(place, what);
        let size_bytes = size_bytes.or_else(|| known?.size_bytes);
        // Many may be granted the same at once; one line of it is enough.
        let is_news = known.is_none_or(|known| {
            known.size_bytes != size_bytes || !now.is_within(known.seen_at, LINK_NOTED) || self.is_from_before(place, known)
        });
        if is_news {
            self.links.add(place, what, Link { seen_at: now.time, size_bytes });
        }
    }

    /// Notes that an upstream has refused it to one who asked at that time.
    pub fn refuse(&self, question: &Question, closes: Closes, now: Now) {
        let Question { place, what, who, is_covered, .. } = question;
        self.take_back(place, what, who);
        // To others an upstream may say so of what it hides from them.
        let is_meant = *is_covered || self.may_pull(place, who, now);
        match closes {
            Closes::Repository => self.shut(place, who),
            Closes::This => {
                if is_meant {
                    self.forget_word(place, what);
                }
                self.doubt(place, who, now);
                if *who == Who::Shared {
                    // Whom the cache speaks for as one has it by the link alone.
                    self.links.remove(place, what);
                }
            }
            Closes::Missing if is_meant => {
                self.forget_word(place, what);
                self.links.remove(place, what);
            }
            Closes::Missing => {}
        }
    }

    /// What an upstream has signed of a manifest does not count any more, nor where neighbours bring it.
    fn forget_word(&self, place: &Place, what: &What) {
        if let Some(digest) = what.manifest() {
            self.taken_back.note_answered(place, digest);
            self.statements.forget(place, digest);
        }
    }

    /// Notes that somebody may not have something.
    pub fn take_back(&self, place: &Place, what: &What, who: &Who) {
        self.rights.invalidate(&(place.clone(), Some(what.clone()), who.clone()));
        if let (Who::Anybody, Some(digest)) = (who, what.manifest()) {
            self.public.remove(place, Some(digest));
        }
    }

    /// Forgets that a repository has something, since its upstream tells that it had it no more at a time, by its clock, and what rights
    /// there were in it.
    pub fn forget(&self, place: &Place, digest: &Digest, at: Timestamp) {
        self.since.insert(place.clone(), Instant::now());
        self.public.remove(place, None);
        self.taken_back.note_told(place, digest, at);
        self.statements.forget(place, digest);
        self.links.remove(place, &What::Manifest(digest.clone()));
        self.links.remove(place, &What::Blob(digest.clone()));
    }

    /// Forgets all rights in an upstream, and asks anew what its repositories have. What neighbours hand on of what it signed before does not
    /// count.
    pub fn forget_all(&self, upstream: &Arc<str>) {
        self.taken_back.note_all(upstream);
        self.ask_all_anew(upstream);
    }

    /// The same where nothing is known to have been taken back; so what it signed before counts, for as long as it says.
    pub fn ask_all_anew(&self, upstream: &Arc<str>) {
        self.resets.note(upstream);
    }

    fn reset_at(&self, place: &Place) -> Option<Timestamp> {
        self.resets.last(&place.upstream).map(|reset| reset.time)
    }

    fn is_forgotten(&self, place: &Place, at: Instant) -> bool {
        let all = self.resets.last(&place.upstream).map(|reset| reset.at);
        [self.since.get(place), all].into_iter().flatten().any(|since| at <= since)
    }

    /// Whether a link was seen before all was forgotten of its upstream.
    fn is_from_before(&self, place: &Place, link: Link) -> bool {
        self.reset_at(place).is_some_and(|reset| link.seen_at <= reset)
    }

    /// Notes that a repository refused somebody something at a time: whether the rest of it is still open to them is asked anew.
    pub fn doubt(&self, place: &Place, who: &Who, now: Now) {
        self.doubted.insert((place.clone(), who.clone()), now.at);
    }

    /// Notes that a repository is closed to somebody: what they were granted of it before is asked anew.
    pub fn shut(&self, place: &Place, who: &Who) {
        self.shut.insert((place.clone(), who.clone()), Instant::now());
        self.rights.invalidate(&(place.clone(), None, who.clone()));
        if *who == Who::Anybody {
            self.public.remove(place, None);
        }
    }

    /// Whether the repository was closed to somebody after they were granted something at a time.
    fn is_shut(&self, place: &Place, who: &Who, at: Instant) -> bool {
        self.shut.get(&(place.clone(), who.clone())).is_some_and(|shut| at <= shut)
    }
}

/// When rights ended: each is noted, whatever it takes the place of.
fn ends<K: Eq + Hash + Send + Sync + 'static>(most: u64, longest: Duration) -> Cache<K, Instant> {
    Cache::builder().max_capacity(most).eviction_policy(EvictionPolicy::lru()).time_to_live(longest).build()
}

#[cfg(test)]
mod tests;
