//! What the orchestrator knows: namespaces, workloads, revisions, pods, nodes and their layers, operations, and the outbox of their
//! changes.
//!
//! One trait, two databases behind it. Every method is one transaction; when a method that changes something has returned, the change is
//! whole, durable, and seen by every later read on any replica.
//!
//! Two kinds of writers. Whoever calls the API changes what is wanted ([`State::act`]), each change naming what it saw. The leader, and
//! nobody else, changes what is ([`State::commit`]): each of its transactions proves that its term is still the last, so what a leader
//! writes that does not know yet that another has taken over comes to nothing.
//!
//! Every change writes its events in its own transaction. Their positions follow one another without gaps in the order of the commits: the
//! last thing a transaction does is to take them from one row, which whoever comes later waits for. So whoever has read up to a position
//! has missed nothing before it.
//!
//! The statements are the same for both databases and are written once, in `statements/`. A leader's changes are many at once; they are
//! sorted by what they change, and go to the database in rows by the hundred (`sorting.rs`, `statements/bulk.rs`).

mod act;
mod backend;
mod error;
mod filter;
mod lease;
mod migrations;
mod postgres;
mod row;
mod sorting;
mod sqlite;
#[cfg(test)]
mod suite;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use longshore_fleet::{Image, Name, NodeId, NodeName, OperationId, PodId, WorkloadId, WorkloadKind, api::Event};
use uuid::Uuid;

pub use act::{Act, Acted, Answer, AuditLine, Batch, Expected, NewEvent, OperationKey, Write};
pub use error::StateError;
pub use filter::{EventPage, PodFilter, Slice, WorkloadFilter};
pub use lease::{Lease, LeaseWish};
pub use postgres::PostgresState;
pub use row::{
    Charge, JoinTokenRow, LayerRow, Micros, NamespaceRow, NodeRow, OperationRow, PodRow, RevisionRow, RolloutRow, WorkloadRow,
};
pub use sqlite::SqliteState;

/// A database that many share.
pub type SharedState = std::sync::Arc<dyn State>;

