//! A registry that serves.

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
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{
    access::RobotError,
    audit::{ChainKeeper, Noter},
    feed::Feed,
    http,
    keys::KeyKeeper,
    links::Scribe,
    peers::Peers,
    policy::{Follower, Watch},
    registry::Registry,
    sweep::Sweeper,
    tuf::Keeper as TufKeeper,
};

/// The routes' labels, by their position in the metrics; the last stands for paths that are none.
pub(crate) const ROUTES: &[&str] = &[
    "base",
    "manifest",
    "blob",
    "uploads",
    "upload",
    "tags",
    "catalog",
    "referrers",
    "images",
    "image",
    "verdict",
    "metainfo",
    "keys",
    "token",
    "accounts",
    "account",
    "roles",
    "role",
    "issuers",
    "issuer",
    "check",
    "policies",
    "policy",
    "policytest",
    "audit",
    "audithead",
    "events",
    "swarm",
    "unknown",
];

/// How long what was cut off at the drain's end may take to note where it stood.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

/// A registry with its addresses taken, ready to run.
pub struct App {
    pub(crate) summary: String,
    pub(crate) doors: Doors,
    pub(crate) admin: Admin,
    pub(crate) metrics: Metrics,
    pub(crate) registry: Arc<Registry>,
    pub(crate) http_metrics: Arc<HttpMetrics>,
    pub(crate) sweeper: Sweeper,
    pub(crate) scribe: Scribe,
    pub(crate) key_keeper: Option<KeyKeeper>,
    pub(crate) audit: Option<(Noter, ChainKeeper)>,
    pub(crate) policy_watch: Option<Watch>,
    pub(crate) policy_follower: Follower,
    pub(crate) tuf_keeper: Option<TufKeeper>,
    pub(crate) first_password: Option<String>,
    pub(crate) draining: CancellationToken,
}

impl App {
    /// Where it is reached.
    pub fn doors(&self) -> &Doors {
        &self.doors
    }

    /// The store and the database in two words: "folder, SQLite".
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// The password that was made for the first administrator, `admin`, if this start made one. It is nowhere else.
    pub fn first_password(&self) -> Option<&str> {
        self.first_password.as_deref()
    }

    /// Whether there is an account of this name.
    pub fn has_account(&self, name: &str) -> bool {
        self.registry.access.as_ref().is_some_and(|access| access.has_account(name))
    }

    /// Makes a robot that may pull from every repository, for a program that runs beside; one of this name that is there already gets a new
    /// secret, and keeps what it may. The secret, which is nowhere else.
    pub async fn make_puller(&self, name: &str) -> Result<String, RobotError> {
        let access = self.registry.access.as_ref().ok_or(RobotError::NoAccounts)?;
        access.make_puller(name).await
    }

    /// What is counted, and told on the admin listener.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Which peers of a swarm may be told of what: for a tracker that runs beside the registry.
    pub fn peers(&self) -> Peers {
        Peers::new(self.registry.clone())
    }

    /// Has `GET /v2/_longshore/swarm` tell of a tracker that runs beside the registry. To be set before it runs; what is set first stays.
    pub fn set_swarm_record(&self, record: serde_json::Value) {
        self.registry.swarm_record.set(record).ok();
    }

