//! The disk: a quota that holds, pins that hold within it, and a full disk that makes the edge pass on what it can't keep.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use http::Method;
use longshore_tests::{Backend, Edge, EdgeUpstream, Image, Misdeed, Plan, Random, Registry, Upstream, digest_of, scaled, until};
use serde_json::{Value, json};

longshore_tests::once!(
    a_small_quota_holds,
    a_full_disk_is_passed_through,
    an_edge_whose_disk_is_full_is_ready,
    a_blob_larger_than_the_quota_is_passed_through,
    what_is_asked_for_often_stays,
    pins_hold_against_a_flood,
    pins_that_exceed_the_quota_are_refused,
    a_pin_ends,
    what_nobody_asks_for_goes,
    memory_stays_within_its_budget,
    against_a_model,
);

const MIB: usize = 1 << 20;
const REPOSITORY: &str = "disk/edge";
const PINS: &str = "/v2/_longshore/edge/pins";

fn values(quota: &str) -> Vec<(&'static str, Value)> {
    vec![("cache.quota", quota.into()), ("cache.memory", 0.into()), ("cache.sync_delay", "20ms".into())]
}

/// What the file system needs beside the bytes: a last block of each file, and folders.
const SLACK: u64 = 2 << 20;

async fn stays_within(edge: &Edge, quota_bytes: u64) {
    until("the disk to be within the quota", Duration::from_secs(30), async || {
        (edge.disk_bytes() <= quota_bytes + SLACK).then_some(())
    })
    .await;
    let status = edge.json("status", &[]).await;
    assert!(status["disk"]["usedBytes"].as_u64().expect("it is told") <= quota_bytes, "{status}");
}

async fn a_small_quota_holds() {
    let registry = Registry::start(Backend::Folder).await;
    let upstream = Upstream::start().await;
    let upstreams = [EdgeUpstream::longshore(&registry), EdgeUpstream::other(&upstream)];
    let edge = Edge::with(&upstreams, &values("16MiB")).await;
    for number in 0..24 {
        let content = Random::seeded(1500 + number).bytes(3 * MIB + 17);
        let path = if number % 2 == 0 {
            registry.client().push_blob(REPOSITORY, &content).await;
            format!("/v2/{REPOSITORY}/blobs/{}", digest_of(&content))
        } else {
            format!("/v2/elsewhere/{REPOSITORY}/blobs/{}", upstream.hold_blob(REPOSITORY, &content))
        };
        let taken = edge.client().take(&path, &content).await;
        assert!(taken.is_right(), "{number}: {taken:?}");
        assert!(edge.disk_bytes() <= (16 << 20) + (4 << 20) + SLACK, "{} bytes on disk", edge.disk_bytes());
    }
    stays_within(&edge, 16 << 20).await;
    assert!(edge.metric(Edge::EVICTED).await >= 10.0);
}

/// "a full disk turns it into a pass-through, never an error"
async fn a_full_disk_is_passed_through() {
    let registry = Registry::start(Backend::Folder).await;
    let upstream = Upstream::start().await;
    let upstreams = [EdgeUpstream::longshore(&registry), EdgeUpstream::other(&upstream)];
    // The quota is of a disk that is not there.
    let edge = Edge::on_a_small_disk(&upstreams, 12, &values("1GiB")).await;
    let mut contents = Vec::new();
    for number in 0..16 {
        let content = Random::seeded(1530 + number).bytes(2 * MIB + 17);
        let path = if number % 2 == 0 {
            registry.client().push_blob(REPOSITORY, &content).await;
            format!("/v2/{REPOSITORY}/blobs/{}", digest_of(&content))
        } else {
            format!("/v2/elsewhere/{REPOSITORY}/blobs/{}", upstream.hold_blob(REPOSITORY, &content))
        };
        contents.push((path, content));
    }
    for round in 0..3 {
        for (path, content) in &contents {
            let taken = edge.client().take(path, content).await;
            assert!(taken.is_right(), "round {round}, {path}: {taken:?}");
        }
    }
    let image = Image::random(1550, &[3 * MIB]);
    upstream.hold(REPOSITORY, "v1", &image);
    assert_eq!(edge.client().pull_image(&format!("elsewhere/{REPOSITORY}"), "v1").await, image.digest);
    assert!(edge.metric("longshore_edge_disk_full_total").await > 0.0, "it is counted");
    edge.admin().get("/readyz").await.expect(200);
}

