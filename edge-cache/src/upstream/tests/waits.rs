use std::time::Instant;

use super::*;

fn limited(retry_after: u64) -> Reply {
    Reply::new("429 Too Many Requests", &format!("Retry-After: {retry_after}\r\n"), "")
}

#[tokio::test]
async fn waits_for_as_long_as_it_is_asked() {
    let server = Server::start(|_, number| if number == 0 { limited(1) } else { Reply::ok("", BODY) }).await;
    let begun = Instant::now();
    assert_eq!(get(&upstream(&server), blob()).await.unwrap(), BODY);
    assert!(begun.elapsed() >= Duration::from_secs(1) && server.count() == 2);
}

#[tokio::test]
async fn waits_for_nobody_for_ever() {
    for retry_after in [86_400, u64::MAX] {
        let server = Server::start(move |_, _| limited(retry_after)).await;
        let error = get(&upstream(&server), blob()).await.unwrap_err();
        assert_eq!((error.retry_after(), server.count()), (Some(Duration::from_hours(1)), 1), "{retry_after}");
    }
}

#[tokio::test]
async fn leaves_a_registry_alone_that_wants_it() {
    let server = Server::start(|head, _| if head.contains("mine") { Reply::ok("", BODY) } else { limited(100) }).await;
    let upstream = upstream(&server);
    let error = get(&upstream, blob()).await.unwrap_err();
    assert_eq!((error.status(), error.retry_after()), (Some(StatusCode::TOO_MANY_REQUESTS), Some(Duration::from_secs(100))));
    for _ in 0..3 {
        let error = get(&upstream, manifest()).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Paused { .. }) && error.is_down(), "{error}");
        assert!(error.is_limit() && !error.is_away(), "it is there, and limits who asks: {error}");
        assert!(error.retry_after().unwrap() > Duration::from_secs(90));
    }
    assert_eq!(server.count(), 1, "nobody asks meanwhile");
    let caller = Identity::Caller(HeaderValue::from_static("Bearer mine"));
    assert!(upstream.ask(&caller, blob()).await.is_ok(), "who asks by its own name has its own limit");
    let stranger = Identity::Caller(HeaderValue::from_static("Bearer other"));
    let refused = upstream.ask(&stranger, blob()).await.unwrap_err();
    assert_eq!(refused.status(), Some(StatusCode::TOO_MANY_REQUESTS));
    assert!(upstream.ask(&caller, blob()).await.is_ok(), "and keeps nobody away");
}

#[tokio::test]
async fn leaves_alone_what_fails_until_it_is_back() {
    let is_up = Arc::new(AtomicBool::new(false));
    let answers = is_up.clone();
    let server = Server::start(move |_, _| {
        if answers.load(std::sync::atomic::Ordering::SeqCst) { Reply::ok("", BODY) } else { Reply::new("500 Oops", "", "") }
    });
    let server = server.await;
    let pause = Duration::from_millis(200);
    let settings = UpstreamSettings { breaker_failures: 2, breaker_pause: pause, ..settings(server.address) };
    let (upstream, metrics) = upstream_with(settings);
    for ask in [blob(), manifest()] {
        let error = get(&upstream, ask).await.unwrap_err();
        assert_eq!(error.status(), Some(StatusCode::INTERNAL_SERVER_ERROR));
    }
    let asked = server.count();
    assert_eq!(asked, 4, "a failure counts once however often it was asked for, and nobody asks again after the last");
    for _ in 0..5 {
        let error = get(&upstream, blob()).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Paused { .. }) && error.is_away(), "{error}");
    }
    assert_eq!(server.count(), asked);
    assert!(metrics.render().contains(&format!("paused{{address=\"http://{}\",upstream=\"up\"}} 1", server.address)));
    is_up.store(true, std::sync::atomic::Ordering::SeqCst);
    tokio::time::sleep(pause).await;
    assert_eq!(get(&upstream, blob()).await.unwrap(), BODY);
    assert!(metrics.render().contains(&format!("paused{{address=\"http://{}\",upstream=\"up\"}} 0", server.address)));
}

#[tokio::test]
async fn asks_for_no_more_at_once_than_it_may() {
    let server = Server::start(|_, _| Reply::ok("", BODY)).await;
    let (upstream, _) = upstream_with(UpstreamSettings { max_concurrent: 2, ..settings(server.address) });
    let held = upstream.ask(&Identity::Anonymous, blob()).await.unwrap();
    let error = get(&upstream, blob()).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Paused { .. }) && !error.is_away() && !error.is_limit(), "{error}");
    assert_eq!(get(&upstream, manifest()).await.unwrap(), BODY, "a manifest has its own place");
    assert_eq!(server.count(), 2);
    drop(held);
    assert_eq!(get(&upstream, blob()).await.unwrap(), BODY);
}

#[tokio::test]
async fn a_stream_of_changes_takes_nobody_s_place() {
    let begun = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n:\n\n";
    let reply = move |head: &str| if head.contains("/events ") { Reply::raw(begun).then_stall() } else { Reply::ok("", BODY) };
    let server = Server::start(move |head, _| reply(head)).await;
    let (upstream, _) = upstream_with(UpstreamSettings { max_concurrent: 1, ..settings(server.address) });
    let changes = upstream.ask(&Identity::Edge, Ask::get(Route::Events)).await.unwrap();
    assert_eq!(get(&upstream, manifest()).await.unwrap(), BODY);
    drop(changes);
}

#[tokio::test]
async fn takes_bytes_at_its_rate() {
    let body = "x".repeat(50_000);
    let server = Server::start(move |_, _| Reply::ok("", &body)).await;
    let (upstream, _) = upstream_with(UpstreamSettings { bytes_per_second: 100_000, ..settings(server.address) });
    let begun = Instant::now();
    assert_eq!(get(&upstream, blob()).await.unwrap().len(), 50_000);
    assert!(begun.elapsed() >= Duration::from_millis(390), "{:?}", begun.elapsed());
}
