use std::io::{BufWriter, Write as _, stdout};

use clap::Args;
use longshore_client::{FleetClient, FleetError, Terms, Workload};
use longshore_fleet::{
    Name, NamespaceSpec, Upkeep,
    api::{Applied, Code, DeploymentView, JobView, Plan},
};
use serde::Serialize;

use super::{
    connection::{FleetConnection, TermsArguments, told},
    manifest::{self, Manifest, Source, Wish},
    output::{FleetFormat, OutputArguments, Values},
    paint::Paint,
    plan,
};
use crate::failure::Failure;

/// `longshore apply`.
#[derive(Args)]
pub struct ApplyArguments {
    /// A file of YAML or JSON documents, a folder of such files, or - for what is written to us; can be given more than once
    #[arg(short, long = "file", required = true, value_name = "FILE", value_parser = |text: &str| Ok::<_, String>(Source::from(text.to_owned())))]
    files: Vec<Source>,
    /// Only say what would change, and where pods would go; fails with 6 where some would fit nowhere
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    terms: TermsArguments,
    /// The namespace of documents that name none
    #[arg(short, long, value_name = "NAMESPACE", env = "LONGSHORE_NAMESPACE", hide_env_values = true)]
    namespace: Option<Name>,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    connection: FleetConnection,
}

/// What came of a document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    file: String,
    document: usize,
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<Name>,
    name: Name,
    #[serde(rename = "result")]
    came: Came,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<Plan>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// What was done.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Came {
    Created,
    Changed,
    Unchanged,
    Planned,
    Refused,
}

/// What one request came to.
struct Done {
    came: Came,
    revision: Option<u64>,
    plan: Option<Plan>,
}

impl ApplyArguments {
    /// Reads all documents first; where something is wrong with one, nothing is done. What is refused by the orchestrator holds up nothing
    /// else.
    pub async fn run(self) -> Result<(), Failure> {
        let manifests = manifest::read(&self.files, self.namespace.as_ref())?;
        let client = self.connection.client()?;
        let mut printer = Printer::new(self.output.output, manifests.len() > 1);
        let (mut refusals, mut applied) = (Vec::new(), 0);
        let mut unplaced = 0;
        let terms = self.terms.terms();
        for manifest in &manifests {
            let done =
                if self.plan { plan_of(&client, &manifest.wish).await } else { apply(&client, &manifest.wish, terms).await };
            match done {
                Ok(done) => {
                    applied += 1;
                    unplaced += done.plan.as_ref().map_or(0, |plan| plan.unplaced);
                    printer.print(manifest, Ok(done))?;
                }
                Err(error) => {
                    let is_lost = matches!(error, FleetError::Unreachable { .. } | FleetError::Login { .. });
                    let failure = told_at(manifest, &error);
                    printer.print(manifest, Err(&failure))?;
                    refusals.push(failure);
                    if is_lost {
                        // Nobody would answer to the others either.
                        break;
                    }
                }
            }
        }
        printer.finish()?;
        summary(refusals, applied, manifests.len(), unplaced)
    }
}

/// What all of it came to, where so many of so many documents were applied.
fn summary(mut refusals: Vec<Failure>, applied: usize, count: usize, unplaced: u32) -> Result<(), Failure> {
    if refusals.is_empty() {
        let would = || Failure::NoRoom(format!("{unplaced} pods would fit nowhere"));
        return if unplaced > 0 { Err(would()) } else { Ok(()) };
    }
    let first = refusals.remove(0);
    if count == 1 {
        return Err(first);
    }
    let left = count - applied;
    let is_same = refusals.iter().all(|other| other.code() == first.code());
    let text = format!("{left} of {count} documents were not applied");
    Err(if is_same { first.with_text(text) } else { Failure::Failed(text) })
}

