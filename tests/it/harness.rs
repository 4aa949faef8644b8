//! The harness itself: that its real parts run, and that its wire counts and fails as told.

use std::time::{Duration, Instant};

use http::Method;
use longshore_oci::{Algorithm, Digest};
use longshore_tests::{
    Account, Answer, Client, Containerd, Docker, Fault, Image, Layout, Misdeed, Plan, Podman, Postgres, ROOT_FILE_SYSTEM_WORDS,
    Random, Rule, S3, Upstream, Wire,
};
use sqlx::{Connection, Executor, PgConnection, Row};

longshore_tests::once!(
    postgres_is_durable_and_each_database_is_new,
    the_wire_counts_requests_and_fails_as_told,
    the_upstream_counts_requests_and_misbehaves_as_told,
    the_upstream_gives_to_whom_it_is_told_to,
    docker_runs_an_image_that_was_made_here,
    containerd_runs_an_image_that_was_made_here,
    podman_runs_an_image_that_was_made_here,
);

async fn postgres_is_durable_and_each_database_is_new() {
    let database = Postgres::shared().await.create_database().await;
    let mut connection = PgConnection::connect_with(&database.options()).await.unwrap();
    let row = connection.fetch_one("SELECT current_setting('fsync')").await.unwrap();
    assert_eq!(row.get::<String, _>(0), "on");
    connection.execute("CREATE TABLE seen (x INT)").await.unwrap();
    database.recreate().await;
    let mut connection = PgConnection::connect_with(&database.options()).await.unwrap();
    assert!(connection.execute("SELECT * FROM seen").await.is_err());
}

async fn the_wire_counts_requests_and_fails_as_told() {
    let bucket = S3::shared().await.create_bucket();
    let wire = Wire::http(&bucket.address()).await;
    let client = Client::new(&format!("http://{}", wire.address()));
    let attempt = async || Answer::attempt(client.request(Method::PUT, "/b/k?partNumber=1").body("content")).await;
    // The server takes no unsigned request; that it refused shows that it was reached.
    for _ in 0..10 {
        assert_eq!(attempt().await.unwrap().status, 400);
    }
    let calls = wire.take_calls();
    assert_eq!(calls.len(), 10);
    assert_eq!((calls[0].method.as_str(), calls[0].path.as_str(), calls[0].query.as_str()), ("PUT", "/b/k", "partNumber=1"));
    // Not always: a client that asks again at once may not have its connection back yet.
    assert!(wire.connections() < 10, "connections are kept");

    wire.set_rules(7, vec![Rule::always(Fault::Answer(503, "SlowDown")).method("PUT").times(1)]);
    assert_eq!(attempt().await.unwrap().status, 503);
    assert_eq!(attempt().await.unwrap().status, 400);
    for fault in [Fault::Reset, Fault::LoseAnswer, Fault::Truncate(10)] {
        wire.set_rules(7, vec![Rule::always(fault.clone()).containing("/b/k")]);
        assert!(attempt().await.is_err(), "{fault:?}");
    }
    wire.set_rules(7, vec![Rule::always(Fault::Stall(Duration::from_millis(200)))]);
    let began = Instant::now();
    assert_eq!(attempt().await.unwrap().status, 400);
    assert!(began.elapsed() >= Duration::from_millis(200));
    wire.heal();
    assert_eq!(attempt().await.unwrap().status, 400);
    assert_eq!(wire.injected(), 5);
}

