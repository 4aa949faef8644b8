//! distribution-spec, "Listing Referrers" and "Pushing Manifests with Subject".

use std::collections::BTreeSet;

use longshore_oci::{Algorithm, Digest};
use longshore_tests::{Answer, Backend, Client, Image, Registry, artifact, image_index, media_type, on_both_backends};
use serde_json::{Value, json};

on_both_backends!(
    a_manifest_with_a_subject_is_listed,
    referrers_may_come_before_their_subject,
    an_artifact_type_filters,
    an_index_can_refer,
    the_list_is_paged,
    nothing_refers_to_what_is_unknown,
    a_deleted_referrer_is_not_listed,
    the_type_of_an_image_is_its_configurations,
);

const SBOM: &str = "application/vnd.example.sbom.v1";
const SIGNATURE: &str = "application/vnd.example.signature.v1";

async fn list(client: &Client, subject: &Digest, query: &str) -> (Answer, Vec<Value>) {
    let answer = client.get(&format!("/v2/referrers/of/referrers/{subject}{query}")).await.expect(200);
    assert_eq!(answer.required("content-type"), media_type::INDEX);
    let index = answer.json();
    assert_eq!((&index["schemaVersion"], &index["mediaType"]), (&json!(2), &json!(media_type::INDEX)));
    let descriptors = index["manifests"].as_array().expect("an index has manifests").clone();
    (answer, descriptors)
}

/// "the registry [...] MUST respond with the response header OCI-Subject: <subject digest>".
async fn push(client: &Client, referrer: &Image, subject: &Digest) {
    for blob in &referrer.blobs {
        client.push_blob("referrers/of", blob).await;
    }
    let answer = client.put_manifest("referrers/of", referrer.digest.as_str(), &referrer.media_type, &referrer.manifest).await;
    assert_eq!(answer.expect(201).required("oci-subject"), subject.as_str());
}

async fn a_manifest_with_a_subject_is_listed(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let subject = Image::random(50, &[10]);
    client.push_image("referrers/of", "v1", &subject).await;
    let referrer = artifact(SBOM, &subject.descriptor(), &json!({"org.example.format": "json"}));
    push(&client, &referrer, &subject.digest).await;
    let (_, found) = list(&client, &subject.digest, "").await;
    let mut expected = referrer.descriptor();
    expected["artifactType"] = SBOM.into();
    expected["annotations"] = json!({"org.example.format": "json"});
    assert_eq!(found, [expected]);
    let (_, none) = list(&client, &referrer.digest, "").await;
    assert!(none.is_empty());
}

/// "A registry MUST initially accept an otherwise valid manifest with a subject field that references a manifest that does not exist
/// in the repository".
async fn referrers_may_come_before_their_subject(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let subject = Image::random(51, &[10]);
    let referrer = artifact(SBOM, &subject.descriptor(), &json!({}));
    push(&client, &referrer, &subject.digest).await;
    assert_eq!(list(&client, &subject.digest, "").await.1.len(), 1);
    client.push_image("referrers/of", "v1", &subject).await;
    assert_eq!(list(&client, &subject.digest, "").await.1.len(), 1);
    // It stays when its subject goes.
    client.delete(&format!("/v2/referrers/of/manifests/{}", subject.digest)).await.expect(202);
    assert_eq!(list(&client, &subject.digest, "").await.1.len(), 1);
}

/// "If filtering is requested and applied, the response MUST include a header OCI-Filters-Applied: artifactType".
async fn an_artifact_type_filters(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let subject = Image::random(52, &[10]);
    let (sbom, signature) =
        (artifact(SBOM, &subject.descriptor(), &json!({})), artifact(SIGNATURE, &subject.descriptor(), &json!({})));
    push(&client, &sbom, &subject.digest).await;
    push(&client, &signature, &subject.digest).await;
    let (answer, all) = list(&client, &subject.digest, "").await;
    assert_eq!((answer.header("oci-filters-applied"), all.len()), (None, 2));
    for (artifact_type, expected) in [(SBOM, &sbom), (SIGNATURE, &signature)] {
        let (answer, found) = list(&client, &subject.digest, &format!("?artifactType={artifact_type}")).await;
        assert_eq!(answer.required("oci-filters-applied"), "artifactType");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["digest"], expected.digest.as_str());
    }
    let (answer, none) = list(&client, &subject.digest, "?artifactType=application/x.none").await;
    assert_eq!((answer.required("oci-filters-applied"), none.len()), ("artifactType", 0));
}

