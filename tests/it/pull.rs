//! distribution-spec, "Pull".

use bytes::Bytes;
use http::Method;
use longshore_oci::{Algorithm, Digest};
use longshore_tests::{Answer, Backend, Image, Random, Registry, image_index, media_type, on_both_backends};
use serde_json::json;

on_both_backends!(
    determining_support,
    manifests_are_served_exactly_as_pushed,
    blobs_are_served_exactly_as_pushed,
    a_range_of_a_blob_is_served,
    a_range_that_cannot_be_served_is_416,
    content_that_the_client_has_is_304,
    what_is_not_there_is_404,
    a_media_type_that_the_client_does_not_take_is_said_and_not_converted,
    every_manifest_kind_is_kept,
    sha512_names_blobs_and_manifests,
);

/// "If the response is 200 OK, then the registry implements this specification."
async fn determining_support(backend: Backend) {
    let registry = Registry::start(backend).await;
    let answer = registry.client().get("/v2/").await.expect(200);
    assert_eq!(answer.required("docker-distribution-api-version"), "registry/2.0");
    assert!(answer.header("content-length").is_some());
    assert!(answer.header("x-request-id").is_some());
    registry.client().head("/v2/").await.expect(200);
}

/// "The registry MUST store the manifest in the exact byte representation provided by the client."
async fn manifests_are_served_exactly_as_pushed(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let mut image = Image::random(1, &[100]);
    // White space, an unknown field and an order of fields that no serialiser would choose.
    let text = String::from_utf8(image.manifest.to_vec()).unwrap().replacen('{', "{ \n \"zUnknown\": [1, 2.50],\t", 1);
    image.manifest = Bytes::from(text);
    image.digest = Digest::of(Algorithm::Sha256, &image.manifest);
    client.push_image("pull/exact", "v1", &image).await;
    for reference in ["v1", image.digest.as_str()] {
        let path = format!("/v2/pull/exact/manifests/{reference}");
        let answer = client.get(&path).await.expect(200);
        assert_eq!(answer.body, image.manifest);
        let head = client.head(&path).await.expect(200);
        assert!(head.body.is_empty());
        for answer in [answer, head] {
            assert_eq!(answer.required("content-type"), media_type::MANIFEST);
            assert_eq!(answer.required("docker-content-digest"), image.digest.as_str());
            assert_eq!(answer.required("content-length"), image.manifest.len().to_string());
            assert_eq!(answer.required("docker-distribution-api-version"), "registry/2.0");
        }
    }
}

/// "A GET request to an existing blob URL MUST provide the expected blob, with a response code that MUST be 200 OK."
async fn blobs_are_served_exactly_as_pushed(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    for size_bytes in [0, 1, 4096, 1 << 20, (9 << 20) + 17] {
        let content = Random::seeded(2).bytes(size_bytes);
        let digest = client.push_blob("pull/blobs", &content).await;
        let path = format!("/v2/pull/blobs/blobs/{digest}");
        let answer = client.get(&path).await.expect(200);
        assert!(answer.body == content, "{size_bytes} bytes came back as {}", answer.body.len());
        for answer in [answer, client.head(&path).await.expect(200)] {
            assert_eq!(answer.required("docker-content-digest"), digest.as_str());
            assert_eq!(answer.required("content-length"), size_bytes.to_string());
            assert_eq!(answer.required("accept-ranges"), "bytes");
            assert!(answer.required("etag").contains(digest.as_str()));
        }
    }
}

/// "A registry SHOULD support the Range request header in accordance with RFC 9110 (section 14)."
async fn a_range_of_a_blob_is_served(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let content = Random::seeded(3).bytes(3 << 20);
    let digest = client.push_blob("pull/range", &content).await;
    let path = format!("/v2/pull/range/blobs/{digest}");
    let end = content.len() - 1;
    let cases = [
        ("bytes=0-0", 0, 0),
        ("bytes=5-104", 5, 104),
        ("bytes=1048570-2097160", 1_048_570, 2_097_160),
        ("bytes=100-", 100, end),
        ("bytes=-7", end - 6, end),
        ("bytes=10-99999999999", 10, end),
        ("bytes=-99999999999", 0, end),
    ];
    for (range, first, last) in cases {
        let answer = Answer::to(client.request(Method::GET, &path).header("range", range)).await.expect(206);
        assert_eq!(answer.required("content-range"), format!("bytes {first}-{last}/{}", content.len()), "{range}");
        assert_eq!(answer.required("content-length"), (last - first + 1).to_string(), "{range}");
        assert!(answer.body == content[first..=last], "{range}");
    }
    // "A server MAY ignore the Range header field"; one in a unit it does not know, it must (RFC 9110, section 14.2).
    let answer = Answer::to(client.request(Method::GET, &path).header("range", "lines=1-2")).await.expect(200);
    assert!(answer.body == content);
}

