//! One blob's download at one node: whom to ask for which piece next.
//!
//! Events go in, [`Order`]s come out of [`Download::decide`], which is to be called after each event, when memory is free again, and at
//! [`Download::wake_at`]. What it promises:
//!
//! - The rarest piece first, any of those alike as likely, so nodes that begin together with the same peer each take another; while a client
//!   reads, one choice of some goes to the pieces after its place.
//! - Near peers first. Across the zone's border go only pieces that this node fetches for its zone, or that nobody brings into it.
//! - No piece is asked of two at once, but at the end, and for the piece that a client waits for, where it is late: then of
//!   [`DownloadSettings::most_copies`], and where these bring nothing of the origin besides. The first answer wins, the others are
//!   called off.
//! - A peer that is silent, or slower than its own pace and than others, is passed by. What was asked of it is asked of others; it rests,
//!   and has one piece at a time to show itself. Who fails again and again, or is far slower than others, is asked only for what nobody
//!   else has. A piece that anybody has is asked for sooner or later, whoever fails.
//! - The origin is asked on [`grounds`] alone.
//! - No more peers than [`DownloadSettings::most_peers`], no more pieces at once than `decide` was allowed.

mod again;
mod asks;
mod books;
mod choose;
mod events;
pub mod grounds;
mod late;
mod lease;
mod order;
mod origin;
pub mod pace;
mod peer;
mod runs;
mod settings;
mod stillness;
#[cfg(test)]
mod tests;
mod wanted;

use std::time::Duration;

use longshore_oci::piece::{Geometry, PieceIndex, PieceSet};
use rand::{Rng, RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

use self::{
    asks::Asks,
    lease::Striping,
    origin::Origin,
    peer::{Peer, Peers},
    wanted::Wanted,
};
pub use self::{
    grounds::{Grounds, Snapshot},
    lease::{Lease, Stripes},
    order::{Ground, Order, RunEnd, RunId, Why},
    settings::DownloadSettings,
};
use crate::moment::Moment;

/// One blob's download at one node.
#[derive(Debug)]
pub struct Download {
    settings: DownloadSettings,
    geometry: Geometry,
    here: PieceSet,
    wanted: Wanted,
    peers: Peers,
    asks: Asks,
    origin: Origin,
    reader: Option<Reader>,
    /// When anything last came.
    fed: Moment,
    /// When anything new last came to the zone.
    zone_moved: Moment,
    border_patience: Duration,
    /// How many pieces may be asked for across the border in a decision.
    border_allows: u32,
    choices: u32,
    orders: Vec<Order>,
    rng: Xoshiro256PlusPlus,
    wake: Option<Moment>,
}

#[derive(Debug)]
struct Reader {
    at: PieceIndex,
    since: Moment,
    /// The first that isn't here, from its place on.
    missing: u32,
}

/// One call of `decide`.
struct Turn {
    now: Moment,
    left: u32,
    /// How many of them across the zone's border.
    left_beyond: u32,
    /// Whether those are asked too that don't count.
    is_last_resort: bool,
    /// How long a peer may be silent, or take for a piece, that hasn't shown its pace.
    strangers_patience: Duration,
    wake: Option<Moment>,
}

impl Turn {
    fn wake(&mut self, at: Moment) {
        if at > self.now {
            self.wake = Some(self.wake.map_or(at, |known| known.min(at)));
        }
    }
}

impl Download {
    /// Of a blob of which these pieces are here. The randomness of all later choices is drawn from `rng` once.
    pub fn new(geometry: Geometry, here: &PieceSet, settings: DownloadSettings, now: Moment, rng: &mut impl Rng) -> Self {
        let settings = DownloadSettings { most_peers: settings.most_peers.min(usize::from(u16::MAX)), ..settings };
        let mut rng = Xoshiro256PlusPlus::from_rng(rng);
        let pieces = geometry.pieces();
        let here = fitted(here, pieces);
        let striping = Striping::new(&settings);
        let wanted = Wanted::new(pieces, &here, striping, settings.most_peers, &mut rng);
        let start = rng.random_range(0..pieces.max(1));
        let origin = Origin::new(striping, now, start, || rng.random());
        let border_patience = settings.border_patience.mul_f64(1.0 + rng.random::<f64>());
        Self {
            settings,
            geometry,
            here,
            wanted,
            peers: Peers::default(),
            asks: Asks::default(),
            origin,
            reader: None,
            fed: now,
            zone_moved: now,
            border_patience,
            border_allows: u32::MAX,
            choices: rng.random_range(0..settings.window_share.max(1)),
            orders: Vec::new(),
            rng,
            wake: Some(now),
        }
    }

    /// The pieces that are here.
    pub fn here(&self) -> &PieceSet {
        &self.here
    }

    /// Whether all are.
    pub fn is_done(&self) -> bool {
        self.here.is_full()
    }

    /// What to do now, where memory allows for so many pieces beyond those that are asked for. What an order cancels allows for one more.
    pub fn decide(&mut self, now: Moment, may_ask: u32) -> Vec<Order> {
        let left_beyond = self.border_allows;
        let strangers_patience = self.strangers_patience(now);
        let mut turn = Turn { now, left: may_ask, left_beyond, is_last_resort: false, strangers_patience, wake: None };
        if !self.is_done() {
            let grounds = self.grounds(&mut turn);
            self.pass_by(&grounds, &mut turn);
            self.even_out(&mut turn);
            // What only this node brings to the zone comes first where little is allowed: all others wait for it.
            let kept = if self.has_to_bring(&grounds, &turn) { self.origin.striping.run().min(turn.left) } else { 0 };
            turn.left -= kept;
            self.ask_near(&mut turn);
            turn.left += kept;
            self.ask_far(&grounds, &mut turn);
            self.ask_origin(&mut turn);
            // And who can't be counted on comes last.
            turn.is_last_resort = true;
            self.ask_near(&mut turn);
            self.ask_far(&grounds, &mut turn);
            self.ask_again(&grounds, &mut turn);
            self.weigh_feed(&turn);
        }
        self.wake = turn.wake;
        std::mem::take(&mut self.orders)
    }

    /// How many pieces each decision from now on may ask for across the zone's border, of those that it may ask for at all.
    pub fn limit_border(&mut self, pieces: u32) {
        self.border_allows = pieces;
    }

    /// How many pieces are asked for now, of whomever.
    pub fn in_flight(&self) -> u32 {
        u32::try_from(self.asks.count()).unwrap_or(u32::MAX)
    }

    /// Whether a peer has a piece that is missing.
    pub fn has_useful_peers(&self) -> bool {
        self.peers.iter().any(|(_, peer)| peer.useful > 0 || !peer.asked.is_empty())
    }

    /// When to decide again though nothing happens, as of the last decision.
    pub fn wake_at(&self) -> Option<Moment> {
        self.wake
    }
}

/// A set as one of so many pieces.
fn fitted(set: &PieceSet, pieces: u32) -> PieceSet {
    let mut fitted = PieceSet::none_of(pieces);
    set.common(set).for_each(|piece| {
        fitted.insert(piece);
    });
    fitted
}
