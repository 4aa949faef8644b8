//! Changes: rows that are put and removed, and what goes with them.

use longshore_fleet::{
    Name, NodeId, PodId, WorkloadId,
    api::{Change, EventKind, WorkloadStatus},
};
use serde_json::Value;

use super::{
    Charge, JoinTokenRow, LayerRow, Micros, NamespaceRow, NodeRow, OperationRow, PodRow, RevisionRow, RolloutRow, WorkloadRow,
};

/// What a caller changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// What makes a retry the same act, where the caller said so.
    pub operation: Option<OperationKey>,
    /// What is changed, in this order.
    pub writes: Vec<Write>,
    /// What is told of it.
    pub events: Vec<NewEvent>,
    /// Its line of the audit log.
    pub audit: AuditLine,
    /// What the caller is answered; kept with the operation.
    pub answer: Answer,
    /// When.
    pub now: Micros,
}

/// What a leader changes in one transaction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Counts the batches of a term, from 1: so a batch that was written is known where it comes again.
    pub number: u64,
    /// What is changed, in this order.
    pub writes: Vec<Write>,
    /// What is told of it.
    pub events: Vec<NewEvent>,
    /// When.
    pub now: Micros,
}

/// One row, put or removed.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// A namespace; what it is charged with stays.
    PutNamespace(NamespaceRow, Expected),
    /// No namespace of this name: fails with [`super::StateError::NotEmpty`] while it has workloads.
    RemoveNamespace(Name, Expected),
    /// What is asked of a namespace's quota changes: fails with [`super::StateError::OverQuota`] where it grows past it, by all of these
    /// changes together.
    Charge(Name, Charge),
    /// A workload as it is wanted; its status stays where there is one.
    PutWorkload(Box<WorkloadRow>, Expected),
    /// No such workload, nor its revisions and rollouts; the leader's, once its last pod is gone. What it asks of its namespace's quota is
    /// given back where it was not deleted before, which gives it back.
    RemoveWorkload(WorkloadId),
    /// How a workload is; the leader's. Nothing where it is gone.
    PutStatus(WorkloadId, WorkloadStatus),
    /// What pods are made from.
    PutRevision(Box<RevisionRow>),
    /// A revision that nobody goes back to any more; nothing where its workload's pods are to be made from it again.
    RemoveRevision(WorkloadId, u64),
    /// Why the image of a revision may not run, or that it may; the leader's. Nothing where it is gone.
    PutRefusal(WorkloadId, u64, Option<String>),
    /// A rollout.
    PutRollout(RolloutRow),
    /// A pod; the leader's.
    PutPod(Box<PodRow>),
    /// No such pod; the leader's.
    RemovePod(PodId),
    /// A node as callers want it, or as it joins; what it said of itself stays.
    PutNode(Box<NodeRow>, Expected),
    /// What a node said of itself; the leader's. Nothing where it is gone.
    PutFacts(NodeId, Value),
    /// No such node, nor its layers.
    RemoveNode(NodeId),
    /// All layers of a node; the leader's. Nothing where it is gone.
    PutLayers(NodeId, Vec<LayerRow>),
    /// Long work. A caller puts a new one; the leader the rest. One that has ended stays as it is.
    PutOperation(Box<OperationRow>),
    /// Long work that a caller cancels: fails with [`super::StateError::Changed`] where it has ended, or is gone.
    CancelOperation(Box<OperationRow>),
    /// A token that lets nodes in.
    PutJoinToken(JoinTokenRow),
    /// A token is used once: fails with [`super::StateError::NoSuchToken`] where it is not known, has run out, or was used up.
    UseJoinToken {
        /// The SHA-256 of it, in hex.
        hash: String,
    },
    /// A token lets nobody in any more.
    RemoveJoinToken {
        /// The SHA-256 of it, in hex.
        hash: String,
    },
}

/// What a caller has seen of what it changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expected {
    /// That there is none: fails with [`super::StateError::Exists`] where there is one of its id or its name.
    None,
    /// That it is at this revision: fails with [`super::StateError::Changed`] where it is not, or is gone.
    At(u64),
}

/// What makes a retry the same act.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OperationKey {
    /// Whose it is: operations of two callers never meet.
    pub caller: String,
    /// What the caller named it.
    pub id: String,
    /// What tells its request from others: a SHA-256 in hex of method, path and body.
    pub request: String,
}

/// What a caller was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Value,
}

/// What an act came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Acted {
    /// It was done; its last event is at this position.
    Done(u64),
    /// It was done before, and this was answered.
    Before(Answer),
}

/// Something has happened.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// To what kind of thing.
    pub kind: EventKind,
    /// What became of it.
    pub change: Change,
    /// What names it.
    pub id: String,
    /// Where it is, if it is in a namespace.
    pub namespace: Option<Name>,
    /// What it is called.
    pub name: String,
    /// What has happened, in one word.
    pub reason: String,
    /// What has happened, in words.
    pub message: String,
    /// Who did it, where it was somebody.
    pub author: Option<String>,
    /// It as it is now.
    pub object: Option<Value>,
}

/// A line of the audit log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditLine {
    /// When.
    pub at: Micros,
    /// Who.
    pub account: String,
    /// From where.
    pub address: Option<String>,
    /// What was asked: `POST /api/v1/workloads/deployments`.
    pub request: String,
    /// What it was about: `deployment team/web`.
    pub subject: String,
    /// What became of it: the answer's status, and a problem's code.
    pub outcome: String,
    /// What names the request in logs.
    pub request_id: Option<String>,
}
