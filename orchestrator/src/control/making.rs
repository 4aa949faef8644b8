//! Pods come to be.

use longshore_fleet::{Assignment, OwnerReference, PodId, PodState, RestartPolicy, WorkloadId, api::Change};

use super::{Controller, node::must_not_be_root, pod::Pod, random::letters};
use crate::{schedule::DemandIndex, state::PodRow};

impl Controller {
    /// Makes so many pods of what a workload is to be made from now; those that are left over are made the next time.
    pub(crate) fn make_pods(&mut self, id: WorkloadId, count: u32) -> Vec<PodId> {
        let most = count.min(self.settings.makes_at_once);
        let made = (0..most).map_while(|_| self.make_pod(id)).collect();
        if most < count {
            self.timers.set(super::Timer::Workload(id), self.now);
        }
        made
    }

    fn make_pod(&mut self, id: WorkloadId) -> Option<PodId> {
        let pod_id = self.random.pod(self.now);
        let suffix = letters(self.random.next(), 5);
        let workload = self.workloads.get_mut(&id)?;
        let mark = workload.current()?.mark.clone();
        let row = PodRow {
            id: pod_id,
            name: format!("{}-{mark}-{suffix}", workload.row.name),
            namespace: workload.row.namespace.clone(),
            workload: id,
            revision: workload.row.template_revision,
            node: None,
            state: PodState::default(),
            missing_bytes: None,
            created: self.now.saturating_mul(1_000),
            bound: None,
            end_within_seconds: None,
        };
        workload.pods.insert(pod_id);
        self.pods.insert(pod_id, Pod::new(row, self.now));
        self.save(pod_id);
        self.tell_of_pod(pod_id, Change::Added, "Created", "");
        Some(pod_id)
    }

    /// What a node is to know to run a pod.
    pub(crate) fn assignment(&self, id: PodId) -> Option<Assignment> {
        let pod = self.pods.get(&id)?;
        let workload = self.workloads.get(&pod.row.workload)?;
        let revision = workload.revisions.get(&pod.row.revision)?;
        Some(Assignment {
            id,
            name: pod.row.name.clone(),
            namespace: pod.row.namespace.clone(),
            owner: self.owner_of(pod)?,
            template: revision.row.template.clone(),
            labels: revision.labels.clone(),
            restart: if workload.is_deployment() { RestartPolicy::Always } else { RestartPolicy::Never },
            must_not_be_root: must_not_be_root(&self.namespaces, &pod.row.namespace),
            has_ended: pod.row.state.phase.has_ended(),
            end_within_seconds: pod.row.end_within_seconds,
        })
    }

    pub(crate) fn owner_of(&self, pod: &Pod) -> Option<OwnerReference> {
        let workload = self.workloads.get(&pod.row.workload)?;
        Some(OwnerReference { kind: workload.row.id.kind, name: workload.row.name.clone(), revision: pod.row.revision })
    }

    /// Where the scheduler keeps what pods of a revision want.
    pub(crate) fn demand_of(&mut self, id: WorkloadId, revision: u64) -> Option<DemandIndex> {
        let workload = self.workloads.get_mut(&id)?;
        let revision = workload.revisions.get_mut(&revision)?;
        if revision.demand.is_none() {
            let wants = revision.wants(&workload.asked);
            revision.demand = Some(self.cluster.demand(&wants));
        }
        revision.demand
    }
}
