//! An orchestrator that serves.

use std::{sync::Arc, time::Duration};

use ::http::{Method, Request, Response};
use axum::body::Body;
use hyper::body::Incoming;
use longshore_service::{
    admin::Admin,
    doors::{Doors, Drained},
    listener::ConnectionInfo,
    metrics::{HttpMetrics, Metrics},
    request_id::{self, RequestId},
    telemetry,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

use crate::{
    audit::AuditWriter,
    feed::Feed,
    http,
    lead::Lead,
    orchestrator::{Orchestrator, now},
    state::{Act, Answer, AuditLine, Micros, StateError, Write},
    sweeper::Sweeper,
};

/// How long the last tasks may take once nothing is served any more.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the token of a node that runs beside lets it in.
const BESIDE_LIFETIME_US: Micros = 600_000_000;

/// An orchestrator with its addresses taken, ready to run.
pub struct App {
    pub(crate) summary: String,
    pub(crate) doors: Doors,
    pub(crate) admin: Admin,
    pub(crate) metrics: Metrics,
    pub(crate) orchestrator: Arc<Orchestrator>,
    pub(crate) http_metrics: Arc<HttpMetrics>,
    pub(crate) sweeper: Sweeper,
    pub(crate) audit_writer: AuditWriter,
    pub(crate) lead: Lead,
}

impl App {
    /// Where it is reached.
    pub fn doors(&self) -> &Doors {
        &self.doors
    }

    /// The database in a word: "SQLite".
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// What is counted, and told on the admin listener.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// A token that lets one node in, for the next ten minutes: for the node that runs beside.
    pub async fn join_token(&self) -> Result<String, StateError> {
        let token = http::fresh_join_token();
        let at = now();
        let row = http::join_token_row(&token, at.saturating_add(BESIDE_LIFETIME_US), 1);
        let audit = AuditLine {
            at,
            account: "longshore".to_owned(),
            address: None,
            request: "start".to_owned(),
            subject: format!("join token {}", row.hash),
            outcome: "201".to_owned(),
            request_id: None,
        };
        let answer = Answer { status: 201, body: serde_json::Value::Null };
        let writes = vec![Write::PutJoinToken(row)];
        self.orchestrator.state.act(&Act { operation: None, writes, events: Vec::new(), audit, answer, now: at }).await?;
        Ok(token)
    }

    /// Serves until `shutdown` is cancelled, then finishes what runs, within the drain's limit.
    pub async fn run(self, shutdown: CancellationToken) -> Drained {
        let Self { mut doors, admin, orchestrator, http_metrics, sweeper, audit_writer, lead, .. } = self;
        let admin = doors.serve_admin(move |request, _: ConnectionInfo| admin.clone().answer(request));
        tokio::spawn(sweeper.run(shutdown.clone()));
        tokio::spawn(Feed::run(orchestrator.feed.clone(), shutdown.clone()));
        let stop_noting = CancellationToken::new();
        let mut noting = tokio::spawn(audit_writer.run(stop_noting.clone()));
        let mut leading = tokio::spawn(lead.run(shutdown.clone()));
        let flag = tokio::spawn({
            let (shutdown, draining) = (shutdown.clone(), orchestrator.draining.clone());
            async move {
                shutdown.cancelled().await;
                draining.cancel();
            }
        });
        let handler = move |request, info| answer(orchestrator.clone(), http_metrics.clone(), request, info);
        let drained = doors.serve(handler, &TaskTracker::new(), shutdown).await;
        flag.abort();
        // Only now, when no request is refused any more.
        stop_noting.cancel();
        for task in [&mut leading, &mut noting] {
            if tokio::time::timeout(SETTLE_TIMEOUT, &mut *task).await.is_err() {
                task.abort();
            }
        }
        drop(admin);
        drained
    }
}

/// Answers one request: names it, does it, and tells metrics and logs of it.
async fn answer(
    orchestrator: Arc<Orchestrator>,
    metrics: Arc<HttpMetrics>,
    request: Request<Incoming>,
    info: ConnectionInfo,
) -> Response<Body> {
    let begun = std::time::Instant::now();
    let id = RequestId::of(request.headers());
    let method = request.method().clone();
    let span = span(&request, &method, &id);
    let (label, outcome) = http::handle(&orchestrator, request, info.peer.ip(), &id).instrument(span.clone()).await;
    let _in_span = span.enter();
    let mut response = outcome.unwrap_or_else(|error| http::refuse(&error, id.as_str()));
    response.headers_mut().insert(request_id::HEADER, id.header_value());
    let elapsed = begun.elapsed();
    let route = http::Shape::LABELS.iter().position(|route| *route == label).unwrap_or(http::Shape::LABELS.len() - 1);
    metrics.observe(route, &method, response.status(), elapsed);
    log(&method, &response, label, elapsed);
    response
}

/// What a request's log lines and trace are gathered under.
fn span(request: &Request<Incoming>, method: &Method, id: &RequestId) -> tracing::Span {
    let path = request.uri().path();
    let span = tracing::info_span!("request", request_id = id.as_str(), %method, path);
    telemetry::join_trace(&span, request.headers());
    span
}

/// One line a request, whose span says the rest: refusals and changes at info; what went well and changed nothing, and what nodes say all the
/// time, at debug.
fn log(method: &Method, response: &Response<Body>, label: &str, elapsed: Duration) {
    let (status, elapsed_us) = (response.status().as_u16(), u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX));
    let is_usual = matches!(*method, Method::GET | Method::HEAD) || label == "agentreports";
    if is_usual && response.status().is_success() {
        tracing::debug!(status, elapsed_us, "answered");
    } else {
        tracing::info!(status, elapsed_us, "answered");
    }
}
