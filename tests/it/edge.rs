//! An edge cache in front of a registry: what is pulled through it is what is there, and comes over the expensive link once.

use std::time::Duration;

use http::Method;
use longshore_oci::{Algorithm, Digest};
use longshore_tests::{
    Answer, Backend, Client, Edge, EdgeUpstream, Image, Misdeed, Plan, Random, Registry, Taken, Upstream, Wire, digest_of, done,
    media_type, until,
};
use tokio::task::JoinSet;

use crate::edge_damage::asked_bytes;

longshore_tests::once!(
    a_first_try_takes_flags_alone,
    what_longshore_holds_is_served_as_it_is,
    what_another_registry_holds_is_served_as_it_is,
    a_range_fetches_its_pieces_and_no_others,
    what_is_evicted_by_hand_comes_again_for_who_asks,
    who_follows_another_s_fetch_is_a_hit,
    content_that_a_client_has_is_304,
    what_is_not_there_is_404_as_upstream,
    nothing_is_written_through_it,
    health_and_metrics_are_those_of_every_daemon,
);

const MIB: usize = 1 << 20;

/// The SHA-256 digest of a blob.
/// "flags for a first try, a file for real".
async fn a_first_try_takes_flags_alone() {
    let upstream = Upstream::start().await;
    let image = Image::random(900, &[3 * MIB + 5, 100]);
    upstream.hold("first/try", "v1", &image);
    let edge = Edge::by_flags(&upstream.url()).await;
    assert_eq!(edge.client().pull_image("first/try", "v1").await, image.digest);
    upstream.take_asked();
    // "cold: one copy from upstream; again, or from 1,000 others at once: none"
    assert_eq!(edge.client().pull_image("first/try", image.digest.as_str()).await, image.digest);
    let bytes: u64 = upstream.take_asked().iter().map(|asked| asked.sent_bytes()).sum();
    assert_eq!(bytes, 0, "it fetches nothing again");
    let table = longshore_tests::done(edge.command("status", &[]).await).stdout;
    for heading in ["UPSTREAM", "HIT", "SAVED", "IN FLIGHT", "DISK", "PINNED", upstream.authority()] {
        assert!(table.contains(heading), "no {heading} in\n{table}");
    }
}

async fn what_longshore_holds_is_served_as_it_is() {
    let registry = Registry::start(Backend::Folder).await;
    let edge = Edge::start(&[EdgeUpstream::longshore(&registry)]).await;
    let image = Image::random(901, &[0, 1, MIB - 1, MIB, MIB + 1, 9 * MIB + 17]);
    registry.client().push_image("edge/as-it-is", "v1", &image).await;
    is_served_as_it_is(&edge.client(), "edge/as-it-is", &image).await;
}

async fn what_another_registry_holds_is_served_as_it_is() {
    let upstream = Upstream::start().await;
    let edge = Edge::start(&[EdgeUpstream::other(&upstream)]).await;
    let image = Image::random(902, &[0, 1, MIB - 1, MIB, MIB + 1, 9 * MIB + 17]);
    upstream.hold("edge/as-it-is", "v1", &image);
    is_served_as_it_is(&edge.client(), "edge/as-it-is", &image).await;
    for blob in &image.blobs {
        assert!(upstream.sent_bytes_of(&digest_of(blob)) <= blob.len() as u64, "a blob comes once");
    }
}

/// Twice: once as it comes from upstream, and once as it is kept.
async fn is_served_as_it_is(client: &Client, repository: &str, image: &Image) {
    // Where the upstream asks for a token, its challenge is told, so that clients with credentials get one.
    let support = client.get("/v2/").await;
    assert!(support.status == 200 || support.header("www-authenticate").is_some(), "{support:?}");
    assert_eq!(support.required("docker-distribution-api-version"), "registry/2.0");
    for round in ["cold", "warm"] {
        for reference in ["v1", image.digest.as_str()] {
            let path = format!("/v2/{repository}/manifests/{reference}");
            let answer = client.get(&path).await.expect(200);
            assert!(answer.body == image.manifest, "{round}: {answer:?}");
            let head = client.head(&path).await.expect(200);
            assert!(head.body.is_empty());
            for answer in [answer, head] {
                assert_eq!(answer.required("content-type"), media_type::MANIFEST, "{round}");
                assert_eq!(answer.required("docker-content-digest"), image.digest.as_str(), "{round}");
                assert_eq!(answer.required("content-length"), image.manifest.len().to_string(), "{round}");
            }
        }
        for blob in &image.blobs {
            let digest = digest_of(blob);
            let path = format!("/v2/{repository}/blobs/{digest}");
            let answer = client.get(&path).await.expect(200);
            assert!(answer.body == blob, "{round}: {} bytes came back as {}", blob.len(), answer.body.len());
            for answer in [answer, client.head(&path).await.expect(200)] {
                assert_eq!(answer.required("docker-content-digest"), digest.as_str(), "{round}");
                assert_eq!(answer.required("content-length"), blob.len().to_string(), "{round}");
                assert_eq!(answer.required("accept-ranges"), "bytes", "{round}");
                assert!(answer.required("etag").contains(digest.as_str()), "{round}");
            }
            if round == "warm" {
                assert_eq!(client.get(&path).await.expect(200).required("x-longshore-cache"), "hit");
            }
        }
    }
}

