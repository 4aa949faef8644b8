//! Random sequences of requests against a small reference model: whatever the order, the registry answers as the model does.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use longshore_oci::{Algorithm, Digest};
use longshore_tests::{Answer, Backend, Client, Image, Random, Registry, on_both_backends, scaled};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use tokio::sync::Mutex;

on_both_backends!(any_sequence_of_requests_is_answered_as_the_model_does, any_sequence_of_requests_outlives_the_database,);

const REPOSITORIES: usize = 2;
const BLOBS: usize = 4;
const TAGS: usize = 3;
/// The most that a stop may take.
const LIMIT: Duration = Duration::from_secs(60);

/// One request; numbers name repositories, blobs and tags.
#[derive(Clone, Debug)]
enum Request {
    PushBlob(usize, usize),
    Mount(usize, usize, usize),
    DeleteBlob(usize, usize),
    PutManifest(usize, usize, usize),
    DeleteTag(usize, usize),
    DeleteManifest(usize, usize),
    KillAndRestart,
    LoseDatabase,
}

/// What one repository holds.
#[derive(Default)]
struct Held {
    blobs: BTreeSet<usize>,
    manifests: BTreeSet<usize>,
    tags: BTreeMap<usize, usize>,
}

/// What there is to push: the manifest of number n names the blobs n and n + 1.
struct Content {
    prefix: String,
    blobs: Vec<Bytes>,
    images: Vec<Image>,
}

impl Content {
    fn new() -> Self {
        static CASES: AtomicU64 = AtomicU64::new(0);
        let case = CASES.fetch_add(1, Ordering::Relaxed);
        let mut random = Random::seeded(case);
        let blobs: Vec<Bytes> = (0..BLOBS).map(|_| random.bytes(200)).collect();
        let images =
            (0..BLOBS).map(|number| Image::of(blobs[number].clone(), vec![blobs[(number + 1) % BLOBS].clone()])).collect();
        Self { prefix: format!("model/case{case}"), blobs, images }
    }

    fn repository(&self, number: usize) -> String {
        format!("{}/r{number}", self.prefix)
    }

    fn blob_digest(&self, number: usize) -> Digest {
        Digest::of(Algorithm::Sha256, &self.blobs[number])
    }
}

fn request(loss: Option<Request>) -> impl Strategy<Value = Request> {
    let (repository, blob, tag) = (0..REPOSITORIES, 0..BLOBS, 0..TAGS);
    prop_oneof![
        8 => (repository.clone(), blob.clone()).prop_map(|(repository, blob)| Request::PushBlob(repository, blob)),
        3 => (repository.clone(), repository.clone(), blob.clone()).prop_map(|(to, from, blob)| Request::Mount(to, from, blob)),
        2 => (repository.clone(), blob.clone()).prop_map(|(repository, blob)| Request::DeleteBlob(repository, blob)),
        8 => (repository.clone(), blob.clone(), tag.clone()).prop_map(|(repository, image, tag)| Request::PutManifest(repository, image, tag)),
        2 => (repository.clone(), tag).prop_map(|(repository, tag)| Request::DeleteTag(repository, tag)),
        2 => (repository, blob).prop_map(|(repository, image)| Request::DeleteManifest(repository, image)),
        1 => Just(Request::KillAndRestart),
        u32::from(loss.is_some()) => Just(loss.unwrap_or(Request::KillAndRestart)),
    ]
}

const VALUES: [(&str, &str); 3] = [("sweep.interval", "100ms"), ("sweep.garbage_grace", "200ms"), ("log.filter", "warn")];

async fn start(backend: Backend) -> Registry {
    Registry::with(backend, &VALUES.map(|(key, value)| (key, value.into()))).await
}

async fn any_sequence_of_requests_is_answered_as_the_model_does(backend: Backend) {
    let registry = Mutex::new(start(backend).await);
    let runtime = tokio::runtime::Handle::current();
    run(scaled(24, 2000), request(None), |requests| {
        runtime.block_on(async { play(&mut *registry.lock().await, &requests).await })
    });
}

/// A registry for each, since what others have left there would have to be read again, too.
async fn any_sequence_of_requests_outlives_the_database(backend: Backend) {
    let runtime = tokio::runtime::Handle::current();
    run(scaled(8, 200), request(Some(Request::LoseDatabase)), |mut requests| {
        requests.push(Request::LoseDatabase);
        runtime.block_on(async { play(&mut start(backend).await, &requests).await })
    });
}

fn run(cases: usize, request: impl Strategy<Value = Request>, play: impl Fn(Vec<Request>) -> Result<(), TestCaseError>) {
    let cases = u32::try_from(cases).expect("so few fit");
    tokio::task::block_in_place(|| {
        let mut runner = TestRunner::new(Config { cases, max_shrink_iters: 200, failure_persistence: None, ..Config::default() });
        runner.run(&vec(request, 1..40), play).unwrap_or_else(|failure| panic!("{failure}"));
    });
}

async fn play(registry: &mut Registry, requests: &[Request]) -> Result<(), TestCaseError> {
    let content = Content::new();
    let mut held: Vec<Held> = (0..REPOSITORIES).map(|_| Held::default()).collect();
    for request in requests {
        match request {
            Request::KillAndRestart => {
                registry.kill9();
                registry.restart().await;
            }
            Request::LoseDatabase => {
                registry.sigterm();
                registry.ended(LIMIT).await;
                registry.index().lose().await;
                let output = registry.reindex().await;
                prop_assert_eq!(output.code, Some(0), "{}", output);
                registry.restart().await;
            }
            request => apply(&registry.client(), &content, &mut held, request).await?,
        }
    }
    for (number, held) in held.iter().enumerate() {
        compare(&registry.client(), &content, number, held).await?;
    }
    Ok(())
}

