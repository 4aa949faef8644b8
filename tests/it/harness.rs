//! The harness itself: that its real parts run, and that its wire counts and fails as told.

use std::time::{Duration, Instant};

use http::Method;
use longshore_tests::{
    Answer, Client, Containerd, Docker, Fault, Layout, Podman, Postgres, ROOT_FILE_SYSTEM_WORDS, Rule, S3, Wire,
};
use sqlx::{Connection, Executor, PgConnection, Row};

longshore_tests::once!(
    postgres_is_durable_and_each_database_is_new,
    the_wire_counts_requests_and_fails_as_told,
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
