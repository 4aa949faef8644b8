//! What a download knows of the origin and of who else asks it.

use std::{collections::BTreeMap, time::Duration};

use longshore_oci::piece::PieceIndex;

use super::{
    Download, DownloadSettings, Ground, Grounds, Lease, Order, RunId, Snapshot, Stripes, Turn,
    asks::Run,
    grounds,
    lease::Striping,
    pace::{Flow, Pace},
    stillness::Stillness,
};
use crate::moment::Moment;

/// What a download knows of the origin and of who else asks it.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) striping: Striping,
    pub(super) runs: BTreeMap<RunId, Run>,
    pub(super) pace: Pace,
    /// What the peers bring.
    pub(super) fed: Flow,
    pub(super) stillness: Stillness,
    pub(super) rests_until: Moment,
    /// How many requests in a row were given up as they trickled.
    pub(super) trickles: u32,
    /// The next request's number.
    pub(super) next: u64,
    /// Where this node begins where no client reads.
    pub(super) start: u32,
    lease: Option<Lease>,
    lease_asked: Option<Moment>,
    taken: Stripes,
}

impl Origin {
    pub(super) fn new(striping: Striping, now: Moment, start: u32, chance: impl FnMut() -> f64) -> Self {
        Self {
            striping,
            runs: BTreeMap::new(),
            pace: Pace::default(),
            fed: Flow::new(now),
            stillness: Stillness::new(striping.count(), now, chance),
            rests_until: now,
            trickles: 0,
            next: 0,
            start,
            lease: None,
            lease_asked: None,
            taken: Stripes::default(),
        }
    }

    pub(super) fn restripe(&mut self, striping: Striping, now: Moment, chance: impl FnMut() -> f64) {
        self.striping = striping;
        self.stillness = self.stillness.restriped(striping.count(), now, chance);
    }

    pub(super) fn set_lease(&mut self, lease: Lease) {
        self.lease = Some(Lease { stripes: lease.stripes.and(self.striping.all()), ..lease });
        (self.lease_asked, self.taken) = (None, Stripes::default());
    }

    /// Another node of the zone has fetched a piece of a stripe: where this one has taken it over, one of them is too many.
    pub(super) fn yield_stripe(&mut self, piece: PieceIndex) {
        self.taken.remove(self.striping.of(piece));
    }

    pub(super) fn has_taken(&self, piece: PieceIndex) -> bool {
        self.taken.contains(self.striping.of(piece))
    }

    pub(super) fn may_begin(&self, now: Moment, settings: &DownloadSettings) -> bool {
        now >= self.rests_until && self.runs.len() < settings.origin_runs
    }

    /// How many pieces are to be on their way at once: no more than keep it busy, since what comes whole sooner is passed on sooner.
    pub(super) fn in_flight(&self) -> u32 {
        self.pace.in_flight_of_many().unwrap_or(0).max(self.striping.run() / 2 + 1).min(1 << 16)
    }

    pub(super) fn is_busy(&self) -> bool {
        self.runs.values().map(|run| run.left).sum::<u32>() >= self.in_flight()
    }
}

impl Download {
    /// What the origin may be asked for now.
    pub(super) fn grounds(&mut self, turn: &mut Turn) -> Grounds {
        let now = turn.now;
        let (bare, nobodys) = self.lacked();
        let is_underfed = self.is_underfed(turn);
        let others = self.peers.iter().filter(|(_, peer)| peer.is_counted && peer.is_in_zone() && !peer.has.is_full()).count();
        let seen = Snapshot {
            now,
            lease: self.origin.lease,
            lease_asked: self.origin.lease_asked,
            has_peers: self.peers.iter().any(|(_, peer)| peer.is_counted),
            bare,
            nobodys,
            forsaken_at: &self.origin.stillness.over_at(others, self.origin_takes(), &self.settings),
            taken: self.origin.taken,
            waits_until: self.waits_until(others),
            is_underfed,
        };
        let grounds = grounds::grounds(&seen, &self.settings);
        if grounds.needs_lease {
            self.origin.lease_asked = Some(now);
            self.orders.push(Order::NeedLease);
        }
        self.origin.taken = self.origin.taken.or(grounds.taken);
        if let Some(again) = grounds.again {
            turn.wake(again);
        }
        grounds
    }

