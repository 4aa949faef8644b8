//! The whole way: an image is pushed, deployed by one command, runs in a real containerd, is restarted when it dies, moved when its node
//! dies, and goes without a trace.

use std::{collections::BTreeSet, time::Duration};

use longshore_tests::{Containerd, Edge, EdgeUpstream, Layout, Orchestrator, Registry, scaled, temporary_folder, until};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::node_cri::{HOST, install, pushed};

longshore_tests::once!(
    from_a_push_to_pods_that_run_are_changed_moved_and_gone,
    what_can_t_run_says_why,
    an_orchestrator_that_is_killed_at_any_moment_loses_nothing_and_doubles_nothing,
    a_leader_that_stood_still_leads_again_and_all_that_it_decides_is_written,
);

pub const LIMIT: Duration = Duration::from_secs(90);

/// A registry, an orchestrator, and nodes, each with a containerd of its own.
pub struct Fleet {
    pub orchestrator: Orchestrator,
    pub registry: Registry,
    pub nodes: Vec<Node>,
    _certs: TempDir,
}

pub struct Node {
    pub node: Option<Edge>,
    pub containerd: Containerd,
}

impl Fleet {
    /// One of so many nodes in one zone.
    pub async fn of(nodes: usize) -> Self {
        Self::in_zones(&vec!["a"; nodes]).await
    }

    /// One with a node in each of these zones.
    pub async fn in_zones(zones: &[&str]) -> Self {
        let registry = Registry::embedded().await;
        pushed(&registry, &Layout::workload(3, &[100_000]).await, "team/workload").await;
        pushed(&registry, &Layout::workload(4, &[200_000]).await, "team/other").await;
        pushed(&registry, &Layout::sandbox().await, "team/pause").await;
        let values = [
            ("leader.heartbeat", "1s".into()),
            ("leader.node_lost_after", "4s".into()),
            ("log.filter", "longshore_orchestrator=debug,info".into()),
        ];
        let orchestrator = Orchestrator::start(&registry, &[HOST], &values).await;
        let certs = temporary_folder("certs");
        let mut fleet = Self { orchestrator, registry, nodes: Vec::new(), _certs: certs };
        for (number, zone) in (1..).zip(zones) {
            fleet.add(number, zone).await;
        }
        fleet
    }

    async fn add(&mut self, number: usize, zone: &str) {
        let mut containerd = Containerd::with_cri(&format!("{HOST}/team/pause:v1")).await;
        let upstream = EdgeUpstream::longshore(&self.registry).set("hosts", vec![HOST]);
        let name = format!("n{number}");
        let mut values = self.orchestrator.agent_values(&name).await;
        values.extend([
            ("swarm.zone", zone.into()),
            ("containerd.address", containerd.socket().display().to_string().into()),
            ("containerd.poll_interval", "500ms".into()),
        ]);
        let node = Edge::node(&[upstream], &values).await;
        let certs = self._certs.path().join(&name);
        std::fs::create_dir(&certs).expect("the folder is ours");
        install(&mut containerd, &node, certs.to_str().expect("our folders' names are ASCII")).await;
        until("the node to be ready", LIMIT, async || {
            let node = self.orchestrator.get(&format!("/api/v1/nodes/{name}")).await;
            (node["ready"] == true).then_some(())
        })
        .await;
        self.nodes.push(Node { node: Some(node), containerd });
    }

    /// Waits until so many pods are ready, and nothing else is there.
    pub async fn settled(&self, what: &str, count: usize, suits: impl Fn(&Value) -> bool) -> Vec<Value> {
        until(what, LIMIT, async || {
            let pods = self.orchestrator.pods().await;
            let is_so = pods.len() == count && pods.iter().all(|pod| pod["ready"] == true && suits(pod));
            is_so.then_some(pods)
        })
        .await
    }

    /// How many of the workload's containers run, over all nodes.
    async fn running(&self) -> usize {
        let mut count = 0;
        for node in &self.nodes {
            count += node.containerd.crictl(&["ps", "--quiet"]).await.lines().count();
        }
        count
    }