async fn a_range_that_cannot_be_served_is_416(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let digest = client.push_blob("pull/range", &Bytes::from_static(b"twelve bytes")).await;
    let path = format!("/v2/pull/range/blobs/{digest}");
    let answer = Answer::to(client.request(Method::GET, &path).header("range", "bytes=12-")).await.expect(416);
    assert_eq!(answer.required("content-range"), "bytes */12");
    answer.error_codes();
}

/// RFC 9110, section 13.1.2: a GET or HEAD with a matching `If-None-Match` is 304, without a body.
async fn content_that_the_client_has_is_304(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let image = Image::random(4, &[50]);
    client.push_image("pull/cached", "v1", &image).await;
    let layer = Digest::of(Algorithm::Sha256, &image.blobs[1]);
    for path in ["/v2/pull/cached/manifests/v1".to_owned(), format!("/v2/pull/cached/blobs/{layer}")] {
        let etag = client.get(&path).await.expect(200).required("etag").to_owned();
        for method in [Method::GET, Method::HEAD] {
            for condition in [etag.clone(), format!("\"other\", {etag}"), format!("W/{etag}"), "*".into()] {
                let answer = Answer::to(client.request(method.clone(), &path).header("if-none-match", &condition)).await;
                let answer = answer.expect(304);
                assert!(answer.body.is_empty());
                assert_eq!(answer.required("etag"), etag, "{condition}");
            }
        }
        Answer::to(client.request(Method::GET, &path).header("if-none-match", "\"other\"")).await.expect(200);
    }
}

/// "If the manifest [blob] is not found in the repository, the response code MUST be 404 Not Found."
async fn what_is_not_there_is_404(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let absent = Digest::of(Algorithm::Sha256, b"absent");
    client.get("/v2/never/pushed/manifests/latest").await.expect(404).error_codes();
    client.push_image("pull/there", "v1", &Image::random(5, &[10])).await;
    client.get("/v2/pull/there/manifests/latest").await.expect_error(404, "MANIFEST_UNKNOWN");
    client.get(&format!("/v2/pull/there/manifests/{absent}")).await.expect_error(404, "MANIFEST_UNKNOWN");
    client.get(&format!("/v2/pull/there/blobs/{absent}")).await.expect_error(404, "BLOB_UNKNOWN");
    for path in [format!("/v2/pull/there/blobs/{absent}"), "/v2/pull/there/manifests/latest".into()] {
        let head = client.head(&path).await.expect(404);
        assert!(head.body.is_empty());
    }
    // A blob of one repository is not one of another.
    let image = Image::random(5, &[10]);
    let layer = Digest::of(Algorithm::Sha256, &image.blobs[1]);
    client.push_image("pull/other", "v1", &Image::random(6, &[10])).await;
    client.get(&format!("/v2/pull/other/blobs/{layer}")).await.expect_error(404, "BLOB_UNKNOWN");
    client.get(&format!("/v2/pull/other/manifests/{}", image.digest)).await.expect_error(404, "MANIFEST_UNKNOWN");
}

async fn a_media_type_that_the_client_does_not_take_is_said_and_not_converted(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let image = Image::random(7, &[10]);
    client.push_image("pull/accept", "v1", &image).await;
    let path = "/v2/pull/accept/manifests/v1";
    let docker_only = client.request(Method::GET, path).header("accept", media_type::DOCKER_MANIFEST);
    let refused = Answer::to(docker_only).await;
    assert!([404, 406].contains(&refused.status.as_u16()), "{refused:?}");
    refused.error_codes();
    assert!(String::from_utf8_lossy(&refused.body).contains(media_type::MANIFEST), "it says what is stored: {refused:?}");
    let taken = [
        "*/*",
        "application/*",
        media_type::MANIFEST,
        "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json;q=0.5",
    ];
    for accept in taken {
        let answer = Answer::to(client.request(Method::GET, path).header("accept", accept)).await.expect(200);
        assert_eq!(answer.body, image.manifest);
        assert_eq!(answer.required("content-type"), media_type::MANIFEST);
    }
    // Several header lines are one list.
    let lines =
        client.request(Method::GET, path).header("accept", media_type::DOCKER_LIST).header("accept", media_type::MANIFEST);
    Answer::to(lines).await.expect(200);
}

