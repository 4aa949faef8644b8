//! The agent of a node, between an orchestrator that is played and a containerd that is real: what is wanted runs, is restarted, is told
//! of, and goes without a trace.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use longshore_fleet::{Assignment, Fetch, FetchState, Image, LogsId, LogsWanted, OperationId, Phase, PodId, RestartPolicy};
use longshore_oci::Digest;
use longshore_tests::{
    Answer, Client, Containerd, ControlPlane, Edge, EdgeUpstream, Layout, Random, Registry, free_port, longshore, run_ok, scaled,
    temporary_folder, until,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::node_cri::{HOST, install, pushed};

longshore_tests::once!(
    a_pod_runs_with_few_rights_is_restarted_and_goes_without_a_trace,
    a_pod_with_a_network_of_its_own_is_reached_at_its_address,
    what_ends_is_told_with_how_it_ended,
    what_fails_is_tried_again_after_a_while_and_says_why,
    what_runs_outlives_the_agent_and_the_orchestrator,
    an_agent_that_is_killed_at_any_moment_runs_each_pod_once,
    what_nobody_wants_any_more_goes_and_what_is_not_ours_stays,
    logs_are_read_while_they_are_written,
    images_come_before_they_are_needed,
    a_runtime_that_is_away_is_told_and_loses_nothing,
    another_leader_is_followed_and_one_of_before_is_not,
);

const LIMIT: Duration = Duration::from_secs(90);

/// A registry, a containerd, a node beside it, and who says what runs there.
struct Site {
    plane: ControlPlane,
    node: Edge,
    containerd: Containerd,
    _registry: Registry,
    _certs: TempDir,
    /// The workload's image, by digest.
    image: String,
    blobs: Vec<Digest>,
}

impl Site {
    async fn with(more: &[(&str, Value)]) -> Self {
        let containerd = Containerd::with_cri(&format!("{HOST}/team/pause:v1")).await;
        Self::beside(containerd, &[&[("agent.pod_network", false.into())], more].concat()).await
    }

    async fn beside(mut containerd: Containerd, more: &[(&str, Value)]) -> Self {
        let registry = Registry::embedded().await;
        let blobs = pushed(&registry, &Layout::workload(3, &[100_000]).await, "team/workload").await;
        pushed(&registry, &Layout::sandbox().await, "team/pause").await;
        let upstream = EdgeUpstream::longshore(&registry).set("hosts", vec![HOST]);
        let plane = ControlPlane::start().await;
        let socket = containerd.socket().display().to_string();
        let mut values = plane.values();
        values.extend([
            ("swarm.zone", "a".into()),
            ("containerd.address", socket.into()),
            ("containerd.poll_interval", "500ms".into()),
            ("agent.name", "n1".into()),
            ("agent.poll_interval", "100ms".into()),
            ("agent.backoff", "1s".into()),
        ]);
        values.extend(more.iter().cloned());
        let node = Edge::node(&[upstream], &values).await;
        let certs = temporary_folder("certs");
        install(&mut containerd, &node, certs.path().to_str().expect("our folders' names are ASCII")).await;
        let manifest = blobs.last().expect("an image has a manifest");
        let image = format!("{HOST}/team/workload@{manifest}");
        plane.until_facts("the node to be ready", |facts| facts.not_ready.is_none()).await;
        Self { plane, node, containerd, _registry: registry, _certs: certs, image, blobs }
    }

    /// A pod that is restarted whenever it ends.
    fn pod(&self, args: &[&str], more: Value) -> Assignment {
        let mut template = json!({"image": self.image, "args": args, "hostNetwork": true, "terminationGracePeriodSeconds": 3});
        for (key, value) in more.as_object().into_iter().flatten() {
            template[key] = value.clone();
        }
        let id = PodId(Uuid::now_v7());
        let assignment = json!({
            "id": id, "name": format!("hello-{}", id.0.as_simple()), "namespace": "default", "template": template, "labels": {},
            "owner": {"kind": "deployment", "name": "hello", "revision": 1}, "restart": "Always",
        });
        serde_json::from_value(assignment).expect("it is an assignment")
    }

    /// A pod that answers, and the port where it does.
    fn server(&self, more: Value) -> (Assignment, u16) {
        let port = free_port();
        let mut template = json!({"probes": {"readiness": {"http": {"port": port}, "periodSeconds": 1}}});
        for (key, value) in more.as_object().into_iter().flatten() {
            template[key] = value.clone();
        }
        (self.pod(&["serve", &port.to_string()], template), port)
    }

    /// All that the runtime has of pods: containers, and sandboxes.
    async fn left(&self) -> (String, String) {
        (self.containerd.crictl(&["ps", "--all", "--quiet"]).await, self.containerd.crictl(&["pods", "--quiet"]).await)
    }

    async fn nothing_is_left(&self) {
        until("nothing to be left", LIMIT, async || {
            let (containers, sandboxes) = self.left().await;
            (containers.is_empty() && sandboxes.is_empty()).then_some(())
        })
        .await;
    }

    fn is_well(&self) {
        assert_eq!(self.plane.faults(), Vec::<String>::new());
    }
}

/// What a pod answers.
async fn ask(port: u16, path: &str) -> Option<String> {
    let client = Client::new(&format!("http://127.0.0.1:{port}"));
    let answer = Answer::attempt(client.request(Method::GET, path)).await.ok()?;
    Some(String::from_utf8_lossy(&answer.body).into_owned())
}

/// The value of a line of `/proc/self/status`.
fn line<'s>(status: &'s str, name: &str) -> &'s str {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or_default().trim()
}

