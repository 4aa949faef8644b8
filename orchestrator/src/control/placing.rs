//! Pods get their nodes.

use longshore_fleet::{Instruction, PodId, WorkloadId, api::Change};
use rustc_hash::FxHashSet as HashSet;

use super::{Controller, Timer};
use crate::schedule::{Budget, DemandIndex, Hopes, NodeIndex, Placed, Unit, Verdict};

/// What others make room for: where, and who has yet to go. Until then the room counts as taken, so that nobody else takes what is freed.
#[derive(Debug)]
pub(crate) struct Awaited {
    node: NodeIndex,
    victims: HashSet<PodId>,
}

impl Controller {
    /// A pod waits for a node.
    pub(crate) fn enqueue(&mut self, id: PodId) {
        self.enqueue_all(&[id]);
    }

    /// Pods of one revision wait for nodes; together, where their workload is a gang.
    pub(crate) fn enqueue_all(&mut self, pods: &[PodId]) {
        let is_gang = pods
            .first()
            .and_then(|pod| self.workloads.get(&self.pods.get(pod)?.row.workload))
            .is_some_and(|workload| workload.asked.is_gang());
        if is_gang {
            self.enqueue_gang(pods);
        } else {
            for pod in pods {
                self.enqueue_gang(&[*pod]);
            }
        }
    }

    /// Pods of one revision wait for nodes, all of them or none.
    pub(crate) fn enqueue_gang(&mut self, pods: &[PodId]) {
        let unplaced = |pod: &&PodId| self.pods.get(pod).is_some_and(super::pod::Pod::is_unplaced);
        let pods: Vec<PodId> = pods.iter().filter(unplaced).copied().collect();
        let Some(first) = pods.first().and_then(|pod| self.pods.get(pod)) else { return };
        let (workload, number, since) = (first.row.workload, first.row.revision, first.row.created / 1_000);
        if !self.runs_or_waits(workload, number, &pods) {
            return;
        }
        let Some(demand) = self.demand_of(workload, number) else { return };
        let Some(asked) = self.workloads.get(&workload).map(|workload| &workload.asked) else { return };
        self.queue.push(Unit { pods, demand, class: asked.class(), priority: asked.priority(), since });
    }

    /// A pod waits no more.
    pub(crate) fn unqueue(&mut self, id: PodId) {
        let Some(mut unit) = self.queue.remove(id) else { return };
        unit.pods.retain(|pod| *pod != id);
        // What is left of a gang waits on.
        if !unit.pods.is_empty() {
            self.queue.push(unit);
        }
    }

    /// What pods of a workload want has changed: those that wait, wait for that.
    pub(crate) fn requeue(&mut self, id: WorkloadId) {
        let Some(workload) = self.workloads.get(&id) else { return };
        let waiting: Vec<PodId> = workload.pods.iter().copied().filter(|pod| self.queue.waits(*pod)).collect();
        for pod in &waiting {
            self.queue.remove(*pod);
        }
        self.enqueue_all(&waiting);
    }

    /// Places pods that wait, as many as are placed at once. The others have their turn when that is written.
    pub(crate) fn place_waiting(&mut self) {
        for id in std::mem::take(&mut self.relieved) {
            match self.queue.remove(id) {
                Some(unit) => self.place_units(vec![unit]),
                None => self.let_go(id),
            }
        }
        let mut left = self.settings.places_at_once;
        while left > 0 {
            let units = self.queue.pop(self.now, left);
            if units.is_empty() {
                return;
            }
            left = left.saturating_sub(units.iter().map(|unit| unit.pods.len()).sum());
            let units = self.those_that_may_run(units);
            self.place_units(units);
        }
    }

    /// Those of units whose images may still run: they may have waited for longer than that was said for. The others wait until it is said
    /// again.
    fn those_that_may_run(&mut self, mut units: Vec<Unit>) -> Vec<Unit> {
        units.retain(|unit| {
            let pod = unit.pods.first().and_then(|pod| self.pods.get(pod));
            pod.map(|pod| (pod.row.workload, pod.row.revision))
                .is_some_and(|(workload, revision)| self.runs_or_waits(workload, revision, &unit.pods))
        });
        units
    }

