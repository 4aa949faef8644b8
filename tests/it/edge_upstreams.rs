//! How an edge asks: to whom it shows what, when it tries again and when it leaves off, and where else it asks.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Method;
use longshore_oci::Digest;
use longshore_tests::{
    Account, Answer, Asked, Backend, Edge, EdgeUpstream, Image, Misdeed, Plan, Random, Registry, Upstream, digest_of, done,
    run_with_input, temporary_folder, until,
};
use serde_json::json;
use tokio::task::JoinSet;

longshore_tests::once!(
    a_redirect_carries_no_credentials,
    credentials_go_to_no_other_realm_unless_told,
    a_clients_credentials_go_where_it_asks_and_no_further,
    docker_s_credentials_are_taken,
    a_credential_helper_of_docker_s_is_asked,
    tokens_are_fetched_once_and_again_when_they_end,
    retry_after_is_obeyed,
    a_broken_upstream_is_left_alone_for_a_while,
    a_second_address_is_asked_when_the_first_is_away,
    no_more_is_asked_at_once_than_allowed,
    bytes_come_no_faster_than_allowed,
    a_blob_that_is_sent_in_chunks_is_served,
);

const MIB: usize = 1 << 20;
const REPOSITORY: &str = "asked/edge";
/// How long anything may take that is waited for.
const LIMIT: Duration = Duration::from_secs(20);

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

/// Writes a program as docker's credential helpers are, which keeps one account, of one server.
async fn write_helper(program: &Path, server: &str, account: &Account) {
    let kept = json!({"ServerURL": server, "Username": account.name, "Secret": account.secret});
    let script = format!(
        "#!/bin/sh\n[ \"$1 $(cat)\" = 'get {server}' ] && echo '{kept}' && exit\n\
         echo 'credentials not found in native keychain'\nexit 1\n"
    );
    // Another process writes it: what is started here meanwhile would hold the file open, and so keep it from being run.
    let program = program.to_str().expect("our folders' names are ASCII");
    done(run_with_input("sh", ["-c", "cat > \"$1\" && chmod 700 \"$1\"", "sh", program], &script).await);
}

