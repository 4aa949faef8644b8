//! The records of peers, a bounded number of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use libp2p_identity::PeerId;

use super::AcquaintanceSettings;
use crate::{
    moment::Moment,
    record::{MOST_ADDRESSES, PeerRecord, dialable},
};

/// Who told of a peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// The peer itself, on a connection that proves who it is.
    Itself,
    /// A tracker, to whom the peer had proven itself.
    Tracker,
    /// The operator's list; it holds for ever.
    Static,
    /// It was found in the local network, and asked.
    Mdns,
    /// Another peer: hearsay, which never takes the place of what is known better, and of what the operator says is not heard at all.
    Exchange(PeerId),
}

/// A peer that is known.
#[derive(Clone, Debug)]
pub struct Known {
    /// Who it is and where.
    pub record: PeerRecord,
    /// Who told of it, where it is hearsay.
    pub teller: Option<PeerId>,
    /// Whether it was found without a tracker, so that whatever it has nobody may have said.
    pub is_found: bool,
    /// When a tracker last told of it, if one did.
    pub tracked_at: Option<Moment>,
    /// Till when it is known to have been connected.
    pub seen: Option<Moment>,
    /// Those of its addresses that come first, whoever tells of others: the operator's, or else those known otherwise than by hearsay.
    kept: Vec<SocketAddr>,
    is_static: bool,
    said: Moment,
    is_pinned: bool,
    used: u64,
}

impl Known {
    /// Whether the record is still to be believed.
    pub fn is_fresh(&self, record_for: Duration, now: Moment) -> bool {
        self.is_static || self.is_pinned || now.since(self.said) < record_for
    }

    /// Puts what was just told behind what is known better, where that is so: hearsay behind all that is not, and anything behind the
    /// operator's addresses. Where it is, in which zone and rack, nobody says by hearsay.
    fn stand_behind(&mut self, before: Self, source: Source) {
        let is_hearsay = self.teller.is_some();
        if source == Source::Static || !is_hearsay && !before.is_static {
            self.kept.clone_from(&self.record.pieces);
            return;
        }
        if is_hearsay {
            self.record.locality = before.record.locality;
        }
        let told = std::mem::replace(&mut self.record.pieces, before.kept.clone());
        self.record.pieces.extend(told.into_iter().filter(|address| !before.kept.contains(address)));
        self.record.pieces.truncate(MOST_ADDRESSES);
        self.kept = before.kept;
    }

    /// What goes first where there is no room: hearsay, and last the operator's list.
    fn rank(&self) -> u8 {
        if self.is_static { 2 } else { u8::from(!self.kept.is_empty()) }
    }
}

/// Known peers, by id. Of more than there may be, hearsay goes first, and the one that was of no use for longest; never a pinned
/// one.
#[derive(Debug, Default)]
pub struct Records {
    known: BTreeMap<PeerId, Known>,
    /// Those that may go, in that order.
    by_use: BTreeSet<(u8, u64, PeerId)>,
    tellers: BTreeMap<PeerId, usize>,
    found: BTreeSet<PeerId>,
    now: u64,
}

impl Records {
    /// Learns a record; whether it was taken, and which peer went for it. `is_doubtful` says that the peer could not be reached
    /// of late.
    pub fn learn(
        &mut self,
        record: PeerRecord,
        source: Source,
        is_doubtful: bool,
        settings: &AcquaintanceSettings,
        now: Moment,
    ) -> (bool, Option<PeerId>) {
        let teller = if let Source::Exchange(teller) = source { Some(teller) } else { None };
        let may_be_here = teller.is_none_or(|teller| self.is_here(&teller));
        let Some(record) = usable(record, may_be_here) else { return (false, None) };
        let peer = record.peer;
        let before = self.known.get(&peer);
        let is_better_known = before.is_some_and(|known| {
            let is_sure = known.teller.is_none() && !is_doubtful && known.is_fresh(settings.record_for, now);
            known.is_static || known.is_pinned || is_sure
        });
        let has_told = |teller| self.tellers.get(&teller).copied().unwrap_or(0);
        let tells_anew = teller.filter(|teller| before.is_none_or(|known| known.teller != Some(*teller)));
        if teller.is_some()
            && (is_better_known || tells_anew.is_some_and(|teller| has_told(teller) >= settings.records_per_teller))
        {
            return (false, None);
        }
        let mut gone = None;
        if before.is_none() && self.known.len() >= settings.records {
            gone = self.whom_to_forget(teller.is_some(), settings.record_for, now);
            let Some(gone) = gone else { return (false, None) };
            self.remove(&gone);
        }
        let before = self.remove(&peer);
        let mut known = Known {
            record,
            teller,
            is_static: source == Source::Static || before.as_ref().is_some_and(|known| known.is_static),
            is_found: matches!(source, Source::Static | Source::Mdns) || before.as_ref().is_some_and(|known| known.is_found),
            tracked_at: if source == Source::Tracker { Some(now) } else { before.as_ref().and_then(|known| known.tracked_at) },
            seen: before.as_ref().and_then(|known| known.seen),
            is_pinned: before.as_ref().is_some_and(|known| known.is_pinned),
            kept: Vec::new(),
            said: now,
            used: 0,
        };
        if let Some(before) = before.filter(|before| !before.kept.is_empty()) {
            known.stand_behind(before, source);
        } else if teller.is_none() {
            known.kept.clone_from(&known.record.pieces);
        }
        self.insert(known);
        (true, gone)
    }

