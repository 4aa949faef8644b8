//! distribution-spec, "Pushing Manifests".

use bytes::Bytes;
use longshore_oci::{Algorithm, Digest};
use longshore_tests::{Answer, Backend, Image, Registry, descriptor, image_index, media_type, on_both_backends};
use serde_json::{Value, json};

on_both_backends!(
    pushed_by_tag_and_by_digest,
    many_tags_at_once,
    as_many_tags_as_are_taken_can_be_answered,
    a_tag_moves_whole,
    one_that_names_what_is_not_there_is_refused,
    four_mebibytes_are_taken_and_more_is_413,
    what_is_no_manifest_is_refused,
    a_digest_that_is_not_its_own_is_refused,
    a_content_type_that_contradicts_is_refused,
    the_same_manifest_can_be_pushed_again,
);

/// "Upon a successful upload, the registry MUST return response code 201 Created, and MUST have the following header: Location".
async fn pushed_by_tag_and_by_digest(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let image = Image::random(20, &[10]);
    client.push_image("manifests/put", "seed", &image).await;
    for reference in ["v1", image.digest.as_str()] {
        let answer = client.put_manifest("manifests/put", reference, &image.media_type, &image.manifest).await.expect(201);
        // "The Docker-Content-Digest header returns the digest of the uploaded blob, and MUST be equal to the client provided digest."
        assert_eq!(answer.required("docker-content-digest"), image.digest.as_str());
        assert_eq!(client.get(answer.required("location")).await.expect(200).body, image.manifest);
    }
    // "The registry SHOULD ignore parameters on the Content-Type header."
    let with_parameter = format!("{}; charset=utf-8", image.media_type);
    client.put_manifest("manifests/put", "v2", &with_parameter, &image.manifest).await.expect(201);
    assert_eq!(client.get_manifest("manifests/put", "v2").await.expect(200).required("content-type"), image.media_type);
}

/// "MUST include an OCI-Tag response header [...] for each accepted tag", and "SHOULD support pushing at least 10 tags per request".
async fn many_tags_at_once(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let image = Image::random(21, &[10]);
    client.push_image("manifests/tags", "seed", &image).await;
    let tags: Vec<String> = (0..12).map(|number| format!("t{number:02}")).collect();
    let query: Vec<String> = tags.iter().map(|tag| format!("tag={tag}")).collect();
    let reference = format!("{}?{}", image.digest, query.join("&"));
    let answer = client.put_manifest("manifests/tags", &reference, &image.media_type, &image.manifest).await.expect(201);
    let lines = answer.headers.get_all("oci-tag").iter().flat_map(|line| line.to_str().unwrap().split(','));
    let mut accepted: Vec<String> = lines.map(|tag| tag.trim().to_owned()).collect();
    accepted.sort();
    assert_eq!(accepted, tags);
    for tag in &tags {
        assert_eq!(client.pull_image("manifests/tags", tag).await, image.digest);
    }
    // A tag that breaks the grammar is said, and none is set.
    let reference = format!("{}?tag=good&tag=-bad", image.digest);
    client.put_manifest("manifests/tags", &reference, &image.media_type, &image.manifest).await.expect(400).error_codes();
    client.get_manifest("manifests/tags", "good").await.expect(404);
}

/// A client that reads at most a hundred header lines, as many do, still gets its answer.
async fn as_many_tags_as_are_taken_can_be_answered(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let image = Image::random(22, &[10]);
    client.push_image("manifests/tags", "seed", &image).await;
    for count in [50, 99, 100, 200] {
        let tags: Vec<String> = (0..count).map(|number| format!("tag=many{number}")).collect();
        let reference = format!("{}?{}", image.digest, tags.join("&"));
        let answer = client.put_manifest("manifests/tags", &reference, &image.media_type, &image.manifest).await;
        // "MAY return a 414 Request-URI Too Long status if too many tags are included in the request."
        assert!(answer.status == 201 || (answer.status == 414 && count > 10), "{answer:?}");
    }
}

async fn a_tag_moves_whole(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let images: Vec<Image> = (30..35).map(|seed| Image::random(seed, &[10])).collect();
    for image in &images {
        client.push_image("manifests/moving", "latest", image).await;
        assert_eq!(client.pull_image("manifests/moving", "latest").await, image.digest);
    }
    // What a tag has left is still there by its digest.
    for image in &images {
        assert_eq!(client.pull_image("manifests/moving", image.digest.as_str()).await, image.digest);
    }
}

