//! A body whose digest is wrong, that is too long, cut short, or whose declared length lies, leaves nothing behind.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use longshore_oci::{Algorithm, Digest};
use longshore_tests::{Answer, Backend, Client, Random, RawAnswer, Registry, on_both_backends, until};

on_both_backends!(
    a_wrong_digest_is_refused,
    a_body_cut_short_is_refused,
    a_declared_length_that_lies_is_refused,
    a_blob_over_the_limit_is_413,
    idle_uploads_go_with_their_bytes
);

fn impatient() -> Vec<(&'static str, serde_json::Value)> {
    vec![
        ("sweep.interval", "200ms".into()),
        ("sweep.garbage_grace", "500ms".into()),
        ("uploads.idle_timeout", "1s".into()),
        ("uploads.claim_lease", "1s".into()),
        ("uploads.max_blob_size", "20MiB".into()),
        ("listen.body_idle_timeout", "2s".into()),
    ]
}

/// Nothing is served, and after a while nothing is kept.
async fn assert_nothing_left(registry: &Registry, client: &Client, digests: &[&Digest]) {
    for digest in digests {
        client.head(&format!("/v2/lies/told/blobs/{digest}")).await.expect(404);
    }
    until("what was refused to be gone", Duration::from_secs(30), async || registry.objects().is_empty().then_some(())).await;
    assert!(registry.index().texts("SELECT digest FROM blobs").await.is_empty());
    until("the uploads to be gone", Duration::from_secs(30), async || {
        registry.index().texts("SELECT id FROM uploads").await.is_empty().then_some(())
    })
    .await;
}

async fn a_wrong_digest_is_refused(backend: Backend) {
    let registry = Registry::with(backend, &impatient()).await;
    let client = registry.client();
    for size_bytes in [0, 1000, 9 << 20] {
        let content = Random::seeded(90).bytes(size_bytes);
        let (truth, lie) = (Digest::of(Algorithm::Sha256, &content), Digest::of(Algorithm::Sha256, b"a lie"));
        client.post_blob("lies/told", &lie, &content).await.expect_error(400, "DIGEST_INVALID");
        let upload = client.begin_upload("lies/told", "").await;
        client.close_upload(&upload, &lie, &content).await.expect_error(400, "DIGEST_INVALID");
        let mut upload = client.begin_upload("lies/told", "").await;
        if size_bytes > 0 {
            client.next_chunk(&mut upload, &content).await;
        }
        client.close_upload(&upload, &lie, &Bytes::new()).await.expect_error(400, "DIGEST_INVALID");
        // A digest of another algorithm than the upload was begun for cannot be checked, and so is not believed.
        let long = Digest::of(Algorithm::Sha512, b"a lie");
        let upload = client.begin_upload("lies/told", "").await;
        let status = client.close_upload(&upload, &long, &content).await.status.as_u16();
        assert_eq!(status, 400, "{size_bytes}");
        assert_nothing_left(&registry, &client, &[&truth, &lie]).await;
    }
}

async fn a_body_cut_short_is_refused(backend: Backend) {
    let registry = Registry::with(backend, &impatient()).await;
    let client = registry.client();
    let content = Random::seeded(91).bytes(100_000);
    let digest = Digest::of(Algorithm::Sha256, &content);
    let sent_part = Digest::of(Algorithm::Sha256, &content[..60_000]);
    let host = registry.authority();
    let upload = client.begin_upload("lies/told", "").await;
    let location = upload.closing(&digest);
    let targets = [
        format!("PUT {}", location.strip_prefix(registry.url()).unwrap_or(&location)),
        format!("POST /v2/lies/told/blobs/uploads/?digest={digest}"),
        format!("POST /v2/lies/told/blobs/uploads/?digest={sent_part}"),
    ];
    for target in targets {
        for framing in ["Content-Length: 100000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n186A0\r\n"] {
            let head = format!("{target} HTTP/1.1\r\nHost: {host}\r\n{framing}");
            let request = [head.as_bytes(), &content[..60_000]].concat();
            let answer = RawAnswer::to(host, &request, true).await;
            assert!(answer.status.is_none_or(|status| (400..500).contains(&status)), "{target}: {}", answer.text);
        }
    }
    assert_nothing_left(&registry, &client, &[&digest, &sent_part]).await;
}

async fn a_declared_length_that_lies_is_refused(backend: Backend) {
    let registry = Registry::with(backend, &impatient()).await;
    let client = registry.client();
    let content = Random::seeded(92).bytes(1000);
    let digest = Digest::of(Algorithm::Sha256, &content);
    // The range says 500 bytes, the body has 1000, and the other way round.
    for (range, sent) in [("0-499", 1000), ("0-999", 500)] {
        let upload = client.begin_upload("lies/told", "").await;
        let patch = client.request(Method::PATCH, &upload.location).header("content-range", range);
        let answer = Answer::to(patch.body(content.slice(..sent))).await;
        assert!([400, 416].contains(&answer.status.as_u16()), "{answer:?}");
        answer.error_codes();
        let put = client.request(Method::PUT, &upload.closing(&digest)).header("content-range", range);
        let answer = Answer::to(put.body(content.slice(..sent))).await;
        assert!([400, 404, 416].contains(&answer.status.as_u16()), "{answer:?}");
    }
    assert_nothing_left(&registry, &client, &[&digest]).await;
}

async fn a_blob_over_the_limit_is_413(backend: Backend) {
    let registry = Registry::with(backend, &impatient()).await;
    let client = registry.client();
    let content = Random::seeded(93).bytes((20 << 20) + 1);
    let digest = Digest::of(Algorithm::Sha256, &content);
    let host = registry.authority();
    let head = format!(
        "POST /v2/lies/told/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        content.len()
    );
    let answer = RawAnswer::to(host, head.as_bytes(), true).await;
    assert_eq!(answer.status, Some(413), "{}", answer.text);
    // A body that does not say how long it is.
    let head = format!(
        "POST /v2/lies/told/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        content.len()
    );
    let answer = RawAnswer::to(host, &[head.as_bytes(), &content].concat(), true).await;
    assert!(answer.status.is_none_or(|status| status == 413), "{}", answer.text);
    assert_nothing_left(&registry, &client, &[&digest]).await;
}

/// "If this request fails or is not called, the server SHOULD eventually timeout unfinished uploads."
async fn idle_uploads_go_with_their_bytes(backend: Backend) {
    let registry = Registry::with(backend, &impatient()).await;
    let client = registry.client();
    let content = Random::seeded(94).bytes(17 << 20);
    let mut uploads = Vec::new();
    for size_bytes in [0, 1000, 8 << 20, 17 << 20] {
        let mut upload = client.begin_upload("lies/told", "").await;
        if size_bytes > 0 {
            client.next_chunk(&mut upload, &content.slice(..size_bytes)).await;
        }
        uploads.push(upload);
    }
    assert_nothing_left(&registry, &client, &[]).await;
    for upload in uploads {
        client.get(&upload.location).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    }
}
