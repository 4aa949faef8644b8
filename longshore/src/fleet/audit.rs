//! Who asked the orchestrator for what.

use longshore_client::FleetClient;
use longshore_fleet::api::AuditView;

use super::{
    connection::told,
    output::{FleetFormat, print},
    shown::{Breadth, Listing},
};
use crate::failure::Failure;

/// How many lines are listed.
const MOST_LINES: usize = 500;

/// Whether the audit log is meant, which is no kind of things that the fleet keeps.
pub fn is_asked(words: &[String]) -> bool {
    matches!(words, [word] if word == "audit")
}

/// Prints the newest lines of the log, the oldest first.
pub async fn get(client: &FleetClient, format: FleetFormat) -> Result<(), Failure> {
    let mut pages = client.audit();
    let mut lines: Vec<AuditView> = Vec::new();
    while lines.len() < MOST_LINES
        && let Some(page) = pages.next_page().await.map_err(|error| told(&error))?
    {
        lines.extend(page.items);
    }
    lines.truncate(MOST_LINES);
    lines.reverse();
    let breadth = Breadth { wide: format == FleetFormat::Wide, all_namespaces: true };
    print(format, &lines, |out| Listing::new::<AuditView>(breadth).write(out, &lines))
}
