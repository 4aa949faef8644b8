//! What each path and method takes and gives.

use http::Method;
use longshore_fleet::{
    DeploymentSpec, Instruction, JobSpec, Join, Joined, NamespaceSpec, Report,
    api::{
        AdviceView, Applied, AuditView, DeploymentView, DrainRequest, Event, ExplanationView, Holder, IssuedJoinToken, JobView,
        JoinTokenRequest, JoinTokenView, NamespaceView, NodeHealth, NodeView, OperationView, Page, Plan, PodView, PrewarmRequest,
        RevisionView, RollbackRequest, ScaleRequest,
    },
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::Shape;

/// A schema, made where it is asked for.
type Form = fn(&mut SchemaGenerator) -> Schema;
/// A parameter: its name, the type of it, and what it is.
type Parameter = (&'static str, &'static str, &'static str);

/// What an operation takes and gives.
pub(super) struct Described {
    pub(super) summary: &'static str,
    pub(super) query: Vec<Parameter>,
    pub(super) headers: Vec<Parameter>,
    pub(super) request: Option<(&'static str, Form)>,
    /// The status where it goes well, and what comes with it.
    pub(super) response: (u16, &'static str, Option<Form>),
}

/// A deployment as it is sent.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "it is there for its schema")]
struct DeploymentRequest {
    #[serde(flatten)]
    spec: DeploymentSpec,
    /// What makes a retry the same act.
    operation_id: Option<String>,
    /// Which revision the caller saw; none where there is to be none yet.
    revision: Option<u64>,
}

/// A job as it is sent.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "it is there for its schema")]
struct JobRequest {
    #[serde(flatten)]
    spec: JobSpec,
    /// What makes a retry the same act.
    operation_id: Option<String>,
    /// Which revision the caller saw; none where there is to be none yet.
    revision: Option<u64>,
}

/// A deployment as it is planned.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "it is there for its schema")]
struct DeploymentPlanRequest {
    #[serde(flatten)]
    request: DeploymentRequest,
    /// Its namespace as it is yet to be; as it is now where there is none.
    namespace_spec: Option<NamespaceSpec>,
}

/// A job as it is planned.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "it is there for its schema")]
struct JobPlanRequest {
    #[serde(flatten)]
    request: JobRequest,
    /// Its namespace as it is yet to be; as it is now where there is none.
    namespace_spec: Option<NamespaceSpec>,
}

/// A namespace as it is sent.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "it is there for its schema")]
struct NamespaceRequest {
    #[serde(flatten)]
    spec: NamespaceSpec,
    /// What makes a retry the same act.
    operation_id: Option<String>,
    /// Which revision the caller saw; none where there is to be none yet.
    revision: Option<u64>,
}

const JSON: &str = "application/json";
const LIMIT: Parameter = ("limit", "integer", "How many entries, at most.");
const AFTER: Parameter = ("after", "string", "Go on after this: what `next` of the page before says.");
const NAMESPACE: Parameter = ("namespace", "string", "In this namespace alone.");
const IF_IDLE: Parameter = ("ifIdle", "boolean", "Only where no rollout goes on; else 409_ROLLOUT_IN_PROGRESS.");
const IF_FITS: Parameter = ("ifFits", "boolean", "Only where all pods fit; else 422_INSUFFICIENT_CLUSTER_CAPACITY.");
const IF_MATCH: Parameter = ("If-Match", "string", "The revision that was seen: `\"7\"`.");
const OPERATION: Parameter = ("X-Operation-Id", "string", "What makes a retry within a day the same act.");

fn form<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object"})
}

fn patch(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "description": "A merge patch (RFC 7386) of the spec; beside it `revision` and `operationId`."})
}

fn text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string"})
}

impl Described {
    fn new(summary: &'static str, status: u16, answer: Option<Form>) -> Self {
        Self { summary, query: Vec::new(), headers: Vec::new(), request: None, response: (status, JSON, answer) }
    }

    /// What gives one thing.
    fn gives<T: JsonSchema>(summary: &'static str) -> Self {
        Self::new(summary, 200, Some(form::<T>))
    }