    /// Whether pods of a revision may be placed now; where not, they wait for that.
    fn runs_or_waits(&mut self, workload: WorkloadId, number: u64, pods: &[PodId]) -> bool {
        let may_run = self.may_run(workload, number);
        let revision = self.workloads.get_mut(&workload).and_then(|workload| workload.revisions.get_mut(&number));
        if let Some(revision) = revision.filter(|_| !may_run) {
            revision.waiting.extend(pods);
        }
        may_run
    }

    /// Places units that are alike, in their order.
    fn place_units(&mut self, units: Vec<Unit>) {
        let Some((demand, length)) = units.first().map(|unit| (unit.demand, unit.pods.len())) else { return };
        for id in units.iter().flat_map(|unit| &unit.pods) {
            self.let_go(*id);
        }
        let mut units = units.into_iter();
        if length == 1 {
            let mut singles: Vec<Unit> = units.by_ref().collect();
            let pods: Vec<PodId> = singles.iter().filter_map(|unit| unit.pods.first().copied()).collect();
            let placed = self.cluster.place_many(&pods, demand);
            let rest = singles.split_off(placed.len());
            for (unit, placed) in singles.into_iter().zip(placed) {
                self.bind(&unit, &[placed]);
            }
            self.shut_out(rest, demand);
            return;
        }
        let mut rest = Vec::new();
        for unit in units {
            // Where one gang does not fit, a like one after it does not either.
            match self.cluster.place_gang(&unit.pods, demand).filter(|_| rest.is_empty()) {
                Some(placed) => self.bind(&unit, &placed),
                None => rest.push(unit),
            }
        }
        self.shut_out(rest, demand);
    }

    fn bind(&mut self, unit: &Unit, placed: &[Placed]) {
        self.queue.placed(unit);
        for (id, placed) in unit.pods.iter().zip(placed) {
            self.bind_one(*id, placed);
        }
        self.queue.happened(Hopes::COMPANY);
    }

    fn bind_one(&mut self, id: PodId, placed: &Placed) {
        let node = self.cluster.facts(placed.node).and_then(|facts| self.nodes_by_name.get(&facts.name)).copied();
        let (Some(node), Some(pod)) = (node, self.pods.get_mut(&id)) else {
            // Nobody is told of it, so it has no room there either.
            self.cluster.unbind(id);
            return;
        };
        pod.row.node = Some(node);
        pod.row.bound = Some(self.now.saturating_mul(1_000));
        pod.row.missing_bytes = Some(placed.missing_bytes);
        pod.cost = Some(placed.cost);
        self.unwritten.tally.placed.push(pod.row.created / 1_000);
        pod.is_known_unplaceable = false;
        (pod.row.state.reason, pod.row.state.message) = (None, None);
        let workload = pod.row.workload;
        if let Some(known) = self.nodes.get_mut(&node) {
            known.pods.insert(id);
            if known.expels() {
                self.timers.set(Timer::Taints(node), self.now);
            }
        }
        self.awaited.remove(&id);
        self.save(id);
        let name = self.nodes.get(&node).map(|node| node.row.name.to_string()).unwrap_or_default();
        self.tell_of_pod(id, Change::Changed, "Placed", format!("on {name}, which lacks {} bytes of it", placed.missing_bytes));
        if let Some(assignment) = self.assignment(id) {
            self.tell(node, Instruction::Put { pod: Box::new(assignment) });
        }
        self.touch(workload);
    }

    /// Units that fit nowhere wait until something happens that could help; the first may have others make room for it.
    fn shut_out(&mut self, units: Vec<Unit>, demand: DemandIndex) {
        let Some(first) = units.first() else { return };
        let mut hopes = Hopes::among(self.verdicts_of(demand).iter());
        if first.pods.len() == 1 {
            for unit in &units {
                self.hold(unit.pods[0], demand);
            }
            let first = first.pods[0];
            if self.make_room(first, demand) {
                hopes |= Hopes::ROOM;
            }
        }
        let mut explained = None;
        for unit in units {
            self.unwritten.tally.fits_nowhere += unit.pods.len() as u64;
            for id in &unit.pods {
                self.tell_of_no_room(*id, demand, &mut explained);
            }
            self.queue.shut(unit, hopes, self.now);
        }
    }

    fn verdicts_of(&self, demand: DemandIndex) -> Vec<Verdict> {
        self.cluster.verdicts(demand).map(|(_, verdict)| verdict).collect()
    }

