//! The nouns of a fleet: what is asked of it, what it is made of, and what is said of both.
//!
//! Everything here is pure: no I/O, no clock, no randomness. The same types serve the orchestrator, those who call it, and the command
//! line. What a person writes becomes one of them with every field that is wrong named at once ([`Faults`]); what is in a type needs no
//! second look.

mod affinity;
mod agent;
pub mod api;
mod deployment;
mod fault;
mod id;
mod image;
mod job;
mod labels;
mod name;
mod namespace;
mod platform;
mod pod;
mod probe;
mod quantity;
mod reading;
mod resources;
mod strategy;
mod taint;
mod template;
mod text;

pub use affinity::{
    Affinity, NodeAffinity, NodeTerm, PodAffinity, PodTerm, PreferredNodeTerm, PreferredPodTerm, Spread, WhenUnsatisfiable,
};
pub use agent::{
    AgentFacts, Assignment, Fetch, FetchKey, FetchReport, FetchState, Instruction, Join, Joined, Load, LogsRefusal, LogsRefused,
    LogsWanted, PodReport, Report, RestartPolicy,
};
pub use deployment::{Class, DeploymentSpec, MOST_PRIORITY, MOST_REPLICAS, Upkeep};
pub use fault::{Fault, Faults, Place};
pub use id::{DeploymentId, InvalidId, JobId, LogsId, NodeId, OperationId, PodId, StreamId};
pub use image::{Image, InvalidImage};
pub use job::{JobSpec, Work};
pub use labels::{InvalidLabel, InvalidSelector, LabelKey, LabelValue, Labels, Operator, Requirement, Selector};
pub use name::{InvalidName, Name, NodeName};
pub use namespace::{Allowances, NamespaceSpec, Quota};
pub use pod::{OwnerReference, Phase, PodState, WorkloadId, WorkloadKind};
pub use probe::{ExecProbe, HttpProbe, Probe, Probes, TcpProbe};
pub use quantity::{Bytes, Cpu, InvalidQuantity};
pub use reading::read;
pub use resources::{Amounts, QualityOfService, Resources};
pub use strategy::{DisruptionBudget, InvalidShare, Leeway, Share, Strategy, StrategyKind};
pub use taint::{Comparison, Effect, Taint, Toleration};
pub use template::{EnvVar, HostPath, Port, Protocol, Security, Template};
