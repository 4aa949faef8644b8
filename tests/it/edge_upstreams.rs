//! How an edge asks: to whom it shows what, when it tries again and when it leaves off, and where else it asks.

use std::time::{Duration, Instant};

use bytes::Bytes;
use longshore_oci::{Algorithm, Digest};
use longshore_tests::{Account, Client, Edge, EdgeUpstream, Image, Misdeed, Plan, Random, Upstream, temporary_folder, until};
use serde_json::json;
use tokio::task::JoinSet;

longshore_tests::once!(
    a_redirect_carries_no_credentials,
    credentials_go_to_no_other_realm_unless_told,
    a_clients_credentials_go_where_it_asks_and_no_further,
    docker_s_credentials_are_taken,
    tokens_are_fetched_once_and_again_when_they_end,
    retry_after_is_obeyed,
    a_broken_upstream_is_left_alone_for_a_while,
    a_second_address_is_asked_when_the_first_is_away,
    no_more_is_asked_at_once_than_allowed,
    bytes_come_no_faster_than_allowed,
);

const MIB: usize = 1 << 20;
const REPOSITORY: &str = "asked/edge";

fn digest_of(content: &Bytes) -> Digest {
    Digest::of(Algorithm::Sha256, content)
}

fn own() -> Account {
    Account::of("edge", "the edge's own secret")
}

/// That nothing a server was sent tells of anybody's credentials.
#[track_caller]
fn has_seen_no_secret(server: &Upstream) {
    for asked in server.asked() {
        let secrets = ["authorization", "cookie", "proxy-authorization", "x-longshore-token"];
        assert!(secrets.iter().all(|name| asked.header(name).is_none()), "{asked:?}");
        assert!(!asked.query.contains("token") && !asked.query.contains("secret"), "{asked:?}");
    }
}

/// "S3 redirects followed without leaking credentials"
async fn a_redirect_carries_no_credentials() {
    let (upstream, store) = (Upstream::with_tokens().await, Upstream::start().await);
    let image = Image::random(1900, &[3 * MIB]);
    upstream.hold(REPOSITORY, "v1", &image);
    upstream.close(REPOSITORY, &[&own()]);
    store.hold(REPOSITORY, "v1", &image);
    let edge = Edge::start(&[EdgeUpstream::other(&upstream).as_account(&own()).set("shares_access", true)]).await;
    upstream.misbehave(vec![Plan::always(Misdeed::RedirectTo(store.url())).containing("/blobs/")]);
    assert_eq!(edge.client().pull_image(REPOSITORY, "v1").await, image.digest);
    assert_eq!(store.sent_bytes_of(&digest_of(&image.blobs[1])), image.blobs[1].len() as u64);
    has_seen_no_secret(&store);
    // The same of what a client shows.
    let reader = edge.client().as_basic(&own().name, &own().secret);
    let second = Image::random(1901, &[MIB]);
    upstream.hold(REPOSITORY, "v2", &second);
    store.hold(REPOSITORY, "v2", &second);
    let closed = Edge::start(&[EdgeUpstream::other(&upstream)]).await;
    let reader_there = closed.client().as_basic(&own().name, &own().secret);
    assert_eq!(reader_there.pull_image(REPOSITORY, "v2").await, second.digest);
    assert_eq!(reader.pull_image(REPOSITORY, "v2").await, second.digest);
    has_seen_no_secret(&store);
}

/// Tokens may be had elsewhere, by whoever shows nothing; a name and password go there only where the operator has said so.
async fn credentials_go_to_no_other_realm_unless_told() {
    let (upstream, elsewhere) = (Upstream::with_tokens().await, Upstream::start().await);
    let image = Image::random(1902, &[1000]);
    upstream.hold(REPOSITORY, "v1", &image);
    upstream.send_for_tokens_to(&format!("{}/token", elsewhere.url()));
    let ask = EdgeUpstream::other(&upstream).as_account(&own()).set("shares_access", true);
    let edge = Edge::start(std::slice::from_ref(&ask)).await;
    // The token from there is of no use here, so the pull fails; what counts is what was shown.
    edge.client().get_manifest(REPOSITORY, "v1").await.error_codes();
    has_seen_no_secret(&elsewhere);
    elsewhere.take_asked();
    let trusting = Edge::start(&[ask.set("token_realms", json!([elsewhere.authority()]))]).await;
    trusting.client().get_manifest(REPOSITORY, "v1").await.error_codes();
    let shown =
        elsewhere.take_asked().iter().any(|asked| asked.header("authorization").is_some_and(|value| value.starts_with("Basic ")));
    assert!(shown, "the operator has said so");
}

