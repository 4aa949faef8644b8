//! `longshore registry reindex`: losing the database loses nothing that was acknowledged.

use std::time::Duration;

use longshore_oci::{Algorithm, Digest};
use longshore_tests::{Backend, Client, Image, Registry, artifact, image_index, on_both_backends};
use serde_json::{Value, json};

on_both_backends!(
    a_lost_database_is_rebuilt,
    what_was_deleted_stays_deleted,
    blobs_are_where_they_were,
    a_mount_costs_a_record_only_later,
    a_database_in_use_is_not_rebuilt,
);

/// What a client can see of a registry.
async fn seen(client: &Client, subject: &Digest) -> Value {
    let mut seen = json!({});
    for path in ["/v2/_catalog", "/v2/reindex/images/tags/list", "/v2/reindex/others/tags/list"] {
        seen[path] = client.get(path).await.expect(200).json();
    }
    let path = format!("/v2/reindex/images/referrers/{subject}");
    seen["referrers"] = client.get(&path).await.expect(200).json();
    // With the dates of the pushes.
    seen["images"] = client.get("/v2/_longshore/images").await.expect(200).json();
    seen
}

async fn push_everything(client: &Client) -> (Vec<(&'static str, String, Digest)>, Image) {
    let mut pushed = Vec::new();
    let (amd, arm) = (Image::random(120, &[1000, 20_000]), Image::random(121, &[9 << 20]));
    let index = image_index(&[("amd64", &amd), ("arm64", &arm)]);
    for (tag, image) in [("amd", &amd), ("arm", &arm), ("all", &index)] {
        client.push_image("reindex/images", tag, image).await;
        pushed.push(("reindex/images", tag.to_owned(), image.digest.clone()));
    }
    for number in 0..5 {
        let image = Image::random(130 + number, &[100]);
        client.push_image("reindex/others", "moving", &image).await;
        pushed.push(("reindex/others", image.digest.to_string(), image.digest.clone()));
        if number == 4 {
            pushed.push(("reindex/others", "moving".into(), image.digest));
        }
    }
    for kind in ["application/x.sbom", "application/x.signature"] {
        let referrer = artifact(kind, &amd.descriptor(), &json!({"kind": kind}));
        client.push_image("reindex/images", referrer.digest.as_str(), &referrer).await;
        pushed.push(("reindex/images", referrer.digest.to_string(), referrer.digest));
    }
    (pushed, amd)
}

async fn a_lost_database_is_rebuilt(backend: Backend) {
    let mut registry = Registry::start(backend).await;
    let client = registry.client();
    let (pushed, subject) = push_everything(&client).await;
    let layer = Digest::of(Algorithm::Sha256, &subject.blobs[2]);
    client.post(&format!("/v2/reindex/mounted/blobs/uploads/?mount={layer}&from=reindex/images")).await.expect(201);
    let mounted = Image::of(subject.blobs[0].clone(), vec![subject.blobs[2].clone()]);
    client.push_blob("reindex/mounted", &subject.blobs[0]).await;
    client.put_manifest("reindex/mounted", "v1", &mounted.media_type, &mounted.manifest).await.expect(201);
    let (unnamed, unnamed_content) = {
        let content = longshore_tests::Random::seeded(140).bytes(3000);
        let long = Digest::of(Algorithm::Sha512, &content);
        let upload = client.begin_upload("reindex/images", "?digest-algorithm=sha512").await;
        client.close_upload(&upload, &long, &content).await.expect(201);
        (long, content)
    };
    let before = seen(&client, &subject.digest).await;
    let metainfo = format!("/v2/reindex/images/_longshore/metainfo/{layer}");
    let pieces = client.get(&metainfo).await.expect(200).texts("pieces");

    registry.kill9();
    registry.index().lose().await;
    // So much later that a date taken from the clock would show.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let output = registry.reindex().await;
    assert_eq!(output.code, Some(0), "{output}");
    registry.restart().await;

    assert_eq!(seen(&client, &subject.digest).await, before);
    assert_eq!(client.get(&metainfo).await.expect(200).texts("pieces"), pieces);
    for (repository, reference, digest) in &pushed {
        assert_eq!(&client.pull_image(repository, reference).await, digest);
    }
    assert_eq!(client.pull_image("reindex/mounted", "v1").await, mounted.digest);
    assert_eq!(client.pull_blob("reindex/images", &unnamed).await, unnamed_content);
    // And it is a registry like any other.
    let image = Image::random(141, &[10]);
    client.push_image("reindex/others", "moving", &image).await;
    assert_eq!(client.pull_image("reindex/others", "moving").await, image.digest);
    // Once more, on top of what is there.
    let before = seen(&client, &subject.digest).await;
    registry.kill9();
    registry.index().lose().await;
    let output = registry.reindex().await;
    assert_eq!(output.code, Some(0), "{output}");
    registry.restart().await;
    assert_eq!(seen(&client, &subject.digest).await, before);
}

async fn what_was_deleted_stays_deleted(backend: Backend) {
    let values = [("sweep.interval", "200ms".into()), ("sweep.garbage_grace", "300ms".into())];
    let mut registry = Registry::with(backend, &values).await;
    let client = registry.client();
    let images: Vec<Image> = (150..154).map(|seed| Image::random(seed, &[1000])).collect();
    for (number, image) in images.iter().enumerate() {
        client.push_image("reindex/deleted", &format!("t{number}"), image).await;
    }
    client.delete("/v2/reindex/deleted/manifests/t0").await.expect(202);
    client.delete(&format!("/v2/reindex/deleted/manifests/{}", images[1].digest)).await.expect(202);
    let layer = Digest::of(Algorithm::Sha256, &images[1].blobs[1]);
    client.delete(&format!("/v2/reindex/deleted/blobs/{layer}")).await.expect(202);
    longshore_tests::until("the deleted blob's bytes to go", Duration::from_secs(30), async || {
        let known = registry.index().texts("SELECT object_key FROM blobs").await.len();
        let blobs = registry.objects().keys().filter(|key| key.contains("/_blobs/")).count();
        (blobs == known).then_some(())
    })
    .await;
    registry.kill9();
    registry.index().lose().await;
    let output = registry.reindex().await;
    assert_eq!(output.code, Some(0), "{output}");
    registry.restart().await;
    assert_eq!(client.get("/v2/reindex/deleted/tags/list").await.expect(200).texts("tags"), ["t2", "t3"]);
    client.get_manifest("reindex/deleted", images[0].digest.as_str()).await.expect(200);
    client.get_manifest("reindex/deleted", images[1].digest.as_str()).await.expect(404);
    client.get(&format!("/v2/reindex/deleted/blobs/{layer}")).await.expect(404);
}

/// Kills the registry, and has the database made anew.
async fn lose(registry: &mut Registry) {
    registry.kill9();
    registry.index().lose().await;
    let output = registry.reindex().await;
    assert_eq!(output.code, Some(0), "{output}");
    registry.restart().await;
}

/// Which of these repositories have a blob.
async fn having<'a>(client: &Client, repositories: &[&'a str], digest: &Digest) -> Vec<&'a str> {
    let mut having = Vec::new();
    for repository in repositories {
        let answer = client.get(&format!("/v2/{repository}/blobs/{digest}")).await;
        assert!(answer.status == 200 || answer.status == 404, "{answer:?}");
        if answer.status == 200 {
            having.push(*repository);
        }
    }
    having
}

