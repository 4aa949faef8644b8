//! What must not grow with the number of tags and repositories. The figures are printed; what is asserted leaves room for a busy
//! machine, yet is far below what a walk of a hundred thousand rows takes on every page.

use std::time::{Duration, Instant};

use longshore_oci::Digest;

use super::{
    Subject, on_every_database,
    samples::{garbage, image, put, repository},
};
use crate::state::{DeleteManifest, ImageFilter};

on_every_database!(a_page_is_a_range_of_an_index, a_deletion_does_not_grow_with_the_tags);

/// The most that the slowest page of a hundred may take here. The promise is 10 ms on a machine that does nothing else.
const PAGE_LIMIT: Duration = Duration::from_millis(100);
const PAGES: usize = 300;

/// A hundred thousand tags of the repository `many`, each as if set by a push of its own, over ten manifests.
async fn fill_tags(subject: &Subject) {
    for number in 0..10 {
        put(&subject.state, "many", &image(&format!("config {number}"), &["layer"]), &[]).await;
    }
    let numbers = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99999)";
    let repository = "(SELECT id FROM repositories WHERE name = 'many')";
    for insert in [
        format!("INSERT INTO records (repository_id, revision, is_dead) {numbers} SELECT {repository}, 1000 + i, FALSE FROM n"),
        format!(
            "INSERT INTO record_subjects (repository_id, subject, revision) {numbers} SELECT {repository}, 'v' || (100000 + i), 1000 + i FROM n"
        ),
        format!(
            "INSERT INTO tags (repository_id, name, digest, revision, updated_at)
             {numbers} SELECT {repository}, 'v' || (100000 + i), m.digest, 1000 + i, 0 FROM n
             JOIN (SELECT digest, ROW_NUMBER() OVER (ORDER BY digest) - 1 AS place FROM manifests) AS m ON m.place = n.i % 10"
        ),
        "ANALYZE".to_owned(),
    ] {
        subject.execute(&insert).await;
    }
    subject.state.resume_revisions(1_000_000).await.unwrap();
}

async fn a_page_is_a_range_of_an_index(subject: Subject) {
    fill_tags(&subject).await;
    subject
        .execute(
            "INSERT INTO repositories (name, created_at) WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99999)
             SELECT 'team/r' || (100000 + i), 0 FROM n",
        )
        .await;
    subject.execute("ANALYZE").await;
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
        let filter = ImageFilter { repository: Some(repository("many")), after, limit: 10 };
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
    let (few, many) = (median_deletion(&subject, "few").await, median_deletion(&subject, "many").await);
    println!("a deletion among few tags takes {few:?}, among 100,000 {many:?}");
    assert!(many < few * 4 + Duration::from_millis(10), "{many:?} among 100,000 tags, {few:?} among few");
    let begun = Instant::now();
    while subject.state.retire_records(1000).await.unwrap() > 0 {}
    assert!(garbage(&subject.state).await.len() > 50);
    println!("retiring among 100,000 records that live takes {:?}", begun.elapsed());
    let begun = Instant::now();
    subject.state.retire_records(1000).await.unwrap();
    report(&subject, "finding that no record can be retired", begun.elapsed());
}

async fn median_deletion(subject: &Subject, name: &str) -> Duration {
    let state = &subject.state;
    let mut times = Vec::new();
    for number in 0..50 {
        let tags = [format!("a{number}"), format!("z{number}")];
        let digest: Digest = put(state, name, &image(&format!("to delete {number}"), &["layer"]), &[&tags[0], &tags[1]]).await;
        let seen = state.tags_of(&repository(name), &digest).await.unwrap().unwrap();
        let revision = state.next_revision().await.unwrap();
        let begun = Instant::now();
        state.delete_manifest(DeleteManifest { repository: repository(name), digest, tags: seen, revision }).await.unwrap();
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2]
}
