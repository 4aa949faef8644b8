use longshore_fleet::{Name, NamespaceSpec, api::NamespaceView};
use reqwest::Method;

use super::{FleetClient, FleetError, FleetPages, act::Seen};

impl FleetClient {
    /// Namespaces by name.
    pub fn namespaces(&self) -> FleetPages<'_, NamespaceView> {
        FleetPages::new(self, self.at(&[&"namespaces"]))
    }

    /// One namespace.
    pub async fn namespace(&self, name: &Name) -> Result<NamespaceView, FleetError> {
        self.get(self.at(&[&"namespaces", name])).await
    }

    /// Has a namespace be so: where it still is as it was seen, or where there is still none where none was.
    pub async fn put_namespace(&self, spec: &NamespaceSpec, revision: Option<u64>) -> Result<(), FleetError> {
        let seen = revision.map_or(Seen::None, Seen::Revision);
        self.act(Method::PUT, self.at(&[&"namespaces", &spec.name]), seen, Some(spec)).await.map(drop)
    }

    /// Takes a namespace away that has nothing in it, where it still is as it was seen.
    pub async fn delete_namespace(&self, name: &Name, revision: u64) -> Result<(), FleetError> {
        self.bare_act(Method::DELETE, self.at(&[&"namespaces", name]), Seen::Revision(revision)).await.map(drop)
    }
}
