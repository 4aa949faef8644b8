//! Memory is bounded whatever clients do: back-pressure on the socket, not on the heap.

use std::time::Duration;

use longshore_oci::{Algorithm, Digest};
use longshore_tests::{Backend, Random, Registry, on_both_backends, until};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

on_both_backends!(slow_uploads_are_held_by_the_budget, slow_downloads_are_not_buffered);

const MIB: u64 = 1 << 20;

/// Anonymous memory of a process, in bytes: what it has allocated, without the files it has mapped.
fn anonymous_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("the kernel tells");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") * 1024
}

/// Two hundred clients send 12 MiB each and never finish: without a budget, that is 2.4 GiB.
async fn slow_uploads_are_held_by_the_budget(backend: Backend) {
    let values =
        [("uploads.memory_budget", "64MiB".into()), ("uploads.budget_wait", "3s".into()), ("log.filter", "error".into())];
    let registry = Registry::with(backend, &values).await;
    let before = anonymous_bytes(registry.pid());
    let content = Random::seeded(300).bytes(12 << 20);
    let digest = Digest::of(Algorithm::Sha256, &content);
    let authority = registry.authority().to_owned();
    let mut clients = JoinSet::new();
    for _ in 0..200 {
        let (authority, content) = (authority.clone(), content.clone());
        let head = format!(
            "POST /v2/memory/up/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
            content.len() + 1
        );
        clients.spawn(async move {
            let mut stream = TcpStream::connect(authority).await.expect("the registry takes connections");
            let sending = async {
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(&content).await
            };
            // What is not taken in this time is held back, as it should be.
            let _ = tokio::time::timeout(Duration::from_secs(6), sending).await;
        });
    }
    let peak = watch(&registry, &mut clients).await;
    assert!(peak < before + 64 * MIB + 160 * MIB, "{} MiB of anonymous memory, {} at first", peak / MIB, before / MIB);
    // Those who were there are gone, and whoever comes is served: on a busy machine not before the registry has seen that they went.
    let content = Random::seeded(301).bytes(9 << 20);
    let client = registry.client();
    let digest = until("a push to be taken", Duration::from_secs(60), async || {
        let pushed = client.try_push_blob("memory/up", &content).await;
        // Told to come again, or cut off in the middle of the body with the same.
        let is_to_come_again = |refusal: &str| refusal.contains("retry-after") || refusal.starts_with("reqwest::Error");
        assert!(pushed.as_ref().err().is_none_or(|refusal| is_to_come_again(refusal)), "{pushed:?}");
        pushed.ok()
    })
    .await;
    assert!(client.pull_blob("memory/up", &digest).await == content);
}

/// Two hundred clients ask for 32 MiB each and read none of it: buffered, that is 6.4 GiB. Each may have a piece of 1 MiB that is
/// ready to be sent, one that is being checked, and what the connection to S3 has received.
async fn slow_downloads_are_not_buffered(backend: Backend) {
    let registry = Registry::with(backend, &[("log.filter", "error".into())]).await;
    let content = Random::seeded(302).bytes(32 << 20);
    let digest = registry.client().push_blob("memory/down", &content).await;
    let before = anonymous_bytes(registry.pid());
    let authority = registry.authority().to_owned();
    let mut clients = JoinSet::new();
    for _ in 0..200 {
        let authority = authority.clone();
        let head = format!("GET /v2/memory/down/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n");
        clients.spawn(async move {
            let mut stream = TcpStream::connect(authority).await.expect("the registry takes connections");
            stream.write_all(head.as_bytes()).await.expect("the registry reads");
            let mut first = [0; 100];
            let _ = stream.read(&mut first).await;
            tokio::time::sleep(Duration::from_secs(4)).await;
        });
    }
    let peak = watch(&registry, &mut clients).await;
    assert!(peak < before + 200 * 3 * MIB, "{} MiB of anonymous memory, {} at first", peak / MIB, before / MIB);
}

/// The most memory that is seen while clients are at work.
async fn watch(registry: &Registry, clients: &mut JoinSet<()>) -> u64 {
    let mut peak = 0;
    while !clients.is_empty() {
        peak = peak.max(anonymous_bytes(registry.pid()));
        let _ = tokio::time::timeout(Duration::from_millis(50), clients.join_next()).await;
    }
    peak
}