    /// What gives a list in parts, by these parameters besides.
    fn lists<T: JsonSchema>(summary: &'static str, query: &[Parameter]) -> Self {
        let mut described = Self::gives::<Page<T>>(summary);
        described.query = [query, &[LIMIT, AFTER]].concat();
        described
    }

    fn status(mut self, status: u16) -> Self {
        self.response.0 = status;
        self
    }

    fn nothing(mut self) -> Self {
        self.response = (204, JSON, None);
        self
    }

    fn by(mut self, query: &[Parameter]) -> Self {
        self.query.extend(query);
        self
    }

    fn takes<T: JsonSchema>(mut self) -> Self {
        self.request = Some((JSON, form::<T>));
        self
    }

    fn takes_patch(mut self) -> Self {
        self.request = Some(("application/merge-patch+json", patch));
        self
    }

    /// A change, which may say what it saw and be named.
    fn change(mut self) -> Self {
        self.headers = vec![IF_MATCH, OPERATION];
        self
    }

    /// A change of what runs.
    fn workload(self) -> Self {
        self.change().by(&[IF_IDLE, IF_FITS])
    }

    fn streams(mut self, content_type: &'static str, form: Form) -> Self {
        self.response = (200, content_type, Some(form));
        self
    }
}

/// What a path and one of its methods take and give.
pub(super) fn describe(shape: Shape, method: &Method) -> Described {
    match shape {
        Shape::Deployments
        | Shape::DeploymentsPlan
        | Shape::Deployment
        | Shape::DeploymentPlan
        | Shape::Scale
        | Shape::Rollback
        | Shape::Revisions
        | Shape::DeploymentExplain => deployments(shape, method),
        Shape::Jobs | Shape::JobsPlan | Shape::Job | Shape::JobPlan | Shape::JobExplain => jobs(shape, method),
        Shape::Nodes
        | Shape::NodeHealth
        | Shape::Node
        | Shape::Cordon
        | Shape::Uncordon
        | Shape::Drain
        | Shape::JoinTokens
        | Shape::JoinToken
        | Shape::Join
        | Shape::Instructions
        | Shape::Reports
        | Shape::AgentLogs => nodes(shape, method),
        _ => others(shape, method),
    }
}

fn deployments(shape: Shape, method: &Method) -> Described {
    match (shape, method) {
        (Shape::Deployments, &Method::POST) => {
            let summary = "Makes a deployment; or changes the one of this name, where `revision` says what was seen.";
            Described::gives::<Applied>(summary).status(201).takes::<DeploymentRequest>().workload()
        }
        (Shape::Deployments, _) => {
            let name = ("name", "string", "Of this name; the namespace must be said, too.");
            Described::lists::<DeploymentView>("Deployments, by id.", &[NAMESPACE, name])
        }
        (Shape::DeploymentsPlan, _) => {
            Described::gives::<Plan>("What a deployment so would come to. Nothing is changed.").takes::<DeploymentPlanRequest>()
        }
        (Shape::DeploymentPlan, _) => Described::gives::<Plan>("What a patch would come to. Nothing is changed.").takes_patch(),
        (Shape::Deployment, &Method::PUT) => {
            Described::gives::<Applied>("Puts another spec in its place.").takes::<DeploymentRequest>().workload()
        }
        (Shape::Deployment, &Method::PATCH) => {
            Described::gives::<Applied>("Changes what the patch names: its image, or any other field.").takes_patch().workload()
        }
        (Shape::Deployment, &Method::DELETE) => {
            Described::gives::<DeploymentView>("Ends its pods; it goes with the last.").status(202).change()
        }
        (Shape::Scale, _) => Described::gives::<Applied>("Another number of pods.").takes::<ScaleRequest>().workload(),
        (Shape::Rollback, _) => {
            Described::gives::<Applied>("Back to what its pods were made from before.").takes::<RollbackRequest>().workload()
        }
        (Shape::Revisions, _) => Described::lists::<RevisionView>("What its pods were made from, the newest first.", &[]),
        (Shape::DeploymentExplain, _) => Described::gives::<ExplanationView>("Where one more of its pods would be, and why."),
        _ => Described::gives::<DeploymentView>("A deployment."),
    }
}

