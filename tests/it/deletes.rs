//! distribution-spec, "Content Management".

use std::time::Duration;

use longshore_oci::{Algorithm, Digest};
use longshore_tests::{Backend, Image, Registry, on_both_backends, until};

on_both_backends!(
    a_deleted_tag_is_gone,
    a_deleted_manifest_is_gone_with_its_tags,
    a_deleted_blob_is_gone,
    what_nothing_needs_is_collected
);

/// "Once deleted, a GET to /v2/<name>/manifests/<tag> will return a 404."
async fn a_deleted_tag_is_gone(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let image = Image::random(70, &[10]);
    client.push_image("deletes/tag", "one", &image).await;
    client.push_image("deletes/tag", "two", &image).await;
    client.delete("/v2/deletes/tag/manifests/one").await.expect(202);
    client.get_manifest("deletes/tag", "one").await.expect(404);
    assert_eq!(client.get("/v2/deletes/tag/tags/list").await.expect(200).texts("tags"), ["two"]);
    assert_eq!(client.pull_image("deletes/tag", "two").await, image.digest);
    client.delete("/v2/deletes/tag/manifests/one").await.expect_error(404, "MANIFEST_UNKNOWN");
}

/// "Once deleted, a GET to /v2/<name>/manifests/<digest> and any tag pointing to that digest will return a 404."
async fn a_deleted_manifest_is_gone_with_its_tags(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let (image, other) = (Image::random(71, &[10]), Image::random(72, &[10]));
    for tag in ["a", "b", "c"] {
        client.push_image("deletes/manifest", tag, &image).await;
    }
    client.push_image("deletes/manifest", "other", &other).await;
    client.delete(&format!("/v2/deletes/manifest/manifests/{}", image.digest)).await.expect(202);
    for reference in ["a", "b", "c", image.digest.as_str()] {
        client.get_manifest("deletes/manifest", reference).await.expect_error(404, "MANIFEST_UNKNOWN");
    }
    assert_eq!(client.get("/v2/deletes/manifest/tags/list").await.expect(200).texts("tags"), ["other"]);
    assert_eq!(client.pull_image("deletes/manifest", "other").await, other.digest);
    client.delete(&format!("/v2/deletes/manifest/manifests/{}", image.digest)).await.expect(404).error_codes();
    // "If the repository does not exist, the response MUST return 404 Not Found."
    client.delete(&format!("/v2/deletes/nowhere/manifests/{}", image.digest)).await.expect(404).error_codes();
}

/// "Upon success, the registry MUST respond with code 202 Accepted. If the blob is not found, a 404 Not Found code MUST be returned."
async fn a_deleted_blob_is_gone(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let content = longshore_tests::Random::seeded(73).bytes(1000);
    let digest = client.push_blob("deletes/blob", &content).await;
    client.post(&format!("/v2/deletes/mounted/blobs/uploads/?mount={digest}&from=deletes/blob")).await.expect(201);
    let path = format!("/v2/deletes/blob/blobs/{digest}");
    client.delete(&path).await.expect(202);
    client.get(&path).await.expect_error(404, "BLOB_UNKNOWN");
    client.head(&path).await.expect(404);
    client.delete(&path).await.expect_error(404, "BLOB_UNKNOWN");
    // It is the other repository's still.
    assert_eq!(client.pull_blob("deletes/mounted", &digest).await, content);
    client.push_blob("deletes/blob", &content).await;
    assert_eq!(client.pull_blob("deletes/blob", &digest).await, content);
}

/// Deleted bytes go, after the grace that running pulls get; shared ones stay.
async fn what_nothing_needs_is_collected(backend: Backend) {
    let values = [("sweep.interval", "200ms".into()), ("sweep.garbage_grace", "1s".into())];
    let registry = Registry::with(backend, &values).await;
    let client = registry.client();
    let image = Image::random(74, &[5000, 6000]);
    client.push_image("deletes/garbage", "v1", &image).await;
    client.push_blob("deletes/keeps", &image.blobs[1]).await;
    client.delete(&format!("/v2/deletes/garbage/manifests/{}", image.digest)).await.expect(202);
    for blob in &image.blobs {
        let digest = Digest::of(Algorithm::Sha256, blob);
        // A registry may also collect by itself what no manifest names.
        let status = client.delete(&format!("/v2/deletes/garbage/blobs/{digest}")).await.status.as_u16();
        assert!([202, 404].contains(&status), "{status}");
    }
    until("the deleted blobs' bytes to go", Duration::from_secs(30), async || {
        let sizes: Vec<u64> = registry.objects().into_values().collect();
        (sizes.contains(&5000) && !sizes.contains(&6000)).then_some(())
    })
    .await;
    let kept = Digest::of(Algorithm::Sha256, &image.blobs[1]);
    assert_eq!(client.pull_blob("deletes/keeps", &kept).await, image.blobs[1]);
}