/// The edge asks with what it keeps: for whoever reaches it where that is shared, and else for nobody who may not by themselves.
async fn a_credential_helper_of_docker_s_is_asked() {
    let registry = Registry::with_accounts(Backend::Folder, &[]).await;
    let admin = registry.admin();
    let (image, hidden) = (Image::random(1913, &[1000]), Image::random(1914, &[1000]));
    admin.push_image(REPOSITORY, "v1", &image).await;
    admin.push_image("closed/edge", "v1", &hidden).await;
    let kept = admin.create_robot("edge", &[("pull", REPOSITORY)]).await;
    let reader = admin.create_robot("reader", &[("pull", REPOSITORY)]).await;
    let folder = temporary_folder("docker-config");
    write_helper(&folder.path().join("docker-credential-tests"), registry.authority(), &kept).await;
    let others = std::env::var_os("PATH").unwrap_or_default();
    let folders = [folder.path().to_owned()].into_iter().chain(std::env::split_paths(&others));
    let search_path = PathBuf::from(std::env::join_paths(folders).expect("no folder has a colon in its name"));
    let environment = [("DOCKER_CONFIG", folder.path()), ("PATH", search_path.as_path())];
    let ask = EdgeUpstream::longshore(&registry).set("credentials", "docker");
    for config in [json!({"credHelpers": {registry.authority(): "tests"}}), json!({"credsStore": "tests"})] {
        std::fs::write(folder.path().join("config.json"), config.to_string()).expect("the folder is ours");
        let shared = Edge::in_environment(&[ask.clone().set("shares_access", true)], &environment).await;
        assert_eq!(shared.client().pull_image(REPOSITORY, "v1").await, image.digest, "{config}");
        // What the account may not is as closed here as there.
        shared.client().get_manifest("closed/edge", "v1").await.expect_error(403, "DENIED");
        let closed = Edge::in_environment(std::slice::from_ref(&ask), &environment).await;
        closed.client().get_manifest(REPOSITORY, "v1").await.expect_error(401, "UNAUTHORIZED");
        let own = closed.client().as_basic(&reader.name, &reader.secret);
        assert_eq!(own.pull_image(REPOSITORY, "v1").await, image.digest, "{config}");
        assert!(!shared.log().contains(&kept.secret) && !closed.log().contains(&kept.secret), "a secret is in no log");
    }
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
    until("the upstream to be asked again", LIMIT, async || {
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

/// Of four requests at once three are for blobs, however many wait, and one is left for what is short.
async fn no_more_is_asked_at_once_than_allowed() {
    let (upstream, other) = (Upstream::start().await, Upstream::start().await);
    upstream.hold(REPOSITORY, "v1", &Image::random(1912, &[10]));
    let limited = EdgeUpstream::new("limited", &upstream.url()).set("max_concurrent", 4);
    let edge = Edge::with(&[limited, EdgeUpstream::other(&other)], &[("cache.prefetch", false.into())]).await;
    edge.client().pull_image(REPOSITORY, "v1").await;
    let contents: Vec<Bytes> = (0..12).map(|number| Random::seeded(1920 + number).bytes(MIB)).collect();
    let digests: Vec<_> = contents.iter().map(|content| upstream.hold_blob(REPOSITORY, content)).collect();
    let images: Vec<Image> = (0..4).map(|number| Image::random(1950 + number, &[10])).collect();
    for (number, image) in images.iter().enumerate() {
        upstream.hold(REPOSITORY, &format!("short-{number}"), image);
    }
    upstream.take_asked();
    upstream.misbehave(vec![
        Plan::always(Misdeed::HoldAt(1000)).method("GET").containing("/blobs/"),
        Plan::always(Misdeed::HoldAt(0)).method("GET").containing("/manifests/"),
    ]);
    let (mut clients, mut short) = (JoinSet::new(), JoinSet::new());
    for content in contents.clone() {
        let client = edge.client();
        clients.spawn(async move { client.take_blob(REPOSITORY, &content).await });
    }
    // That a client may have a blob is asked by a HEAD, before its bytes are.
    let is_known =
        |asked: &[Asked], blob: &Digest| asked.iter().any(|asked| asked.method == "HEAD" && asked.path.ends_with(blob.as_str()));
    until("all blobs to be wanted, and three of them held", LIMIT, async || {
        let asked = upstream.asked();
        (upstream.held() >= 3 && digests.iter().all(|blob| is_known(&asked, blob))).then_some(())
    })
    .await;
    for number in 0..images.len() {
        let client = edge.client();
        short.spawn(async move { client.get_manifest(REPOSITORY, &format!("short-{number}")).await.expect(200) });
    }
    until("a manifest to be held as well", LIMIT, async || (upstream.held() >= 4).then_some(())).await;
    let begun = |upstream: &Upstream| upstream.asked().iter().filter(|asked| asked.path.starts_with("/v2/asked/")).count();
    let at_most = begun(&upstream);
    // The edge is at work meanwhile, and what waits would have its turn.
    for number in 0..20 {
        let content = Random::seeded(1960 + number).bytes(1000);
        let path = format!("/v2/elsewhere/{REPOSITORY}/blobs/{}", other.hold_blob(REPOSITORY, &content));
        assert!(edge.client().take(&path, &content).await.is_right());
    }
    let gets = |upstream: &Upstream| digests.iter().map(|blob| upstream.gets_of(blob).len()).sum::<usize>();
    assert_eq!((upstream.held(), gets(&upstream), begun(&upstream)), (4, 3, at_most));
    // Those that waited take a quarter of a second each; near its end one may be over for the edge before it is here.
    upstream.misbehave(vec![Plan::always(Misdeed::Slow(4 * MIB as u64)).method("GET").containing("/blobs/")]);
    upstream.release();
    let is_under_way = |asked: &Asked| asked.method == "GET" && asked.sent_bytes() < (MIB - MIB / 8) as u64;
    let under_way = || upstream.asked().iter().filter(|asked| asked.path.contains("/blobs/") && is_under_way(asked)).count();
    let mut most = 0;
    while !clients.is_empty() {
        most = most.max(under_way());
        if let Ok(Some(taken)) = tokio::time::timeout(Duration::from_millis(2), clients.join_next()).await {
            assert!(taken.expect("it does not panic").is_right());
        }
    }
    assert_eq!((most, gets(&upstream)), (3, 12));
    assert!(short.join_all().await.iter().all(|answer| images.iter().any(|image| image.manifest == answer.body)));
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

/// What is sent in chunks is as long as a HEAD says, or else as that of which a part is sent.
async fn a_blob_that_is_sent_in_chunks_is_served() {
    let upstream = Upstream::start().await;
    let edge = Edge::start(&[EdgeUpstream::other(&upstream)]).await;
    let plans = [Plan::always(Misdeed::Chunked).method("GET"), Plan::always(Misdeed::Chunked)];
    for (seed, plan) in (1980..).zip(plans) {
        let content = Random::seeded(seed).bytes(3 * MIB + 1);
        let path = format!("/v2/{REPOSITORY}/blobs/{}", upstream.hold_blob(REPOSITORY, &content));
        upstream.misbehave(vec![plan.containing("/blobs/")]);
        let head = Answer::to(edge.client().request(Method::HEAD, &path)).await.expect(200);
        assert_eq!(head.required("content-length"), content.len().to_string());
        assert!(edge.client().take_blob(REPOSITORY, &content).await.is_right());
        upstream.take_asked();
        assert!(edge.client().take_blob(REPOSITORY, &content).await.is_right(), "it is kept");
        let is_fetched = |asked: &Asked| asked.method == "GET" && asked.path == path;
        assert_eq!(upstream.take_asked().iter().filter(|asked| is_fetched(asked)).count(), 0);
    }
}