/// A client's `Authorization` is for the registry that it asks, and for none of the others that the edge speaks for.
async fn a_clients_credentials_go_where_it_asks_and_no_further() {
    let (first, second) = (Upstream::with_tokens().await, Upstream::start().await);
    let image = Image::random(1903, &[1000]);
    first.hold(REPOSITORY, "v1", &image);
    second.hold(REPOSITORY, "v1", &image);
    first.close(REPOSITORY, &[&own()]);
    let edge = Edge::start(&[EdgeUpstream::new("first", &first.url()), EdgeUpstream::new("second", &second.url())]).await;
    assert_eq!(edge.client().as_basic(&own().name, &own().secret).pull_image(REPOSITORY, "v1").await, image.digest);
    assert_eq!(edge.client().pull_image(&format!("second/{REPOSITORY}"), "v1").await, image.digest);
    has_seen_no_secret(&second);
}

/// "credentials (docker config, helpers)"
async fn docker_s_credentials_are_taken() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    let upstream = Upstream::with_tokens().await;
    let image = Image::random(1904, &[1000]);
    upstream.hold(REPOSITORY, "v1", &image);
    upstream.close(REPOSITORY, &[&own()]);
    let folder = temporary_folder("docker-config");
    let auth = STANDARD.encode(format!("{}:{}", own().name, own().secret));
    let config = json!({"auths": {upstream.authority(): {"auth": auth}}});
    std::fs::write(folder.path().join("config.json"), config.to_string()).expect("the folder is ours");
    let ask = EdgeUpstream::other(&upstream).set("credentials", "docker").set("shares_access", true);
    let edge = Edge::in_environment(&[ask], &[("DOCKER_CONFIG", folder.path())]).await;
    assert_eq!(edge.client().pull_image(REPOSITORY, "v1").await, image.digest);
}

async fn tokens_are_fetched_once_and_again_when_they_end() {
    let upstream = Upstream::with_tokens().await;
    let image = Image::random(1905, &[1000, 2000, 3000, 4000]);
    upstream.hold(REPOSITORY, "v1", &image);
    let edge = Edge::start(&[EdgeUpstream::other(&upstream)]).await;
    let mut clients = JoinSet::new();
    for _ in 0..50 {
        let client = edge.client();
        clients.spawn(async move { client.pull_image(REPOSITORY, "v1").await });
    }
    clients.join_all().await;
    let tokens = upstream.asked().iter().filter(|asked| asked.path == "/token").count();
    assert!((1..=4).contains(&tokens), "{tokens} tokens");
    // An upstream that has forgotten its tokens is asked for another.
    upstream.forget_tokens();
    let second = Image::random(1906, &[1000]);
    upstream.hold(REPOSITORY, "v2", &second);
    assert_eq!(edge.client().pull_image(REPOSITORY, "v2").await, second.digest);
}

async fn retry_after_is_obeyed() {
    let upstream = Upstream::start().await;
    let edge = Edge::start(&[EdgeUpstream::other(&upstream)]).await;
    let content = Random::seeded(1907).bytes(1000);
    upstream.hold_blob(REPOSITORY, &content);
    upstream.misbehave(vec![Plan::always(Misdeed::Refuse(429, Some(2))).method("GET").containing("/blobs/").times(1)]);
    let began = Instant::now();
    assert!(edge.client().take_blob(REPOSITORY, &content).await.is_right());
    assert!(began.elapsed() >= Duration::from_secs(2), "it came back after {:?}", began.elapsed());
    // More than anybody waits for is passed on, and asked for by nobody meanwhile.
    let other = Random::seeded(1908).bytes(1000);
    let digest = upstream.hold_blob(REPOSITORY, &other);
    upstream.misbehave(vec![Plan::always(Misdeed::Refuse(429, Some(600))).method("GET").containing("/blobs/")]);
    let began = Instant::now();
    let refused = edge.client().get(&format!("/v2/{REPOSITORY}/blobs/{digest}")).await;
    assert!([429, 503].contains(&refused.status.as_u16()), "{refused:?}");
    refused.required("retry-after").parse::<u64>().expect("a count of seconds");
    assert!(began.elapsed() < Duration::from_secs(20), "the refusal took {:?}", began.elapsed());
    upstream.behave();
}

