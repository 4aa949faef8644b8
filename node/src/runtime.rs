//! containerd beside the node: what its store holds is served from there, and what its containers run stays in the cache.
//!
//! A task ([`follow`]) asks containerd over its socket every few seconds what its store holds and which containers run, and changes nothing
//! there. What it promises:
//!
//! - **Never trusted.** A piece that is read from the store is compared with the hash that the registry signed before a peer or the cache
//!   is handed it. Of a blob that was found wrong nothing is served from there any more, until containerd has it anew.
//! - **No right by holding it.** Peers are told of a blob as of one in the cache: by a place (registry and repository) for which the
//!   registry said to this node that it has the blob, and has shown to have the very same pieces, to who may pull from there; the node's
//!   own clients have it by the same rule ([`stock::Stock::vouched`]). Hashes that a registry signs show nothing: a piece has to be so.
//!   Of content that the node did not bring itself the places are those that containerd notes at it
//!   (`containerd.io/distribution.source.*`); where none of them is an upstream's, or the registry does not confirm it, nobody hears
//!   of it.
//! - **Bounded.** By [`stock::MOST_BLOBS`], by memory of its own for pieces on their way, and by limits on each question.
//! - **Away is no fault.** While containerd does not answer all is as it was for a while; then nothing is served from its store. Pins are
//!   leases, and end by themselves.

mod client;
mod follow;
mod holdings;
mod metrics;
mod pins;
mod places;
mod reading;
mod source;
mod stock;
#[cfg(test)]
mod tests;
mod wire;

use std::{sync::Arc, time::Duration};

use longshore_edge_cache::{Edge, store::StoreError};
use longshore_service::{budget::Budget, metrics::Metrics};
use tokio::sync::{Mutex, Notify};

use crate::config::Containerd;
use client::Client;
pub use holdings::RuntimeHoldings;
use metrics::RuntimeMetrics;
pub use source::RuntimeNeighbours;
use stock::Stock;

/// Memory for pieces that are read for peers and for the cache, until they are handed on.
const MEMORY_BYTES: u64 = 32 << 20;
/// How long one waits for it: shorter than a peer does.
const MEMORY_PATIENCE: Duration = Duration::from_secs(2);

/// A containerd, and what is known of it.
pub struct Runtime {
    client: Client,
    stock: Stock,
    memory: Budget,
    /// Held by who reads all of a blob to find out whose fault it is that a piece is wrong: one at a time.
    judging: Mutex<()>,
    metrics: RuntimeMetrics,
    settings: Containerd,
    edge: Arc<Edge>,
    /// Told when there is something new in it.
    soon: Notify,
}

impl Runtime {
    /// The one that the settings name. Nothing is asked of it yet. Blocks.
    pub fn open(settings: Containerd, edge: Arc<Edge>, metrics: &Metrics) -> Result<Self, StoreError> {
        Ok(Self {
            client: Client::new(settings.address.clone().into()),
            stock: Stock::open(edge.store.clone())?,
            memory: Budget::new(MEMORY_BYTES, MEMORY_PATIENCE),
            judging: Mutex::default(),
            metrics: RuntimeMetrics::new(metrics),
            settings,
            edge,
            soon: Notify::new(),
        })
    }

    /// Whether its store holds a blob whose pieces can be checked, or held it when this was last known.
    pub fn may_have(&self, digest: &longshore_oci::Digest) -> bool {
        self.stock.may_have(digest)
    }
    /// The layers and configurations that its store holds, and their lengths.
    pub fn layers(&self) -> Vec<(longshore_oci::Digest, u64)> {
        self.stock.layers()
    }

    /// There is something new in its store: it is looked at soon.
    pub fn look_soon(&self) {
        self.soon.notify_one();
    }
}