async fn a_pod_runs_with_few_rights_is_restarted_and_goes_without_a_trace() {
    let site = Site::with(&[("agent.labels", json!(["disk=ssd"])), ("agent.reserved_memory", "1Gi".into())]).await;
    let facts = site.plane.until_facts("facts", |facts| !facts.runtime.is_empty()).await;
    let label = |key: &str| facts.labels.iter().find(|(name, _)| name.as_str() == key).map(|(_, value)| value.as_str());
    assert_eq!((label("disk"), label("topology.kubernetes.io/zone")), (Some("ssd"), Some("a")));
    assert!(facts.runtime.starts_with("containerd") && facts.cpu.millis >= 1_000 && facts.platform.architecture == "amd64");

    let port = free_port();
    let probes = json!({
        "startup": {"tcp": {"port": port}, "periodSeconds": 1, "failureThreshold": 30},
        "readiness": {"http": {"port": port}, "periodSeconds": 1},
        "liveness": {"exec": {"command": ["/workload", "exit", "0"]}, "periodSeconds": 1},
    });
    let env = json!({"env": [{"name": "GREETING", "value": "hello you"}], "resources": {"limits": {"memory": "64Mi", "cpu": "500m"}}, "probes": probes});
    let pod = site.pod(&["serve", &port.to_string()], env);
    site.plane.put(pod.clone());
    let state = site.plane.until_pod(pod.id, "to be ready", |state| state.ready).await;
    assert!(state.phase == Phase::Running && state.restarts == 0 && state.started_in_ms.is_some(), "{state:?}");
    site.plane.until_layers(&site.blobs[..site.blobs.len() - 1]).await;

    let status = ask(port, "/status").await.expect("it answers");
    for (name, value) in [("CapEff", "0000000000000000"), ("CapBnd", "0000000000000000"), ("NoNewPrivs", "1"), ("Seccomp", "2")] {
        assert_eq!(line(&status, name), value, "{name} of {status}");
    }
    assert!(ask(port, "/env").await.expect("it answers").contains("GREETING=hello you"));

    ask(port, "/quit/3").await;
    let state = site.plane.until_pod(pod.id, "to run again", |state| state.restarts == 1 && state.ready).await;
    assert_eq!((state.phase, state.exit_code), (Phase::Running, Some(3)));

    site.plane.end(pod.id, 5);
    site.plane.until_gone(pod.id).await;
    let state = site.plane.pod(pod.id).expect("it is told how it ended");
    assert_eq!((state.phase, state.exit_code), (Phase::Ending, Some(0)), "it was asked, and not killed");
    site.nothing_is_left().await;
    assert!(ask(port, "/").await.is_none());
    site.plane.forget(pod.id);
    site.is_well();
}