/// A load balancer is not to take away what could pass on: with not a byte free its index can't be written either.
async fn an_edge_whose_disk_is_full_is_ready() {
    let upstream = Upstream::start().await;
    let edge = Edge::on_a_small_disk(&[EdgeUpstream::other(&upstream)], 12, &values("1GiB")).await;
    edge.fill_disk();
    let mut number = 0;
    until("a check of an index that can't be written", Duration::from_secs(60), async || {
        let (image, tag) = (Image::random(1551 + number, &[1000]), format!("v{number}"));
        number += 1;
        upstream.hold(REPOSITORY, &tag, &image);
        assert_eq!(edge.client().pull_image(REPOSITORY, &tag).await, image.digest, "it is passed on");
        edge.admin().get("/readyz").await.expect(200);
        edge.log().contains("passes on what it can't keep").then_some(())
    })
    .await;
    assert!(edge.metric("longshore_edge_index_failures_total").await > 0.0, "it is counted");
    assert_eq!(edge.client().pull_image(REPOSITORY, "v0").await, Image::random(1551, &[1000]).digest);
}

async fn a_blob_larger_than_the_quota_is_passed_through() {
    let registry = Registry::start(Backend::Folder).await;
    let upstream = Upstream::start().await;
    let upstreams = [EdgeUpstream::longshore(&registry), EdgeUpstream::other(&upstream)];
    let edge = Edge::with(&upstreams, &values("16MiB")).await;
    let content = Random::seeded(1560).bytes(24 * MIB);
    let digest = registry.client().push_blob(REPOSITORY, &content).await;
    upstream.hold_blob("large/other", &Random::seeded(1561).bytes(24 * MIB));
    let other = Random::seeded(1561).bytes(24 * MIB);
    for _ in 0..2 {
        assert!(edge.client().take(&format!("/v2/{REPOSITORY}/blobs/{digest}"), &content).await.is_right());
        let path = format!("/v2/elsewhere/large/other/blobs/{}", digest_of(&other));
        assert!(edge.client().take(&path, &other).await.is_right());
        stays_within(&edge, 16 << 20).await;
    }
    // What is passed on is checked all the same: a client never gets the end of what is wrong.
    let wrong = Random::seeded(1562).bytes(24 * MIB);
    let digest = upstream.hold_blob("large/other", &wrong);
    upstream.misbehave(vec![Plan::always(Misdeed::WrongAt(12 * MIB as u64)).method("GET").containing("/blobs/")]);
    let path = format!("/v2/elsewhere/large/other/blobs/{digest}");
    let taken = edge.client().take(&path, &wrong).await;
    assert!(!taken.is_served(), "{taken:?}");
    upstream.behave();
    assert!(edge.client().take(&path, &wrong).await.is_right());
}

/// "eviction by age, frequency and size": a scan does not take away what is asked for all the time.
async fn what_is_asked_for_often_stays() {
    let upstream = Upstream::start().await;
    let edge = Edge::with(&[EdgeUpstream::other(&upstream)], &values("16MiB")).await;
    let base = Random::seeded(1570).bytes(2 * MIB);
    let digest = upstream.hold_blob(REPOSITORY, &base);
    for number in 0..30 {
        assert!(edge.client().take_blob(REPOSITORY, &base).await.is_right());
        let once = Random::seeded(1571 + number).bytes(2 * MIB);
        upstream.hold_blob(REPOSITORY, &once);
        assert!(edge.client().take_blob(REPOSITORY, &once).await.is_right());
    }
    assert_eq!(upstream.gets_of(&digest).len(), 1, "it was never evicted");
    assert!(edge.metric(Edge::EVICTED).await >= 10.0);
}

/// Pins an image, as prewarming does.
async fn pin(edge: &Edge, image: &str, more: &Value) -> longshore_tests::Answer {
    let mut pin = json!({"owner": "tests", "reason": "to see it stay", "image": image});
    for (name, value) in more.as_object().expect("an object was given") {
        pin[name] = value.clone();
    }
    edge.client().send_json(Method::POST, PINS, &pin).await
}

