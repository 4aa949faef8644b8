//! What there is to tell the orchestrator: how everything is, and what of that it has not been told on this stream.
//!
//! Whoever finds something out writes it here; who reports takes what is new. Only the newest of each is kept, so it is as large as what is
//! on the node and no larger, however long nobody listens.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use longshore_fleet::{AgentFacts, FetchKey, FetchReport, FetchState, Load, PodId, PodReport, PodState, Report, StreamId};
use longshore_oci::Digest;
use tokio::sync::Notify;

use super::pace::Measured;

/// What there is to tell.
#[derive(Debug, Default)]
pub struct Board {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    facts: Option<AgentFacts>,
    load: Load,
    pods: BTreeMap<PodId, PodState>,
    gone: BTreeSet<PodId>,
    layers: BTreeMap<Digest, u64>,
    fetches: BTreeMap<FetchKey, FetchReport>,
    new: New,
}

/// What has not been told.
#[derive(Debug, Default)]
struct New {
    facts: bool,
    pods: BTreeSet<PodId>,
    gone: BTreeSet<PodId>,
    layers: BTreeSet<Digest>,
    fetches: BTreeSet<FetchKey>,
}

impl New {
    fn is_empty(&self) -> bool {
        let Self { facts, pods, gone, layers, fetches } = self;
        !facts && pods.is_empty() && gone.is_empty() && layers.is_empty() && fetches.is_empty()
    }
}

impl Board {
    /// How a pod is.
    pub fn set_pod(&self, pod: PodId, state: PodState) {
        let mut board = self.state();
        if board.pods.get(&pod) != Some(&state) {
            board.pods.insert(pod, state);
            board.new.pods.insert(pod);
            self.changed.notify_one();
        }
    }

    /// Nothing is left of a pod, which was so at last.
    pub fn gone(&self, pod: PodId, state: PodState) {
        let mut board = self.state();
        board.pods.insert(pod, state);
        board.new.pods.insert(pod);
        board.gone.insert(pod);
        board.new.gone.insert(pod);
        self.changed.notify_one();
    }

    /// Somebody has not heard that nothing is left of a pod.
    pub fn gone_again(&self, pod: PodId) {
        let mut board = self.state();
        board.gone.insert(pod);
        board.new.gone.insert(pod);
        self.changed.notify_one();
    }

    /// Nobody wants to hear of a pod any more.
    pub fn forget(&self, pod: PodId) {
        let mut board = self.state();
        board.pods.remove(&pod);
        board.gone.remove(&pod);
        board.new.pods.remove(&pod);
    }

    /// Nobody wants to hear any more of those of which nothing is left, but for these.
    pub fn forget_gone(&self, but: &BTreeSet<PodId>) {
        let mut board = self.state();
        let State { pods, gone, new, .. } = &mut *board;
        gone.retain(|pod| {
            let stays = but.contains(pod);
            if !stays {
                pods.remove(pod);
                new.pods.remove(pod);
            }
            stays
        });
    }

    /// What the node is.
    pub fn set_facts(&self, facts: AgentFacts) {
        let mut board = self.state();
        if board.facts.as_ref() != Some(&facts) {
            board.facts = Some(facts);
            board.new.facts = true;
            self.changed.notify_one();
        }
    }

    /// How much room it has for images. That is told with whatever else there is, or the next sign of life.
    pub fn set_room(&self, disk_free_bytes: u64) {
        self.state().load.disk_free_bytes = disk_free_bytes;
    }

    /// How fast bytes come, and how busy the upload is. That is told in the same way.
    pub fn set_pace(&self, measured: Measured) {
        let load = &mut self.state().load;
        load.upload_load = measured.upload;
        load.neighbours_bytes_per_second = measured.neighbours;
        load.outside_bytes_per_second = measured.outside;
    }

    /// The layers that are here, and their lengths.
    pub fn set_layers(&self, layers: BTreeMap<Digest, u64>) {
        let mut board = self.state();
        let State { layers: before, new, .. } = &mut *board;
        let came = layers.iter().filter(|(digest, size)| before.get(*digest) != Some(size)).map(|(digest, _)| digest.clone());
        let went = before.keys().filter(|digest| !layers.contains_key(*digest)).cloned();
        let changed: Vec<_> = came.chain(went).collect();
        if !changed.is_empty() {
            new.layers.extend(changed);
            board.layers = layers;
            self.changed.notify_one();
        }
    }

    /// How far an image has come that was to be fetched.
    pub fn set_fetch(&self, report: FetchReport) {
        let (mut board, key) = (self.state(), report.key());
        if board.fetches.get(&key) != Some(&report) {
            board.new.fetches.insert(key.clone());
            board.fetches.insert(key, report);
            self.changed.notify_one();
        }
    }

    /// Whether what was to be fetched has come, or failed to, and that was told.
    pub fn has_told_end_of(&self, fetch: &FetchKey) -> bool {
        let board = self.state();
        let has_ended =
            board.fetches.get(fetch).is_some_and(|report| matches!(report.state, FetchState::Done | FetchState::Failed));
        has_ended && !board.new.fetches.contains(fetch)
    }

    /// Nobody wants to hear of a fetch any more.
    pub fn forget_fetch(&self, fetch: &FetchKey) {
        let mut board = self.state();
        board.fetches.remove(fetch);
        board.new.fetches.remove(fetch);
    }

