//! How many there are of what, for whoever watches the leader.

use std::collections::BTreeMap;

use super::Controller;
use crate::schedule::Millis;

/// How many there are of what.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Census {
    /// Pods, by phase; each phase that there is one of.
    pub pods: BTreeMap<String, u64>,
    /// Nodes, by condition: `all`, `ready`, `not_ready`, `lost`, `cordoned`, `draining`. One may have several.
    pub nodes: BTreeMap<&'static str, u64>,
    /// Units that wait for a node: `active`, `backing_off`, `unschedulable`.
    pub queue: BTreeMap<&'static str, u64>,
}

/// What was tried to place pods.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Of pods that were placed, when each was made, in milliseconds since 1970.
    pub placed: Vec<Millis>,
    /// Pods that were tried in vain, each time.
    pub fits_nowhere: u64,
    /// Times that others were told to make room.
    pub made_room: u64,
}

impl Controller {
    /// Counts all that there is: a look at each pod.
    pub fn census(&self) -> Census {
        let mut pods = rustc_hash::FxHashMap::default();
        for pod in self.pods.values() {
            *pods.entry(pod.row.state.phase).or_insert(0_u64) += 1;
        }
        let conditions = ["all", "ready", "not_ready", "lost", "cordoned", "draining"];
        let mut nodes = BTreeMap::from(conditions.map(|condition| (condition, 0)));
        for node in self.nodes.values() {
            let is_ready = node.not_ready().is_none();
            let holds = [true, is_ready, !is_ready, node.is_lost, node.row.is_cordoned, node.row.is_draining];
            for (condition, holds) in conditions.into_iter().zip(holds) {
                *nodes.entry(condition).or_default() += u64::from(holds);
            }
        }
        let [active, backing_off, unschedulable] = self.queue.lengths();
        Census {
            pods: pods.into_iter().map(|(phase, count)| (phase.to_string(), count)).collect(),
            nodes,
            queue: [("active", active), ("backing_off", backing_off), ("unschedulable", unschedulable)].into(),
        }
    }
}
