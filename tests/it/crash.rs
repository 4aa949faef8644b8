//! `kill -9` at random points of many concurrent pushes: everything acknowledged is there and right, nothing half done is visible,
//! and leftovers are collected.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use longshore_oci::{Algorithm, Digest};
use longshore_tests::{Backend, Client, Image, Random, Registry, on_both_backends, scaled, until};
use tokio::task::JoinSet;

on_both_backends!(acknowledged_pushes_survive_kill_9, an_acknowledged_chunk_survives_kill_9);

const AT_ONCE: usize = 64;

/// One push of one image to a repository and tag of its own; some of its layers others push too.
struct Push {
    repository: String,
    tag: String,
    number: usize,
    layer_sizes_bytes: Vec<usize>,
}

impl Push {
    /// The image, made anew each time: all of them at once would not fit in memory.
    fn image(&self) -> Image {
        let image = Image::random(self.number as u64, &self.layer_sizes_bytes);
        if !self.number.is_multiple_of(3) {
            return image;
        }
        let shared = Random::seeded(111).bytes(50_000);
        Image::of(image.blobs[0].clone(), [vec![shared], image.blobs[1..].to_vec()].concat())
    }
}

fn pushes(count: usize) -> Vec<Push> {
    let mut random = Random::seeded(110);
    let push = |number: usize| {
        let layer_sizes_bytes = match number % 50 {
            // Now and then one of several parts, so that these are cut off as well.
            0 => vec![random.index(8 << 20, 18 << 20)],
            _ => vec![random.index(1, 200_000), random.index(1, 5000)],
        };
        Push { repository: format!("crash/r{}", number % 40), tag: format!("t{number}"), number, layer_sizes_bytes }
    };
    (0..count).map(push).collect()
}

async fn acknowledged_pushes_survive_kill_9(backend: Backend) {
    let values = [
        ("uploads.idle_timeout", "4s".into()),
        ("uploads.claim_lease", "2s".into()),
        ("sweep.interval", "500ms".into()),
        ("sweep.garbage_grace", "3s".into()),
        ("log.filter", "warn".into()),
    ];
    let mut registry = Registry::with(backend, &values).await;
    let pushes = Arc::new(pushes(scaled(1000, 20_000)));
    let client = registry.client();
    let done = Arc::new(AtomicUsize::new(0));
    let attempts = run_all(&client, &pushes, &done);
    let kills = scaled(8, 60);
    let mut random = Random::seeded(112);
    let killing = async {
        for kill in 1..=kills {
            // At a random point of each stretch of the work, so that there is work to cut off each time.
            let point = pushes.len() * kill / (kills + 1);
            let jitter = Duration::from_micros(random.between(0, 150_000));
            until("the pushes to go on", Duration::from_secs(300), async || {
                (done.load(Ordering::Relaxed) >= point).then_some(())
            })
            .await;
            tokio::time::sleep(jitter).await;
            registry.kill9();
            registry.restart().await;
        }
    };
    let (acknowledged, ()) = tokio::join!(attempts, killing);
    let lost = pushes.len() - acknowledged.len();
    assert!(lost > 0, "no push was cut off; this run has shown nothing");
    assert!(acknowledged.len() > pushes.len() / 3, "only {} of {} pushes were acknowledged", acknowledged.len(), pushes.len());

    registry.restart().await;
    check_all(&client, &pushes, &acknowledged).await;
    leftovers_are_collected(&registry).await;
    // Collecting has taken nothing that was needed.
    check_all(&client, &pushes, &acknowledged).await;
}

/// Tries each push once, many at a time; the answer is the set of those that got their last 201.
async fn run_all(client: &Client, pushes: &Arc<Vec<Push>>, done: &Arc<AtomicUsize>) -> BTreeSet<usize> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (client, pushes, next, done) = (client.clone(), Arc::clone(pushes), Arc::clone(&next), Arc::clone(done));
        workers.spawn(async move {
            let mut acknowledged = BTreeSet::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(push) = pushes.get(number) else { return acknowledged };
                if client.try_push_image(&push.repository, &push.tag, &push.image()).await.is_ok() {
                    acknowledged.insert(number);
                } else {
                    // While the registry is down, attempts would be spent on nothing.
                    client.until_back().await;
                }
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    workers.join_all().await.into_iter().flatten().collect()
}

/// What was acknowledged is there and right; what was not is there whole, or not at all.
async fn check_all(client: &Client, pushes: &Arc<Vec<Push>>, acknowledged: &BTreeSet<usize>) {
    let mut checks = JoinSet::new();
    for (worker, acknowledged) in (0..16).map(|worker| (worker, acknowledged.clone())) {
        let (client, pushes) = (client.clone(), Arc::clone(pushes));
        checks.spawn(async move {
            for (number, push) in pushes.iter().enumerate().skip(worker).step_by(16) {
                let image = push.image();
                let answer = client.get_manifest(&push.repository, &push.tag).await;
                if answer.status == 200 {
                    assert_eq!(client.pull_image(&push.repository, &push.tag).await, image.digest);
                } else {
                    assert!(
                        answer.status == 404 && !acknowledged.contains(&number),
                        "push {number} was acknowledged: {answer:?}"
                    );
                }
                for blob in &image.blobs {
                    let digest = Digest::of(Algorithm::Sha256, blob);
                    if client.head(&format!("/v2/{}/blobs/{digest}", push.repository)).await.status == 200 {
                        assert!(client.pull_blob(&push.repository, &digest).await == *blob);
                    }
                }
            }
        });
    }
    checks.join_all().await;
}

/// After a while the store holds the objects of the blobs that are known, the records of manifests and tags, and nothing else.
async fn leftovers_are_collected(registry: &Registry) {
    let index = registry.index();
    let leftovers = async || {
        let known: BTreeSet<String> = index.texts("SELECT object_key FROM blobs").await.into_iter().collect();
        let objects = registry.objects();
        let missing: Vec<_> = known.iter().filter(|key| !objects.contains_key(*key)).collect();
        assert!(missing.is_empty(), "the database names objects that are not there: {missing:?}");
        objects.into_iter().filter(|(key, _)| !known.contains(key) && !key.contains("/_records/")).collect::<BTreeMap<_, _>>()
    };
    until("uploads that were cut off, and their objects, to go", Duration::from_secs(60), async || {
        (leftovers().await.is_empty() && index.texts("SELECT id FROM uploads").await.is_empty()).then_some(())
    })
    .await;
}

/// An upload survives its server: parts, hash state and offset are as they were when the 202 was sent.
async fn an_acknowledged_chunk_survives_kill_9(backend: Backend) {
    let mut registry = Registry::start(backend).await;
    let client = registry.client();
    let content = Random::seeded(113).bytes(30 << 20);
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let digest = Digest::of(algorithm, &content);
        let mut upload = client.begin_upload("crash/chunks", &format!("?digest-algorithm={}", algorithm.name())).await;
        for size_bytes in [1, 100_000, 8 << 20, 1 << 20, 12 << 20] {
            let start = upload.offset_bytes;
            client.next_chunk(&mut upload, &content.slice(start..start + size_bytes)).await;
            registry.kill9();
            registry.restart().await;
            client.upload_status(&mut upload).await;
            assert_eq!(upload.offset_bytes, start + size_bytes);
        }
        let rest = content.slice(upload.offset_bytes..);
        client.next_chunk(&mut upload, &rest).await;
        registry.kill9();
        registry.restart().await;
        client.close_upload(&upload, &digest, &Bytes::new()).await.expect(201);
        registry.kill9();
        registry.restart().await;
        assert!(client.pull_blob("crash/chunks", &digest).await == content);
    }
}
