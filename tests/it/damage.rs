//! Content that reading back shows damaged is never served as good.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use bytes::Bytes;
use http::Method;
use longshore_oci::Digest;
use longshore_tests::{Answer, Backend, Client, Fault, Random, Registry, Rule, S3, Wire, on_both_backends};

on_both_backends!(
    a_truncated_object_is_not_served,
    a_lost_object_is_not_served,
    a_flipped_byte_is_never_served_as_good,
    an_object_that_grew_is_served_as_it_was
);
longshore_tests::once!(an_answer_of_s3_that_breaks_off_is_never_passed_off_as_whole,);

async fn pushed(registry: &Registry, size_bytes: usize) -> (Bytes, Digest, PathBuf) {
    let content = Random::seeded(160 + size_bytes as u64).bytes(size_bytes);
    let digest = registry.client().push_blob("damage/done", &content).await;
    let keys = registry.index().texts(&format!("SELECT object_key FROM blobs WHERE digest = '{digest}'")).await;
    let file = registry.object_file(&keys[0]);
    assert_eq!(fs::metadata(&file).expect("the object is there").len(), size_bytes as u64);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("the object is ours");
    (content, digest, file)
}

/// A pull never ends well with wrong bytes: it is refused, or the connection is cut before the declared length.
async fn assert_not_served(client: &Client, digest: &Digest) {
    let path = format!("/v2/damage/done/blobs/{digest}");
    if let Ok(answer) = Answer::attempt(client.request(Method::GET, &path)).await {
        assert!(answer.status.is_server_error() || answer.status == 404, "served: {answer:?}");
    }
}

async fn a_truncated_object_is_not_served(backend: Backend) {
    let mut registry = Registry::start(backend).await;
    for size_bytes in [1000, 3 << 20, 20 << 20] {
        let (_, digest, file) = pushed(&registry, size_bytes).await;
        for kept in [size_bytes as u64 - 1, size_bytes as u64 / 2, 0] {
            fs::File::options().write(true).open(&file).unwrap().set_len(kept).unwrap();
            registry.restart().await;
            assert_not_served(&registry.client(), &digest).await;
        }
        assert!(registry.metric("longshore_content_damaged_total").await >= 1.0, "damage is counted");
        assert!(registry.log().contains(digest.as_str()), "damage is logged, with the digest");
    }
    // And the registry goes on.
    let (content, digest, _) = pushed(&registry, 5000).await;
    assert_eq!(registry.client().pull_blob("damage/done", &digest).await, content);
}

async fn a_lost_object_is_not_served(backend: Backend) {
    let mut registry = Registry::start(backend).await;
    let (_, digest, file) = pushed(&registry, 10_000).await;
    fs::remove_file(&file).unwrap();
    registry.restart().await;
    assert_not_served(&registry.client(), &digest).await;
    // And the registry goes on.
    let (content, digest, _) = pushed(&registry, 5000).await;
    assert_eq!(registry.client().pull_blob("damage/done", &digest).await, content);
}

async fn a_flipped_byte_is_never_served_as_good(backend: Backend) {
    let mut registry = Registry::start(backend).await;
    for (size_bytes, at) in [(1000, 500), (3 << 20, 0), (3 << 20, (3 << 20) - 1), (20 << 20, 11 << 20)] {
        let (content, digest, file) = pushed(&registry, size_bytes + at).await;
        let mut damaged = content.to_vec();
        damaged[at] ^= 1;
        fs::write(&file, &damaged).unwrap();
        registry.restart().await;
        assert_not_served(&registry.client(), &digest).await;
        assert!(registry.metric("longshore_content_damaged_total").await >= 1.0, "damage is counted");
        // What is right again is served again.
        fs::write(&file, &content).unwrap();
        registry.restart().await;
        assert!(registry.client().pull_blob("damage/done", &digest).await == content);
    }
}

async fn an_object_that_grew_is_served_as_it_was(backend: Backend) {
    let mut registry = Registry::start(backend).await;
    let (content, digest, file) = pushed(&registry, 100_000).await;
    fs::write(&file, [&content[..], b"more"].concat()).unwrap();
    registry.restart().await;
    // As long as the right bytes are all there, serving them is right; refusing is too.
    let path = format!("/v2/damage/done/blobs/{digest}");
    if let Ok(answer) = Answer::attempt(registry.client().request(Method::GET, &path)).await {
        assert!(answer.status != 200 || answer.body == content, "served: {answer:?}");
    }
}

/// "short reads and S3 errors mid-stream cut the connection, count, and are logged with digest and key".
async fn an_answer_of_s3_that_breaks_off_is_never_passed_off_as_whole() {
    let wire = Wire::http(&S3::shared().await.address()).await;
    let registry = Registry::through(Some(wire.address()), None, &[]).await;
    let client = registry.client();
    for size_bytes in [1000, 12 << 20] {
        let content = Random::seeded(162).bytes(size_bytes);
        let digest = client.push_blob("damage/wire", &content).await;
        for cut in [0, 1, size_bytes as u64 / 2, size_bytes as u64 - 1] {
            wire.set_rules(1, vec![Rule::always(Fault::Truncate(cut)).method("GET")]);
            let path = format!("/v2/damage/wire/blobs/{digest}");
            if let Ok(answer) = Answer::attempt(client.request(Method::GET, &path)).await {
                // Reading on from where it broke may get to the end; what may not be is anything else.
                assert!(answer.status.is_server_error() || answer.body == content, "cut after {cut}: {answer:?}");
            }
            // Once only, and the registry may read on from where it broke.
            wire.set_rules(1, vec![Rule::always(Fault::Truncate(cut)).method("GET").times(1)]);
            if let Ok(answer) = Answer::attempt(client.request(Method::GET, &path)).await {
                assert!(answer.status != 200 || answer.body == content, "cut after {cut}: {answer:?}");
            }
            wire.heal();
            assert!(client.pull_blob("damage/wire", &digest).await == content);
        }
    }
}