/// "Ranges fetch their pieces and no others"; from a registry of ours each is checked as it arrives.
async fn a_range_fetches_its_pieces_and_no_others() {
    let registry = Registry::start(Backend::Folder).await;
    let content = Random::seeded(903).bytes(9 * MIB + 17);
    let digest = registry.client().push_blob("edge/range", &content).await;
    let wire = Wire::http(registry.authority()).await;
    let edge = Edge::start(&[EdgeUpstream::through(&wire)]).await;
    let path = format!("/v2/edge/range/blobs/{digest}");
    let end = content.len() - 1;
    // Each with the pieces that it needs, of which those before have brought some.
    let cases = [
        ("bytes=5-104", 5, 104, vec![0]),
        ("bytes=100-200", 100, 200, vec![]),
        ("bytes=4194300-5242890", 4_194_300, 5_242_890, vec![3, 4, 5]),
        ("bytes=-7", end - 6, end, vec![9]),
        ("bytes=3145728-6291455", 3_145_728, 6_291_455, vec![]),
        ("bytes=10-99999999999", 10, end, vec![1, 2, 6, 7, 8]),
    ];
    for (range, first, last, pieces) in cases {
        wire.take_calls();
        let answer = Answer::to(edge.client().request(Method::GET, &path).header("range", range)).await.expect(206);
        assert_eq!(answer.required("content-range"), format!("bytes {first}-{last}/{}", content.len()), "{range}");
        assert!(answer.body == content[first..=last], "{range}");
        let mut fetched = Vec::new();
        let blob = format!("/blobs/{digest}");
        for call in wire.take_calls().iter().filter(|call| call.method == "GET" && call.path.ends_with(&blob)) {
            assert!(call.range.is_some(), "a part");
            let asked = call.asked_bytes(content.len());
            fetched.extend(asked.start / MIB..=(asked.end - 1) / MIB);
        }
        fetched.sort_unstable();
        assert_eq!(fetched, pieces, "{range}");
    }
    let refused = Answer::to(edge.client().request(Method::GET, &path).header("range", "bytes=99999999-")).await.expect(416);
    assert_eq!(refused.required("content-range"), format!("bytes */{}", content.len()));
}

/// It is neither served from memory, nor fetched while nobody asks for it.
async fn what_is_evicted_by_hand_comes_again_for_who_asks() {
    let registry = Registry::start(Backend::Folder).await;
    let content = Random::seeded(910).bytes(5 * MIB + 9);
    let digest = registry.client().push_blob("edge/evicted", &content).await;
    let wire = Wire::http(registry.authority()).await;
    let edge = Edge::start(&[EdgeUpstream::through(&wire)]).await;
    for round in 0..2 {
        assert!(edge.client().take_blob("edge/evicted", &content).await.is_right());
        assert_eq!(asked_bytes(&wire, &digest, content.len()), content.len(), "round {round}");
        done(edge.command("evict", &[digest.as_str()]).await);
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(asked_bytes(&wire, &digest, content.len()), 0, "nobody waits for it");
    }
}

/// "cold: one copy from upstream; again, or from 1,000 others at once: none": all but the one copy are hits.
async fn who_follows_another_s_fetch_is_a_hit() {
    const CLIENTS: usize = 60;
    let registry = Registry::start(Backend::Folder).await;
    let upstream = Upstream::start().await;
    let edge = Edge::start(&[EdgeUpstream::longshore(&registry), EdgeUpstream::other(&upstream)]).await;
    let content = Random::seeded(911).bytes(9 * MIB + 17);
    let digest = registry.client().push_blob("edge/hits", &content).await;
    upstream.hold_blob("edge/hits", &content);
    let mut most = 0.0;
    for prefix in ["", "elsewhere/"] {
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let (client, content, path) = (edge.client(), content.clone(), format!("/v2/{prefix}edge/hits/blobs/{digest}"));
            clients.spawn(async move { client.take(&path, &content).await });
        }
        assert!(clients.join_all().await.iter().all(Taken::is_right));
        most += content.len() as f64 * CLIENTS as f64;
        let [served, hit] =
            [edge.metric("longshore_edge_served_bytes_total").await, edge.metric("longshore_edge_hit_bytes_total").await];
        assert!((served - most).abs() < 1.0, "{served} bytes");
        assert!(hit >= 0.95 * served, "{hit} of {served} bytes");
    }
}

