//! What an orchestrator takes care of, on real containerds: images that a policy refuses or that are broken, nodes that are emptied, and
//! images that are fetched before they are needed.

use std::{collections::BTreeSet, time::Duration};

use http::Method;
use longshore_tests::{Answer, Client, Image, Layout, Orchestrator, Output, Signer, run_ok, until};
use serde_json::{Value, json};

use crate::{
    node_cri::{HOST, pushed},
    orchestrator::{Fleet, LIMIT},
};

longshore_tests::once!(
    an_image_that_a_policy_refuses_is_never_placed,
    a_broken_image_is_said_to_be_and_backed_off_from,
    a_node_is_emptied_within_budgets_and_filled_again,
    images_are_fetched_where_and_before_they_are_needed,
);

const DEPLOYMENTS: &str = "/api/v1/workloads/deployments";

async fn post(orchestrator: &Orchestrator, path: &str, body: &Value) -> Answer {
    Client::new(orchestrator.url()).send_json(Method::POST, path, body).await
}

/// Has the registry want signatures of a signer for what is in a repository.
async fn guard(fleet: &Fleet, policy: &str, repository: &str, signer: &Signer) {
    let key = signer.public_key();
    let document = format!(
        "[[key]]\nname = 'release.pub'\ntext = '''\n{key}'''\n[[policy]]\nname = '{policy}'\nrepositories = ['{repository}']\n\
         [[policy.pull.require]]\nsignature = {{ key = 'release.pub' }}\n"
    );
    let client = fleet.registry.client();
    let request = client.request(Method::PUT, &format!("/v2/_longshore/policies/{policy}"));
    let answer = Answer::to(request.header("content-type", "application/toml").body(document)).await;
    assert!(answer.status.is_success(), "{answer:?}");
}

async fn an_image_that_a_policy_refuses_is_never_placed() {
    let mut fleet = Fleet::of(1).await;
    let signer = Signer::new();
    let blobs = pushed(&fleet.registry, &Layout::workload(5, &[50_000]).await, "team/guarded").await;
    guard(&fleet, "guarded", "team/guarded", &signer).await;
    let image = format!("{HOST}/team/guarded:v1");
    let refused = fleet.orchestrator.try_command(&["run", &image, "--name", "guarded", "--no-wait", "--", "write", "1"]).await;
    assert_eq!(refused.code, Some(3), "{refused}");
    for words in ["may not run", "needs a signature by key release.pub", "422_IMAGE_NOT_ALLOWED"] {
        assert!(refused.stderr.contains(words), "{words}: {refused}");
    }
    let document = json!({"name": "guarded", "image": image, "args": ["write", "1"]});
    let refused = post(&fleet.orchestrator, DEPLOYMENTS, &document).await.expect(422).json();
    assert_eq!(refused["code"], "422_IMAGE_NOT_ALLOWED", "{refused}");
    assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains("needs a signature")), "{refused}");
    let all = fleet.orchestrator.get(DEPLOYMENTS).await;
    assert_eq!((&all["items"], fleet.orchestrator.pods().await.len()), (&json!([]), 0), "nothing was half done");

    // Once it is signed, it runs.
    let digest = blobs.last().expect("the manifest comes last");
    let tag = format!("{}.sig", digest.as_str().replace(':', "-"));
    fleet.registry.client().push_image("team/guarded", &tag, &signer.simple(digest)).await;
    post(&fleet.orchestrator, DEPLOYMENTS, &document).await.expect(201);
    fleet.settled("what is signed to run", 1, |pod| pod["phase"] == "Running").await;

    // One that was let run, and is not any more: what runs stays, and nothing is placed anew. A leader that has just begun asks afresh, as
    // any does once the registry's word has run out.
    let other = format!("{HOST}/team/other:v1");
    fleet.orchestrator.command(&["run", &other, "--name", "other", "--wait", "--", "write", "1"]).await;
    guard(&fleet, "late", "team/other", &signer).await;
    fleet.orchestrator.crash().await;
    fleet.orchestrator.command(&["scale", "deployment", "other", "--replicas", "2"]).await;
    let told = until("it to be said that it may not run", LIMIT, async || {
        let events = fleet.orchestrator.get("/api/v1/events?limit=1000").await;
        let events = events["items"].as_array().cloned().unwrap_or_default();
        events.into_iter().find(|event| event["reason"] == "ImageNotAllowed")
    })
    .await;
    assert!(told["message"].as_str().is_some_and(|message| message.contains("needs a signature")), "{told}");
    let pods = fleet.orchestrator.pods().await;
    let of_other: Vec<&Value> =
        pods.iter().filter(|pod| pod["image"].as_str().is_some_and(|image| image.contains("/other@"))).collect();
    let bound = of_other.iter().filter(|pod| pod["node"].is_string()).count();
    assert_eq!((of_other.len(), bound), (2, 1), "one runs on, and the other waits: {of_other:?}");
    assert!(of_other.iter().any(|pod| pod["ready"] == true), "{of_other:?}");
}

