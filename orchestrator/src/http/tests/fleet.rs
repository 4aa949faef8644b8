use std::time::Duration;

use http::Method;
use longshore_fleet::{NodeId, PodId, PodState, WorkloadId};
use serde_json::json;
use uuid::Uuid;

use super::{
    agents::{Node, join_token},
    fixture::Served,
};
use crate::{
    lead::{Evicted, Question},
    state::{Batch, LeaseWish, PodRow, Write},
};

/// A pod of a deployment, on a node.
async fn bind(served: &Served, path: &str, node: NodeId) -> PodId {
    let workload: WorkloadId = path.rsplit('/').next().unwrap().parse().unwrap();
    let id = PodId(Uuid::from_u128(7));
    let pod = PodRow {
        id,
        name: "hello-7".into(),
        namespace: "default".parse().unwrap(),
        workload,
        revision: 1,
        node: Some(node),
        state: PodState::default(),
        missing_bytes: Some(0),
        created: 1,
        bound: Some(2),
        end_within_seconds: None,
    };
    let lease = LeaseWish { holder: Uuid::from_u128(1), address: String::new(), length_ms: 60_000 };
    let term = served.state.lead(lease).await.unwrap().term;
    let batch = Batch { number: 1, writes: vec![Write::PutPod(Box::new(pod))], events: Vec::new(), now: 3 };
    served.state.commit(term, &batch).await.unwrap();
    id
}

/// Writes that a pod is to end, as the leader does.
async fn end(served: &Served, id: PodId) {
    let row = served.state.pod(id).await.unwrap().unwrap();
    let lease = LeaseWish { holder: Uuid::from_u128(1), address: String::new(), length_ms: 60_000 };
    let term = served.state.lead(lease).await.unwrap().term;
    let pod = PodRow { end_within_seconds: Some(1), ..row };
    let batch = Batch { number: 2, writes: vec![Write::PutPod(Box::new(pod))], events: Vec::new(), now: 4 };
    served.state.commit(term, &batch).await.unwrap();
}

async fn join(served: &Served, name: &str) -> NodeId {
    let token = served.post("/api/v1/nodes/tokens", json!({})).await.text("token");
    let pem =
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    let joined = served.post("/agent/v1/join", json!({"token": token, "name": name, "publicKey": pem})).await;
    joined.text("nodeId").parse().unwrap()
}

#[tokio::test]
async fn a_node_is_cordoned_drained_and_removed() {
    let mut served = Served::new().await;
    let node = join(&served, "n1").await;
    let path = served.deploy("hello").await;
    bind(&served, &path, node).await;
    served.plans(crate::lead::PlanOutcome::default());
    let cordoned = served.post("/api/v1/nodes/n1/cordon", json!({})).await;
    assert_eq!(
        (cordoned.status, &cordoned.body["cordoned"], &cordoned.body["draining"]),
        (200, &json!(true), &json!(false)),
        "{cordoned:?}"
    );
    let drained = served.post(&format!("/api/v1/nodes/{node}/drain"), json!({"operationId": "d"})).await;
    assert_eq!(drained.body["draining"], true);
    let row = served.state.node(node).await.unwrap().unwrap();
    assert_eq!((row.is_cordoned, row.is_draining, row.revision), (true, true, 3));
    assert_eq!(served.post("/api/v1/nodes/n1/uncordon", json!({})).await.body["cordoned"], false);
    assert_eq!(served.post("/api/v1/nodes/n2/cordon", json!({})).await.status, 404);
    let used = served.send(served.request(Method::DELETE, "/api/v1/nodes/n1")).await;
    assert_eq!((used.status, used.code()), (409, "409_IN_USE"));
    let remove = || served.request(Method::DELETE, "/api/v1/nodes/n1?force=true").header("x-operation-id", "r");
    assert_eq!((served.send(remove()).await.status, served.send(remove()).await.status), (204, 204), "a retry is the same act");
    assert_eq!(served.send(served.request(Method::DELETE, "/api/v1/nodes/n1")).await.status, 404);
    assert_eq!(served.state.node(node).await.unwrap(), None);
    served.stopped().await;
}