/// How many records lie in the store.
fn records(registry: &Registry) -> usize {
    registry.objects().keys().filter(|key| key.contains("/_records/")).count()
}

/// No manifest names any of them.
async fn blobs_are_where_they_were(backend: Backend) {
    let values = [("sweep.link_delay", "50ms".into()), ("sweep.interval", "100ms".into()), ("sweep.garbage_grace", "0s".into())];
    let mut registry = Registry::with(backend, &values).await;
    let client = registry.client();
    let content = longshore_tests::Random::seeded(170).bytes(5000);
    let repositories = ["links/home", "links/again", "links/mounted", "links/deleted"];
    let digest = client.push_blob("links/home", &content).await;
    client.push_blob("links/again", &content).await;
    // Its own object, brought in vain, tells of it: there was no time for a record.
    lose(&mut registry).await;
    assert_eq!(having(&client, &repositories, &digest).await, ["links/home", "links/again"]);
    for repository in ["links/mounted", "links/deleted"] {
        client.post(&format!("/v2/{repository}/blobs/uploads/?mount={digest}&from=links/home")).await.expect(201);
    }
    until_written(&registry).await;
    client.delete(&format!("/v2/links/deleted/blobs/{digest}")).await.expect(202);
    client.delete(&format!("/v2/links/home/blobs/{digest}")).await.expect(202);
    for round in ["the first", "once more, on top of what is there"] {
        lose(&mut registry).await;
        assert_eq!(having(&client, &repositories, &digest).await, ["links/again", "links/mounted"], "{round}");
        assert_eq!(client.pull_blob("links/mounted", &digest).await, content);
    }
    // And back home, where an old object of it lies that is nobody's.
    client.push_blob("links/home", &content).await;
    lose(&mut registry).await;
    assert_eq!(having(&client, &repositories, &digest).await, ["links/home", "links/again", "links/mounted"]);
    for repository in ["links/home", "links/again", "links/mounted"] {
        client.delete(&format!("/v2/{repository}/blobs/{digest}")).await.expect(202);
    }
    lose(&mut registry).await;
    assert!(having(&client, &repositories, &digest).await.is_empty());
    longshore_tests::until("all traces to go", Duration::from_secs(30), async || registry.objects().is_empty().then_some(()))
        .await;
}

