//! What each caller may take: requests, bytes, pulls at once.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::join;
use http::Method;
use longshore_oci::Digest;
use longshore_tests::{
    Answer, Backend, Client, Docker, Image, Layout, Registry, on_both_backends, run_ok, temporary_folder, until,
};
use serde_json::{Value, json};

on_both_backends!(bytes_over_the_allowance_come_slower_and_the_next_pull_waits, a_pull_that_is_dropped_gives_its_place_back);
longshore_tests::once!(
    requests_are_counted_by_account,
    requests_without_an_account_are_counted_by_address,
    a_redirect_over_the_allowance_is_refused,
    clients_wait_where_they_know_how,
);

/// A registry that all may pull `open/**` from, with an allowance, and two robots that may pull everything.
async fn start(backend: Backend, values: &[(&str, Value)]) -> (Registry, [Client; 2]) {
    let registry = Registry::with_accounts(backend, values).await;
    let admin = registry.admin();
    admin.grant("anonymous", "pull", "open/**").await;
    let mut robots = Vec::new();
    for name in ["node", "other"] {
        let robot = admin.create_robot(name, &[("pull", "**")]).await;
        robots.push(registry.as_account(&robot));
    }
    (registry, robots.try_into().expect("two were made"))
}

/// What an answer over the allowance says: how long to wait.
#[track_caller]
fn throttled(answer: Answer) -> Duration {
    let answer = answer.expect_error(429, "TOOMANYREQUESTS");
    assert_eq!(answer.json()["errors"][0]["detail"], json!({"reason": "429_IMAGE_PULL_THROTTLED"}), "{answer:?}");
    let wait: u64 = answer.required("retry-after").parse().expect("a count of seconds");
    assert!((1..=30).contains(&wait), "{answer:?}");
    Duration::from_secs(wait)
}

/// Asks until it is refused; gives back how often it was not, and how long it is to wait.
async fn exhaust(client: &Client, path: &str) -> (u32, Duration) {
    for count in 0..100 {
        let answer = client.get(path).await;
        if answer.status != 200 {
            return (count, throttled(answer));
        }
    }
    panic!("nothing was refused");
}

async fn requests_are_counted_by_account() {
    // Nothing is used by whoever sets this up but its own allowance.
    let (registry, [node, other]) = start(Backend::Folder, &[("throttle.requests_per_second", 3.into())]).await;
    let began = Instant::now();
    let (count, wait) = exhaust(&node, "/v2/").await;
    let spared = 3 * (10 + u32::try_from(began.elapsed().as_secs()).unwrap() + 1);
    assert!((30..=spared).contains(&count), "ten seconds' worth may be asked for at once, not {count}");
    for (method, path) in [(Method::GET, "/v2/open/app/manifests/v1"), (Method::HEAD, "/v2/"), (Method::GET, "/v2/_catalog")] {
        let answer = Answer::to(node.request(method.clone(), path)).await;
        assert_eq!(answer.status, 429, "{method} {path}: {answer:?}");
        answer.required("retry-after");
    }
    // However it says who it is.
    let token = Answer::to(node.request(Method::GET, "/token")).await.expect(200).json();
    throttled(registry.client().as_bearer(token["token"].as_str().unwrap()).get("/v2/").await);
    for client in [&other, &registry.admin()] {
        client.get("/v2/").await.expect(200);
    }
    registry.client().get_manifest("open/app", "v1").await.expect_error(404, "MANIFEST_UNKNOWN");

    tokio::time::sleep(wait).await;
    node.get("/v2/").await.expect(200);
}

async fn requests_without_an_account_are_counted_by_address() {
    let (registry, [node, _]) = start(Backend::Folder, &[("throttle.requests_per_second", 3.into())]).await;
    let from = |last: u8| {
        let address = IpAddr::from(Ipv4Addr::new(127, 0, 0, last));
        Client::configured(registry.url(), |builder| builder.local_address(address))
    };
    let (here, there) = (from(1), from(2));
    let path = "/v2/open/app/tags/list";
    registry.admin().push_image("open/app", "v1", &Image::random(1000, &[100])).await;
    let (count, wait) = exhaust(&here, path).await;
    assert!(count >= 30, "{count}");
    throttled(from(1).get(path).await);
    there.get(path).await.expect(200);
    // An account is not what its address is.
    node.get(path).await.expect(200);
    tokio::time::sleep(wait).await;
    here.get(path).await.expect(200);
}

/// Pushes a blob as the administrator does, and pulls nothing.
async fn push(registry: &Registry, repository: &str, seed: u64, size_bytes: usize) -> (Digest, Bytes) {
    let image = Image::random(seed, &[size_bytes]);
    registry.admin().push_image(repository, "v1", &image).await;
    let layer = image.blobs[1].clone();
    (Digest::of(longshore_oci::Algorithm::Sha256, &layer), layer)
}