#[tokio::test]
async fn pods_are_listed_with_what_they_are_of_and_evicted_within_budgets() {
    let mut served = Served::new().await;
    let node = join(&served, "n1").await;
    let path = served.deploy("hello").await;
    let pod = bind(&served, &path, node).await;
    let listed = served.get("/api/v1/pods?node=n1&phase=Pending&namespace=default").await;
    let item = &listed.body["items"][0];
    assert_eq!(
        (&item["owner"]["name"], &item["node"], &item["phase"]),
        (&json!("hello"), &json!("n1"), &json!("Pending")),
        "{listed:?}"
    );
    assert_eq!(served.get("/api/v1/pods?phase=Running").await.body["items"], json!([]));
    assert_eq!(served.get("/api/v1/pods?phase=Walking").await.faults(), ["?phase"]);
    let mut questions = served.questions.take().unwrap();
    tokio::spawn(async move {
        let mut is_first = true;
        while let Some(question) = questions.recv().await {
            if let Question::Evict(_, _, answer) = question {
                let kept = Evicted::Kept("the disruption budget of hello leaves none to give".into());
                answer.send(if std::mem::take(&mut is_first) { kept } else { Evicted::Ending }).unwrap();
            }
        }
    });
    let evict =
        || served.send(served.request(Method::DELETE, &format!("/api/v1/pods/{pod}")).header("x-operation-id", "evict-7"));
    let kept = evict().await;
    assert_eq!((kept.status, kept.code(), kept.header("retry-after")), (429, "429_TOO_MANY_REQUESTS", "1"));
    let mut ending = Box::pin(evict());
    let early = tokio::time::timeout(Duration::from_millis(300), &mut ending).await;
    assert!(early.is_err(), "it is decided and not written: {early:?}");
    end(&served, pod).await;
    let ends = ending.await;
    assert_eq!((ends.status, &ends.body["ending"]), (202, &json!(true)));
    assert_eq!(evict().await.body, ends.body, "a retry is the same act");
    let lines = served.get("/api/v1/audit?limit=1").await;
    assert_eq!(
        (&lines.body["items"][0]["outcome"], lines.body["items"][0]["subject"].as_str()),
        (&json!("202"), Some("pod default/hello-7"))
    );
    served.stopped().await;
}

#[tokio::test]
async fn an_operation_prewarms_what_the_registry_has_and_can_be_stopped() {
    let served = Served::new().await;
    let digest = served.registry.push("1", "one");
    let wrong =
        served.post("/api/v1/operations/prewarm", json!({"images": [], "workload": "a", "zone": "z", "pinSeconds": 0})).await;
    assert_eq!(wrong.faults(), ["images", "workload", "pinSeconds"]);
    let missing = served.post("/api/v1/operations/prewarm", json!({"images": [served.image("missing")]})).await;
    assert_eq!(missing.code(), "422_IMAGE_NOT_FOUND");
    let begun =
        served.post("/api/v1/operations/prewarm", json!({"images": [served.image("1")], "zone": "a", "operationId": "p"})).await;
    assert_eq!((begun.status, &begun.body["state"]), (202, &json!("running")), "{begun:?}");
    assert_eq!(begun.body["request"]["images"], json!([format!("{}/hello@{digest}", served.host)]));
    let path = begun.header("location").to_owned();
    assert_eq!(served.get(&path).await.body, begun.body);
    let cancelled = served.send(served.request(Method::POST, &format!("{path}/cancel"))).await;
    assert_eq!((cancelled.status, &cancelled.body["state"]), (200, &json!("cancelled")));
    assert_eq!(served.get("/api/v1/operations?running").await.body["items"], json!([]));
    assert_eq!(served.get("/api/v1/operations").await.body["items"][0]["state"], "cancelled");
    served.stopped().await;
}

#[tokio::test]
async fn what_only_the_leader_knows_is_asked_of_it_once() {
    let mut leading = Served::new().await;
    let mut questions = leading.questions.take().unwrap();
    tokio::spawn(async move {
        while let Some(question) = questions.recv().await {
            if let Question::Nodes(_, answer) = question {
                answer.send(Vec::new()).unwrap();
            }
        }
    });
    let following = Served::following(&leading.url).await;
    let nodes = following.get("/api/v1/nodes").await;
    assert_eq!((nodes.status, &nodes.body["items"]), (200, &json!([])), "{nodes:?}");
    // Two that each take the other for the leader.
    let lost = Served::following(&following.url).await;
    let degraded = lost.get("/api/v1/nodes").await;
    assert_eq!((degraded.status, degraded.code()), (503, "503_CONTROL_PLANE_DEGRADED"));
    leading.stopped().await;
    assert_eq!(following.get("/api/v1/nodes").await.status, 503);
}