/// The orchestrator's database.
#[async_trait]
pub trait State: Send + Sync + 'static {
    /// Proves that the database answers.
    async fn probe(&self) -> Result<(), StateError>;
    /// Connections open and idle, for metrics.
    fn connections(&self) -> (u32, usize);

    // Who leads.

    /// Takes the lead or keeps it, by the database's clock: granted where nobody holds it, where its holder asks, or where it has run out.
    /// Taking it begins a new term, which is one more than any before.
    async fn lead(&self, wish: LeaseWish) -> Result<Lease, StateError>;
    /// Gives the lead up, if it is still this holder's.
    async fn resign(&self, holder: Uuid) -> Result<(), StateError>;
    /// Who leads, if anybody does.
    async fn leader(&self) -> Result<Option<Lease>, StateError>;

    // What changes.

    /// Makes a leader's changes, all or none; fails with [`StateError::Fenced`] where the term is not the last. Doing it again does no harm:
    /// what was written under the same term and number, or one after it, is not written again. The position of the last event, where it was
    /// written now.
    async fn commit(&self, term: u64, batch: &Batch) -> Result<Option<u64>, StateError>;
    /// Makes a caller's change, all or nothing; where its operation was carried out before, its first answer.
    async fn act(&self, act: &Act) -> Result<Acted, StateError>;
    /// The answer to an operation that was carried out before. [`StateError::OperationReused`] where it was another request's.
    async fn answer(&self, operation: &OperationKey) -> Result<Option<Answer>, StateError>;
    /// Writes lines of the audit log that go with no change: refusals.
    async fn note(&self, lines: &[AuditLine]) -> Result<(), StateError>;
    /// Drops what nobody needs any more: events before this moment, and the oldest where more are kept than may be; answers of operations,
    /// join tokens that have run out, ended operations and audit lines before theirs; layers that no node has. At most so many rows of
    /// each; how many were dropped.
    async fn sweep(&self, sweep: &Sweep) -> Result<u64, StateError>;

    // What is asked. Lists are in the order of their keys, and go on after the last of what was had.

    /// The position of the last event.
    async fn position(&self) -> Result<u64, StateError>;
    /// Events after a position; [`StateError::TooOld`] where some of them were dropped, or the position is one that was never given.
    async fn events(&self, after: u64, most: u32) -> Result<EventPage, StateError>;
    /// The latest events of a thing, or of a namespace, the newest first.
    async fn events_of(&self, namespace: Option<&Name>, id: Option<&str>, most: u32) -> Result<Vec<Event>, StateError>;
    /// The lines of the audit log, the newest first, before a number.
    async fn audit(&self, before: Option<u64>, most: u32) -> Result<Vec<(u64, AuditLine)>, StateError>;
    /// Namespaces, by name.
    async fn namespaces(&self, slice: Slice<Name>) -> Result<Vec<NamespaceRow>, StateError>;
    /// One namespace.
    async fn namespace(&self, name: &Name) -> Result<Option<NamespaceRow>, StateError>;
    /// Workloads, by id.
    async fn workloads(&self, filter: &WorkloadFilter, slice: Slice<WorkloadId>) -> Result<Vec<WorkloadRow>, StateError>;
    /// One workload.
    async fn workload(&self, id: WorkloadId) -> Result<Option<WorkloadRow>, StateError>;
    /// The workload of this name.
    async fn workload_named(&self, kind: WorkloadKind, namespace: &Name, name: &Name) -> Result<Option<WorkloadRow>, StateError>;
    /// The revisions of a workload, the newest first.
    async fn revisions(&self, workload: WorkloadId) -> Result<Vec<RevisionRow>, StateError>;
    /// Those of them whose number is below one, the newest first; at most so many.
    async fn revisions_below(&self, workload: WorkloadId, below: Option<u64>, most: u32) -> Result<Vec<RevisionRow>, StateError>;
    /// How many pods there are of each revision of a workload, those that have ended or are to end aside.
    async fn count_pods(&self, workload: WorkloadId) -> Result<BTreeMap<u64, u32>, StateError>;
    /// One revision of a workload.
    async fn revision(&self, workload: WorkloadId, number: u64) -> Result<Option<RevisionRow>, StateError> {
        Ok(self.revisions(workload).await?.into_iter().find(|revision| revision.number == number))
    }
    /// Whose pods of these workloads and revisions are: the workload's name, and the revision's image, of those that there are.
    async fn owners(&self, of: &BTreeSet<(WorkloadId, u64)>) -> Result<BTreeMap<(WorkloadId, u64), (Name, Image)>, StateError>;
    /// The rollouts of a workload, the newest first.
    async fn rollouts(&self, workload: WorkloadId, most: u32) -> Result<Vec<RolloutRow>, StateError>;
    /// Pods, by id.
    async fn pods(&self, filter: &PodFilter, slice: Slice<PodId>) -> Result<Vec<PodRow>, StateError>;
    /// One pod.
    async fn pod(&self, id: PodId) -> Result<Option<PodRow>, StateError>;
    /// Nodes, by name.
    async fn nodes(&self, slice: Slice<NodeName>) -> Result<Vec<NodeRow>, StateError>;
    /// One node.
    async fn node(&self, id: NodeId) -> Result<Option<NodeRow>, StateError>;
    /// What these nodes are called, of those that there are.
    async fn node_names(&self, ids: &BTreeSet<NodeId>) -> Result<BTreeMap<NodeId, NodeName>, StateError>;
    /// The node of this name.
    async fn node_named(&self, name: &NodeName) -> Result<Option<NodeRow>, StateError>;
    /// The layers of a node, as they were written last.
    async fn layers(&self, node: NodeId) -> Result<Vec<LayerRow>, StateError>;
    /// The layers of all nodes, as they were written last, by the nodes' ids after one; at most so many nodes that have any.
    async fn every_layer(&self, after: Option<NodeId>, most: u32) -> Result<Vec<(NodeId, Vec<LayerRow>)>, StateError>;
    /// Operations, by id; of those that have not ended alone, or all.
    async fn operations(&self, running_only: bool, slice: Slice<OperationId>) -> Result<Vec<OperationRow>, StateError>;
    /// One operation.
    async fn operation(&self, id: OperationId) -> Result<Option<OperationRow>, StateError>;
    /// Tokens that let nodes in: those that have neither run out, by the database's clock, nor been used up. Where one is used, the time of that
    /// act counts.
    async fn join_tokens(&self) -> Result<Vec<JoinTokenRow>, StateError>;
}

/// What is to be dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sweep {
    /// Events before this.
    pub events_before: Micros,
    /// How many events are kept at most, whatever their age.
    pub events_kept: u64,
    /// Answers of operations, and join tokens that have run out, before this.
    pub answers_before: Micros,
    /// Operations, and rollouts but for each workload's last, that ended before this.
    pub operations_before: Micros,
    /// Audit lines before this.
    pub audit_before: Micros,
    /// How many audit lines are kept at most, whatever their age.
    pub audit_kept: u64,
    /// Whether layers are looked for that no node has: every node's are read for that.
    pub unnamed_layers: bool,
    /// How many rows of each are dropped at once.
    pub most: u32,
}
