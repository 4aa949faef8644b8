//! The token service (distribution, "Token Authentication Specification"): what a token says, and which are taken.

use std::collections::{BTreeMap, BTreeSet};

use http::{Method, header};
use longshore_oci::{Algorithm, Digest};
use longshore_service::signing::KeySet;
use longshore_tests::{Answer, Backend, Client, Image, Random, Registry, on_both_backends};
use serde_json::{Value, json};

on_both_backends!(a_token_says_what_was_granted_of_what_was_asked, a_token_is_for_one_service);
longshore_tests::once!(
    a_token_is_had_by_form_too,
    a_narrow_token_allows_what_it_says_alone,
    a_peer_s_token_is_for_its_neighbours
);

const KIND: &str = "longshore-access.v1+jwt";

/// What a token holds, by type and name.
type Access = BTreeMap<String, BTreeSet<String>>;

fn access(claims: &Value) -> Access {
    let mut access = Access::new();
    for scope in claims["access"].as_array().expect("a token says what it is for") {
        let actions = scope["actions"].as_array().unwrap().iter().map(|action| action.as_str().unwrap().to_owned());
        let name = format!("{}:{}", scope["type"].as_str().unwrap(), scope["name"].as_str().unwrap());
        access.entry(name).or_default().extend(actions);
    }
    access.retain(|_, actions| !actions.is_empty());
    access
}

fn expected(access: &[(&str, &[&str])]) -> Access {
    let actions = |actions: &[&str]| actions.iter().map(|action| (*action).to_owned()).collect();
    access.iter().map(|(name, held)| ((*name).to_owned(), actions(held))).collect()
}

async fn keys(client: &Client) -> KeySet {
    let answer = client.get("/v2/_longshore/keys").await.expect(200);
    serde_json::from_slice(&answer.body).unwrap()
}

/// That an answer is a 401 whose challenge gives this reason.
#[track_caller]
fn refused_for(answer: Answer, reason: &str) {
    let answer = answer.expect(401);
    let challenge = answer.required("www-authenticate");
    assert!(challenge.starts_with("Bearer ") && challenge.ends_with(&format!(",error=\"{reason}\"")), "{challenge}");
}

/// What is asked for, and what of it is granted: on what, and which actions.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a [&'a str])]);

