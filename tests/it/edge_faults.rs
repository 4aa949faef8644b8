//! What an upstream does wrong: a client gets what is right or is told so, nothing wrong is kept, it is counted, and the log names the
//! digest.

use std::time::{Duration, Instant};

use bytes::Bytes;
use longshore_tests::{
    Backend, Client, Edge, EdgeUpstream, Fault, Image, Misdeed, Plan, Random, Registry, Rule, Upstream, Wire, digest_of,
    media_type,
};
use serde_json::json;

longshore_tests::once!(
    wrong_bytes_of_another_registry_are_never_taken_for_right,
    wrong_pieces_of_longshore_never_reach_a_client,
    a_manifest_is_what_its_digest_says,
    html_is_no_content,
    a_refusal_that_lasts_is_passed_on,
    a_refusal_that_passes_is_not_noticed,
    a_redirect_loop_ends,
    a_wrong_length_is_found_out,
    a_connection_that_breaks_off_is_gone_on_with,
    a_slow_upstream_slows_and_no_more,
    a_whole_blob_in_place_of_a_part_is_understood,
    a_false_metainfo_is_not_believed,
);

const MIB: u64 = 1 << 20;
const REPOSITORY: &str = "faults/edge";

/// An upstream that is no Longshore, an edge in front of it, and a client.
struct Site {
    upstream: Upstream,
    edge: Edge,
    client: Client,
}

impl Site {
    async fn open() -> Self {
        let upstream = Upstream::start().await;
        // A repository of which the edge knows that anybody may pull from it, so that what goes wrong is what is asked for.
        upstream.hold(REPOSITORY, "known", &Image::random(919, &[10]));
        let edge = Edge::start(&[EdgeUpstream::other(&upstream)]).await;
        let client = edge.client();
        client.pull_image(REPOSITORY, "known").await;
        Self { upstream, edge, client }
    }

    fn hold(&self, seed: u64, size_bytes: u64) -> Bytes {
        let content = Random::seeded(seed).bytes(usize::try_from(size_bytes).unwrap());
        self.upstream.hold_blob(REPOSITORY, &content);
        content
    }

    /// Nothing wrong was kept: asked again with the upstream mended, it gives what is right; and what is right is kept.
    async fn is_mended(&self, content: &Bytes) {
        self.upstream.behave();
        let taken = self.client.take_blob(REPOSITORY, content).await;
        assert!(taken.is_right(), "with the upstream mended: {taken:?}");
        self.upstream.take_asked();
        assert!(self.client.take_blob(REPOSITORY, content).await.is_right());
        assert!(self.upstream.gets_of(&digest_of(content)).is_empty(), "what is right is kept");
    }
}

/// "wrong bytes at 0%, 50%, 99%"
async fn wrong_bytes_of_another_registry_are_never_taken_for_right() {
    let site = Site::open().await;
    for (number, size_bytes) in [1000, MIB, 5 * MIB + 9].into_iter().enumerate() {
        for (part, place) in [0, size_bytes / 2, size_bytes * 99 / 100].into_iter().enumerate() {
            let content = site.hold((920 + 10 * number + part) as u64, size_bytes);
            let digest = digest_of(&content);
            let mismatches = site.edge.metric(Edge::WRONG).await;
            site.upstream.misbehave(vec![Plan::always(Misdeed::WrongAt(place)).method("GET").containing("/blobs/")]);
            let taken = site.client.take_blob(REPOSITORY, &content).await;
            assert!(!taken.is_served(), "{size_bytes} bytes, wrong at {place}: {taken:?}");
            site.edge.counts(Edge::WRONG, mismatches).await;
            site.edge.logs(&[digest.as_str(), "elsewhere"]).await;
            // Nor is it kept where a client asks for a part, or for its size alone.
            let range =
                site.client.request(http::Method::GET, &format!("/v2/{REPOSITORY}/blobs/{digest}")).header("range", "bytes=0-9");
            if let Ok(answer) = longshore_tests::Answer::attempt(range).await {
                assert!(answer.status != 206 || answer.body == content[..10], "{answer:?}");
            }
            site.is_mended(&content).await;
        }
    }
}

