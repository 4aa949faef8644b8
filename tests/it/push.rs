//! distribution-spec, "Pushing blobs".

use bytes::Bytes;
use http::Method;
use longshore_oci::{Algorithm, Digest};
use longshore_tests::{Answer, Backend, Client, Random, RawAnswer, Registry, on_both_backends};

on_both_backends!(
    post_then_put,
    single_post,
    in_chunks,
    in_one_streamed_patch,
    the_last_chunk_may_come_with_the_put,
    a_chunk_out_of_order_is_416,
    a_last_chunk_out_of_order_is_416,
    the_status_of_an_upload_is_told,
    an_upload_can_be_cancelled,
    a_mount_with_from_is_201,
    a_mount_without_from_is_201_where_the_blob_is_known,
    a_mount_that_cannot_be_is_an_upload,
    a_broken_upload_goes_on_where_it_broke,
    an_unknown_upload_is_404,
    an_unsupported_digest_is_400,
    the_same_blob_can_be_pushed_again,
);

fn content() -> (Bytes, Digest) {
    let content = Random::seeded(11).bytes(200_000);
    let digest = Digest::of(Algorithm::Sha256, &content);
    (content, digest)
}

async fn assert_pullable(client: &Client, answer: &Answer, repository: &str, content: &Bytes, digest: &Digest) {
    // "With <blob-location> being a pullable blob URL."
    assert_eq!(&client.get(answer.required("location")).await.expect(200).body, content);
    assert_eq!(answer.required("docker-content-digest"), digest.as_str());
    assert_eq!(&client.pull_blob(repository, digest).await, content);
}

async fn post_then_put(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let (content, digest) = content();
    let upload = client.begin_upload("push/put", "").await;
    let answer = client.close_upload(&upload, &digest, &content).await.expect(201);
    assert_pullable(&client, &answer, "push/put", &content, &digest).await;
}

async fn single_post(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let (content, digest) = content();
    let answer = client.post_blob("push/post", &digest, &content).await.expect(201);
    assert_pullable(&client, &answer, "push/post", &content, &digest).await;
}

async fn in_chunks(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let content = Random::seeded(12).bytes(23 << 20);
    let digest = Digest::of(Algorithm::Sha256, &content);
    let mut upload = client.begin_upload("push/chunks", "").await;
    for size_bytes in [1, 999, 5 << 20, 1 << 20, 9 << 20] {
        let start = upload.offset_bytes;
        client.next_chunk(&mut upload, &content.slice(start..start + size_bytes)).await;
    }
    let rest = content.slice(upload.offset_bytes..);
    client.next_chunk(&mut upload, &rest).await;
    let answer = client.close_upload(&upload, &digest, &Bytes::new()).await.expect(201);
    assert_pullable(&client, &answer, "push/chunks", &content, &digest).await;
    client.get(&upload.location).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
}

/// A PATCH without `Content-Range`, its length unknown beforehand, as docker sends it.
async fn in_one_streamed_patch(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let content = Random::seeded(13).bytes(10 << 20);
    let digest = Digest::of(Algorithm::Sha256, &content);
    let upload = client.begin_upload("push/stream", "").await;
    let pieces: Vec<std::io::Result<Bytes>> = content.chunks(77_777).map(|piece| Ok(content.slice_ref(piece))).collect();
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    let answer = Answer::to(client.request(Method::PATCH, &upload.location).body(body)).await.expect(202);
    assert_eq!(answer.required("range"), format!("0-{}", content.len() - 1));
    let upload = longshore_tests::Upload { location: answer.required("location").into(), ..upload };
    let answer = client.close_upload(&upload, &digest, &Bytes::new()).await.expect(201);
    assert_pullable(&client, &answer, "push/stream", &content, &digest).await;
}

async fn the_last_chunk_may_come_with_the_put(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let (content, digest) = content();
    let mut upload = client.begin_upload("push/last", "").await;
    client.next_chunk(&mut upload, &content.slice(..150_000)).await;
    let request = client.request(Method::PUT, &upload.closing(&digest)).header("content-range", "150000-199999");
    let answer = Answer::to(request.body(content.slice(150_000..))).await.expect(201);
    assert_pullable(&client, &answer, "push/last", &content, &digest).await;
}