#[tokio::test]
async fn logs_come_from_the_node_as_they_are_written() {
    let served = Served::new().await;
    let mut node = Node::new();
    let token = join_token(&served, 1).await;
    node.join(&served, &token, "n1").await;
    let path = served.deploy("hello").await;
    let pod = bind(&served, &path, node.id.parse().unwrap()).await;
    let mut served = served;
    let mut questions = served.questions.take().unwrap();
    let reading = tokio::spawn(served.request(Method::GET, &format!("/api/v1/pods/{pod}/logs?follow&tail=5")).send());
    let wanted = loop {
        match tokio::time::timeout(Duration::from_secs(5), questions.recv()).await.unwrap().unwrap() {
            Question::Logs(wanted, answer) => {
                answer.send(false).unwrap();
                break wanted;
            }
            other => assert!(matches!(other, Question::Changed), "{other:?}"),
        }
    };
    assert!(wanted.follow && wanted.tail == Some(5) && wanted.pod == pod);
    assert_eq!(reading.await.unwrap().unwrap().status(), 503, "its node does not listen");

    let reading = tokio::spawn(served.request(Method::GET, &format!("/api/v1/pods/{pod}/logs")).send());
    let Some(Question::Logs(wanted, answer)) = questions.recv().await else { unreachable!("it is asked") };
    answer.send(true).unwrap();
    let (pieces, body) = tokio::sync::mpsc::channel::<Result<&'static str, std::io::Error>>(4);
    let body = futures_util::stream::unfold(body, |mut body| async move { Some((body.recv().await?, body)) });
    let sent = served.request(Method::POST, &format!("/agent/v1/logs/{}", wanted.request)).bearer_auth(node.token());
    let sending = tokio::spawn(sent.body(reqwest::Body::wrap_stream(body)).send());
    let mut response = reading.await.unwrap().unwrap();
    assert_eq!(response.status(), 200, "it begins before anything was written");
    for line in ["one\n", "two\n"] {
        pieces.send(Ok(line)).await.unwrap();
        assert_eq!(response.chunk().await.unwrap().unwrap(), line);
    }
    drop(pieces);
    assert_eq!(response.chunk().await.unwrap(), None, "it ends as the node's own answer does");
    assert_eq!(sending.await.unwrap().unwrap().status(), 204);
    let late = served.request(Method::POST, &format!("/agent/v1/logs/{}", wanted.request)).bearer_auth(node.token());
    assert_eq!(served.send(late.body("x")).await.status, 404, "nobody waits for it");
    served.stopped().await;
}

/// Somebody who reads a pod's log while its node sends it.
struct Reading {
    response: reqwest::Response,
    pieces: tokio::sync::mpsc::Sender<Result<&'static str, std::io::Error>>,
    sending: tokio::task::JoinHandle<Result<reqwest::Response, reqwest::Error>>,
}

/// Asks for a pod's log, as the node hears of it.
async fn ask_for_logs(
    served: &mut Served,
    pod: longshore_fleet::PodId,
) -> (tokio::task::JoinHandle<Result<reqwest::Response, reqwest::Error>>, longshore_fleet::LogsWanted) {
    let reading = tokio::spawn(served.request(Method::GET, &format!("/api/v1/pods/{pod}/logs?follow")).send());
    let questions = served.questions.as_mut().unwrap();
    loop {
        match tokio::time::timeout(Duration::from_secs(5), questions.recv()).await.unwrap().unwrap() {
            Question::Logs(wanted, answer) => {
                answer.send(true).unwrap();
                return (reading, wanted);
            }
            other => assert!(matches!(other, Question::Changed), "{other:?}"),
        }
    }
}

impl Reading {
    async fn begin(served: &mut Served, node: &Node, pod: longshore_fleet::PodId) -> Self {
        let (reading, wanted) = ask_for_logs(served, pod).await;
        let (pieces, body) = tokio::sync::mpsc::channel(4);
        let body = futures_util::stream::unfold(body, |mut body| async move { Some((body.recv().await?, body)) });
        let sent = served.request(Method::POST, &format!("/agent/v1/logs/{}", wanted.request)).bearer_auth(node.token());
        let sending = tokio::spawn(sent.body(reqwest::Body::wrap_stream(body)).send());
        let mut response = reading.await.unwrap().unwrap();
        pieces.send(Ok("one\n")).await.unwrap();
        assert_eq!(response.chunk().await.unwrap().unwrap(), "one\n");
        Self { response, pieces, sending }
    }
}

