//! A faulty wire to S3 and to PostgreSQL: no wrong byte, and no acknowledged push lost.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use http::Method;
use longshore_oci::{Algorithm, Digest};
use longshore_tests::{Answer, Client, Fault, Image, Postgres, Random, Registry, Rule, S3, Wire, scaled, until};
use serde_json::Value;
use tokio::task::JoinSet;

longshore_tests::once!(
    a_faulty_wire_to_s3,
    a_push_in_parts_gets_through_a_fault_in_five,
    a_faulty_wire_to_postgres,
    what_is_away_is_said_and_comes_back,
    an_answer_lost_after_the_deed_does_no_harm,
    a_push_that_failed_is_not_brought_back,
);

const PATIENCE: &[(&str, &str)] = &[
    ("storage.call_timeout", "2s"),
    ("storage.backoff_min", "5ms"),
    ("storage.backoff_max", "50ms"),
    ("database.acquire_timeout", "2s"),
    ("log.filter", "off"),
];

async fn registry_behind(s3: Option<&Wire>, postgres: Option<&Wire>) -> Registry {
    let values: Vec<(&str, Value)> = PATIENCE.iter().map(|(key, value)| (*key, (*value).into())).collect();
    Registry::through(s3.map(Wire::address), postgres.map(Wire::address), &values).await
}

async fn wire_to_s3() -> Wire {
    Wire::http(&S3::shared().await.address()).await
}

async fn wire_to_postgres() -> Wire {
    Wire::opaque(&Postgres::shared().await.address()).await
}

fn images(count: usize) -> Vec<Image> {
    let mut random = Random::seeded(220);
    (0..count).map(|number| Image::random(3000 + number as u64, &[random.index(1, 100_000), random.index(1, 3000)])).collect()
}

/// Pushes each image, twelve at a time, and reads others back meanwhile; the answer is those that were acknowledged.
async fn push_and_pull(client: &Client, repository: &'static str, images: &[Image]) -> BTreeMap<String, Image> {
    let mut acknowledged = BTreeMap::new();
    for batch in images.chunks(12) {
        let mut work = JoinSet::new();
        for image in batch {
            let (client, image) = (client.clone(), image.clone());
            let tag = image.digest.hex()[..12].to_owned();
            work.spawn(async move {
                let is_acknowledged = client.try_push_image(repository, &tag, &image).await.is_ok();
                (tag, image, is_acknowledged)
            });
        }
        for (tag, image, is_acknowledged) in work.join_all().await {
            if is_acknowledged {
                read_back(client, repository, &tag, &image).await;
                acknowledged.insert(tag, image);
            }
        }
    }
    acknowledged
}

/// Whatever is answered with 200 is right; a refusal or a broken connection is no lie.
async fn read_back(client: &Client, repository: &str, tag: &str, image: &Image) {
    let mut expected = vec![(format!("manifests/{tag}"), &image.manifest)];
    expected.extend(image.blobs.iter().map(|blob| (format!("blobs/{}", Digest::of(Algorithm::Sha256, blob)), blob)));
    for (path, content) in expected {
        let request = client.request(Method::GET, &format!("/v2/{repository}/{path}"));
        if let Ok(answer) = Answer::attempt(request).await {
            match answer.status.as_u16() {
                200 => assert!(answer.body == *content, "wrong bytes for {path}"),
                500..=599 => drop(answer.error_codes()),
                // What was acknowledged is not unknown, whatever goes wrong.
                status => panic!("{status} for {path}, which was acknowledged: {answer:?}"),
            }
        }
    }
}

async fn assert_all_there(client: &Client, repository: &str, acknowledged: &BTreeMap<String, Image>) {
    for (tag, image) in acknowledged {
        assert_eq!(client.pull_image(repository, tag).await, image.digest);
    }
}

async fn until_well(client: &Client) {
    until("the registry to be well again", Duration::from_secs(60), async || {
        let probe = Random::seeded(221).bytes(10);
        client.try_push_blob("faults/probe", &probe).await.ok()
    })
    .await;
}