async fn every_manifest_kind_is_kept(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let oci = Image::random(8, &[10]);
    let index = image_index(&[("amd64", &oci)]);
    let mut docker_manifest: serde_json::Value = serde_json::from_slice(&oci.manifest).unwrap();
    docker_manifest["mediaType"] = media_type::DOCKER_MANIFEST.into();
    docker_manifest["config"]["mediaType"] = media_type::DOCKER_CONFIG.into();
    docker_manifest["layers"][0]["mediaType"] = media_type::DOCKER_LAYER.into();
    let docker = Image::from_json(media_type::DOCKER_MANIFEST, &docker_manifest, Vec::new());
    let mut descriptor = docker.descriptor();
    descriptor["platform"] = json!({"os": "linux", "architecture": "amd64"});
    let list = json!({"schemaVersion": 2, "mediaType": media_type::DOCKER_LIST, "manifests": [descriptor]});
    let list = Image::from_json(media_type::DOCKER_LIST, &list, Vec::new());
    // Foreign layers stay where they are: the blob is not here, and need not be.
    let mut foreign: serde_json::Value = serde_json::from_slice(&oci.manifest).unwrap();
    foreign["layers"][0] = json!({
        "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "size": 3,
        "digest": Digest::of(Algorithm::Sha256, b"elsewhere").as_str(), "urls": ["https://example.com/layer"],
    });
    let foreign = Image::from_json(media_type::MANIFEST, &foreign, Vec::new());
    // An OCI manifest need not say what it is; the Content-Type does.
    let mut silent: serde_json::Value = serde_json::from_slice(&oci.manifest).unwrap();
    silent.as_object_mut().unwrap().remove("mediaType");
    let silent = Image::from_json(media_type::MANIFEST, &silent, Vec::new());
    for (tag, image) in
        [("oci", &oci), ("index", &index), ("docker", &docker), ("list", &list), ("foreign", &foreign), ("silent", &silent)]
    {
        client.push_image("pull/kinds", tag, image).await;
        let answer = client.get_manifest("pull/kinds", tag).await.expect(200);
        assert_eq!((answer.required("content-type"), &answer.body), (image.media_type.as_str(), &image.manifest), "{tag}");
    }
}

async fn sha512_names_blobs_and_manifests(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let content = Random::seeded(9).bytes(3_000_000);
    let digest = Digest::of(Algorithm::Sha512, &content);
    let upload = client.begin_upload("pull/sha512", "?digest-algorithm=sha512").await;
    client.close_upload(&upload, &digest, &content).await.expect(201);
    assert!(client.pull_blob("pull/sha512", &digest).await == content);
    let again = Random::seeded(10).bytes(5000);
    let posted = Digest::of(Algorithm::Sha512, &again);
    client.post_blob("pull/sha512", &posted, &again).await.expect(201);
    assert_eq!(client.pull_blob("pull/sha512", &posted).await, again);

    let layer = json!({"mediaType": media_type::LAYER, "digest": digest.as_str(), "size": content.len()});
    let config = json!({"mediaType": media_type::EMPTY, "digest": posted.as_str(), "size": again.len()});
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type::MANIFEST, "config": config, "layers": [layer]});
    let manifest = Bytes::from(manifest.to_string());
    let name = Digest::of(Algorithm::Sha512, &manifest);
    let answer = client.put_manifest("pull/sha512", name.as_str(), media_type::MANIFEST, &manifest).await.expect(201);
    assert_eq!(answer.required("docker-content-digest"), name.as_str());
    let answer = client.get_manifest("pull/sha512", name.as_str()).await.expect(200);
    assert_eq!((answer.body.clone(), answer.required("docker-content-digest")), (manifest, name.as_str()));
}