/// The circuit breaker: an upstream that fails and fails is asked a few times, and then again after its pause.
async fn a_broken_upstream_is_left_alone_for_a_while() {
    let upstream = Upstream::start().await;
    let ask = EdgeUpstream::other(&upstream).set("breaker_failures", 5).set("breaker_pause", "2s");
    let edge = Edge::start(&[ask]).await;
    let image = Image::random(1909, &[1000]);
    upstream.hold(REPOSITORY, "v1", &image);
    upstream.misbehave(vec![Plan::always(Misdeed::Refuse(500, None))]);
    let began = Instant::now();
    let mut last = None;
    for number in 0..60 {
        let answer = edge.client().get_manifest(REPOSITORY, &format!("v{number}")).await;
        assert!([502, 503].contains(&answer.status.as_u16()), "{answer:?}");
        last = Some(answer);
    }
    let refused = last.expect("it was asked").expect(503);
    let wait: u64 = refused.required("retry-after").parse().expect("a count of seconds");
    assert!(wait <= 3, "{refused:?}");
    // In each pause's time no more than what opens the breaker, and what looks whether it may close.
    let rounds = began.elapsed().as_secs() as usize / 2 + 1;
    let asked = upstream.asked().len();
    assert!(asked <= 30 + 8 * rounds, "{asked} requests in {:?}", began.elapsed());
    assert!(edge.metric("longshore_edge_upstream_paused").await >= 1.0);
    upstream.behave();
    until("the upstream to be asked again", Duration::from_secs(20), async || {
        (edge.client().get_manifest(REPOSITORY, "v1").await.status == 200).then_some(())
    })
    .await;
    assert_eq!(edge.client().pull_image(REPOSITORY, "v1").await, image.digest);
}

async fn a_second_address_is_asked_when_the_first_is_away() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let image = Image::random(1910, &[3 * MIB]);
    first.hold(REPOSITORY, "v1", &image);
    second.hold(REPOSITORY, "v1", &image);
    let edge = Edge::start(&[EdgeUpstream::other(&first).set("fallback_url", second.url())]).await;
    first.go_away();
    let began = Instant::now();
    assert_eq!(edge.client().pull_image(REPOSITORY, "v1").await, image.digest);
    assert!(began.elapsed() < Duration::from_secs(10), "it took {:?}", began.elapsed());
    assert_eq!(second.sent_bytes_of(&digest_of(&image.blobs[1])), image.blobs[1].len() as u64);
    first.come_back();
    second.go_away();
    let other = Image::random(1911, &[1000]);
    first.hold(REPOSITORY, "v2", &other);
    assert_eq!(edge.client().pull_image(REPOSITORY, "v2").await, other.digest);
}

async fn no_more_is_asked_at_once_than_allowed() {
    let upstream = Upstream::start().await;
    upstream.hold(REPOSITORY, "v1", &Image::random(1912, &[10]));
    let edge = Edge::start(&[EdgeUpstream::other(&upstream).set("max_concurrent", 4)]).await;
    edge.client().pull_image(REPOSITORY, "v1").await;
    let contents: Vec<Bytes> = (0..12).map(|number| Random::seeded(1920 + number).bytes(MIB)).collect();
    for content in &contents {
        upstream.hold_blob(REPOSITORY, content);
    }
    upstream.misbehave(vec![Plan::always(Misdeed::HoldAt(1000)).method("GET").containing("/blobs/")]);
    let mut clients = JoinSet::new();
    for content in contents.clone() {
        let client: Client = edge.client();
        clients.spawn(async move { client.take_blob(REPOSITORY, &content).await });
    }
    until("three answers to be held", Duration::from_secs(20), async || (upstream.held() >= 3).then_some(())).await;
    let begun = |upstream: &Upstream| contents.iter().map(|content| upstream.gets_of(&digest_of(content)).len()).sum::<usize>();
    assert_eq!(begun(&upstream), 3);
    upstream.behave();
    assert!(clients.join_all().await.iter().all(longshore_tests::Taken::is_right));
    assert_eq!(begun(&upstream), 12);
}

async fn bytes_come_no_faster_than_allowed() {
    let upstream = Upstream::start().await;
    let edge = Edge::start(&[EdgeUpstream::other(&upstream).set("bytes_per_second", "2MiB")]).await;
    let content = Random::seeded(1940).bytes(8 * MIB);
    upstream.hold_blob(REPOSITORY, &content);
    let began = Instant::now();
    assert!(edge.client().take_blob(REPOSITORY, &content).await.is_right());
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(2500) && took < Duration::from_secs(30), "8 MiB at 2 MiB/s took {took:?}");
    let began = Instant::now();
    assert!(edge.client().take_blob(REPOSITORY, &content).await.is_right());
    assert!(began.elapsed() < Duration::from_secs(2), "what is here comes as fast as it can");
}
