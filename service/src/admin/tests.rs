use std::time::Duration;

use http_body_util::BodyExt as _;
use tokio_util::sync::CancellationToken;

use super::*;

async fn get(admin: &Admin, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).body(()).expect("a request");
    let (head, body) = admin.clone().answer(request).await.into_parts();
    let body = body.collect().await.expect("a body in memory").to_bytes();
    (head.status, String::from_utf8(body.to_vec()).expect("text"))
}

fn admin(readiness: Readiness) -> Admin {
    Admin::new(readiness, Metrics::new())
}

#[tokio::test]
async fn is_ready_until_it_drains_and_alive_throughout() {
    let draining = CancellationToken::new();
    let readiness = Readiness::new(Duration::from_secs(1), draining.clone());
    let admin = admin(readiness.check("database", || async { Ok(()) }));
    let ready = r#"{"checks":{"database":"ok"},"status":"ready"}"#;
    assert_eq!(get(&admin, "/readyz").await, (StatusCode::OK, ready.to_owned()));
    draining.cancel();
    let (status, body) = get(&admin, "/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains(r#""status":"draining""#), "{body}");
    assert_eq!(get(&admin, "/healthz").await.0, StatusCode::OK);
}

#[tokio::test]
async fn names_each_check_that_fails_or_hangs() {
    let readiness = Readiness::new(Duration::from_millis(20), CancellationToken::new())
        .check("database", || async { Err("connection refused".into()) })
        .check("storage", std::future::pending);
    let (status, body) = get(&admin(readiness), "/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains(r#""database":"connection refused""#), "{body}");
    assert!(body.contains(r#""storage":"no answer within 20 ms""#), "{body}");
    assert!(body.contains(r#""status":"notReady""#), "{body}");
}

#[tokio::test]
async fn serves_metrics_and_refuses_the_rest_in_json() {
    let admin = admin(Readiness::new(Duration::from_secs(1), CancellationToken::new()));
    admin.metrics.counter("longshore_things_total", "Things.").inc();
    let (status, body) = get(&admin, "/metrics").await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains("longshore_things_total 1"), "{body}");
    let (status, body) = get(&admin, "/else").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(body.starts_with(r#"{"errors":[{"code":"NOT_FOUND""#), "{body}");
    let request = Request::post("/metrics").body(()).expect("a request");
    let refused = admin.answer(request).await;
    assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(refused.headers()[ALLOW], "GET, HEAD");
}
