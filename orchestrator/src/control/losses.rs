//! Nodes that are lost: their pods serve nobody any more from then on, and are replaced a few at a time.
//!
//! Where most of a zone's nodes are lost at once it is likelier that the network between them and here is: then replacing slows down, and
//! stops where nearly all are, for their pods may well run on, and there may be no room for as many again.

use std::{cmp::Reverse, collections::BTreeMap};

use longshore_fleet::{NodeId, PodId, api::Change};

use super::{Controller, Timer};

/// The second that so many pods may be replaced in, in milliseconds.
const REPLACING_PERIOD_MS: i64 = 1_000;

/// How lost a zone is.
#[derive(Clone, Copy, Debug, Default)]
struct Zone {
    nodes: u32,
    lost: u32,
}

impl Controller {
    /// A lost node's pods are not ready any more.
    pub(crate) fn disown(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get(&id) else { return };
        for pod_id in node.pods.clone() {
            let Some(pod) = self.pods.get_mut(&pod_id) else { continue };
            if !pod.row.state.ready {
                continue;
            }
            let (did, workload) = (pod.serves(), pod.row.workload);
            pod.row.state.ready = false;
            pod.row.state.ready_since = None;
            self.count_ready(workload, did, false);
            self.save(pod_id);
            self.tell_of_pod(pod_id, Change::Changed, "NodeLost", "its node is not heard of");
            self.touch(workload);
        }
    }

    /// Has pods of lost nodes replaced, as many as may be in a second, and comes again while there are more. A zone where some have just
    /// been replaced has its next turn once that second is over, however many nodes are lost meanwhile.
    pub(crate) fn replace_lost(&mut self) {
        let now = self.now;
        self.replaced.retain(|_, at| *at + REPLACING_PERIOD_MS > now);
        let zones = self.zones();
        let is_all_lost = zones.values().all(|zone| zone.lost == zone.nodes);
        for (name, zone) in zones {
            if let Some(at) = self.replaced.get(&name) {
                self.timers.set(Timer::Losses, at + REPLACING_PERIOD_MS);
                continue;
            }
            let allowed = if is_all_lost { 0 } else { self.allowance(zone) };
            let waiting = self.pods_of_lost(&name);
            if waiting.len() > allowed {
                self.timers.set(Timer::Losses, now + REPLACING_PERIOD_MS);
            }
            if !waiting.is_empty() && allowed > 0 {
                self.replaced.insert(name, now);
            }
            for pod in waiting.into_iter().take(allowed) {
                self.end_pod(pod, "NodeLost", "its node is not heard of, and another takes its place");
            }
        }
    }

    /// How many pods of a zone's lost nodes may be replaced now.
    fn allowance(&self, zone: Zone) -> usize {
        let most = self.settings.replaced_per_second as usize;
        let percent = zone.lost * 100 / zone.nodes.max(1);
        if zone.lost <= self.settings.losses_trusted || percent < self.settings.slow_past_percent {
            most
        } else if percent < self.settings.stop_past_percent {
            most.div_ceil(10)
        } else {
            0
        }
    }

    /// Whether so many of a zone's nodes are lost that their pods are not replaced.
    pub(crate) fn is_partitioned(&self, nodes: u32, lost: u32) -> bool {
        lost > 0 && self.allowance(Zone { nodes, lost }) == 0
    }

    fn zones(&self) -> BTreeMap<String, Zone> {
        let mut zones: BTreeMap<String, Zone> = BTreeMap::new();
        for node in self.nodes.values().filter(|node| node.facts.is_some()) {
            let zone = zones.entry(node.zone().unwrap_or_default().to_owned()).or_default();
            zone.nodes += 1;
            zone.lost += u32::from(node.is_lost);
        }
        zones
    }

    /// Pods on lost nodes of a zone that are not replaced yet, those that people wait for first.
    fn pods_of_lost(&self, zone: &str) -> Vec<PodId> {
        let lost = self.nodes.values().filter(|node| node.is_lost && node.zone().unwrap_or_default() == zone);
        let pods = lost.flat_map(|node| &node.pods).filter_map(|pod| self.pods.get(pod));
        let mut pods: Vec<_> = pods
            .filter(|pod| !pod.is_ending() && !pod.row.state.phase.has_ended())
            .map(|pod| {
                let asked = self.workloads.get(&pod.row.workload).map(|workload| &workload.asked);
                (asked.map(|asked| (asked.class(), Reverse(asked.priority()))), pod.row.id)
            })
            .collect();
        pods.sort_unstable();
        pods.into_iter().map(|(_, pod)| pod).collect()
    }

    /// The pods of a node that are to run there.
    pub(crate) fn pods_to_run(&self, id: NodeId) -> Vec<PodId> {
        let Some(node) = self.nodes.get(&id) else { return Vec::new() };
        let runs = |pod: &&PodId| self.pods.get(*pod).is_some_and(|pod| !pod.is_ending() && !pod.row.state.phase.has_ended());
        node.pods.iter().filter(runs).copied().collect()
    }
}
