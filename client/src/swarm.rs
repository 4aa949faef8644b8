use std::net::SocketAddr;

use longshore_oci::{Digest, Route};
use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::{ClientError, EdgeClient, RegistryClient};

/// Who a node is in the swarm, and where it is reached there: `GET /v2/_longshore/swarm`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SwarmRecord {
    /// Its peer id.
    pub peer: String,
    /// Where it takes connections for pieces. One of a closed fleet says that to its fleet alone, and here nothing.
    pub pieces: Vec<SocketAddr>,
    /// Where its control protocols are spoken.
    pub control: Vec<SocketAddr>,
    /// Where it is; likewise.
    #[serde(default)]
    pub locality: SwarmLocality,
}

/// Where a node is, from the outside in; what is not told is empty.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SwarmLocality {
    /// The region, as of a cloud.
    pub region: String,
    /// The zone in it.
    pub zone: String,
    /// The rack in the zone.
    pub rack: String,
    /// The machine.
    pub host: String,
}

/// How things are with a node's part in the swarm: `GET /v2/_longshore/edge/swarm`. Counts begin where the process did.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SwarmStatus {
    /// Who it is.
    pub node: SwarmRecord,
    /// How many blobs it shares, manifests among them, each counted once.
    pub shared: u64,
    /// The peers that it is connected to.
    pub peers: Vec<SwarmPeer>,
    /// The blobs that it gets.
    pub downloads: Vec<SwarmDownload>,
    /// The trackers that it announces to.
    pub trackers: Vec<SwarmTracker>,
    /// The peers that it shuns.
    pub banned: Vec<SwarmBan>,
}

/// A peer that a node is connected to.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SwarmPeer {
    /// Its peer id.
    pub peer: String,
    /// The address at the other end.
    pub address: SocketAddr,
    /// How near it is: `host`, `rack`, `zone`, `region` or `elsewhere`.
    pub nearness: String,
    /// Whether the peer has made the connection.
    pub is_inbound: bool,
    /// Bytes of pieces that came of it over this connection.
    pub received_bytes: u64,
    /// Bytes of pieces that it was sent over this connection.
    pub sent_bytes: u64,
}

/// A blob that a node gets.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SwarmDownload {
    /// The registry, as the node calls it.
    pub registry: String,
    /// The repository there.
    pub repository: String,
    /// The blob.
    pub digest: Digest,
    /// How long it is.
    pub size_bytes: u64,
    /// How many pieces that is.
    pub pieces: u32,
    /// How many are here.
    pub pieces_here: u32,
    /// With how many peers it is shared now.
    pub peers: u64,
    /// Bytes from neighbours of the own zone.
    pub near_bytes: u64,
    /// Bytes from other zones.
    pub far_bytes: u64,
    /// Bytes from the registry, or an edge.
    pub origin_bytes: u64,
}

/// A tracker that a node announces to.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SwarmTracker {
    /// Where it is: a host and a port.
    pub address: String,
    /// Its peer id, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// The registry that told of it, whose blobs alone are announced to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
    /// Whether it answered when it was last asked; null where it was not yet.
    pub answers: Option<bool>,
    /// Whether the registry names no address at which it can be reached from here; then `address` is what it names.
    #[serde(default)]
    pub is_unreachable: bool,
}

/// A peer that a node shuns.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SwarmBan {
    /// Its peer id.
    pub peer: String,
    /// For how long yet.
    pub left_seconds: u64,
}

impl EdgeClient {
    /// How things are with the swarm of a node; a cache that has none is a refusal with status 404.
    pub async fn swarm(&self) -> Result<SwarmStatus, ClientError> {
        let response = self.0.send(self.0.request(Method::GET, self.at("swarm"))).await?;
        self.0.read_json(response).await
    }
}

impl RegistryClient {
    /// Who answers there is in the swarm.
    pub async fn swarm_record(&self) -> Result<SwarmRecord, ClientError> {
        let mut url = self.registry().as_url().clone();
        url.set_path(&Route::Swarm.to_string());
        let response = self.send(self.request(Method::GET, url)).await?;
        self.read_json(response).await
    }
}