    /// What is said of pods that want this and fit nowhere.
    fn no_room_for(&self, demand: DemandIndex) -> String {
        let remedies: Vec<String> = self.cluster.explain(demand).remedies.iter().take(3).map(ToString::to_string).collect();
        if remedies.is_empty() {
            "it fits on no node, and no one change would make it fit".to_owned()
        } else {
            format!("it fits on no node; to make it fit: {}", remedies.join(", or "))
        }
    }

    /// Says once of a pod that it fits nowhere. Why is found out once for all that are alike.
    fn tell_of_no_room(&mut self, id: PodId, demand: DemandIndex, explained: &mut Option<String>) {
        let Some(pod) = self.pods.get_mut(&id) else { return };
        if std::mem::replace(&mut pod.is_known_unplaceable, true) {
            return;
        }
        let workload = pod.row.workload;
        let message = explained.get_or_insert_with(|| self.no_room_for(demand)).clone();
        if let Some(pod) = self.pods.get_mut(&id) {
            pod.row.state.reason = Some("FitsNowhere".to_owned());
            pod.row.state.message = Some(message.clone());
        }
        self.save(id);
        self.tell_of_pod(id, Change::Changed, "FitsNowhere", message);
        self.touch(workload);
    }

    /// Has pods of less priority make room for one, unless some do already. True where any do.
    fn make_room(&mut self, id: PodId, demand: DemandIndex) -> bool {
        if self.awaited.contains_key(&id) {
            return true;
        }
        let Some(preemption) = self.cluster.preempt(demand, |pod| self.budget_of(pod)) else { return false };
        let name = self.pods.get(&id).map(|pod| pod.row.name.clone()).unwrap_or_default();
        self.unwritten.tally.made_room += 1;
        let victims: HashSet<PodId> = preemption.victims.iter().copied().collect();
        self.awaited.insert(id, Awaited { node: preemption.node, victims });
        self.hold(id, demand);
        for victim in preemption.victims {
            self.end_pod(victim, "Preempted", &format!("{name}, of more priority, takes its place"));
        }
        true
    }

    /// The room that others make for a pod counts as taken.
    fn hold(&mut self, id: PodId, demand: DemandIndex) {
        if let Some(awaited) = self.awaited.get(&id) {
            self.cluster.bind(id, demand, awaited.node);
        }
    }

    /// The room that others make for a pod does not count as taken while it is tried itself; nor any more, once all of them are gone.
    fn let_go(&mut self, id: PodId) {
        let Some(awaited) = self.awaited.get(&id) else { return };
        self.cluster.unbind(id);
        if awaited.victims.is_empty() {
            self.awaited.remove(&id);
        }
    }

    /// How many more pods of a pod's workload may be taken away; none of one that ends already, and any of one that nobody would miss.
    pub(crate) fn budget_of(&self, id: PodId) -> Option<Budget> {
        let pod = self.pods.get(&id)?;
        let workload = self.workloads.get(&pod.row.workload)?;
        #[expect(clippy::cast_possible_truncation, reason = "what tells workloads apart is in the last half of their ids")]
        let of = workload.row.id.uuid.as_u128() as u64;
        // What has no node yet only has room held for it.
        if pod.is_ending() || pod.row.node.is_none() {
            return Some(Budget { of: of ^ 1, allowed: 0 });
        }
        if !pod.row.state.ready {
            return None;
        }
        let allowed = workload.asked.disruption().allowed(workload.asked.wanted(), self.ready_of(workload.row.id));
        Some(Budget { of, allowed })
    }

    /// A pod is gone: one that was to make room, or one that others made room for.
    pub(crate) fn forget_victim(&mut self, id: PodId) {
        if self.awaited.remove(&id).is_some() {
            self.cluster.unbind(id);
        }
        for (pod, awaited) in &mut self.awaited {
            if awaited.victims.remove(&id) && awaited.victims.is_empty() {
                self.relieved.push(*pod);
            }
        }
    }

    /// The node of this position.
    pub(crate) fn node_at(&self, index: NodeIndex) -> Option<longshore_fleet::NodeId> {
        self.cluster.facts(index).and_then(|facts| self.nodes_by_name.get(&facts.name)).copied()
    }
}