    pub async fn nothing_is_left(&self) {
        until("nothing to be left on any node", LIMIT, async || {
            for node in &self.nodes {
                let left = node.containerd.crictl(&["ps", "--all", "--quiet"]).await;
                let pods = node.containerd.crictl(&["pods", "--quiet"]).await;
                if !left.is_empty() || !pods.is_empty() {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }
}

async fn from_a_push_to_pods_that_run_are_changed_moved_and_gone() {
    let mut fleet = Fleet::of(2).await;
    let image = format!("{HOST}/team/workload:v1");
    let told =
        fleet.orchestrator.command(&["run", &image, "--name", "hello", "--replicas", "3", "--wait", "--", "write", "5"]).await;
    assert!(told.contains("hello"), "{told}");
    let pods = fleet.settled("three pods to run", 3, |pod| pod["phase"] == "Running").await;
    let nodes: BTreeSet<&str> = pods.iter().filter_map(|pod| pod["node"].as_str()).collect();
    assert_eq!(nodes, BTreeSet::from(["n1", "n2"]), "what people wait for is spread");
    let table = fleet.orchestrator.command(&["get", "pods"]).await;
    for word in ["POD", "NODE", "PHASE", "READY", "RESTARTS", "MISSING WHEN PLACED", "STARTED IN", "Running"] {
        assert!(table.contains(word), "{table}");
    }
    let name = pods[0]["name"].as_str().expect("a pod has a name");
    let why = fleet.orchestrator.command(&["explain", "pod", name]).await;
    assert!(why.contains("n1") && why.contains("n2"), "{why}");
    let log = fleet.orchestrator.command(&["logs", name, "--tail", "3"]).await;
    assert!(log.contains("line"), "{log}");

    // Another image: new pods take the place of the old ones, and never fewer are ready than may be.
    let other = format!("{HOST}/team/other:v1");
    let document = json!({
        "kind": "Deployment", "name": "hello", "replicas": 3, "image": other, "args": ["write", "5"],
        "strategy": {"maxUnavailable": 0, "maxSurge": 1},
    });
    let file = temporary_folder("documents");
    let path = file.path().join("hello.json");
    std::fs::write(&path, document.to_string()).expect("the folder is ours");
    let path = path.to_str().expect("our folders' names are ASCII");
    let plan = fleet.orchestrator.command(&["apply", "-f", path, "--plan"]).await;
    assert!(plan.contains("image"), "{plan}");
    assert_eq!(fleet.orchestrator.pods().await.len(), 3, "a plan changes nothing");
    fleet.orchestrator.command(&["apply", "-f", path]).await;
    until("the other image to run", LIMIT, async || {
        let pods = fleet.orchestrator.pods().await;
        let ready = pods.iter().filter(|pod| pod["ready"] == true).count();
        assert!(ready >= 3, "no moment below: {pods:?}");
        let is_other = |pod: &Value| pod["image"].as_str().is_some_and(|image| image.contains("/other@"));
        (pods.len() == 3 && pods.iter().all(is_other)).then_some(())
    })
    .await;

    // Back, with the registry off: its layers are still there, and it was let run before.
    fleet.registry.kill9();
    fleet.orchestrator.command(&["rollback", "deployment", "hello"]).await;
    let is_first = |pod: &Value| pod["image"].as_str().is_some_and(|image| image.contains("/workload@"));
    let pods = fleet.settled("what ran before to run again", 3, is_first).await;
    let missing: u64 = pods.iter().filter_map(|pod| pod["missingBytes"].as_u64()).sum();
    assert_eq!(missing, 0, "it was all there: {pods:?}");

    // A container that dies is started again.
    let first = fleet.nodes[0].containerd.crictl(&["ps", "--quiet"]).await;
    let first = first.lines().next().expect("one runs there").to_owned();
    fleet.nodes[0].containerd.crictl(&["stop", "--timeout", "0", &first]).await;
    until("it to be started again", LIMIT, async || {
        let pods = fleet.orchestrator.pods().await;
        let again = pods.iter().any(|pod| pod["restarts"].as_u64() > Some(0));
        (again && pods.iter().filter(|pod| pod["ready"] == true).count() == 3).then_some(())
    })
    .await;

    // A node's agent that dies for good: its pods are replaced by others.
    fleet.nodes[1].node.take();
    let elsewhere = |pod: &Value| pod["node"] == "n1";
    until("all to run on the other node", LIMIT, async || {
        let pods = fleet.orchestrator.pods().await;
        (pods.iter().filter(|pod| elsewhere(pod) && pod["ready"] == true).count() == 3).then_some(())
    })
    .await;
    let health = fleet.orchestrator.get("/api/v1/nodes/health").await;
    assert_eq!((&health["all"]["nodes"], &health["all"]["ready"]), (&json!(2), &json!(1)), "{health}");

    // The lost node is given up, and all of it deleted: nothing is left on the other.
    fleet.orchestrator.command(&["delete", "node", "n2", "--force"]).await;
    fleet.orchestrator.command(&["delete", "deployment", "hello", "--wait"]).await;
    assert_eq!(fleet.orchestrator.pods().await, Vec::<Value>::new());
    fleet.nodes.pop();
    fleet.nothing_is_left().await;
}

async fn what_can_t_run_says_why() {
    let fleet = Fleet::of(1).await;
    let orchestrator = &fleet.orchestrator;
    let none = orchestrator.try_command(&["run", &format!("{HOST}/team/none:v1"), "--no-wait"]).await;
    assert!(none.code != Some(0) && none.stderr.contains("team/none"), "{none:?}");
    let image = format!("{HOST}/team/workload:v1");
    orchestrator.command(&["run", &image, "--name", "big", "--cpu", "4096", "--no-wait", "--", "write", "1"]).await;
    let pod = until("it to be said that it fits nowhere", LIMIT, async || {
        let pods = orchestrator.pods().await;
        pods.into_iter().find(|pod| pod["reason"] == "FitsNowhere")
    })
    .await;
    assert!(pod["message"].as_str().is_some_and(|message| message.contains("CPU")), "{pod}");
    orchestrator.command(&["delete", "deployment", "big", "--wait"]).await;
    orchestrator.command(&["run", &image, "--name", "ill", "--no-wait", "--", "exit", "3"]).await;
    until("it to be said that it crashes", LIMIT, async || {
        let pods = orchestrator.pods().await;
        pods.into_iter().find(|pod| pod["reason"] == "CrashLoopBackOff" && pod["exitCode"] == 3)
    })
    .await;
    orchestrator.command(&["delete", "deployment", "ill", "--wait"]).await;
    fleet.nothing_is_left().await;
}

async fn an_orchestrator_that_is_killed_at_any_moment_loses_nothing_and_doubles_nothing() {
    let mut fleet = Fleet::of(1).await;
    let image = format!("{HOST}/team/workload:v1");
    fleet.orchestrator.command(&["run", &image, "--name", "hello", "--replicas", "2", "--wait", "--", "write", "5"]).await;
    for round in 0..scaled(3, 12) {
        let wanted = 2 + round % 3;
        let replicas = wanted.to_string();
        fleet.orchestrator.command(&["scale", "deployment", "hello", "--replicas", &replicas]).await;
        tokio::time::sleep(Duration::from_millis(70 * u64::try_from(round).unwrap_or(1))).await;
        fleet.orchestrator.crash().await;
        fleet.settled("as many pods as are wanted", wanted, |_| true).await;
        until("as many containers to run", LIMIT, async || (fleet.running().await == wanted).then_some(())).await;
    }
    // Without it, what runs runs on, and is started again when it dies.
    fleet.orchestrator.kill();
    let before = fleet.running().await;
    let containerd = &fleet.nodes[0].containerd;
    let first = containerd.crictl(&["ps", "--quiet"]).await.lines().next().expect("one runs").to_owned();
    containerd.crictl(&["stop", "--timeout", "0", &first]).await;
    until("it to be started again", LIMIT, async || {
        let running = containerd.crictl(&["ps", "--quiet"]).await;
        let is_new = !running.lines().any(|id| id == first);
        (is_new && running.lines().count() == before).then_some(())
    })
    .await;
    fleet.orchestrator.crash().await;
    fleet.settled("all to be as it was", before, |_| true).await;
}

async fn a_leader_that_stood_still_leads_again_and_all_that_it_decides_is_written() {
    let registry = Registry::embedded().await;
    pushed(&registry, &Layout::workload(3, &[100_000]).await, "team/workload").await;
    let mut orchestrator = Orchestrator::start(&registry, &[HOST], &[("leader.lease", "1s".into())]).await;
    let image = format!("{HOST}/team/workload:v1");
    // Enough is decided that a term which began its count anew would be far behind.
    for number in 0..6 {
        orchestrator.command(&["run", &image, "--name", &format!("before-{number}"), "--no-wait", "--", "write", "1"]).await;
    }
    orchestrator.pause();
    tokio::time::sleep(Duration::from_secs(2)).await;
    orchestrator.go_on();
    orchestrator.command(&["run", &image, "--name", "after", "--replicas", "2", "--no-wait", "--", "write", "1"]).await;
    let ids = async |orchestrator: &Orchestrator| {
        let pods = orchestrator.pods().await;
        let of_after = pods.iter().filter(|pod| pod["owner"]["name"] == "after");
        of_after.map(|pod| pod["podId"].to_string()).collect::<BTreeSet<_>>()
    };
    let before = until("its pods to be there", LIMIT, async || Some(ids(&orchestrator).await).filter(|ids| ids.len() == 2)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    orchestrator.crash().await;
    assert_eq!(ids(&orchestrator).await, before, "they were written, and are the same");
}
