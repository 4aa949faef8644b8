//! What a run came to.

use serde::Serialize;

use super::{
    agenda::Nanos,
    shape::{Kind, Scenario, takes},
    world::{World, place},
};

/// What is counted on the way.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Events that happened.
    pub events: u64,
    /// Decisions of downloads.
    pub decisions: u64,
    /// Bytes that arrived anywhere.
    pub received: u64,
    /// Those of them that the origin sent.
    pub of_origin: u64,
    /// New bytes, found right, of peers of the own zone.
    pub near: u64,
    /// Of peers of other zones.
    pub far: u64,
    /// Of the origin.
    pub origin_new: u64,
    /// Requests to the origin.
    pub origin_requests: u64,
    /// Wrong pieces that came whole.
    pub wrong_pieces: u64,
    /// Times that a peer was banned.
    pub bans: u64,
    /// Times that a peer was passed by.
    pub passed_by: u64,
    /// Dials.
    pub dials: u64,
    /// Those that failed.
    pub failed_dials: u64,
    /// Announcements.
    pub announcements: u64,
    /// Those of a layer that were refused.
    pub refused_announcements: u64,
    /// Nodes that fell silent.
    pub died: u64,
}

/// What a run came to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// What befell it.
    pub scenario: Scenario,
    /// How many nodes.
    pub nodes: u32,
    /// Over how many zones.
    pub zones: u32,
    /// By which chance.
    pub seed: u64,
    /// Of honest nodes that stayed: each one's time by its bound, in order.
    pub ratios: Vec<f64>,
    /// How many of them had not all when the run was given up.
    pub unfinished: usize,
    /// What the origin sent, in images a zone.
    pub copies_per_zone: f64,
    /// What neighbours brought, of all new bytes.
    pub neighbour_share: f64,
    /// What was received for nothing, of what was needed.
    pub wasted_share: f64,
    /// When the last had all, in seconds.
    pub simulated_seconds: f64,
    /// See [`Counts`].
    pub counts: Counts,
}

impl Figures {
    /// The ratio that so many of a hundred nodes are within; nothing where none has all.
    pub fn percentile(&self, percent: usize) -> Option<f64> {
        let rank = (self.ratios.len() * percent).div_ceil(100).max(1) - 1;
        self.ratios.get(rank).copied()
    }

    /// What all of them are within.
    pub fn most(&self) -> Option<f64> {
        self.ratios.last().copied()
    }
}

impl World {
    /// What this run came to.
    pub fn figures(&self) -> Figures {
        let image = self.shape.image_bytes();
        let honest = |number: &u32| {
            let node = &self.nodes[place(*number)];
            node.kind == Kind::Honest && node.is_alive
        };
        let those: Vec<_> = (0..self.shape.nodes).filter(honest).collect();
        let ratio = |number: &u32| {
            let node = &self.nodes[place(*number)];
            Some(part(node.done? - node.begun, self.bound_of(*number)))
        };
        let mut ratios: Vec<_> = those.iter().filter_map(ratio).collect();
        ratios.sort_by(f64::total_cmp);
        let Counts { near, far, origin_new, received, of_origin, .. } = self.counts;
        let new = near + far + origin_new;
        Figures {
            scenario: self.shape.scenario,
            nodes: self.shape.nodes,
            zones: self.shape.zones,
            seed: self.shape.seed,
            unfinished: those.len() - ratios.len(),
            ratios,
            copies_per_zone: part(of_origin, image * u64::from(self.shape.zones)),
            neighbour_share: part(near + far, new),
            wasted_share: part(received.saturating_sub(new), new),
            simulated_seconds: part(self.now, super::agenda::SECOND),
            counts: self.counts,
        }
    }

    /// How long a node needs at least for all: the origin sends each byte once, its own link carries each once, and all links up together
    /// carry what all nodes need; the last only where all begin together.
    fn bound_of(&self, number: u32) -> Nanos {
        let image = self.shape.image_bytes();
        let origin = self.rates[place(self.shape.nodes)].up_bits;
        let nodes = &self.rates[..place(self.shape.nodes)];
        let all_up = nodes.iter().fold(origin, |sum, rates| sum.saturating_add(rates.up_bits));
        let own = takes(image, origin).max(takes(image, self.rates[place(number)].down_bits));
        let is_at_once = self.shape.scenario != Scenario::Rolling;
        let together = if is_at_once { takes(image * u64::from(self.shape.nodes), all_up) } else { 0 };
        own.max(together)
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people have three places")]
fn part(counter: u64, divisor: u64) -> f64 {
    counter as f64 / divisor.max(1) as f64
}
