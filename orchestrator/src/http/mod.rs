//! The API: a request's path is parsed once into a [`Route`], and each operation is a file.

mod acting;
mod advice;
mod agent_logs;
mod apply;
mod audit;
mod body;
mod document;
mod events;
mod evict;
mod explain;
mod holders;
mod instructions;
mod join;
mod join_tokens;
mod merge;
mod namespaces;
mod nodes;
mod noting;
mod openapi;
mod operations;
mod page;
mod plan;
mod pod_logs;
mod pods;
mod prewarm;
mod query;
mod refusal;
mod reply;
mod reports;
mod revisions;
mod rollback;
mod route;
mod scale;
#[cfg(test)]
mod tests;
mod turns;
mod visible;
mod wanted;
mod watch;
mod workload_delete;
mod workloads;

pub(crate) use join_tokens::{fresh as fresh_join_token, row_of as join_token_row};

use std::{net::IpAddr, pin::Pin, sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderName, Method, Request, Response, request::Parts};
use longshore_service::request_id::RequestId;

use crate::{
    access::Caller,
    error::Error,
    forwarding::{PASSED_ON, told_address},
    orchestrator::Orchestrator,
};

use query::Parameters;
pub use refusal::refuse;
use route::Route;
pub use route::Shape;
pub use turns::Turns;

/// What an operation comes to.
type Outcome = Result<Response<Body>, Error>;

/// A request as an operation sees it.
pub struct Call<B> {
    /// Everything but path and body.
    pub parts: Parts,
    /// The body.
    pub body: B,
    /// What names it in logs.
    pub id: RequestId,
    /// Who it is, as far as tokens of the registry say; nodes are told apart by those who serve them.
    pub caller: Caller,
}

impl<B> Call<B> {
    /// A header's value where it is there and text.
    fn header(&self, name: HeaderName) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// The parameters, of which these are known.
    fn parameters(&self, known: &[&str]) -> Parameters<'_> {
        Parameters::new(self.parts.uri.query().unwrap_or_default(), known)
    }

    /// From where it comes, as the audit log has it.
    fn told_address(&self) -> String {
        told_address(&self.parts.headers, self.caller.address())
    }

    /// What was asked, in a line.
    fn line(&self) -> String {
        format!("{} {}", self.parts.method, self.parts.uri.path())
    }
}

/// A body as it comes from a connection.
pub trait Incoming: http_body::Body<Data = Bytes, Error: std::fmt::Display + Send> + Send + Sync + Unpin + 'static {}
impl<B: http_body::Body<Data = Bytes, Error: std::fmt::Display + Send> + Send + Sync + Unpin + 'static> Incoming for B {}

/// Does what a request asks. The label names the route for logs and metrics.
pub async fn handle<B: Incoming>(
    orchestrator: &Arc<Orchestrator>,
    request: Request<B>,
    client: IpAddr,
    id: &RequestId,
) -> (&'static str, Outcome) {
    let (parts, body) = request.into_parts();
    let route = match Route::parse(parts.uri.path()) {
        Ok(route) => route,
        Err(error) => return ("unknown", Err(error)),
    };
    let label = route.shape().label();
    if !route.shape().has(&parts.method) {
        return (label, Err(Error::Method { method: parts.method, allowed: route.shape().allowed() }));
    }
    let turn = match orchestrator.turns.take(&route, &parts) {
        Ok(turn) => turn,
        Err(error) => return (label, Err(error)),
    };
    let asked = noting::Asked::new(&parts, client, id);
    // What a pod writes is sent for as long as somebody reads it, who alone counts.
    let (limit, _turn) = match route {
        Route::AgentLogs(_) => {
            drop(turn);
            (Duration::MAX, None)
        }
        _ => (orchestrator.limits.timeout.get(), Some(turn)),
    };
    // It is large, and is moved a few times before it runs.
    let work: Pin<Box<dyn Future<Output = (Option<String>, Outcome)> + Send + '_>> =
        Box::pin(attempt(orchestrator, route, parts, body, client, id.clone()));
    let (name, outcome) = tokio::time::timeout(limit, work).await.unwrap_or_else(|_| (None, Err(Error::TimedOut(limit))));
    if let Err(error) = &outcome {
        asked.note(orchestrator, name.as_deref(), error);
    }
    (label, outcome)
}

/// Finds out who calls, and where what is asked can be done. The caller's name is for the audit log.
async fn attempt<B: Incoming>(
    orchestrator: &Arc<Orchestrator>,
    route: Route,
    parts: Parts,
    body: B,
    client: IpAddr,
    id: RequestId,
) -> (Option<String>, Outcome) {
    let is_of_nodes = parts.uri.path().starts_with("/agent/");
    let caller = if is_of_nodes || route == Route::OpenApi {
        Ok(Caller::nobody(client))
    } else {
        match orchestrator.access.refuse_pages(&parts.uri, &parts.headers) {
            Ok(()) => orchestrator.access.identify(&parts.headers, client).await,
            Err(error) => Err(error),
        }
    };
    let caller = match caller {
        Ok(caller) => caller,
        Err(error) => return (None, Err(error)),
    };
    let name = (!is_of_nodes).then(|| caller.name().to_owned());
    let call = Call { parts, body, id, caller };
    if needs_leader(&route, &call.parts) {
        match orchestrator.elsewhere() {
            Ok(None) => {}
            Ok(Some(address)) => return (name, pass_on(orchestrator, address, call).await),
            Err(error) => return (name, Err(error)),
        }
    }
    let outcome = if is_of_nodes { of_nodes(orchestrator, route, call).await } else { operate(orchestrator, route, call).await };
    (name, outcome)
}

