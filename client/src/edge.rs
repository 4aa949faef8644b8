use jiff::Timestamp;
use longshore_oci::Digest;
use reqwest::{Method, Url};
use serde::{Deserialize, Serialize};

use crate::{ClientError, Pages, RegistryClient};

/// What an edge cache says of itself: `GET /v2/_longshore/edge/status`. Counts begin where the process did.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EdgeStatus {
    /// Which version it is.
    pub version: String,
    /// When it started.
    pub started_at: Timestamp,
    /// The registries that it speaks for, in the order of its configuration.
    pub upstreams: Vec<EdgeUpstream>,
    /// Pieces that are being fetched.
    pub pieces_in_flight: u64,
    /// What it keeps.
    pub disk: EdgeDisk,
    /// Who has something kept.
    pub pins: Vec<EdgePinOwner>,
}

/// A registry that an edge speaks for, and what came of that.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EdgeUpstream {
    /// What the edge calls it.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Whether it is asked where a request names none.
    pub is_default: bool,
    /// The hosts besides that mean it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// What names of its repositories may begin with, besides its own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_prefix: Option<String>,
    /// Bytes of its blobs that clients got.
    pub served_bytes: u64,
    /// Those of them that were at the edge already, or came for another.
    pub hit_bytes: u64,
    /// Bytes of blobs that came from it, and not from neighbours.
    pub fetched_bytes: u64,
    /// Those of them that another edge sent, as far as is known: one of the same site, or the upstream itself where it is one.
    #[serde(default)]
    pub edge_bytes: u64,
    /// Bytes of its blobs that came from neighbours instead.
    #[serde(default)]
    pub neighbour_bytes: u64,
    /// Requests to it for bytes of blobs.
    pub fetches: u64,
    /// Pieces and blobs that it sent wrong.
    pub wrong: u64,
    /// Its addresses that are left alone; none while all is well.
    #[serde(default)]
    pub pauses: Vec<EdgePause>,
}

/// An address of an upstream that an edge leaves alone, since it fails or asked for it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EdgePause {
    /// The address, a URL.
    pub address: String,
    /// Why, for people.
    pub reason: String,
    /// Until when; without it that is over, and the next request finds out whether it is back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What an edge keeps on disk.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EdgeDisk {
    /// What its pieces take.
    pub used_bytes: u64,
    /// What they may take.
    pub quota_bytes: u64,
    /// What is set aside for blobs on their way.
    pub reserved_bytes: u64,
    /// How large what is pinned is, here or not.
    pub pinned_bytes: u64,
    /// How many blobs there are, whole or in part.
    pub blobs: u64,
}

/// What one owner has pinned at an edge.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EdgePinOwner {
    /// Whoever it is.
    pub owner: String,
    /// How many images.
    pub images: u64,
    /// How many manifests and blobs, those of the images among them.
    pub blobs: u64,
    /// How large they are.
    pub size_bytes: u64,
    /// How much of them is there; an edge of before does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present_bytes: Option<u64>,
    /// When the first of them ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// A blob at an edge, whole or in part.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EdgeBlob {
    /// Its digest.
    pub digest: Digest,
    /// How large it is.
    pub size_bytes: u64,
    /// How much of it is there.
    pub present_bytes: u64,
    /// When it was last asked for.
    pub used_at: Timestamp,
    /// Who has it pinned.
    pub pinned_by: Vec<String>,
}

/// A lease on a blob at an edge, which is not evicted while it holds.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EdgePin {
    /// Who wants it.
    pub owner: String,
    /// What for.
    pub reason: String,
    /// The image that it is of, where one was pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The blob, or the manifest.
    pub digest: Digest,
    /// How large it is.
    pub size_bytes: u64,
    /// How much of it is there: a pin keeps what is, and fetches nothing. An edge of before does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present_bytes: Option<u64>,
    /// When it was pinned.
    pub created_at: Timestamp,
    /// When that ends; without it, when somebody ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// What is to be pinned: an image, with all that it is made of, or a blob that is at the edge.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewEdgePin {
    /// Who wants it.
    pub owner: String,
    /// What for.
    #[serde(default)]
    pub reason: String,
    /// The image: `alpine:3.20` of the default upstream, or `docker.io/alpine:3.20`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Of an image that is there for several platforms, these alone: `linux/amd64`. All, where none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    /// The blob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// What was found when an edge read again what it keeps.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EdgeScrub {
    /// Whether it is being done.
    pub is_running: bool,
    /// When it was begun; never, where nobody asked for it since the edge started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// How many pieces were read.
    pub pieces: u64,
    /// How many bytes they had.
    pub read_bytes: u64,
    /// How many of them were damaged, and are fetched again where somebody asks for them.
    pub damaged: u64,
}