/// Each fault alone, so that a failure names it; then all together.
async fn a_faulty_wire_to_s3() {
    let wire = wire_to_s3().await;
    let registry = registry_behind(Some(&wire), None).await;
    let client = registry.client();
    let faults = [
        Fault::Answer(500, "InternalError"),
        Fault::Answer(503, "SlowDown"),
        Fault::Reset,
        Fault::LoseAnswer,
        Fault::Truncate(100),
        Fault::Stall(Duration::from_millis(300)),
        Fault::Throttle(200_000),
    ];
    let images = images(scaled(36, 1000));
    let mut all = BTreeMap::new();
    let every: Vec<Rule> = faults.iter().map(|fault| Rule::always(fault.clone()).probability(0.05)).collect();
    let mut plans: Vec<Vec<Rule>> = faults.iter().map(|fault| vec![Rule::always(fault.clone()).probability(0.25)]).collect();
    plans.push(every);
    for (number, (rules, batch)) in plans.into_iter().zip(images.chunks(images.len().div_ceil(8))).enumerate() {
        wire.set_rules(number as u64, rules);
        all.extend(push_and_pull(&client, "faults/s3", batch).await);
        assert!(wire.injected() > number, "plan {number} did no harm");
    }
    wire.heal();
    until_well(&client).await;
    assert!(all.len() >= images.len() / 2, "only {} of {} pushes got through", all.len(), images.len());
    assert_all_there(&client, "faults/s3", &all).await;
}

/// Retries see a push of several parts through a fifth of the calls failing.
async fn a_push_in_parts_gets_through_a_fault_in_five() {
    let wire = wire_to_s3().await;
    let registry = registry_behind(Some(&wire), None).await;
    let client = registry.client();
    let mut acknowledged = Vec::new();
    for seed in 0..6 {
        let content = Random::seeded(230 + seed).bytes(33 << 20);
        wire.set_rules(
            seed,
            vec![
                Rule::always(Fault::Answer(503, "SlowDown")).probability(0.1),
                Rule::always(Fault::LoseAnswer).probability(0.05),
                Rule::always(Fault::Reset).probability(0.05),
            ],
        );
        if client.try_push_blob("faults/parts", &content).await.is_ok() {
            acknowledged.push(content);
        }
    }
    wire.heal();
    assert!(acknowledged.len() >= 4, "only {} of 6 got through", acknowledged.len());
    for content in acknowledged {
        let digest = Digest::of(Algorithm::Sha256, &content);
        assert!(client.pull_blob("faults/parts", &digest).await == content);
    }
}

async fn a_faulty_wire_to_postgres() {
    let wire = wire_to_postgres().await;
    let registry = registry_behind(None, Some(&wire)).await;
    let client = registry.client();
    let faults = [Fault::Reset, Fault::LoseAnswer, Fault::Truncate(3), Fault::Stall(Duration::from_millis(100))];
    let images = images(scaled(60, 1500));
    let mut all = BTreeMap::new();
    for (number, (fault, batch)) in faults.iter().zip(images.chunks(images.len().div_ceil(4))).enumerate() {
        wire.set_rules(number as u64, vec![Rule::always(fault.clone()).probability(0.01)]);
        all.extend(push_and_pull(&client, "faults/postgres", batch).await);
    }
    assert!(wire.injected() > 0);
    wire.heal();
    until_well(&client).await;
    assert!(!all.is_empty());
    assert_all_there(&client, "faults/postgres", &all).await;
}

