//! A tracker of the swarm beside a registry or an edge: neither knows of it, and it knows of them only what it asks.

mod settings;

use std::{net::SocketAddr, path::Path, sync::Arc};

use async_trait::async_trait;
use libp2p_identity::PeerId;
use longshore_client::SwarmRecord;
use longshore_node::CacheAdmission;
use longshore_p2p::{
    plane::NodeKey,
    swarm::{Admission, LoneTracker, TrackerSetup},
    topic::Topic,
    wire::Token,
};
use longshore_registry::Peers;
use longshore_service::{metrics::Metrics, private_files};
use serde_json::Value;

pub use settings::{Tracked, Tracker};

use crate::failure::Failure;

/// Who a registry lets be told of what. Whatever nodes call it, the one that they mean is this one.
struct RegistryAdmission(Peers);

#[async_trait]
impl Admission for RegistryAdmission {
    async fn admits(&self, topic: &Topic, peer: PeerId, token: Option<&Token>) -> bool {
        let token = token.map(|token| &*token.0);
        self.0.may_be_told(&topic.repository, &topic.digest, &peer.to_string(), token).await
    }
}

/// A tracker at work.
pub struct Running {
    tracker: LoneTracker,
    told: Vec<SocketAddr>,
}

impl Running {
    /// Starts the one beside a registry, where there is to be one. Its key is in `folder`, unless a file is named.
    pub async fn beside_registry(
        tracker: &Tracker,
        folder: &Path,
        app: &longshore_registry::App,
    ) -> Result<Option<Self>, Failure> {
        let running = start(tracker, folder, Arc::new(RegistryAdmission(app.peers())), app.metrics()).await?;
        if let Some(running) = &running {
            app.set_swarm_record(running.record());
        }
        Ok(running)
    }

    /// The same beside an edge.
    pub async fn beside_edge(tracker: &Tracker, folder: &Path, app: &longshore_edge_cache::App) -> Result<Option<Self>, Failure> {
        let running = start(tracker, folder, Arc::new(CacheAdmission::new(app.edge().clone())), app.metrics()).await?;
        if let Some(running) = &running {
            app.set_swarm_record(running.record());
        }
        Ok(running)
    }

    /// Where nodes are told that it is reached.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.told
    }

    /// As `GET /v2/_longshore/swarm` tells of it.
    fn record(&self) -> Value {
        let record = SwarmRecord { peer: self.tracker.peer().to_string(), control: self.told.clone(), ..SwarmRecord::default() };
        serde_json::to_value(record).expect("a record is always JSON")
    }

    /// Ends it.
    pub async fn leave(self) {
        self.tracker.leave().await;
    }
}

async fn start(
    tracker: &Tracker,
    folder: &Path,
    admission: Arc<dyn Admission>,
    metrics: &Metrics,
) -> Result<Option<Running>, Failure> {
    if !tracker.enabled {
        return Ok(None);
    }
    let path = tracker.key_path(folder);
    let opening = path.clone();
    let key = tokio::task::spawn_blocking(move || {
        if let Some(folder) = opening.parent() {
            private_files::make_folder(folder)
                .map_err(|error| Failure::because("the folder of the tracker's key can't be made", &error))?;
        }
        let unread = |error| Failure::because(&format!("the tracker's key in {} can't be had", opening.display()), &error);
        NodeKey::open(&opening).map_err(unread)
    });
    let key = key.await.map_err(|error| Failure::because("the tracker's key can't be had", &error))??;
    let fleet = tracker.fleet().map_err(|error| Failure::Failed(format!("the fleet's key can't be used: {error}")))?;
    let setup = TrackerSetup { key, fleet, admission, listen: tracker.listen, settings: tracker.bounds() };
    let started = LoneTracker::start(setup, metrics).await;
    let lone = started.map_err(|error| {
        Failure::because("the tracker beside it can't be started; [tracker] sets where it listens, or turns it off", &error)
    })?;
    let told = tracker.advertised(lone.addresses());
    Ok(Some(Running { tracker: lone, told }))
}
