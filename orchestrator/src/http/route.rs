//! Where a request goes: the path becomes a [`Route`] once. Pure.

use std::str::FromStr;

use http::Method;
use longshore_fleet::{LogsId, Name, NodeId, NodeName, OperationId, PodId, WorkloadId, WorkloadKind};
use longshore_oci::Digest;
use percent_encoding::percent_decode_str;

use crate::error::Error;

/// How a path names a node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NodeKey {
    /// By id.
    Id(NodeId),
    /// By name.
    Named(NodeName),
}

/// What a path leads to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Route {
    /// What this API is.
    OpenApi,
    /// Workloads of a kind.
    Workloads(WorkloadKind),
    /// What a new one, or another spec of one, would come to.
    Plan(WorkloadKind),
    /// A workload.
    Workload(WorkloadId),
    /// What a change of it would come to.
    PlanOf(WorkloadId),
    /// How many pods it has.
    Scale(WorkloadId),
    /// Back to what ran before.
    Rollback(WorkloadId),
    /// What ran before.
    Revisions(WorkloadId),
    /// Where its pods would be.
    ExplainWorkload(WorkloadId),
    /// Namespaces.
    Namespaces,
    /// A namespace.
    Namespace(Name),
    /// Pods.
    Pods,
    /// A pod.
    Pod(PodId),
    /// Why it is where it is.
    ExplainPod(PodId),
    /// What it writes.
    PodLogs(PodId),
    /// Nodes.
    Nodes,
    /// How nodes are, all together.
    NodeHealth,
    /// A node.
    Node(NodeKey),
    /// A node gets no more pods.
    Cordon(NodeKey),
    /// It gets pods again.
    Uncordon(NodeKey),
    /// Its pods are taken off it.
    Drain(NodeKey),
    /// Tokens that let nodes in.
    JoinTokens,
    /// One of them, by its hash.
    JoinToken(String),
    /// What would better be elsewhere.
    Advice,
    /// Which nodes have an image.
    Holders(Digest),
    /// Images are to be fetched ahead.
    Prewarm,
    /// Long work.
    Operations,
    /// One of it.
    Operation(OperationId),
    /// It is to stop.
    CancelOperation(OperationId),
    /// What happened last.
    Events,
    /// What happens.
    Watch,
    /// Who did what.
    Audit,
    /// A node wants to belong to the fleet.
    Join,
    /// What a node is to do.
    Instructions,
    /// How things are on a node.
    Reports,
    /// What a pod has written, from its node.
    AgentLogs(LogsId),
}

impl Route {
    /// Reads a path.
    pub fn parse(path: &str) -> Result<Self, Error> {
        let decoded = percent_decode_str(path).decode_utf8().map_err(|_| Error::PathUnknown)?;
        let segments: Vec<&str> = decoded.strip_prefix('/').ok_or(Error::PathUnknown)?.split('/').collect();
        match segments.as_slice() {
            ["api", "v1", rest @ ..] => Self::of_api(rest),
            ["agent", "v1", rest @ ..] => Self::of_agent(rest),
            _ => Err(Error::PathUnknown),
        }
    }

    fn of_api(segments: &[&str]) -> Result<Self, Error> {
        Ok(match segments {
            ["openapi.json"] => Self::OpenApi,
            ["workloads", kind, rest @ ..] => return Self::of_workloads(kind, rest),
            ["namespaces"] => Self::Namespaces,
            ["namespaces", name] => Self::Namespace(named("namespace", name)?),
            ["pods"] => Self::Pods,
            ["pods", id] => Self::Pod(named("pod", id)?),
            ["pods", id, "explain"] => Self::ExplainPod(named("pod", id)?),
            ["pods", id, "logs"] => Self::PodLogs(named("pod", id)?),
            ["nodes"] => Self::Nodes,
            ["nodes", "health"] => Self::NodeHealth,
            ["nodes", "tokens"] => Self::JoinTokens,
            ["nodes", "tokens", hash] => Self::JoinToken((*hash).to_owned()),
            ["nodes", key] => Self::Node(node(key)?),
            ["nodes", key, "cordon"] => Self::Cordon(node(key)?),
            ["nodes", key, "uncordon"] => Self::Uncordon(node(key)?),
            ["nodes", key, "drain"] => Self::Drain(node(key)?),
            ["advice"] => Self::Advice,
            ["images", digest, "holders"] => Self::Holders(named("image", digest)?),
            ["operations"] => Self::Operations,
            ["operations", "prewarm"] => Self::Prewarm,
            ["operations", id] => Self::Operation(named("operation", id)?),
            ["operations", id, "cancel"] => Self::CancelOperation(named("operation", id)?),
            ["events"] => Self::Events,
            ["watch"] => Self::Watch,
            ["audit"] => Self::Audit,
            _ => return Err(Error::PathUnknown),
        })
    }