/// What was pinned; 201 is right too.
#[track_caller]
fn pinned(answer: longshore_tests::Answer) -> longshore_tests::Answer {
    assert!([200, 201].contains(&answer.status.as_u16()), "{answer:?}");
    answer
}

async fn pins_hold_against_a_flood() {
    let upstream = Upstream::start().await;
    let mut edge = Edge::with(&[EdgeUpstream::other(&upstream)], &values("16MiB")).await;
    let image = Image::random(1610, &[2 * MIB, 3 * MIB]);
    upstream.hold(REPOSITORY, "v1", &image);
    let told = pinned(pin(&edge, &format!("{REPOSITORY}:v1"), &json!({})).await);
    let digests: BTreeSet<String> = told.json()["pins"]
        .as_array()
        .expect("what was pinned is told")
        .iter()
        .map(|pin| pin["digest"].as_str().unwrap().to_owned())
        .collect();
    for blob in image.blobs.iter().chain([&image.manifest]) {
        assert!(digests.contains(digest_of(blob).as_str()), "{digests:?}");
    }
    assert_eq!(edge.client().pull_image(REPOSITORY, "v1").await, image.digest);
    for round in 0..2 {
        for number in 0..12 {
            let flood = Random::seeded(1620 + 20 * round + number).bytes(3 * MIB);
            upstream.hold_blob(REPOSITORY, &flood);
            for _ in 0..3 {
                assert!(edge.client().take_blob(REPOSITORY, &flood).await.is_right());
            }
        }
        upstream.take_asked();
        assert_eq!(edge.client().pull_image(REPOSITORY, "v1").await, image.digest);
        let fetched: u64 = upstream.take_asked().iter().map(|asked| asked.sent_bytes()).sum();
        assert_eq!(fetched, 0, "all of it is there");
        let refused = edge.client().delete(&format!("/v2/_longshore/edge/blobs/{}", digest_of(&image.blobs[1]))).await;
        refused.expect(409).error_codes();
        // Pins outlive the process.
        edge.restart_gently().await;
    }
}

/// "refused clearly when the pins alone would exceed the quota"
async fn pins_that_exceed_the_quota_are_refused() {
    let upstream = Upstream::start().await;
    let edge = Edge::with(&[EdgeUpstream::other(&upstream)], &values("16MiB")).await;
    upstream.hold(REPOSITORY, "small", &Image::random(1660, &[6 * MIB]));
    upstream.hold(REPOSITORY, "large", &Image::random(1661, &[12 * MIB]));
    pinned(pin(&edge, &format!("{REPOSITORY}:small"), &json!({})).await);
    let refused = pin(&edge, &format!("{REPOSITORY}:large"), &json!({})).await.expect(409);
    let words = String::from_utf8_lossy(&refused.body).into_owned();
    assert!(words.contains("quota"), "{words}");
    let pins = edge.client().get(PINS).await.expect(200).json();
    let images: BTreeSet<&str> = pins["pins"].as_array().unwrap().iter().filter_map(|pin| pin["image"].as_str()).collect();
    assert_eq!(images.len(), 1, "nothing of it is pinned: {images:?}");
    // With the first let go there is room.
    let path = format!("{PINS}?owner=tests&image={REPOSITORY}:small");
    edge.client().delete(&path).await.expect(200);
    pinned(pin(&edge, &format!("{REPOSITORY}:large"), &json!({})).await);
}

async fn a_pin_ends() {
    let upstream = Upstream::start().await;
    let edge = Edge::with(&[EdgeUpstream::other(&upstream)], &values("16MiB")).await;
    let image = Image::random(1670, &[10 * MIB]);
    upstream.hold(REPOSITORY, "v1", &image);
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2);
    pinned(pin(&edge, &format!("{REPOSITORY}:v1"), &json!({"expiresAt": soon.to_string()})).await);
    edge.client().pull_image(REPOSITORY, "v1").await;
    // It is looked at every half minute.
    until("the pin to end", Duration::from_secs(90), async || {
        let status = edge.json("status", &[]).await;
        (status["disk"]["pinnedBytes"] == 0).then_some(())
    })
    .await;
    for number in 0..4 {
        let flood = Random::seeded(1680 + number).bytes(7 * MIB);
        upstream.hold_blob(REPOSITORY, &flood);
        assert!(edge.client().take_blob(REPOSITORY, &flood).await.is_right());
    }
    upstream.take_asked();
    edge.client().pull_image(REPOSITORY, "v1").await;
    assert!(!upstream.gets_of(&digest_of(&image.blobs[1])).is_empty(), "it had gone");
}

