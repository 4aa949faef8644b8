use std::io::{self, Write};

use clap::Args;
use longshore_client::{FleetClient, PodFilter};
use longshore_fleet::{
    Name, WorkloadId,
    api::{DeploymentView, Event, JobView, NamespaceView, NodeView, OperationView, PodView},
};

use super::{
    connection::{FleetConnection, NamespaceArguments, told},
    find,
    kind::{Kind, Target},
    output::{OutputArguments, print},
    shown::{self, Breadth, Listing},
    yaml,
};
use crate::{
    failure::Failure,
    output::{ByteCount, NOTHING, Sheet},
};

/// How many of the last events are told.
const EVENTS: u32 = 12;
/// How many pods are shown.
const MOST_PODS: usize = 50;

/// `longshore describe`.
#[derive(Args)]
pub struct DescribeArguments {
    /// What: `pod NAME`, `node/NAME`; deployments, jobs, namespaces and operations, too
    #[arg(required = true, value_name = "KIND NAME")]
    what: Vec<String>,
    #[command(flatten)]
    place: NamespaceArguments,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    connection: FleetConnection,
}

impl DescribeArguments {
    pub async fn run(self) -> Result<(), Failure> {
        let (kind, targets) = Target::read(&self.what).map_err(Failure::Usage)?;
        let [Target { kind, name }] = targets.as_slice() else {
            return Err(Failure::Usage(format!("which {kind}? `longshore describe {kind} NAME`")));
        };
        let (client, namespace, output) = (&self.connection.client()?, &self.place.namespace, self.output);
        match kind {
            Kind::Deployment => deployment(client, &find::workload(client, namespace, name).await?, output).await,
            Kind::Job => job(client, &find::workload(client, namespace, name).await?, output).await,
            Kind::Pod => pod(client, &find::pod(client, namespace, name).await?, output).await,
            Kind::Node => node(client, &find::node(client, name).await?, output).await,
            Kind::Namespace => {
                let view = client.namespace(&find::name(name)?).await.map_err(|error| told(&error))?;
                print(output.output, &view, |out| facts(out, namespace_facts(&view)))
            }
            Kind::Operation => {
                let view = find::operation(client, name).await?;
                print(output.output, &view, |out| operation(out, &view))
            }
            Kind::Event => Err(find::unfit("describe", Kind::Event, "what they are of")),
        }
    }
}

