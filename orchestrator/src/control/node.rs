//! A node as the leader knows it.

use std::collections::{BTreeMap, BTreeSet};

use longshore_fleet::{AgentFacts, Load, Name, PodId, StreamId, Taint};

use super::keeping::Kept;
use crate::{
    schedule::{Millis, NodeFacts, NodeIndex, Paths, ZONE},
    state::NodeRow,
};

/// How fast bytes come where a node does not say: a Gbit/s from neighbours, a fifth of that from elsewhere.
const NEIGHBOURS_BYTES_PER_SECOND: u64 = 125_000_000;
const OUTSIDE_BYTES_PER_SECOND: u64 = 25_000_000;

/// What a node says is taken to be within these: a Mbit/s, and 100 Gbit/s.
const LEAST_BYTES_PER_SECOND: u64 = 125_000;
const MOST_BYTES_PER_SECOND: u64 = 12_500_000_000;

/// A node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) row: NodeRow,
    /// Where the scheduler has it, once it has said what it is.
    pub(crate) index: Option<NodeIndex>,
    /// What it said of itself last.
    pub(crate) facts: Option<AgentFacts>,
    pub(crate) load: Load,
    /// When it was heard of last; or, of one that this leader has not heard of, since when it could have been.
    pub(crate) heard: Millis,
    /// Whether it was ever heard of by this leader.
    pub(crate) is_known: bool,
    /// The stream on which it is told what to do.
    pub(crate) stream: Option<StreamId>,
    /// The number of its last report on that stream.
    pub(crate) reported: u64,
    /// Whether it has been silent for so long that its pods are replaced.
    pub(crate) is_lost: bool,
    /// Pods that are here, of which its room is taken.
    pub(crate) pods: BTreeSet<PodId>,
    /// What has failed here lately.
    pub(crate) failures: f32,
    /// Taints that pods have to go for, and since when this leader knows of each.
    pub(crate) tainted: BTreeMap<Taint, Millis>,
    /// How the scheduler has it.
    pub(crate) scheduled: Option<NodeFacts>,
    /// Revisions whose images it is to keep.
    pub(crate) kept: BTreeSet<Kept>,
}

impl Node {
    pub(crate) fn new(row: NodeRow, now: Millis) -> Self {
        let facts = row.facts.clone().and_then(|facts| serde_json::from_value(facts).ok());
        let mut node = Self {
            row,
            index: None,
            facts,
            load: Load::default(),
            heard: now,
            is_known: false,
            stream: None,
            reported: 0,
            is_lost: false,
            pods: BTreeSet::new(),
            failures: 0.0,
            tainted: BTreeMap::new(),
            scheduled: None,
            kept: BTreeSet::new(),
        };
        node.note_taints(now);
        node
    }

    /// Why it can start nothing now.
    pub(crate) fn not_ready(&self) -> Option<String> {
        let Some(facts) = &self.facts else { return Some("has not said yet what it is".to_owned()) };
        if self.is_lost {
            return Some("is not heard of".to_owned());
        }
        if self.stream.is_none() {
            return Some("is not connected".to_owned());
        }
        facts.not_ready.clone()
    }

    /// Its zone, where it has one.
    pub(crate) fn zone(&self) -> Option<&str> {
        self.facts.as_ref()?.labels.get(ZONE).map(longshore_fleet::LabelValue::as_str)
    }

    /// It as the scheduler wants it.
    pub(crate) fn schedulable(&self) -> Option<NodeFacts> {
        let facts = self.facts.as_ref()?;
        Some(NodeFacts {
            name: self.row.name.clone(),
            labels: facts.labels.clone(),
            taints: facts.taints.clone(),
            platform: facts.platform.clone(),
            is_ready: self.not_ready().is_none(),
            is_cordoned: self.row.is_cordoned || self.row.is_draining,
            cpu: facts.cpu,
            memory: facts.memory,
            pods: facts.pods,
            disk: longshore_fleet::Bytes::new(self.load.disk_free_bytes),
            paths: Paths {
                neighbours: pace(
                    [self.load.neighbours_bytes_per_second, facts.neighbours_bytes_per_second],
                    NEIGHBOURS_BYTES_PER_SECOND,
                ),
                outside: pace([self.load.outside_bytes_per_second, facts.outside_bytes_per_second], OUTSIDE_BYTES_PER_SECOND),
            },
            failures: self.failures,
            upload_load: if self.load.upload_load.is_finite() { self.load.upload_load.clamp(0.0, 1.0) } else { 0.0 },
        })
    }

    /// Whether pods that don't tolerate it have to go.
    pub(crate) fn expels(&self) -> bool {
        !self.tainted.is_empty()
    }
}

/// The first of these that is known, or what is usual: within what a network gives, whatever a node says.
#[expect(clippy::cast_precision_loss, reason = "a rate; 24 bits of it are enough")]
fn pace(told: [u64; 2], usual: u64) -> f32 {
    let known = told.into_iter().find(|rate| *rate > 0).unwrap_or(usual);
    known.clamp(LEAST_BYTES_PER_SECOND, MOST_BYTES_PER_SECOND) as f32
}

/// The name of a namespace and whether its pods may be root there.
pub(crate) fn must_not_be_root(
    namespaces: &rustc_hash::FxHashMap<Name, longshore_fleet::NamespaceSpec>,
    namespace: &Name,
) -> bool {
    // What is not known is not allowed.
    namespaces.get(namespace).is_none_or(|spec| !spec.allow.root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_counts_before_what_was_said_and_what_is_usual() {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within what a network gives")]
        let rate = |told| pace(told, OUTSIDE_BYTES_PER_SECOND) as u64;
        assert_eq!((rate([0, 0]), rate([0, 50_000_000]), rate([75_000_000, 50_000_000])), (25_000_000, 50_000_000, 75_000_000));
        assert_eq!(rate([1, 0]), 125_000, "no less than a network gives");
        assert!((12_400_000_000..=12_500_000_000).contains(&rate([u64::MAX, 0])), "and no more");
    }
}
