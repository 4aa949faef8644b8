//! All pods of the node: one task that owns them, hears what is to be, and has a task for each.
//!
//! What is to be is written down before anything is done about it. What the runtime has and nobody knows of is left as it is until the
//! orchestrator has said once all that is to be; then it is removed.

mod applying;
mod entry;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
    sync::Arc,
};

use longshore_fleet::{Fetch, FetchKey, Image, Instruction, PodId};
use longshore_service::error_text::with_sources;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    hands::Hands,
    images::WantedImages,
    kept::{self, Kept, KeptPod},
    logs,
    pod::Glimpse,
    worker,
};
use entry::Entry;

/// How many instructions are taken up together.
const MOST_TOGETHER: usize = 256;

/// Something that is to be.
#[derive(Debug)]
pub struct Order {
    /// What.
    pub instruction: Instruction,
    /// Who wants to know that it is taken up.
    pub taken: Option<oneshot::Sender<()>>,
}

/// What the runtime lists of the agent's pods.
pub type Listed = HashMap<PodId, Glimpse>;

/// All pods of the node.
#[expect(clippy::struct_excessive_bools, reason = "each is a state of its own")]
pub struct Roster {
    hands: Arc<Hands>,
    file: PathBuf,
    pods: BTreeMap<PodId, Entry>,
    keep: Vec<Image>,
    fetch: BTreeMap<FetchKey, Fetch>,
    images: watch::Sender<WantedImages>,
    /// What nobody wants, while it is removed.
    orphans: HashMap<PodId, AbortOnDropHandle<()>>,
    has_heard_all: bool,
    /// Whether logs that are nobody's were removed.
    has_removed_logs: bool,
    must_write: bool,
    /// Whether that is known to fail.
    fails_to_write: bool,
}

impl Roster {
    /// That which was kept; its pods are begun at once.
    pub fn new(hands: Arc<Hands>, file: PathBuf, kept: Kept, images: watch::Sender<WantedImages>) -> Self {
        let mut roster = Self {
            hands,
            file,
            pods: BTreeMap::new(),
            keep: kept.keep,
            fetch: kept.fetch.into_iter().map(|fetch| (fetch.key(), fetch)).collect(),
            images,
            orphans: HashMap::new(),
            has_heard_all: false,
            has_removed_logs: false,
            must_write: false,
            fails_to_write: false,
        };
        for pod in kept.pods {
            let id = pod.assignment.id;
            let mut entry = Entry::new(pod);
            entry.carry_on(&roster.hands);
            roster.pods.insert(id, entry);
        }
        roster.tell_images();
        roster
    }

    /// Takes up what is to be and what there is, until it is stopped. What runs then runs on.
    pub async fn run(
        mut self,
        mut orders: mpsc::Receiver<Order>,
        mut listed: watch::Receiver<Listed>,
        stopping: CancellationToken,
    ) {
        loop {
            let mut together = Vec::new();
            tokio::select! {
                () = stopping.cancelled() => return,
                count = orders.recv_many(&mut together, MOST_TOGETHER) => {
                    if count == 0 {
                        return;
                    }
                    self.take_up(together).await;
                }
                changed = listed.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let listed = listed.borrow_and_update().clone();
                    self.note(&listed);
                    self.write().await;
                    self.remove_strays_logs(&listed).await;
                }
            }
        }
    }

    async fn take_up(&mut self, orders: Vec<Order>) {
        let mut taken = Vec::new();
        let mut changed = Vec::new();
        for order in orders {
            changed.extend(self.apply(order.instruction));
            taken.extend(order.taken);
        }
        // Before anything comes of it: whatever happens, it is known who has wanted what then runs.
        self.write().await;
        for pod in changed {
            self.carry_on(pod);
        }
        for taken in taken {
            // Who asked may have gone meanwhile.
            let _ = taken.send(());
        }
    }

    /// Tells each pod what there is of it, and removes what is nobody's.
    fn note(&mut self, listed: &Listed) {
        self.orphans.retain(|_, removing| !removing.is_finished());
        for (id, entry) in &mut self.pods {
            if entry.is_over() && self.hands.board.pod(*id).is_some() {
                // Its task ended otherwise than it should.
                tracing::error!(pod = %id, "a pod's task broke off; it is begun again");
                entry.begin_again(&self.hands);
            }
            let has_ended = || self.hands.board.pod(*id).is_some_and(|state| state.phase.has_ended());
            if !entry.kept.assignment.has_ended && has_ended() {
                // Whatever becomes of its container, it is not to run again.
                entry.kept.assignment.has_ended = true;
                self.must_write = true;
            }
            entry.show(listed.get(id).cloned().unwrap_or_default());
        }
        let dropped = |(id, entry): (&PodId, &Entry)| (entry.is_over() && entry.kept.is_dropped).then_some(*id);
        for id in self.pods.iter().filter_map(dropped).collect::<Vec<_>>() {
            self.pods.remove(&id);
            self.must_write = true;
        }
        self.hands.metrics.pods.set(i64::try_from(self.pods.len()).unwrap_or(i64::MAX));
        if !self.has_heard_all {
            return;
        }
        for pod in listed.keys() {
            let is_ours = self.pods.get(pod).is_some_and(|entry| !entry.is_over());
            if !is_ours && !self.orphans.contains_key(pod) {
                let (hands, pod) = (self.hands.clone(), *pod);
                let removing = tokio::spawn(async move { worker::remove_orphan(&hands, pod).await });
                self.orphans.insert(pod, AbortOnDropHandle::new(removing));
            }
        }
    }

    /// Removes the logs of pods of which neither the orchestrator nor the runtime knows anything, once.
    async fn remove_strays_logs(&mut self, listed: &Listed) {
        if !self.has_heard_all || std::mem::replace(&mut self.has_removed_logs, true) {
            return;
        }
        let stay: BTreeSet<String> = self.pods.keys().chain(listed.keys()).map(PodId::to_string).collect();
        let folder = self.hands.logs.clone();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || logs::remove_others(&folder, &stay)).await {
            tracing::warn!(error = with_sources(&error), "the logs of pods that are gone can't be removed");
        }
    }

    fn tell_images(&self) {
        let wanted = WantedImages { keep: self.keep.clone(), fetch: self.fetch.values().cloned().collect() };
        self.images.send_replace(wanted);
    }

    /// Writes down what is to be, where that has changed.
    async fn write(&mut self) {
        if !std::mem::take(&mut self.must_write) {
            return;
        }
        let pods: Vec<KeptPod> = self.pods.values().map(|entry| entry.kept.clone()).collect();
        let kept = Kept { pods, keep: self.keep.clone(), fetch: self.fetch.values().cloned().collect() };
        let file = self.file.clone();
        let written = tokio::task::spawn_blocking(move || kept::write(&file, &kept)).await;
        let failed_before = std::mem::take(&mut self.fails_to_write);
        if let Ok(Err(error)) = written {
            (self.must_write, self.fails_to_write) = (true, true);
            if failed_before {
                return;
            }
            let file = self.file.display();
            tracing::error!(error = with_sources(&error), %file, "what is to run here can't be written down; a restart would not know of it");
        }
    }
}