/// "When a manifest is rejected for this reason, it MUST result in one or more MANIFEST_BLOB_UNKNOWN errors."
async fn one_that_names_what_is_not_there_is_refused(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let image = Image::random(40, &[10, 20]);
    client.push_blob("manifests/missing", &image.blobs[0]).await;
    client.push_blob("manifests/missing", &image.blobs[1]).await;
    let put =
        async |content: &Image| client.put_manifest("manifests/missing", "v1", &content.media_type, &content.manifest).await;
    let refused = put(&image).await;
    assert!([400, 404].contains(&refused.status.as_u16()), "{refused:?}");
    assert_eq!(refused.error_codes(), ["MANIFEST_BLOB_UNKNOWN"]);
    let missing = Digest::of(Algorithm::Sha256, &image.blobs[2]);
    assert!(String::from_utf8_lossy(&refused.body).contains(missing.as_str()), "it names what is missing: {refused:?}");
    let refused = put(&image_index(&[("amd64", &image)])).await;
    assert_eq!(refused.error_codes(), ["MANIFEST_BLOB_UNKNOWN"]);
    client.get_manifest("manifests/missing", "v1").await.expect(404);
    // A blob of another repository is not there either.
    client.push_blob("manifests/elsewhere", &image.blobs[2]).await;
    assert_eq!(put(&image).await.error_codes(), ["MANIFEST_BLOB_UNKNOWN"]);
    client.push_blob("manifests/missing", &image.blobs[2]).await;
    put(&image).await.expect(201);
}

/// "Client and registry implementations SHOULD expect to be able to support manifest pushes of at least 4 megabytes", and over the
/// limit "SHOULD respond [...] with a response code 413 Payload Too Large".
async fn four_mebibytes_are_taken_and_more_is_413(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let image = Image::random(41, &[10]);
    client.push_image("manifests/large", "seed", &image).await;
    let padded = |size_bytes: usize| {
        let mut manifest: Value = serde_json::from_slice(&image.manifest).unwrap();
        manifest["annotations"] = json!({"padding": ""});
        let rest = size_bytes - manifest.to_string().len();
        manifest["annotations"]["padding"] = "x".repeat(rest).into();
        Bytes::from(manifest.to_string())
    };
    let largest = padded(4 << 20);
    client.put_manifest("manifests/large", "large", media_type::MANIFEST, &largest).await.expect(201);
    assert!(client.get_manifest("manifests/large", "large").await.expect(200).body == largest);
    let over = padded((4 << 20) + 1);
    client.put_manifest("manifests/large", "over", media_type::MANIFEST, &over).await.expect(413).error_codes();
    client.get_manifest("manifests/large", "over").await.expect(404);
}

async fn what_is_no_manifest_is_refused(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let image = Image::random(42, &[10]);
    client.push_image("manifests/wrong", "seed", &image).await;
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut manifest: Value = serde_json::from_slice(&image.manifest).unwrap();
        change(&mut manifest);
        manifest.to_string()
    };
    let wrong = [
        String::new(),
        "no JSON".into(),
        "[]".into(),
        "null".into(),
        "{}".into(),
        changed(&|manifest| manifest["schemaVersion"] = 1.into()),
        changed(&|manifest| manifest["config"]["digest"] = "sha256:short".into()),
        changed(&|manifest| manifest["layers"][0]["size"] = (-1).into()),
        changed(&|manifest| manifest["layers"][0]["size"] = "10".into()),
        changed(&|manifest| manifest["layers"] = "none".into()),
        changed(&|manifest| drop(manifest.as_object_mut().unwrap().remove("config"))),
        format!("{} trailing", String::from_utf8_lossy(&image.manifest)),
    ];
    for text in wrong {
        let answer = client.put_manifest("manifests/wrong", "v1", media_type::MANIFEST, &Bytes::from(text.clone())).await;
        assert!(answer.status == 400, "{text}: {answer:?}");
        assert_eq!(answer.error_codes(), ["MANIFEST_INVALID"], "{text}");
    }
    client.get_manifest("manifests/wrong", "v1").await.expect(404);
}

async fn a_digest_that_is_not_its_own_is_refused(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let (image, other) = (Image::random(43, &[10]), Image::random(44, &[10]));
    client.push_image("manifests/digest", "seed", &image).await;
    let answer = client.put_manifest("manifests/digest", other.digest.as_str(), &image.media_type, &image.manifest).await;
    answer.expect_error(400, "DIGEST_INVALID");
    client.get_manifest("manifests/digest", other.digest.as_str()).await.expect(404);
}

/// "If a manifest includes a mediaType field, clients MUST set the Content-Type header to the value specified by the mediaType field."
async fn a_content_type_that_contradicts_is_refused(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let image = Image::random(45, &[10]);
    client.push_image("manifests/type", "seed", &image).await;
    for wrong in [media_type::INDEX, media_type::DOCKER_MANIFEST] {
        let answer = client.put_manifest("manifests/type", "v1", wrong, &image.manifest).await;
        answer.expect_error(400, "MANIFEST_INVALID");
    }
    client.get_manifest("manifests/type", "v1").await.expect(404);
}

async fn the_same_manifest_can_be_pushed_again(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let image = Image::random(46, &[10]);
    let lone = Image::from_json(
        media_type::INDEX,
        &json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": []}),
        vec![],
    );
    for _ in 0..3 {
        client.push_image("manifests/again", "v1", &image).await;
        client.push_image("manifests/again", "empty", &lone).await;
    }
    let empty = descriptor(media_type::EMPTY, b"{}");
    assert_eq!(empty["digest"], "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    let tags = client.get("/v2/manifests/again/tags/list").await.expect(200);
    assert_eq!(tags.texts("tags"), ["empty", "v1"]);
    let put = client.manifest_request("manifests/again", "v1", &image.media_type, &image.manifest);
    Answer::to(put).await.expect(201);
}
