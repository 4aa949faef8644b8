//! The images of a node, as far as the orchestrator cares: which layers are here, which are to stay, and which are to come.
//!
//! Layers are here where containerd's store holds them, or the node's cache does as a whole: either way no byte of them crosses a link
//! when a pod wants them. What is to stay is pinned in the cache, by leases that are renewed while it is so; in the runtime nobody removes
//! images but who does it by hand.

mod fetching;
mod layers;
mod pinning;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use longshore_edge_cache::Edge;
use longshore_fleet::{Fetch, FetchKey, Image};
use tokio::{sync::watch, time::MissedTickBehavior};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::hands::Hands;
use crate::runtime::Runtime;
use layers::Layers;

/// How often it is looked what is here.
const INTERVAL: Duration = Duration::from_secs(2);

/// Which images are wanted.
#[derive(Clone, Debug, Default)]
pub struct WantedImages {
    /// Those that are to stay.
    pub keep: Vec<Image>,
    /// Those that are to be fetched.
    pub fetch: Vec<Fetch>,
}

/// Looks after the images of a node.
pub struct Images {
    hands: Arc<Hands>,
    edge: Arc<Edge>,
    runtime: Option<Arc<Runtime>>,
    fetching: BTreeMap<FetchKey, AbortOnDropHandle<()>>,
    layers: Layers,
}

impl Images {
    /// Those of this cache, and of this containerd.
    pub fn new(hands: Arc<Hands>, edge: Arc<Edge>, runtime: Option<Arc<Runtime>>) -> Self {
        Self { hands, edge, runtime, fetching: BTreeMap::new(), layers: Layers::default() }
    }

    /// Looks after them until it is stopped.
    pub async fn run(mut self, mut wanted: watch::Receiver<WantedImages>, stopping: CancellationToken) {
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = interval.tick() => {}
                () = self.hands.pulls.came() => {
                    if let Some(runtime) = &self.runtime {
                        runtime.look_soon();
                    }
                }
                changed = wanted.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let wanted = wanted.borrow_and_update().clone();
                    self.fetch(&wanted.fetch);
                }
            }
            if let Some(layers) = self.layers.look(&self.edge.store, self.runtime.as_deref()) {
                self.hands.board.set_layers(layers);
            }
            let wanted = wanted.borrow().clone();
            self.pin(&wanted).await;
        }
    }
}