fn told_at(manifest: &Manifest, error: &FleetError) -> Failure {
    let place = &manifest.place;
    let failure = told(error);
    let text = match error {
        FleetError::Refused { problem, .. } if !problem.faults.is_empty() => {
            let faults: Vec<String> = problem.faults.iter().map(|fault| place.fault(fault)).collect();
            format!("{} ({})\n  {}", first_line(&problem.to_string()), problem.code.as_str(), faults.join("\n  "))
        }
        _ => failure.to_string(),
    };
    let text = format!("{place}: {}/{}: {text}", manifest.wish.kind(), manifest.wish.name());
    failure.with_text(text)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

async fn apply(client: &FleetClient, wish: &Wish, terms: Terms) -> Result<Done, FleetError> {
    match wish {
        Wish::Deployment(spec) => {
            workload::<DeploymentView>(client, spec, (&spec.upkeep.namespace, &spec.upkeep.name), terms).await
        }
        Wish::Job(spec) => workload::<JobView>(client, spec, (&spec.work.namespace, &spec.work.name), terms).await,
        Wish::Namespace(spec) => namespace(client, spec).await,
    }
}

async fn workload<W: Workload>(
    client: &FleetClient,
    spec: &W::Spec,
    (namespace, name): (&Name, &Name),
    terms: Terms,
) -> Result<Done, FleetError> {
    let seen: Option<W> = client.workload_named(namespace, name.as_str()).await?;
    let (came, applied) = match seen {
        Some(seen) => (Came::Changed, client.replace::<W>(seen.id(), spec, seen.revision(), terms).await?),
        None => (Came::Created, client.create::<W>(spec, terms).await?),
    };
    let Applied { changed, revision, .. } = applied;
    Ok(Done { came: if changed { came } else { Came::Unchanged }, revision: Some(revision), plan: None })
}

async fn namespace(client: &FleetClient, spec: &NamespaceSpec) -> Result<Done, FleetError> {
    let came = match client.namespace(&spec.name).await {
        Ok(seen) if seen.spec == *spec => {
            return Ok(Done { came: Came::Unchanged, revision: Some(seen.revision), plan: None });
        }
        Ok(seen) => {
            client.put_namespace(spec, Some(seen.revision)).await?;
            Came::Changed
        }
        Err(error) if error.code() == Some(Code::NotFound) => {
            client.put_namespace(spec, None).await?;
            Came::Created
        }
        Err(error) => return Err(error),
    };
    Ok(Done { came, revision: None, plan: None })
}

async fn plan_of(client: &FleetClient, wish: &Wish) -> Result<Done, FleetError> {
    let plan = match wish {
        Wish::Deployment(spec) => {
            let Upkeep { namespace, name, .. } = &spec.upkeep;
            Some(workload_plan::<DeploymentView>(client, spec, namespace, name).await?)
        }
        Wish::Job(spec) => Some(workload_plan::<JobView>(client, spec, &spec.work.namespace, &spec.work.name).await?),
        // A namespace has no pods to place; that it can be asked for is all there is to find out.
        Wish::Namespace(spec) => match client.namespace(&spec.name).await {
            Ok(seen) if seen.spec == **spec => {
                return Ok(Done { came: Came::Unchanged, revision: Some(seen.revision), plan: None });
            }
            Ok(seen) => return Ok(Done { came: Came::Planned, revision: Some(seen.revision), plan: None }),
            Err(error) if error.code() == Some(Code::NotFound) => None,
            Err(error) => return Err(error),
        },
    };
    Ok(Done { came: Came::Planned, revision: plan.as_ref().and_then(|plan| plan.revision), plan })
}

async fn workload_plan<W: Workload>(
    client: &FleetClient,
    spec: &W::Spec,
    namespace: &Name,
    name: &Name,
) -> Result<Plan, FleetError> {
    match client.workload_named::<W>(namespace, name.as_str()).await? {
        Some(seen) => client.plan_change::<W>(seen.id(), spec).await,
        None => client.plan_new::<W>(spec).await,
    }
}

/// Prints what came of each document as soon as it is known.
struct Printer {
    format: FleetFormat,
    out: BufWriter<std::io::Stdout>,
    values: Option<Values>,
    paint: Paint,
    /// Whether there are others, so that what went wrong with one is told in its place.
    has_others: bool,
}

impl Printer {
    fn new(format: FleetFormat, has_others: bool) -> Self {
        let (values, paint) = (Values::of(format), Paint::of_stdout());
        Self { format, out: BufWriter::new(stdout()), values, paint, has_others }
    }

    fn print(&mut self, manifest: &Manifest, done: Result<Done, &Failure>) -> Result<(), Failure> {
        let wish = &manifest.wish;
        let what = format!("{}/{}", wish.kind(), wish.name());
        if self.format.is_for_people() {
            match done {
                Ok(Done { plan: Some(plan), .. }) => plan::write(&mut self.out, &what, &plan, self.paint)?,
                Ok(done) => writeln!(self.out, "{what} {}{}", words(&done), revision(&done))?,
                // What went wrong is for stderr, in its order among the rest.
                Err(failure) if self.has_others => {
                    self.out.flush()?;
                    eprintln!("longshore: {failure}");
                }
                // It is all there is to tell at the end.
                Err(_) => {}
            }
            return Ok(self.out.flush()?);
        }
        let Some(values) = &mut self.values else { return Ok(()) };
        let (done, error) = match done {
            Ok(done) => (done, None),
            Err(failure) => (Done { came: Came::Refused, revision: None, plan: None }, Some(failure.to_string())),
        };
        let namespace = match wish {
            Wish::Deployment(spec) => Some(spec.upkeep.namespace.clone()),
            Wish::Job(spec) => Some(spec.work.namespace.clone()),
            Wish::Namespace(_) => None,
        };
        let (file, document) = (manifest.place.file.clone(), manifest.place.number);
        let (kind, name) = (wish.kind().to_string(), wish.name().clone());
        let Done { came, revision, plan } = done;
        values.write(&mut self.out, &[Outcome { file, document, kind, namespace, name, came, revision, plan, error }])?;
        Ok(self.out.flush()?)
    }

    fn finish(mut self) -> Result<(), Failure> {
        if let Some(values) = self.values.take() {
            values.finish(&mut self.out)?;
        }
        Ok(self.out.flush()?)
    }
}

fn words(done: &Done) -> &'static str {
    match done.came {
        Came::Created => "created",
        Came::Changed => "changed",
        Came::Unchanged => "unchanged",
        Came::Planned if done.revision.is_some() => "would be changed",
        Came::Planned => "would be new",
        Came::Refused => "refused",
    }
}

fn revision(done: &Done) -> String {
    done.revision.map(|revision| format!(", revision {revision}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_that_of_what_was_refused() {
        let conflict = || Failure::Conflict("somebody else".to_owned());
        assert!(summary(Vec::new(), 3, 3, 0).is_ok());
        assert_eq!(summary(Vec::new(), 1, 1, 2).expect_err("no room").code(), 6);
        let one = summary(vec![conflict()], 0, 1, 0).expect_err("a conflict");
        assert_eq!((one.code(), one.to_string().as_str()), (5, "somebody else"));
        let two = summary(vec![conflict(), conflict()], 1, 3, 0).expect_err("conflicts");
        assert_eq!((two.code(), two.to_string().as_str()), (5, "2 of 3 documents were not applied"));
        let mixed = summary(vec![conflict(), Failure::NoRoom("full".to_owned())], 1, 3, 0).expect_err("several");
        assert_eq!(mixed.code(), 1);
        let lost = summary(vec![Failure::Failed("nobody answers".to_owned())], 1, 4, 0).expect_err("it was lost on the way");
        assert_eq!(lost.to_string(), "3 of 4 documents were not applied");
    }
}
