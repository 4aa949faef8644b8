//! What must not grow with the number of tags and repositories. The figures are printed; what is asserted leaves room for a busy
//! machine, yet is far below what a walk of a hundred thousand rows takes on every page.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use longshore_oci::Digest;

use super::{
    Subject, on_every_database,
    samples::{commit, delete, garbage, image, put, repository},
};
use crate::state::{DeleteManifest, ImageFilter, Sharing};

on_every_database!(
    a_page_is_a_range_of_an_index,
    a_deletion_does_not_grow_with_the_tags,
    a_blobs_deletion_does_not_grow_with_the_manifests
);

/// The most that the slowest page of a hundred may take here. The promise is 10 ms on a machine that does nothing else.
const PAGE_LIMIT: Duration = Duration::from_millis(100);
const PAGES: usize = 300;

/// The numbers from 0 to 99,999, as `n`.
const NUMBERS: &str = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99999)";
const REPOSITORY: &str = "(SELECT id FROM repositories WHERE name = 'many')";
/// Gives each number one of ten manifests.
const SPREAD: &str =
    "JOIN (SELECT digest, ROW_NUMBER() OVER (ORDER BY digest) - 1 AS place FROM manifests) AS m ON m.place = n.i % 10";

/// Gathers statistics where the server does so by itself. SQLite plans without any.
async fn analyze(subject: &Subject) {
    if !subject.state.is_exclusive() {
        subject.execute("ANALYZE").await;
    }
}

/// A hundred thousand tags of the repository `many`, each as if set by a push of its own, over ten manifests.
async fn fill_tags(subject: &Subject) {
    for number in 0..10 {
        put(&subject.state, "many", &image(&format!("config {number}"), &["layer"]), &[]).await;
    }
    let (numbers, repository, spread) = (NUMBERS, REPOSITORY, SPREAD);
    for insert in [
        format!("INSERT INTO records (repository_id, revision, is_dead) {numbers} SELECT {repository}, 1000 + i, FALSE FROM n"),
        format!(
            "INSERT INTO record_subjects (repository_id, subject, revision) {numbers} SELECT {repository}, 'v' || (100000 + i), 1000 + i FROM n"
        ),
        format!(
            "INSERT INTO tags (repository_id, name, digest, revision, updated_at)
             {numbers} SELECT {repository}, 'v' || (100000 + i), m.digest, 1000 + i, 0 FROM n {spread}"
        ),
    ] {
        subject.execute(&insert).await;
    }
    analyze(subject).await;
    subject.state.resume_revisions(1_000_000).await.unwrap();
}

/// As many layers and referrers, of and about these manifests.
async fn fill_edges(subject: &Subject) {
    let (numbers, repository, spread) = (NUMBERS, REPOSITORY, SPREAD);
    for insert in [
        format!(
            "INSERT INTO manifest_edges (repository_id, parent, position, child, kind, media_type, size_bytes)
             {numbers} SELECT {repository}, m.digest, 1000 + i, 'sha256:' || i, 'layer', '', 1 FROM n {spread}"
        ),
        format!(
            "INSERT INTO referrers (repository_id, subject, digest) {numbers} SELECT {repository}, 'sha256:' || i, m.digest FROM n {spread}"
        ),
    ] {
        subject.execute(&insert).await;
    }
    analyze(subject).await;
}

async fn a_page_is_a_range_of_an_index(subject: Subject) {
    fill_tags(&subject).await;
    subject
        .execute(&format!("INSERT INTO repositories (name, created_at) {NUMBERS} SELECT 'team/r' || (100000 + i), 0 FROM n"))
        .await;
    analyze(&subject).await;
    let state = &subject.state;
    for limit in [100, 1000] {
        let slowest = p99(async |place| {
            let after = format!("v{}", 100_000 + place);
            let page = state.tags(&repository("many"), &after, limit).await.unwrap().unwrap();
            assert_eq!(page.first().map(String::as_str), Some(format!("v{}", 100_001 + place).as_str()));
        })
        .await;
        report(&subject, &format!("a page of {limit} of 100,000 tags"), slowest);
        let slowest = p99(async |place| {
            let page = state.repositories(&format!("team/r{}", 100_000 + place), limit).await.unwrap();
            assert_eq!(page.first().map(String::as_str), Some(format!("team/r{}", 100_001 + place).as_str()));
        })
        .await;
        report(&subject, &format!("a page of {limit} of 100,000 repositories"), slowest);
    }
    let slowest = p99(async |place| {
        let after = ("many".to_owned(), format!("v{}", 100_000 + place));
        let filter = ImageFilter { repository: Some(repository("many")), after, limit: 10, sharing: Sharing::Anywhere };
        assert_eq!(state.images(filter).await.unwrap()[0].tag, format!("v{}", 100_001 + place));
    })
    .await;
    report(&subject, "a page of 10 of 100,000 images", slowest);
}