/// "If the artifactType is empty or missing in an index, the artifactType MUST be omitted."
async fn an_index_can_refer(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let subject = Image::random(53, &[10]);
    let mut index: Value = serde_json::from_slice(&image_index(&[]).manifest).unwrap();
    index["subject"] = subject.descriptor();
    index["annotations"] = json!({"who": "an index"});
    let referrer = Image::from_json(media_type::INDEX, &index, Vec::new());
    push(&client, &referrer, &subject.digest).await;
    let (_, found) = list(&client, &subject.digest, "").await;
    let mut expected = referrer.descriptor();
    expected["annotations"] = json!({"who": "an index"});
    assert_eq!(found, [expected]);
}

/// "A Link header MUST be included in the response when the descriptor list cannot be returned in a single manifest."
async fn the_list_is_paged(backend: Backend) {
    let registry = Registry::with(backend, &[("lists.max_page", 7.into())]).await;
    let client = registry.client();
    let subject = Image::random(54, &[10]);
    let mut expected = BTreeSet::new();
    for number in 0..20 {
        let kind = if number % 2 == 0 { SBOM } else { SIGNATURE };
        let referrer = artifact(kind, &subject.descriptor(), &json!({"number": number.to_string()}));
        push(&client, &referrer, &subject.digest).await;
        expected.insert(referrer.digest.to_string());
    }
    for (query, wanted) in [("", 20), ("?artifactType=application/vnd.example.sbom.v1", 10)] {
        let (mut answer, mut page) = list(&client, &subject.digest, query).await;
        let mut found = Vec::new();
        loop {
            assert!(page.len() <= 7, "a page of {}", page.len());
            found.extend(page.iter().map(|descriptor| descriptor["digest"].as_str().unwrap().to_owned()));
            let Some(next) = answer.next_page() else { break };
            answer = client.get(&next).await.expect(200);
            assert_eq!(answer.required("content-type"), media_type::INDEX);
            assert_eq!(answer.header("oci-filters-applied"), (!query.is_empty()).then_some("artifactType"));
            page = answer.json()["manifests"].as_array().unwrap().clone();
            assert!(found.len() < 100, "the pages come to an end");
        }
        let unique: BTreeSet<String> = found.iter().cloned().collect();
        assert_eq!((found.len(), unique.len()), (wanted, wanted), "each once");
        assert!(unique.is_subset(&expected));
    }
}

/// "the registry MUST NOT return a 404 Not Found to a referrers API requests", and of a malformed digest "a 400 Bad Request MUST be
/// returned".
async fn nothing_refers_to_what_is_unknown(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let unknown = Digest::of(Algorithm::Sha256, b"unknown");
    assert!(list(&client, &unknown, "").await.1.is_empty());
    client.get("/v2/referrers/of/referrers/sha256:short").await.expect_error(400, "DIGEST_INVALID");
    client.get("/v2/referrers/of/referrers/latest").await.expect_error(400, "DIGEST_INVALID");
}

async fn a_deleted_referrer_is_not_listed(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let subject = Image::random(55, &[10]);
    let referrer = artifact(SBOM, &subject.descriptor(), &json!({}));
    push(&client, &referrer, &subject.digest).await;
    client.delete(&format!("/v2/referrers/of/manifests/{}", referrer.digest)).await.expect(202);
    assert!(list(&client, &subject.digest, "").await.1.is_empty());
}

/// "If the artifactType is empty or missing in the image manifest, the value of artifactType MUST be set to the config descriptor
/// mediaType value."
async fn the_type_of_an_image_is_its_configurations(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let subject = Image::random(56, &[10]);
    let image = Image::random(57, &[10]);
    let mut manifest: Value = serde_json::from_slice(&image.manifest).unwrap();
    manifest["subject"] = subject.descriptor();
    let referrer = Image::from_json(media_type::MANIFEST, &manifest, image.blobs);
    push(&client, &referrer, &subject.digest).await;
    let (_, found) = list(&client, &subject.digest, "").await;
    assert_eq!(found[0]["artifactType"], media_type::CONFIG);
}