async fn a_token_says_what_was_granted_of_what_was_asked(backend: Backend) {
    let registry = Registry::with_accounts(backend, &[]).await;
    let roles = [("push", "team/app"), ("pull", "team/*"), ("delete", "team/old")];
    let robot = registry.admin().create_robot("ci", &roles).await;
    let client = registry.as_account(&robot);
    let keys = keys(&registry.client()).await;
    let both: &[&str] = &["pull", "push"];
    let cases: [Case<'_>; 17] = [
        (&[], &[]),
        (&["repository:team/app:pull"], &[("repository:team/app", &["pull"])]),
        (&["repository:team/app:pull,push"], &[("repository:team/app", both)]),
        (&["repository:team/app:pull,push,delete"], &[("repository:team/app", both)]),
        (&["repository:team/lib:pull,push"], &[("repository:team/lib", &["pull"])]),
        (&["repository:team/old:delete"], &[("repository:team/old", &["delete"])]),
        (&["repository:other/app:pull,push"], &[]),
        (&["registry:catalog:*"], &[("registry:catalog", &["*"])]),
        // Each in a parameter of its own, or all in one.
        (
            &["repository:team/app:push", "repository:team/lib:pull"],
            &[("repository:team/app", &["push"]), ("repository:team/lib", &["pull"])],
        ),
        (
            &["repository:team/app:push repository:other/app:pull repository:team/lib:pull"],
            &[("repository:team/app", &["push"]), ("repository:team/lib", &["pull"])],
        ),
        (&["repository:team/app:pull", "repository:team/app:push"], &[("repository:team/app", both)]),
        (&["repository:team/app:pull,pull,fly,,push"], &[("repository:team/app", both)]),
        // Of other types, or of none.
        (&["plugin:team/app:pull", "registry:accounts:*", "repository(plugin):team/app:pull"], &[]),
        (&["", " ", "repository", "repository:", "repository:team/app", "::", ":::", "repository:team/app:"], &[]),
        (&["repository:Team/App:pull", "repository:../app:pull", "repository:**:pull", "repository:team/*:pull"], &[]),
        (&["repository:team/app:fly", "\u{0}", "é:é:é", "\"\\"], &[]),
        (&["repository:team/app:pull x repository", "y"], &[("repository:team/app", &["pull"])]),
    ];
    for (scopes, granted) in cases {
        let claims: Value = keys.check(KIND, &client.token(scopes).await).expect("it is signed by a key that is published");
        assert_eq!(access(&claims), expected(granted), "{scopes:?}");
    }
    // "*" is more than this robot may; what of it there is may be granted.
    let claims: Value = keys.check(KIND, &client.token(&["repository:team/app:*"]).await).unwrap();
    let actions: BTreeSet<String> = access(&claims).into_values().flatten().collect();
    assert!(!actions.contains("delete") && !actions.contains("*"), "{claims}");
    let claims: Value =
        keys.check(KIND, &registry.admin().token(&["repository:a:*", "repository:b:pull,push,delete"]).await).unwrap();
    assert!(access(&claims)["repository:b"].len() == 3 && access(&claims).contains_key("repository:a"), "{claims}");
    for query in ["?scope=%ff", "?scope=%", "?scope&service", &format!("?{}", "scope=a:b:c&".repeat(500))] {
        let answer = client.get(&format!("/token{query}")).await;
        assert!(answer.status.as_u16() < 500, "{query}: {answer:?}");
    }

    let before = jiff::Timestamp::now().as_second();
    let query = "scope=repository:team/app:pull&client_id=docker&account=ci";
    let answer = client.get(&format!("/token?service={}&{query}", registry.authority())).await.expect(200);
    assert_eq!(answer.required("content-type"), "application/json");
    let told = answer.json();
    assert_eq!((&told["token"], &told["expires_in"]), (&told["access_token"], &json!(300)));
    let issued_at: jiff::Timestamp = told["issued_at"].as_str().unwrap().parse().unwrap();
    let claims: Value = keys.check(KIND, told["token"].as_str().unwrap()).unwrap();
    let number = |name: &str| claims[name].as_i64().unwrap_or_else(|| panic!("{name} is a number: {claims}"));
    assert_eq!((number("exp") - number("iat"), number("iat")), (300, issued_at.as_second()));
    assert!(number("nbf") <= number("iat") && (number("iat") - before).abs() <= 5, "{claims}");
    assert_eq!((&claims["sub"], &claims["aud"], claims.get("peerId")), (&json!("ci"), &json!("longshore"), None));
    assert!(!claims["iss"].as_str().unwrap().is_empty());
    // Whoever is asked says who it is; a token for another is not had by asking.
    let elsewhere = client.get("/token?service=elsewhere.example").await;
    assert!([200, 400].contains(&elsewhere.status.as_u16()), "{elsewhere:?}");
    if elsewhere.status == 200 {
        let claims: Value = keys.check(KIND, elsewhere.json()["token"].as_str().unwrap()).unwrap();
        assert_eq!(claims["aud"], "longshore");
    }
    let other: Value = keys.check(KIND, &client.token(&["repository:team/app:pull"]).await).unwrap();
    assert_ne!(claims["jti"], other["jti"]);
    let nobody: Value = keys.check(KIND, &registry.client().token(&["repository:team/app:pull"]).await).unwrap();
    assert_eq!((&nobody["sub"], access(&nobody)), (&json!(""), Access::new()));
    // Nothing outlives whom it is for.
    let end = (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(100)).to_string();
    let short = registry.admin().create_account(&json!({"name": "short", "kind": "robot", "expiresAt": end})).await;
    let short = registry.client().as_basic("short", short["secret"].as_str().unwrap()).ask_token(&[]).await.expect(200).json();
    let claims: Value = keys.check(KIND, short["token"].as_str().unwrap()).unwrap();
    let held = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert!((60..=100).contains(&held) && short["expires_in"] == held, "{short} {claims}");
    for wrong in [client.as_basic("ci", "wrong"), client.as_basic("nobody", &robot.secret), client.as_basic("", "")] {
        wrong.ask_token(&["repository:team/app:pull"]).await.expect_error(401, "UNAUTHORIZED");
    }
}

