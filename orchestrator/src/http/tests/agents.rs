use std::time::Duration;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use http::Method;
use longshore_fleet::{Instruction, StreamId};
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::fixture::{Answered, Served};
use crate::lead::{AgentStream, Question, Reported};

/// A node as its agent is.
pub(super) struct Node {
    pair: Ed25519KeyPair,
    pub(super) id: String,
}

impl Node {
    pub(super) fn new() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self { pair: Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap(), id: String::new() }
    }

    fn pem(&self) -> String {
        let prefix = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        let bytes = [&prefix[..], self.pair.public_key().as_ref()].concat();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(bytes))
    }

    pub(super) fn token(&self) -> String {
        let now = jiff::Timestamp::now().as_second();
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let claims = json!({"sub": self.id, "aud": "longshore-orchestrator", "iat": now, "exp": now + 60});
        let signed = format!("{}.{}", part(json!({"alg": "EdDSA", "typ": "JWT"})), part(claims));
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(self.pair.sign(signed.as_bytes())))
    }

    pub(super) async fn join(&mut self, served: &Served, token: &str, name: &str) -> Answered {
        let answered = served.post("/agent/v1/join", json!({"token": token, "name": name, "publicKey": self.pem()})).await;
        if answered.status == 200 {
            self.id = answered.text("nodeId");
        }
        answered
    }
}

pub(super) async fn join_token(served: &Served, uses: u32) -> String {
    let issued = served.post("/api/v1/nodes/tokens", json!({"uses": uses, "lifetimeSeconds": 600})).await;
    assert_eq!((issued.status, issued.header("cache-control")), (201, "no-store"), "{issued:?}");
    issued.text("token")
}

#[tokio::test]
async fn the_same_operation_makes_one_token_that_is_not_kept() {
    let served = Served::new().await;
    let make = async |operation: &str, uses: u32| {
        served.post("/api/v1/nodes/tokens", json!({"uses": uses, "operationId": operation})).await
    };
    let (first, again, other) = (make("one", 2).await, make("one", 2).await, make("other", 2).await);
    assert_eq!((first.status, again.status, again.header("cache-control")), (201, 201, "no-store"), "{again:?}");
    assert_eq!(first.body, again.body);
    assert_ne!(first.text("token"), other.text("token"));
    let reused = make("one", 3).await;
    assert_eq!((reused.status, reused.code()), (409, "409_OPERATION_ID_REUSED"), "{reused:?}");
    let tokens = served.get("/api/v1/nodes/tokens").await;
    assert_eq!(tokens.body["items"].as_array().map(Vec::len), Some(2), "{tokens:?}");
    assert_eq!(Node::new().join(&served, &first.text("token"), "n1").await.status, 200);
    served.stopped().await;
}

#[tokio::test]
async fn a_token_lets_so_many_nodes_in_and_a_node_in_again() {
    let served = Served::new().await;
    let token = join_token(&served, 1).await;
    let known = served.get("/api/v1/nodes/tokens").await;
    assert_eq!(known.body["items"][0]["usesLeft"], 1);
    assert!(!known.body.to_string().contains(&token), "only its hash is kept");
    let (mut one, mut other) = (Node::new(), Node::new());
    assert_eq!(one.join(&served, "wrong", "n1").await.status, 401);
    let first = one.join(&served, &token, "n1").await;
    assert_eq!(first.status, 200, "{first:?}");
    let again = one.join(&served, &token, "n1").await;
    assert_eq!((again.status, &again.body), (200, &first.body), "the same node");
    let refused = other.join(&served, &token, "n1").await;
    assert_eq!((refused.status, refused.code()), (409, "409_ALREADY_EXISTS"));
    assert_eq!(other.join(&served, &token, "n2").await.status, 401, "it was used up");
    let wrong = served.post("/agent/v1/join", json!({"token": token, "name": "n3", "publicKey": "no key"})).await;
    assert_eq!(wrong.faults(), ["publicKey"]);
    assert_eq!(other.join(&served, &token, "health").await.faults(), ["name"], "its path would be another's");
    served.stopped().await;
}

#[tokio::test]
async fn a_node_hears_its_instructions_and_reports() {
    let mut served = Served::new().await;
    let mut node = Node::new();
    let token = join_token(&served, 1).await;
    node.join(&served, &token, "n1").await;
    let mut questions = served.questions.take().unwrap();
    let stream = StreamId(Uuid::from_u128(7));
    let opened = served.request(Method::GET, "/agent/v1/instructions").bearer_auth(node.token());
    let opening = tokio::spawn(opened.send());
    let (instructions, receiver) = mpsc::channel(4);
    loop {
        match questions.recv().await.unwrap() {
            Question::Open(id, answer) => {
                assert_eq!(id.to_string(), node.id);
                answer.send(Some(AgentStream { stream, instructions: receiver })).unwrap();
                break;
            }
            other => assert!(matches!(other, Question::Changed), "{other:?}"),
        }
    }
    let mut response = opening.await.unwrap().unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &"application/x-ndjson".parse().unwrap())
    );
    instructions.send(Instruction::Keep { images: Vec::new() }).await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "{\"type\":\"keep\",\"images\":[]}\n");
    let beat = tokio::time::timeout(Duration::from_secs(7), response.chunk()).await.unwrap();
    assert_eq!(beat.unwrap().unwrap(), "\n", "a sign of life");

    let report = served.request(Method::POST, "/agent/v1/reports").bearer_auth(node.token());
    let reporting = tokio::spawn(report.json(&json!({"stream": stream, "number": 1, "isWhole": true})).send());
    let Some(Question::Report(_, report, answer)) = questions.recv().await else { unreachable!("it reports") };
    assert!(report.is_whole && report.stream == stream);
    answer.send(Reported::StreamUnknown).unwrap();
    assert_eq!(reporting.await.unwrap().unwrap().status(), 409);

    drop(response);
    let closed = tokio::time::timeout(Duration::from_secs(10), questions.recv()).await.unwrap();
    assert!(matches!(closed, Some(Question::Closed(_, closed)) if closed == stream), "{closed:?}");
    served.stopped().await;
}

#[tokio::test]
async fn only_a_node_of_the_fleet_is_heard() {
    let served = Served::new().await;
    let mut node = Node::new();
    let token = join_token(&served, 1).await;
    node.join(&served, &token, "n1").await;
    let stranger = Node { id: node.id.clone(), ..Node::new() };
    for token in [stranger.token(), Node { id: format!("node_{}", Uuid::nil().as_simple()), ..Node::new() }.token(), "x".into()] {
        let refused = served.send(served.request(Method::GET, "/agent/v1/instructions").bearer_auth(token)).await;
        assert_eq!((refused.status, refused.code()), (401, "401_UNAUTHORIZED"), "{refused:?}");
    }
    assert_eq!(served.get("/agent/v1/instructions").await.status, 401);
    served.stopped().await;
}

#[tokio::test]
async fn another_replica_says_who_leads_or_that_nobody_does() {
    let served = Served::with(|_| {}, false).await;
    let mut node = Node::new();
    let token = join_token(&served, 1).await;
    assert_eq!(node.join(&served, &token, "n1").await.status, 200, "joining needs no leader");
    let refused = served.send(served.request(Method::GET, "/agent/v1/instructions").bearer_auth(node.token())).await;
    assert_eq!((refused.status, refused.code()), (421, "421_NOT_LEADER"));
    let nodes = served.get("/api/v1/nodes").await;
    assert_eq!((nodes.status, nodes.code(), nodes.header("retry-after")), (503, "503_CONTROL_PLANE_DEGRADED", "1"));
    served.stopped().await;
}