/// Sends one request, and does to the model what the answer says; fails where the model says that it can't be.
async fn apply(client: &Client, content: &Content, held: &mut [Held], request: &Request) -> Result<(), TestCaseError> {
    match *request {
        Request::PushBlob(repository, blob) => {
            client.push_blob(&content.repository(repository), &content.blobs[blob]).await;
            held[repository].blobs.insert(blob);
        }
        Request::Mount(to, from, blob) => {
            let digest = content.blob_digest(blob);
            let query = format!("?mount={digest}&from={}", content.repository(from));
            let answer = client.post(&format!("/v2/{}/blobs/uploads/{query}", content.repository(to))).await;
            if held[from].blobs.contains(&blob) {
                prop_assert_eq!(answer.status, 201, "{:?}", answer);
            }
            if answer.status == 201 {
                // A registry may find the blob elsewhere than it was told to look, but not where there is none.
                prop_assert!(held.iter().any(|held| held.blobs.contains(&blob)), "mounted what is nowhere: {answer:?}");
                held[to].blobs.insert(blob);
            } else {
                prop_assert_eq!(answer.status, 202, "{:?}", answer);
            }
        }
        Request::DeleteBlob(repository, blob) => {
            let digest = content.blob_digest(blob);
            let answer = client.delete(&format!("/v2/{}/blobs/{digest}", content.repository(repository))).await;
            let held = &mut held[repository];
            if held.blobs.contains(&blob) {
                // Refusing to delete what a manifest needs is right, and so is deleting it as told.
                let is_needed = held.manifests.iter().any(|image| [*image, (*image + 1) % BLOBS].contains(&blob));
                prop_assert!(answer.status == 202 || (is_needed && answer.status.is_client_error()), "{answer:?}");
                if answer.status == 202 {
                    held.blobs.remove(&blob);
                }
            } else {
                prop_assert_eq!(answer.status, 404, "{:?}", answer);
            }
        }
        Request::PutManifest(repository, image, tag) => put(client, content, held, (repository, image, tag)).await?,
        Request::DeleteTag(repository, tag) => {
            let answer = client.delete(&format!("/v2/{}/manifests/t{tag}", content.repository(repository))).await;
            let was_there = held[repository].tags.remove(&tag).is_some();
            prop_assert_eq!(answer.status, if was_there { 202 } else { 404 }, "{:?}", answer);
        }
        Request::DeleteManifest(repository, image) => {
            let digest = &content.images[image].digest;
            let answer = client.delete(&format!("/v2/{}/manifests/{digest}", content.repository(repository))).await;
            let was_there = held[repository].manifests.remove(&image);
            held[repository].tags.retain(|_, tagged| *tagged != image);
            prop_assert_eq!(answer.status, if was_there { 202 } else { 404 }, "{:?}", answer);
        }
        Request::KillAndRestart | Request::LoseDatabase => unreachable!("no request to a server"),
    }
    Ok(())
}

async fn put(
    client: &Client,
    content: &Content,
    held: &mut [Held],
    (repository, number, tag): (usize, usize, usize),
) -> Result<(), TestCaseError> {
    let image = &content.images[number];
    let answer =
        client.put_manifest(&content.repository(repository), &format!("t{tag}"), &image.media_type, &image.manifest).await;
    let held = &mut held[repository];
    if [number, (number + 1) % BLOBS].iter().all(|blob| held.blobs.contains(blob)) {
        prop_assert_eq!(answer.status, 201, "{:?}", answer);
        held.manifests.insert(number);
        held.tags.insert(tag, number);
    } else {
        prop_assert!(answer.status.is_client_error(), "{answer:?}");
        prop_assert_eq!(&answer.error_codes()[0], "MANIFEST_BLOB_UNKNOWN");
    }
    Ok(())
}

/// Looks at everything that a repository could hold.
async fn compare(client: &Client, content: &Content, number: usize, held: &Held) -> Result<(), TestCaseError> {
    let repository = content.repository(number);
    for (blob, bytes) in content.blobs.iter().enumerate() {
        let answer = client.get(&format!("/v2/{repository}/blobs/{}", content.blob_digest(blob))).await;
        same(&answer, held.blobs.contains(&blob).then_some(bytes))?;
    }
    for (number, image) in content.images.iter().enumerate() {
        let answer = client.get_manifest(&repository, image.digest.as_str()).await;
        same(&answer, held.manifests.contains(&number).then_some(&image.manifest))?;
    }
    for tag in 0..TAGS {
        let answer = client.get_manifest(&repository, &format!("t{tag}")).await;
        same(&answer, held.tags.get(&tag).map(|image| &content.images[*image].manifest))?;
    }
    let answer = client.get(&format!("/v2/{repository}/tags/list")).await;
    let tags: Vec<String> = held.tags.keys().map(|tag| format!("t{tag}")).collect();
    // A repository that holds nothing may be one that is not there.
    prop_assert!(
        if answer.status == 404 { tags.is_empty() } else { answer.texts("tags") == tags },
        "{answer:?} instead of {tags:?}"
    );
    Ok(())
}

fn same(answer: &Answer, expected: Option<&Bytes>) -> Result<(), TestCaseError> {
    prop_assert_eq!((answer.status == 200).then_some(&answer.body), expected, "{:?}", answer);
    prop_assert!(answer.status == 200 || answer.status == 404, "{answer:?}");
    Ok(())
}
