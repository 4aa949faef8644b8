//! What is simulated: how many nodes, on which links, and what befalls them.

use clap::ValueEnum;
use longshore_p2p::swarm::SwarmSettings;
use rand::{RngExt as _, SeedableRng as _, rngs::Xoshiro256PlusPlus, seq::SliceRandom as _};
use serde::Serialize;

use super::{
    agenda::{MS, Nanos, SECOND},
    network::{Rates, Transport},
};

/// What befalls a swarm. All nodes have equal links and begin at once, but where it says otherwise.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// A flash crowd: all begin at once.
    Flash,
    /// They begin one after the other, within four times the bound.
    Rolling,
    /// Links are heavy-tailed (Pareto, 1.5), from half of the usual rate to 20 times as much.
    Heavy,
    /// 5 % leave in the middle, their connections with them.
    Churn,
    /// 10 % take, say what they have, and never give.
    FreeRiders,
    /// 5 % say that they have all, and send what is wrong.
    Liars,
    /// In each zone a node that fetches from the origin falls silent, as when its power is cut.
    DeadLeader,
    /// All trackers end in the middle.
    NoTrackers,
}

/// What a node does with what it has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// As the product does.
    Honest,
    /// It never gives.
    FreeRider,
    /// It sends wrong pieces.
    Liar,
}

/// A run: what is the same for all its nodes.
#[derive(Clone, Debug)]
pub struct Shape {
    /// What befalls it.
    pub scenario: Scenario,
    /// How many nodes.
    pub nodes: u32,
    /// Over how many zones.
    pub zones: u32,
    /// All chance is drawn from it.
    pub seed: u64,
    /// How many layers the image has; they are got at once.
    pub layers: u8,
    /// How many pieces each has.
    pub pieces: u32,
    /// The usual rate of a node's link, up and down, in bits a second.
    pub link_bits: u64,
    /// The rate of the origin's.
    pub origin_bits: u64,
    /// The way to one of the same zone.
    pub way: Nanos,
    /// The way to one of another zone, and to the origin.
    pub far_way: Nanos,
    /// See [`Transport`].
    pub transport: Transport,
    /// How long a node gathers what it hears before it decides: it acts at whole multiples of that.
    pub beat: Nanos,
    /// How long a piece takes to be checked.
    pub check: Nanos,
    /// How long one that was found right takes to be where others may read it.
    pub landing: Nanos,
    /// How long it takes to find out what to show to peers, and whether one may have what it wants.
    pub rights: Nanos,
    /// How long the origin takes before it begins to answer.
    pub origin_delay: Nanos,
    /// What nodes keep to.
    pub settings: SwarmSettings,
}

/// How many other nodes each keeps in mind at most: what a node of the product does would take gigabytes for a thousand nodes. It wants 24
/// for a layer.
const MOST_RECORDS: usize = 256;

impl Shape {
    /// One with everything but its size and its fate as it is by default.
    pub fn of(scenario: Scenario, nodes: u32, zones: u32) -> Self {
        let link_bits = 200_000_000;
        let mut settings = SwarmSettings::new(([127, 0, 0, 1], 0).into());
        settings.acquaintance.records = MOST_RECORDS;
        Self {
            scenario,
            nodes,
            zones,
            seed: 1,
            layers: 4,
            pieces: 32,
            link_bits,
            origin_bits: link_bits * u64::from(zones),
            way: MS / 10,
            far_way: if zones > 1 { MS } else { MS / 10 },
            transport: Transport { block_bytes: 64 << 10, window_bytes: 256 << 10, queue: 50 * MS, socket_bytes: 256 << 10 },
            beat: MS / 5,
            check: MS,
            landing: 2 * MS,
            rights: MS / 5,
            origin_delay: 2 * MS,
            settings,
        }
    }

    /// The image's length, in bytes.
    pub fn image_bytes(&self) -> u64 {
        u64::from(self.layers) * u64::from(self.pieces) * longshore_oci::piece::PIECE_BYTES
    }

    /// How long the image takes over one usual link.
    pub fn plain(&self) -> Nanos {
        takes(self.image_bytes(), self.link_bits)
    }

    /// When the run is given up.
    pub fn most(&self) -> Nanos {
        self.plain() * 30 + 60 * SECOND
    }

    pub(super) fn rng(&self) -> Xoshiro256PlusPlus {
        Xoshiro256PlusPlus::seed_from_u64(self.seed)
    }

    /// The links of the nodes, and of the origin behind them.
    pub(super) fn rates(&self, rng: &mut Xoshiro256PlusPlus) -> Vec<Rates> {
        let equal = Rates { up_bits: self.link_bits, down_bits: self.link_bits };
        let tailed = |rng: &mut Xoshiro256PlusPlus| {
            // In thousandths, since chance is a fraction and rates are whole.
            let times = (0.5 * (1.0 - rng.random::<f64>()).powf(-1.0 / 1.5)).min(20.0);
            let bits = whole(times * 1000.0) * (self.link_bits / 1000);
            Rates { up_bits: bits, down_bits: bits }
        };
        let of = |_| if self.scenario == Scenario::Heavy { tailed(rng) } else { equal };
        let mut rates: Vec<_> = (0..self.nodes).map(of).collect();
        rates.push(Rates { up_bits: self.origin_bits, down_bits: self.origin_bits });
        rates
    }

    /// What each node is. The first two are trackers, and honest.
    pub(super) fn kinds(&self, rng: &mut Xoshiro256PlusPlus) -> Vec<Kind> {
        let (kind, part) = match self.scenario {
            Scenario::FreeRiders => (Kind::FreeRider, 10),
            Scenario::Liars => (Kind::Liar, 20),
            _ => (Kind::Honest, 1),
        };
        let mut others: Vec<_> = (2..self.nodes.max(2)).collect();
        others.shuffle(rng);
        let mut kinds = vec![Kind::Honest; usize::try_from(self.nodes).expect("32 bits fit")];
        for other in others.into_iter().take(kinds.len() / part) {
            kinds[usize::try_from(other).expect("32 bits fit")] = kind;
        }
        kinds
    }
}

/// How long so many bytes take at a rate in bits a second.
pub fn takes(bytes: u64, bits_per_second: u64) -> Nanos {
    let nanos = u128::from(bytes) * 8_000_000_000 / u128::from(bits_per_second.max(1));
    Nanos::try_from(nanos).unwrap_or(Nanos::MAX)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 20,000")]
fn whole(number: f64) -> u64 {
    number as u64
}
