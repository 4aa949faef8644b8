mod events;

use jiff::Timestamp;
use longshore_oci::Digest;
use reqwest::{Method, Url, header::ACCEPT};
use serde::{Deserialize, Serialize};

pub use events::OperationEvents;

use crate::{ClientError, RegistryClient, SuppliedBytes};

/// Where a prewarming is asked for.
const PREWARM: &str = "/v2/_longshore/prewarm";
/// Where operations are.
const OPERATIONS: &str = "/v2/_longshore/operations";

/// What an edge is to fetch before it is asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewPrewarm {
    /// The images, as they are written.
    pub images: Vec<String>,
    /// The platforms: `linux/amd64`; none for all that an image has.
    pub platforms: Vec<String>,
    /// How long they are pinned: `7d`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
    /// When it must be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
}

/// Where an operation, or an image of one, is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum OperationState {
    /// An image: others come first.
    Waiting,
    /// An image: it is being found out what it is made of.
    Resolving,
    /// It is on its way.
    Running,
    /// All of it is there.
    Done,
    /// Some of it is not.
    Failed,
    /// Somebody ended it.
    Cancelled,
    /// One that this client does not know.
    #[serde(other)]
    Unknown,
}

/// Long work of an edge, and how far it is. Its bytes and pieces count once what several images share.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// `op_` and a UUID.
    pub id: String,
    /// What is done: `prewarm`.
    pub kind: String,
    /// `Running`, or how it ended.
    pub state: OperationState,
    /// Image by image.
    pub images: Vec<OperationImage>,
    /// The platforms that they are wanted for; none for all.
    #[serde(default)]
    pub platforms: Vec<String>,
    /// How long they are pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
    /// When it must be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Bytes that are there.
    pub bytes_done: u64,
    /// Bytes of all, as far as is known.
    pub bytes_total: u64,
    /// Pieces that are there.
    pub pieces_done: u64,
    /// Pieces of all, as far as is known.
    pub pieces_total: u64,
    /// Bytes that were there when it was known that they are wanted.
    #[serde(default)]
    pub here_bytes: u64,
    /// What came since, and from whom.
    #[serde(flatten)]
    pub supplied: SuppliedBytes,
    /// Configurations and layers one by one, the first 256 of them.
    #[serde(default)]
    pub blobs: Vec<OperationBlob>,
    /// Why it ended before all images had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// An image of an operation.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationImage {
    /// As it was asked for.
    pub image: String,
    /// Where it is.
    pub state: OperationState,
    /// What its name leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Bytes that are there.
    pub bytes_done: u64,
    /// Bytes of all, as far as is known.
    pub bytes_total: u64,
    /// Pieces that are there.
    pub pieces_done: u64,
    /// Pieces of all, as far as is known.
    pub pieces_total: u64,
    /// Why it failed, or what it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A configuration or layer of an operation.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationBlob {
    /// Which.
    pub digest: Digest,
    /// How long it is.
    pub size_bytes: u64,
    /// How much of it is there.
    pub bytes_done: u64,
    /// How much of it was there when it was known that it is wanted.
    pub here_bytes: u64,
    /// What came since, and from whom.
    #[serde(flatten)]
    pub supplied: SuppliedBytes,
}

#[derive(Deserialize)]
struct OperationsBody {
    operations: Vec<Operation>,
}

impl Operation {
    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.ended_at.is_some()
    }
}

impl RegistryClient {
    /// Has an edge fetch images; where it does just that, it is that operation.
    pub async fn prewarm(&self, wish: &NewPrewarm) -> Result<Operation, ClientError> {
        let response = self.send(self.request(Method::POST, self.at(PREWARM)).json(wish)).await?;
        self.read_json(response).await
    }

    /// One operation of an edge.
    pub async fn operation(&self, id: &str) -> Result<Operation, ClientError> {
        let response = self.send(self.request(Method::GET, self.operation_url(id))).await?;
        self.read_json(response).await
    }

    /// The operations of an edge, the newest first: those that run and the last that did.
    pub async fn operations(&self) -> Result<Vec<Operation>, ClientError> {
        let response = self.send(self.request(Method::GET, self.at(OPERATIONS))).await?;
        let OperationsBody { operations } = self.read_json(response).await?;
        Ok(operations)
    }

    /// Has an operation end; how it was when it was told to.
    pub async fn cancel_operation(&self, id: &str) -> Result<Operation, ClientError> {
        let response = self.send(self.request(Method::DELETE, self.operation_url(id))).await?;
        self.read_json(response).await
    }

    /// Follows an operation until it is over.
    pub async fn follow_operation(&self, id: &str) -> Result<OperationEvents<'_>, ClientError> {
        let request = self.request(Method::GET, self.operation_url(id)).header(ACCEPT, "text/event-stream");
        Ok(OperationEvents::new(self, self.send(request).await?))
    }

    fn operation_url(&self, id: &str) -> Url {
        let mut url = self.at(OPERATIONS);
        url.path_segments_mut().expect("the URL has a host").push(id);
        url
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.registry.as_url().clone();
        url.set_path(path);
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientOptions, RegistryUrl};

    #[test]
    fn an_id_is_one_part_of_a_path() {
        let registry = RegistryUrl::parse("http://127.0.0.1:5100", false).expect("a URL");
        let client = RegistryClient::new(ClientOptions::new(registry)).expect("a client");
        assert_eq!(client.operation_url("op_1").as_str(), "http://127.0.0.1:5100/v2/_longshore/operations/op_1");
        assert_eq!(client.operation_url("../keys?").as_str(), "http://127.0.0.1:5100/v2/_longshore/operations/..%2Fkeys%3F");
    }

    #[test]
    fn is_read_as_an_edge_writes_it() {
        let json = r#"{"id":"op_1","kind":"prewarm","state":"running","images":[{"image":"a","state":"paused","bytesDone":1,
            "bytesTotal":2,"piecesDone":0,"piecesTotal":1}],"platforms":["linux/amd64"],"createdAt":"2026-06-01T12:00:00Z",
            "bytesDone":1,"bytesTotal":2,"piecesDone":0,"piecesTotal":1}"#;
        let operation: Operation = serde_json::from_str(json).expect("an operation");
        assert_eq!((operation.state, operation.images[0].state), (OperationState::Running, OperationState::Unknown));
        assert!(!operation.is_over());
        let wish = NewPrewarm { images: vec!["a".to_owned()], pin: Some("7d".to_owned()), ..NewPrewarm::default() };
        let written = serde_json::to_string(&wish).expect("JSON");
        assert_eq!(written, r#"{"images":["a"],"platforms":[],"pin":"7d"}"#);
    }
}