async fn a_pod_with_a_network_of_its_own_is_reached_at_its_address() {
    let containerd = Containerd::with_pod_network(&format!("{HOST}/team/pause:v1")).await;
    let site = Site::beside(containerd, &[]).await;
    let own = || site.pod(&["serve", "80"], json!({"hostNetwork": false, "probes": {"readiness": {"http": {"port": 80}}}}));
    // Both have the same port.
    let pods = [own(), own()];
    let mut addresses = Vec::new();
    for pod in &pods {
        site.plane.put(pod.clone());
        let state = site.plane.until_pod(pod.id, "to be ready", |state| state.ready).await;
        addresses.push(state.address.expect("it has one"));
    }
    assert_ne!(addresses[0], addresses[1]);
    for pod in &pods {
        site.plane.end(pod.id, 1);
    }
    site.nothing_is_left().await;
    site.is_well();
}

async fn what_ends_is_told_with_how_it_ended() {
    let site = Site::with(&[]).await;
    let once = |args: &[&str], more: Value| Assignment { restart: RestartPolicy::Never, ..site.pod(args, more) };
    let memory = json!({"resources": {"limits": {"memory": "16Mi"}}});
    let pods = [
        (once(&["exit", "0"], json!({})), Phase::Succeeded, "Completed", 0),
        (once(&["exit", "7"], json!({})), Phase::Failed, "Error", 7),
        (once(&["eat", "64"], memory), Phase::Failed, "OOMKilled", 137),
    ];
    for (pod, ..) in &pods {
        site.plane.put(pod.clone());
    }
    for (pod, phase, reason, code) in &pods {
        let state = site.plane.until_pod(pod.id, "to have ended", |state| state.phase.has_ended()).await;
        assert_eq!((state.phase, state.reason.as_deref(), state.exit_code), (*phase, Some(*reason), Some(*code)), "{state:?}");
    }
    // They can be read still.
    let text = read_all(site.plane.logs(wanted(pods[1].0.id))).await;
    assert_eq!(text, "exit 7\n");
    for (pod, ..) in &pods {
        site.plane.end(pod.id, 1);
    }
    site.nothing_is_left().await;
    site.is_well();
}

async fn what_fails_is_tried_again_after_a_while_and_says_why() {
    let site = Site::with(&[("agent.backoff_most", "2s".into())]).await;
    let crashing = site.pod(&["exit", "4"], json!({}));
    let unknown = format!("{HOST}/team/workload@{}", longshore_tests::digest_of(b"nothing"));
    let missing = site.pod(&["exit", "0"], json!({"image": unknown}));
    let root = Assignment { must_not_be_root: true, ..site.pod(&["exit", "0"], json!({})) };
    let unstartable = site.pod(&[], json!({"command": ["/no/such/program"]}));
    let port = free_port();
    let liveness = json!({"probes": {"liveness": {"http": {"port": port}, "periodSeconds": 1, "failureThreshold": 2}}});
    let ill = site.pod(&["serve", &port.to_string()], liveness);
    for pod in [&crashing, &missing, &root, &unstartable, &ill] {
        site.plane.put(pod.clone());
    }
    let state = site.plane.until_pod(crashing.id, "to crash again and again", |state| {
        state.reason.as_deref() == Some("CrashLoopBackOff") && state.restarts >= 2
    });
    let state = state.await;
    assert_eq!((state.phase, state.exit_code), (Phase::Waiting, Some(4)));
    let state = site.plane.until_pod(missing.id, "to lack its image", |state| {
        state.phase == Phase::Waiting && state.reason.as_deref() == Some("ImagePullBackOff")
    });
    let message = state.await.message.expect("it says why");
    assert!(message.contains("failed to resolve") && message.contains(&unknown), "{message}");
    let state = site.plane.until_pod(root.id, "to be refused", |state| state.reason.as_deref() == Some("MustNotBeRoot")).await;
    assert!(state.message.expect("it says why").contains("security.runAsUser"));
    let state = site.plane.until_pod(unstartable.id, "not to start", |state| state.phase == Phase::Waiting).await;
    assert!(state.message.clone().expect("it says why").contains("/no/such/program"), "{state:?}");
    until("it to answer", LIMIT, async || ask(port, "/").await).await;
    ask(port, "/ill").await;
    let state = site.plane.until_pod(ill.id, "to be started anew", |state| state.restarts == 1).await;
    assert_eq!(state.exit_code, Some(0), "it was asked to end");
    for pod in [&crashing, &missing, &root, &unstartable, &ill] {
        site.plane.end(pod.id, 1);
    }
    site.nothing_is_left().await;
    site.is_well();
}