async fn a_broken_image_is_said_to_be_and_backed_off_from() {
    let fleet = Fleet::of(1).await;
    let orchestrator = &fleet.orchestrator;
    let none = post(orchestrator, DEPLOYMENTS, &json!({"name": "none", "image": format!("{HOST}/team/none:v1")})).await;
    assert_eq!((none.status.as_u16(), &none.json()["code"]), (422, &json!("422_IMAGE_NOT_FOUND")), "{none:?}");
    // It says that it is an image for this machine, and its layer is no archive.
    fleet.registry.client().push_image("team/broken", "v1", &Image::random(950, &[10_000])).await;
    let image = format!("{HOST}/team/broken:v1");
    orchestrator.command(&["run", &image, "--name", "broken", "--no-wait", "--", "write", "1"]).await;
    let pod = until("it to be backed off from", LIMIT, async || {
        let pods = orchestrator.pods().await;
        pods.into_iter().find(|pod| pod["reason"] == "ImagePullBackOff")
    })
    .await;
    assert!(pod["message"].as_str().is_some_and(|message| message.contains("team/broken")), "it says which: {pod}");
    assert_eq!((&pod["ready"], &pod["restarts"]), (&json!(false), &json!(0)), "{pod}");
    let shown = orchestrator.command(&["get", "pods"]).await;
    assert!(shown.contains("ImagePullBackOff"), "{shown}");
    orchestrator.command(&["delete", "deployment", "broken", "--wait"]).await;
    fleet.nothing_is_left().await;
}

async fn a_node_is_emptied_within_budgets_and_filled_again() {
    let fleet = Fleet::of(2).await;
    let orchestrator = &fleet.orchestrator;
    let document = json!({
        "name": "hello", "image": format!("{HOST}/team/workload:v1"), "args": ["write", "5"], "replicas": 2,
        "disruption": {"minAvailable": 2},
    });
    post(orchestrator, DEPLOYMENTS, &document).await.expect(201);
    let pods = fleet.settled("two pods to run", 2, |_| true).await;
    let nodes: BTreeSet<&str> = pods.iter().filter_map(|pod| pod["node"].as_str()).collect();
    assert_eq!(nodes, BTreeSet::from(["n1", "n2"]), "{pods:?}");
    let held = pods.iter().find(|pod| pod["node"] == "n1").and_then(|pod| pod["name"].as_str()).expect("a pod has a name");

    // Two must be ready, and two are: the drain waits, and says for whom.
    let waits = orchestrator.try_command(&["node", "drain", "n1", "--timeout", "3s"]).await;
    assert_eq!(waits.code, Some(1), "{waits}");
    for words in [held, "disruption budget", "n1"] {
        assert!(waits.stderr.contains(words), "{words}: {waits}");
    }
    fleet.settled("both to be there still", 2, |_| true).await;

    // With a third elsewhere it goes on, and never are fewer ready than must be.
    orchestrator.command(&["scale", "deployment", "hello", "--replicas", "3"]).await;
    let drained = async { orchestrator.try_command(&["node", "drain", "n1", "--timeout", "60s"]).await };
    let drained: Output = never_below(orchestrator, 2, drained).await;
    assert!(drained.code == Some(0) && drained.stdout.contains("n1 is empty"), "{drained}");
    fleet.settled("all three to run on the other", 3, |pod| pod["node"] == "n2").await;
    let node = orchestrator.get("/api/v1/nodes/n1").await;
    assert_eq!(node["cordoned"], true, "{node}");

    orchestrator.command(&["node", "uncordon", "n1"]).await;
    orchestrator.command(&["scale", "deployment", "hello", "--replicas", "5"]).await;
    let pods = fleet.settled("five to run", 5, |_| true).await;
    assert!(pods.iter().any(|pod| pod["node"] == "n1"), "it gets pods again: {pods:?}");
}

