//! Who of a zone fetches a blob from the origin: each stripe of its pieces is leased to one peer.
//!
//! A lease is kept by who announces while it makes progress, and comes free when its term is over, when its holder leaves or makes no
//! progress for a term. None is torn away in between: who holds more than its fair share gives the rest up when it announces, which it
//! is asked to do soon where it has only begun, and those that came meanwhile are called for that moment. What a peer wants counts for the share only while it comes back as it was asked to, so one that is gone
//! without a word keeps nothing from the others for long.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    time::Duration,
};

use super::{PeerNumber, TrackerSettings, count};
use crate::moment::Moment;

/// The leases of one topic in one zone, and who waits for one.
#[derive(Debug, Default)]
pub struct Origin {
    /// Each stripe's holder. Empty until the first asks.
    stripes: Vec<Option<Hold>>,
    askers: BTreeMap<PeerNumber, Asker>,
    /// The askers, by when they count no more.
    silent_at: BTreeSet<(Moment, PeerNumber)>,
    /// How many askers want how many stripes; those that rest want none.
    wanted: BTreeMap<u8, usize>,
    /// When a downloader of the zone last made progress, or the first began to ask.
    moved_at: Moment,
    /// When the last of those that wait is to ask again.
    last_turn: Moment,
    /// How many were called for when holders give up what they have more than their share, and when these do.
    called: u8,
    called_until: Moment,
    /// Until when leases are given though the zone has a seed, as nobody got on by those before.
    open_until: Moment,
}

#[derive(Clone, Copy, Debug)]
struct Hold {
    holder: PeerNumber,
    until: Moment,
}

#[derive(Clone, Copy, Debug)]
struct Asker {
    wants: u8,
    silent_at: Moment,
    /// When it last made progress, or began to hold a stripe.
    moved_at: Moment,
    /// Until when it stands back, as it held a stripe and made no progress.
    rests_until: Moment,
    /// Since when it holds stripes without a break, where it does.
    held_since: Moment,
    /// When it is to ask again.
    returns_at: Moment,
}

impl Asker {
    fn new(now: Moment) -> Self {
        Self { wants: 0, silent_at: now, moved_at: now, rests_until: Moment::default(), held_since: now, returns_at: now }
    }
}

/// What a downloader asks for.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// Who.
    pub peer: PeerNumber,
    /// How many stripes it would fetch.
    pub wants: u8,
    /// Whether it has more pieces than when it asked last.
    pub has_moved: bool,
    /// Whether a peer of the zone has all, as far as that is believed.
    pub is_seeded: bool,
}

/// What it is given.
#[derive(Debug)]
pub struct Given {
    /// The stripes that it holds from now on, for a term.
    pub stripes: Vec<u8>,
    /// How many of them it did not hold before.
    pub new: u64,
    /// How many it held before and holds no more.
    pub lost: u64,
    /// Whether nobody gets on by those of the zone that say they have all.
    pub are_seeds_idle: bool,
    /// How soon it should ask again: at random within that, as peers that came together should not come back together.
    pub again_in: RangeInclusive<Duration>,
}

impl Given {
    /// Nothing, to one that wants nothing and renews its announcement in time.
    pub fn nothing(lost: u64, settings: &TrackerSettings) -> Self {
        Self { stripes: Vec::new(), new: 0, lost, are_seeds_idle: false, again_in: a_little_before(settings.renewal()) }
    }
}

fn a_little_before(time: Duration) -> RangeInclusive<Duration> {
    time * 4 / 5..=time
}

impl Origin {
    /// A downloader of the zone made progress.
    pub fn moved(&mut self, now: Moment) {
        self.moved_at = now;
    }

    /// Answers one that would fetch at least one stripe.
    pub fn ask(&mut self, question: Question, now: Moment, settings: &TrackerSettings) -> Given {
        let peer = question.peer;
        self.forget_silent(now);
        self.stripes.resize(usize::from(settings.stripes), None);
        if self.askers.is_empty() {
            self.moved_at = now;
        }
        let asker = self.askers.get(&peer).copied();
        let mut asker = asker.unwrap_or(Asker::new(now));
        let held = self.held_by(peer, now);
        if question.has_moved {
            asker.moved_at = now;
        } else if !held.is_empty() && now.since(asker.moved_at) >= settings.origin_term {
            asker.rests_until = now + settings.origin_term;
        }
        // Where nobody else wants it, who is slow is better than none.
        let others = self.wanted.values().sum::<usize>() - usize::from(asker.wants > 0);
        let is_resting = now < asker.rests_until && others > 0;
        self.count_out(peer);
        asker.wants = if is_resting { 0 } else { question.wants.min(settings.stripes) };
        if asker.wants > 0 {
            *self.wanted.entry(asker.wants).or_default() += 1;
        }

        let are_seeds_idle = question.is_seeded && now.since(self.moved_at) >= settings.origin_term;
        if are_seeds_idle {
            self.open_until = now + settings.lease;
        }
        // Where a peer of the zone has all it is the source, unless nobody gets on by it.
        let is_open = !question.is_seeded || now < self.open_until;
        let share = if is_open { self.share_of(asker.wants) } else { 0 };
        let stripes = self.lease(peer, share, now, settings.origin_term);
        let lost = count(held.iter().filter(|stripe| !stripes.contains(stripe)));
        let new = count(stripes.iter().filter(|stripe| !held.contains(stripe)));
        if held.is_empty() {
            (asker.moved_at, asker.held_since) = (now, now);
        }
        let again_in = if stripes.is_empty() {
            self.turn_of_one_more(now, settings)
        } else {
            let term = settings.origin_term;
            // Others may have come since: soon in the beginning, and well before its term is over.
            a_little_before(now.since(asker.held_since).clamp(term / 50, term / 2).min(settings.renewal()))
        };
        asker.returns_at = now + *again_in.end();
        asker.silent_at = now + settings.origin_term.max(*again_in.end() * 2);
        self.silent_at.insert((asker.silent_at, peer));
        self.askers.insert(peer, asker);
        Given { stripes, new, lost, are_seeds_idle, again_in }
    }

