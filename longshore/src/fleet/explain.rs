use std::io::{self, Write};

use clap::Args;
use longshore_fleet::api::{CostView, DeploymentView, ExplanationView, JobView};

use super::{
    connection::{FleetConnection, NamespaceArguments, told},
    counted::counted,
    find,
    kind::{Kind, Target},
    output::{FleetFormat, OutputArguments, print},
    paint::{Colour, Paint},
};
use crate::{
    failure::Failure,
    output::{ByteCount, Sheet, printable},
};

/// How many nodes are named of those that are alike, unless all are asked for.
const FEW: usize = 5;

/// `longshore explain`.
#[derive(Args)]
pub struct ExplainArguments {
    /// What: `pod NAME`, or `deployment NAME` and `job NAME` for one more pod of it
    #[arg(required = true, value_name = "KIND NAME")]
    what: Vec<String>,
    #[command(flatten)]
    place: NamespaceArguments,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    connection: FleetConnection,
}

impl ExplainArguments {
    pub async fn run(self) -> Result<(), Failure> {
        let (kind, targets) = Target::read(&self.what).map_err(Failure::Usage)?;
        let [target] = targets.as_slice() else {
            return Err(Failure::Usage(format!("which {kind}? `longshore explain {kind} NAME`")));
        };
        let (client, namespace) = (self.connection.client()?, &self.place.namespace);
        let explained = match target.kind {
            Kind::Pod => client.explain_pod(find::pod(&client, namespace, &target.name).await?.pod_id).await,
            Kind::Deployment => {
                let deployment: DeploymentView = find::workload(&client, namespace, &target.name).await?;
                client.explain_workload::<DeploymentView>(deployment.deployment_id).await
            }
            Kind::Job => {
                let job: JobView = find::workload(&client, namespace, &target.name).await?;
                client.explain_workload::<JobView>(job.job_id).await
            }
            other => return Err(find::unfit("explain", other, "pods, deployments and jobs")),
        };
        let explanation = explained.map_err(|error| told(&error))?;
        let format = self.output.output;
        print(format, &explanation, |out| write(out, &explanation, format == FleetFormat::Wide, Paint::of_stdout()))
    }
}

fn write(out: &mut impl Write, explanation: &ExplanationView, is_wide: bool, paint: Paint) -> io::Result<()> {
    let ExplanationView { summary, placed_at, fits, refused, remedies, .. } = explanation;
    writeln!(out, "{}", printable(summary))?;
    if let Some(cost) = placed_at {
        writeln!(out, "when it was placed there it cost {}", terms(*cost))?;
    }
    let most = if is_wide { usize::MAX } else { FEW };
    if !fits.is_empty() {
        let head = format!("fits on {}:", nodes(fits.len()));
        writeln!(out, "\n{}", paint.text(Colour::Green, &head))?;
        let header = ["  NODE", "SECONDS", "START", "BALANCE", "PREFERENCE", "HEALTH", "NEIGHBOURS", "MISSING"];
        let rows = fits.iter().take(most.saturating_mul(2)).map(|fit| {
            let cost = &fit.cost;
            let terms = [
                cost.total_seconds,
                cost.start_seconds,
                cost.balance_seconds,
                cost.preference_seconds,
                cost.health_seconds,
                cost.neighbours_seconds,
            ];
            let terms = terms.iter().map(|seconds| format!("{seconds:.2}"));
            let missing = ByteCount(cost.missing_bytes).to_string();
            std::iter::once(format!("  {}", fit.node)).chain(terms).chain([missing]).collect()
        });
        Sheet::new(header.into()).write(out, rows)?;
        rest(out, fits.len(), most.saturating_mul(2))?;
    }
    if !refused.is_empty() {
        let count = refused.iter().map(|group| group.nodes.len()).sum();
        writeln!(out, "\n{}", paint.text(Colour::Red, &format!("does not fit on {}:", nodes(count))))?;
        for group in refused {
            let named: Vec<String> = group.nodes.iter().take(most).map(ToString::to_string).collect();
            let more = group.nodes.len().saturating_sub(named.len());
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let reasons: Vec<String> = group.reasons.iter().map(|reason| printable(reason)).collect();
            writeln!(out, "  {}: {} ({}{more})", nodes(group.nodes.len()), reasons.join("; "), named.join(", "))?;
        }
    }
    if !remedies.is_empty() {
        writeln!(out, "\nwhat would make it fit:")?;
        remedies.iter().try_for_each(|remedy| writeln!(out, "  {}", printable(remedy)))?;
    }
    Ok(())
}

fn rest(out: &mut impl Write, count: usize, shown: usize) -> io::Result<()> {
    match count.saturating_sub(shown) {
        0 => Ok(()),
        more => writeln!(out, "  and {more} more, which cost more; -o wide shows them"),
    }
}

fn nodes(count: usize) -> String {
    counted(count, "node")
}

/// What a node costs, term by term.
fn terms(cost: CostView) -> String {
    let CostView {
        total_seconds, start_seconds, balance_seconds, preference_seconds, health_seconds, neighbours_seconds, ..
    } = cost;
    let missing = ByteCount(cost.missing_bytes);
    format!(
        "{total_seconds:.2} s: {start_seconds:.2} s until its bytes are there ({missing} missing), {balance_seconds:.2} s for balance, \
         {preference_seconds:.2} s for preferences, {health_seconds:.2} s for the node's health, {neighbours_seconds:.2} s for \
         neighbours"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn explanation() -> ExplanationView {
        let cost = |total: f32, missing: u64| {
            json!({"node": "n1", "totalSeconds": total, "startSeconds": 1.5, "balanceSeconds": 0.25, "preferenceSeconds": 0.0,
                "healthSeconds": 0.0, "neighboursSeconds": 0.5, "missingBytes": missing})
        };
        let names: Vec<String> = (0..7).map(|number| format!("m{number}")).collect();
        serde_json::from_value(json!({
            "summary": "hello-7f9c-a3 is on n1", "node": "n1", "placedAt": cost(2.25, 3 << 20), "fits": [cost(0.75, 0)],
            "refused": [{"reasons": ["500m of CPU short", "taint gpu=yes:NoSchedule"], "nodes": names}, {"reasons": ["cordoned"], "nodes": ["n9"]}],
            "remedies": ["free 500m of CPU on one (7 nodes)"],
        }))
        .expect("an explanation")
    }

    fn written(is_wide: bool) -> String {
        let mut out = Vec::new();
        write(&mut out, &explanation(), is_wide, Paint::default()).expect("memory takes it");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn every_node_has_its_verdict() {
        let text = written(false);
        let expected = [
            "hello-7f9c-a3 is on n1\nwhen it was placed there it cost 2.25 s: 1.50 s until its bytes are there (3.0 MiB missing), ",
            "\nfits on 1 node:\n  NODE  SECONDS  START  BALANCE  PREFERENCE  HEALTH  NEIGHBOURS  MISSING\n",
            "\n  n1    0.75     1.50   0.25     0.00        0.00    0.50        0 B\n",
            "\ndoes not fit on 8 nodes:\n  7 nodes: 500m of CPU short; taint gpu=yes:NoSchedule (m0, m1, m2, m3, m4 and 2 more)\n",
            "  1 node: cordoned (n9)\n\nwhat would make it fit:\n  free 500m of CPU on one (7 nodes)\n",
        ];
        for part in expected {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(written(true).contains("(m0, m1, m2, m3, m4, m5, m6)"));
    }
}