fn jobs(shape: Shape, method: &Method) -> Described {
    match (shape, method) {
        (Shape::Jobs, &Method::POST) => {
            let summary = "Makes a job; or changes the one of this name, where `revision` says what was seen.";
            Described::gives::<Applied>(summary).status(201).takes::<JobRequest>().workload()
        }
        (Shape::Jobs, _) => {
            let name = ("name", "string", "Of this name; the namespace must be said, too.");
            Described::lists::<JobView>("Jobs, by id.", &[NAMESPACE, name])
        }
        (Shape::JobsPlan, _) => {
            Described::gives::<Plan>("What a job so would come to. Nothing is changed.").takes::<JobPlanRequest>()
        }
        (Shape::JobPlan, _) => Described::gives::<Plan>("What a patch would come to. Nothing is changed.").takes_patch(),
        (Shape::Job, &Method::PUT) => {
            let summary = "Puts another spec in its place; what its pods are made from can't be other.";
            Described::gives::<Applied>(summary).takes::<JobRequest>().workload()
        }
        (Shape::Job, &Method::PATCH) => {
            let summary = "Changes what the patch names, such as its parallelism; what its pods are made from can't be other.";
            Described::gives::<Applied>(summary).takes_patch().workload()
        }
        (Shape::Job, &Method::DELETE) => {
            Described::gives::<JobView>("Ends its pods; it goes with the last.").status(202).change()
        }
        (Shape::JobExplain, _) => Described::gives::<ExplanationView>("Where one more of its pods would be, and why."),
        _ => Described::gives::<JobView>("A job."),
    }
}

fn nodes(shape: Shape, method: &Method) -> Described {
    match (shape, method) {
        (Shape::Nodes, _) => Described::lists::<NodeView>("Nodes, by name.", &[]),
        (Shape::NodeHealth, _) => {
            let zone = ("zone", "string", "Of this zone alone.");
            Described::gives::<NodeHealth>("How nodes are, all together and by zone.").by(&[zone])
        }
        (Shape::Node, &Method::DELETE) => {
            let force = ("force", "boolean", "Even where it has pods that run: they are made anew elsewhere.");
            Described::gives::<NodeView>("Removes a node.").nothing().by(&[force]).change()
        }
        (Shape::Cordon, _) => Described::gives::<NodeView>("It gets no more pods.").takes::<DrainRequest>().change(),
        (Shape::Uncordon, _) => Described::gives::<NodeView>("It gets pods again.").takes::<DrainRequest>().change(),
        (Shape::Drain, _) => {
            let summary = "It gets no more pods, and those that it has are taken off it, as far as disruption budgets let them.";
            Described::gives::<NodeView>(summary).takes::<DrainRequest>().change()
        }
        (Shape::JoinTokens, &Method::POST) => {
            let summary = "Makes a token that lets nodes in. It is shown once.";
            Described::gives::<IssuedJoinToken>(summary).status(201).takes::<JoinTokenRequest>()
        }
        (Shape::JoinTokens, _) => Described::gives::<Page<JoinTokenView>>("Tokens that let nodes in."),
        (Shape::JoinToken, _) => {
            let mut described = Described::gives::<JoinTokenView>("A token lets nobody in any more.").nothing();
            described.headers = vec![OPERATION];
            described
        }
        (Shape::Join, _) => Described::gives::<Joined>("A node wants to belong to the fleet.").takes::<Join>(),
        (Shape::Instructions, _) => {
            let summary = "What a node is to do, a line of JSON each; an empty line is a sign of life.";
            Described::gives::<Instruction>(summary).streams("application/x-ndjson", form::<Instruction>)
        }
        (Shape::Reports, _) => Described::gives::<Report>("How things are on a node.").nothing().takes::<Report>(),
        (Shape::AgentLogs, _) => {
            let mut described =
                Described::new("What a pod has written, to whoever waits for it; or, as JSON, why it can't be sent.", 204, None);
            described.request = Some(("text/plain", text));
            described
        }
        _ => Described::gives::<NodeView>("A node, by id or name."),
    }
}

