//! `longshore prewarm` of the fleet's nodes, by way of the orchestrator.

use std::io::Write as _;

use clap::Args;
use longshore_client::FleetClient;
use longshore_fleet::{
    FetchState, Image, Name, OperationId, Selector,
    api::{OperationState, OperationView, PrewarmRequest},
};
use longshore_service::config::Duration as Period;
use tokio::signal::unix::{SignalKind, signal};

use super::{
    connection::{FleetConnection, NamespaceArguments, told, variable},
    describe, find,
    output::{FleetFormat, print},
    progress::Progress,
    shown::{nodes_done, operation_state},
    waiting::PAUSE,
};
use crate::{failure::Failure, output::ByteCount, prewarm::interrupt};

/// On which of the fleet's nodes. Where one of these is said the orchestrator is asked, and no edge.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Nodes of the fleet")]
#[command(mut_arg("namespace", |namespace| namespace.help("Where the deployment is")))]
pub struct FleetPrewarmArguments {
    /// On nodes with such labels, by way of the orchestrator: `disk=ssd,zone in (a,b)`
    #[arg(long, value_name = "SELECTOR")]
    nodes: Option<Selector>,
    /// On nodes of this zone
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// On the nodes where pods of this deployment would go
    #[arg(long, value_name = "DEPLOYMENT")]
    workload: Option<Name>,
    #[command(flatten)]
    place: NamespaceArguments,
    /// On all nodes; with --cancel, the operation is the orchestrator's
    #[arg(long)]
    fleet: bool,
    /// By way of this orchestrator, and of all nodes where nothing else is said; `longshore get --help` says which is asked without it
    #[arg(long, value_name = "URL")]
    orchestrator: Option<String>,
}

/// What is asked of the orchestrator.
pub struct FleetPrewarm {
    /// What is to be fetched.
    pub images: Vec<String>,
    /// How long it stays.
    pub pin: Option<Period>,
    /// How long it may take.
    pub deadline: Option<Period>,
    /// Whether nobody waits for it.
    pub detach: bool,
    /// Which operation is to end instead.
    pub cancel: Option<String>,
    /// Whom to ask.
    pub connection: FleetConnection,
    /// How to print.
    pub format: FleetFormat,
}

impl FleetPrewarmArguments {
    /// Whether the orchestrator is meant.
    pub fn is_meant(&self) -> bool {
        self.fleet || self.orchestrator.is_some() || self.nodes.is_some() || self.zone.is_some() || self.workload.is_some()
    }

    /// The orchestrator that is meant. The environment's says where it is, and not that it is meant.
    pub fn orchestrator(&self) -> Option<String> {
        self.orchestrator.clone().filter(|url| !url.is_empty()).or_else(|| variable("LONGSHORE_ORCHESTRATOR"))
    }

    /// Has nodes fetch images, and waits for them. Interrupted, it leaves them to it, and says how to end that.
    pub async fn run(self, wish: FleetPrewarm) -> Result<(), Failure> {
        let client = wish.connection.client()?;
        let format = wish.format;
        if let Some(id) = &wish.cancel {
            let id = find::operation_id(id)?;
            client.cancel_operation(id).await.map_err(|error| told(&error))?;
            let operation = client.operation(id).await.map_err(|error| told(&error))?;
            return print(format, &operation, |out| writeln!(out, "{id} is told to end"));
        }
        let request = self.request(&wish)?;
        let operation = client.prewarm(&request).await.map_err(|error| told(&error))?;
        let id = operation.operation_id;
        if wish.detach {
            return print(format, &operation, |out| writeln!(out, "{id}"));
        }
        let interruption = interrupt(signal(SignalKind::interrupt()));
        let mut progress = Progress::begin();
        let followed = tokio::select! {
            () = interruption => Err(interrupted(id, &wish.connection)),
            followed = follow(&client, operation, &mut progress) => followed,
        };
        progress.end();
        let operation = followed?;
        print(format, &operation, |out| describe::operation(out, &operation))?;
        outcome(&operation)
    }

    fn request(self, wish: &FleetPrewarm) -> Result<PrewarmRequest, Failure> {
        let images = wish
            .images
            .iter()
            .map(|text| text.parse::<Image>().map_err(|error| Failure::Usage(format!("{text:?} is no image: {error}"))));
        let seconds = |period: Period| period.get().as_secs().max(1);
        let namespace = self.workload.is_some().then_some(self.place.namespace);
        Ok(PrewarmRequest {
            images: images.collect::<Result<_, _>>()?,
            nodes: self.nodes,
            zone: self.zone,
            workload: self.workload,
            namespace,
            pin_seconds: wish.pin.map(seconds),
            deadline_seconds: wish.deadline.map(seconds),
            operation_id: None,
        })
    }
}

