//! Issuers: how administrators make, change and remove them.

use http::Method;
use longshore_tests::{Answer, Backend, Client, Federation, Image, Registry, TokenIssuer, on_both_backends, until};
use serde_json::{Value, json};

on_both_backends!(
    an_issuer_is_made_changed_and_removed,
    a_change_is_made_to_what_was_seen_alone,
    roles_go_with_what_they_are_for,
    issuers_outlive_a_restart_and_a_rebuilding,
);
longshore_tests::once!(issuers_are_for_administrators, issuers_are_bounded,);

const ISSUERS: &str = "/v2/_longshore/issuers";
const ROLES: &str = "/v2/_longshore/roles";

fn path(name: &str) -> String {
    format!("{ISSUERS}/{name}")
}

async fn put_if(client: &Client, name: &str, trust: &Value, condition: (&str, &str)) -> Answer {
    let request = client.request(Method::PUT, &path(name)).header("content-type", "application/json");
    Answer::to(request.header(condition.0, condition.1).body(trust.to_string())).await
}

fn trust() -> Value {
    json!({"url": "https://issuer.example", "audiences": ["registry.example"]})
}

async fn an_issuer_is_made_changed_and_removed(backend: Backend) {
    let registry = Registry::with_accounts(backend, &[("lists.max_page", 4.into())]).await;
    let admin = registry.admin();
    assert_eq!(admin.get(ISSUERS).await.expect(200).json(), json!({"issuers": []}));
    let made = admin.try_put_issuer("github", &trust()).await.expect(201);
    let issuer = made.json();
    assert_eq!(made.required("etag"), format!("\"{}\"", issuer["revision"]));
    let expected = json!({
        "name": "github", "url": "https://issuer.example", "audiences": ["registry.example"], "groupsClaim": "groups",
        "sessionSeconds": 3600, "rules": [], "revision": issuer["revision"], "createdAt": issuer["createdAt"],
        "changedAt": issuer["createdAt"],
    });
    assert_eq!(issuer, expected);
    issuer["createdAt"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let read = admin.get(&path("github")).await.expect(200);
    assert_eq!((read.json(), read.required("etag")), (issuer.clone(), made.required("etag")));

    let all = json!({
        "url": "https://other.example/realms/a", "audiences": ["a", "b"], "jwksUrl": "https://other.example/keys",
        "caCertificates": TokenIssuer::over_tls(&[]).await.certificate(), "groupsClaim": "/realm/roles", "sessionSeconds": 600,
        "rules": [{"name": "release", "claims": {"/a/b": "x", "ref": "refs/heads/*"}}],
    });
    let replaced = admin.try_put_issuer("github", &all).await.expect(200).json();
    for (member, value) in all.as_object().unwrap() {
        assert_eq!(&replaced[member], value);
    }
    assert_eq!(replaced["createdAt"], issuer["createdAt"]);
    let changed_at = |issuer: &Value| issuer["changedAt"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(changed_at(&replaced) > changed_at(&issuer), "{replaced}");
    assert!(replaced["revision"].as_u64() > issuer["revision"].as_u64(), "{replaced}");
    // What is not said is as if it were new.
    let plain = admin.try_put_issuer("github", &trust()).await.expect(200).json();
    assert!(plain.get("jwksUrl").is_none() && plain.get("caCertificates").is_none() && plain["rules"] == json!([]), "{plain}");

    let mut names = vec!["9", "a-b", "a.b", "a@b", "a_b", "check", "github"];
    for name in names.iter().filter(|name| **name != "github") {
        admin.put_issuer(name, &trust()).await;
    }
    names.sort_unstable();
    for query in ["?n=1", "?n=3", "", "?n=100"] {
        let (mut found, mut next) = (Vec::new(), Some(format!("{ISSUERS}{query}")));
        while let Some(page) = next {
            let answer = admin.get(&page).await.expect(200);
            let issuers = answer.json()["issuers"].as_array().unwrap().clone();
            assert!(issuers.len() <= 4 && found.len() < 20);
            found.extend(issuers.iter().map(|issuer| issuer["name"].as_str().unwrap().to_owned()));
            next = answer.next_page();
        }
        assert_eq!(found, names, "{query}");
    }
    admin.get(&path("a%40b")).await.expect(200);
    admin.delete(&path("github")).await.expect(204);
    for answer in [admin.get(&path("github")).await, admin.delete(&path("github")).await] {
        answer.expect_error(404, "ISSUER_UNKNOWN");
    }
    admin.check_issuer("github", "x").await.expect_error(404, "ISSUER_UNKNOWN");
    admin.try_put_issuer("github", &trust()).await.expect(201);
}

async fn a_change_is_made_to_what_was_seen_alone(backend: Backend) {
    let registry = Registry::with_accounts(backend, &[]).await;
    let admin = registry.admin();
    let none = ("if-none-match", "*");
    put_if(&admin, "ci", &trust(), ("if-match", "\"1\"")).await.expect_error(412, "ISSUER_CHANGED");
    admin.get(&path("ci")).await.expect_error(404, "ISSUER_UNKNOWN");
    let first = put_if(&admin, "ci", &trust(), none).await.expect(201).required("etag").to_owned();
    put_if(&admin, "ci", &trust(), none).await.expect_error(412, "ISSUER_CHANGED");
    let second = put_if(&admin, "ci", &trust(), ("if-match", &first)).await.expect(200).required("etag").to_owned();
    assert_ne!(first, second);
    let mut other = trust();
    other["audiences"] = json!(["other"]);
    put_if(&admin, "ci", &other, ("if-match", &first)).await.expect_error(412, "ISSUER_CHANGED");
    let read = admin.get(&path("ci")).await.expect(200);
    assert_eq!((&read.json()["audiences"], read.required("etag")), (&json!(["registry.example"]), second.as_str()));
    // Of many at once one is first.
    let puts = (0..8).map(|number| {
        let mut trust = trust();
        trust["audiences"] = json!([format!("audience-{number}")]);
        let (admin, second) = (admin.clone(), second.clone());
        async move { put_if(&admin, "ci", &trust, ("if-match", &second)).await.status.as_u16() }
    });
    let mut statuses = futures_util::future::join_all(puts).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412, 412, 412, 412, 412]);
    // One that was there before is another.
    let last = admin.get(&path("ci")).await.expect(200).required("etag").to_owned();
    admin.delete(&path("ci")).await.expect(204);
    put_if(&admin, "ci", &trust(), none).await.expect(201);
    put_if(&admin, "ci", &trust(), ("if-match", &last)).await.expect_error(412, "ISSUER_CHANGED");
    for condition in [("if-match", "1"), ("if-match", "\"x\""), ("if-match", "W/\"1\""), ("if-none-match", "\"1\"")] {
        put_if(&admin, "ci", &trust(), condition).await.expect_error(400, "UNSUPPORTED");
    }
    let now = admin.get(&path("ci")).await.expect(200).required("etag").to_owned();
    let delete = async |tag: &str| Answer::to(admin.request(Method::DELETE, &path("ci")).header("if-match", tag)).await;
    delete(&last).await.expect_error(412, "ISSUER_CHANGED");
    delete("*, *").await.expect_error(400, "UNSUPPORTED");
    delete(&now).await.expect(204);
    put_if(&admin, "ci", &trust(), ("if-match", "*")).await.expect_error(412, "ISSUER_CHANGED");
    put_if(&admin, "ci", &trust(), none).await.expect(201);
    put_if(&admin, "ci", &trust(), ("if-match", "*")).await.expect(200);
}