    /// One that is known.
    pub fn get(&self, peer: &PeerId) -> Option<&Known> {
        self.known.get(peer)
    }

    /// All that are known, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&PeerId, &Known)> {
        self.known.iter()
    }

    /// Those that were found without a tracker, by id.
    pub fn found(&self) -> impl Iterator<Item = (&PeerId, &Known)> {
        self.found.iter().filter_map(|peer| self.known.get_key_value(peer))
    }

    /// A peer was of use just now.
    pub fn used(&mut self, peer: &PeerId) {
        self.change(peer, |_| ());
    }

    /// There is a connection to it, or will be: it stays.
    pub fn pin(&mut self, peer: &PeerId) {
        self.change(peer, |known| known.is_pinned = true);
    }

    /// There is none any more.
    pub fn unpin(&mut self, peer: &PeerId) {
        self.change(peer, |known| known.is_pinned = false);
    }

    /// It was reached where its record says: what was hearsay is known.
    pub fn confirm(&mut self, peer: &PeerId, now: Moment) {
        self.change(peer, |known| {
            (known.teller, known.said) = (None, now);
            if !known.is_static {
                known.kept.clone_from(&known.record.pieces);
            }
        });
    }

    /// It was connected until now.
    pub fn left(&mut self, peer: &PeerId, now: Moment) {
        self.change(peer, |known| (known.said, known.seen) = (now, Some(now)));
    }

    /// How many are known.
    pub fn count(&self) -> usize {
        self.known.len()
    }

    /// Whether a peer is on this machine, by what is known of it otherwise than by hearsay: who comes from elsewhere has no loopback
    /// address in its record.
    fn is_here(&self, peer: &PeerId) -> bool {
        self.known.get(peer).is_some_and(|known| known.kept.iter().any(is_loopback))
    }

    fn whom_to_forget(&self, for_hearsay: bool, record_for: Duration, now: Moment) -> Option<PeerId> {
        let (_, _, peer) = self.by_use.first()?;
        let known = self.known.get(peer)?;
        let is_worth_less = !for_hearsay || known.rank() == 0 || !known.is_fresh(record_for, now);
        is_worth_less.then_some(*peer)
    }

    fn change(&mut self, peer: &PeerId, change: impl FnOnce(&mut Known)) {
        if let Some(mut known) = self.remove(peer) {
            change(&mut known);
            self.insert(known);
        }
    }

    fn insert(&mut self, mut known: Known) {
        let peer = known.record.peer;
        self.now += 1;
        known.used = self.now;
        if !known.is_pinned {
            self.by_use.insert((known.rank(), known.used, peer));
        }
        if let Some(teller) = known.teller {
            *self.tellers.entry(teller).or_default() += 1;
        }
        if known.is_found {
            self.found.insert(peer);
        }
        self.known.insert(peer, known);
    }

    fn remove(&mut self, peer: &PeerId) -> Option<Known> {
        let known = self.known.remove(peer)?;
        self.by_use.remove(&(known.rank(), known.used, *peer));
        self.found.remove(peer);
        if let Some(teller) = known.teller
            && let Some(told) = self.tellers.get_mut(&teller)
        {
            *told -= 1;
            if *told == 0 {
                self.tellers.remove(&teller);
            }
        }
        Some(known)
    }
}

/// A record as it may be kept: with addresses that can be dialed, and of a bounded length; `None` where nothing is left. One of a loopback
/// stays where it may be this machine's.
fn usable(mut record: PeerRecord, may_be_here: bool) -> Option<PeerRecord> {
    record.pieces = dialable(record.pieces.into_iter().filter(|address| may_be_here || !is_loopback(address)));
    (record.locality.has_short_names() && !record.pieces.is_empty()).then_some(record)
}

fn is_loopback(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}