/// "From our registry, each piece is checked against the signed metainfo as it arrives": what is wrong is fetched again, and a client
/// never sees it.
async fn wrong_pieces_of_longshore_never_reach_a_client() {
    let registry = Registry::start(Backend::Folder).await;
    let wire = Wire::http(registry.authority()).await;
    let edge = Edge::start(&[EdgeUpstream::through(&wire)]).await;
    let client = edge.client();
    registry.client().push_image(REPOSITORY, "known", &Image::random(950, &[10])).await;
    client.pull_image(REPOSITORY, "known").await;
    for (number, (size_bytes, place)) in
        [(1000, 0), (5 * MIB + 9, 0), (5 * MIB + 9, 5 * MIB / 2), (5 * MIB + 9, 5 * MIB)].into_iter().enumerate()
    {
        for times in [1, usize::MAX] {
            let content =
                Random::seeded(951 + 2 * number as u64 + u64::from(times == 1)).bytes(usize::try_from(size_bytes).unwrap());
            let digest = registry.client().push_blob(REPOSITORY, &content).await;
            let (mismatches, injected) = (edge.metric(Edge::WRONG).await, wire.injected());
            wire.set_rules(1, vec![Rule::always(Fault::Flip(place)).method("GET").containing("/blobs/").times(times)]);
            let taken = client.take_blob(REPOSITORY, &content).await;
            assert!(taken.wrong_after.is_none() && !taken.is_wrong(), "{size_bytes} bytes, wrong at {place}: {taken:?}");
            assert!(wire.injected() > injected);
            if times == 1 {
                assert!(taken.is_right(), "one wrong piece is fetched again: {taken:?}");
            }
            edge.counts(Edge::WRONG, mismatches).await;
            edge.logs(&[digest.as_str(), "harbor"]).await;
            wire.heal();
            assert!(client.take_blob(REPOSITORY, &content).await.is_right());
            wire.take_calls();
            assert!(client.take_blob(REPOSITORY, &content).await.is_right());
            assert!(!wire.take_calls().iter().any(|call| call.method == "GET" && call.path.contains("/blobs/")), "it is kept");
        }
    }
}

/// A manifest's bytes are hashed against the digest that was asked for, or told.
async fn a_manifest_is_what_its_digest_says() {
    let site = Site::open().await;
    for (seed, by_tag) in [(960, true), (961, false)] {
        let image = Image::random(seed, &[10]);
        let tag = format!("v{seed}");
        site.upstream.hold(REPOSITORY, &tag, &image);
        let reference = if by_tag { tag.as_str() } else { image.digest.as_str() };
        for misdeed in [
            Misdeed::WrongAt(5),
            Misdeed::Instead(Bytes::from(json!({"schemaVersion": 2, "mediaType": media_type::MANIFEST}).to_string())),
        ] {
            let mismatches = site.edge.metric(Edge::WRONG).await;
            site.upstream.misbehave(vec![Plan::always(misdeed.clone()).method("GET").containing("/manifests/")]);
            let refused = site.client.get_manifest(REPOSITORY, reference).await.expect(502);
            refused.error_codes();
            site.edge.counts(Edge::WRONG, mismatches).await;
            site.edge.logs(&[image.digest.as_str(), "elsewhere"]).await;
            site.upstream.behave();
            assert!(site.client.get_manifest(REPOSITORY, reference).await.expect(200).body == image.manifest, "{misdeed:?}");
            // The next misdeed finds nothing kept.
            longshore_tests::done(site.edge.command("evict", &[image.digest.as_str()]).await);
        }
    }
}

/// A guest network's page is no manifest and no blob, though it comes with 200.
async fn html_is_no_content() {
    let site = Site::open().await;
    let image = Image::random(970, &[2000]);
    site.upstream.hold(REPOSITORY, "v970", &image);
    site.upstream.misbehave(vec![Plan::always(Misdeed::Html)]);
    let failures = site.edge.faults().await;
    for reference in ["v970", image.digest.as_str()] {
        let refused = site.client.get_manifest(REPOSITORY, reference).await;
        assert!([502, 503].contains(&refused.status.as_u16()), "{refused:?}");
        refused.error_codes();
    }
    let blob = &image.blobs[1];
    let taken = site.client.take_blob(REPOSITORY, blob).await;
    assert!(!taken.is_served(), "{taken:?}");
    site.edge.counts_faults(failures).await;
    site.edge.logs(&[digest_of(blob).as_str(), "elsewhere"]).await;
    site.is_mended(blob).await;
    assert_eq!(site.client.pull_image(REPOSITORY, "v970").await, image.digest);
}

