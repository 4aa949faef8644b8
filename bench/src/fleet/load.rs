//! Callers who want pods, evenly over time, whatever becomes of what they have asked for.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use http::Method;
use jiff::Timestamp;
use longshore_tests::{Answer, Client, NodeLedger};
use serde::Serialize;
use tokio::{sync::Semaphore, task::JoinSet};

use super::{FleetOptions, ground::Ground, ground::name};
use crate::error::BenchError;

/// How many requests are on their way at most.
const AT_ONCE: usize = 64;
/// How long the last pods may take.
const LAST: Duration = Duration::from_mins(2);

/// What was asked for, and when.
pub(super) struct Asked {
    replicas: u32,
    began: HashMap<String, Instant>,
}

/// How long something took.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the unit is part of what the figures are called in the file")]
pub(super) struct Waits {
    pub(super) p50_ms: f64,
    pub(super) p95_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) most_ms: f64,
}

impl Waits {
    fn of(mut waits: Vec<Duration>) -> Self {
        waits.sort_unstable();
        let at = |percent: usize| {
            let index = (waits.len() * percent / 100).min(waits.len().saturating_sub(1));
            waits.get(index).map_or(0.0, |wait| wait.as_secs_f64() * 1e3)
        };
        Self { p50_ms: at(50), p95_ms: at(95), p99_ms: at(99), most_ms: at(100) }
    }
}

impl Asked {
    pub(super) fn pods(&self) -> usize {
        self.began.len() * self.replicas as usize
    }

    /// From the beginning of the request until a node was told, of each pod.
    pub(super) fn waits(&self, ledger: &NodeLedger) -> Waits {
        let wait = |heard: longshore_tests::Heard| Some(heard.at.saturating_duration_since(*self.began.get(&heard.workload)?));
        Waits::of(ledger.heard().into_iter().filter_map(wait).collect())
    }
}

/// Asks for deployments at the wanted rate, and waits until a node was told of each pod.
pub(super) async fn ask(options: &FleetOptions, ground: &Ground, ledger: &NodeLedger) -> Result<Asked, BenchError> {
    let every = Duration::from_mins(1) * options.replicas / options.pods_per_minute;
    let count = (options.minutes * options.pods_per_minute / options.replicas) as usize;
    let client = Client::new(ground.urls()[0]);
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut asking = JoinSet::new();
    let mut began = HashMap::with_capacity(count);
    let mut ticks = tokio::time::interval(every);
    for number in 0..count {
        ticks.tick().await;
        // When it was to be asked, even where the server lets nobody ask.
        began.insert(name(number), Instant::now());
        let Ok(permit) = room.clone().acquire_owned().await else { break };
        let request = client.request(Method::POST, "/api/v1/workloads/deployments");
        let request = request.json(&Ground::deployment(number, options.replicas));
        asking.spawn(async move {
            let _permit = permit;
            Answer::attempt(request).await.map(|answer| answer.status.as_u16())
        });
        while let Some(answered) = asking.try_join_next() {
            check(answered)?;
        }
    }
    while let Some(answered) = asking.join_next().await {
        check(answered)?;
    }
    let asked = Asked { replicas: options.replicas, began };
    let all = async || (ledger.count_heard() >= asked.pods()).then_some(());
    longshore_tests::until("nodes to be told of all pods", LAST, all).await;
    Ok(asked)
}

fn check(answered: Result<Result<u16, reqwest::Error>, tokio::task::JoinError>) -> Result<(), BenchError> {
    let asked = || "POST /api/v1/workloads/deployments".to_owned();
    match answered {
        Ok(Ok(status)) if status < 300 => Ok(()),
        Ok(Ok(status)) => Err(BenchError::Status { asked: asked(), status }),
        Ok(Err(source)) => Err(BenchError::Io { doing: asked(), source: std::io::Error::other(source) }),
        Err(source) => Err(BenchError::Io { doing: asked(), source: std::io::Error::other(source) }),
    }
}

/// From a pod's making to its binding, by what its row says.
pub(super) async fn made_to_bound(ground: &Ground) -> Waits {
    let pods = ground.orchestrators[0].every_pod().await;
    let wait = |pod: &serde_json::Value| {
        let at = |field: &str| pod[field].as_str()?.parse::<Timestamp>().ok();
        let made_to_bound = at("boundAt")?.duration_since(at("createdAt")?);
        Duration::try_from(made_to_bound).ok()
    };
    Waits::of(pods.iter().filter_map(wait).collect())
}
