//! Tags move, digests do not: a tag is asked about again after a short time, and served stale, saying so, while nobody answers.

use std::time::Duration;

use http::Method;
use longshore_tests::{Answer, Backend, Edge, EdgeUpstream, Image, Misdeed, Plan, Registry, Upstream, until};
use tokio::task::JoinSet;

longshore_tests::once!(
    a_tag_that_moves_moves_here_soon,
    a_tag_is_asked_about_once_in_a_while_and_by_etag,
    a_tag_is_served_stale_while_the_upstream_is_away,
    a_tag_is_served_stale_while_the_upstream_fails,
    a_tag_that_is_gone_is_gone_here,
    a_digest_never_expires,
    stale_tags_outlive_a_restart,
    a_tag_that_moved_before_a_restart_is_not_believed_after_it,
);

const REPOSITORY: &str = "tags/edge";
const LIMIT: Duration = Duration::from_secs(30);

async fn site(tag_ttl: &str) -> (Upstream, Edge, Image) {
    let upstream = Upstream::start().await;
    let image = Image::random(1400, &[1000]);
    upstream.hold(REPOSITORY, "v1", &image);
    let values = [("cache.tag_ttl", tag_ttl.into()), ("cache.sync_delay", "20ms".into())];
    let edge = Edge::with(&[EdgeUpstream::other(&upstream)], &values).await;
    assert_eq!(edge.client().pull_image(REPOSITORY, "v1").await, image.digest);
    (upstream, edge, image)
}

/// That an answer is of a tag which nobody could be asked about, and says so (RFC 7234, section 5.5.1).
#[track_caller]
fn is_stale(answer: &Answer) {
    assert!(answer.required("warning").starts_with("110 "), "{answer:?}");
    answer.required("age").parse::<u64>().expect("a count of seconds");
    assert_eq!(answer.required("x-longshore-cache"), "stale", "{answer:?}");
}

async fn a_tag_that_moves_moves_here_soon() {
    let registry = Registry::start(Backend::Folder).await;
    let upstream = Upstream::start().await;
    let upstreams = [EdgeUpstream::longshore(&registry), EdgeUpstream::other(&upstream)];
    let edge = Edge::with(&upstreams, &[("cache.tag_ttl", "500ms".into())]).await;
    for seed in 1401..1404 {
        let image = Image::random(seed, &[100]);
        registry.client().push_image(REPOSITORY, "latest", &image).await;
        upstream.hold(REPOSITORY, "latest", &image);
        for repository in [REPOSITORY.to_owned(), format!("elsewhere/{REPOSITORY}")] {
            until("the tag to move", LIMIT, async || {
                let answer = edge.client().get_manifest(&repository, "latest").await.expect(200);
                (answer.body == image.manifest).then_some(())
            })
            .await;
            assert_eq!(edge.client().pull_image(&repository, "latest").await, image.digest);
        }
    }
}

async fn a_tag_is_asked_about_once_in_a_while_and_by_etag() {
    let (upstream, edge, image) = site("5s").await;
    upstream.take_asked();
    // Within the time nobody is asked.
    for _ in 0..20 {
        assert_eq!(edge.client().get_manifest(REPOSITORY, "v1").await.expect(200).body, image.manifest);
    }
    let asked = upstream.take_asked();
    assert!(asked.iter().filter(|asked| asked.path.ends_with("/v1")).count() <= 1, "{asked:?}");
    until("the tag to be asked about again", LIMIT, async || {
        let mut clients = JoinSet::new();
        for _ in 0..50 {
            let client = edge.client();
            clients.spawn(async move { client.get_manifest(REPOSITORY, "v1").await.expect(200) });
        }
        clients.join_all().await;
        let asked = upstream.take_asked();
        let about: Vec<_> = asked.iter().filter(|asked| asked.path.ends_with("/v1")).collect();
        assert!(about.len() <= 1, "fifty who want to know ask once: {about:?}");
        let again = about.first()?;
        assert_eq!(again.method, "HEAD");
        assert_eq!(again.header("if-none-match"), Some(format!("\"{}\"", image.digest).as_str()));
        Some(())
    })
    .await;
}