async fn until_written(registry: &Registry) {
    longshore_tests::until("every link to be shown", Duration::from_secs(30), async || {
        registry.index().texts("SELECT digest FROM repository_blobs WHERE revision = 0").await.is_empty().then_some(())
    })
    .await;
}

async fn a_mount_costs_a_record_only_later(backend: Backend) {
    let mut registry = Registry::with(backend, &[("sweep.link_delay", "1h".into())]).await;
    let client = registry.client();
    let mut digests = Vec::new();
    for seed in 0..20 {
        let digest = client.push_blob("links/from", &longshore_tests::Random::seeded(180 + seed).bytes(100)).await;
        client.post(&format!("/v2/links/to/blobs/uploads/?mount={digest}&from=links/from")).await.expect(201);
        digests.push(digest);
    }
    assert_eq!(records(&registry), 0);
    registry.sigterm();
    registry.ended(Duration::from_secs(60)).await;
    assert_eq!(records(&registry), 1, "one for all of them, written before the end");
    registry.restart().await;
    lose(&mut registry).await;
    for digest in &digests {
        assert_eq!(having(&client, &["links/from", "links/to"], digest).await, ["links/from", "links/to"]);
    }
    // Unlinked one by one, the record that links the others stays.
    for digest in &digests[..19] {
        client.delete(&format!("/v2/links/to/blobs/{digest}")).await.expect(202);
    }
    lose(&mut registry).await;
    for digest in &digests[..19] {
        assert_eq!(having(&client, &["links/from", "links/to"], digest).await, ["links/from"]);
    }
    assert_eq!(having(&client, &["links/to"], &digests[19]).await, ["links/to"]);
}

async fn a_database_in_use_is_not_rebuilt(backend: Backend) {
    let mut registry = Registry::start(backend).await;
    let client = registry.client();
    let image = Image::random(160, &[1000]);
    client.push_image("reindex/busy", "v1", &image).await;
    let output = registry.reindex().await;
    assert_eq!(output.code, Some(1), "{output}");
    assert!(output.stderr.contains("in use by another process"), "{output}");
    assert_eq!(client.pull_image("reindex/busy", "v1").await, image.digest, "and nothing happened to it");
    registry.kill9();
    longshore_tests::until("the database to be free", Duration::from_secs(30), async || {
        (registry.reindex().await.code == Some(0)).then_some(())
    })
    .await;
    registry.restart().await;
    assert_eq!(client.pull_image("reindex/busy", "v1").await, image.digest);
}
