//! Takes up what the orchestrator says.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use longshore_fleet::{Assignment, Fetch, Instruction, PodId};

use super::{Entry, Roster};
use crate::agent::kept::KeptPod;

/// What is to be done once it is written down.
#[derive(Clone, Copy)]
pub(super) enum Changed {
    /// A pod.
    Pod(PodId),
    /// Which images are wanted.
    Images,
}

impl Roster {
    /// Takes it up; what is to be done then.
    pub(super) fn apply(&mut self, instruction: Instruction) -> Vec<Changed> {
        self.must_write |= !matches!(instruction, Instruction::Logs(_));
        match instruction {
            Instruction::All { pods, keep, fetch, .. } => self.apply_all(pods, keep, fetch),
            Instruction::Put { pod } => self.put(*pod).into_iter().collect(),
            Instruction::Forget { pod } => self.drop_pod(pod).into_iter().collect(),
            Instruction::Keep { images } => {
                self.keep = images;
                vec![Changed::Images]
            }
            Instruction::Fetch(fetch) => {
                let now = Timestamp::now();
                let board = self.hands.board.clone();
                self.forget_fetches(|fetch| fetch.is_pinned_at(now) || !board.has_told_end_of(&fetch.key()));
                self.fetch.insert(fetch.key(), fetch);
                vec![Changed::Images]
            }
            Instruction::StopFetch { operation } => {
                self.forget_fetches(|fetch| fetch.operation != operation);
                vec![Changed::Images]
            }
            // Those who read are served elsewhere.
            Instruction::Logs(_) => Vec::new(),
        }
    }

    fn apply_all(&mut self, pods: Vec<Assignment>, keep: Vec<longshore_fleet::Image>, fetch: Vec<Fetch>) -> Vec<Changed> {
        let wanted: BTreeSet<PodId> = pods.iter().map(|pod| pod.id).collect();
        let besides: Vec<_> = self.pods.keys().filter(|id| !wanted.contains(id)).copied().collect();
        let mut changed: Vec<_> = besides.into_iter().filter_map(|pod| self.drop_pod(pod)).collect();
        changed.extend(pods.into_iter().filter_map(|pod| self.put(pod)));
        self.keep = keep;
        let fetch: BTreeMap<_, _> = fetch.into_iter().map(|fetch| (fetch.key(), fetch)).collect();
        let now = Timestamp::now();
        // What is pinned stays so beyond the operation that asked for it.
        self.forget_fetches(|before| before.is_pinned_at(now) || fetch.contains_key(&before.key()));
        self.fetch.extend(fetch);
        self.has_heard_all = true;
        // Who asks after them no more has heard it, or will by their not being told of.
        self.hands.board.forget_gone(&wanted);
        changed.push(Changed::Images);
        changed
    }

    /// Forgets which images were to be fetched, but for these.
    fn forget_fetches(&mut self, stays: impl Fn(&Fetch) -> bool) {
        let board = &self.hands.board;
        self.fetch.retain(|key, fetch| {
            let stays = stays(fetch);
            if !stays {
                board.forget_fetch(key);
            }
            stays
        });
    }

    fn put(&mut self, mut assignment: Assignment) -> Option<Changed> {
        let id = assignment.id;
        // Where no pod has a network of its own, all have the machine's.
        assignment.template.host_network |= !self.hands.has_pod_network;
        // It is wanted after all.
        self.orphans.remove(&id);
        match self.pods.get_mut(&id) {
            Some(entry) if entry.is_over() && assignment.end_within_seconds.is_some() => {
                // It has ended as it was to; that is told again.
                (entry.kept.assignment, entry.kept.is_dropped) = (assignment, false);
                self.hands.board.gone_again(id);
                None
            }
            Some(entry) if entry.is_over() => {
                self.hands.board.forget(id);
                *entry = Entry::new(KeptPod { assignment, is_dropped: false, ..entry.kept.clone() });
                Some(Changed::Pod(id))
            }
            Some(entry) => {
                assignment.has_ended |= entry.kept.assignment.has_ended;
                (entry.kept.assignment, entry.kept.is_dropped) = (assignment, false);
                Some(Changed::Pod(id))
            }
            // Nothing of it is left here, and it is not to run again.
            None if assignment.has_ended && assignment.end_within_seconds.is_none() => None,
            None => {
                let kept = KeptPod { assignment, heard_at: Timestamp::now(), is_dropped: false };
                self.pods.insert(id, Entry::new(kept));
                Some(Changed::Pod(id))
            }
        }
    }

    /// Nobody asks after a pod any more: what is left of it ends.
    fn drop_pod(&mut self, pod: PodId) -> Option<Changed> {
        let entry = self.pods.get_mut(&pod)?;
        if entry.is_over() {
            self.pods.remove(&pod);
            self.hands.board.forget(pod);
            return None;
        }
        let Assignment { end_within_seconds, template, .. } = &mut entry.kept.assignment;
        end_within_seconds.get_or_insert(template.termination_grace_period_seconds);
        entry.kept.is_dropped = true;
        Some(Changed::Pod(pod))
    }

    /// Does what is to be done now that it is written down.
    pub(super) fn carry_on(&mut self, changed: Changed) {
        match changed {
            Changed::Pod(pod) => {
                if let Some(entry) = self.pods.get_mut(&pod) {
                    entry.carry_on(&self.hands);
                }
            }
            Changed::Images => self.tell_images(),
        }
    }
}
