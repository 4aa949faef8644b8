//! Many at once: two requests on one upload, the same digest, the same tag.

use std::time::Duration;

use http::Method;
use longshore_oci::{Algorithm, Digest};
use longshore_tests::{Answer, Backend, Image, Random, Registry, on_both_backends, until};
use tokio::task::JoinSet;

on_both_backends!(
    two_requests_on_one_upload_do_not_corrupt_it,
    the_same_digest_by_many,
    the_same_tag_by_many,
    pushes_and_deletes_at_once
);

/// "two requests for one upload don't corrupt it, the loser gets a clear answer"
async fn two_requests_on_one_upload_do_not_corrupt_it(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    for round in 0..15_u64 {
        let content = Random::seeded(260 + round).bytes(if round % 5 == 0 { 20 << 20 } else { 300_000 });
        let intruder = Random::seeded(360 + round).bytes(content.len());
        let mut upload = client.begin_upload("contention/upload", "").await;
        let mut requests = JoinSet::new();
        for body in [content.clone(), intruder.clone(), content.clone()] {
            // Half of each at once, from the same offset.
            let request =
                client.request(Method::PATCH, &upload.location).header("content-range", format!("0-{}", body.len() / 2 - 1));
            requests.spawn(Answer::attempt(request.body(body.slice(..body.len() / 2))));
        }
        let mut winners = 0;
        for answer in requests.join_all().await {
            // A registry that refuses early may close before all is sent.
            let Ok(answer) = answer else { continue };
            if answer.status == 202 {
                winners += 1;
            } else {
                assert!([409, 416, 429, 503].contains(&answer.status.as_u16()), "the loser's answer is not clear: {answer:?}");
                answer.error_codes();
            }
        }
        assert_eq!(winners, 1, "round {round}: one wins");
        client.upload_status(&mut upload).await;
        assert_eq!(upload.offset_bytes, content.len() / 2);
        // What is in it is one of the two, whole: the upload closes as that one, and not as a mixture.
        let digest = Digest::of(Algorithm::Sha256, &content);
        let closed = client.close_upload(&upload, &digest, &content.slice(content.len() / 2..)).await;
        if closed.status == 201 {
            assert!(client.pull_blob("contention/upload", &digest).await == content, "wrong bytes were served");
        } else {
            // The intruder was the one that won.
            closed.expect_error(400, "DIGEST_INVALID");
            client.head(&format!("/v2/contention/upload/blobs/{digest}")).await.expect(404);
        }
    }
}

/// "Same digest pushed by many at once: one object is kept, every client gets 201."
async fn the_same_digest_by_many(backend: Backend) {
    let values = [("sweep.interval", "200ms".into()), ("sweep.garbage_grace", "300ms".into())];
    let registry = Registry::with(backend, &values).await;
    let client = registry.client();
    let content = Random::seeded(270).bytes(500_000);
    let digest = Digest::of(Algorithm::Sha256, &content);
    let mut pushes = JoinSet::new();
    for number in 0..40 {
        let (client, content) = (client.clone(), content.clone());
        pushes.spawn(async move { client.try_push_blob(&format!("contention/same{}", number % 4), &content).await });
    }
    for outcome in pushes.join_all().await {
        assert_eq!(outcome, Ok(digest.clone()));
    }
    until("one object to be left", Duration::from_secs(30), async || {
        let blobs: Vec<String> = registry.objects().into_keys().filter(|key| key.contains("_blobs/")).collect();
        (blobs.len() == 1).then_some(())
    })
    .await;
    for number in 0..4 {
        assert!(client.pull_blob(&format!("contention/same{number}"), &digest).await == content);
    }
}

/// "The same tag pushed by many at once: one wins, whole."
async fn the_same_tag_by_many(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let images: Vec<Image> = (0..30).map(|seed| Image::random(4000 + seed, &[1000])).collect();
    for image in &images {
        client.push_image("contention/tag", image.digest.as_str(), image).await;
    }
    for _ in 0..5 {
        let mut pushes = JoinSet::new();
        for image in &images {
            let request = client.manifest_request("contention/tag", "latest", &image.media_type, &image.manifest);
            pushes.spawn(Answer::attempt(request));
        }
        for answer in pushes.join_all().await {
            answer.expect("the registry answers").expect(201);
        }
        let winner = client.pull_image("contention/tag", "latest").await;
        assert!(images.iter().any(|image| image.digest == winner));
        assert_eq!(client.get("/v2/contention/tag/tags/list").await.expect(200).texts("tags"), ["latest"]);
    }
}

/// "Garbage collection runs while pushes do, and never removes what a manifest or a running upload needs."
async fn pushes_and_deletes_at_once(backend: Backend) {
    let values = [("sweep.interval", "50ms".into()), ("sweep.garbage_grace", "100ms".into()), ("log.filter", "warn".into())];
    let registry = Registry::with(backend, &values).await;
    let client = registry.client();
    let content = Random::seeded(280).bytes(20_000);
    let digest = Digest::of(Algorithm::Sha256, &content);
    let mut work = JoinSet::new();
    for worker in 0..6 {
        let (client, content, digest) = (client.clone(), content.clone(), digest.clone());
        work.spawn(async move {
            let repository = format!("contention/collected{worker}");
            let image = Image::of(format!("{{\"worker\":{worker}}}").into(), vec![content]);
            for _ in 0..30 {
                client.push_image(&repository, "v1", &image).await;
                // All that was pushed is there until this worker deletes it; the others have their own repositories.
                assert_eq!(client.pull_image(&repository, "v1").await, image.digest);
                client.delete(&format!("/v2/{repository}/manifests/{}", image.digest)).await.expect(202);
                let status = client.delete(&format!("/v2/{repository}/blobs/{digest}")).await.status.as_u16();
                assert!([202, 404].contains(&status), "{status}");
            }
        });
    }
    work.join_all().await;
}
