//! "After a whole check the edge knows the pieces too, and can vouch for them with its own key to those who trust that key."

use std::{os::unix::fs::MetadataExt as _, time::Duration};

use http::Method;
use longshore_oci::{Algorithm, Digest, Metainfo, Voucher};
use longshore_service::signing::KeySet;
use longshore_tests::{Answer, Backend, Client, Edge, EdgeUpstream, Image, Registry, Upstream, until};
use serde_json::{Value, json};

longshore_tests::once!(what_an_edge_has_seen_whole_it_vouches_for, a_registry_of_ours_has_its_own_word_passed_on);

const MIB: usize = 1 << 20;
const REPOSITORY: &str = "vouched/edge";
const LIMIT: Duration = Duration::from_secs(30);

fn keys(answer: &Answer) -> (KeySet, Value) {
    let read = (serde_json::from_slice(&answer.body), serde_json::from_slice(&answer.body));
    (read.0.expect("a set of keys"), read.1.expect("JSON"))
}

/// What the metainfo of a blob is, as soon as somebody vouches for it.
async fn vouched(client: &Client, path: &str) -> Metainfo {
    let answer = until("the blob to be vouched for", LIMIT, async || {
        let answer = client.get(path).await;
        answer.status.is_success().then_some(answer)
    });
    serde_json::from_slice(&answer.await.body).expect("a metainfo")
}

async fn what_an_edge_has_seen_whole_it_vouches_for() {
    let upstream = Upstream::start().await;
    let image = Image::random(2600, &[8 * MIB]);
    upstream.hold(REPOSITORY, "v1", &image);
    let values = [("cache.read_ahead", json!("0B")), ("cache.prefetch", json!(false))];
    let mut near = Edge::with(&[EdgeUpstream::other(&upstream)], &values).await;
    let (content, client) = (&image.blobs[1], near.client());
    let blob = Digest::of(Algorithm::Sha256, content);
    let path = format!("/v2/{REPOSITORY}/_longshore/metainfo/{blob}");
    client.get(&path).await.expect_error(404, "UNSUPPORTED");
    assert_eq!(client.pull_image(REPOSITORY, "v1").await, image.digest);
    let metainfo = vouched(&client, &path).await;
    let pieces: Vec<_> = content.chunks(MIB).map(|piece| blake3::hash(piece).to_string()).collect();
    assert_eq!((metainfo.digest.clone(), metainfo.pieces.clone()), (blob.clone(), pieces));
    let (own, written) = keys(&client.get("/v2/_longshore/keys").await.expect(200));
    let signature = metainfo.signature.as_deref().expect("it is signed");
    let voucher: Voucher = own.check(Voucher::KIND, signature).expect("the edge's own key has signed it");
    assert!(voucher.vouches_for(&metainfo));
    let key = std::fs::metadata(near.folder().join("vouching.key")).expect("it is kept");
    assert_eq!(key.mode() & 0o777, 0o600);

    // Another edge in front of it fetches a piece where it trusts the key, and the whole where not.
    let x = written["keys"][0]["x"].clone();
    let ask = EdgeUpstream::new("near", near.url());
    let trusting = Edge::with(&[ask.clone().set("trusted_keys", json!([x]))], &values).await;
    let plain = Edge::with(&[ask], &values).await;
    let fetched = "longshore_edge_fetched_bytes_total";
    for edge in [&trusting, &plain] {
        let request = edge.client().request(Method::GET, &format!("/v2/{REPOSITORY}/blobs/{blob}"));
        let answer = Answer::to(request.header("range", "bytes=3000000-3000009")).await.expect(206);
        assert_eq!(answer.body, content.slice(3_000_000..3_000_010));
    }
    plain.counts(fetched, 7.9 * 1_048_576.0).await;
    assert!(trusting.metric(fetched).await <= 2.0 * 1_048_576.0, "it has asked for the piece alone");

    // The key outlasts the process.
    near.restart().await;
    assert_eq!(keys(&near.client().get("/v2/_longshore/keys").await.expect(200)).0, own);
}

async fn a_registry_of_ours_has_its_own_word_passed_on() {
    let registry = Registry::start(Backend::Folder).await;
    let image = Image::random(2601, &[2 * MIB]);
    registry.client().push_image(REPOSITORY, "v1", &image).await;
    let near = Edge::start(&[EdgeUpstream::longshore(&registry)]).await;
    let client = near.client();
    assert_eq!(client.pull_image(REPOSITORY, "v1").await, image.digest);
    let blob = Digest::of(Algorithm::Sha256, &image.blobs[1]);
    let metainfo = vouched(&client, &format!("/v2/{REPOSITORY}/_longshore/metainfo/{blob}")).await;
    let signature = metainfo.signature.as_deref().expect("it is signed");
    let (own, _) = keys(&registry.client().get("/v2/_longshore/keys").await.expect(200));
    assert!(own.check::<Voucher>(Voucher::KIND, signature).is_ok_and(|voucher| voucher.vouches_for(&metainfo)));
    // Who asks the edge learns the registry's keys, and the edge's beside them; another edge takes it for the registry that it speaks for.
    let (both, written) = keys(&client.get("/v2/_longshore/keys").await.expect(200));
    assert!(both.check::<Voucher>(Voucher::KIND, signature).is_ok());
    assert!(written["keys"].as_array().is_some_and(|keys| keys.len() >= 2), "{written}");
    let far = Edge::start(&[EdgeUpstream::new("near", near.url())]).await;
    assert_eq!(far.client().pull_image(REPOSITORY, "v1").await, image.digest);
    far.client().get(&format!("/v2/{REPOSITORY}/_longshore/metainfo/{blob}")).await.expect(200);
}