/// While S3 or PostgreSQL is away, requests are refused in time and in words, readiness says so, and all is well afterwards.
async fn what_is_away_is_said_and_comes_back() {
    let (s3, postgres) = (wire_to_s3().await, wire_to_postgres().await);
    let registry = registry_behind(Some(&s3), Some(&postgres)).await;
    let client = registry.client();
    let image = Image::random(240, &[5000]);
    client.push_image("faults/away", "v1", &image).await;
    let admin = Client::new(registry.admin_url());
    for (name, wire) in [("s3", &s3), ("postgres", &postgres)] {
        wire.set_rules(1, vec![Rule::always(Fault::Reset)]);
        let began = Instant::now();
        let outcome = client.try_push_blob("faults/away", &Random::seeded(241).bytes(1000)).await;
        assert!(outcome.is_err(), "a push without {name} was acknowledged");
        assert!(began.elapsed() < Duration::from_secs(30), "the refusal took {:?}", began.elapsed());
        let answer = client.post("/v2/faults/away/blobs/uploads/").await;
        if answer.status.is_server_error() {
            assert_eq!(answer.error_codes().len(), 1);
            assert!(answer.status != 503 || answer.header("retry-after").is_some(), "a 503 says when to come back: {answer:?}");
        }
        until("the registry to say that it is not ready", Duration::from_secs(20), async || {
            (admin.get("/readyz").await.status == 503).then_some(())
        })
        .await;
        admin.get("/healthz").await.expect(200);
        wire.heal();
        until_well(&client).await;
        until("the registry to be ready", Duration::from_secs(20), async || {
            (admin.get("/readyz").await.status == 200).then_some(())
        })
        .await;
        assert_eq!(client.pull_image("faults/away", "v1").await, image.digest);
    }
}

/// S3 carried out what it could not answer: retrying must not make a second blob, nor lose the first.
async fn an_answer_lost_after_the_deed_does_no_harm() {
    let wire = wire_to_s3().await;
    let registry = registry_behind(Some(&wire), None).await;
    let client = registry.client();
    for size_bytes in [1000, 20 << 20] {
        let content = Random::seeded(250).bytes(size_bytes);
        for method in ["PUT", "POST", "DELETE"] {
            wire.set_rules(1, vec![Rule::always(Fault::LoseAnswer).method(method).times(1)]);
            let pushed = client.try_push_blob("faults/deed", &content).await;
            wire.heal();
            if pushed.is_ok() {
                let digest = Digest::of(Algorithm::Sha256, &content);
                assert!(client.pull_blob("faults/deed", &digest).await == content);
            } else {
                client.push_blob("faults/deed", &content).await;
            }
        }
    }
    let digest = Digest::of(Algorithm::Sha256, &Random::seeded(250).bytes(1000));
    assert_eq!(registry.index().texts(&format!("SELECT object_key FROM blobs WHERE digest = '{digest}'")).await.len(), 1);
}

/// The record of a push is in the bucket, and neither the registry nor the client ever learns that it is.
async fn a_push_that_failed_is_not_brought_back() {
    let wire = wire_to_s3().await;
    let values = [("storage.call_timeout", "2s"), ("storage.backoff_min", "5ms"), ("storage.backoff_max", "50ms")]
        .into_iter()
        .chain([("sweep.interval", "200ms"), ("sweep.change_timeout", "2s"), ("log.filter", "off")]);
    let values: Vec<(&str, Value)> = values.map(|(key, value)| (key, value.into())).collect();
    let mut registry = Registry::through(Some(wire.address()), None, &values).await;
    let client = registry.client();
    let [kept, failed] = [Image::random(260, &[1000]), Image::random(261, &[1000])];
    client.push_image("faults/back", "latest", &kept).await;
    for blob in &failed.blobs {
        client.push_blob("faults/back", blob).await;
    }
    let records = || registry.objects().keys().filter(|key| key.contains("/_records/")).count();
    assert_eq!(records(), 1);
    wire.set_rules(1, vec![Rule::always(Fault::LoseAnswer).method("PUT").containing("_records")]);
    client.put_manifest("faults/back", "latest", &failed.media_type, &failed.manifest).await.expect(503);
    assert_eq!(records(), 2, "it was written all the same");
    wire.heal();
    until("its record to go", Duration::from_secs(30), async || (records() == 1).then_some(())).await;

    registry.kill9();
    registry.index().lose().await;
    let output = registry.reindex().await;
    assert_eq!(output.code, Some(0), "{output}");
    registry.restart().await;
    assert_eq!(client.pull_image("faults/back", "latest").await, kept.digest);
    client.get_manifest("faults/back", failed.digest.as_str()).await.expect(404);
}
