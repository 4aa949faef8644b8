//! What is believed of all that is remembered, and for how long: by the cache's own settings, and by what an upstream has said of how long
//! its verdict holds.

use std::{sync::Arc, time::Duration};

use longshore_oci::VerdictLifetime;

use super::{Book, Question, Remembered, Right, Sureness};
use crate::{
    grants::{Now, Place, What, Who},
    statements::Vouched,
};

/// How long an upstream that answers is believed that a repository has something.
const LINK_HOLDS: Duration = Duration::from_hours(24);

/// That something is granted by what is remembered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Believed {
    /// For how long it still holds, where the upstream has said so of a manifest.
    pub lifetime: Option<VerdictLifetime>,
}

impl Remembered {
    fn age(&self, now: Now) -> Duration {
        now.at.saturating_duration_since(self.at)
    }

    fn believed(&self, now: Now) -> Believed {
        Believed { lifetime: self.lifetime.map(|lifetime| lifetime.after(self.age(now))) }
    }

    /// Whether the upstream has said that it does not hold for so long, though nobody can be asked.
    fn is_past(&self, now: Now) -> bool {
        self.lifetime.is_some_and(|lifetime| self.age(now) >= lifetime.stale_if_error)
    }
}

/// What is believed by an upstream's signed word.
fn by_word(vouched: Option<&Vouched>, now: Now) -> Believed {
    let left = |vouched: &Vouched| Duration::try_from(vouched.ends_at().duration_since(now.time)).unwrap_or_default();
    Believed { lifetime: vouched.map(|vouched| VerdictLifetime::new(Duration::ZERO, left(vouched))) }
}

impl Book {
    /// Whether what is remembered grants this.
    pub fn grants(&self, question: &Question, sureness: Sureness, now: Now) -> bool {
        self.believed(question, sureness, now).is_some()
    }

    /// That what is remembered grants this, where it does.
    pub fn believed(&self, question: &Question, sureness: Sureness, now: Now) -> Option<Believed> {
        let Question { place, what, who, ends_at, .. } = question;
        if ends_at.is_some_and(|end| end <= now.time.as_second()) {
            return None;
        }
        let is_linked = || self.is_linked(place, what, sureness, now);
        let is_open = match (who, what) {
            (Who::Covered, _) => false,
            // Whoever reaches the cache may have what the repository has: down or not, that is all there is to know.
            (Who::Shared, What::Blob(_)) => is_linked() && !self.is_closed_to_all(place),
            (_, What::Blob(_)) => self.lets_in(place, who, sureness, now) && is_linked(),
            (_, What::Manifest(_)) => return self.believed_of_manifest(question, sureness, now),
        };
        is_open.then_some(Believed { lifetime: None })
    }

    /// The same of a manifest. What is fresh is no less so while its upstream is down.
    fn believed_of_manifest(&self, question: &Question, sureness: Sureness, now: Now) -> Option<Believed> {
        let Question { place, what, who, .. } = question;
        let right = (place.clone(), Some(what.clone()), who.clone());
        let remembered = self.rights.get(&right);
        let fresh = remembered.filter(|remembered| self.is_fresh(&right, *remembered, now));
        if fresh.is_some() || sureness == Sureness::Fresh {
            return fresh.map(|remembered| remembered.believed(now));
        }
        if *who == Who::Shared {
            // As of blobs, but for a verdict that is known to be over.
            let vouched = self.vouched(place, what);
            let is_past = match (&vouched, remembered) {
                (Some(vouched), _) if vouched.counts(now.time) => false,
                (_, Some(remembered)) => remembered.is_past(now),
                // It was signed a restart ago.
                (vouched, None) => vouched.is_some(),
            };
            let is_open = !is_past && self.is_linked(place, what, sureness, now) && !self.is_closed_to_all(place);
            let told = remembered.filter(|remembered| !remembered.is_past(now)).map(|remembered| remembered.believed(now));
            return is_open.then(|| told.unwrap_or_else(|| by_word(vouched.as_deref(), now)));
        }
        // The repository was closed to them since, if that is not remembered any more.
        if !self.lets_in(place, who, sureness, now) {
            return None;
        }
        if let Some(remembered) = remembered.filter(|remembered| self.is_believed(&right, *remembered, sureness, now)) {
            return Some(remembered.believed(now));
        }
        // What is signed is for all who are let into the repository.
        let vouched = self.vouched(place, what).filter(|vouched| vouched.counts(now.time));
        if vouched.is_some() && self.is_linked(place, what, sureness, now) {
            return Some(by_word(vouched.as_deref(), now));
        }
        if *who != Who::Anybody {
            return None;
        }
        // A restart of this cache may be in between.
        let seen = self.public.seen(place, what.manifest(), self.reset_at(place), now)?;
        let left = |until| Duration::try_from(now.time.duration_until(until)).unwrap_or_default();
        Some(Believed { lifetime: seen.until.map(|until| VerdictLifetime::new(Duration::ZERO, left(until))) })
    }

