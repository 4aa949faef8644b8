//! A thousand pods are placed on nodes that are played, while the control plane is killed, its database restarted, its leader suspended, and
//! its clocks are apart. In the end as many run as are wanted, none is lost, and never were two nodes told to run the same pod.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use http::Method;
use longshore_tests::{
    Answer, Client, Clock, Image, Orchestrator, PlayedFleet, PlayedNodes, Postgres, Random, Registry, scaled, until,
};
use serde_json::{Value, json};

longshore_tests::once!(
    a_control_plane_that_is_killed_at_any_moment_loses_no_pod_and_doubles_none,
    a_database_that_is_restarted_at_any_moment_loses_no_pod_and_doubles_none,
    a_leader_that_is_suspended_past_its_lease_binds_nothing_twice,
    leaders_whose_clocks_are_apart_bind_nothing_twice,
);

const LIMIT: Duration = Duration::from_secs(60);
const HOST: &str = "images.test";
const DEPLOYMENTS: &str = "/api/v1/workloads/deployments?limit=100";
const WORKLOADS: usize = 10;
const REPLICAS: usize = 100;
/// How soon another replica leads after a leader was lost.
const TAKEOVER: Duration = Duration::from_secs(10);

/// A registry with one image, and settings for orchestrators of one database.
struct Ground {
    registry: Registry,
    values: Vec<(&'static str, Value)>,
}

impl Ground {
    async fn new(postgres: Option<&Postgres>) -> Self {
        let registry = Registry::embedded().await;
        registry.client().push_image("team/web", "v1", &Image::random(1, &[100_000, 50_000])).await;
        let mut values = vec![("leader.heartbeat", json!("2s")), ("leader.lease", json!("3s"))];
        if let Some(postgres) = postgres {
            let database = postgres.create_database().await;
            values.push(("database.kind", json!("postgres")));
            values.push(("database.url", json!(database.url_at(&postgres.address()))));
        }
        Self { registry, values }
    }

