//! What operators and their tools ask of a daemon, on a listener of its own.
//!
//! | path | answer |
//! |---|---|
//! | `/healthz` | 200 for as long as the process answers |
//! | `/readyz` | 200 when every check passes; 503 when one fails, or the daemon drains |
//! | `/metrics` | the metrics, in Prometheus' text format |
//!
//! The body of `/readyz` is `{"status":"ready"|"notReady"|"draining","checks":{"database":"ok","storage":"<why not>"}}`.
//! Anything else is 404, and another method than GET or HEAD is 405; both with `{"errors":[{"code","message"}]}`.

mod readiness;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::metrics::{self, Metrics};

pub use readiness::{CheckError, Readiness};

/// The admin answers of one daemon; clones share it.
#[derive(Clone, Debug)]
pub struct Admin {
    readiness: Arc<Readiness>,
    metrics: Metrics,
}

impl Admin {
    /// Answers with these checks and metrics.
    pub fn new(readiness: Readiness, metrics: Metrics) -> Self {
        Self { readiness: Arc::new(readiness), metrics }
    }

    /// Answers one request, whatever its body, which is not read.
    pub async fn answer<B>(self, request: Request<B>) -> Response<Full<Bytes>> {
        let (head, _) = request.into_parts();
        if head.method != Method::GET && head.method != Method::HEAD {
            let mut refusal = error(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "only GET and HEAD are served here");
            refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refusal;
        }
        match head.uri.path() {
            "/healthz" => json_response(StatusCode::OK, &json!({"status": "alive"})),
            "/readyz" => {
                let report = self.readiness.report().await;
                json_response(report.status_code(), &report.to_json())
            }
            "/metrics" => response(StatusCode::OK, metrics::CONTENT_TYPE, self.metrics.render()),
            _ => error(StatusCode::NOT_FOUND, "NOT_FOUND", "only /healthz, /readyz and /metrics are served here"),
        }
    }
}

fn error(status: StatusCode, code: &str, message: &str) -> Response<Full<Bytes>> {
    json_response(status, &json!({"errors": [{"code": code, "message": message}]}))
}

fn json_response(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    response(status, "application/json", body.to_string())
}

fn response(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests;