async fn what_runs_outlives_the_agent_and_the_orchestrator() {
    let mut site = Site::with(&[]).await;
    let (pod, port) = site.server(json!({}));
    site.plane.put(pod.clone());
    let before = site.plane.until_pod(pod.id, "to be ready", |state| state.ready).await;
    site.node.kill9();
    assert!(ask(port, "/").await.is_some(), "it runs on");
    site.node.restart().await;
    until("the agent to be back", LIMIT, async || (site.plane.streams() == 2).then_some(())).await;
    let after = site.plane.until_pod(pod.id, "to be ready", |state| state.ready).await;
    assert_eq!((after.started_at, after.restarts, after.phase), (before.started_at, 0, Phase::Running), "it is the same");
    assert_eq!(site.plane.joins(), 1, "the node is who it was");

    // Nobody says anything any more, not even at the agent's start.
    site.plane.go_away();
    ask(port, "/quit/5").await;
    until("it to run again", LIMIT, async || ask(port, "/").await).await;
    site.node.restart().await;
    until("the first crash to be over", LIMIT, async || ask(port, "/").await).await;
    ask(port, "/quit/6").await;
    until("it to run again", LIMIT, async || ask(port, "/").await).await;
    site.plane.come_back();
    let state = site.plane.until_pod(pod.id, "to be told", |state| state.restarts == 2 && state.ready).await;
    assert_eq!(state.exit_code, Some(6));
    site.plane.end(pod.id, 1);
    site.nothing_is_left().await;
    site.is_well();
}

async fn an_agent_that_is_killed_at_any_moment_runs_each_pod_once() {
    let mut site = Site::with(&[]).await;
    let mut random = Random::seeded(7);
    let mut pods = Vec::new();
    for _ in 0..scaled(5, 20) {
        for _ in 0..3 {
            let (pod, port) = site.server(json!({}));
            site.plane.put(pod.clone());
            pods.push((pod, port));
        }
        // The moment is what is tried out: before a sandbox is there, or after, or between a container and its start.
        tokio::time::sleep(Duration::from_millis(random.between(0, 600))).await;
        site.node.restart().await;
    }
    for (pod, _) in &pods {
        let state = site.plane.until_pod(pod.id, "to be ready", |state| state.ready).await;
        assert_eq!(state.restarts, 0, "it was begun once: {state:?}");
    }
    let (containers, sandboxes) = site.left().await;
    assert_eq!((containers.lines().count(), sandboxes.lines().count()), (pods.len(), pods.len()));
    // The same while they go.
    for (pod, _) in &pods {
        site.plane.end(pod.id, 1);
    }
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(random.between(0, 400))).await;
        site.node.restart().await;
    }
    site.nothing_is_left().await;
    for (pod, _) in &pods {
        site.plane.until_gone(pod.id).await;
    }
    site.is_well();
}