    async fn orchestrator(&self) -> Orchestrator {
        Orchestrator::start(&self.registry, &[HOST], &self.values).await
    }
}

/// Nodes with room for all, and a little more.
async fn nodes(orchestrators: &[&Orchestrator]) -> PlayedNodes {
    let fleet = PlayedFleet { nodes: 60, cpu_millis: 2_000, memory_bytes: 1 << 30, pods: 20, ..PlayedFleet::default() };
    let urls: Vec<&str> = orchestrators.iter().map(|orchestrator| orchestrator.url()).collect();
    let nodes = PlayedNodes::start(&urls, fleet).await;
    until("all nodes to listen", LIMIT, async || (nodes.ledger().listening() == 60).then_some(())).await;
    nodes
}

/// Asks for workloads of so many replicas each, one after the other, again and again until it is answered: each is one act.
fn ask(urls: Vec<String>, method: Method, replicas: usize) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let run = uuid::Uuid::new_v4();
        for number in 0..WORKLOADS {
            let mut tries = 0;
            loop {
                let url = &urls[tries % urls.len()];
                tries += 1;
                assert!(tries < 1_000, "nobody answers");
                if attempt(url, &method, number, replicas, run).await {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    })
}

async fn attempt(url: &str, method: &Method, number: usize, replicas: usize, run: uuid::Uuid) -> bool {
    let client = Client::configured(url, |builder| builder.timeout(Duration::from_secs(3)));
    let operation = format!("{run}-{number}");
    let name = format!("web-{number}");
    let request = if method == Method::POST {
        client.request(Method::POST, "/api/v1/workloads/deployments").json(&json!({
            "name": name, "image": format!("{HOST}/team/web:v1"), "replicas": replicas, "operationId": operation,
            "resources": {"requests": {"cpu": "100m", "memory": "50Mi"}},
        }))
    } else {
        let Ok(list) = Answer::attempt(client.request(Method::GET, DEPLOYMENTS)).await else { return false };
        if !list.status.is_success() {
            return false;
        }
        let list = list.json();
        let found = list["items"].as_array().into_iter().flatten().find(|item| item["spec"]["name"] == name.as_str());
        let id = found.and_then(|item| item["deploymentId"].as_str()).expect("it was asked for");
        let path = format!("/api/v1/workloads/deployments/{id}/scale");
        client.request(Method::POST, &path).json(&json!({"replicas": replicas, "operationId": operation}))
    };
    let Ok(answer) = Answer::attempt(request).await else { return false };
    let is_done = answer.status.is_success();
    assert!(is_done || answer.status.is_server_error() || answer.status == 421, "it is refused: {answer:?}");
    is_done
}

/// Waits until what runs is what is wanted and what the orchestrator says; and it stays so.
async fn settles(orchestrator: &Orchestrator, nodes: &PlayedNodes, count: usize) {
    let ledger = nodes.ledger();
    until(&format!("{count} pods to run, and no other"), LIMIT, async || {
        if ledger.count_running() != count {
            return None;
        }
        let pods = orchestrator.every_pod().await;
        let are_ready = pods.iter().all(|pod| pod["ready"] == true && pod["phase"] == "Running");
        let said: BTreeSet<String> = pods.iter().filter_map(|pod| pod["podId"].as_str()).map(str::to_owned).collect();
        let running: BTreeSet<String> = ledger.running().keys().map(ToString::to_string).collect();
        let workloads = orchestrator.get(DEPLOYMENTS).await;
        let available = workloads["items"].as_array().into_iter().flatten().filter_map(|one| one["status"]["available"].as_u64());
        let are_available = available.sum::<u64>() == count as u64;
        (are_ready && are_available && pods.len() == count && said == running).then_some(())
    })
    .await;
    let until_then = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until_then {
        assert_eq!(ledger.count_running(), count, "it stays so");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(ledger.faults(), Vec::<String>::new());
}

async fn a_control_plane_that_is_killed_at_any_moment_loses_no_pod_and_doubles_none() {
    let ground = Ground::new(None).await;
    let mut orchestrator = ground.orchestrator().await;
    let nodes = nodes(&[&orchestrator]).await;
    let mut random = random();
    let url = vec![orchestrator.url().to_owned()];
    for (method, replicas) in [(Method::POST, REPLICAS), (Method::PUT, REPLICAS / 4), (Method::PUT, REPLICAS)] {
        let asking = ask(url.clone(), method, replicas);
        for _ in 0..scaled(2, 30) {
            tokio::time::sleep(Duration::from_millis(random.between(0, 900))).await;
            orchestrator.crash().await;
        }
        asking.await.expect("it is asked");
        settles(&orchestrator, &nodes, WORKLOADS * replicas).await;
    }
}

async fn a_database_that_is_restarted_at_any_moment_loses_no_pod_and_doubles_none() {
    let mut postgres = Postgres::own().await;
    let ground = Ground::new(Some(&postgres)).await;
    let orchestrator = ground.orchestrator().await;
    let nodes = nodes(&[&orchestrator]).await;
    let mut random = random();
    let url = vec![orchestrator.url().to_owned()];
    for (method, replicas) in [(Method::POST, REPLICAS), (Method::PUT, REPLICAS / 4)] {
        let asking = ask(url.clone(), method, replicas);
        for _ in 0..scaled(2, 30) {
            tokio::time::sleep(Duration::from_millis(random.between(0, 900))).await;
            postgres.restart_immediately().await;
        }
        asking.await.expect("it is asked");
        settles(&orchestrator, &nodes, WORKLOADS * replicas).await;
    }
}

/// Other moments each time: the seed is told, though what a system does at a moment can't be had again.
fn random() -> Random {
    let seed = uuid::Uuid::new_v4().as_u64_pair().0;
    eprintln!("moments by seed {seed}");
    Random::seeded(seed)
}

/// Two replicas; which of them leads is found out by their words.
async fn leader_of(replicas: &[Orchestrator; 2], terms_before: usize) -> (usize, Duration) {
    let began = Instant::now();
    let which = until("one of them to lead", LIMIT, async || {
        let led: usize = replicas.iter().map(terms).sum();
        // Who led last says so last: terms count up.
        (led > terms_before).then(|| (0..2).max_by_key(|number| last_term(&replicas[*number])).expect("there are two"))
    })
    .await;
    (which, began.elapsed())
}

fn terms(orchestrator: &Orchestrator) -> usize {
    orchestrator.output().lines().filter(|line| is_beginning(line)).count()
}

fn is_beginning(line: &str) -> bool {
    line.contains("leads") && !line.contains("leads no more") && line.contains("term=")
}

fn last_term(orchestrator: &Orchestrator) -> u64 {
    let output = orchestrator.output();
    let last = output.lines().rev().find(|line| is_beginning(line));
    let term = last.and_then(|line| line.split_once("term=")).map(|(_, rest)| rest);
    term.and_then(|rest| rest.split(|sign: char| !sign.is_ascii_digit()).next()?.parse().ok()).unwrap_or_default()
}

async fn a_leader_that_is_suspended_past_its_lease_binds_nothing_twice() {
    let ground = Ground::new(Some(Postgres::shared().await)).await;
    let replicas = [ground.orchestrator().await, ground.orchestrator().await];
    suspensions(&replicas, scaled(2, 10)).await;
}

async fn leaders_whose_clocks_are_apart_bind_nothing_twice() {
    let ground = Ground::new(Some(Postgres::shared().await)).await;
    let clocks = [Clock::new(), Clock::new()];
    clocks[0].set_ahead(300);
    clocks[1].set_ahead(-300);
    let [ahead, behind] = &clocks;
    let replicas = [
        Orchestrator::by_clock(&ground.registry, &[HOST], &ground.values, ahead).await,
        Orchestrator::by_clock(&ground.registry, &[HOST], &ground.values, behind).await,
    ];
    // The clocks are apart indeed: each dates its answers by its own.
    for (replica, apart) in replicas.iter().zip([300, -300]) {
        let answer = Client::new(replica.url()).get("/api/v1/nodes").await;
        let date = jiff::fmt::rfc2822::parse(answer.required("date")).expect("an answer is dated").timestamp();
        let off = date.as_second() - jiff::Timestamp::now().as_second();
        assert!((off - apart).abs() < 30, "{off} s instead of {apart}");
    }
    suspensions(&replicas, scaled(1, 10)).await;
}

/// Suspends whoever leads while pods are placed, until the other has placed more; then lets it go on, and does the same with the other.
async fn suspensions(replicas: &[Orchestrator; 2], rounds: usize) {
    let nodes = nodes(&[&replicas[0], &replicas[1]]).await;
    let urls: Vec<String> = replicas.iter().map(|replica| replica.url().to_owned()).collect();
    let mut random = random();
    let (mut leader, _) = leader_of(replicas, 0).await;
    let (mut replicas_wanted, mut method) = (REPLICAS, Method::POST);
    for round in 0..rounds {
        let terms_before = replicas.iter().map(terms).sum();
        let asking = ask(urls.clone(), method, replicas_wanted);
        tokio::time::sleep(Duration::from_millis(random.between(0, 1_000))).await;
        replicas[leader].pause();
        let (next, took) = leader_of(replicas, terms_before).await;
        assert!(next != leader, "who is suspended does not lead");
        assert!(took < TAKEOVER, "it took {took:?} until another led");
        asking.await.expect("it is asked");
        let ledger = nodes.ledger();
        let wanted = WORKLOADS * replicas_wanted;
        if round % 2 == 0 {
            // It comes back while the other is at it.
            replicas[leader].go_on();
        }
        until("as many pods to run as are wanted", LIMIT, async || (ledger.count_running() == wanted).then_some(())).await;
        replicas[leader].go_on();
        settles(&replicas[next], &nodes, wanted).await;
        leader = next;
        (replicas_wanted, method) = (if round % 2 == 0 { REPLICAS / 4 } else { REPLICAS }, Method::PUT);
    }
}