/// Does something, and sees to it meanwhile that so many pods are ready at each moment.
async fn never_below<T>(orchestrator: &Orchestrator, least: usize, work: impl Future<Output = T>) -> T {
    let watching = async {
        loop {
            let pods = orchestrator.pods().await;
            let ready = pods.iter().filter(|pod| pod["ready"] == true).count();
            assert!(ready >= least, "{ready} are ready: {pods:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        done = work => done,
        () = watching => unreachable!("it watches until the work is done"),
    }
}

async fn images_are_fetched_where_and_before_they_are_needed() {
    let fleet = Fleet::in_zones(&["a", "b"]).await;
    let orchestrator = &fleet.orchestrator;
    let names = ["by-zone", "by-labels", "by-workload", "late"];
    for (name, seed) in names.into_iter().zip(10..) {
        pushed(&fleet.registry, &Layout::workload(seed, &[300_000]).await, &format!("team/{name}")).await;
    }
    let image = |name: &str| format!("{HOST}/team/{name}:v1");
    let prewarm = async |words: &[&str]| -> Value {
        let output = orchestrator.command(&[&["prewarm"], words, &["--output", "json"]].concat()).await;
        let operation: Value = serde_json::from_str(&output).expect("it is told as JSON");
        assert_eq!(operation["state"], "succeeded", "{operation}");
        operation
    };
    let nodes = |operation: &Value| -> Vec<String> {
        operation["nodes"].as_object().expect("progress by node").keys().cloned().collect()
    };

    let of_zone = prewarm(&[&image("by-zone"), "--zone", "b"]).await;
    assert_eq!(nodes(&of_zone), ["n2"], "{of_zone}");
    let fetch = &of_zone["nodes"]["n2"][0];
    assert!(
        fetch["state"] == "done" && fetch["bytesDone"] == fetch["bytesTotal"] && fetch["bytesTotal"].as_u64() > Some(300_000),
        "{fetch}"
    );
    // A pod that could go to either goes there, and misses nothing.
    orchestrator.command(&["run", &image("by-zone"), "--name", "warm", "--wait", "--", "write", "1"]).await;
    let warm = fleet.settled("it to run", 1, |_| true).await;
    assert_eq!((&warm[0]["node"], &warm[0]["missingBytes"]), (&json!("n2"), &json!(0)), "{warm:?}");

    let of_labels = prewarm(&[&image("by-labels"), "--nodes", "topology.kubernetes.io/zone in (a)"]).await;
    assert_eq!(nodes(&of_labels), ["n1"], "{of_labels}");
    // The nodes of a workload are those where its pods would go.
    let of_workload = prewarm(&[&image("by-workload"), "--workload", "warm"]).await;
    assert!(!nodes(&of_workload).is_empty(), "{of_workload}");
    orchestrator.command(&["delete", "deployment", "warm", "--wait"]).await;

    // The registry stands still: what is fetched goes on until it is cancelled. The same act twice is one.
    let body = json!({"images": [image("late")], "zone": "a", "operationId": "the-late-one"});
    let registry = fleet.registry.pid().to_string();
    let begun = post(orchestrator, "/api/v1/operations/prewarm", &body).await.expect(202).json();
    run_ok("kill", ["-STOP", &registry]).await;
    let again = post(orchestrator, "/api/v1/operations/prewarm", &body).await.expect(202).json();
    assert_eq!(begun["operationId"], again["operationId"], "{again}");
    let other = json!({"images": [image("late")], "zone": "b", "operationId": "the-late-one"});
    let reused = post(orchestrator, "/api/v1/operations/prewarm", &other).await;
    assert_eq!(reused.status, 409, "{reused:?}");
    let id = begun["operationId"].as_str().expect("it has an id");
    orchestrator.command(&["prewarm", "--cancel", id, "--fleet"]).await;
    let path = format!("/api/v1/operations/{id}");
    let ended = until("it to end", LIMIT, async || {
        let operation = orchestrator.get(&path).await;
        (operation["state"] != "running").then_some(operation)
    })
    .await;
    run_ok("kill", ["-CONT", &registry]).await;
    assert_eq!(ended["state"], "cancelled", "{ended}");
}