/// "429, 500": what the upstream says for good, a client is told, and when to come back.
async fn a_refusal_that_lasts_is_passed_on() {
    let site = Site::open().await;
    for (number, (status, retry_after)) in [(429, Some(1)), (500, None), (503, Some(1))].into_iter().enumerate() {
        let content = site.hold(980 + number as u64, 2 * MIB);
        let digest = digest_of(&content);
        let failures = site.edge.faults().await;
        site.upstream.misbehave(vec![Plan::always(Misdeed::Refuse(status, retry_after))]);
        let began = Instant::now();
        let refused = site.client.get(&format!("/v2/{REPOSITORY}/blobs/{digest}")).await;
        assert!([429, 502, 503].contains(&refused.status.as_u16()), "{status}: {refused:?}");
        assert!(began.elapsed() < Duration::from_secs(30), "the refusal took {:?}", began.elapsed());
        refused.error_codes();
        if [429, 503].contains(&refused.status.as_u16()) {
            let wait: u64 = refused.required("retry-after").parse().expect("a count of seconds");
            assert!((1..=60).contains(&wait), "{refused:?}");
        }
        assert!(site.upstream.committed() > 0);
        site.edge.counts_faults(failures).await;
        site.edge.logs(&[digest.as_str(), "elsewhere"]).await;
        site.is_mended(&content).await;
    }
}

/// One refusal is tried again, at once or when the upstream has said.
async fn a_refusal_that_passes_is_not_noticed() {
    let site = Site::open().await;
    for (number, (status, retry_after)) in [(429, Some(1)), (500, None), (503, None)].into_iter().enumerate() {
        let content = site.hold(990 + number as u64, 2 * MIB);
        let failures = site.edge.faults().await;
        let plan = Plan::always(Misdeed::Refuse(status, retry_after)).method("GET").containing("/blobs/").times(1);
        site.upstream.misbehave(vec![plan]);
        let began = Instant::now();
        let taken = site.client.take_blob(REPOSITORY, &content).await;
        assert!(taken.is_right(), "{status}: {taken:?}");
        assert!(retry_after.is_none() || began.elapsed() >= Duration::from_secs(1), "Retry-After is obeyed");
        site.edge.counts_faults(failures).await;
        assert_eq!(site.upstream.gets_of(&digest_of(&content)).len(), 2, "{status}");
        site.is_mended(&content).await;
    }
}

async fn a_redirect_loop_ends() {
    let site = Site::open().await;
    let content = site.hold(1000, 2 * MIB);
    let digest = digest_of(&content);
    let failures = site.edge.faults().await;
    site.upstream.take_asked();
    site.upstream.misbehave(vec![Plan::always(Misdeed::RedirectLoop).containing("/blobs/")]);
    let began = Instant::now();
    let refused = site.client.get(&format!("/v2/{REPOSITORY}/blobs/{digest}")).await;
    assert!([502, 503].contains(&refused.status.as_u16()), "{refused:?}");
    refused.error_codes();
    assert!(began.elapsed() < Duration::from_secs(10), "it took {:?}", began.elapsed());
    let asked = site.upstream.take_asked().len();
    assert!(asked <= 60, "it went round {asked} times");
    site.edge.counts_faults(failures).await;
    site.edge.logs(&[digest.as_str(), "elsewhere"]).await;
    site.is_mended(&content).await;
}

/// Too long a length looks like a connection that breaks off at the end; too short a one like content that is something else.
async fn a_wrong_length_is_found_out() {
    let site = Site::open().await;
    for (number, misdeed) in
        [Misdeed::LongerLength(1000), Misdeed::ShorterLength(1000), Misdeed::ShorterLength(2 * MIB)].into_iter().enumerate()
    {
        let content = site.hold(1010 + number as u64, 2 * MIB);
        let wrong = site.edge.faults().await;
        site.upstream.misbehave(vec![Plan::always(misdeed.clone()).method("GET").containing("/blobs/")]);
        let taken = site.client.take_blob(REPOSITORY, &content).await;
        assert!(!taken.is_wrong(), "{misdeed:?}: {taken:?}");
        site.edge.counts_faults(wrong).await;
        site.edge.logs(&[digest_of(&content).as_str(), "elsewhere"]).await;
        site.is_mended(&content).await;
    }
}

