use longshore_fleet::{
    Name,
    api::{AuditView, Event, Page},
};

use super::{FleetClient, FleetError, FleetPages, with_query};

impl FleetClient {
    /// The newest events, so many of them at most: of a namespace, of what this id names, or of everything. In order, the oldest first.
    pub async fn events(&self, namespace: Option<&Name>, id: Option<&str>, most: u32) -> Result<Vec<Event>, FleetError> {
        let asked =
            [("namespace", namespace.map(ToString::to_string)), ("id", id.map(str::to_owned)), ("limit", Some(most.to_string()))];
        let page: Page<Event> = self.get(with_query(self.at(&[&"events"]), asked)).await?;
        let mut events = page.items;
        events.sort_by_key(|event| event.position);
        Ok(events)
    }

    /// Who did what, the newest first.
    pub fn audit(&self) -> FleetPages<'_, AuditView> {
        FleetPages::new(self, self.at(&[&"audit"]))
    }
}