    /// Waits until there is something new to tell.
    pub async fn news(&self) {
        loop {
            let changed = self.changed.notified();
            if !self.state().new.is_empty() {
                return;
            }
            changed.await;
        }
    }

    /// Takes all there is to tell, or what is new of it: it counts as told.
    pub fn take(&self, stream: StreamId, number: u64, is_whole: bool) -> Report {
        let mut board = self.state();
        let new = std::mem::take(&mut board.new);
        let report = |(id, state): (&PodId, &PodState)| PodReport { id: *id, state: state.clone() };
        let is_told = |id: &PodId| is_whole || new.pods.contains(id);
        let (mut layers, mut layers_gone) = (BTreeMap::new(), Vec::new());
        if is_whole {
            layers.clone_from(&board.layers);
        } else {
            for digest in new.layers {
                match board.layers.get(&digest) {
                    Some(size) => drop(layers.insert(digest, *size)),
                    None => layers_gone.push(digest),
                }
            }
        }
        Report {
            stream,
            number,
            is_whole,
            facts: board.facts.clone().filter(|_| is_whole || new.facts),
            load: Some(board.load),
            pods: board.pods.iter().filter(|(id, _)| is_told(id)).map(report).collect(),
            gone: board.gone.iter().copied().filter(|id| is_whole || new.gone.contains(id)).collect(),
            layers,
            layers_gone,
            fetches: board.fetches.values().filter(|fetch| is_whole || new.fetches.contains(&fetch.key())).cloned().collect(),
        }
    }

    /// How a pod is, as far as it is known and anything of it is left.
    pub fn pod(&self, pod: PodId) -> Option<PodState> {
        let board = self.state();
        board.pods.get(&pod).filter(|_| !board.gone.contains(&pod)).cloned()
    }

    /// Notes how a pod is of which nothing was found out yet.
    pub fn set_unknown(&self, pod: PodId, state: PodState) {
        let is_known = self.state().pods.contains_key(&pod);
        if !is_known {
            self.set_pod(pod, state);
        }
    }

    /// Whether something was found out about all of these.
    pub fn knows_all(&self, pods: &[PodId]) -> bool {
        let board = self.state();
        pods.iter().all(|pod| board.pods.contains_key(pod))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use longshore_fleet::Phase;
    use longshore_oci::Algorithm;

    use super::*;

    fn pod(number: u128) -> PodId {
        format!("pod_{number:032x}").parse().unwrap()
    }

    fn stream() -> StreamId {
        format!("stream_{:032x}", 1).parse().unwrap()
    }

    fn layers(words: &[&str]) -> BTreeMap<Digest, u64> {
        words.iter().map(|word| (Digest::of(Algorithm::Sha256, word.as_bytes()), word.len() as u64)).collect()
    }

    #[test]
    fn what_was_told_is_told_again_only_as_a_whole() {
        let board = Board::default();
        let running = PodState { phase: Phase::Running, ..PodState::default() };
        board.set_pod(pod(1), PodState::default());
        board.set_pod(pod(2), running.clone());
        board.set_layers(layers(&["a", "bb"]));
        let first = board.take(stream(), 1, true);
        assert_eq!((first.pods.len(), first.layers.len(), first.number), (2, 2, 1));
        board.set_pod(pod(2), running.clone());
        assert!(board.take(stream(), 2, false).pods.is_empty(), "nothing has changed");
        board.set_pod(pod(1), running.clone());
        board.gone(pod(2), running);
        board.set_layers(layers(&["bb", "ccc"]));
        let next = board.take(stream(), 3, false);
        assert_eq!((next.pods.len(), next.gone, next.layers), (2, vec![pod(2)], layers(&["ccc"])));
        assert_eq!(next.layers_gone, layers(&["a"]).into_keys().collect::<Vec<_>>());
        board.forget(pod(2));
        let whole = board.take(stream(), 1, true);
        assert_eq!((whole.pods.len(), whole.gone.len(), whole.layers.len()), (1, 0, 2));
    }

    #[test]
    fn one_operation_may_fetch_many_images() {
        let board = Board::default();
        let report = |image: &str, state| FetchReport {
            operation: format!("op_{:032x}", 1).parse().unwrap(),
            image: image.parse().unwrap(),
            state,
            bytes_done: 0,
            bytes_total: 0,
            message: None,
        };
        let (one, other) = (report("a:1", FetchState::Fetching), report("b:1", FetchState::Done));
        board.set_fetch(one.clone());
        board.set_fetch(other.clone());
        assert!(!board.has_told_end_of(&other.key()));
        assert_eq!(board.take(stream(), 1, true).fetches.len(), 2);
        assert!(board.has_told_end_of(&other.key()) && !board.has_told_end_of(&one.key()));
        board.forget_fetch(&other.key());
        assert_eq!(board.take(stream(), 2, true).fetches, [one]);
    }

    #[tokio::test]
    async fn who_waits_hears_of_news_that_came_before() {
        let board = Board::default();
        board.set_pod(pod(1), PodState::default());
        board.news().await;
        board.take(stream(), 1, true);
        let waiting = tokio::time::timeout(std::time::Duration::from_millis(10), board.news());
        assert!(waiting.await.is_err(), "it was told");
    }
}