async fn a_tag_is_served_stale_while_the_upstream_is_away() {
    let (upstream, edge, image) = site("200ms").await;
    let stale = edge.metric(Edge::STALE).await;
    upstream.go_away();
    until("the tag to be stale", LIMIT, async || {
        let answer = edge.client().get_manifest(REPOSITORY, "v1").await.expect(200);
        assert_eq!(answer.body, image.manifest);
        answer.header("warning").is_some().then_some(())
    })
    .await;
    for method in [Method::GET, Method::HEAD] {
        let path = format!("/v2/{REPOSITORY}/manifests/v1");
        is_stale(&Answer::to(edge.client().request(method, &path)).await.expect(200));
    }
    edge.counts(Edge::STALE, stale).await;
    // What was never seen is not made up.
    let refused = edge.client().get_manifest(REPOSITORY, "v2").await;
    assert!([502, 503, 504].contains(&refused.status.as_u16()), "{refused:?}");
    refused.error_codes();
    // By digest it is not stale: it is what it is.
    let by_digest = edge.client().get_manifest(REPOSITORY, image.digest.as_str()).await.expect(200);
    assert_eq!(by_digest.header("warning"), None, "{by_digest:?}");
    assert_eq!(edge.client().pull_image(REPOSITORY, "v1").await, image.digest);
    let moved = Image::random(1410, &[10]);
    upstream.hold(REPOSITORY, "v1", &moved);
    upstream.come_back();
    until("the tag to be fresh", LIMIT, async || {
        let answer = edge.client().get_manifest(REPOSITORY, "v1").await.expect(200);
        (answer.body == moved.manifest && answer.header("warning").is_none()).then_some(())
    })
    .await;
}

async fn a_tag_is_served_stale_while_the_upstream_fails() {
    let (upstream, edge, image) = site("200ms").await;
    for misdeed in [Misdeed::Refuse(500, None), Misdeed::Refuse(429, Some(1)), Misdeed::Html, Misdeed::RedirectLoop] {
        upstream.misbehave(vec![Plan::always(misdeed.clone())]);
        until("the tag to be stale", LIMIT, async || {
            let answer = edge.client().get_manifest(REPOSITORY, "v1").await.expect(200);
            assert_eq!(answer.body, image.manifest, "{misdeed:?}");
            answer.header("warning").is_some().then(|| is_stale(&answer))
        })
        .await;
        upstream.behave();
        until("the tag to be fresh", LIMIT, async || {
            edge.client().get_manifest(REPOSITORY, "v1").await.expect(200).header("warning").is_none().then_some(())
        })
        .await;
    }
}

/// That the upstream says so is an answer, and not that it is away.
async fn a_tag_that_is_gone_is_gone_here() {
    let (upstream, edge, image) = site("200ms").await;
    upstream.untag(REPOSITORY, "v1");
    until("the tag to go", LIMIT, async || {
        let answer = edge.client().get_manifest(REPOSITORY, "v1").await;
        (answer.status == 404).then(|| answer.expect_error(404, "MANIFEST_UNKNOWN"))
    })
    .await;
    assert_eq!(edge.client().get_manifest(REPOSITORY, image.digest.as_str()).await.expect(200).body, image.manifest);
}

async fn a_digest_never_expires() {
    let (upstream, edge, image) = site("0s").await;
    upstream.take_asked();
    for _ in 0..10 {
        edge.client().pull_image(REPOSITORY, image.digest.as_str()).await;
    }
    let fetched: u64 = upstream.take_asked().iter().filter(|asked| asked.method == "GET").map(|asked| asked.sent_bytes()).sum();
    assert_eq!(fetched, 0);
}

async fn stale_tags_outlive_a_restart() {
    let (upstream, mut edge, image) = site("200ms").await;
    edge.restart_gently().await;
    upstream.go_away();
    until("the tag to be stale", LIMIT, async || {
        let answer = edge.client().get_manifest(REPOSITORY, "v1").await.expect(200);
        answer.header("warning").is_some().then(|| is_stale(&answer))
    })
    .await;
    assert_eq!(edge.client().pull_image(REPOSITORY, "v1").await, image.digest);
}

/// The registry tells of it once. That somebody asks for what the tag named before, by its digest, makes that no newer.
async fn a_tag_that_moved_before_a_restart_is_not_believed_after_it() {
    const EVENTS: &str = "longshore_edge_events_total";
    const RESETS: &str = "longshore_edge_event_resets_total";
    let registry = Registry::start(Backend::Folder).await;
    let [before, moved] = [1420, 1421].map(|seed| Image::random(seed, &[1000]));
    registry.client().push_image(REPOSITORY, "v1", &before).await;
    let values = [("cache.tag_ttl", "1h".into()), ("cache.sync_delay", "20ms".into())];
    let mut edge = Edge::with(&[EdgeUpstream::longshore(&registry)], &values).await;
    // Whoever comes first is told to forget all.
    until("the first word of the registry", LIMIT, async || (edge.metric(RESETS).await >= 1.0).then_some(())).await;
    assert_eq!(edge.client().pull_image(REPOSITORY, "v1").await, before.digest);
    let events = edge.metric(EVENTS).await;
    registry.client().push_image(REPOSITORY, "v1", &moved).await;
    // One of the manifest, and one of the tag.
    until("the edge to be told", LIMIT, async || (edge.metric(EVENTS).await >= events + 2.0).then_some(())).await;
    edge.restart_gently().await;
    edge.client().get_manifest(REPOSITORY, before.digest.as_str()).await.expect(200);
    assert_eq!(edge.client().get_manifest(REPOSITORY, "v1").await.expect(200).body, moved.manifest);
}
