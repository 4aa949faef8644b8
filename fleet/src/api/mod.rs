//! What the orchestrator's API says and is told: the same types for the server, for those who call it, and for the command line.

mod event;
mod explain;
mod join_token;
mod node;
mod operation;
mod page;
mod plan;
mod pod;
mod problem;
mod workload;

pub use event::{Change, Event, EventKind};
pub use explain::{CostView, ExplanationView, FitView, RefusalView};
pub use join_token::{IssuedJoinToken, JoinTokenView, NewJoinToken};
pub use node::{DrainRequest, FreeAndAll, Holder, NodeHealth, NodeView, ZoneHealth};
pub use operation::{FetchView, OperationState, OperationView, PrewarmRequest};
pub use page::Page;
pub use plan::{FieldChange, PlacementView, Plan};
pub use pod::PodView;
pub use problem::{Code, Nearest, Problem};
pub use workload::{
    Applied, DeploymentView, JobView, NamespaceView, RevisionView, RollbackRequest, ScaleRequest, WorkloadState, WorkloadStatus,
};