async fn what_nobody_wants_any_more_goes_and_what_is_not_ours_stays() {
    let mut site = Site::with(&[]).await;
    // Somebody else's.
    let files = temporary_folder("theirs");
    let config = json!({
        "metadata": {"name": "theirs", "namespace": "default", "uid": "theirs", "attempt": 1}, "log_directory": files.path(),
        "linux": {"security_context": {"namespace_options": {"network": 2}}},
    });
    let file = files.path().join("pod.json");
    std::fs::write(&file, config.to_string()).expect("the folder is ours");
    let theirs = site.containerd.crictl(&["runp", file.to_str().expect("our folders' names are ASCII")]).await;

    let [dropped, orphan, stays] = [(); 3].map(|()| site.server(json!({})));
    for (pod, _) in [&dropped, &orphan, &stays] {
        site.plane.put(pod.clone());
    }
    for (pod, _) in [&dropped, &orphan, &stays] {
        site.plane.until_pod(pod.id, "to be ready", |state| state.ready).await;
    }
    // One that is not in what is said at first, and one that the agent has forgotten besides.
    site.plane.lose(dropped.0.id);
    site.plane.lose(orphan.0.id);
    site.plane.go_away();
    site.node.kill9();
    let kept = site.node.folder().join("pods/pods.json");
    let mut known: Value = serde_json::from_slice(&std::fs::read(&kept).expect("it is there")).expect("it is JSON");
    let pods = known["pods"].as_array_mut().expect("it is a list");
    pods.retain(|pod| pod["assignment"]["id"] != orphan.0.id.to_string());
    assert_eq!(pods.len(), 2);
    std::fs::write(&kept, known.to_string()).expect("it is ours");
    site.node.restart().await;
    for (_, port) in [&dropped, &orphan, &stays] {
        assert!(ask(*port, "/").await.is_some(), "until somebody says what is to be, all stays");
    }
    site.plane.come_back();
    for (_, port) in [&dropped, &orphan] {
        until("it to end", LIMIT, async || ask(*port, "/").await.is_none().then_some(())).await;
    }
    let sandboxes = async || site.left().await.1.lines().count();
    until("the others to be gone", LIMIT, async || (sandboxes().await == 2).then_some(())).await;
    assert!(ask(stays.1, "/").await.is_some());
    assert_eq!(site.plane.pod(stays.0.id).expect("it is told of").restarts, 0);
    site.plane.end(stays.0.id, 1);
    until("ours to be gone", LIMIT, async || (sandboxes().await == 1).then_some(())).await;
    assert!(theirs.starts_with(&site.left().await.1), "theirs is there still");
    assert_eq!(std::fs::read_dir(site.node.folder().join("pods/logs")).expect("it is there").count(), 0);
    site.is_well();
}

fn wanted(pod: PodId) -> LogsWanted {
    LogsWanted { request: LogsId(Uuid::now_v7()), pod, previous: false, follow: false, tail: None, timestamps: false }
}

/// All that is sent, to its end.
async fn read_all(mut parts: mpsc::UnboundedReceiver<Bytes>) -> String {
    let mut all = Vec::new();
    let reading = async {
        while let Some(part) = parts.recv().await {
            all.extend_from_slice(&part);
        }
    };
    tokio::time::timeout(LIMIT, reading).await.expect("it ends");
    String::from_utf8(all).expect("it is text")
}

async fn logs_are_read_while_they_are_written() {
    let site = Site::with(&[("agent.log_size", "4KiB".into()), ("agent.log_files", 3.into())]).await;
    let writer = site.pod(&["write", "30"], json!({}));
    site.plane.put(writer.clone());
    site.plane.until_pod(writer.id, "to run", |state| state.phase == Phase::Running).await;
    let mut following = site.plane.logs(LogsWanted { follow: true, ..wanted(writer.id) });
    let mut text = String::new();
    // Long enough that the file is put away meanwhile.
    while !text.contains("line 250\n") {
        let part = tokio::time::timeout(LIMIT, following.recv()).await.expect("more is written").expect("it goes on");
        text.push_str(&String::from_utf8_lossy(&part));
    }
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "write 30");
    for (number, line) in lines[1..].iter().enumerate() {
        assert_eq!(*line, format!("line {}", number + 1), "each once, and in order");
    }
    let folder = site.node.folder().join(format!("pods/logs/{}", writer.id));
    let files = || std::fs::read_dir(&folder).expect("it is there").count();
    until("logs to be put away", LIMIT, async || (files() > 1).then_some(())).await;
    assert!(files() <= 3);

    let last = read_all(site.plane.logs(LogsWanted { tail: Some(2), timestamps: true, ..wanted(writer.id) })).await;
    assert_eq!(last.lines().count(), 2, "{last}");
    let (time, rest) = last.lines().next().expect("there is one").split_once(' ').expect("it has a time");
    assert!(time.parse::<jiff::Timestamp>().is_ok() && rest.starts_with("line "), "{last}");
    let none = read_all(site.plane.logs(LogsWanted { previous: true, ..wanted(writer.id) })).await;
    assert!(none.contains("notThere") && none.contains("no container of it has ended before"), "{none}");
    let nobody = read_all(site.plane.logs(wanted(PodId(Uuid::now_v7())))).await;
    assert!(nobody.contains("no such pod"), "{nobody}");

    // Who follows is told when it is over.
    site.plane.end(writer.id, 5);
    let rest = read_all(following).await;
    assert!(rest.ends_with("bye\n"), "{rest}");

    let (crashing, port) = site.server(json!({}));
    site.plane.put(crashing.clone());
    site.plane.until_pod(crashing.id, "to be ready", |state| state.ready).await;
    ask(port, "/quit/1").await;
    site.plane.until_pod(crashing.id, "to run again", |state| state.restarts == 1).await;
    let before = read_all(site.plane.logs(LogsWanted { previous: true, ..wanted(crashing.id) })).await;
    assert_eq!(before, format!("serve {port}\nquits\n"));
    site.plane.end(crashing.id, 1);
    site.nothing_is_left().await;
    site.is_well();
}