    fn of_workloads(kind: &str, rest: &[&str]) -> Result<Self, Error> {
        let (kind, is_plan) = match kind.strip_suffix(":plan") {
            Some(kind) => (kind, true),
            None => (kind, false),
        };
        let kind = match kind {
            "deployments" => WorkloadKind::Deployment,
            "jobs" => WorkloadKind::Job,
            _ => return Err(Error::PathUnknown),
        };
        Ok(match (rest, is_plan, kind) {
            ([], true, _) => Self::Plan(kind),
            ([], false, _) => Self::Workloads(kind),
            ([id], false, _) => match id.strip_suffix(":plan") {
                Some(id) => Self::PlanOf(workload(kind, id)?),
                None => Self::Workload(workload(kind, id)?),
            },
            ([id, "explain"], false, _) => Self::ExplainWorkload(workload(kind, id)?),
            ([id, "scale"], false, WorkloadKind::Deployment) => Self::Scale(workload(kind, id)?),
            ([id, "rollback"], false, WorkloadKind::Deployment) => Self::Rollback(workload(kind, id)?),
            ([id, "revisions"], false, WorkloadKind::Deployment) => Self::Revisions(workload(kind, id)?),
            _ => return Err(Error::PathUnknown),
        })
    }

    fn of_agent(segments: &[&str]) -> Result<Self, Error> {
        Ok(match segments {
            ["join"] => Self::Join,
            ["instructions"] => Self::Instructions,
            ["reports"] => Self::Reports,
            ["logs", id] => Self::AgentLogs(named("wish to read logs", id)?),
            _ => return Err(Error::PathUnknown),
        })
    }

    /// What it is an instance of.
    pub fn shape(&self) -> Shape {
        use WorkloadKind::{Deployment, Job};
        let of = |kind: WorkloadKind, deployment, job| if kind == Deployment { deployment } else { job };
        match self {
            Self::OpenApi => Shape::OpenApi,
            Self::Workloads(kind) => of(*kind, Shape::Deployments, Shape::Jobs),
            Self::Plan(kind) => of(*kind, Shape::DeploymentsPlan, Shape::JobsPlan),
            Self::Workload(id) => of(id.kind, Shape::Deployment, Shape::Job),
            Self::PlanOf(id) => of(id.kind, Shape::DeploymentPlan, Shape::JobPlan),
            Self::ExplainWorkload(WorkloadId { kind: Job, .. }) => Shape::JobExplain,
            Self::ExplainWorkload(_) => Shape::DeploymentExplain,
            Self::Scale(_) => Shape::Scale,
            Self::Rollback(_) => Shape::Rollback,
            Self::Revisions(_) => Shape::Revisions,
            Self::Namespaces => Shape::Namespaces,
            Self::Namespace(_) => Shape::Namespace,
            Self::Pods => Shape::Pods,
            Self::Pod(_) => Shape::Pod,
            Self::ExplainPod(_) => Shape::PodExplain,
            Self::PodLogs(_) => Shape::PodLogs,
            Self::Nodes => Shape::Nodes,
            Self::NodeHealth => Shape::NodeHealth,
            Self::Node(_) => Shape::Node,
            Self::Cordon(_) => Shape::Cordon,
            Self::Uncordon(_) => Shape::Uncordon,
            Self::Drain(_) => Shape::Drain,
            Self::JoinTokens => Shape::JoinTokens,
            Self::JoinToken(_) => Shape::JoinToken,
            Self::Advice => Shape::Advice,
            Self::Holders(_) => Shape::Holders,
            Self::Prewarm => Shape::Prewarm,
            Self::Operations => Shape::Operations,
            Self::Operation(_) => Shape::Operation,
            Self::CancelOperation(_) => Shape::CancelOperation,
            Self::Events => Shape::Events,
            Self::Watch => Shape::Watch,
            Self::Audit => Shape::Audit,
            Self::Join => Shape::Join,
            Self::Instructions => Shape::Instructions,
            Self::Reports => Shape::Reports,
            Self::AgentLogs(_) => Shape::AgentLogs,
        }
    }

    /// Whether only the leader can answer, or answers with what only it knows.
    pub fn needs_leader(&self, method: &Method) -> bool {
        match self {
            Self::Plan(_)
            | Self::PlanOf(_)
            | Self::ExplainWorkload(_)
            | Self::ExplainPod(_)
            | Self::PodLogs(_)
            | Self::Nodes
            | Self::NodeHealth
            | Self::Cordon(_)
            | Self::Uncordon(_)
            | Self::Drain(_)
            | Self::Advice
            | Self::Holders(_) => true,
            Self::Pod(_) => *method == Method::DELETE,
            Self::Node(_) => *method == Method::GET || *method == Method::HEAD,
            _ => false,
        }
    }
}

