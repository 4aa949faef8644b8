//! SIGTERM: stop accepting, finish what runs, a limit, then exit 0.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use http::Method;
use longshore_oci::{Algorithm, Digest};
use longshore_tests::{Answer, Backend, Random, Registry, on_both_backends, until};
use tokio::{sync::oneshot, task::JoinHandle};

on_both_backends!(what_runs_is_finished, an_idle_registry_stops_at_once, a_push_over_the_limit_is_cut_and_can_be_resumed);

/// A push whose body halts in its middle.
struct Halted {
    answer: JoinHandle<Result<Answer, reqwest::Error>>,
    go: oneshot::Sender<()>,
}

/// Sends a request with the first half of its body, and sees to it that the registry is at work on it.
async fn halted(registry: &Registry, request: reqwest::RequestBuilder, content: &Bytes) -> Halted {
    let (half_sent, half) = oneshot::channel();
    let (go, going) = oneshot::channel();
    let (first, second) = (content.slice(..content.len() / 2), content.slice(content.len() / 2..));
    let start = futures_util::stream::once(async move { Ok::<_, std::io::Error>(first) });
    let end = futures_util::stream::once(async move {
        let _ = half_sent.send(());
        // Where the test ends before it says go, the body breaks off.
        going.await.map_err(std::io::Error::other)?;
        Ok(second)
    });
    let answer = tokio::spawn(Answer::attempt(request.body(reqwest::Body::wrap_stream(start.chain(end)))));
    half.await.expect("the body is sent");
    // Whoever comes after is answered after the registry has seen the one before.
    for _ in 0..20 {
        registry.client().get("/v2/").await.expect(200);
    }
    Halted { answer, go }
}

async fn what_runs_is_finished(backend: Backend) {
    let mut registry = Registry::start(backend).await;
    let client = registry.client();
    let content = Random::seeded(290).bytes(3 << 20);
    let digest = Digest::of(Algorithm::Sha256, &content);
    let request = client.request(Method::POST, &format!("/v2/drain/push/blobs/uploads/?digest={digest}"));
    let Halted { answer, go } = halted(&registry, request, &content).await;
    registry.sigterm();
    until("new connections to be refused", Duration::from_secs(20), async || {
        let newcomer = registry.client();
        Answer::attempt(newcomer.request(Method::GET, "/v2/")).await.err()
    })
    .await;
    go.send(()).expect("the push goes on");
    answer.await.unwrap().expect("the push is answered").expect(201);
    let status = registry.ended(Duration::from_secs(20)).await;
    assert_eq!(status.code(), Some(0));
    registry.restart().await;
    assert!(registry.client().pull_blob("drain/push", &digest).await == content);
}

async fn an_idle_registry_stops_at_once(backend: Backend) {
    let mut registry = Registry::start(backend).await;
    // Idle connections of clients that keep them are no reason to wait.
    let client = registry.client();
    client.get("/v2/").await.expect(200);
    let began = Instant::now();
    registry.sigterm();
    let status = registry.ended(Duration::from_secs(20)).await;
    assert_eq!(status.code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
}

async fn a_push_over_the_limit_is_cut_and_can_be_resumed(backend: Backend) {
    let mut registry = Registry::with(backend, &[("listen.drain_timeout", "500ms".into())]).await;
    let client = registry.client();
    let content = Random::seeded(291).bytes(4 << 20);
    let digest = Digest::of(Algorithm::Sha256, &content);
    let mut upload = client.begin_upload("drain/cut", "").await;
    client.next_chunk(&mut upload, &content.slice(..1 << 20)).await;
    let request = client.request(Method::PATCH, &upload.location);
    let Halted { answer, go } = halted(&registry, request, &content.slice(1 << 20..)).await;
    registry.sigterm();
    let status = registry.ended(Duration::from_secs(20)).await;
    assert_eq!(status.code(), Some(0));
    assert!(answer.await.unwrap().is_err());
    drop(go);
    registry.restart().await;
    // "finish or checkpoint what runs": the offset may be anything that was sent.
    let client = registry.client();
    let offset = until("the upload to be free", Duration::from_secs(60), async || {
        let mut upload = upload.clone();
        client.upload_status(&mut upload).await;
        let answer = client.send_chunk(&upload, upload.offset_bytes, &content.slice(upload.offset_bytes..)).await;
        (answer.status == 202).then_some(upload.offset_bytes)
    })
    .await;
    assert!(offset >= 1 << 20, "resumed at {offset}");
    client.close_upload(&upload, &digest, &Bytes::new()).await.expect(201);
    assert!(client.pull_blob("drain/cut", &digest).await == content);
}