async fn roles_go_with_what_they_are_for(backend: Backend) {
    let registry = Registry::with_accounts(backend, &[]).await;
    let admin = registry.admin();
    let rule = |name: &str| json!({"name": name, "claims": {"sub": "*"}});
    let with = |rules: Value| {
        let mut trust = trust();
        trust["rules"] = rules;
        trust
    };
    // Names that begin like each other's.
    for name in ["ci", "ci-2"] {
        admin.put_issuer(name, &with(json!([rule("a"), rule("a-b")]))).await;
    }
    let subjects = ["rule:ci/a", "rule:ci/a-b", "group:ci/dev", "group:ci/acme/Team A", "rule:ci-2/a", "group:ci-2/dev"];
    for subject in subjects {
        admin.grant(subject, "pull", "team/*").await;
    }
    for subject in [
        "rule:ci/absent",
        "rule:absent/a",
        "group:absent/dev",
        "rule:ci",
        "rule:ci/",
        "group:ci/",
        "rule:",
        "team:ci/a",
        "ci:somebody",
    ] {
        let role = json!({"subject": subject, "actions": ["pull"], "repositories": "team/*"});
        let answer = admin.send_json(Method::POST, ROLES, &role).await;
        assert!([400, 404].contains(&answer.status.as_u16()), "{subject}: {answer:?}");
        answer.error_codes();
    }
    let left = async || {
        let roles = admin.get(ROLES).await.expect(200).json();
        let subjects = roles["roles"].as_array().unwrap().iter().map(|role| role["subject"].as_str().unwrap().to_owned());
        let mut subjects: Vec<String> = subjects.filter(|subject| subject != "admin").collect();
        subjects.sort();
        subjects
    };
    let of_one = admin.get(&format!("{ROLES}?subject=group%3Aci%2Facme%2FTeam%20A")).await.expect(200).json();
    assert_eq!(of_one["roles"].as_array().unwrap().len(), 1, "{of_one}");
    let mut all = subjects.map(str::to_owned);
    all.sort();
    assert_eq!(left().await, all);
    // A rule that stays keeps them, whatever else is changed.
    admin.put_issuer("ci", &with(json!([rule("new"), rule("a")]))).await;
    assert_eq!(left().await, ["group:ci-2/dev", "group:ci/acme/Team A", "group:ci/dev", "rule:ci-2/a", "rule:ci/a"]);
    // One that comes again comes without.
    admin.put_issuer("ci", &with(json!([rule("a"), rule("a-b")]))).await;
    assert_eq!(left().await.len(), 5);
    admin.delete(&path("ci")).await.expect(204);
    assert_eq!(left().await, ["group:ci-2/dev", "rule:ci-2/a"]);
    admin.put_issuer("ci", &with(json!([rule("a")]))).await;
    assert_eq!(left().await.len(), 2);
}