async fn the_upstream_counts_requests_and_misbehaves_as_told() {
    let upstream = Upstream::start().await;
    let content = Random::seeded(10).bytes(100_000);
    let image = Image::of("{}".into(), vec![content.clone()]);
    upstream.hold("some/image", "v1", &image);
    let client = Client::new(&upstream.url());
    assert_eq!(client.pull_image("some/image", "v1").await, image.digest);
    let blob = Digest::of(Algorithm::Sha256, &content);
    let path = format!("/v2/some/image/blobs/{blob}");
    assert_eq!((upstream.gets_of(&blob).len(), upstream.sent_bytes_of(&blob)), (1, 100_000));
    let part = async || Answer::to(client.request(Method::GET, &path).header("range", "bytes=99990-")).await;
    assert_eq!(part().await.expect(206).body, content[99_990..]);
    assert_eq!(upstream.sent_bytes_of(&blob), 100_010);
    assert_eq!(upstream.take_asked().last().unwrap().header("range"), Some("bytes=99990-"));

    let cases = [
        (Misdeed::WrongAt(99_995), Some(200), 100_000, Some(99_995), true),
        (Misdeed::ResetAt(50_000), Some(200), 50_000, None, false),
        (Misdeed::LongerLength(5), Some(200), 100_000, None, false),
        (Misdeed::ShorterLength(5), Some(200), 99_995, None, true),
    ];
    for (misdeed, status, bytes, wrong_after, is_whole) in cases {
        upstream.misbehave(vec![Plan::always(misdeed.clone()).method("GET").times(1)]);
        let taken = client.take_blob("some/image", &content).await;
        let seen = (taken.status, taken.wrong_after, taken.is_whole);
        assert_eq!(seen, (status, wrong_after, is_whole), "{misdeed:?}: {taken:?}");
        // A reset may overtake what was sent before it.
        assert!(taken.bytes == bytes || (!is_whole && taken.bytes < bytes), "{misdeed:?}: {taken:?}");
        assert!(client.take_blob("some/image", &content).await.is_right(), "after {misdeed:?}");
    }
    upstream.misbehave(vec![Plan::always(Misdeed::Refuse(429, Some(3)))]);
    let refused = client.get(&path).await.expect_error(429, "TOOMANYREQUESTS");
    assert_eq!(refused.required("retry-after"), "3");
    upstream.misbehave(vec![Plan::always(Misdeed::RedirectTo("http://127.0.0.1:1".into()))]);
    assert_eq!(client.get(&path).await.expect(307).required("location"), format!("http://127.0.0.1:1{path}"));
    upstream.misbehave(vec![Plan::always(Misdeed::WholeForRange)]);
    assert_eq!(part().await.expect(200).body, content);
    upstream.misbehave(vec![Plan::always(Misdeed::Html)]);
    assert_eq!(client.get(&path).await.expect(200).required("content-type"), "text/html");

    upstream.misbehave(vec![Plan::always(Misdeed::HoldAt(60_000))]);
    let held = client.clone();
    let taking = tokio::spawn(async move { held.take_blob("some/image", &content).await });
    upstream.holds().await;
    assert!(!taking.is_finished());
    upstream.behave();
    assert!(taking.await.unwrap().is_right());
    upstream.go_away();
    assert!(Answer::attempt(client.request(Method::GET, "/v2/")).await.is_err());
    upstream.come_back();
    client.get("/v2/").await.expect(200);
    assert_eq!(upstream.committed(), 9);
}

async fn the_upstream_gives_to_whom_it_is_told_to() {
    let upstream = Upstream::with_tokens().await;
    let image = Image::random(11, &[10]);
    let account = Account::of("reader", "secret");
    for repository in ["open/image", "closed/image"] {
        upstream.hold(repository, "v1", &image);
    }
    upstream.close("closed/image", &[&account]);
    let client = Client::new(&upstream.url());
    let refused = client.get_manifest("open/image", "v1").await.expect_error(401, "UNAUTHORIZED");
    let challenge =
        format!("Bearer realm=\"{}/token\",service=\"upstream\",scope=\"repository:open/image:pull\"", upstream.url());
    assert_eq!(refused.required("www-authenticate"), challenge);
    let anonymous = client.with_token(&[]).await;
    anonymous.pull_image("open/image", "v1").await;
    anonymous.get_manifest("closed/image", "v1").await.expect(401);
    let reader = client.as_basic("reader", "secret").with_token(&[]).await;
    reader.pull_image("closed/image", "v1").await;
    client.as_basic("reader", "guess").ask_token(&[]).await.expect(401);
    upstream.forget_tokens();
    reader.get_manifest("closed/image", "v1").await.expect(401);
}

async fn docker_runs_an_image_that_was_made_here() {
    let docker = Docker::start().await;
    let layout = Layout::runnable(1, &[]).await;
    let archive = layout.path().join("docker.tar").display().to_string();
    let reference = format!("docker-archive:{archive}:hello:1");
    longshore_tests::run_ok("skopeo", ["--insecure-policy", "copy", &layout.reference(), &reference]).await;
    docker.ok(&["load", "--input", &archive]).await;
    let said = docker.ok(&["run", "--rm", "--network=host", "hello:1"]).await;
    assert_eq!(said.trim(), ROOT_FILE_SYSTEM_WORDS);
}

async fn containerd_runs_an_image_that_was_made_here() {
    let containerd = Containerd::start().await;
    let layout = Layout::runnable(2, &[]).await;
    let archive = layout.path().join("oci.tar").display().to_string();
    longshore_tests::run_ok(
        "skopeo",
        ["--insecure-policy", "copy", &layout.reference(), &format!("oci-archive:{archive}:hello:1")],
    )
    .await;
    containerd.ok(&["images", "import", "--base-name", "hello", &archive]).await;
    let images = containerd.ok(&["images", "list", "--quiet"]).await;
    let said = containerd.ok(&["run", "--rm", images.trim(), "hello"]).await;
    assert_eq!(said.trim(), ROOT_FILE_SYSTEM_WORDS);
}

async fn podman_runs_an_image_that_was_made_here() {
    let podman = Podman::new();
    let layout = Layout::runnable(3, &[]).await;
    let image = podman.ok(&["pull", "--quiet", &layout.reference()]).await;
    let said =
        podman.ok(&["run", "--rm", "--network=host", "--ulimit=nofile=512:512", "--ulimit=nproc=512:512", image.trim()]).await;
    assert_eq!(said.trim(), ROOT_FILE_SYSTEM_WORDS);
}
