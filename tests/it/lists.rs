//! distribution-spec, "Listing Tags", and the catalog.

use longshore_tests::{Backend, Client, Image, Registry, on_both_backends};

on_both_backends!(
    tags_come_in_ascii_order,
    tags_are_paged,
    repositories_are_paged,
    a_page_is_bounded,
    bounds_that_are_no_number_are_refused,
    images_are_listed
);

async fn push_tags(client: &Client, repository: &str, tags: &[&str]) {
    let image = Image::random(60, &[10]);
    client.push_image(repository, tags[0], &image).await;
    for tag in tags {
        client.put_manifest(repository, tag, &image.media_type, &image.manifest).await.expect(201);
    }
}

/// "the tags MUST be in lexical [...] or 'ASCIIbetical' (Go's sort.Strings) order"; ours is the latter.
async fn tags_come_in_ascii_order(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let mut tags = ["b", "B", "a", "A", "10", "9", "_x", "a.b", "a-b", "aa", "Z", "z"];
    push_tags(&client, "lists/order", &tags).await;
    tags.sort_unstable();
    let answer = client.get("/v2/lists/order/tags/list").await.expect(200);
    assert_eq!(answer.json()["name"], "lists/order");
    assert_eq!(answer.texts("tags"), tags);
    assert_eq!(answer.required("content-type"), "application/json");
    client.get("/v2/lists/nowhere/tags/list").await.expect_error(404, "NAME_UNKNOWN");
}

async fn tags_are_paged(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    push_tags(&client, "lists/pages", &["a", "b", "c", "d", "e"]).await;
    let path = "/v2/lists/pages/tags/list";
    let first = client.get(&format!("{path}?n=2")).await.expect(200);
    assert_eq!(first.texts("tags"), ["a", "b"]);
    let second = client.get(&first.next_page().expect("there is more")).await.expect(200);
    assert_eq!(second.texts("tags"), ["c", "d"]);
    let third = client.get(&second.next_page().expect("there is more")).await.expect(200);
    assert_eq!(third.texts("tags"), ["e"]);
    assert_eq!(third.next_page(), None);
    // "When n is zero, this endpoint MUST return an empty list, and MUST NOT include a Link header."
    let none = client.get(&format!("{path}?n=0")).await.expect(200);
    assert!(none.texts("tags").is_empty() && none.next_page().is_none());
    // "<tagname> will not be included in the results", and it need not be there.
    assert_eq!(client.get(&format!("{path}?n=2&last=b")).await.expect(200).texts("tags"), ["c", "d"]);
    assert_eq!(client.get(&format!("{path}?last=bb")).await.expect(200).texts("tags"), ["c", "d", "e"]);
    assert!(client.get(&format!("{path}?last=e")).await.expect(200).texts("tags").is_empty());
    let exact = client.get(&format!("{path}?n=5")).await.expect(200);
    assert_eq!((exact.texts("tags").len(), exact.next_page()), (5, None));
}

async fn repositories_are_paged(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    assert!(client.get("/v2/_catalog").await.expect(200).texts("repositories").is_empty());
    let mut names = ["lists/b", "lists/a", "lists", "lists/a/b", "lists-a", "lists.a", "lists0", "m"];
    for name in names {
        push_tags(&client, name, &["v1"]).await;
    }
    names.sort_unstable();
    assert_eq!(client.get("/v2/_catalog").await.expect(200).texts("repositories"), names);
    let mut next = Some("/v2/_catalog?n=3".to_owned());
    let mut found = Vec::new();
    while let Some(page) = next {
        let answer = client.get(&page).await.expect(200);
        found.extend(answer.texts("repositories"));
        next = answer.next_page();
        assert!(found.len() <= names.len());
    }
    assert_eq!(found, names);
    assert_eq!(client.get("/v2/_catalog?n=1&last=lists/a").await.expect(200).texts("repositories"), ["lists/a/b"]);
    let none = client.get("/v2/_catalog?n=0").await.expect(200);
    assert!(none.texts("repositories").is_empty() && none.next_page().is_none());
}

/// "The response [...] MAY return fewer than <int> results, but only when [...] a Link header is provided."
async fn a_page_is_bounded(backend: Backend) {
    let registry = Registry::with(backend, &[("lists.max_page", 3.into())]).await;
    let client = registry.client();
    push_tags(&client, "lists/bounded", &["a", "b", "c", "d"]).await;
    for query in ["", "?n=100", "?n=99999999"] {
        let answer = client.get(&format!("/v2/lists/bounded/tags/list{query}")).await.expect(200);
        assert_eq!(answer.texts("tags"), ["a", "b", "c"]);
        let rest = client.get(&answer.next_page().expect("there is more")).await.expect(200);
        assert_eq!((rest.texts("tags"), rest.next_page()), (vec!["d".to_owned()], None));
    }
}

async fn bounds_that_are_no_number_are_refused(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    push_tags(&client, "lists/bounds", &["a"]).await;
    for n in ["x", "-1", "1.5"] {
        client.get(&format!("/v2/lists/bounds/tags/list?n={n}")).await.expect_error(400, "PAGINATION_NUMBER_INVALID");
        client.get(&format!("/v2/_catalog?n={n}")).await.expect_error(400, "PAGINATION_NUMBER_INVALID");
    }
}

/// Our own extension: the newest state of every tag, with sizes.
async fn images_are_listed(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let image = Image::random(61, &[1000, 2000]);
    client.push_image("lists/images", "v1", &image).await;
    let answer = client.get("/v2/_longshore/images").await.expect(200).json();
    let listed = &answer["images"][0];
    let size_bytes = image.manifest.len() + image.blobs.iter().map(bytes::Bytes::len).sum::<usize>();
    assert_eq!((&listed["repository"], &listed["tag"]), (&"lists/images".into(), &"v1".into()));
    assert_eq!((&listed["digest"], &listed["sizeBytes"]), (&image.digest.as_str().into(), &size_bytes.into()));
    assert_eq!((&listed["platforms"][0], &listed["sharedBytes"]), (&"linux/amd64".into(), &0.into()));
    let one = client.get("/v2/lists/images/_longshore/images/v1").await.expect(200).json();
    assert_eq!(one["manifests"][0]["layers"].as_array().unwrap().len(), 2);
    let layer = one["manifests"][0]["layers"][0]["digest"].as_str().unwrap();
    let metainfo = client.get(&format!("/v2/lists/images/_longshore/metainfo/{layer}")).await.expect(200).json();
    assert_eq!((&metainfo["sizeBytes"], &metainfo["pieceSizeBytes"]), (&1000.into(), &1_048_576.into()));
    assert_eq!(metainfo["pieces"].as_array().unwrap().len(), 1);
}
