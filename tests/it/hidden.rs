//! Who may not pull something can't tell whether it is there.

use std::collections::BTreeMap;

use http::Method;
use longshore_oci::{Algorithm, Digest};
use longshore_tests::{Answer, Backend, Client, Image, Registry, artifact, on_both_backends};
use serde_json::{Value, json};

on_both_backends!(
    a_hidden_repository_answers_like_one_that_is_not_there,
    lists_leave_out_what_is_hidden,
    a_blob_is_not_had_through_another_repository,
    what_is_shared_with_hidden_images_is_not_told,
);

/// As long as each other, so that lengths are alike as well.
const HIDDEN: &str = "hidden/app";
const ABSENT: &str = "absent/app";

/// All of an answer that tells something, the one repository's name put for the other's.
fn shape(answer: &Answer) -> (u16, BTreeMap<String, String>, String) {
    let neutral = |text: &str| text.replace(HIDDEN, "*").replace(ABSENT, "*");
    let own = ["x-request-id", "date"];
    let headers = answer.headers.iter().filter(|(name, _)| !own.contains(&name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), neutral(&String::from_utf8_lossy(value.as_bytes())))).collect();
    (answer.status.as_u16(), headers, neutral(&String::from_utf8_lossy(&answer.body)))
}

async fn a_hidden_repository_answers_like_one_that_is_not_there(backend: Backend) {
    let registry = Registry::with_accounts(backend, &[]).await;
    let admin = registry.admin();
    let image = Image::random(710, &[500]);
    let referrer = artifact("application/vnd.example.sbom", &image.descriptor(), &json!({}));
    admin.push_image(HIDDEN, "v1", &image).await;
    admin.push_image(HIDDEN, referrer.digest.as_str(), &referrer).await;
    let upload = admin.begin_upload(HIDDEN, "").await.location;
    let upload = upload.rsplit_once('/').unwrap().1.to_owned();
    let layer = Digest::of(Algorithm::Sha256, &image.blobs[1]);
    let digest = &image.digest;
    let tails = [
        "manifests/v1".to_owned(),
        "manifests/absent".into(),
        format!("manifests/{digest}"),
        format!("blobs/{layer}"),
        "tags/list".into(),
        "tags/list?n=1&last=a".into(),
        format!("referrers/{digest}"),
        "_longshore/images/v1".into(),
        format!("_longshore/metainfo/{layer}"),
        format!("blobs/uploads/{upload}"),
        "blobs/uploads/".into(),
        format!("blobs/uploads/?mount={layer}&from=own/app"),
    ];
    let robot = admin.create_robot("stranger", &[("push", "own/**"), ("delete", "own/**")]).await;
    let basic = registry.as_account(&robot);
    let scopes = [HIDDEN, ABSENT].map(|name| format!("repository:{name}:pull,push,delete"));
    let bearer = basic.with_token(&[&scopes[0], &scopes[1]]).await;
    let anonymous = registry.client();
    let anonymous_bearer = anonymous.with_token(&[&scopes[0], &scopes[1]]).await;
    for (client, status) in [(&basic, 403), (&bearer, 403), (&anonymous, 401), (&anonymous_bearer, 401)] {
        for tail in &tails {
            for method in [Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::PATCH, Method::DELETE] {
                let ask = async |name: &str| {
                    let request = client.request(method.clone(), &format!("/v2/{name}/{tail}"));
                    shape(&Answer::to(request.header("if-none-match", format!("\"{digest}\""))).await)
                };
                let (hidden, absent) = (ask(HIDDEN).await, ask(ABSENT).await);
                assert_eq!(hidden, absent, "{method} {tail}");
                // Where the path has no such method that may be said first.
                assert!([status, 405].contains(&hidden.0), "{method} {tail}: {hidden:?}");
            }
        }
    }
    assert_eq!(admin.pull_image(HIDDEN, "v1").await, image.digest);
}

