//! What must not grow with the number of tags and repositories. The figures are printed; what is asserted is that the fastest of many
//! takes among a hundred thousand what it takes among few, which holds on a busy machine too.

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

/// How many there are where there are few: more than any page has.
const FEW: usize = 2_000;
/// And where there are many.
const MANY: usize = 100_000;
const PAGES: usize = 300;

/// Gives each number one of ten manifests.
const SPREAD: &str =
    "JOIN (SELECT digest, ROW_NUMBER() OVER (ORDER BY digest) - 1 AS place FROM manifests) AS m ON m.place = n.i % 10";

/// Gathers statistics where the server does so by itself. SQLite plans without any.
async fn analyze(subject: &Subject) {
    if !subject.state.is_exclusive() {
        subject.execute("ANALYZE").await;
    }
}

/// So many numbers from 0, as `n`.
fn numbers(count: usize) -> String {
    format!("WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {count} - 1)")
}

fn id_of(name: &str) -> String {
    format!("(SELECT id FROM repositories WHERE name = '{name}')")
}

/// So many tags of a repository, each as if set by a push of its own, over ten manifests.
async fn fill_tags(subject: &Subject, name: &str, count: usize) {
    for number in 0..10 {
        put(&subject.state, name, &image(&format!("config {number}"), &["layer"]), &[]).await;
    }
    let (numbers, repository, spread) = (numbers(count), id_of(name), SPREAD);
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
    let (numbers, repository, spread) = (numbers(MANY), id_of("many"), SPREAD);
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
    let mut fastest = Vec::new();
    for (name, count) in [("few", FEW), ("many", MANY)] {
        fill_tags(&subject, name, count).await;
        let numbers = numbers(count);
        subject
            .execute(&format!(
                "INSERT INTO repositories (name, created_at) {numbers} SELECT '{name}/r' || (100000 + i), 0 FROM n"
            ))
            .await;
        analyze(&subject).await;
        fastest.push(pages(&subject, name, count).await);
    }
    for (few, many) in fastest[0].iter().zip(&fastest[1]) {
        assert_alike(*few, *many);
    }
}

/// The times of the fastest pages of a repository's tags, of repositories below it, and of its images.
async fn pages(subject: &Subject, name: &str, count: usize) -> Vec<Duration> {
    let state = &subject.state;
    let mut fastest = Vec::new();
    for limit in [100, 1000] {
        let tags = times(count, async |place| {
            let page = state.tags(&repository(name), &format!("v{}", 100_000 + place), limit).await.unwrap().unwrap();
            assert_eq!(page.first().map(String::as_str), Some(format!("v{}", 100_001 + place).as_str()));
        })
        .await;
        fastest.push(report(subject, &format!("a page of {limit} of {count} tags"), &tags));
        let repositories = times(count, async |place| {
            let page = state.repositories(&format!("{name}/r{}", 100_000 + place), limit).await.unwrap();
            assert_eq!(page.first(), Some(&format!("{name}/r{}", 100_001 + place)));
        })
        .await;
        fastest.push(report(subject, &format!("a page of {limit} of {count} repositories"), &repositories));
    }
    let images = times(count, async |place| {
        let after = (name.to_owned(), format!("v{}", 100_000 + place));
        let filter = ImageFilter { repository: Some(repository(name)), after, limit: 10, sharing: Sharing::Anywhere };
        assert_eq!(state.images(filter).await.unwrap()[0].tag, format!("v{}", 100_001 + place));
    })
    .await;
    fastest.push(report(subject, &format!("a page of 10 of {count} images"), &images));
    fastest
}

/// What pages take at places all over a list, the fastest first. Each has its full length.
async fn times(count: usize, page: impl AsyncFn(usize)) -> Vec<Duration> {
    let mut times = Vec::with_capacity(PAGES);
    for turn in 0..PAGES {
        let begun = Instant::now();
        page(turn * 7919 % (count - 1000)).await;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    times
}

/// Prints what something takes, and gives the fastest.
fn report(subject: &Subject, what: &str, times: &[Duration]) -> Duration {
    let database = if subject.state.is_exclusive() { "SQLite" } else { "PostgreSQL" };
    let (fastest, p99) = (times[0], times[times.len() * 99 / 100]);
    println!("{database}: {what}, fastest {fastest:?}, p99 {p99:?}");
    fastest
}

async fn a_deletion_does_not_grow_with_the_tags(subject: Subject) {
    let few = deletions(&subject, "few").await;
    fill_tags(&subject, "many", MANY).await;
    fill_edges(&subject).await;
    let many = deletions(&subject, "many").await;
    for (few, many) in few.into_iter().zip(many) {
        assert_alike(few, many);
    }
}

/// The times of the fastest deletion in a repository, of the fastest retirement of a record that it left, and of finding none.
async fn deletions(subject: &Subject, name: &str) -> [Duration; 3] {
    let deletion = fastest_deletion(subject, name).await;
    let mut retirements = Vec::new();
    loop {
        let begun = Instant::now();
        if subject.state.retire_records(1).await.unwrap() == 0 {
            break;
        }
        retirements.push(begun.elapsed());
    }
    assert!(retirements.len() >= 50 && garbage(&subject.state).await.len() >= 50, "{}", retirements.len());
    let mut searches = Vec::new();
    for _ in 0..50 {
        let begun = Instant::now();
        subject.state.retire_records(1000).await.unwrap();
        searches.push(begun.elapsed());
    }
    let [retirement, search] =
        [("retiring a record", retirements), ("finding that none can be retired", searches)].map(|(what, mut times)| {
            times.sort_unstable();
            report(subject, &format!("{what}, {name}"), &times)
        });
    [deletion, retirement, search]
}

async fn a_blobs_deletion_does_not_grow_with_the_manifests(subject: Subject) {
    fill_tags(&subject, "many", MANY).await;
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
