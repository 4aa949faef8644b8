//! What the node is in the fleet: what it is called there, and which leader it has heard of last.

use std::path::PathBuf;

use longshore_fleet::NodeId;
use serde::{Deserialize, Serialize};

use super::LinkError;
use crate::agent::kept::{self, KeptError};

/// What is known of it, in a file.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct Known {
    node_id: Option<NodeId>,
    term: u64,
}

/// What the node is in the fleet.
#[derive(Debug)]
pub struct Membership {
    path: PathBuf,
    known: Known,
}

impl Membership {
    /// As it is written in a file. Blocks.
    pub fn open(path: PathBuf) -> Result<Self, KeptError> {
        let known = kept::read(&path)?;
        Ok(Self { path, known })
    }

    /// What names the node, once it has joined.
    pub fn node(&self) -> Option<NodeId> {
        self.known.node_id
    }

    /// It has joined.
    pub async fn set_node(&mut self, node: NodeId) -> Result<(), LinkError> {
        if self.known.node_id.replace(node) != Some(node) {
            // Whoever gave it another name may count leaders anew.
            self.known.term = 0;
        }
        self.write().await
    }

    /// Hears of a leader, unless a later one was heard of.
    pub async fn hear(&mut self, term: u64) -> Result<(), LinkError> {
        let highest = self.known.term;
        if term < highest {
            return Err(LinkError::OldTerm { term, highest });
        }
        if term > highest {
            self.known.term = term;
            self.write().await?;
        }
        Ok(())
    }

    async fn write(&self) -> Result<(), LinkError> {
        let (path, known) = (self.path.clone(), self.known);
        let written = tokio::task::spawn_blocking(move || kept::write(&path, &known)).await;
        let failed = |source| LinkError::Membership { path: self.path.clone(), source };
        written.map_err(|error| failed(error.into()))?.map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_leads_no_more_is_not_heard_even_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("membership.json");
        let mut membership = Membership::open(path.clone()).unwrap();
        let node = format!("node_{:032x}", 3).parse().unwrap();
        membership.set_node(node).await.unwrap();
        for term in [3, 3, 7] {
            membership.hear(term).await.unwrap();
        }
        let mut membership = Membership::open(path).unwrap();
        assert_eq!(membership.node(), Some(node));
        membership.set_node(node).await.unwrap();
        assert!(matches!(membership.hear(6).await, Err(LinkError::OldTerm { term: 6, highest: 7 })));
        membership.set_node(format!("node_{:032x}", 4).parse().unwrap()).await.unwrap();
        membership.hear(1).await.unwrap();
    }
}