async fn content_that_a_client_has_is_304() {
    let upstream = Upstream::start().await;
    let image = Image::random(904, &[50]);
    upstream.hold("edge/cached", "v1", &image);
    let edge = Edge::start(&[EdgeUpstream::other(&upstream)]).await;
    let client = edge.client();
    let layer = digest_of(&image.blobs[1]);
    for path in ["/v2/edge/cached/manifests/v1".to_owned(), format!("/v2/edge/cached/blobs/{layer}")] {
        let etag = client.get(&path).await.expect(200).required("etag").to_owned();
        for method in [Method::GET, Method::HEAD] {
            let answer = Answer::to(client.request(method, &path).header("if-none-match", &etag)).await.expect(304);
            assert!(answer.body.is_empty());
        }
        Answer::to(client.request(Method::GET, &path).header("if-none-match", "\"other\"")).await.expect(200);
    }
}

async fn what_is_not_there_is_404_as_upstream() {
    let upstream = Upstream::start().await;
    upstream.hold("edge/there", "v1", &Image::random(905, &[10]));
    let edge = Edge::start(&[EdgeUpstream::other(&upstream)]).await;
    let client = edge.client();
    let absent = Digest::of(Algorithm::Sha256, b"absent");
    client.get_manifest("edge/there", "v2").await.expect_error(404, "MANIFEST_UNKNOWN");
    client.get_manifest("edge/there", absent.as_str()).await.expect_error(404, "MANIFEST_UNKNOWN");
    client.get(&format!("/v2/edge/there/blobs/{absent}")).await.expect_error(404, "BLOB_UNKNOWN");
    client.get_manifest("edge/nowhere", "v1").await.expect(404).error_codes();
    client.get("/v2/_catalog").await.error_codes();
    // What was not there may come to be.
    let image = Image::random(906, &[10]);
    upstream.hold("edge/there", "v2", &image);
    assert_eq!(client.pull_image("edge/there", "v2").await, image.digest);
    assert_eq!(client.get("/v2/edge/there/tags/list").await.expect(200).texts("tags"), ["v1", "v2"]);
    client.get(&format!("/v2/edge/there/referrers/{}", image.digest)).await.expect(200).texts("manifests");
}

async fn nothing_is_written_through_it() {
    let upstream = Upstream::start().await;
    upstream.hold("edge/writes", "v1", &Image::random(907, &[10]));
    let edge = Edge::start(&[EdgeUpstream::other(&upstream)]).await;
    upstream.take_asked();
    let digest = Digest::of(Algorithm::Sha256, b"x");
    for (method, tail) in [
        (Method::POST, "blobs/uploads/".to_owned()),
        (Method::PUT, "manifests/v1".to_owned()),
        (Method::DELETE, "manifests/v1".to_owned()),
        (Method::DELETE, format!("blobs/{digest}")),
    ] {
        let request = edge.client().request(method, &format!("/v2/edge/writes/{tail}")).header("content-length", 0);
        let refused = Answer::to(request).await.expect_error(405, "UNSUPPORTED");
        assert!(refused.json()["errors"][0]["message"].as_str().is_some_and(|words| words.len() > 10), "{refused:?}");
    }
    assert!(upstream.take_asked().iter().all(|asked| asked.method == "GET" || asked.method == "HEAD"), "nothing gets through");
}

async fn health_and_metrics_are_those_of_every_daemon() {
    let upstream = Upstream::start().await;
    let mut edge = Edge::start(&[EdgeUpstream::other(&upstream)]).await;
    for path in ["/healthz", "/readyz"] {
        edge.admin().get(path).await.expect(200);
    }
    let layer = Random::seeded(908).bytes(4 * MIB);
    upstream.hold_blob("edge/drain", &layer);
    assert!(edge.client().take_blob("edge/drain", &layer).await.is_right());
    assert!(edge.metric("longshore_http_requests_total").await >= 1.0);
    // A pull that runs when it is told to end is brought to its end.
    let second = Random::seeded(909).bytes(4 * MIB);
    upstream.hold_blob("edge/drain", &second);
    upstream.misbehave(vec![Plan::always(Misdeed::HoldAt(2 << 20)).method("GET")]);
    let client = edge.client();
    let pull = tokio::spawn(async move { client.take_blob("edge/drain", &second).await });
    upstream.holds().await;
    edge.sigterm();
    let admin = edge.admin();
    until("the edge to take no more", Duration::from_secs(20), async || {
        let ready = Answer::attempt(admin.request(Method::GET, "/readyz")).await;
        ready.map_or(true, |answer| answer.status == 503).then_some(())
    })
    .await;
    upstream.behave();
    assert!(pull.await.expect("it does not panic").is_right());
    assert!(edge.ended(Duration::from_secs(40)).await.success());
}