/// The time of the slowest page but one in a hundred, at places all over the list.
async fn p99(page: impl AsyncFn(usize)) -> Duration {
    let mut times = Vec::with_capacity(PAGES);
    for turn in 0..PAGES {
        let begun = Instant::now();
        page(turn * 7919 % 99_000).await;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    times[PAGES * 99 / 100]
}

fn report(subject: &Subject, what: &str, time: Duration) {
    let database = if subject.state.is_exclusive() { "SQLite" } else { "PostgreSQL" };
    println!("{database}: {what}, p99 {time:?}");
    assert!(time < PAGE_LIMIT, "{database}: {what} takes {time:?}");
}

async fn a_deletion_does_not_grow_with_the_tags(subject: Subject) {
    fill_tags(&subject).await;
    fill_edges(&subject).await;
    let (few, many) = (fastest_deletion(&subject, "few").await, fastest_deletion(&subject, "many").await);
    println!("a deletion among few tags takes {few:?}, among 100,000 {many:?}");
    assert_alike(few, many);
    let begun = Instant::now();
    while subject.state.retire_records(1000).await.unwrap() > 0 {}
    assert!(garbage(&subject.state).await.len() > 50);
    let retired = begun.elapsed();
    println!("retiring a hundred records among 100,000 that live takes {retired:?}");
    assert!(retired < PAGE_LIMIT * 3, "{retired:?}");
    let begun = Instant::now();
    subject.state.retire_records(1000).await.unwrap();
    report(&subject, "finding that no record can be retired", begun.elapsed());
}

async fn a_blobs_deletion_does_not_grow_with_the_manifests(subject: Subject) {
    fill_tags(&subject).await;
    fill_edges(&subject).await;
    let mut fastest = Vec::new();
    for name in ["few", "many"] {
        let mut times = Vec::new();
        for number in 0..50 {
            let content = format!("to delete {number}");
            commit(&subject.state, name, &content).await;
            let begun = Instant::now();
            assert!(delete(&subject.state, name, &content, Timestamp::now()).await.unwrap());
            times.push(begun.elapsed());
        }
        fastest.push(times.into_iter().min().unwrap());
    }
    println!("a blob's deletion among few edges takes {:?}, among 100,000 {:?}", fastest[0], fastest[1]);
    assert_alike(fastest[0], fastest[1]);
}

/// A walk of a hundred thousand rows takes 4 ms and more, several times what a deletion does. The fastest of many are compared, since the
/// others tell how busy the disk was.
fn assert_alike(few: Duration, many: Duration) {
    assert!(many < few * 3 + Duration::from_millis(2), "{many:?} among 100,000, {few:?} among few");
}

async fn fastest_deletion(subject: &Subject, name: &str) -> Duration {
    let state = &subject.state;
    let mut times = Vec::new();
    for number in 0..50 {
        let tags = [format!("a{number}"), format!("z{number}")];
        let digest: Digest = put(state, name, &image(&format!("to delete {number}"), &["layer"]), &[&tags[0], &tags[1]]).await;
        let seen = state.tags_of(&repository(name), &digest).await.unwrap().unwrap();
        let revision = state.begin_change(&repository(name)).await.unwrap();
        let begun = Instant::now();
        state.delete_manifest(DeleteManifest { repository: repository(name), digest, tags: seen, revision }).await.unwrap();
        times.push(begun.elapsed());
    }
    times.into_iter().min().unwrap()
}
