//! distribution-spec, "Error Codes": every refusal is JSON, on every path, and none is the registry's own failure.

use http::Method;
use longshore_tests::{Answer, Backend, Image, RawAnswer, Registry, on_both_backends};

on_both_backends!(
    paths_that_are_nothing_are_404,
    methods_that_are_not_there_are_405,
    names_and_tags_outside_the_grammar_are_refused,
    malformed_requests_are_never_the_registrys_fault,
    every_answer_carries_a_request_id,
);

async fn paths_that_are_nothing_are_404(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    for path in [
        "/",
        "/v1/",
        "/v2/x",
        "/v2/a/b/c",
        "/v2/a/manifests",
        "/v2/a/tags",
        "/v2/a/blobs/uploads/x/y",
        "/favicon.ico",
        "/metrics",
    ] {
        let answer = client.get(path).await;
        assert!([400, 404].contains(&answer.status.as_u16()), "{path}: {answer:?}");
        answer.error_codes();
    }
}

async fn methods_that_are_not_there_are_405(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let cases = [
        (Method::POST, "/v2/".to_owned()),
        (Method::DELETE, "/v2/".into()),
        (Method::PUT, "/v2/_catalog".into()),
        (Method::POST, "/v2/a/tags/list".into()),
        (Method::PATCH, "/v2/a/manifests/v1".into()),
        (Method::POST, "/v2/a/manifests/v1".into()),
        (Method::PUT, format!("/v2/a/blobs/{digest}")),
        (Method::DELETE, format!("/v2/a/referrers/{digest}")),
        (Method::PUT, "/v2/a/blobs/uploads/".into()),
    ];
    for (method, path) in cases {
        let answer = Answer::to(client.request(method.clone(), &path)).await;
        assert!(answer.status == 405, "{method} {path}: {answer:?}");
        assert_eq!(answer.error_codes(), ["UNSUPPORTED"]);
        // RFC 9110, section 15.5.6.
        assert!(answer.header("allow").is_some(), "{method} {path} says what is allowed");
    }
}

async fn names_and_tags_outside_the_grammar_are_refused(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let image = Image::random(80, &[10]);
    for name in ["UPPER", "a/-b", "a//b", "a.", "a___b", "a/B/c", "_a", "%2e%2e/a"] {
        for path in [format!("/v2/{name}/tags/list"), format!("/v2/{name}/manifests/v1")] {
            let answer = client.get(&path).await;
            assert!([400, 404].contains(&answer.status.as_u16()), "{path}: {answer:?}");
            answer.error_codes();
        }
        let answer = client.post(&format!("/v2/{name}/blobs/uploads/")).await;
        assert!([400, 404].contains(&answer.status.as_u16()), "{name}: {answer:?}");
    }
    client.post("/v2/UPPER/blobs/uploads/").await.expect_error(400, "NAME_INVALID");
    client.push_image("refusals/tags", "v1", &image).await;
    for tag in ["-x", ".x", &"x".repeat(129), "a%20b", "a:b"] {
        let answer = client.put_manifest("refusals/tags", tag, &image.media_type, &image.manifest).await;
        assert!([400, 404].contains(&answer.status.as_u16()), "{tag}: {answer:?}");
        answer.error_codes();
    }
    client.put_manifest("refusals/tags", &"x".repeat(128), &image.media_type, &image.manifest).await.expect(201);
    assert_eq!(client.get("/v2/refusals/tags/tags/list").await.expect(200).texts("tags").len(), 2);
}

/// Requests that no client sends by intent: never a 5xx, and the registry goes on.
async fn malformed_requests_are_never_the_registrys_fault(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let image = Image::random(81, &[10]);
    client.push_image("refusals/odd", "v1", &image).await;
    let names = ["refusals/odd", "a", "..", "%00", "%ff", "a%2Fb", "%", "a?b", "🦀", &"n".repeat(300), "a b"];
    let tails = [
        "manifests/v1",
        "manifests/%00",
        "manifests/sha256:zz",
        "blobs/sha256:",
        "blobs/uploads/",
        "blobs/uploads/not-an-id",
        "tags/list?n=99999999999999999999&last=%ff",
        "referrers/x?artifactType=%00",
        "blobs/uploads/?mount=x&from=%ff",
        "blobs/uploads/?digest=%00",
        "_longshore/images/%ff",
        "_longshore/metainfo/x",
    ];
    let mut requests: Vec<String> = Vec::new();
    for name in names {
        for tail in tails {
            for method in ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "BREW"] {
                requests.push(format!(
                    "{method} /v2/{name}/{tail} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                ));
            }
        }
    }
    for odd in [
        "GET /v2/ HTTP/9.9\r\n\r\n",
        "GET\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
        "GET http://[::1/v2/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    ] {
        requests.push(odd.into());
    }
    for header in [
        "Range: bytes=",
        "Range: bytes=9-1",
        "If-None-Match: \"",
        "Content-Range: a-b",
        "Accept: ;;;,,q=9",
        "Content-Range: 0-99999999999999999999",
    ] {
        for target in ["GET /v2/refusals/odd/manifests/v1", "PATCH /v2/refusals/odd/blobs/uploads/x"] {
            requests.push(format!("{target} HTTP/1.1\r\nHost: x\r\n{header}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
        }
    }
    for request in &requests {
        let answer = RawAnswer::to(registry.authority(), request.as_bytes(), true).await;
        assert!(answer.status.is_none_or(|status| status < 500), "{request:?}: {}", answer.text);
    }
    // One of them was a well-formed deletion of the tag; all else is as it was.
    assert_eq!(client.pull_image("refusals/odd", image.digest.as_str()).await, image.digest);
}

async fn every_answer_carries_a_request_id(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let mut seen = std::collections::BTreeSet::new();
    for path in ["/v2/", "/v2/a/tags/list", "/nothing", "/v2/_catalog"] {
        assert!(seen.insert(client.get(path).await.required("x-request-id").to_owned()));
    }
}