fn named<T: FromStr>(what: &'static str, text: &str) -> Result<T, Error> {
    text.parse().map_err(|_| Error::not_found(what, text))
}

fn workload(kind: WorkloadKind, text: &str) -> Result<WorkloadId, Error> {
    let what = if kind == WorkloadKind::Deployment { "deployment" } else { "job" };
    let id: WorkloadId = named(what, text)?;
    if id.kind == kind { Ok(id) } else { Err(Error::not_found(what, text)) }
}

fn node(text: &str) -> Result<NodeKey, Error> {
    match text.parse() {
        Ok(id) => Ok(NodeKey::Id(id)),
        Err(_) => named("node", text).map(NodeKey::Named),
    }
}

macro_rules! shapes {
    ($($shape:ident = $label:literal $path:literal [$($method:ident),+]),+ $(,)?) => {
        /// A path, whatever it names.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Shape {
            $(#[doc = $path] $shape,)+
        }

        impl Shape {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$shape),+];
            /// The labels of all, in the same order; the last stands for paths that are none.
            pub const LABELS: &[&str] = &[$($label,)+ "unknown"];

            /// It as `OpenAPI` writes it.
            pub const fn path(self) -> &'static str {
                match self { $(Self::$shape => $path,)+ }
            }

            /// What metrics and logs call it.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$shape => $label,)+ }
            }

            /// The methods that it has; a HEAD goes where a GET does.
            pub const fn methods(self) -> &'static [Method] {
                match self { $(Self::$shape => &[$(Method::$method),+],)+ }
            }
        }
    };
}

shapes! {
    OpenApi = "openapi" "/api/v1/openapi.json" [GET],
    Deployments = "deployments" "/api/v1/workloads/deployments" [GET, POST],
    DeploymentsPlan = "deploymentsplan" "/api/v1/workloads/deployments:plan" [POST],
    Deployment = "deployment" "/api/v1/workloads/deployments/{id}" [GET, PUT, PATCH, DELETE],
    DeploymentPlan = "deploymentplan" "/api/v1/workloads/deployments/{id}:plan" [POST],
    Scale = "scale" "/api/v1/workloads/deployments/{id}/scale" [POST],
    Rollback = "rollback" "/api/v1/workloads/deployments/{id}/rollback" [POST],
    Revisions = "revisions" "/api/v1/workloads/deployments/{id}/revisions" [GET],
    DeploymentExplain = "deploymentexplain" "/api/v1/workloads/deployments/{id}/explain" [GET],
    Jobs = "jobs" "/api/v1/workloads/jobs" [GET, POST],
    JobsPlan = "jobsplan" "/api/v1/workloads/jobs:plan" [POST],
    Job = "job" "/api/v1/workloads/jobs/{id}" [GET, PUT, PATCH, DELETE],
    JobPlan = "jobplan" "/api/v1/workloads/jobs/{id}:plan" [POST],
    JobExplain = "jobexplain" "/api/v1/workloads/jobs/{id}/explain" [GET],
    Namespaces = "namespaces" "/api/v1/namespaces" [GET],
    Namespace = "namespace" "/api/v1/namespaces/{name}" [GET, PUT, DELETE],
    Pods = "pods" "/api/v1/pods" [GET],
    Pod = "pod" "/api/v1/pods/{id}" [GET, DELETE],
    PodExplain = "podexplain" "/api/v1/pods/{id}/explain" [GET],
    PodLogs = "podlogs" "/api/v1/pods/{id}/logs" [GET],
    Nodes = "nodes" "/api/v1/nodes" [GET],
    NodeHealth = "nodehealth" "/api/v1/nodes/health" [GET],
    Node = "node" "/api/v1/nodes/{node}" [GET, DELETE],
    Cordon = "cordon" "/api/v1/nodes/{node}/cordon" [POST],
    Uncordon = "uncordon" "/api/v1/nodes/{node}/uncordon" [POST],
    Drain = "drain" "/api/v1/nodes/{node}/drain" [POST],
    JoinTokens = "jointokens" "/api/v1/nodes/tokens" [GET, POST],
    JoinToken = "jointoken" "/api/v1/nodes/tokens/{hash}" [DELETE],
    Advice = "advice" "/api/v1/advice" [GET],
    Holders = "holders" "/api/v1/images/{digest}/holders" [GET],
    Prewarm = "prewarm" "/api/v1/operations/prewarm" [POST],
    Operations = "operations" "/api/v1/operations" [GET],
    Operation = "operation" "/api/v1/operations/{id}" [GET],
    CancelOperation = "operationcancel" "/api/v1/operations/{id}/cancel" [POST],
    Events = "events" "/api/v1/events" [GET],
    Watch = "watch" "/api/v1/watch" [GET],
    Audit = "audit" "/api/v1/audit" [GET],
    Join = "agentjoin" "/agent/v1/join" [POST],
    Instructions = "agentinstructions" "/agent/v1/instructions" [GET],
    Reports = "agentreports" "/agent/v1/reports" [POST],
    AgentLogs = "agentlogs" "/agent/v1/logs/{id}" [POST],
}