#[tokio::test]
async fn logs_that_break_off_have_no_end() {
    let mut served = Served::new().await;
    let mut node = Node::new();
    let token = join_token(&served, 1).await;
    node.join(&served, &token, "n1").await;
    let path = served.deploy("hello").await;
    let pod = bind(&served, &path, node.id.parse().unwrap()).await;
    let mut broken = Reading::begin(&mut served, &node, pod).await;
    broken.pieces.send(Err(std::io::Error::other("the disk is gone"))).await.unwrap();
    assert!(broken.response.chunk().await.is_err(), "the node sends no more");
    let mut aborted = Reading::begin(&mut served, &node, pod).await;
    aborted.sending.abort();
    assert!(aborted.response.chunk().await.is_err(), "the node is gone");
    let mut drained = Reading::begin(&mut served, &node, pod).await;
    served.begin_to_stop();
    assert!(drained.response.chunk().await.is_err(), "the replica stops");
    served.stopped().await;
}

#[tokio::test]
async fn a_node_s_refusal_to_send_logs_is_a_refusal() {
    let mut served = Served::new().await;
    let mut node = Node::new();
    let token = join_token(&served, 1).await;
    node.join(&served, &token, "n1").await;
    let path = served.deploy("hello").await;
    let pod = bind(&served, &path, node.id.parse().unwrap()).await;
    for (reason, status, code) in [
        ("notThere", 404, "404_NOT_FOUND"),
        ("busy", 429, "429_TOO_MANY_REQUESTS"),
        ("unreadable", 503, "503_CONTROL_PLANE_DEGRADED"),
    ] {
        let (reading, wanted) = ask_for_logs(&mut served, pod).await;
        let told = served.request(Method::POST, &format!("/agent/v1/logs/{}", wanted.request)).bearer_auth(node.token());
        assert_eq!(served.send(told.json(&json!({"reason": reason, "message": "it is so"}))).await.status, 204);
        let response = reading.await.unwrap().unwrap();
        assert_eq!(response.status(), status);
        let body: serde_json::Value = response.json().await.unwrap();
        assert_eq!(body["code"], code);
        assert!(body["detail"].as_str().unwrap().contains("it is so"), "{body}");
    }
    served.stopped().await;
}

#[tokio::test]
async fn nodes_are_listed_as_callers_have_asked_although_the_leader_has_not_looked_yet() {
    let mut served = Served::new().await;
    let node = join(&served, "n1").await;
    let mut questions = served.questions.take().unwrap();
    let stale = crate::view::node(&served.state.node(node).await.unwrap().unwrap());
    tokio::spawn(async move {
        while let Some(question) = questions.recv().await {
            if let Question::Nodes(ids, answer) = question {
                let known = ids.into_iter().map(|id| longshore_fleet::api::NodeView { node_id: id, layers: 7, ..stale.clone() });
                answer.send(known.collect()).unwrap();
            }
        }
    });
    let cordoned = served.post("/api/v1/nodes/n1/cordon", json!({})).await;
    assert_eq!((cordoned.header("etag"), &cordoned.body["revision"]), ("\"2\"", &json!(2)), "{cordoned:?}");
    let listed = served.get("/api/v1/nodes").await;
    let seen = &listed.body["items"][0];
    assert_eq!((&seen["cordoned"], &seen["revision"], &seen["layers"]), (&json!(true), &json!(2), &json!(7)), "{listed:?}");
    assert!(listed.body["position"].as_u64() >= Some(served.state.position().await.unwrap()));
    let one = served.get("/api/v1/nodes/n1").await;
    assert_eq!((one.header("etag"), &one.body["cordoned"]), ("\"2\"", &json!(true)));
    let remove = |seen: &str| served.send(served.request(Method::DELETE, "/api/v1/nodes/n1").header("if-match", seen));
    assert_eq!(remove("\"1\"").await.code(), "409_WORKLOAD_VERSION_CONFLICT", "it was cordoned since");
    assert_eq!(remove("\"2\"").await.status, 204);
    served.stopped().await;
}

#[tokio::test]
async fn a_leader_that_takes_its_time_may_have_done_it() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let holding = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((connection, _)) = silent.accept().await {
            held.push(connection);
        }
    });
    let change = |config: &mut crate::config::Config| {
        config.leader.timeout = longshore_service::config::Duration::milliseconds(200);
    };
    let following = Served::following_with(change, &address).await;
    let late = following.get("/api/v1/nodes").await;
    assert_eq!((late.status, late.code()), (503, "503_CONTROL_PLANE_DEGRADED"));
    assert!(late.text("detail").contains("whether it was done, a GET tells"), "{late:?}");
    holding.abort();
    let _ = holding.await;
    let gone = following.get("/api/v1/nodes").await;
    assert!(gone.text("detail").contains("a GET tells") || gone.text("detail").contains("no replica leads"), "{gone:?}");
}
