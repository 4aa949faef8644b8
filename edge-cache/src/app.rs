//! An edge cache that serves.

use std::{sync::Arc, time::Duration};

use ::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use axum::body::Body;
use hyper::body::Incoming;
use longshore_oci::{ErrorBody, ErrorCode, ErrorEntry, Route};
use longshore_service::{
    admin::Admin,
    doors::{Doors, Drained},
    listener::ConnectionInfo,
    metrics::{HttpMetrics, Metrics},
    request_id::{self, RequestId},
    telemetry,
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{
    control,
    edge::Edge,
    events::Follower,
    first_byte,
    http::{self, RouteLabel},
    neighbours::Neighbours,
    prewarm,
    sent::Sent,
    site,
    store::Keeper,
};

/// The routes' labels, by their position in the metrics; the last stands for all others.
pub(crate) const ROUTES: &[&str] =
    &["base", "manifest", "blob", "tags", "referrers", "metainfo", "keys", "token", "swarm", "edge", "site", "unknown"];
/// The label of the edge's own API.
const CONTROL: &str = "edge";
/// The label of what the edges of a site ask each other.
const SITE: &str = "site";

/// How long what was cut off at the drain's end may take.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the store may take to write what is left.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(30);

/// An edge with its addresses taken, ready to run.
pub struct App {
    pub(crate) summary: String,
    pub(crate) upstreams: Vec<String>,
    pub(crate) doors: Doors,
    pub(crate) admin: Admin,
    pub(crate) metrics: Metrics,
    pub(crate) edge: Arc<Edge>,
    pub(crate) http_metrics: Arc<HttpMetrics>,
    pub(crate) keeper: Keeper,
    pub(crate) followers: Vec<Follower>,
    pub(crate) draining: CancellationToken,
}

impl App {
    /// Where it is reached.
    pub fn doors(&self) -> &Doors {
        &self.doors
    }

    /// How much is kept: "up to 50GiB".
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// The names of the registries that it speaks for.
    pub fn upstreams(&self) -> &[String] {
        &self.upstreams
    }

    /// What serves: who adds neighbours makes them of its parts.
    pub fn edge(&self) -> &Arc<Edge> {
        &self.edge
    }

    /// What is counted, and told on the admin listener.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Has neighbours asked before all others for what is not here. To be set before it runs; those that are set first stay.
    pub fn set_neighbours(&self, neighbours: Arc<dyn Neighbours>) {
        self.edge.sources.set_neighbours(neighbours);
    }

    /// Has `GET /v2/_longshore/swarm` tell of a tracker that runs beside it. To be set before it runs; what is set first stays, and where
    /// there are neighbours they tell of themselves.
    pub fn set_swarm_record(&self, record: serde_json::Value) {
        self.edge.swarm_record.set(record).ok();
    }

    /// Serves until `shutdown` is cancelled, then finishes what runs, within the drain's limit.
    pub async fn run(self, shutdown: CancellationToken) -> Drained {
        let Self { mut doors, admin, edge, http_metrics, keeper, followers, draining, .. } = self;
        let cared_for = edge.clone();
        let admin = doors.serve_admin(move |request, info| look_after(cared_for.clone(), admin.clone(), request, info));
        let stop_keeping = CancellationToken::new();
        let mut keeping = tokio::spawn(keeper.run(stop_keeping.clone()));
        if let Some(site) = &edge.site {
            tokio::spawn(site.clone().run(edge.stopping.clone()));
        }
        for follower in followers {
            edge.tasks.spawn(follower.run(edge.stopping.clone()));
        }
        let (tasks, blobs, stopping) = (edge.tasks.clone(), edge.blobs.clone(), edge.stopping.clone());
        let handler = move |request, info| answer(edge.clone(), http_metrics.clone(), request, info);
        let flag = async {
            shutdown.cancelled().await;
            draining.cancel();
            // Followers and operations are among the tasks that are waited for: they write down where they stood.
            stopping.cancel();
        };
        let (drained, ()) = tokio::join!(doors.serve(handler, &tasks, shutdown.clone()), flag);
        drop(admin);
        if tokio::time::timeout(SETTLE_TIMEOUT, blobs.wait_until_kept()).await.is_err() {
            tracing::warn!("the last pieces are not written, and will be fetched again: the disk did not take them in time");
        }
        // Only now, when nothing brings pieces, pins or records any more.
        stop_keeping.cancel();
        if tokio::time::timeout(FLUSH_TIMEOUT, &mut keeping).await.is_err() {
            keeping.abort();
            tracing::warn!("the last pieces are not noted, and will be fetched again: the disk did not take them in time");
        }
        drained
    }
}

/// Answers on the admin listener.
async fn look_after(edge: Arc<Edge>, admin: Admin, request: Request<Incoming>, info: ConnectionInfo) -> control::Answer {
    if control::is_ours(request.uri().path()) {
        control::handle(&edge, request, info.peer.ip()).await
    } else {
        admin.answer(request).await
    }
}

/// Answers one request: names it, does it, and tells metrics and logs of it.
async fn answer(edge: Arc<Edge>, metrics: Arc<HttpMetrics>, request: Request<Incoming>, info: ConnectionInfo) -> Response<Sent> {
    let begun = std::time::Instant::now();
    let id = RequestId::of(request.headers());
    let method = request.method().clone();
    let span = tracing::debug_span!("request", request_id = id.as_str(), %method, path = request.uri().path());
    if !span.is_disabled() {
        telemetry::join_trace(&span, request.headers());
    }
    let path = tracing::enabled!(tracing::Level::INFO).then(|| request.uri().path().to_owned());
    let (label, mut response) = operate(&edge, request, info).instrument(span.clone()).await;
    let _in_span = span.enter();
    response.headers_mut().insert(request_id::HEADER, id.header_value());
    let elapsed = begun.elapsed();
    let route = ROUTES.iter().position(|route| *route == label).unwrap_or(ROUTES.len() - 1);
    metrics.observe(route, &method, response.status(), elapsed);
    log(&method, path.as_deref().unwrap_or_default(), &response, id.as_str(), elapsed);
    response.map(|body| Sent::new(body, metrics.sent_bytes.clone()))
}

/// Does what a request asks; the label names its route.
async fn operate(edge: &Arc<Edge>, request: Request<Incoming>, info: ConnectionInfo) -> (&'static str, Response<Body>) {
    let client = info.peer.ip();
    if control::is_ours(request.uri().path()) {
        return (CONTROL, Box::pin(control::handle(edge, request, client)).await.map(Body::new));
    }
    if prewarm::api::is_own(request.uri().path()) {
        if let Err(refusal) = control::admit(edge, client, &request) {
            return (CONTROL, refusal.map(Body::new));
        }
        let answer = Box::pin(prewarm::api::answer(&edge.prewarm, request)).await;
        return (CONTROL, answer.expect("it is one of its own paths"));
    }
    let Ok(in_flight) = edge.in_flight.clone().try_acquire_owned() else {
        return ("unknown", unavailable("too many requests at once; try again in a moment"));
    };
    if let Some(site) = edge.site.as_ref().filter(|_| request.uri().path().starts_with(site::PREFIX)) {
        return (SITE, site::serve(site, &edge.blobs, &**edge, &request.into_parts().0).await);
    }
    let route = Route::parse(request.uri().path()).ok();
    let is_content = matches!(route, Some(Route::Manifest(..) | Route::Blob(..)));
    let response = match edge.first_byte_limit.filter(|_| is_content) {
        Some(limit) => {
            let (at_work, label) = (edge.clone(), route.map_or("unknown", |route| route.label()));
            let work = async move {
                // Held for as long as something is at work.
                let _in_flight = in_flight;
                http::handle(&at_work, request, client).await
            };
            match first_byte::within(limit, || edge.came_bytes(), work.in_current_span()).await {
                Ok(response) => response,
                Err(first_byte::Late) => return (label, unavailable(&format!("nothing of it came from anywhere in {limit:?}"))),
            }
        }
        None => http::handle(edge, request, client).await,
    };
    let label = response.extensions().get::<RouteLabel>().map_or("unknown", |label| label.0);
    (label, response)
}

/// It can't be had now, for this reason.
fn unavailable(message: &str) -> Response<Body> {
    let entry = ErrorEntry { code: ErrorCode::Unavailable, message: message.to_owned(), detail: serde_json::Value::Null };
    let body = serde_json::to_vec(&ErrorBody { errors: vec![entry] }).expect("an error is always JSON");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// One line a request: refusals and changes at info, pulls that went well at debug.
fn log(method: &Method, path: &str, response: &Response<Body>, request_id: &str, elapsed: Duration) {
    let (status, elapsed_us) = (response.status(), u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX));
    let is_usual = status.is_success() || status.is_redirection() || status == StatusCode::NOT_FOUND;
    if matches!(*method, Method::GET | Method::HEAD) && is_usual {
        tracing::debug!(status = status.as_u16(), elapsed_us, "answered");
    } else {
        tracing::info!(request_id, %method, path, status = status.as_u16(), elapsed_us, "answered");
    }
}