    /// Takes a peer out: it is gone, has all, or wants nothing from the origin. How many stripes come free.
    pub fn leave(&mut self, peer: PeerNumber, now: Moment) -> u64 {
        let held = count(self.held_by(peer, now).iter());
        for stripe in self.stripes.iter_mut().filter(|stripe| stripe.is_some_and(|hold| hold.holder == peer)) {
            *stripe = None;
        }
        self.count_out(peer);
        self.askers.remove(&peer);
        held
    }

    /// Whether a peer holds a stripe.
    pub fn is_held_by(&self, peer: PeerNumber, now: Moment) -> bool {
        self.stripes.iter().flatten().any(|hold| hold.holder == peer && now < hold.until)
    }

    fn held_by(&self, peer: PeerNumber, now: Moment) -> Vec<u8> {
        let is_held = |stripe: &Option<Hold>| stripe.is_some_and(|hold| hold.holder == peer && now < hold.until);
        (0..).zip(&self.stripes).filter(|(_, stripe)| is_held(stripe)).map(|(number, _)| number).collect()
    }

    /// Keeps `share` of the stripes that a peer holds, frees the rest, and adds free ones where it holds fewer.
    fn lease(&mut self, peer: PeerNumber, share: usize, now: Moment, term: Duration) -> Vec<u8> {
        let held = self.held_by(peer, now);
        let free =
            (0..).zip(&self.stripes).filter(|(_, stripe)| stripe.is_none_or(|hold| hold.until <= now)).map(|(number, _)| number);
        let mut stripes: Vec<u8> = held.iter().copied().chain(free).take(share).collect();
        stripes.sort_unstable();
        for stripe in held {
            self.stripes[usize::from(stripe)] = None;
        }
        for stripe in &stripes {
            self.stripes[usize::from(*stripe)] = Some(Hold { holder: peer, until: now + term });
        }
        stripes
    }

    /// How many stripes one holds that wants so many: what it wants, up to the least number by which all stripes find a holder. With n
    /// that want all, that is the stripes by n, rounded up.
    fn share_of(&self, wants: u8) -> usize {
        let stripes = self.stripes.len();
        let taken = |share: usize| self.wanted.iter().map(|(wants, count)| share.min(usize::from(*wants)) * count).sum::<usize>();
        let share = (1..stripes).find(|share| taken(*share) >= stripes).unwrap_or(stripes);
        share.min(usize::from(wants))
    }

    /// When one that waits is to ask again. Where holders have more than their share, those that come first are called as soon as that is
    /// given up; the rest take turns, twenty in a term, so that what comes free is soon taken, however many came at once.
    fn turn_of_one_more(&mut self, now: Moment, settings: &TrackerSettings) -> RangeInclusive<Duration> {
        let (term, renewal) = (settings.origin_term, settings.renewal());
        if now >= self.called_until {
            self.called = 0;
        }
        if let Some((_, free_at)) = self.spare(now).filter(|(spare, _)| *spare > usize::from(self.called)) {
            self.called += 1;
            self.called_until = free_at;
            let turn = free_at.since(now).min(renewal) + term / 500 * u32::from(self.called);
            return turn..=turn;
        }
        let (soonest, step) = ((term / 4).min(renewal), term / 20);
        // No later than after a turn of each, lest one that asks all the time puts off the others.
        let waiting = u32::try_from(self.askers.len() + 1).unwrap_or(u32::MAX);
        let latest = now + soonest + step.saturating_mul(waiting);
        let turn = (self.last_turn + step).max(now + soonest).min(latest);
        if turn > now + renewal {
            // With so many it needs no turns.
            return soonest..=renewal;
        }
        self.last_turn = turn;
        turn.since(now)..=turn.since(now)
    }

    /// How many stripes are to be given up by those that have more than their share, and when the last of these comes back.
    fn spare(&self, now: Moment) -> Option<(usize, Moment)> {
        let mut held = BTreeMap::<PeerNumber, usize>::new();
        self.stripes.iter().flatten().filter(|hold| now < hold.until).for_each(|hold| *held.entry(hold.holder).or_default() += 1);
        let over = held.into_iter().filter_map(|(holder, held)| {
            let asker = self.askers.get(&holder)?;
            Some((held.saturating_sub(self.share_of(asker.wants)), asker.returns_at)).filter(|(spare, _)| *spare > 0)
        });
        over.reduce(|(spare, at), (more, later)| (spare + more, at.max(later)))
    }

    fn forget_silent(&mut self, now: Moment) {
        while let Some((silent_at, peer)) = self.silent_at.first().copied()
            && silent_at <= now
        {
            // What it held is over as well: no term is longer.
            self.count_out(peer);
            self.askers.remove(&peer);
        }
    }

    /// Takes what an asker wants out of what is wanted.
    fn count_out(&mut self, peer: PeerNumber) {
        let Some(asker) = self.askers.get_mut(&peer) else { return };
        self.silent_at.remove(&(asker.silent_at, peer));
        if let Some(count) = self.wanted.get_mut(&asker.wants).filter(|_| asker.wants > 0) {
            *count -= 1;
            if *count == 0 {
                self.wanted.remove(&asker.wants);
            }
        }
        asker.wants = 0;
    }
}

#[cfg(test)]
mod tests;