async fn follow(client: &FleetClient, begun: OperationView, progress: &mut Progress) -> Result<OperationView, Failure> {
    let mut operation = begun;
    while !operation.state.has_ended() {
        progress.show(&line(&operation));
        tokio::time::sleep(PAUSE).await;
        operation = client.operation(operation.operation_id).await.map_err(|error| told(&error))?;
    }
    Ok(operation)
}

/// How far it is, and which nodes are at it.
fn line(operation: &OperationView) -> String {
    let is_done = |fetches: &[longshore_fleet::api::FetchView]| fetches.iter().all(|fetch| fetch.state == FetchState::Done);
    let done = operation.nodes.values().filter(|fetches| is_done(fetches)).count();
    let (here, all) = (ByteCount(operation.bytes_done), ByteCount(operation.bytes_total));
    let busy = operation.nodes.iter().filter_map(|(node, fetches)| {
        let under_way: Vec<_> = fetches.iter().filter(|fetch| fetch.state == FetchState::Fetching).collect();
        let (here, all) = under_way.iter().fold((0, 0), |(here, all), fetch| (here + fetch.bytes_done, all + fetch.bytes_total));
        (!under_way.is_empty()).then(|| format!("; {node} {}", percentage(here, all)))
    });
    let busy: String = busy.take(4).collect();
    format!("{}: {done} of {} nodes, {here} of {all}{busy}", operation.operation_id, operation.nodes.len())
}

fn percentage(part: u64, all: u64) -> String {
    match all {
        0 => "begins".to_owned(),
        all => format!("{}%", u128::from(part.min(all)) * 100 / u128::from(all)),
    }
}

fn interrupted(id: OperationId, connection: &FleetConnection) -> Failure {
    let how = format!("longshore prewarm --cancel {id} --fleet{}", connection.flags());
    Failure::Interrupted(format!("interrupted; the nodes go on with it, until they are told to end:\n  {how}"))
}

fn outcome(operation: &OperationView) -> Result<(), Failure> {
    if operation.state == OperationState::Succeeded {
        return Ok(());
    }
    let missing = operation.nodes.len() - nodes_done(operation);
    let state = operation_state(operation.state);
    Err(Failure::Failed(format!("it {state}; {missing} of {} nodes have not all of it", operation.nodes.len())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn operation(state: &str) -> OperationView {
        let fetch = |state: &str, done: u64| json!([{"image": "localhost:5000/hello:1", "state": state, "bytesDone": done, "bytesTotal": 1 << 20}]);
        serde_json::from_value(json!({
            "operationId": "op_00000000000000000000000000000001", "state": state, "createdAt": "2026-06-01T12:00:00Z",
            "request": {"images": ["localhost:5000/hello:1"]}, "bytesDone": 3 << 19, "bytesTotal": 3 << 20,
            "nodes": {"n1": fetch("done", 1 << 20), "n2": fetch("fetching", 1 << 19), "n3": fetch("waiting", 0)},
        }))
        .expect("an operation")
    }

    #[test]
    fn says_how_far_each_node_is() {
        let text = line(&operation("running"));
        assert!(text.ends_with(": 1 of 3 nodes, 1.5 MiB of 3.0 MiB; n2 50%"), "{text}");
        assert!(outcome(&operation("succeeded")).is_ok());
        let failure = outcome(&operation("failed")).expect_err("a failure").to_string();
        assert_eq!(failure, "it failed; 2 of 3 nodes have not all of it");
    }

    #[test]
    fn an_edge_is_asked_unless_nodes_are_meant() {
        assert!(!FleetPrewarmArguments::default().is_meant());
        let place = NamespaceArguments { namespace: "team".parse().expect("a name") };
        assert!(!FleetPrewarmArguments { place, ..FleetPrewarmArguments::default() }.is_meant());
        let orchestrator = Some("o.example".to_owned());
        assert!(FleetPrewarmArguments { orchestrator, ..FleetPrewarmArguments::default() }.is_meant());
        assert!(FleetPrewarmArguments { zone: Some("a".to_owned()), ..FleetPrewarmArguments::default() }.is_meant());
    }

    #[test]
    fn whoever_interrupts_is_told_how_to_end_it() {
        let connection = FleetConnection::to(Some("o.example".to_owned()), true, None);
        let text = interrupted(operation("running").operation_id, &connection).to_string();
        let how = "longshore prewarm --cancel op_00000000000000000000000000000001 --fleet --orchestrator o.example --plain-http";
        assert!(text.ends_with(how), "{text}");
    }
}