/// Whether only the leader can do it: what only it knows, and changes that are made only where there is room.
fn needs_leader(route: &Route, parts: &Parts) -> bool {
    let wants_room = || Parameters::new(parts.uri.query().unwrap_or_default(), &[acting::IF_FITS]).flag(acting::IF_FITS);
    route.needs_leader(&parts.method) || wants_room()
}

/// Has the leader answer.
async fn pass_on<B: Incoming>(orchestrator: &Orchestrator, address: String, mut call: Call<B>) -> Outcome {
    if call.parts.headers.contains_key(PASSED_ON) {
        return Err(Error::NotLeader(Some(address)));
    }
    let content = body::read_short(orchestrator, &mut call).await?;
    let caller = call.caller.address();
    orchestrator.forwarder.clone().pass_on(address, call.parts, content, caller).await
}

/// What people and their tools ask. A method is one that the path has.
async fn operate<B: Incoming>(orchestrator: &Arc<Orchestrator>, route: Route, call: Call<B>) -> Outcome {
    let method = call.parts.method.clone();
    let is_read = method == Method::GET || method == Method::HEAD;
    match route {
        Route::OpenApi => Ok(openapi::openapi(&call)?),
        Route::Workloads(kind) if is_read => workloads::list(orchestrator, kind, &call).await,
        Route::Workloads(kind) => Box::pin(apply::create(orchestrator, kind, call)).await,
        Route::Plan(kind) => Box::pin(plan::of_spec(orchestrator, kind, call)).await,
        Route::PlanOf(id) => Box::pin(plan::of_patch(orchestrator, id, call)).await,
        Route::Workload(id) if is_read => workloads::one(orchestrator, id, &call).await,
        Route::Workload(id) if method == Method::DELETE => workload_delete::delete(orchestrator, id, call).await,
        Route::Workload(id) if method == Method::PUT => Box::pin(apply::replace(orchestrator, id, call)).await,
        Route::Workload(id) => Box::pin(apply::patch(orchestrator, id, call)).await,
        Route::Scale(id) => Box::pin(scale::scale(orchestrator, id, call)).await,
        Route::Rollback(id) => Box::pin(rollback::rollback(orchestrator, id, call)).await,
        Route::Revisions(id) => revisions::revisions(orchestrator, id, &call).await,
        Route::ExplainWorkload(id) => explain::workload(orchestrator, id, &call).await,
        Route::Namespaces => namespaces::list(orchestrator, &call).await,
        Route::Namespace(name) if is_read => namespaces::one(orchestrator, name, &call).await,
        Route::Namespace(name) if method == Method::DELETE => namespaces::delete(orchestrator, name, call).await,
        Route::Namespace(name) => namespaces::put(orchestrator, name, call).await,
        Route::Pods => pods::list(orchestrator, &call).await,
        Route::Pod(id) if is_read => pods::one(orchestrator, id, &call).await,
        Route::Pod(id) => evict::evict(orchestrator, id, &call).await,
        Route::ExplainPod(id) => explain::pod(orchestrator, id, &call).await,
        Route::PodLogs(id) => pod_logs::pod_logs(orchestrator, id, &call).await,
        Route::Nodes => nodes::list(orchestrator, &call).await,
        Route::NodeHealth => nodes::health(orchestrator, &call).await,
        Route::Node(key) if is_read => nodes::one(orchestrator, key, &call).await,
        Route::Node(key) => nodes::remove(orchestrator, key, call).await,
        Route::Cordon(key) => nodes::change(orchestrator, key, nodes::Change::Cordon, call).await,
        Route::Uncordon(key) => nodes::change(orchestrator, key, nodes::Change::Uncordon, call).await,
        Route::Drain(key) => nodes::change(orchestrator, key, nodes::Change::Drain, call).await,
        Route::JoinTokens if is_read => join_tokens::list(orchestrator, &call).await,
        Route::JoinTokens => join_tokens::create(orchestrator, call).await,
        Route::JoinToken(hash) => join_tokens::remove(orchestrator, hash, call).await,
        Route::Advice => advice::advice(orchestrator, &call).await,
        Route::Holders(digest) => holders::holders(orchestrator, digest, &call).await,
        Route::Prewarm => Box::pin(prewarm::prewarm(orchestrator, call)).await,
        Route::Operations => operations::list(orchestrator, &call).await,
        Route::Operation(id) => operations::one(orchestrator, id, &call).await,
        Route::CancelOperation(id) => operations::cancel(orchestrator, id, call).await,
        Route::Events => events::events(orchestrator, &call).await,
        Route::Watch => watch::watch(orchestrator, &call).await,
        Route::Audit => audit::audit(orchestrator, &call).await,
        Route::Join | Route::Instructions | Route::Reports | Route::AgentLogs(_) => of_nodes(orchestrator, route, call).await,
    }
}

/// What nodes ask.
async fn of_nodes<B: Incoming>(orchestrator: &Arc<Orchestrator>, route: Route, call: Call<B>) -> Outcome {
    match route {
        Route::Join => join::join(orchestrator, call).await,
        Route::Instructions => instructions::instructions(orchestrator, &call).await,
        Route::Reports => reports::reports(orchestrator, call).await,
        Route::AgentLogs(id) => agent_logs::agent_logs(orchestrator, id, call).await,
        _ => Err(Error::PathUnknown),
    }
}