/// "If a chunk is uploaded out of order, the registry MUST respond with a 416 Requested Range Not Satisfiable code."
async fn a_chunk_out_of_order_is_416(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let (content, digest) = content();
    let mut upload = client.begin_upload("push/order", "").await;
    client.send_chunk(&upload, 10, &content.slice(10..20)).await.expect(416).error_codes();
    client.next_chunk(&mut upload, &content.slice(..100_000)).await;
    for start in [0, 99_999, 100_001] {
        client.send_chunk(&upload, start, &content.slice(start..start + 10)).await.expect(416).error_codes();
    }
    // A range that does not say what the body is, or is no range, is the client's mistake too.
    for range in ["100000-100004", "100000", "bytes=100000-100009", "100009-100000", "-"] {
        let request = client.request(Method::PATCH, &upload.location).header("content-range", range);
        let status = Answer::to(request.body(content.slice(100_000..100_010))).await.status.as_u16();
        assert!([400, 416].contains(&status), "{range}: {status}");
    }
    // "A GET request may be used to retrieve the current valid offset and upload location."
    client.upload_status(&mut upload).await;
    assert_eq!(upload.offset_bytes, 100_000);
    client.next_chunk(&mut upload, &content.slice(100_000..)).await;
    client.close_upload(&upload, &digest, &Bytes::new()).await.expect(201);
    assert_eq!(client.pull_blob("push/order", &digest).await, content);
}

/// "If the final chunk is uploaded out of order, the registry MUST respond with a 416 Requested Range Not Satisfiable code."
async fn a_last_chunk_out_of_order_is_416(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let (content, digest) = content();
    let mut upload = client.begin_upload("push/order", "").await;
    client.next_chunk(&mut upload, &content.slice(..100_000)).await;
    let request = client.request(Method::PUT, &upload.closing(&digest)).header("content-range", "100001-199999");
    Answer::to(request.body(content.slice(100_001..))).await.expect(416).error_codes();
    client.upload_status(&mut upload).await;
    assert_eq!(upload.offset_bytes, 100_000);
    client.close_upload(&upload, &digest, &content.slice(100_000..)).await.expect(201);
}

/// "The response to an active upload <blob-push-location> MUST be a 204 No Content response code".
async fn the_status_of_an_upload_is_told(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let (content, _) = content();
    let mut upload = client.begin_upload("push/status", "").await;
    client.get(&upload.location).await.expect(204);
    client.next_chunk(&mut upload, &content.slice(..70_000)).await;
    let answer = client.get(&upload.location).await.expect(204);
    assert_eq!(answer.required("range"), "0-69999");
    assert!(answer.header("location").is_some());
}

/// "If successful, the response SHOULD be a 204 No Content response code."
async fn an_upload_can_be_cancelled(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let (content, digest) = content();
    let mut upload = client.begin_upload("push/cancel", "").await;
    client.next_chunk(&mut upload, &content.slice(..70_000)).await;
    client.delete(&upload.location).await.expect(204);
    client.get(&upload.location).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    client.send_chunk(&upload, 70_000, &content.slice(70_000..)).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    client.close_upload(&upload, &digest, &Bytes::new()).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    client.delete(&upload.location).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
}

/// "The response to a successful mount MUST be 201 Created, and MUST contain the following header: Location: <blob-location>".
async fn a_mount_with_from_is_201(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let (content, _) = content();
    let digest = client.push_blob("push/source", &content).await;
    let answer = client.post(&format!("/v2/push/target/blobs/uploads/?mount={digest}&from=push/source")).await.expect(201);
    assert_pullable(&client, &answer, "push/target", &content, &digest).await;
}

/// "The registry MAY treat the from parameter as optional, and it MAY cross-mount the blob if it can be found."
async fn a_mount_without_from_is_201_where_the_blob_is_known(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let (content, _) = content();
    let digest = client.push_blob("push/source", &content).await;
    let answer = client.post(&format!("/v2/push/anywhere/blobs/uploads/?mount={digest}")).await.expect(201);
    assert_pullable(&client, &answer, "push/anywhere", &content, &digest).await;
}