fn others(shape: Shape, method: &Method) -> Described {
    match (shape, method) {
        (Shape::Namespaces, _) => Described::lists::<NamespaceView>("Namespaces, by name.", &[]),
        (Shape::Namespace, &Method::PUT) => {
            let summary = "Makes a namespace, or changes it from what was seen.";
            Described::gives::<NamespaceView>(summary).takes::<NamespaceRequest>().change()
        }
        (Shape::Namespace, &Method::DELETE) => {
            Described::gives::<NamespaceView>("Removes a namespace that has no workloads.").nothing().change()
        }
        (Shape::Namespace, _) => Described::gives::<NamespaceView>("A namespace."),
        (Shape::Pods, _) => {
            let query: &[Parameter] = &[
                NAMESPACE,
                ("workload", "string", "Of this deployment or job, by id."),
                ("node", "string", "On the node of this name."),
                ("phase", "string", "So far along: `Running`."),
                ("name", "string", "Of this name."),
            ];
            Described::lists::<PodView>("Pods, by id.", query)
        }
        (Shape::Pod, &Method::DELETE) => {
            let summary = "Has it leave its node, as far as its workload's disruption budget lets it; another takes its place.";
            let mut described = Described::gives::<PodView>(summary).status(202);
            described.headers = vec![OPERATION];
            described
        }
        (Shape::Pod, _) => Described::gives::<PodView>("A pod."),
        (Shape::PodExplain, _) => Described::gives::<ExplanationView>("Why it is where it is, or nowhere: every node's verdict."),
        (Shape::PodLogs, _) => {
            let query: &[Parameter] = &[
                ("follow", "boolean", "What is yet to be written, too."),
                ("tail", "integer", "The last lines, so many."),
                ("previous", "boolean", "Of the container before."),
                ("timestamps", "boolean", "Each line begins with its time."),
            ];
            Described::new("What it writes.", 200, None).by(query).streams("text/plain", text)
        }
        (Shape::Advice, _) => {
            let limit = ("limit", "integer", "How many nodes would be emptied, at most.");
            Described::gives::<Page<AdviceView>>("Which pods would better be elsewhere. Nothing moves by itself.").by(&[limit])
        }
        (Shape::Holders, _) => {
            Described::lists::<Holder>("Which nodes have an image that a workload is made from, or a layer, by name.", &[])
        }
        (Shape::Prewarm, _) => {
            let summary = "Images are to be fetched before they are needed.";
            Described::gives::<OperationView>(summary).status(202).takes::<PrewarmRequest>().change()
        }
        (Shape::Operations, _) => {
            let running = ("running", "boolean", "Those alone that have not ended.");
            Described::lists::<OperationView>("Long work, by id.", &[running])
        }
        (Shape::CancelOperation, _) => Described::gives::<OperationView>("Stops what goes on.").change(),
        (Shape::Operation, _) => Described::gives::<OperationView>("Long work, and how far it is."),
        (Shape::Events, _) => {
            let id = ("id", "string", "Of the thing that is named so.");
            Described::gives::<Page<Event>>("What happened last, the newest first.").by(&[NAMESPACE, id, LIMIT])
        }
        (Shape::Watch, _) => {
            let query: &[Parameter] = &[
                ("since", "integer", "From this position on; from now where there is none."),
                ("kinds", "string", "Of these kinds alone, with commas between them: `pod,deployment`."),
                NAMESPACE,
            ];
            let summary = "What happens, as server-sent events: a position as each one's id, an event as its data.";
            let mut described = Described::gives::<Event>(summary).by(query).streams("text/event-stream", form::<Event>);
            described.headers = vec![("Last-Event-ID", "integer", "The position that was had last.")];
            described
        }
        (Shape::Audit, _) => Described::lists::<AuditView>("Who did what, the newest first.", &[]),
        _ => Described::new("What this API is.", 200, Some(any_object)),
    }
}
