mod doing;
mod printer;

use clap::Args;
use longshore_client::FleetError;

use super::{
    connection::{FleetConnection, NamespaceArguments, TermsArguments, told},
    counted::counted,
    manifest::{self, Manifest, Source},
    output::OutputArguments,
};
use crate::failure::Failure;
use doing::{apply, plan_of};
use printer::Printer;

/// `longshore apply`.
#[derive(Args)]
#[command(mut_arg("namespace", |namespace| namespace.help("The namespace of documents that name none")))]
pub struct ApplyArguments {
    /// A file of YAML or JSON documents, a folder of such files, or - for what is written to us; can be given more than once
    #[arg(short, long = "file", required = true, value_name = "FILE", value_parser = |text: &str| Ok::<_, String>(Source::from(text.to_owned())))]
    files: Vec<Source>,
    /// Only say what would change, and where pods would go; fails with 6 where some would fit nowhere
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    terms: TermsArguments,
    #[command(flatten)]
    place: NamespaceArguments,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    connection: FleetConnection,
}

impl ApplyArguments {
    /// Reads all documents first; where something is wrong with one, nothing is done. What is refused by the orchestrator holds up nothing
    /// else.
    pub async fn run(self) -> Result<(), Failure> {
        let manifests = manifest::read(&self.files, Some(&self.place.namespace))?;
        let client = self.connection.client()?;
        let mut printer = Printer::new(self.output.output, manifests.len() > 1);
        let (mut refusals, mut applied) = (Vec::new(), 0);
        let mut unplaced = 0;
        let terms = self.terms.terms();
        for (index, manifest) in manifests.iter().enumerate() {
            let done = if self.plan {
                plan_of(&client, &manifests[..index], &manifest.wish).await
            } else {
                apply(&client, &manifest.wish, terms).await
            };
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
        // A plan does nothing, whatever becomes of the others.
        let is_done = applied > 0 && !self.plan;
        summary(refusals, (applied, manifests.len()), is_done, unplaced)
    }
}

/// What all of it came to, where so many of so many documents were applied, and whether anything is other than before by that.
fn summary(mut refusals: Vec<Failure>, (applied, count): (usize, usize), is_done: bool, unplaced: u32) -> Result<(), Failure> {
    if refusals.is_empty() {
        let would = || Failure::NoRoom(format!("{} would fit nowhere", counted(unplaced, "pod")));
        return if unplaced > 0 { Err(would()) } else { Ok(()) };
    }
    let first = refusals.remove(0);
    if count == 1 {
        return Err(first);
    }
    let left = count - applied;
    let is_same = refusals.iter().all(|other| other.code() == first.code());
    let text = format!("{left} of {count} documents were not applied");
    // A mistake is one of those codes that say that nothing was done.
    let is_told = is_same && !(is_done && matches!(first, Failure::Usage(_)));
    Err(if is_told { first.with_text(text) } else { Failure::Failed(text) })
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fleet::played::{Played, refusal};

    #[test]
    fn the_exit_code_is_that_of_what_was_refused() {
        let conflict = || Failure::Conflict("somebody else".to_owned());
        assert!(summary(Vec::new(), (3, 3), true, 0).is_ok());
        assert_eq!(summary(Vec::new(), (1, 1), false, 2).expect_err("no room").code(), 6);
        let one = summary(vec![conflict()], (0, 1), false, 0).expect_err("a conflict");
        assert_eq!((one.code(), one.to_string().as_str()), (5, "somebody else"));
        let two = summary(vec![conflict(), conflict()], (1, 3), true, 0).expect_err("conflicts");
        assert_eq!((two.code(), two.to_string().as_str()), (5, "2 of 3 documents were not applied"));
        let mixed = summary(vec![conflict(), Failure::NoRoom("full".to_owned())], (1, 3), true, 0).expect_err("several");
        assert_eq!(mixed.code(), 1);
        let lost =
            summary(vec![Failure::Failed("nobody answers".to_owned())], (1, 4), true, 0).expect_err("it was lost on the way");
        assert_eq!(lost.to_string(), "3 of 4 documents were not applied");
    }

    #[test]
    fn a_mistake_is_one_only_where_nothing_was_done() {
        let mistake = || Failure::Usage("replicas: is too many".to_owned());
        let code = |refusals, applied, is_done| summary(refusals, applied, is_done, 0).expect_err("a mistake").code();
        assert_eq!(code(vec![mistake()], (0, 1), false), 2);
        assert_eq!(code(vec![mistake(), mistake()], (0, 2), false), 2);
        assert_eq!(code(vec![mistake()], (1, 2), true), 1, "the other one was applied");
        assert_eq!(code(vec![mistake()], (1, 2), false), 2, "it was a plan");
    }

    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        apply: ApplyArguments,
    }

    /// A plan is of the whole spec, which takes away what it no longer has, and in the namespace that the file makes.
    #[tokio::test]
    async fn a_file_is_planned_as_it_would_be_applied() {
        let played = Played::new(|line, _| match line {
            "GET /api/v1/namespaces/team" => refusal("404_NOT_FOUND"),
            _ => (
                200,
                json!({"name": "a", "isNew": true, "image": "localhost:5000/a:1", "makes": 0, "ends": 0, "changes": [], "placements": [],
                    "unplaced": 0, "remedies": []}),
            ),
        })
        .await;
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.yaml");
        let text = "{kind: Namespace, name: team, quota: {pods: 9}}\n---\n{kind: Deployment, namespace: team, name: a, image: 'localhost:5000/a:1'}\n---\n\
                    {kind: Deployment, name: b, image: 'localhost:5000/a:1'}\n";
        std::fs::write(&file, text).expect("it can be written");
        let file = file.display().to_string();
        let words = ["apply", "--plan", "-f", file.as_str(), "--orchestrator", played.url.as_str()];
        let program = <Program as clap::Parser>::try_parse_from(words).expect("well-formed arguments");
        program.apply.run().await.expect("it could be applied");
        assert_eq!(played.changes(), ["POST /api/v1/workloads/deployments:plan"; 2]);
        let bodies: Vec<Value> = played.asked().into_iter().map(|(_, body)| body).filter(|body| !body.is_null()).collect();
        assert_eq!(bodies[0]["namespaceSpec"]["quota"], json!({"pods": 9}));
        assert!(bodies[1].get("namespaceSpec").is_none(), "its namespace is there");
    }
}