impl Shape {
    /// Its methods as `Allow` lists them.
    pub fn allowed(self) -> String {
        let mut names: Vec<&str> = self.methods().iter().map(Method::as_str).collect();
        if let Some(position) = names.iter().position(|name| *name == "GET") {
            names.insert(position + 1, "HEAD");
        }
        names.join(", ")
    }

    /// Whether it has a method.
    pub fn has(self, method: &Method) -> bool {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        self.methods().contains(method)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const UUID: &str = "00000000000000000000000000000007";

    /// A path of a shape, as a caller would write it.
    pub(in crate::http) fn example(shape: Shape) -> String {
        let path = shape.path();
        let id = match shape {
            _ if path.starts_with("/api/v1/workloads/deployments/") => format!("dep_{UUID}"),
            _ if path.starts_with("/api/v1/workloads/jobs/") => format!("job_{UUID}"),
            _ if path.starts_with("/api/v1/pods/") => format!("pod_{UUID}"),
            _ if path.starts_with("/api/v1/operations/") => format!("op_{UUID}"),
            _ => format!("logs_{UUID}"),
        };
        let digest = format!("sha256:{}", "0".repeat(64));
        path.replace("{id}", &id)
            .replace("{name}", "team")
            .replace("{node}", "n1.rack-2")
            .replace("{digest}", &digest)
            .replace("{hash}", &"0".repeat(64))
    }

    #[test]
    fn every_path_leads_where_it_says() {
        for shape in Shape::ALL {
            let route = Route::parse(&example(*shape)).unwrap();
            assert_eq!(route.shape(), *shape, "{}", shape.path());
            assert_eq!(Shape::LABELS[Shape::ALL.iter().position(|one| one == shape).unwrap()], shape.label());
        }
    }

    #[test]
    fn nodes_are_named_by_id_or_name() {
        let id = format!("node_{UUID}");
        assert_eq!(Route::parse(&format!("/api/v1/nodes/{id}")).unwrap(), Route::Node(NodeKey::Id(id.parse().unwrap())));
        assert_eq!(Route::parse("/api/v1/nodes/n1").unwrap(), Route::Node(NodeKey::Named("n1".parse().unwrap())));
    }

    #[test]
    fn colons_may_be_escaped() {
        let digest = "0".repeat(64);
        let route = Route::parse(&format!("/api/v1/images/sha256%3A{digest}/holders")).unwrap();
        assert_eq!(route.shape(), Shape::Holders);
        assert_eq!(Route::parse("/api/v1/workloads/deployments%3Aplan").unwrap().shape(), Shape::DeploymentsPlan);
    }

    #[test]
    fn what_is_no_path_is_none() {
        for path in [
            "",
            "/",
            "/api/v1",
            "/api/v1/",
            "/api/v2/pods",
            "/api/v1/pods/",
            "/api/v1/workloads/cronjobs",
            "/api/v1/workloads/jobs:plan/x",
            "/agent/v1",
            "/api/v1/%ff",
        ] {
            assert!(matches!(Route::parse(path), Err(Error::PathUnknown | Error::NotFound { .. })), "{path}");
        }
        let job = format!("/api/v1/workloads/jobs/job_{UUID}");
        assert!(matches!(Route::parse(&format!("{job}/scale")), Err(Error::PathUnknown)));
        assert!(matches!(Route::parse(&format!("/api/v1/workloads/jobs/dep_{UUID}")), Err(Error::NotFound { what: "job", .. })));
    }

    #[test]
    fn what_only_the_leader_knows_is_asked_of_it() {
        let needs = |path: &str, method: Method| Route::parse(path).unwrap().needs_leader(&method);
        let pod = format!("/api/v1/pods/pod_{UUID}");
        assert!(needs(&pod, Method::DELETE) && !needs(&pod, Method::GET) && needs("/api/v1/nodes/n1", Method::GET));
        for change in ["cordon", "uncordon", "drain"] {
            assert!(needs(&format!("/api/v1/nodes/n1/{change}"), Method::POST), "{change} answers with how the node is");
        }
        assert!(!needs("/api/v1/nodes/n1", Method::DELETE) && !needs("/agent/v1/reports", Method::POST));
    }

    #[test]
    fn other_methods_are_told() {
        assert_eq!(Shape::Deployment.allowed(), "GET, HEAD, PUT, PATCH, DELETE");
        assert!(Shape::Deployment.has(&Method::HEAD) && !Shape::Scale.has(&Method::HEAD) && !Shape::Scale.has(&Method::PUT));
    }
}
