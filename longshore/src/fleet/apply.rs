mod doing;
mod printer;

use clap::Args;
use longshore_client::FleetError;
use longshore_fleet::Name;

use super::{
    connection::{FleetConnection, TermsArguments, told},
    manifest::{self, Manifest, Source},
    output::OutputArguments,
};
use crate::failure::Failure;
use doing::{apply, plan_of};
use printer::Printer;

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