async fn images_come_before_they_are_needed() {
    let site = Site::with(&[]).await;
    let image: Image = site.image.parse().expect("it is one");
    let fetch = |image: &Image| Fetch { operation: OperationId(Uuid::now_v7()), image: image.clone(), pinned_until: None };
    let (good, bad) = (fetch(&image), fetch(&image.at(longshore_tests::digest_of(b"nothing"))));
    site.plane.fetch(good.clone());
    site.plane.fetch(bad.clone());
    let done = site.plane.until_fetch(good.operation, "an image to come", |fetch| fetch.state == FetchState::Done).await;
    assert!(done.bytes_total > 100_000 && done.bytes_done == done.bytes_total, "{done:?}");
    let failed = site.plane.until_fetch(bad.operation, "an image to fail", |fetch| fetch.state == FetchState::Failed).await;
    assert!(failed.message.expect("it says why").contains("failed to resolve"));
    site.plane.until_layers(&site.blobs[..site.blobs.len() - 1]).await;
    assert!(site.left().await.0.is_empty(), "nothing runs for that");

    site.plane.keep(vec![image]);
    let pinned = async || {
        let listed = run_ok(longshore(), ["edge", "ls", "--at", site.node.url(), "--output", "json"]).await;
        let listed: Value = serde_json::from_str(&listed).expect("it is JSON");
        let blobs = listed.as_array().expect("it is a list");
        blobs.iter().filter(|blob| blob["pinnedBy"].as_array().is_some_and(|all| all.contains(&"orchestrator".into()))).count()
    };
    until("it to be kept", LIMIT, async || (pinned().await == site.blobs.len()).then_some(())).await;
    site.plane.keep(Vec::new());
    until("it to be let go", LIMIT, async || (pinned().await == 0).then_some(())).await;
    site.is_well();
}

async fn a_runtime_that_is_away_is_told_and_loses_nothing() {
    let mut site = Site::with(&[]).await;
    let (pod, port) = site.server(json!({}));
    site.plane.put(pod.clone());
    let before = site.plane.until_pod(pod.id, "to be ready", |state| state.ready).await;
    site.containerd.stop().await;
    site.plane.until_facts("the node not to be ready", |facts| facts.not_ready.is_some()).await;
    assert!(ask(port, "/").await.is_some(), "it runs on");
    let (late, _) = site.server(json!({}));
    site.plane.put(late.clone());
    site.containerd.restart().await;
    site.plane.until_facts("the node to be ready", |facts| facts.not_ready.is_none()).await;
    site.plane.until_pod(late.id, "to be ready", |state| state.ready).await;
    let after = site.plane.pod(pod.id).expect("it is told of");
    assert_eq!((after.started_at, after.restarts, after.ready), (before.started_at, 0, true), "{after:?}");
    for pod in [&pod, &late] {
        site.plane.end(pod.id, 1);
    }
    site.nothing_is_left().await;
    site.is_well();
}

async fn another_leader_is_followed_and_one_of_before_is_not() {
    let site = Site::with(&[]).await;
    let second = ControlPlane::start().await;
    second.take_over(&site.plane);
    second.begin_again(7);
    let (pod, _) = site.server(json!({}));
    second.put(pod.clone());
    site.plane.hand_over(second.url());
    second.until_pod(pod.id, "to be ready", |state| state.ready).await;
    assert_eq!(second.joins(), 1, "it need not join again");
    // One that has not heard that it leads no more says that there is to be nothing.
    let streams = second.streams();
    second.lose(pod.id);
    second.begin_again(6);
    until("it to be asked again", LIMIT, async || (second.streams() > streams + 1).then_some(())).await;
    site.node.logs(&["leads no more"]).await;
    assert_eq!(site.left().await.0.lines().count(), 1, "it is not listened to");
    second.begin_again(8);
    site.nothing_is_left().await;
}