/// RFC 6749, section 4.3, as containerd asks.
async fn a_token_is_had_by_form_too() {
    let registry = Registry::with_accounts(Backend::Folder, &[]).await;
    let robot = registry.admin().create_robot("ci", &[("push", "team/app")]).await;
    let client = registry.client();
    let post = async |body: String| {
        let request = client.request(Method::POST, "/token").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        Answer::to(request.body(body)).await
    };
    let form = |grant: &str, secret: &str| {
        format!(
            "grant_type={grant}&username=ci&password={secret}&service={}&client_id=containerd-client&access_type=offline\
             &scope=repository%3Ateam%2Fapp%3Apull%2Cpush+repository%3Aother%2Fapp%3Apull",
            registry.authority()
        )
    };
    let answer = post(form("password", &robot.secret)).await.expect(200).json();
    let claims: Value = keys(&client).await.check(KIND, answer["access_token"].as_str().unwrap()).unwrap();
    assert_eq!(access(&claims), expected(&[("repository:team/app", &["pull", "push"])]));
    assert_eq!((&answer["scope"], &answer["expires_in"]), (&json!("repository:team/app:pull,push"), &json!(300)));
    assert!(answer.get("refresh_token").is_none(), "{answer}");
    client.as_bearer(answer["access_token"].as_str().unwrap()).get("/v2/").await.expect(200);

    post(form("password", "wrong")).await.expect_error(401, "UNAUTHORIZED");
    for body in [
        form("refresh_token", &robot.secret),
        form("", &robot.secret),
        "grant_type=password".into(),
        "%ff=%".into(),
        String::new(),
    ] {
        let answer = post(body).await;
        assert!((400..500).contains(&answer.status.as_u16()), "{answer:?}");
    }
    post("grant_type=refresh_token&refresh_token=x&service=x".into()).await.expect(401);
    let large = post(form("password", &"x".repeat(1 << 20))).await;
    assert!((400..500).contains(&large.status.as_u16()), "{large:?}");
    let untyped = client.request(Method::POST, "/token").body(form("password", "wrong"));
    assert!((400..500).contains(&Answer::to(untyped).await.status.as_u16()));
    for method in [Method::PUT, Method::DELETE] {
        Answer::to(client.request(method, "/token")).await.expect_error(405, "UNSUPPORTED");
    }
}

/// Those who take it ask nobody, so it holds for longer; and it is nothing to the registry itself.
async fn a_peer_s_token_is_for_its_neighbours() {
    let mut registry = Registry::with_accounts(Backend::Folder, &[]).await;
    let robot = registry.admin().create_robot("ci", &[("pull", "team/app")]).await;
    let path = "/token?scope=repository:team/app:pull&peer_id=node_1";
    for (lifetime, seconds) in [(None, 3600), (Some("10m"), 600)] {
        let settings: Vec<_> = lifetime.map(|lifetime: &str| ("auth.peer_token_lifetime", lifetime.into())).into_iter().collect();
        registry.restart_with(&settings).await;
        let told = registry.as_account(&robot).get(path).await.expect(200).json();
        assert_eq!(told["expires_in"], json!(seconds));
        let token = told["token"].as_str().unwrap();
        let claims: Value = keys(&registry.client()).await.check(KIND, token).unwrap();
        assert_eq!((&claims["peerId"], access(&claims)), (&json!("node_1"), expected(&[("repository:team/app", &["pull"])])));
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), seconds);
        let peer = registry.client().as_bearer(token);
        for path in ["/v2/", "/v2/team/app/tags/list", "/v2/_catalog", "/v2/_longshore/events"] {
            refused_for(peer.get(path).await, "invalid_token");
        }
        let own = registry.as_account(&robot).get("/token?scope=repository:team/app:pull").await.expect(200).json();
        assert_eq!(own["expires_in"], json!(300));
        registry.client().as_bearer(own["token"].as_str().unwrap()).get("/v2/").await.expect(200);
    }
    let long = "p".repeat(129);
    for wrong in ["", "a%20b", "%C3%A9", &long] {
        let answer = registry.as_account(&robot).get(&format!("/token?peer_id={wrong}")).await;
        assert_eq!(answer.status, 400, "{answer:?}");
    }
}

