//! How whoever serves requests reaches the leader in this process.

use longshore_fleet::{
    Instruction, LogsWanted, NodeId, NodeName, PodId, Report, StreamId, WorkloadId,
    api::{ExplanationView, Holder, NodeHealth, NodeView, PlacementView},
};
use longshore_oci::Digest;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{schedule::Demand, state::Slice};

/// Whether this replica leads, and who does otherwise.
#[derive(Clone, Debug)]
pub enum Standing {
    /// This one.
    Leading(Leader),
    /// Another, reached at this address, or nobody yet.
    Following(Option<String>),
}

/// Whether this replica leads, as it changes.
pub type Standings = watch::Receiver<Standing>;

/// This replica leads no more: ask the one that does.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("another replica leads")]
pub struct LeadsNoMore;

/// The leader in this process. Its copies are the same one.
#[derive(Clone, Debug)]
pub struct Leader {
    /// Which turn it is.
    pub term: u64,
    pub(crate) questions: mpsc::Sender<Question>,
}

/// What the leader is asked, and where its answer goes.
#[derive(Debug)]
pub(crate) enum Question {
    ExplainPod(PodId, oneshot::Sender<Option<ExplanationView>>),
    ExplainWorkload(WorkloadId, oneshot::Sender<Option<ExplanationView>>),
    Plan(Box<PlanQuestion>, oneshot::Sender<PlanOutcome>),
    Nodes(Vec<NodeId>, oneshot::Sender<Vec<NodeView>>),
    Health(Option<String>, oneshot::Sender<NodeHealth>),
    Holders(Digest, Slice<NodeName>, oneshot::Sender<Vec<Holder>>),
    Evict(PodId, Option<String>, oneshot::Sender<Evicted>),
    Advice(u32, oneshot::Sender<Vec<AdvisedMove>>),
    Open(NodeId, oneshot::Sender<Option<AgentStream>>),
    Closed(NodeId, StreamId),
    Report(NodeId, Box<Report>, oneshot::Sender<Reported>),
    Logs(LogsWanted, oneshot::Sender<bool>),
    Changed,
}

/// The instructions for one node, as they come.
#[derive(Debug)]
pub struct AgentStream {
    /// What names it.
    pub stream: StreamId,
    /// The instructions; the first is [`Instruction::All`]. It ends where the node does not keep up, another stream of the same node was
    /// opened, or this replica leads no more.
    pub instructions: mpsc::Receiver<Instruction>,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reported {
    /// It was taken in.
    Taken,
    /// It answers to a stream that is not the node's: it must open one.
    StreamUnknown,
}

/// What became of the wish that a pod leaves its node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Evicted {
    /// It ends, and another takes its place.
    Ending,
    /// It stays for now, and why: its workload's disruption budget has none left to give.
    Kept(String),
    /// There is no such pod.
    NoSuchPod,
}

/// What would come of a change of a workload.
#[derive(Clone, Debug)]
pub struct PlanQuestion {
    /// The workload, where there is one: its pods make room as they are replaced.
    pub workload: Option<WorkloadId>,
    /// What its pods would want.
    pub demand: Demand,
    /// How many there would be.
    pub replicas: u32,
    /// The revision of a template that is the same, where there is one: its pods stay.
    pub template_revision: Option<u64>,
}

/// What would come of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlanOutcome {
    /// Where pods would be made.
    pub placements: Vec<PlacementView>,
    /// How many would fit nowhere.
    pub unplaced: u32,
    /// What would make them fit, and on how many nodes it is all that is in the way.
    pub remedies: Vec<(String, u64)>,
    /// How many pods would be made, in all.
    pub makes: u32,
    /// How many pods would end, in all.
    pub ends: u32,
}

/// A pod that would better be elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct AdvisedMove {
    /// Which.
    pub pod: PodId,
    /// Where it is.
    pub from: NodeName,
    /// Where it would be.
    pub to: NodeName,
    /// Bytes that would have to be fetched there.
    pub missing_bytes: u64,
}

impl Leader {
    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Result<T, LeadsNoMore> {
        let (sender, answer) = oneshot::channel();
        self.questions.send(question(sender)).await.map_err(|_| LeadsNoMore)?;
        answer.await.map_err(|_| LeadsNoMore)
    }

    /// Why a pod is where it is, or nowhere; `None` where there is no such pod.
    pub async fn explain_pod(&self, pod: PodId) -> Result<Option<ExplanationView>, LeadsNoMore> {
        self.ask(|answer| Question::ExplainPod(pod, answer)).await
    }

    /// Where one more pod of a workload would be; `None` where there is no such workload.
    pub async fn explain_workload(&self, workload: WorkloadId) -> Result<Option<ExplanationView>, LeadsNoMore> {
        self.ask(|answer| Question::ExplainWorkload(workload, answer)).await
    }

    /// What would come of a change. Nothing is changed by asking.
    pub async fn plan(&self, question: PlanQuestion) -> Result<PlanOutcome, LeadsNoMore> {
        self.ask(|answer| Question::Plan(Box::new(question), answer)).await
    }

    /// Nodes as they are; those of these that there are.
    pub async fn nodes(&self, ids: Vec<NodeId>) -> Result<Vec<NodeView>, LeadsNoMore> {
        self.ask(|answer| Question::Nodes(ids, answer)).await
    }

    /// How nodes are, all together, or those of a zone.
    pub async fn health(&self, zone: Option<String>) -> Result<NodeHealth, LeadsNoMore> {
        self.ask(|answer| Question::Health(zone, answer)).await
    }

    /// Which nodes have something of an image that a workload is made from, or a layer: by name, this part of them.
    pub async fn holders(&self, digest: Digest, slice: Slice<NodeName>) -> Result<Vec<Holder>, LeadsNoMore> {
        self.ask(|answer| Question::Holders(digest, slice, answer)).await
    }

    /// Has a pod leave its node, as far as its workload's disruption budget lets it, for whoever it was.
    pub async fn evict(&self, pod: PodId, author: Option<String>) -> Result<Evicted, LeadsNoMore> {
        self.ask(|answer| Question::Evict(pod, author, answer)).await
    }

    /// Moves that would empty nodes, at most so many nodes; nothing moves by asking.
    pub async fn advice(&self, most: u32) -> Result<Vec<AdvisedMove>, LeadsNoMore> {
        self.ask(|answer| Question::Advice(most, answer)).await
    }

    /// A node wants its instructions; `None` where there is no such node.
    pub async fn open(&self, node: NodeId) -> Result<Option<AgentStream>, LeadsNoMore> {
        self.ask(|answer| Question::Open(node, answer)).await
    }

    /// A node's stream has broken.
    pub async fn closed(&self, node: NodeId, stream: StreamId) {
        // Who leads no more does not mind.
        let _ = self.questions.send(Question::Closed(node, stream)).await;
    }

    /// A node reports.
    pub async fn report(&self, node: NodeId, report: Report) -> Result<Reported, LeadsNoMore> {
        self.ask(|answer| Question::Report(node, Box::new(report), answer)).await
    }

    /// Has a pod's node send what it writes; false where the pod is on no node that listens.
    pub async fn logs(&self, wanted: LogsWanted) -> Result<bool, LeadsNoMore> {
        self.ask(|answer| Question::Logs(wanted, answer)).await
    }

    /// Something was changed in the database: it is looked at now, rather than soon.
    pub fn changed(&self) {
        // Where the queue is full, the leader has enough to do that it looks anyway.
        let _ = self.questions.try_send(Question::Changed);
    }
}
