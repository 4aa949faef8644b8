use super::*;

fn both(first: SocketAddr, second: SocketAddr) -> UpstreamSettings {
    let fallback_url = RegistryUrl::parse(&format!("http://{second}"), false).unwrap();
    UpstreamSettings { fallback_url: Some(fallback_url), attempts: 1, ..settings(first) }
}

#[tokio::test]
async fn goes_to_the_second_where_the_first_fails() {
    let replies: [fn() -> Reply; 3] = [
        || Reply::new("503 Busy", "Retry-After: 60\r\n", ""),
        || Reply::raw("").then_reset(),
        || Reply::ok("Content-Type: text/html\r\n", "<html>"),
    ];
    for (number, reply) in replies.into_iter().enumerate() {
        let (first, second) = (Server::start(move |_, _| reply()).await, Server::start(|_, _| Reply::ok("", BODY)).await);
        let (upstream, _) = upstream_with(both(first.address, second.address));
        assert_eq!(get(&upstream, blob()).await.unwrap(), BODY, "{number}");
        assert_eq!((first.count(), second.count()), (1, 1), "{number}");
    }
    let second = Server::start(|_, _| Reply::ok("", BODY)).await;
    let (upstream, _) = upstream_with(both(Server::nobody().await, second.address));
    assert_eq!(get(&upstream, blob()).await.unwrap(), BODY);
}

#[tokio::test]
async fn stays_with_the_first_where_it_says_no() {
    for status in ["404 Not Found", "401 Unauthorized", "403 Forbidden", "429 Too Many Requests"] {
        let first = Server::start(move |_, _| Reply::new(status, "", "")).await;
        let second = Server::start(|_, _| Reply::ok("", BODY)).await;
        let (upstream, _) = upstream_with(both(first.address, second.address));
        assert!(get(&upstream, blob()).await.is_err());
        assert_eq!((first.count(), second.count()), (1, 0), "{status}");
    }
}

#[tokio::test]
async fn a_limit_at_the_first_holds_at_the_second() {
    let first = Server::start(|_, _| Reply::new("429 Too Many Requests", "Retry-After: 100\r\n", "")).await;
    let second = Server::start(|_, _| Reply::ok("", BODY)).await;
    let (upstream, _) = upstream_with(both(first.address, second.address));
    for _ in 0..2 {
        let error = get(&upstream, blob()).await.unwrap_err();
        assert!(error.is_limit(), "{error}");
    }
    assert_eq!((first.count(), second.count()), (1, 0));
}

#[tokio::test]
async fn leaves_the_first_alone_that_fails_and_comes_back_to_it() {
    let first = Server::start(|_, number| if number < 2 { Reply::new("500 Oops", "", "") } else { Reply::ok("", BODY) }).await;
    let second = Server::start(|_, _| Reply::ok("", BODY)).await;
    let pause = Duration::from_millis(300);
    let settings = UpstreamSettings { breaker_failures: 2, breaker_pause: pause, ..both(first.address, second.address) };
    let (upstream, _) = upstream_with(settings);
    for ask in [blob(), manifest(), blob(), manifest(), blob()] {
        assert_eq!(get(&upstream, ask).await.unwrap(), BODY);
    }
    assert_eq!((first.count(), second.count()), (2, 5));
    tokio::time::sleep(pause).await;
    assert_eq!(get(&upstream, blob()).await.unwrap(), BODY);
    assert_eq!((first.count(), second.count()), (3, 5));
}

#[tokio::test]
async fn says_why_neither_answers() {
    let (upstream, _) = upstream_with(both(Server::nobody().await, Server::nobody().await));
    let error = get(&upstream, blob()).await.unwrap_err();
    assert_eq!(error.to_string(), "up can't be reached: connection refused");
    assert!(error.is_down() && error.upstream() == "up");
}