/// "a cold sweep of what has not been asked for in N days"
async fn what_nobody_asks_for_goes() {
    let upstream = Upstream::start().await;
    let values = [("cache.max_idle", "1s".into()), ("cache.sync_delay", "20ms".into())];
    let edge = Edge::with(&[EdgeUpstream::other(&upstream)], &values).await;
    let content = Random::seeded(1690).bytes(MIB);
    let digest = upstream.hold_blob(REPOSITORY, &content);
    assert!(edge.client().take_blob(REPOSITORY, &content).await.is_right());
    // The sweep comes once in a while, and a minute is a short one.
    until("what is cold to be swept", Duration::from_secs(120), async || (!edge.blob_file(&digest).exists()).then_some(())).await;
    assert!(edge.client().take_blob(REPOSITORY, &content).await.is_right());
}

/// "one budget of bytes in flight for the whole process, waited for, never exceeded"
async fn memory_stays_within_its_budget() {
    let registry = Registry::start(Backend::Folder).await;
    let values = [
        ("cache.memory", "32MiB".into()),
        ("cache.in_flight", "32MiB".into()),
        ("cache.budget_wait", "5s".into()),
        ("log.filter", "error".into()),
    ];
    let edge = Edge::with(&[EdgeUpstream::longshore(&registry)], &values).await;
    let contents: Vec<Bytes> = (0..8).map(|number| Random::seeded(1700 + number).bytes(16 * MIB)).collect();
    for content in &contents {
        registry.client().push_blob(REPOSITORY, content).await;
    }
    let before = anonymous_bytes(edge.pid());
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..200 {
        let (client, content) = (edge.client(), contents[number % contents.len()].clone());
        clients.spawn(async move {
            let path = format!("/v2/{REPOSITORY}/blobs/{}", digest_of(&content));
            let mut answer = client.request(Method::GET, &path).send().await.expect("an answer begins");
            // Half of them read for as long as something comes, and the others keep what they got, and read nothing.
            while number % 2 == 0 && matches!(answer.chunk().await, Ok(Some(_))) {}
            answer
        });
    }
    let (mut peak, mut done) = (0, Vec::new());
    while !clients.is_empty() {
        peak = peak.max(anonymous_bytes(edge.pid()));
        if let Ok(Some(answer)) = tokio::time::timeout(Duration::from_millis(50), clients.join_next()).await {
            done.push(answer.expect("it does not panic"));
        }
    }
    // Those who read nothing may hold what others want; with them gone, whoever comes is served.
    drop(done);
    for content in &contents {
        assert!(edge.client().take_blob(REPOSITORY, content).await.is_right());
    }
    // The two budgets, what each connection holds, and an allocator that gives back late.
    let most = before + 64 * MIB as u64 + 200 * (MIB as u64 / 4) + 96 * MIB as u64;
    assert!(peak < most, "{} MiB of anonymous memory, {} at first", peak / MIB as u64, before / MIB as u64);
}

/// Anonymous memory of a process, in bytes: what it has allocated, without the files it has mapped.
fn anonymous_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("the kernel tells");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") * 1024
}