async fn bytes_over_the_allowance_come_slower_and_the_next_pull_waits(backend: Backend) {
    let (registry, [node, other]) = start(backend, &[("throttle.bytes_per_second", "300KiB".into())]).await;
    // Ten seconds' worth come at once, and the rest of it in five.
    let (digest, layer) = push(&registry, "open/app", 1010, 15 * 300 * 1024).await;
    let (small, _) = push(&registry, "open/small", 1011, 100).await;
    let timed = async |client: &Client, digest: &Digest| {
        let began = Instant::now();
        let repository = if *digest == small { "open/small" } else { "open/app" };
        let content = client.pull_blob(repository, digest).await;
        (content.len(), began.elapsed())
    };
    // What is asked while it is over is refused, and let in after the wait that it is told. Another account has its own allowance.
    let path = format!("/v2/open/small/blobs/{small}");
    let meanwhile = async {
        let refusal = until("the allowance to be used up", Duration::from_secs(5), async || {
            Some(node.get(&path).await).filter(|answer| answer.status != 200)
        });
        throttled(refusal.await);
        timed(&other, &small).await.1
    };
    let ((length, took), waited) = join(timed(&node, &digest), meanwhile).await;
    assert_eq!(length, layer.len());
    assert!((4..=8).contains(&took.as_secs()), "it took {took:?}");
    assert!(waited < Duration::from_secs(1), "another account waited {waited:?}");
    until("the allowance to be back", Duration::from_secs(5), async || (node.get(&path).await.status == 200).then_some(())).await;
}

async fn a_pull_that_is_dropped_gives_its_place_back(backend: Backend) {
    let (registry, [node, other]) =
        start(backend, &[("throttle.concurrent_pulls", 2.into()), ("throttle.bytes_per_second", "8MiB".into())]).await;
    // More than sockets hold, so that a client that reads none of it keeps the registry from ending.
    let (digest, _) = push(&registry, "open/app", 1020, 64 << 20).await;
    let path = format!("/v2/open/app/blobs/{digest}");
    let begin = async || node.request(Method::GET, &path).send().await.unwrap();
    let (one, two) = (begin().await, begin().await);
    assert_eq!((one.status().as_u16(), two.status().as_u16()), (200, 200));
    assert_eq!(throttled(node.get(&path).await), Duration::from_secs(1));
    // It is blobs that are counted.
    node.head(&path).await.expect(200);
    node.get_manifest("open/app", "v1").await.expect(200);
    let (others, anonymous) = (other.request(Method::GET, &path), registry.client().request(Method::GET, &path));
    let others = [others.send().await.unwrap(), anonymous.send().await.unwrap()];
    assert!(others.iter().all(|answer| answer.status() == 200), "{others:?}");
    drop(others);
    drop(one);
    let range = |request: reqwest::RequestBuilder| request.header("range", "bytes=0-9");
    until("the place of a dropped pull to be free", Duration::from_secs(10), async || {
        (Answer::to(range(node.request(Method::GET, &path))).await.status == 206).then_some(())
    })
    .await;
    drop(two);
    // What was not sent of the two is not counted: ten seconds' worth would have been used up by their length.
    let began = Instant::now();
    until("both places to be free", Duration::from_secs(10), async || {
        let (one, two) =
            join(Answer::to(range(node.request(Method::GET, &path))), Answer::to(range(node.request(Method::GET, &path)))).await;
        (one.status == 206 && two.status == 206).then_some(())
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(3), "it took {:?}", began.elapsed());
}

async fn a_redirect_over_the_allowance_is_refused() {
    let values = [("storage.redirect", "always".into()), ("throttle.bytes_per_second", "1MiB".into())];
    let (registry, [node, other]) = start(Backend::Bucket, &values).await;
    let (digest, _) = push(&registry, "open/app", 1030, 12 << 20).await;
    let path = format!("/v2/open/app/blobs/{digest}");
    node.get(&path).await.expect(307);
    let wait = throttled(node.get(&path).await);
    assert!(wait <= Duration::from_secs(2), "{wait:?}");
    other.get(&path).await.expect(307);
    tokio::time::sleep(wait).await;
    node.get(&path).await.expect(307);
}

/// skopeo waits as long as it is told, and has its image; docker says what the registry says, and has it when it is asked again.
async fn clients_wait_where_they_know_how() {
    let mut registry = Registry::start(Backend::Folder).await;
    let layout = Layout::runnable(1040, &[1000, 2000]).await;
    let image = format!("{}/throttled/app:v1", registry.authority());
    let source = format!("docker://{image}");
    let arguments = ["--insecure-policy", "copy", "--preserve-digests", "--dest-tls-verify=false", &layout.reference(), &source];
    run_ok("skopeo", arguments).await;
    registry.restart_with(&[("throttle.requests_per_second", 1.into())]).await;
    exhaust(&registry.client(), "/v2/").await;
    let folder = temporary_folder("copied");
    let target = format!("oci:{}:latest", folder.path().display());
    let began = Instant::now();
    run_ok("skopeo", ["--insecure-policy", "copy", "--src-tls-verify=false", &source, &target]).await;
    assert!(began.elapsed() > Duration::from_secs(1), "it had to wait");

    let docker = Docker::start().await;
    exhaust(&registry.client(), "/v2/").await;
    let refused = docker.run(&["pull", &image]).await;
    assert!(refused.is_refusal_with(&["more than 1 requests a second; try again in", "toomanyrequests"]), "{refused}");
    // All that it may ask for at once is there again.
    tokio::time::sleep(Duration::from_secs(10)).await;
    docker.ok(&["pull", &image]).await;
}
