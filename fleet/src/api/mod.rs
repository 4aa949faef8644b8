//! What the orchestrator's API says and is told: the same types for the server, for those who call it, and for the command line.

mod audit;
mod event;
mod explain;
mod node;
mod operation;
mod page;
mod plan;
mod pod;
mod problem;
mod workload;

pub use audit::AuditView;
pub use event::{Change, Event, EventKind};
pub use explain::{CostView, ExplanationView, FitView, RefusalView};
pub use node::{
    AdviceView, DrainRequest, FreeAndAll, Holder, IssuedJoinToken, JoinTokenRequest, JoinTokenView, NodeHealth, NodeView,
    ZoneHealth,
};
pub use operation::{FetchView, OperationState, OperationView, PrewarmRequest};
pub use page::Page;
pub use plan::{FieldChange, PlacementView, Plan};
pub use pod::PodView;
pub use problem::{Code, Nearest, Problem};
pub use workload::{
    Applied, DeploymentView, JobView, NamespaceView, RevisionView, RollbackRequest, ScaleRequest, WorkloadState, WorkloadStatus,
};