async fn a_token_is_for_one_service(backend: Backend) {
    let mut registry = Registry::with_accounts(backend, &[]).await;
    let client = registry.client();
    let robot = registry.admin().create_robot("ci", &[("push", "team/app")]).await;
    // Whichever host was asked: callers choose that.
    let elsewhere = registry
        .as_account(&robot)
        .request(Method::GET, "/token?scope=repository:team/app:pull")
        .header("host", "elsewhere.example");
    let elsewhere = Answer::to(elsewhere).await.expect(200).json()["token"].as_str().unwrap().to_owned();
    client.as_bearer(&elsewhere).get("/v2/").await.expect(200);
    let here = registry.as_account(&robot).token(&["repository:team/app:push"]).await;
    client.as_bearer(&here).get("/v2/").await.expect(200);

    // What is public, or else what is configured, is whom tokens are for.
    registry.restart_with(&[("listen.public_url", "https://public.example:8443".into())]).await;
    refused_for(client.as_bearer(&here).get("/v2/").await, "invalid_token");
    let answer = client.get("/v2/").await.expect(401);
    let challenge = answer.required("www-authenticate");
    assert_eq!(challenge, "Bearer realm=\"https://public.example:8443/token\",service=\"public.example:8443\"");
    registry.restart_with(&[("auth.service", "registry.example".into())]).await;
    refused_for(client.as_bearer(&here).get("/v2/").await, "invalid_token");
    let answer = client.get("/v2/").await.expect(401);
    assert!(answer.required("www-authenticate").ends_with("/token\",service=\"registry.example\""), "{answer:?}");
    let named = registry.as_account(&robot).token(&["repository:team/app:push"]).await;
    client.as_bearer(&named).get("/v2/").await.expect(200);
    // By whatever name it is reached.
    let request = client.as_bearer(&named).request(Method::GET, "/v2/").header("host", "elsewhere.example");
    Answer::to(request).await.expect(200);
    registry.restart_with(&[("auth.service", "another.example".into())]).await;
    refused_for(client.as_bearer(&named).get("/v2/").await, "invalid_token");
}

async fn a_narrow_token_allows_what_it_says_alone() {
    let registry = Registry::with_accounts(Backend::Folder, &[]).await;
    let admin = registry.admin();
    let image = Image::random(721, &[100]);
    for repository in ["team/app", "team/lib"] {
        admin.push_image(repository, "v1", &image).await;
    }
    let robot = admin.create_robot("ci", &[("push", "team/*"), ("delete", "team/*")]).await;
    let basic = registry.as_account(&robot);
    let pulls = basic.with_token(&["repository:team/app:pull"]).await;
    assert_eq!(pulls.pull_image("team/app", "v1").await, image.digest);
    let put = pulls.put_manifest("team/app", "v1", &image.media_type, &image.manifest);
    for answer in [
        pulls.post("/v2/team/app/blobs/uploads/").await,
        put.await,
        pulls.delete("/v2/team/app/manifests/v1").await,
        pulls.get_manifest("team/lib", "v1").await,
        pulls.get("/v2/team/lib/tags/list").await,
    ] {
        let answer = answer.expect_error(401, "UNAUTHORIZED");
        assert!(
            answer.required("www-authenticate").contains("scope=\"repository:team/"),
            "a client can ask for more: {answer:?}"
        );
        refused_for(answer, "insufficient_scope");
    }
    refused_for(basic.with_token(&[]).await.get_manifest("team/app", "v1").await, "insufficient_scope");
    let pushes = basic.with_token(&["repository:team/app:pull,push"]).await;
    let layer = Digest::of(Algorithm::Sha256, &image.blobs[1]);
    pushes.push_blob("team/app", &Random::seeded(722).bytes(100)).await;
    refused_for(pushes.delete("/v2/team/app/manifests/v1").await, "insufficient_scope");
    // A mount from what the token is not for is a push like any other.
    let mount = |from: &str| format!("/v2/team/mounted/blobs/uploads/?mount={layer}&from={from}");
    let mounts = basic.with_token(&["repository:team/mounted:pull,push", "repository:team/lib:pull"]).await;
    mounts.post(&mount("team/app")).await.expect(202);
    mounts.post(&mount("team/lib")).await.expect(201);
    // An administrator's token is for what it says as well.
    let administrator = admin.with_token(&["repository:team/app:pull"]).await;
    assert_eq!(administrator.pull_image("team/app", "v1").await, image.digest);
    refused_for(administrator.delete("/v2/team/app/manifests/v1").await, "insufficient_scope");
    for (method, path) in
        [(Method::GET, "accounts"), (Method::POST, "accounts"), (Method::GET, "roles"), (Method::DELETE, "accounts/ci")]
    {
        let answer =
            Answer::to(administrator.request(method, &format!("/v2/_longshore/{path}")).header("content-length", 0)).await;
        assert!([401, 403].contains(&answer.status.as_u16()), "{answer:?}");
    }
    basic.get("/v2/").await.expect(200);
}
