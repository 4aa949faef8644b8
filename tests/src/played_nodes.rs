//! Nodes that are played: each joins by a token, signs what it says with a key of its own, hears its stream of instructions, reports as
//! the agent does, and on each new stream tells all that it has. Only the containers are not there: a pod is pulled, started and ended by
//! nothing but time. Thousands fit in one process: a node is one task, and they share connections (HTTP/2).
//!
//! What nodes were told and have done is kept in a [`NodeLedger`], and what must never be is noted there as a fault: one pod told to two
//! nodes, and more on a node than it has room for.

mod identity;
mod ledger;
mod lines;
mod node;
mod pods;
mod wires;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use http::Method;
use longshore_fleet::Image;
use longshore_oci::Digest;
use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{Answer, Client};
pub use ledger::{Heard, NodeLedger};
use node::PlayedNode;
use wires::Wires;

/// How many nodes join at once.
const JOINS_AT_ONCE: usize = 32;

/// What nodes are played.
#[derive(Clone, Debug)]
pub struct PlayedFleet {
    /// How many.
    pub nodes: u32,
    /// Where they are: so many zones, in turns.
    pub zones: u32,
    /// Processor of each, in thousandths of a core.
    pub cpu_millis: u64,
    /// Memory of each, in bytes.
    pub memory_bytes: u64,
    /// How many pods each can have.
    pub pods: u32,
    /// How long an image takes to come that is not there.
    pub pulling: Duration,
    /// How long a container takes to start.
    pub starting: Duration,
    /// How long a container takes to end.
    pub ending: Duration,
    /// The layers of images, and their lengths in bytes: what a node has once it has pulled one.
    pub images: HashMap<Image, BTreeMap<Digest, u64>>,
}

impl Default for PlayedFleet {
    fn default() -> Self {
        Self {
            nodes: 10,
            zones: 3,
            cpu_millis: 32_000,
            memory_bytes: 128 << 30,
            pods: 250,
            pulling: Duration::from_millis(200),
            starting: Duration::from_millis(50),
            ending: Duration::from_millis(50),
            images: HashMap::new(),
        }
    }
}

/// Nodes that are played, until this is dropped.
pub struct PlayedNodes {
    ledger: Arc<NodeLedger>,
    _tasks: JoinSet<()>,
}

/// What all nodes of a process share.
struct Shared {
    fleet: PlayedFleet,
    urls: Vec<String>,
    token: String,
    wires: Wires,
    joining: Semaphore,
    ledger: Arc<NodeLedger>,
}

impl PlayedNodes {
    /// Has nodes join the orchestrator that is reached at any of these, and do what it says.
    pub async fn start(urls: &[&str], fleet: PlayedFleet) -> Self {
        let token = token(urls[0], fleet.nodes).await;
        let ledger = Arc::new(NodeLedger::default());
        let count = fleet.nodes;
        let shared = Arc::new(Shared {
            wires: Wires::new(count),
            fleet,
            urls: urls.iter().map(ToString::to_string).collect(),
            token,
            joining: Semaphore::new(JOINS_AT_ONCE),
            ledger: ledger.clone(),
        });
        let mut tasks = JoinSet::new();
        for number in 0..count {
            tasks.spawn(PlayedNode::new(shared.clone(), number).run());
        }
        Self { ledger, _tasks: tasks }
    }

    /// What they were told and have done.
    pub fn ledger(&self) -> &NodeLedger {
        &self.ledger
    }
}

/// A token that lets so many in.
async fn token(url: &str, uses: u32) -> String {
    let request = Client::new(url).request(Method::POST, "/api/v1/nodes/tokens").json(&json!({"uses": uses}));
    let answer = Answer::attempt(request).await.expect("it answers").expect(201);
    let token: Value = serde_json::from_slice(&answer.body).expect("it answers JSON");
    token["token"].as_str().expect("there is one").to_owned()
}
