//! What a change would come to: tried on the cluster itself, and taken back.

use std::collections::BTreeMap;

use longshore_fleet::{NodeName, PodId, api::PlacementView};

use super::Controller;
use crate::{
    lead::{PlanOutcome, PlanQuestion},
    schedule::{Cost, DemandIndex, Placed},
};

impl Controller {
    /// What would come of a change of a workload.
    pub fn plan(&mut self, question: &PlanQuestion) -> PlanOutcome {
        let pods: Vec<(PodId, u64)> = question
            .workload
            .and_then(|id| self.workloads.get(&id))
            .into_iter()
            .flat_map(|workload| &workload.pods)
            .filter_map(|pod| self.pods.get(pod))
            .filter(|pod| !pod.is_ending() && !pod.row.state.phase.has_ended())
            .map(|pod| (pod.row.id, pod.row.revision))
            .collect();
        let staying: Vec<PodId> =
            pods.iter().filter(|(_, revision)| question.template_revision == Some(*revision)).map(|(pod, _)| *pod).collect();
        let kept = staying.len().min(question.replicas as usize);
        let leaving: Vec<PodId> = pods.iter().map(|(pod, _)| *pod).filter(|pod| !staying[..kept].contains(pod)).collect();
        let makes = question.replicas - u32::try_from(kept).unwrap_or(question.replicas);
        let demand = self.cluster.demand(&question.demand);
        // Where those are gone that others take the place of.
        let before = self.cluster.taken_off(&leaving);
        let placed = self.tried(demand, makes);
        let missing = makes - u32::try_from(placed.len()).unwrap_or(makes);
        let remedies = if missing > 0 { self.remedies(demand, &placed) } else { Vec::new() };
        let placements = self.placements(&placed);
        self.cluster.put_back(before);
        PlanOutcome { placements, unplaced: missing, remedies, makes, ends: u32::try_from(leaving.len()).unwrap_or(u32::MAX) }
    }

    /// Where so many pods would go; they are nowhere afterwards.
    pub(crate) fn tried(&mut self, demand: DemandIndex, count: u32) -> Vec<Placed> {
        let pods = trial_pods(count);
        let placed = self.cluster.place_many(&pods, demand);
        for pod in pods.iter().take(placed.len()) {
            self.cluster.unbind(*pod);
        }
        placed
    }

    /// What would make one more pod fit once those are placed.
    fn remedies(&mut self, demand: DemandIndex, placed: &[Placed]) -> Vec<(String, u64)> {
        let pods = trial_pods(u32::try_from(placed.len()).unwrap_or(u32::MAX));
        for (pod, placed) in pods.iter().zip(placed) {
            self.cluster.bind(*pod, demand, placed.node);
        }
        let remedies = self.cluster.explain(demand).remedies;
        for pod in &pods {
            self.cluster.unbind(*pod);
        }
        remedies.iter().map(|remedy| (remedy.to_string(), remedy.nodes as u64)).collect()
    }

    fn placements(&self, placed: &[Placed]) -> Vec<PlacementView> {
        let mut by_node: BTreeMap<NodeName, PlacementView> = BTreeMap::new();
        for placed in placed {
            let Some(facts) = self.cluster.facts(placed.node) else { continue };
            let first = || PlacementView {
                node: facts.name.clone(),
                pods: 0,
                missing_bytes: placed.missing_bytes,
                wait_seconds: Cost::seconds(placed.cost.start),
            };
            by_node.entry(facts.name.clone()).or_insert_with(first).pods += 1;
        }
        by_node.into_values().collect()
    }
}

/// Pods that are none: their ids are of no time.
fn trial_pods(count: u32) -> Vec<PodId> {
    (1..=count).map(|number| PodId(uuid::Uuid::from_u128(u128::from(number)))).collect()
}