/// "Against a model: random reads, pins, evictions, crashes; the quota holds, pins hold, bytes are right."
async fn against_a_model() {
    const QUOTA_BYTES: u64 = 24 << 20;
    let registry = Registry::start(Backend::Folder).await;
    let upstream = Upstream::start().await;
    let upstreams = [EdgeUpstream::longshore(&registry), EdgeUpstream::other(&upstream)];
    let mut edge = Edge::with(&upstreams, &values("24MiB")).await;
    let mut random = Random::seeded(1720);
    let mut images = Vec::new();
    for number in 0..16_u64 {
        let image = Image::random(1730 + number, &[random.index(1, 4 * MIB), random.index(1, 100_000)]);
        let tag = format!("v{number}");
        let name = if number % 2 == 0 {
            registry.client().push_image(REPOSITORY, &tag, &image).await;
            REPOSITORY.to_owned()
        } else {
            upstream.hold(REPOSITORY, &tag, &image);
            format!("elsewhere/{REPOSITORY}")
        };
        images.push((name, tag, image));
    }
    // What is pinned, by the image's number; and of that, what has been pulled since and was synced.
    let mut pinned: BTreeMap<usize, bool> = BTreeMap::new();
    for step in 0..scaled(400, 10_000) {
        let number = random.index(0, images.len());
        let (name, tag, image) = &images[number];
        let blob = &image.blobs[random.index(0, image.blobs.len())];
        match random.between(0, 100) {
            0..40 => {
                let path = format!("/v2/{name}/blobs/{}", digest_of(blob));
                let taken = edge.client().take(&path, blob).await;
                assert!(taken.is_right(), "step {step}: {taken:?}");
            }
            40..65 => {
                let (first, second) = (random.index(0, blob.len()), random.index(0, blob.len()));
                let (first, last) = (first.min(second), first.max(second));
                let path = format!("/v2/{name}/blobs/{}", digest_of(blob));
                let request = edge.client().request(Method::GET, &path).header("range", format!("bytes={first}-{last}"));
                let answer = longshore_tests::Answer::to(request).await.expect(206);
                assert!(answer.body == blob[first..=last], "step {step}: bytes {first} to {last}");
            }
            65..75 => assert_eq!(edge.client().pull_image(name, tag).await, image.digest, "step {step}"),
            75..82 => {
                let answer = pin(&edge, &format!("{name}:{tag}"), &json!({})).await;
                assert!([200, 201, 409].contains(&answer.status.as_u16()), "step {step}: {answer:?}");
                if answer.status != 409 {
                    edge.client().pull_image(name, tag).await;
                    pinned.insert(number, true);
                } else {
                    let status = edge.json("status", &[]).await;
                    let taken: usize = image.blobs.iter().map(Bytes::len).sum();
                    let held = status["disk"]["pinnedBytes"].as_u64().unwrap();
                    assert!(
                        held + (taken + image.manifest.len()) as u64 > QUOTA_BYTES,
                        "step {step}: refused with room: {status}"
                    );
                }
            }
            82..90 => {
                if pinned.remove(&number).is_some() {
                    let path = format!("{PINS}?owner=tests&image={name}:{tag}");
                    edge.client().delete(&path).await.expect(200);
                }
            }
            90..95 => {
                let path = format!("/v2/_longshore/edge/blobs/{}", digest_of(blob));
                let answer = edge.client().delete(&path).await;
                let status = answer.status.as_u16();
                let is_pinned = pinned.contains_key(&number);
                assert!(
                    if is_pinned { status == 409 } else { [200, 204, 404, 409].contains(&status) },
                    "step {step}: {answer:?}"
                );
            }
            95..97 => {
                // What was pulled since the last sync may have to come again.
                edge.restart().await;
                pinned.values_mut().for_each(|is_there| *is_there = false);
            }
            97..98 => {
                // That anybody may have it has to be found out again.
                edge.restart_gently().await;
                pinned.values_mut().for_each(|is_there| *is_there = false);
            }
            _ => {
                upstream.go_away();
                pins_hold(&edge, &there_of(&images, &pinned)).await;
                upstream.come_back();
            }
        }
        assert!(edge.disk_bytes() <= QUOTA_BYTES + 8 * MIB as u64 + SLACK, "step {step}: {} bytes on disk", edge.disk_bytes());
    }
    stays_within(&edge, QUOTA_BYTES).await;
    assert_eq!(edge.metric(Edge::DAMAGED).await, 0.0);
    assert_eq!(edge.metric(Edge::WRONG).await, 0.0);
}

/// A pinned image, as it is named at the edge.
type Held<'a> = (&'a str, &'a Image);

/// The images of the other upstream that are pinned and have been there since.
fn there_of<'a>(images: &'a [(String, String, Image)], pinned: &BTreeMap<usize, bool>) -> Vec<Held<'a>> {
    let held = pinned.iter().filter(|(number, is_there)| **is_there && *number % 2 == 1);
    held.map(|(number, _)| (images[*number].0.as_str(), &images[*number].2)).collect()
}

/// With their upstream away, pinned images are there: by digest, all of them.
async fn pins_hold(edge: &Edge, held: &[Held<'_>]) {
    for (name, image) in held {
        assert_eq!(edge.client().pull_image(name, image.digest.as_str()).await, image.digest, "a pin holds");
    }
}