    /// Serves until `shutdown` is cancelled, then finishes what runs, within the drain's limit.
    pub async fn run(self, shutdown: CancellationToken) -> Drained {
        let Self {
            mut doors,
            admin,
            registry,
            http_metrics,
            sweeper,
            scribe,
            key_keeper,
            audit,
            policy_watch,
            policy_follower,
            tuf_keeper,
            draining,
            ..
        } = self;
        let admin = doors.serve_admin(move |request, _: ConnectionInfo| admin.clone().answer(request));
        let sweeping = tokio::spawn(sweeper.run(shutdown.clone()));
        if let Some(keeper) = key_keeper {
            tokio::spawn(keeper.run(shutdown.clone()));
        }
        if let Some(watch) = policy_watch {
            tokio::spawn(watch.run(shutdown.clone()));
        }
        tokio::spawn(policy_follower.run(shutdown.clone()));
        tokio::spawn(Feed::run(registry.clone(), shutdown.clone()));
        if let Some(keeper) = tuf_keeper {
            tokio::spawn(keeper.run(shutdown.clone()));
        }
        let stop_writing = CancellationToken::new();
        let following = registry.access.clone().map(|access| tokio::spawn(access.watch(stop_writing.clone())));
        let mut writing = tokio::spawn(scribe.run(stop_writing.clone()));
        let mut noting = audit.map(|(noter, keeper)| {
            tokio::spawn(keeper.run(stop_writing.clone()));
            tokio::spawn(noter.run(stop_writing.clone()))
        });
        let flag = tokio::spawn({
            let (shutdown, registry) = (shutdown.clone(), registry.clone());
            async move {
                shutdown.cancelled().await;
                draining.cancel();
                registry.feed.close();
            }
        });
        let tasks = registry.tasks.clone();
        let handler = move |request, info| answer(registry.clone(), http_metrics.clone(), request, info);
        let drained = doors.serve(handler, &tasks, shutdown).await;
        flag.abort();
        sweeping.await.ok();
        // Only now, when no request links a blob any more.
        stop_writing.cancel();
        if let Some(following) = following {
            following.await.ok();
        }
        // Both have as long, together.
        let settled_by = Instant::now() + SETTLE_TIMEOUT;
        if tokio::time::timeout_at(settled_by, &mut writing).await.is_err() {
            writing.abort();
        }
        if let Some(noting) = &mut noting
            && tokio::time::timeout_at(settled_by, &mut *noting).await.is_err()
        {
            noting.abort();
            tracing::warn!(
                "logins and refusals of the last moments are not in the audit log: the database did not take them in time"
            );
        }
        drop(admin);
        drained
    }
}

/// Answers one request: names it, does it, and tells metrics and logs of it.
async fn answer(
    registry: Arc<Registry>,
    metrics: Arc<HttpMetrics>,
    request: Request<Incoming>,
    info: ConnectionInfo,
) -> Response<Body> {
    let begun = std::time::Instant::now();
    let id = RequestId::of(request.headers());
    let method = request.method().clone();
    let path = tracing::enabled!(tracing::Level::INFO).then(|| request.uri().path().to_owned());
    let span = span(&request, &method, &id);
    let (label, outcome) = http::handle(&registry, request, info.peer.ip(), info.certificate, &id).instrument(span.clone()).await;
    let _in_span = span.enter();
    let mut response = outcome.unwrap_or_else(|error| http::refuse(&error, id.as_str()));
    http::mark(&mut response);
    response.headers_mut().insert(request_id::HEADER, id.header_value());
    let elapsed = begun.elapsed();
    let route = ROUTES.iter().position(|route| *route == label).unwrap_or(ROUTES.len() - 1);
    metrics.observe(route, &method, response.status(), elapsed);
    if span.is_disabled() {
        log_alone(&method, path.as_deref().unwrap_or_default(), &response, id.as_str(), elapsed);
    } else {
        log_in_span(&method, &response, elapsed);
    }
    response
}

/// What a request's log lines and trace are gathered under. Reads, which are many, have one only where somebody looks that closely.
fn span(request: &Request<Incoming>, method: &Method, id: &RequestId) -> tracing::Span {
    let path = request.uri().path();
    let span = if matches!(*method, Method::GET | Method::HEAD) {
        tracing::debug_span!("request", request_id = id.as_str(), %method, path)
    } else {
        tracing::info_span!("request", request_id = id.as_str(), %method, path)
    };
    if !span.is_disabled() {
        telemetry::join_trace(&span, request.headers());
    }
    span
}

/// One line a request, whose span says the rest: refusals and changes at info, reads that went well at debug.
fn log_in_span(method: &Method, response: &Response<Body>, elapsed: Duration) {
    let (status, elapsed_us) = (response.status().as_u16(), microseconds(elapsed));
    if is_usual(method, response) {
        tracing::debug!(status, elapsed_us, "answered");
    } else {
        tracing::info!(status, elapsed_us, "answered");
    }
}

/// One line for a refused read, which has no span.
fn log_alone(method: &Method, path: &str, response: &Response<Body>, request_id: &str, elapsed: Duration) {
    if !is_usual(method, response) {
        let (status, elapsed_us) = (response.status().as_u16(), microseconds(elapsed));
        tracing::info!(request_id, %method, path, status, elapsed_us, "answered");
    }
}

/// Whether a read went as reads mostly do; looking for what is not there is part of every push.
fn is_usual(method: &Method, response: &Response<Body>) -> bool {
    let status = response.status();
    matches!(*method, Method::GET | Method::HEAD) && (status.is_success() || status.is_redirection() || status == 404)
}

fn microseconds(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
}
