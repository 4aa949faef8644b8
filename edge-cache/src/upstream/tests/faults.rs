use super::*;

fn html() -> Reply {
    Reply::ok("Content-Type: text/html\r\n", "<html>log in first</html>")
}

#[tokio::test]
async fn takes_no_page_for_content() {
    let server = Server::start(|_, _| html()).await;
    let upstream = upstream(&server);
    for ask in [blob(), manifest(), Ask::head(manifest().route), Ask::get(Route::Tags(name())), Ask::get(Route::Keys)] {
        let error = get(&upstream, ask).await.unwrap_err();
        assert!(
            matches!(&error, UpstreamError::Malformed { reason, .. } if reason.contains("page")) && !error.is_down(),
            "{error}"
        );
    }
    assert_eq!(server.count(), 5, "it would be the same page");
    assert!(!upstream.is_longshore().await);
}

#[tokio::test]
async fn follows_no_redirect_for_ever_or_to_nowhere() {
    for location in ["/round", "ftp://x/", "http://192.0.2.1/", "/v2/team/app/manifests/1"] {
        let server = Server::start(move |_, _| Reply::new("302 Found", &format!("Location: {location}\r\n"), "")).await;
        let (upstream, _) = upstream_with(UpstreamSettings { breaker_failures: 1, ..settings(server.address) });
        let error = get(&upstream, manifest()).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Malformed { .. }), "{location}: {error}");
        assert!(server.count() <= 2, "{location}");
    }
}

#[tokio::test]
async fn asks_again_before_the_first_byte_and_not_after_it() {
    let whole = || Reply::ok("", BODY);
    let begun = |body: &str| format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 19\r\n\r\n{body}");
    let faults: [fn(&str) -> Reply; 4] = [
        |_| Reply::raw("").then_reset(),
        |_| Reply::raw("").then_stall(),
        |begun| Reply::raw(begun).then_reset(),
        |_| Reply::new("500 Oops", "", "<html>"),
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        let begun = begun("");
        let server = Server::start(move |_, number| if number < 2 { fault(&begun) } else { whole() }).await;
        assert_eq!(get(&upstream(&server), blob()).await.unwrap(), BODY, "{number}");
        assert_eq!(server.count(), 3, "{number}");
    }
    let broken: [fn(&str) -> Reply; 3] =
        [|begun| Reply::raw(begun).then_reset(), |begun| Reply::raw(begun), |begun| Reply::raw(begun).then_stall()];
    for (number, broken) in broken.into_iter().enumerate() {
        let begun = begun("the bytes");
        let server = Server::start(move |_, _| broken(&begun)).await;
        let (upstream, metrics) = upstream_with(settings(server.address));
        let mut body = upstream.ask(&Identity::Anonymous, blob()).await.unwrap().body;
        assert_eq!(body.next().await.unwrap().unwrap(), "the bytes", "{number}");
        let error = body.next().await.unwrap().unwrap_err();
        assert!(error.is_down() && body.next().await.is_none(), "{number}: {error}");
        assert_eq!(server.count(), 1, "{number}");
        assert!(metrics.render().contains(r#"longshore_edge_upstream_broken_total{upstream="up"} 1"#), "{number}");
    }
}

#[tokio::test]
async fn takes_no_body_of_another_length() {
    let chunked = |body: &str| {
        let head =
            "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nContent-Range: bytes 0-4/19\r\nTransfer-Encoding: chunked\r\n";
        format!("{head}\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
    };
    for (body, is_right) in [("the b", true), ("the", false), ("the bytes", false)] {
        let reply = chunked(body);
        let server = Server::start(move |_, _| Reply::raw(&reply)).await;
        let mut ask = blob();
        ask.headers.insert(header::RANGE, HeaderValue::from_static("bytes=0-4"));
        let read = get(&upstream(&server), ask).await;
        assert_eq!(read.is_ok(), is_right, "{read:?}");
    }
    // What is past the length that was told is nobody's.
    let server =
        Server::start(|_, _| Reply::raw("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nthe bytes")).await;
    assert_eq!(get(&upstream(&server), blob()).await.unwrap(), "the");
}

#[tokio::test]
async fn takes_no_answer_to_another_question() {
    let replies = [
        "206 Partial Content\r\nContent-Range: bytes 5-9/19\r\nContent-Length: 5",
        "206 Partial Content\r\nContent-Length: 5",
        "304 Not Modified\r\nETag: \"x\"",
        "204 No Content\r\nETag: \"x\"",
        "200 OK\r\nContent-Length: 5\r\nDocker-Content-Digest: sha256:0000000000000000000000000000000000000000000000000000000000000000",
    ];
    for reply in replies {
        let server = Server::start(move |_, _| Reply::raw(&format!("HTTP/1.1 {reply}\r\nConnection: close\r\n\r\nbytes"))).await;
        let mut ask = blob();
        ask.headers.insert(header::RANGE, HeaderValue::from_static("bytes=0-4"));
        let error = get(&upstream(&server), ask).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Malformed { .. }), "{reply}: {error}");
        assert_eq!(server.count(), 1);
    }
}

#[tokio::test]
async fn what_storage_refuses_the_registry_has_not() {
    let storage = Server::start(|_, _| Reply::new("403 Forbidden", "", "<Error/>")).await;
    let location = format!("Location: http://{}/x?secret=hush\r\n", storage.address);
    let server = Server::start(move |_, _| Reply::new("307 Temporary Redirect", &location, "")).await;
    let error = get(&upstream(&server), blob()).await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::BAD_GATEWAY));
    assert!(error.is_down() && error.to_string().contains(&storage.address.to_string()) && !error.to_string().contains("hush"));
    assert!(!error.is_away(), "it let in who asks: {error}");
    assert_eq!((server.count(), storage.count()), (3, 3), "another way there may be good");
}

#[tokio::test]
async fn one_thing_that_fails_keeps_nobody_from_others() {
    let storage = Server::start(|_, _| Reply::new("403 Forbidden", "Retry-After: 60\r\n", "<Error/>")).await;
    let location = format!("Location: http://{}/x\r\n", storage.address);
    let server = Server::start(move |head, _| match head {
        head if head.contains("/blobs/") => Reply::new("307 Temporary Redirect", &location, ""),
        head if head.contains("/manifests/fails ") => Reply::new("503 Oops", "Retry-After: 60\r\n", ""),
        head if head.contains("/manifests/breaks ") => {
            Reply::raw("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 19\r\n\r\nthe bytes")
        }
        _ => Reply::ok("", BODY),
    });
    let server = server.await;
    let (upstream, metrics) = upstream_with(UpstreamSettings { attempts: 1, breaker_failures: 3, ..settings(server.address) });
    let of = |tag: &str| Ask::get(Route::Manifest(name(), tag.parse().unwrap()));
    for number in 0..5 {
        assert!(get(&upstream, blob()).await.is_err_and(|error| !error.is_away()));
        assert!(get(&upstream, of("fails")).await.is_err_and(|error| error.is_away()));
        let caller = Identity::Caller(HeaderValue::try_from(format!("Bearer {number}")).unwrap());
        assert!(upstream.ask(&caller, of("fails")).await.is_err(), "whoever asks for it");
    }
    assert_eq!(get(&upstream, manifest()).await.unwrap(), BODY);
    for _ in 0..5 {
        assert!(get(&upstream, of("breaks")).await.is_err());
    }
    assert_eq!(get(&upstream, manifest()).await.unwrap(), BODY);
    assert_eq!(server.count(), 22, "each was asked for");
    assert!(metrics.render().contains(&format!("paused{{address=\"http://{}\",upstream=\"up\"}} 0", server.address)));
}
