//! How a verdict on an image is shown.

use std::io::{self, Write};

use longshore_client::{PolicyVerdict, PullVerdict};

use crate::output::{NOTHING, Table};

/// What is asked of an image, what shows it, and what follows.
pub fn write(out: &mut impl Write, verdict: &PullVerdict) -> io::Result<()> {
    let PullVerdict { repository, digest, subject, because, policies, .. } = verdict;
    let facts = vec![
        ["image".to_owned(), format!("{repository}@{digest}")],
        ["pulled by".to_owned(), subject.clone()],
        ["verdict".to_owned(), format!("{}: {because}", if verdict.may_pull { "allowed" } else { "denied" })],
    ];
    Table::headless().write(out, facts)?;
    if policies.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    Table::new(["POLICY", "MODE", "NEEDS", "SATISFIED", "EVIDENCE"]).write(out, policies.iter().flat_map(rows).collect())?;
    for policy in policies.iter().filter(|policy| !policy.is_satisfied) {
        for reason in policy.requirements.iter().filter_map(|requirement| requirement.reason.as_deref()) {
            writeln!(out, "\npolicy {:?} {reason}", policy.name)?;
        }
    }
    Ok(())
}

/// A policy's requirements, a row each.
fn rows(policy: &PolicyVerdict) -> Vec<[String; 5]> {
    let row = |requirement: &longshore_client::RequirementVerdict| {
        let is_satisfied = if requirement.is_satisfied { "yes" } else { "no" };
        let evidence =
            policy.through.as_ref().or(requirement.evidence.as_ref()).map_or_else(|| NOTHING.to_owned(), ToString::to_string);
        let mode = if policy.matching == "any" { format!("{}, any", policy.mode) } else { policy.mode.clone() };
        [policy.name.clone(), mode, requirement.needs.clone(), is_satisfied.to_owned(), evidence]
    };
    policy.requirements.iter().map(row).collect()
}