async fn issuers_outlive_a_restart_and_a_rebuilding(backend: Backend) {
    let mut federation = Federation::start(backend).await;
    let image = Image::random(830, &[100]);
    federation.registry.admin().push_image("team/app", "v1", &image).await;
    federation.registry.restart().await;
    let login = async |federation: &Federation| {
        let client = federation.bearing(&federation.token(&json!({})));
        assert_eq!(client.pull_image("team/app", "v1").await, image.digest);
    };
    login(&federation).await;
    let before = federation.registry.admin().get(ISSUERS).await.expect(200).json();
    federation.registry.kill9();
    let output = federation.registry.reindex().await;
    assert_eq!(output.code, Some(0), "{output}");
    federation.registry.restart().await;
    login(&federation).await;
    assert_eq!(federation.registry.admin().get(ISSUERS).await.expect(200).json(), before);
    if backend == Backend::Bucket {
        let replica = federation.registry.replica().await;
        federation.registry.admin().put_issuer("late", &trust()).await;
        let client = replica.client().as_basic("oidc", &federation.token(&json!({})));
        assert_eq!(client.pull_image("team/app", "v1").await, image.digest);
        assert_eq!(replica.admin().get(&path("late")).await.expect(200).json()["name"], "late");
        until("the replica to take its tokens", std::time::Duration::from_secs(5), async || {
            let rules = json!([{"name": "any", "claims": {"sub": "*"}}]);
            federation
                .registry
                .admin()
                .put_issuer("late", &federation.trust(&json!({"audiences": ["late"], "rules": rules})))
                .await;
            let token = federation.token(&json!({"aud": "late"}));
            (replica.client().as_basic("oidc", &token).get("/v2/").await.status == 200).then_some(())
        })
        .await;
    }
}

async fn issuers_are_for_administrators() {
    let registry = Registry::with_accounts(Backend::Folder, &[]).await;
    let admin = registry.admin();
    admin.put_issuer("ci", &trust()).await;
    let robot = admin.create_robot("almost", &[("admin", "team/**"), ("push", "**")]).await;
    let basic = registry.as_account(&robot);
    let bearer = basic.with_token(&["registry:admin:*", "repository:a:*"]).await;
    for (client, status, code) in [(&basic, 403, "DENIED"), (&bearer, 403, "DENIED"), (&registry.client(), 401, "UNAUTHORIZED")] {
        for name in ["ci", "absent"] {
            client.get(&path(name)).await.expect_error(status, code);
            client.try_put_issuer(name, &trust()).await.expect_error(status, code);
            client.delete(&path(name)).await.expect_error(status, code);
            client.check_issuer(name, "x").await.expect_error(status, code);
        }
        client.get(ISSUERS).await.expect_error(status, code);
    }
    admin.get(&path("ci")).await.expect(200);
    admin.get(&path("absent")).await.expect(404);
    // Where nobody is asked who they are there is nothing to log in to.
    let open = Registry::start(Backend::Folder).await;
    for answer in [open.client().get(ISSUERS).await, open.client().try_put_issuer("ci", &trust()).await] {
        answer.expect_error(404, "UNSUPPORTED");
    }
}

async fn issuers_are_bounded() {
    let registry = Registry::with_accounts(Backend::Folder, &[("auth.max_issuers", 2.into())]).await;
    let admin = registry.admin();
    admin.try_put_issuer("a", &trust()).await.expect(201);
    admin.try_put_issuer("b", &trust()).await.expect(201);
    let answer = admin.try_put_issuer("c", &trust()).await;
    assert!([400, 403, 409].contains(&answer.status.as_u16()), "{answer:?}");
    assert!(answer.json()["errors"][0]["message"].as_str().unwrap().contains("auth.max_issuers"), "{answer:?}");
    admin.try_put_issuer("a", &trust()).await.expect(200);
    admin.delete(&path("a")).await.expect(204);
    admin.try_put_issuer("c", &trust()).await.expect(201);
}