/// An edge cache, as whoever looks after it sees it.
#[derive(Clone, Debug)]
pub struct EdgeClient(pub(crate) RegistryClient);

#[derive(Deserialize)]
struct PinsBody {
    pins: Vec<EdgePin>,
}

impl EdgeClient {
    /// The edge where this client's registry is; its credentials are the edge's token, where it needs one.
    pub fn new(client: RegistryClient) -> Self {
        Self(client)
    }

    /// Where the edge is.
    pub fn url(&self) -> String {
        self.0.registry().to_string()
    }

    /// What it says of itself.
    pub async fn status(&self) -> Result<EdgeStatus, ClientError> {
        let response = self.0.send(self.0.request(Method::GET, self.at("status"))).await?;
        self.0.read_json(response).await
    }

    /// What it keeps by digest, `page_size` at a time where it allows as many.
    pub fn blobs(&self, page_size: u32) -> Pages<'_, EdgeBlob> {
        let mut url = self.at("blobs");
        url.query_pairs_mut().append_pair("n", &page_size.to_string());
        Pages::new(&self.0, url)
    }

    /// Has it throw away what it has of a blob; one that it has nothing of is a refusal with status 404, and one that is pinned with 409.
    pub async fn evict(&self, digest: &Digest) -> Result<(), ClientError> {
        let url = self.at(&format!("blobs/{digest}"));
        self.0.send(self.0.request(Method::DELETE, url)).await.map(drop)
    }

    /// Every pin.
    pub async fn pins(&self) -> Result<Vec<EdgePin>, ClientError> {
        let response = self.0.send(self.0.request(Method::GET, self.at("pins"))).await?;
        self.0.read_json(response).await.map(|PinsBody { pins }| pins)
    }

    /// Pins something, or has it pinned for longer; nothing is fetched. Where all that is pinned would be more than there
    /// may be, nothing is, and the refusal has status 409.
    pub async fn pin(&self, pin: &NewEdgePin) -> Result<Vec<EdgePin>, ClientError> {
        let response = self.0.send(self.0.request(Method::POST, self.at("pins")).json(pin)).await?;
        self.0.read_json(response).await.map(|PinsBody { pins }| pins)
    }

    /// Ends an owner's pins of an image, or of a blob; the pins that there were.
    pub async fn unpin(&self, owner: &str, what: &Pinned) -> Result<Vec<EdgePin>, ClientError> {
        let mut url = self.at("pins");
        match what {
            Pinned::Image(image) => url.query_pairs_mut().append_pair("owner", owner).append_pair("image", image),
            Pinned::Blob(digest) => url.query_pairs_mut().append_pair("owner", owner).append_pair("digest", digest.as_str()),
        };
        let response = self.0.send(self.0.request(Method::DELETE, url)).await?;
        self.0.read_json(response).await.map(|PinsBody { pins }| pins)
    }

    /// Has it read again all that it keeps, unless it does so already.
    pub async fn start_scrub(&self) -> Result<EdgeScrub, ClientError> {
        let response = self.0.send(self.0.request(Method::POST, self.at("scrub"))).await?;
        self.0.read_json(response).await
    }

    /// How far that is.
    pub async fn scrub(&self) -> Result<EdgeScrub, ClientError> {
        let response = self.0.send(self.0.request(Method::GET, self.at("scrub"))).await?;
        self.0.read_json(response).await
    }

    pub(crate) fn at(&self, path: &str) -> Url {
        let mut url = self.0.registry().as_url().clone();
        url.set_path(&format!("/v2/_longshore/edge/{path}"));
        url
    }
}

/// What is pinned.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Pinned {
    /// An image, as it was named.
    Image(String),
    /// A blob.
    Blob(Digest),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_of_before_is_understood() {
        let owner = r#"{"owner":"ops","images":1,"blobs":2,"sizeBytes":3}"#;
        assert_eq!(serde_json::from_str::<EdgePinOwner>(owner).unwrap().present_bytes, None);
        let digest = Digest::of(longshore_oci::Algorithm::Sha256, b"");
        let times = r#""createdAt":"2026-06-01T12:00:00Z""#;
        let pin = format!(r#"{{"owner":"ops","reason":"","digest":"{digest}","sizeBytes":3,{times}}}"#);
        assert_eq!(serde_json::from_str::<EdgePin>(&pin).unwrap().present_bytes, None);
    }
}
