//! What becomes of a fleet whose leader is killed.

use std::time::{Duration, Instant};

use http::Method;
use longshore_tests::{Answer, Client, NodeLedger, until};
use serde::Serialize;

use super::{FleetOptions, ground::Ground};
use crate::error::BenchError;

/// How long it may take.
const LIMIT: Duration = Duration::from_mins(3);
/// The number of the deployment that is asked for meanwhile: none other has it.
const LATER: usize = 1_000_000_000;

/// How long things took since the leader was killed, in seconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the unit is part of what the figures are called in the file")]
pub(super) struct Outage {
    /// Until another leads, with everything loaded: it answers what leaders alone know.
    pub(super) leads_seconds: f64,
    /// Until a node was told of a pod that was asked for after that.
    pub(super) placed_seconds: f64,
    /// Until all nodes listen again.
    pub(super) listening_seconds: f64,
}

/// Kills whoever leads: where there is another it leads next, and where there is none it is started again.
pub(super) async fn measure(options: &FleetOptions, ground: &mut Ground, ledger: &NodeLedger) -> Result<Outage, BenchError> {
    let leader = ground.orchestrators.iter().position(leads).unwrap_or(0);
    let began = Instant::now();
    ground.orchestrators[leader].kill();
    if ground.orchestrators.len() == 1 {
        ground.orchestrators[0].start_again().await;
    }
    let next = ground.orchestrators.len() - 1 - leader;
    let client = Client::new(ground.orchestrators[next].url());
    until("another to lead", LIMIT, async || {
        let answer = Answer::attempt(client.request(Method::GET, "/api/v1/nodes/health")).await.ok()?;
        answer.status.is_success().then_some(())
    })
    .await;
    let leads_seconds = began.elapsed().as_secs_f64();
    let before = ledger.count_heard();
    let request = client.request(Method::POST, "/api/v1/workloads/deployments").json(&Ground::deployment(LATER, 1));
    let answer = Answer::attempt(request).await;
    let status = answer.map_or(0, |answer| answer.status.as_u16());
    if !(200..300).contains(&status) {
        return Err(BenchError::Status { asked: "POST /api/v1/workloads/deployments".to_owned(), status });
    }
    until("a node to be told of a new pod", LIMIT, async || (ledger.count_heard() > before).then_some(())).await;
    let placed_seconds = began.elapsed().as_secs_f64();
    let all = u64::from(options.nodes);
    until("all nodes to listen again", LIMIT, async || (ledger.listening() == all).then_some(())).await;
    Ok(Outage { leads_seconds, placed_seconds, listening_seconds: began.elapsed().as_secs_f64() })
}

/// Whether one leads, by its own words.
fn leads(orchestrator: &longshore_tests::Orchestrator) -> bool {
    let output = orchestrator.output();
    let last = output.lines().rev().find(|line| line.contains("term="));
    last.is_some_and(|line| !line.contains("leads no more"))
}