async fn a_connection_that_breaks_off_is_gone_on_with() {
    let site = Site::open().await;
    for (number, at) in [0, 1, MIB, 3 * MIB + 5, 5 * MIB + 8].into_iter().enumerate() {
        let content = site.hold(1020 + number as u64, 5 * MIB + 9);
        let failures = site.edge.faults().await;
        site.upstream.misbehave(vec![Plan::always(Misdeed::ResetAt(at)).method("GET").containing("/blobs/").times(1)]);
        // Where nothing was sent yet a client need not notice; later, it gets all or sees that it does not.
        let taken = site.client.take_blob(REPOSITORY, &content).await;
        assert!(taken.wrong_after.is_none() && !taken.is_wrong(), "reset at {at}: {taken:?}");
        assert!(at > 0 || taken.is_right(), "{taken:?}");
        site.edge.counts_faults(failures).await;
        site.is_mended(&content).await;
        // And one that breaks off each time.
        let content = site.hold(1030 + number as u64, 5 * MIB + 9);
        site.upstream.misbehave(vec![Plan::always(Misdeed::ResetAt(at)).method("GET").containing("/blobs/")]);
        let taken = site.client.take_blob(REPOSITORY, &content).await;
        assert!(taken.wrong_after.is_none() && !taken.is_wrong(), "reset at {at} each time: {taken:?}");
        // What is left may be less than what breaks off.
        if !taken.is_right() {
            site.edge.logs(&[digest_of(&content).as_str(), "elsewhere"]).await;
        }
        site.is_mended(&content).await;
    }
}

async fn a_slow_upstream_slows_and_no_more() {
    let site = Site::open().await;
    let content = site.hold(1040, 3 * MIB);
    site.upstream.misbehave(vec![Plan::always(Misdeed::Slow(2 * MIB)).method("GET").containing("/blobs/")]);
    let taken = site.client.take_blob(REPOSITORY, &content).await;
    assert!(taken.is_right(), "{taken:?}");
    assert_eq!(site.upstream.gets_of(&digest_of(&content)).len(), 1, "patience costs one request");
    site.is_mended(&content).await;
}

/// A server may ignore `Range` (RFC 9110, section 14.2); what it sends then begins at the beginning.
async fn a_whole_blob_in_place_of_a_part_is_understood() {
    let site = Site::open().await;
    let content = site.hold(1050, 5 * MIB);
    let plans = [
        Plan::always(Misdeed::ResetAt(3 * MIB)).method("GET").containing("/blobs/").times(1),
        Plan::always(Misdeed::WholeForRange).method("GET").containing("/blobs/"),
    ];
    site.upstream.misbehave(plans.into());
    let taken = site.client.take_blob(REPOSITORY, &content).await;
    assert!(taken.wrong_after.is_none() && !taken.is_wrong(), "{taken:?}");
    let path = format!("/v2/{REPOSITORY}/blobs/{}", digest_of(&content));
    let part = site.client.request(http::Method::GET, &path).header("range", "bytes=2000000-2000099");
    let part = longshore_tests::Answer::to(part).await.expect(206);
    assert!(part.body == content[2_000_000..2_000_100]);
    site.is_mended(&content).await;
}

/// Metainfo is believed for its signature alone: without one that holds, pieces are not served before the whole is known to be right.
async fn a_false_metainfo_is_not_believed() {
    let registry = Registry::start(Backend::Folder).await;
    let wire = Wire::http(registry.authority()).await;
    let edge = Edge::start(&[EdgeUpstream::through(&wire)]).await;
    let content = Random::seeded(1060).bytes(5 << 20);
    let digest = registry.client().push_blob(REPOSITORY, &content).await;
    // A bit of the JSON: of a hash, or of what makes it JSON at all.
    for place in [20, 150, 400] {
        let rules = [
            Rule::always(Fault::Flip(place)).containing("_longshore/metainfo/"),
            Rule::always(Fault::Flip(MIB + 3)).method("GET").containing("/blobs/"),
        ];
        wire.set_rules(1, rules.into());
        let taken = edge.client().take_blob(REPOSITORY, &content).await;
        assert!(!taken.is_served(), "metainfo wrong at {place}: {taken:?}");
    }
    edge.logs(&[digest.as_str(), "harbor"]).await;
    wire.heal();
    assert!(edge.client().take_blob(REPOSITORY, &content).await.is_right());
}
