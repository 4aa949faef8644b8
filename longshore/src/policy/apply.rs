use std::io::{Write as _, stdout};

use clap::Args;
use longshore_client::{AppliedPolicy, ClientError, Seen, TestedImage, TestedPlace};
use serde::Serialize;

use super::{candidate::CandidateArguments, tested::Tested};
use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    output::{Format, write_json},
};

#[derive(Args)]
pub struct ApplyArguments {
    #[command(flatten)]
    candidate: CandidateArguments,
    /// Only say what would be blocked and freed; fails with 3 where something would be blocked
    #[arg(long)]
    dry_run: bool,
    /// Apply it without judging images first
    #[arg(long, conflicts_with = "dry_run")]
    untested: bool,
}

/// What was applied, if it was, and the images to which something else happens.
#[derive(Serialize)]
struct Outcome<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a AppliedPolicy>,
    judged: u64,
    changes: &'a [TestedImage],
}

impl ApplyArguments {
    /// What is printed is about the very document that is then replaced: where another was applied meanwhile, nothing is.
    pub async fn run(self, connection: &ConnectionArguments) -> Result<(), Failure> {
        let (name, document) = (self.candidate.name()?, self.candidate.document()?);
        let client = connection.client(None).await?;
        let seen = match client.policy(&name).await {
            Ok(policy) => Seen::Revision(policy.revision),
            Err(error) if is_unknown(&error) => Seen::Nothing,
            Err(error) => return Err(explained(&error)),
        };
        let tested = if self.untested {
            Tested::default()
        } else {
            Tested::on_all(&client, &document, &TestedPlace::Applied(name.clone()), true).await?
        };
        let applied = if self.dry_run {
            None
        } else {
            Some(client.apply_policy(&name, &document, seen).await.map_err(|error| explained(&error))?)
        };
        let mut out = stdout().lock();
        match connection.output {
            Format::Json => {
                let outcome = Outcome { policy: applied.as_ref(), judged: tested.judged, changes: &tested.images };
                write_json(&mut out, &outcome)?;
            }
            Format::Table => {
                if let Some(AppliedPolicy { name, revision, policies, .. }) = &applied {
                    let policies: Vec<String> =
                        policies.iter().map(|policy| format!("{} ({})", policy.name, policy.mode)).collect();
                    writeln!(out, "applied {name}, revision {revision}: {}", policies.join(", "))?;
                }
                if !self.untested {
                    tested.write(&mut out)?;
                }
            }
        }
        if self.dry_run { tested.require_nothing_blocked() } else { Ok(()) }
    }
}

/// Whether there is no such document, and not no such path.
fn is_unknown(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused { errors, .. } if errors.iter().any(|error| error.code == "POLICY_UNKNOWN"))
}