    /// What the upstream has signed of a manifest.
    fn vouched(&self, place: &Place, what: &What) -> Option<Arc<Vouched>> {
        self.statements.manifest(place, what.manifest()?)
    }

    /// Whether the repository was closed to the account that all share, and nothing of it was open since.
    fn is_closed_to_all(&self, place: &Place) -> bool {
        let shut = self.shut.get(&(place.clone(), Who::Shared));
        shut.is_some_and(|shut| self.rights.get(&(place.clone(), None, Who::Shared)).is_none_or(|right| right.at <= shut))
    }

    /// Whether it is still believed that who asks may pull from the repository.
    pub fn is_let_in(&self, question: &Question, now: Now) -> bool {
        self.lets_in(&question.place, &question.who, Sureness::Fresh, now)
    }

    /// Whether somebody was lately let into a repository.
    pub fn may_pull(&self, place: &Place, who: &Who, now: Now) -> bool {
        *who == Who::Shared || self.lets_in(place, who, Sureness::Stale, now)
    }

    /// Whether somebody's right to a whole repository is believed.
    fn lets_in(&self, place: &Place, who: &Who, sureness: Sureness, now: Now) -> bool {
        let right = (place.clone(), None, who.clone());
        let remembered = self.rights.get(&right);
        let was_public = || {
            let is_asked = sureness == Sureness::Stale && *who == Who::Anybody;
            is_asked && self.public.holds(place, None, self.reset_at(place), now)
        };
        remembered.is_some_and(|remembered| self.is_believed(&right, remembered, sureness, now)) || was_public()
    }

    /// Whether a right to a manifest is believed while its upstream can be asked. Past the cache's own time the upstream's word is of the
    /// image alone: who may pull at all was to be asked since.
    fn is_fresh(&self, right: &Right, remembered: Remembered, now: Now) -> bool {
        self.is_believed(right, remembered, Sureness::Fresh, now)
            && (remembered.age(now) < self.settings.ttl || self.lets_in(&right.0, &right.2, Sureness::Fresh, now))
    }

    fn is_believed(&self, right: &Right, remembered: Remembered, sureness: Sureness, now: Now) -> bool {
        let is_recent = match sureness {
            Sureness::Fresh => remembered.age(now) < remembered.lifetime.map_or(self.settings.ttl, |lifetime| lifetime.max_age),
            Sureness::Stale => remembered.age(now) < self.stale(&right.2) && !remembered.is_past(now),
        };
        let is_over = remembered.ends_at.is_some_and(|end| end <= now.time.as_second());
        let is_doubted = sureness == Sureness::Fresh && self.is_doubted(right, remembered);
        let is_shut = self.is_shut(&right.0, &right.2, remembered.at);
        is_recent && !is_over && !is_doubted && !is_shut && !self.is_forgotten(&right.0, remembered.at)
    }

    /// How long a right is believed by the cache's own settings while its upstream is down.
    fn stale(&self, who: &Who) -> Duration {
        let stale = if *who == Who::Anybody { self.settings.public_stale } else { self.settings.stale };
        stale.max(self.settings.ttl)
    }

    fn is_doubted(&self, (place, what, who): &Right, remembered: Remembered) -> bool {
        what.is_none() && self.doubted.get(&(place.clone(), who.clone())).is_some_and(|doubted| remembered.at <= doubted)
    }

    fn is_linked(&self, place: &Place, what: &What, sureness: Sureness, now: Now) -> bool {
        let Some(link) = self.links.get(place, what) else { return false };
        sureness == Sureness::Stale || now.is_within(link.seen_at, LINK_HOLDS) && !self.is_from_before(place, link)
    }
}
