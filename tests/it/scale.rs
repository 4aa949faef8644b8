//! Many tags and repositories: a page takes as long as a page, not as long as the list.

use std::time::{Duration, Instant};

use longshore_tests::{Backend, Client, Image, Index, Registry, on_both_backends};

on_both_backends!(a_hundred_thousand_tags_are_paged_in_time, a_hundred_thousand_repositories_are_paged_in_time);

const COUNT: usize = 100_000;
const TAGS_AT_ONCE: usize = 50;
/// The goal is 10 ms at p99 on a quiet machine; a machine that runs other tests beside this one gets more.
const PAGE_LIMIT: Duration = Duration::from_millis(100);

/// Reads a whole list page by page and gives back the time of each page, the shortest first.
async fn page_through(client: &Client, path: &str, field: &str) -> Vec<Duration> {
    let mut times = Vec::new();
    let mut count = 0;
    let mut last = String::new();
    let mut next = Some(path.to_owned());
    while let Some(page) = next {
        let began = Instant::now();
        let answer = client.get(&page).await.expect(200);
        times.push(began.elapsed());
        for name in answer.texts(field) {
            assert!(last < name, "{last} before {name}");
            last = name;
            count += 1;
        }
        next = answer.next_page();
        assert!(times.len() <= COUNT, "the pages come to an end");
    }
    assert_eq!(count, COUNT);
    times.sort();
    times
}

fn assert_in_time(times: &[Duration], what: &str) {
    let p99 = times[times.len() * 99 / 100];
    println!("{what}: {} pages, p50 {:?}, p99 {p99:?}", times.len(), times[times.len() / 2]);
    assert!(p99 <= PAGE_LIMIT, "{what}: p99 of {} pages is {p99:?}", times.len());
}

async fn a_hundred_thousand_tags_are_paged_in_time(backend: Backend) {
    let registry = Registry::with(backend, &[("log.filter", "warn".into())]).await;
    let client = registry.client();
    let (image, other) = (Image::random(310, &[10]), Image::random(311, &[10]));
    client.push_image("scale/tags", "seed", &image).await;
    client.push_image("scale/tags", "other", &other).await;
    for batch in 0..COUNT / TAGS_AT_ONCE {
        let tags: Vec<String> = (0..TAGS_AT_ONCE).map(|number| format!("tag=t{:06}", batch * TAGS_AT_ONCE + number)).collect();
        let reference = format!("{}?{}", image.digest, tags.join("&"));
        client.put_manifest("scale/tags", &reference, &image.media_type, &image.manifest).await.expect(201);
    }
    client.delete("/v2/scale/tags/manifests/seed").await.expect(202);
    let began = Instant::now();
    client.delete(&format!("/v2/scale/tags/manifests/{}", other.digest)).await.expect(202);
    assert!(began.elapsed() < Duration::from_millis(500), "deleting one manifest beside {COUNT} tags took {:?}", began.elapsed());
    assert_in_time(&page_through(&client, "/v2/scale/tags/tags/list?n=100", "tags").await, "tags");
}

async fn a_hundred_thousand_repositories_are_paged_in_time(backend: Backend) {
    let registry = Registry::with(backend, &[("log.filter", "warn".into())]).await;
    let client = registry.client();
    client.push_image("scale/seed", "v1", &Image::random(312, &[10])).await;
    let index = registry.index();
    // Each with the seed's manifest, as a push would leave it; pushing them all would take the test's whole time.
    let numbers = match index {
        Index::Sqlite(_) => {
            format!("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {}) SELECT x FROM n", COUNT - 1)
        }
        Index::Postgres(_) => format!("SELECT x FROM generate_series(1, {}) AS g(x)", COUNT - 1),
    };
    let name = match index {
        Index::Sqlite(_) => "'scale/r' || printf('%06d', x)",
        Index::Postgres(_) => "'scale/r' || lpad(x::text, 6, '0')",
    };
    let manifest = "digest, media_type, annotations, content, revision, pushed_at";
    index
        .execute(&format!(
            "INSERT INTO repositories (name, created_at) SELECT {name}, 0 FROM ({numbers}) AS numbers; \
             INSERT INTO manifests (repository_id, {manifest}) SELECT r.id, {manifest} FROM repositories AS r, manifests WHERE r.name <> 'scale/seed'"
        ))
        .await;
    assert_in_time(&page_through(&client, "/v2/_catalog?n=100", "repositories").await, "repositories");
}