/// "if a registry [...] is unable to mount the requested blob, it SHOULD return a 202."
async fn a_mount_that_cannot_be_is_an_upload(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let (content, digest) = content();
    for query in [format!("?mount={digest}&from=push/nowhere"), format!("?mount={digest}")] {
        let upload = client.begin_upload("push/unmounted", &query).await;
        client.get(&upload.location).await.expect(204);
    }
    let upload = client.begin_upload("push/unmounted", &format!("?mount={digest}&from=push/nowhere")).await;
    client.close_upload(&upload, &digest, &content).await.expect(201);
}

/// A PATCH whose connection breaks off; what arrived may be kept, and the upload goes on from what the status says.
async fn a_broken_upload_goes_on_where_it_broke(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let content = Random::seeded(14).bytes(21 << 20);
    let digest = Digest::of(Algorithm::Sha256, &content);
    let mut upload = client.begin_upload("push/resume", "").await;
    client.next_chunk(&mut upload, &content.slice(..1_000_000)).await;
    let path = upload.location.strip_prefix(registry.url()).unwrap_or(&upload.location);
    let head = format!(
        "PATCH {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n",
        registry.authority(),
        content.len() - 1_000_000
    );
    let sent = [head.as_bytes(), &content[1_000_000..19_000_000]].concat();
    RawAnswer::to(registry.authority(), &sent, true).await;
    // The registry may still be at work on what it has received; it says so by refusing a second request, or by its offset.
    let limit = std::time::Duration::from_secs(60);
    let offset = longshore_tests::until("the upload to be free", limit, async || {
        let mut upload = upload.clone();
        client.upload_status(&mut upload).await;
        let answer = client.send_chunk(&upload, upload.offset_bytes, &content.slice(upload.offset_bytes..)).await;
        (answer.status == 202).then_some(upload.offset_bytes)
    })
    .await;
    assert!((1_000_000..=19_000_000).contains(&offset), "resumed at {offset}");
    client.close_upload(&upload, &digest, &Bytes::new()).await.expect(201);
    assert!(client.pull_blob("push/resume", &digest).await == content);
}

async fn an_unknown_upload_is_404(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let upload = client.begin_upload("push/known", "").await;
    // An upload belongs to its repository.
    let elsewhere = upload.location.replace("push/known", "push/other");
    client.get(&elsewhere).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    client
        .get("/v2/push/known/blobs/uploads/0198c5a0-0000-7000-8000-000000000000")
        .await
        .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    client.get(&upload.location).await.expect(204);
}

/// "if the client provided digest is invalid or uses an unsupported algorithm, the registry SHOULD respond with a response code
/// 400 Bad Request."
async fn an_unsupported_digest_is_400(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let wrong = ["sha256:abc", "md5:d41d8cd98f00b204e9800998ecf8427e", "latest", "sha256:", ""];
    for digest in wrong {
        let upload = client.begin_upload("push/digest", "").await;
        Answer::to(client.request(Method::PUT, &upload.with(&format!("digest={digest}"))).body("x"))
            .await
            .expect_error(400, "DIGEST_INVALID");
        let post = client.request(Method::POST, &format!("/v2/push/digest/blobs/uploads/?digest={digest}"));
        Answer::to(post.body("x")).await.expect_error(400, "DIGEST_INVALID");
    }
    let upload = client.begin_upload("push/digest", "").await;
    Answer::to(client.request(Method::PUT, &upload.location).body("x")).await.expect_error(400, "DIGEST_INVALID");
    client.post("/v2/push/digest/blobs/uploads/?digest-algorithm=md5").await.expect_error(400, "DIGEST_INVALID");
    for path in ["blobs/sha256:abc", "blobs/md5:d41d8cd98f00b204e9800998ecf8427e"] {
        let status = client.get(&format!("/v2/push/digest/{path}")).await.status.as_u16();
        assert!([400, 404].contains(&status), "{path}: {status}");
    }
}

async fn the_same_blob_can_be_pushed_again(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let (content, digest) = content();
    for repository in ["push/again", "push/again", "push/elsewhere"] {
        client.push_blob(repository, &content).await;
        assert_eq!(client.pull_blob(repository, &digest).await, content);
    }
    assert_eq!(registry.index().texts("SELECT object_key FROM blobs").await.len(), 1, "one digest, one object");
}
