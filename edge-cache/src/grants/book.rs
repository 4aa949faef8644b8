//! What upstreams have granted, to whom, and until when that is believed. Time is handed in.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use longshore_oci::Digest;
use moka::sync::Cache;

use super::{
    Closes, Place, What, Who,
    links::{Link, Links},
};

/// How long an upstream that answers is believed that a repository has something.
const LINK_HOLDS: Duration = Duration::from_hours(24);
/// How long it is not written down again that it does.
const LINK_NOTED: Duration = Duration::from_hours(1);

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
}

/// A point in time, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// By the one that only goes forward.
    pub at: Instant,
    /// By the one that others have too.
    pub time: Timestamp,
}

impl Now {
    /// Now.
    pub fn read() -> Self {
        Self { at: Instant::now(), time: Timestamp::now() }
    }
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
    all_since: RwLock<HashMap<Arc<str>, Now>>,
    /// Since when rights to whole repositories are asked anew that are from before.
    doubted: Cache<(Place, Who), Instant>,
    links: Links,
}

impl Book {
    /// None yet, but for the links that are known.
    pub fn new(settings: GrantSettings, links: Links) -> Self {
        let longest = settings.ttl.max(settings.stale).max(settings.public_stale);
        let rights = Cache::builder().max_capacity(settings.most).time_to_live(longest).build();
        let since = Cache::builder().max_capacity(settings.most).time_to_live(longest).build();
        let doubted = Cache::builder().max_capacity(settings.most).time_to_live(longest).build();
        Self { settings, rights, since, all_since: RwLock::default(), doubted, links }
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
        let known = self.links.get(place, what);
        let size_bytes = size_bytes.or_else(|| known?.size_bytes);
        // Many may be granted the same at once; one line of it is enough.
        let is_news = known.is_none_or(|known| {
            known.size_bytes != size_bytes || !is_within(known, LINK_NOTED, now) || self.is_from_before(place, known)
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
    }

    /// Forgets that a repository has something, and what rights there were in it.
    pub fn forget(&self, place: &Place, digest: &Digest) {
        self.since.insert(place.clone(), Instant::now());
        self.links.remove(place, &What::Manifest(digest.clone()));
        self.links.remove(place, &What::Blob(digest.clone()));
    }

    /// Forgets all rights in an upstream, and asks anew what its repositories have.
    pub fn forget_all(&self, upstream: &Arc<str>) {
        self.all_since.write().unwrap_or_else(PoisonError::into_inner).insert(upstream.clone(), Now::read());
    }

    fn all_since(&self, place: &Place) -> Option<Now> {
        self.all_since.read().unwrap_or_else(PoisonError::into_inner).get(&place.upstream).copied()
    }

    fn is_forgotten(&self, place: &Place, at: Instant) -> bool {
        let all = self.all_since(place).map(|since| since.at);
        [self.since.get(place), all].into_iter().flatten().any(|since| at <= since)
    }

    /// Whether a link was seen before all was forgotten of its upstream.
    fn is_from_before(&self, place: &Place, link: Link) -> bool {
        self.all_since(place).is_some_and(|since| link.seen_at <= since.time)
    }

    /// Notes that a repository refused somebody something at a time: whether the rest of it is still open to them is asked anew.
    pub fn doubt(&self, place: &Place, who: &Who, now: Now) {
        self.doubted.insert((place.clone(), who.clone()), now.at);
    }

    /// Notes that a repository is closed to somebody.
    pub fn shut(&self, place: &Place, who: &Who) {
        self.rights.invalidate(&(place.clone(), None, who.clone()));
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
        let Some(remembered) = self.rights.get(right) else { return false };
        let limit = match sureness {
            Sureness::Fresh => self.settings.ttl,
            Sureness::Stale if right.2 == Who::Anybody => self.settings.public_stale.max(self.settings.ttl),
            Sureness::Stale => self.settings.stale.max(self.settings.ttl),
        };
        let is_over = remembered.ends_at.is_some_and(|end| end <= now.time.as_second());
        let is_doubted = sureness == Sureness::Fresh && self.is_doubted(right, remembered.at);
        let is_recent = now.at.saturating_duration_since(remembered.at) < limit;
        is_recent && !is_over && !is_doubted && !self.is_forgotten(&right.0, remembered.at)
    }

    fn is_doubted(&self, (place, what, who): &Right, at: Instant) -> bool {
        what.is_none() && self.doubted.get(&(place.clone(), who.clone())).is_some_and(|doubted| at <= doubted)
    }

    fn is_linked(&self, place: &Place, what: &What, sureness: Sureness, now: Now) -> bool {
        let Some(link) = self.links.get(place, what) else { return false };
        sureness == Sureness::Stale || is_within(link, LINK_HOLDS, now) && !self.is_from_before(place, link)
    }
}

/// Whether a link was seen no longer ago than this.
fn is_within(link: Link, limit: Duration, now: Now) -> bool {
    Duration::try_from(now.time.duration_since(link.seen_at)).is_ok_and(|age| age < limit)
}

#[cfg(test)]
mod tests;