type Facts = Vec<(&'static str, String)>;

fn facts(out: &mut impl Write, facts: Facts) -> io::Result<()> {
    let rows = facts.into_iter().filter(|(_, value)| !value.is_empty());
    Sheet::headless(2).write(out, rows.map(|(name, value)| vec![format!("{name}:"), value]))
}

fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

async fn deployment(client: &FleetClient, view: &DeploymentView, output: OutputArguments) -> Result<(), Failure> {
    let around = Around::of_workload(client, &view.spec.upkeep.namespace, view.deployment_id.into(), output).await?;
    print(output.output, view, |out| {
        let (spec, status) = (&view.spec.upkeep, &view.status);
        let pods = format!(
            "{} of {} ready, {} updated, {} available, {} without a node",
            status.ready, status.wanted, status.updated, status.available, status.unplaced
        );
        let template = &view.spec.template;
        facts(
            out,
            vec![
                ("Deployment", spec.name.to_string()),
                ("Namespace", spec.namespace.to_string()),
                ("Id", view.deployment_id.to_string()),
                ("State", status.state.to_string()),
                ("Why", text(status.message.as_ref())),
                ("Pods", pods),
                ("Revision", format!("{}, its pods are of {}", view.revision, view.template_revision)),
                ("Image", template.image.to_string()),
                ("Runs", view.image.to_string()),
                ("Made", shown::whole_second(view.created_at)),
                ("Changed", shown::whole_second(view.updated_at)),
            ],
        )?;
        spec_of(out, &view.spec)?;
        around.write(out)
    })
}

async fn job(client: &FleetClient, view: &JobView, output: OutputArguments) -> Result<(), Failure> {
    let around = Around::of_workload(client, &view.spec.work.namespace, view.job_id.into(), output).await?;
    print(output.output, view, |out| {
        let (work, status) = (&view.spec.work, &view.status);
        let done = format!("{} of {} done, {} there, {} failed", status.succeeded, work.completions, status.pods, status.failed);
        facts(
            out,
            vec![
                ("Job", work.name.to_string()),
                ("Namespace", work.namespace.to_string()),
                ("Id", view.job_id.to_string()),
                ("State", status.state.to_string()),
                ("Why", text(status.message.as_ref())),
                ("Pods", done),
                ("Runs", view.image.to_string()),
                ("Made", shown::whole_second(view.created_at)),
            ],
        )?;
        spec_of(out, &view.spec)?;
        around.write(out)
    })
}

async fn pod(client: &FleetClient, view: &PodView, output: OutputArguments) -> Result<(), Failure> {
    let events = last_events(client, Some(&view.namespace), &view.pod_id.to_string(), output).await?;
    let around = Around { pods: Vec::new(), events };
    print(output.output, view, |out| {
        let state = &view.state;
        facts(
            out,
            vec![
                ("Pod", view.name.clone()),
                ("Namespace", view.namespace.to_string()),
                ("Id", view.pod_id.to_string()),
                ("Of", format!("{}/{}, revision {}", view.owner.kind, view.owner.name, view.owner.revision)),
                ("Node", view.node.as_ref().map_or_else(|| NOTHING.to_owned(), ToString::to_string)),
                ("Phase", shown::phase(view)),
                ("Why", text(state.message.as_ref())),
                ("Ready", shown::yes(state.ready)),
                ("Restarts", state.restarts.to_string()),
                ("Last exit code", text(state.exit_code)),
                ("Image", view.image.to_string()),
                ("Address", text(state.address.as_ref())),
                ("Missing when placed", text(view.missing_bytes.map(ByteCount))),
                ("Made", shown::whole_second(view.created_at)),
                ("Placed", text(view.bound_at.map(shown::whole_second))),
                ("Started", text(state.started_at.map(shown::whole_second))),
                ("Started in", text(state.started_in_ms.map(shown::seconds))),
            ],
        )?;
        around.write(out)
    })
}

/// Shows a node.
pub async fn node(client: &FleetClient, view: &NodeView, output: OutputArguments) -> Result<(), Failure> {
    let filter = PodFilter { node: Some(view.name.clone()), ..PodFilter::default() };
    let around = Around {
        pods: if output.output.is_for_people() { few_pods(client, &filter).await? } else { Vec::new() },
        events: last_events(client, None, &view.node_id.to_string(), output).await?,
    };
    print(output.output, view, |out| {
        facts(
            out,
            vec![
                ("Node", view.name.to_string()),
                ("Id", view.node_id.to_string()),
                ("State", shown::state(view)),
                ("Zone", text(view.zone.as_ref())),
                ("Labels", shown::labels(view.labels.iter())),
                ("Taints", shown::taints(view)),
                ("Platform", view.platform.to_string()),
                ("CPU", format!("{} free of {}", view.cpu.free, view.cpu.all)),
                ("Memory", format!("{} free of {}", ByteCount(view.memory.free.count), ByteCount(view.memory.all.count))),
                ("Pods", format!("{} more of {}", view.pods.free, view.pods.all)),
                ("Disk free", ByteCount(view.disk_free_bytes).to_string()),
                ("Layers", view.layers.to_string()),
                ("Runtime", view.runtime.clone()),
                ("Agent", view.version.clone()),
                ("Address", text(view.address.as_ref())),
                ("Heard of", text(view.heard_at.map(shown::whole_second))),
                ("Joined", shown::whole_second(view.joined_at)),
            ],
        )?;
        around.write(out)
    })
}

fn namespace_facts(view: &NamespaceView) -> Facts {
    let quota = &view.spec.quota;
    let of = |asked: String, quota: Option<String>| match quota {
        Some(quota) => format!("{asked} of {quota}"),
        None => format!("{asked}, without a bound"),
    };
    let memory = |memory: longshore_fleet::Bytes| ByteCount(memory.count).to_string();
    vec![
        ("Namespace", view.spec.name.to_string()),
        ("Revision", view.revision.to_string()),
        ("Pods", of(view.pods.to_string(), quota.pods.map(|pods| pods.to_string()))),
        ("CPU", of(view.asked.cpu.unwrap_or_default().to_string(), quota.cpu.map(|cpu| cpu.to_string()))),
        ("Memory", of(memory(view.asked.memory.unwrap_or_default()), quota.memory.map(memory))),
        ("Allows", shown::allows(view)),
    ]
}

/// An operation, node by node.
pub fn operation(out: &mut impl Write, view: &OperationView) -> io::Result<()> {
    facts(
        out,
        vec![
            ("Operation", view.operation_id.to_string()),
            ("State", shown::operation_state(view.state).to_owned()),
            ("Asked for", shown::whole_second(view.created_at)),
            ("Ended", text(view.ended_at.map(shown::whole_second))),
            ("Bytes", format!("{} of {}", ByteCount(view.bytes_done), ByteCount(view.bytes_total))),
        ],
    )?;
    writeln!(out)?;
    shown::write_fetches(out, view)
}

/// What is wanted, as a person writes it.
fn spec_of(out: &mut impl Write, spec: &impl serde::Serialize) -> io::Result<()> {
    let written = yaml::write(spec).map_err(io::Error::other)?;
    writeln!(out, "\nWanted:")?;
    written.lines().try_for_each(|line| writeln!(out, "  {}", crate::output::printable(line)))
}

/// What there is besides.
struct Around {
    pods: Vec<PodView>,
    events: Vec<Event>,
}

impl Around {
    /// Asked for in its namespace, as whoever describes it may look there and nowhere else.
    async fn of_workload(
        client: &FleetClient,
        namespace: &Name,
        id: WorkloadId,
        output: OutputArguments,
    ) -> Result<Self, Failure> {
        if !output.output.is_for_people() {
            return Ok(Self { pods: Vec::new(), events: Vec::new() });
        }
        let filter = PodFilter { namespace: Some(namespace.clone()), workload: Some(id), ..PodFilter::default() };
        let pods = few_pods(client, &filter).await?;
        Ok(Self { pods, events: last_events(client, Some(namespace), &id.to_string(), output).await? })
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        if !self.pods.is_empty() {
            writeln!(out, "\nPods:")?;
            let breadth = Breadth { all_namespaces: true, wide: false };
            Listing::new::<PodView>(breadth).write(out, &self.pods[..self.pods.len().min(MOST_PODS)])?;
            if self.pods.len() > MOST_PODS {
                writeln!(out, "and more; `longshore get pods` shows them")?;
            }
        }
        if self.events.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nWhat has happened:")?;
        Listing::new::<Event>(Breadth::default()).write(out, &self.events)
    }
}

async fn few_pods(client: &FleetClient, filter: &PodFilter) -> Result<Vec<PodView>, Failure> {
    let page = client.pods(filter).next_page().await.map_err(|error| told(&error))?;
    Ok(page.map(|page| page.items).unwrap_or_default())
}

async fn last_events(
    client: &FleetClient,
    namespace: Option<&Name>,
    id: &str,
    output: OutputArguments,
) -> Result<Vec<Event>, Failure> {
    if !output.output.is_for_people() {
        return Ok(Vec::new());
    }
    client.events(namespace, Some(id), EVENTS).await.map_err(|error| told(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_stand_below_each_other_and_what_is_not_known_does_not() {
        let mut out = Vec::new();
        let told = vec![("Pod", "a".to_owned()), ("Why", String::new()), ("Last exit code", "1".to_owned())];
        facts(&mut out, told).expect("memory takes it");
        assert_eq!(String::from_utf8(out).expect("text"), "Pod:             a\nLast exit code:  1\n");
    }
}