/// All pages from `path` on, each as its entries and the `Link` that it bore, where the entries are cut down by `name`.
async fn pages(client: &Client, path: &str, field: &str, name: impl Fn(&Value) -> String) -> Vec<(Vec<String>, Option<String>)> {
    let (mut pages, mut next) = (Vec::new(), Some(path.to_owned()));
    while let Some(page) = next {
        let answer = client.get(&page).await.expect(200);
        let entries = answer.json()[field].as_array().unwrap().iter().map(&name).collect();
        next = answer.next_page();
        pages.push((entries, next.clone()));
        assert!(pages.len() < 20, "it ends: {pages:?}");
    }
    pages
}

async fn lists_leave_out_what_is_hidden(backend: Backend) {
    let registry = Registry::with_accounts(backend, &[]).await;
    let admin = registry.admin();
    let image = Image::random(711, &[500]);
    for letter in ["a", "b", "c", "d", "e", "f", "g"] {
        admin.push_image(&format!("lists/{letter}"), "v1", &image).await;
    }
    let visible = ["lists/b", "lists/d", "lists/f"];
    let robot = admin.create_robot("reader", &visible.map(|name| ("pull", name))).await;
    let basic = registry.as_account(&robot);
    let bearer = basic.with_token(&["registry:catalog:*"]).await;
    for client in [&basic, &bearer] {
        assert_eq!(client.get("/v2/_catalog").await.expect(200).texts("repositories"), visible);
        let found = pages(client, "/v2/_catalog?n=1", "repositories", |name| name.as_str().unwrap().to_owned()).await;
        // As if there were no others: a page more at the end would tell of them.
        assert_eq!(found.iter().map(|(names, _)| names.join(" ")).collect::<Vec<_>>(), visible, "{found:?}");
        let links: Vec<&str> = found.iter().filter_map(|(_, link)| link.as_deref()).collect();
        assert!(links.iter().all(|link| ["lists%2Fb", "lists%2Fd"].iter().any(|last| link.ends_with(last))), "{links:?}");
        // What a caller says itself it may say, whether it is there or not.
        for last in ["lists/c", "lists/cc"] {
            let rest = client.get(&format!("/v2/_catalog?last={last}")).await.expect(200);
            assert_eq!((rest.texts("repositories"), rest.next_page()), (vec!["lists/d".into(), "lists/f".into()], None));
        }
        assert_eq!(client.get("/v2/_catalog?n=3").await.expect(200).next_page(), None);
    }
    let path = "/v2/_longshore/images";
    let found = pages(&basic, &format!("{path}?n=1"), "images", |image| image["repository"].as_str().unwrap().to_owned()).await;
    assert_eq!(found.iter().map(|(names, _)| names.join(" ")).collect::<Vec<_>>(), visible, "{found:?}");
    for hidden in ["a", "c", "e", "g"] {
        let is_told =
            |(_, link): &(Vec<String>, Option<String>)| link.iter().any(|link| link.contains(&format!("lists%2F{hidden}")));
        assert!(!found.iter().any(is_told), "{found:?}");
    }
    for (all, one, none) in [
        (&basic, path.to_owned() + "?repository=lists/b", path.to_owned() + "?repository=lists/a"),
        (&admin, path.to_owned() + "?repository=lists/a", path.to_owned() + "?repository=lists/absent"),
    ] {
        assert_eq!(all.get(&one).await.expect(200).json()["images"].as_array().unwrap().len(), 1);
        let none = all.get(&none).await.expect(200);
        assert_eq!((none.json(), none.next_page()), (json!({"images": []}), None));
    }
    for (path, field) in [("/v2/_catalog?n=1", "repositories"), ("/v2/_longshore/images?n=1", "images")] {
        let nothing = registry.client().with_token(&["registry:catalog:*"]).await.get(path).await.expect(200);
        assert!(nothing.json()[field].as_array().unwrap().is_empty() && nothing.next_page().is_none(), "{nothing:?}");
    }
    assert_eq!(admin.get("/v2/_catalog").await.expect(200).texts("repositories").len(), 7);
    assert_eq!(basic.get("/v2/lists/b/tags/list?n=1").await.expect(200).texts("tags"), ["v1"]);
}

