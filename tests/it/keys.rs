//! What the registry vouches for, checked by the keys that it publishes.

use std::{collections::BTreeSet, time::Duration};

use longshore_oci::{Digest, Metainfo, Voucher};
use longshore_service::signing::KeySet;
use longshore_tests::{Backend, Client, Random, Registry, on_both_backends, until};
use serde_json::Value;

on_both_backends!(
    a_blobs_pieces_are_vouched_for,
    keys_change_without_a_pause,
    a_lost_secret_costs_no_service,
    keys_outlive_a_rebuilding_of_the_rest,
);

/// PostgreSQL has no file to keep a secret beside.
fn secret(secret: &str) -> (&'static str, Value) {
    ("keys.sealing_secret", format!("{secret:*<32}").into())
}

async fn metainfo(client: &Client, digest: &Digest) -> Metainfo {
    let answer = client.get(&format!("/v2/keys/blobs/_longshore/metainfo/{digest}")).await.expect(200);
    serde_json::from_slice(&answer.body).unwrap()
}

async fn keys(client: &Client) -> KeySet {
    let answer = client.get("/v2/_longshore/keys").await.expect(200);
    assert_eq!(answer.required("content-type"), "application/jwk-set+json");
    serde_json::from_slice(&answer.body).unwrap()
}

/// That the metainfo is signed by one of the keys, and which it is.
fn signer(keys: &KeySet, metainfo: &Metainfo) -> String {
    let signature = metainfo.signature.as_deref().expect("it is signed");
    let voucher: Voucher = keys.check(Voucher::KIND, signature).unwrap();
    assert!(voucher.vouches_for(metainfo), "{voucher:?}");
    assert!((jiff::Timestamp::now().as_second() - voucher.issued_at).abs() < 60);
    let header = signature.split('.').next().unwrap();
    header.to_owned()
}

async fn a_blobs_pieces_are_vouched_for(backend: Backend) {
    let registry = Registry::with(backend, &[secret("one")]).await;
    let client = registry.client();
    let content = Random::seeded(500).bytes((3 << 20) + 5);
    let digest = client.push_blob("keys/blobs", &content).await;
    let metainfo = metainfo(&client, &digest).await;
    assert_eq!((metainfo.size_bytes, metainfo.piece_size_bytes), (content.len() as u64, 1 << 20));
    let pieces: Vec<String> = content.chunks(1 << 20).map(|piece| blake3::hash(piece).to_string()).collect();
    assert_eq!(metainfo.pieces, pieces);
    signer(&keys(&client).await, &metainfo);
    let empty = client.push_blob("keys/blobs", &bytes::Bytes::new()).await;
    signer(&keys(&client).await, &self::metainfo(&client, &empty).await);
    let secrets = registry.index().texts("SELECT public_key FROM signing_keys").await;
    assert_eq!(secrets.len(), 1);
    assert!(!secrets[0].contains("\"d\""), "the public half alone");
    if backend == Backend::Bucket {
        let replica = registry.replica().await;
        assert_eq!(keys(&replica.client()).await, keys(&client).await, "replicas have the same");
    }
}

async fn keys_change_without_a_pause(backend: Backend) {
    let values = [secret("one"), ("keys.lifetime", "2s".into()), ("keys.overlap", "800ms".into())];
    let registry = Registry::with(backend, &values).await;
    let client = registry.client();
    let digest = client.push_blob("keys/blobs", &Random::seeded(501).bytes(100)).await;
    let mut signers = BTreeSet::new();
    let mut known = keys(&client).await;
    let mut known_at = std::time::Instant::now();
    until("a third key to sign", Duration::from_secs(30), async || {
        // Whoever remembers the keys for less than the overlap never meets one that is not among them.
        if known_at.elapsed() > Duration::from_millis(300) {
            (known, known_at) = (keys(&client).await, std::time::Instant::now());
        }
        signers.insert(signer(&known, &metainfo(&client, &digest).await));
        (signers.len() == 3).then_some(())
    })
    .await;
    let kept = registry.index().texts("SELECT public_key FROM signing_keys").await;
    assert!(kept.len() <= 3, "old ones go: {kept:?}");
}

async fn a_lost_secret_costs_no_service(backend: Backend) {
    let mut registry = Registry::with(backend, &[secret("one")]).await;
    let client = registry.client();
    let digest = client.push_blob("keys/blobs", &Random::seeded(502).bytes(100)).await;
    let before = metainfo(&client, &digest).await;
    registry.kill9();
    registry.restart_with(&[secret("two")]).await;
    let after = metainfo(&client, &digest).await;
    let keys = keys(&client).await;
    assert_ne!(signer(&keys, &before), signer(&keys, &after), "what was signed before can still be checked");
    assert!(registry.log().contains("sealed with another secret"));
}

async fn keys_outlive_a_rebuilding_of_the_rest(backend: Backend) {
    let mut registry = Registry::with(backend, &[secret("one")]).await;
    let client = registry.client();
    let digest = client.push_blob("keys/blobs", &Random::seeded(503).bytes(100)).await;
    let before = keys(&client).await;
    registry.kill9();
    let output = registry.reindex().await;
    assert_eq!(output.code, Some(0), "{output}");
    registry.restart().await;
    assert_eq!(keys(&client).await, before);
    registry.kill9();
    registry.index().lose().await;
    let output = registry.reindex().await;
    assert_eq!(output.code, Some(0), "{output}");
    registry.restart().await;
    let after = keys(&client).await;
    assert_ne!(after, before);
    signer(&after, &metainfo(&client, &digest).await);
}