    /// The stripes of pieces that no peer of the zone has, and of those that no peer has: of open ones, and of those that only late peers
    /// were asked for.
    fn lacked(&self) -> (Stripes, Stripes) {
        let (mut bare, mut nobodys) = self.wanted.stripes();
        for piece in self.peers.iter().filter(|(_, peer)| peer.is_late).flat_map(|(_, peer)| &peer.asked) {
            let stripe = self.origin.striping.of(PieceIndex(*piece));
            if self.wanted.is_new_to_the_zone(PieceIndex(*piece)) {
                bare.insert(stripe);
            }
            if self.wanted.is_nobodys(PieceIndex(*piece)) {
                nobodys.insert(stripe);
            }
        }
        (bare, nobodys)
    }

    /// Whether a piece may be asked of the origin.
    pub(super) fn may_ask_origin(&self, grounds: &Grounds, piece: PieceIndex) -> bool {
        self.ground_of(grounds, piece).is_some()
    }

    /// Why a piece may be asked of the origin; `None` where it may not.
    pub(super) fn ground_of(&self, grounds: &Grounds, piece: PieceIndex) -> Option<Ground> {
        let stripe = self.origin.striping.of(piece);
        if grounds.leased.contains(stripe) && self.wanted.is_new_to_the_zone(piece) {
            Some(Ground::Lease)
        } else if grounds.taken.contains(stripe) && self.wanted.is_nobodys(piece) {
            Some(Ground::Takeover)
        } else if grounds.place && self.place() == Some(piece) {
            Some(Ground::Client)
        } else {
            grounds.anything.then_some(Ground::SlowPeers)
        }
    }

    fn waits_until(&self, others: usize) -> Option<Moment> {
        let (since, place) = (self.waiting_since()?, self.place()?);
        let (stripe, takes) = (self.origin.striping.of(place), self.origin.pace.answer_takes());
        let stillness = &self.origin.stillness;
        let (still, at_last) = stillness.client_waits(stripe, others, takes, &self.settings);
        // What nobody has comes when its stripe's holder gets on; what somebody has, when anything comes.
        let came = if self.wanted.is_nobodys(place) { stillness.since(stripe) } else { self.fed };
        Some((since.max(came) + still).min(since + at_last))
    }

    /// What the origin takes for a piece, as far as it has shown. It is no quicker than the quickest peer, as far as that may be for the
    /// links' sake.
    fn origin_takes(&self) -> Option<Duration> {
        let quickest = self.peers.iter().filter_map(|(_, peer)| peer.pace.answer_takes()).min();
        self.origin.pace.answer_takes().max(quickest.map(|takes| takes.min(self.settings.takeover)))
    }

    fn is_underfed(&mut self, turn: &mut Turn) -> bool {
        if !self.origin.runs.is_empty() {
            return false;
        }
        let Some(origin) = self.origin.pace.least_bytes_per_second() else {
            // Nobody knows what would be quick: one request to the origin tells.
            return self.peers.iter().any(|(_, peer)| peer.is_overdue(turn.now, &self.settings));
        };
        turn.wake(turn.now + self.settings.takeover);
        let over = self.feed_window();
        let fed = self.origin.fed.bytes_per_second(turn.now, over);
        fed.is_some_and(|fed| fed < origin / u64::from(self.settings.poor_part.max(1)))
    }

    /// Peers brought so many bytes.
    pub(super) fn note_fed(&mut self, bytes: u64, now: Moment) {
        let over = self.feed_window();
        self.origin.fed.came(bytes, now, over);
    }

    /// Over how long it is judged what the peers bring: at least until who is as slow as they may be has brought a piece, since pieces come
    /// whole, and where links are slow many at once.
    fn feed_window(&self) -> Duration {
        let takes = self.origin.pace.piece_takes().unwrap_or_default();
        takes.saturating_mul(self.settings.poor_part).min(self.settings.most_origin_rest).max(self.settings.takeover)
    }

    /// Whether what peers bring tells how quick they are: not while less is asked of them than they have room for.
    pub(super) fn weigh_feed(&mut self, turn: &Turn) {
        let could_bring_more = |peer: &super::Peer| {
            let left = if peer.is_in_zone() { turn.left } else { turn.left_beyond };
            left == 0 && peer.is_fit(turn.now) && peer.useful > 0 && peer.has_room(turn.now, &self.settings)
        };
        if self.peers.iter().any(|(_, peer)| could_bring_more(peer)) {
            self.origin.fed = Flow::new(turn.now);
        }
    }

    /// How long the origin is left alone after it failed.
    pub(super) fn origin_rest(&self, retry_after: Duration) -> Duration {
        retry_after.min(self.settings.most_origin_rest).max(self.settings.least_patience)
    }
}