async fn a_blob_is_not_had_through_another_repository(backend: Backend) {
    let registry = Registry::with_accounts(backend, &[]).await;
    let admin = registry.admin();
    let image = Image::random(712, &[500]);
    for repository in [HIDDEN, "shown/app"] {
        admin.push_image(repository, "v1", &image).await;
    }
    let secret = admin.push_blob(HIDDEN, &longshore_tests::Random::seeded(713).bytes(300)).await;
    let shown = Digest::of(Algorithm::Sha256, &image.blobs[1]);
    let robot = admin.create_robot("mounter", &[("push", "own/**"), ("pull", "shown/**")]).await;
    let basic = registry.as_account(&robot);
    let scopes = ["own/app:pull,push", "own/mounted:pull,push", "shown/app:pull", "hidden/app:pull"];
    let scopes = scopes.map(|scope| format!("repository:{scope}"));
    let bearer = basic.with_token(&scopes.each_ref().map(String::as_str)).await;
    for client in [&basic, &bearer] {
        let mut shapes = Vec::new();
        for query in [
            format!("mount={secret}&from={HIDDEN}"),
            format!("mount={secret}&from={ABSENT}"),
            format!("mount={secret}"),
            format!("mount={}&from={ABSENT}", image.digest),
        ] {
            let answer = client.post(&format!("/v2/own/app/blobs/uploads/?{query}")).await.expect(202);
            let upload = answer.required("docker-upload-uuid").to_owned();
            let (status, mut headers, body) = shape(&answer);
            for value in headers.values_mut() {
                *value = value.replace(&upload, "*");
            }
            shapes.push((status, headers, body));
        }
        assert!(shapes.iter().all(|shape| *shape == shapes[0]), "{shapes:?}");
        for path in [format!("blobs/{secret}"), format!("_longshore/metainfo/{secret}"), format!("blobs/{shown}")] {
            client.get(&format!("/v2/own/app/{path}")).await.expect_error(404, "BLOB_UNKNOWN");
        }
        // A manifest does not bring in what it names.
        let thief = Image::of(image.blobs[0].clone(), vec![longshore_tests::Random::seeded(713).bytes(300)]);
        client.push_blob("own/app", &image.blobs[0]).await;
        let answer = client.put_manifest("own/app", "v1", &thief.media_type, &thief.manifest).await;
        answer.expect_error(404, "MANIFEST_BLOB_UNKNOWN");
        client.post(&format!("/v2/own/mounted/blobs/uploads/?mount={shown}&from=shown/app")).await.expect(201);
        assert_eq!(client.pull_blob("own/mounted", &shown).await, image.blobs[1]);
        client.delete(&format!("/v2/own/mounted/blobs/{shown}")).await.expect_error(403, "DENIED");
    }
}

/// Who can guess content could otherwise ask whether anybody here has it.
async fn what_is_shared_with_hidden_images_is_not_told(backend: Backend) {
    let registry = Registry::with_accounts(backend, &[]).await;
    let admin = registry.admin();
    let (common, alone) = (Image::random(714, &[5000]), Image::random(715, &[5000]));
    admin.push_image(HIDDEN, "v1", &common).await;
    let robot = admin.create_robot("guesser", &[("push", "own/**")]).await;
    let client = registry.as_account(&robot);
    // The same layer under a manifest of its own.
    let guess = |image: &Image| Image::of("{}".into(), vec![image.blobs[1].clone()]);
    for (tag, image) in [("common", guess(&common)), ("alone", guess(&alone))] {
        client.push_image("own/app", tag, &image).await;
    }
    let told = async |tag: &str| {
        let image = client.get(&format!("/v2/own/app/_longshore/images/{tag}")).await.expect(200).json();
        let layer = image["manifests"][0]["layers"][0]["sharedWith"].clone();
        let listed = client.get("/v2/_longshore/images?repository=own/app").await.expect(200).json();
        let listed = listed["images"].as_array().unwrap().iter().find(|image| image["tag"] == tag).cloned().unwrap();
        (image["sharedBytes"].clone(), layer, listed["sharedBytes"].clone())
    };
    assert_eq!(told("common").await, told("alone").await);
}
