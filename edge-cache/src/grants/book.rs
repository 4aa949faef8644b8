//! What upstreams have granted, to whom, and until when that is believed. Time is handed in.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use longshore_oci::Digest;
use moka::sync::Cache;

use super::{
    Closes, Now, Place, Resets, What, Who,
    links::{Link, Links},
    public::Public,
};
use crate::store::{Store, StoreError};

/// How long an upstream that answers is believed that a repository has something.
const LINK_HOLDS: Duration = Duration::from_hours(24);
/// How long it is not written down again that it does.
const LINK_NOTED: Duration = Duration::from_hours(1);
/// The kind of the records of when all was forgotten.
const RESET_KIND: &str = "edge-grant-reset";

/// What may be set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GrantSettings {
    /// How long a right is believed before the upstream is asked again.
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
}

impl Book {
    /// None yet, but for what is written down: what repositories have, and what anybody could have.
    pub fn new(settings: GrantSettings, store: Option<Store>) -> Result<Self, StoreError> {
        let longest = settings.ttl.max(settings.stale).max(settings.public_stale);
        let rights = Cache::builder().max_capacity(settings.most).time_to_live(longest).build();
        let since = Cache::builder().max_capacity(settings.most).time_to_live(longest).build();
        let doubted = Cache::builder().max_capacity(settings.most).time_to_live(longest).build();
        let shut = Cache::builder().max_capacity(settings.most).time_to_live(longest).build();
        let links = Links::new(store.clone(), settings.most)?;
        let public = Public::new(store.clone(), settings.most, settings.public_stale, Now::read())?;
        Ok(Self { settings, rights, since, resets: Resets::new(store, RESET_KIND)?, doubted, shut, links, public })
    }

    /// What is known of something in a repository.
    pub fn link(&self, place: &Place, what: &What) -> Option<Link> {
        self.links.get(place, what)
    }

    /// Whether what is remembered grants this.
    pub fn grants(&self, question: &Question, sureness: Sureness, now: Now) -> bool {
        let Question { place, what, who, ends_at, .. } = question;
        if ends_at.is_some_and(|end| end <= now.time.as_second()) {
            return false;
        }
        let remembers = |what: Option<&What>| self.remembers(&(place.clone(), what.cloned(), who.clone()), sureness, now);
        let is_linked = || self.is_linked(place, what, sureness, now);
        match (who, what) {
            (Who::Covered, _) => false,
            // Whoever reaches the cache may have what the repository has: down or not, that is all there is to know.
            (Who::Shared, What::Blob(_)) => is_linked(),
            (Who::Shared, What::Manifest(_)) if sureness == Sureness::Stale => is_linked(),
            (_, What::Blob(_)) => remembers(None) && is_linked(),
            // The repository was closed to them since, if that is not remembered any more.
            (_, What::Manifest(_)) => remembers(Some(what)) && (sureness == Sureness::Fresh || remembers(None)),
        }
    }

    /// Notes that an upstream has granted it to one who asked at that time, from which on it counts.
    pub fn grant(&self, question: &Question, size_bytes: Option<u64>, now: Now) {
        let Question { place, what, who, ends_at, .. } = question;
        if self.is_forgotten(place, now.at) {
            return;
        }
        let remembered = Remembered { at: now.at, ends_at: *ends_at };
        if *who != Who::Covered {
            self.rights.insert((place.clone(), None, who.clone()), remembered);
            if let What::Manifest(_) = what {
                self.rights.insert((place.clone(), Some(what.clone()), who.clone()), remembered);
            }
        }
        if *who == Who::Anybody && !self.is_shut(place, who, now.at) {
            self.public.add(place, what.manifest(), self.reset_at(place), now);
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
        match closes {
            Closes::Repository => self.shut(place, who),
            Closes::This => self.doubt(place, who, now),
            // To others an upstream may say so of what it hides from them.
            Closes::Missing if *is_covered || self.may_pull(place, who, now) => self.links.remove(place, what),
            Closes::Missing => {}
        }
    }

    /// Notes that somebody may not have something.
    pub fn take_back(&self, place: &Place, what: &What, who: &Who) {
        self.rights.invalidate(&(place.clone(), Some(what.clone()), who.clone()));
        if let (Who::Anybody, Some(digest)) = (who, what.manifest()) {
            self.public.remove(place, Some(digest));
        }
    }

    /// Forgets that a repository has something, and what rights there were in it.
    pub fn forget(&self, place: &Place, digest: &Digest) {
        self.since.insert(place.clone(), Instant::now());
        self.public.remove(place, None);
        self.links.remove(place, &What::Manifest(digest.clone()));
        self.links.remove(place, &What::Blob(digest.clone()));
    }

    /// Forgets all rights in an upstream, and asks anew what its repositories have.
    pub fn forget_all(&self, upstream: &Arc<str>) {
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

    /// Whether it is still believed that who asks may pull from the repository.
    pub fn is_let_in(&self, question: &Question, now: Now) -> bool {
        self.remembers(&(question.place.clone(), None, question.who.clone()), Sureness::Fresh, now)
    }

    /// Whether somebody was lately let into a repository.
    pub fn may_pull(&self, place: &Place, who: &Who, now: Now) -> bool {
        *who == Who::Shared || self.remembers(&(place.clone(), None, who.clone()), Sureness::Stale, now)
    }

    fn remembers(&self, right: &Right, sureness: Sureness, now: Now) -> bool {
        let remembered = self.rights.get(right);
        remembered.is_some_and(|remembered| self.is_believed(right, remembered, sureness, now))
            || (sureness == Sureness::Stale && self.was_public(right, now))
    }

    /// Whether anybody could have it lately, a restart of this cache in between or not.
    fn was_public(&self, (place, what, who): &Right, now: Now) -> bool {
        let manifest = what.as_ref().and_then(What::manifest);
        *who == Who::Anybody && self.public.holds(place, manifest, self.reset_at(place), now)
    }

    fn is_believed(&self, right: &Right, remembered: Remembered, sureness: Sureness, now: Now) -> bool {
        let limit = match sureness {
            Sureness::Fresh => self.settings.ttl,
            Sureness::Stale if right.2 == Who::Anybody => self.settings.public_stale.max(self.settings.ttl),
            Sureness::Stale => self.settings.stale.max(self.settings.ttl),
        };
        let is_over = remembered.ends_at.is_some_and(|end| end <= now.time.as_second());
        let is_doubted = sureness == Sureness::Fresh && self.is_doubted(right, remembered.at);
        let is_recent = now.at.saturating_duration_since(remembered.at) < limit;
        let is_shut = self.is_shut(&right.0, &right.2, remembered.at);
        is_recent && !is_over && !is_doubted && !is_shut && !self.is_forgotten(&right.0, remembered.at)
    }

    /// Whether the repository was closed to somebody after they were granted something at a time.
    fn is_shut(&self, place: &Place, who: &Who, at: Instant) -> bool {
        self.shut.get(&(place.clone(), who.clone())).is_some_and(|shut| at <= shut)
    }

    fn is_doubted(&self, (place, what, who): &Right, at: Instant) -> bool {
        what.is_none() && self.doubted.get(&(place.clone(), who.clone())).is_some_and(|doubted| at <= doubted)
    }

    fn is_linked(&self, place: &Place, what: &What, sureness: Sureness, now: Now) -> bool {
        let Some(link) = self.links.get(place, what) else { return false };
        sureness == Sureness::Stale || now.is_within(link.seen_at, LINK_HOLDS) && !self.is_from_before(place, link)
    }
}

#[cfg(test)]
mod tests;
