use std::time::Duration;

use jiff::Timestamp;
use longshore_oci::Digest;
use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::{ClientError, EdgeClient};

/// How many bytes came from whom.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SuppliedBytes {
    /// From another store of the same machine, as its container runtime's.
    pub machine_bytes: u64,
    /// From neighbours.
    pub neighbour_bytes: u64,
    /// From another cache of ours: an edge of the same site, or an upstream that is one.
    pub edge_bytes: u64,
    /// From the registry.
    pub registry_bytes: u64,
}

/// What came of a blob since nothing of it was there, or since the edge started: an element of `GET /v2/_longshore/edge/transfers`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EdgeTransfer {
    /// The blob.
    pub digest: Digest,
    /// The upstream that it was asked of, by name.
    pub upstream: String,
    /// How long it is.
    pub size_bytes: u64,
    /// How much of it was there before.
    pub here_bytes: u64,
    /// What came; what was sent wrong, or a second time, is among it.
    #[serde(flatten)]
    pub supplied: SuppliedBytes,
    /// When it began to come.
    pub begun_at: Timestamp,
    /// When something came last.
    pub last_at: Timestamp,
    /// Whether it is on its way.
    pub is_coming: bool,
}

/// How it is with a layer, or any blob or manifest, at an edge.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum LayerState {
    /// All of it is there.
    Held,
    /// It is on its way.
    Coming,
    /// Some of it is there, and nobody brings the rest.
    Partial,
    /// Nothing of it is there.
    Gone,
    /// One that this client does not know.
    #[serde(other)]
    Unknown,
}

/// A registry and a repository that a layer is of.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerPlace {
    /// The registry, as the edge calls it.
    pub registry: String,
    /// The repository there; absent where it is not remembered by which it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
}

/// A layer, or any blob or manifest, at an edge.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Layer {
    /// Its digest.
    pub digest: Digest,
    /// How it is with it.
    pub state: LayerState,
    /// How long it is; 0 of one that is gone.
    pub size_bytes: u64,
    /// How much of it is there.
    pub have_bytes: u64,
    /// Where it is of, as far as that is remembered.
    #[serde(default)]
    pub places: Vec<LayerPlace>,
    /// Who has it pinned.
    #[serde(default)]
    pub pinned_by: Vec<String>,
    /// When it was last asked for. That alone is no change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Timestamp>,
    /// What came of it, and from whom; absent where that is not remembered, as of what came before the edge was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supplied: Option<SuppliedBytes>,
}

/// What is at an edge, or what has changed there: `GET /v2/_longshore/edge/layers`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerChanges {
    /// What to ask with the next time.
    pub cursor: String,
    /// Whether all that was known before is to be forgotten: this is the beginning of all that there is.
    pub is_reset: bool,
    /// Whether there is more right now.
    pub has_more: bool,
    /// The layers, each as it is now.
    pub layers: Vec<Layer>,
}

#[derive(Deserialize)]
struct TransfersBody {
    transfers: Vec<EdgeTransfer>,
}

impl EdgeClient {
    /// What has changed at an edge since a cursor, at most a page of it; without one, or with one that is of another process or too old,
    /// all there is. Where nothing has, it is waited for so long, 30 s at most.
    pub async fn layers(&self, since: Option<&str>, wait: Duration) -> Result<LayerChanges, ClientError> {
        let mut url = self.at("layers");
        if let Some(since) = since {
            url.query_pairs_mut().append_pair("since", since).append_pair("wait", &wait.as_secs().to_string());
        }
        let response = self.0.send(self.0.request(Method::GET, url)).await?;
        self.0.read_json(response).await
    }

    /// What came of the last blobs, and comes of those on their way, the newest first.
    pub async fn transfers(&self) -> Result<Vec<EdgeTransfer>, ClientError> {
        let response = self.0.send(self.0.request(Method::GET, self.at("transfers"))).await?;
        self.0.read_json(response).await.map(|TransfersBody { transfers }| transfers)
    }
}

impl SuppliedBytes {
    /// From all together.
    pub fn sum(&self) -> u64 {
        [self.machine_bytes, self.neighbour_bytes, self.edge_bytes, self.registry_bytes].into_iter().fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_an_edge_writes_it() {
        let digest = Digest::of(longshore_oci::Algorithm::Sha256, b"");
        let json = format!(
            r#"{{"cursor":"1.2","isReset":true,"hasMore":false,"layers":[{{"digest":"{digest}","state":"frozen","sizeBytes":3,
            "haveBytes":1,"places":[{{"registry":"up","repository":"a"}}],"supplied":{{"neighbourBytes":1}}}}]}}"#
        );
        let changes: LayerChanges = serde_json::from_str(&json).unwrap();
        let layer = &changes.layers[0];
        assert_eq!((layer.state, layer.supplied.unwrap().sum()), (LayerState::Unknown, 1));
        assert_eq!(layer.places[0].repository.as_deref(), Some("a"));
        let transfer = format!(
            r#"{{"digest":"{digest}","upstream":"up","sizeBytes":3,"hereBytes":1,"registryBytes":2,"isComing":false,
            "begunAt":"2026-06-01T12:00:00Z","lastAt":"2026-06-01T12:00:00Z"}}"#
        );
        assert_eq!(serde_json::from_str::<EdgeTransfer>(&transfer).unwrap().supplied.registry_bytes, 2);
    }
}
