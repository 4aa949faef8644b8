use std::sync::atomic::Ordering;

use http::Method;
use serde_json::json;

use super::fixture::Served;

const DEPLOYMENTS: &str = "/api/v1/workloads/deployments";

#[tokio::test]
async fn who_says_nothing_is_told_where_to_get_a_token() {
    let served = Served::guarded().await;
    let refused = served.get("/api/v1/pods?namespace=team").await;
    assert_eq!((refused.status, refused.code()), (401, "401_UNAUTHORIZED"));
    let challenge = refused.header("www-authenticate");
    let expected = format!(
        "Bearer realm=\"http://{}/token\",service=\"longshore\",scope=\"namespace:team:view,rollback,deploy,admin\"",
        served.host
    );
    assert_eq!(challenge, expected);
    assert_eq!(served.get("/api/v1/openapi.json").await.status, 200, "what the API is, is no secret");
    served.stopped().await;
}

#[tokio::test]
async fn a_token_is_worth_what_it_says_until_it_ends() {
    let served = Served::guarded().await;
    let ask = |path: &str, token: String| served.send(served.request(Method::GET, path).bearer_auth(token));
    let good = served.token("alice", "namespace:team:view", |_| {});
    assert_eq!(ask("/api/v1/pods?namespace=team", good.clone()).await.status, 200);
    let other = ask("/api/v1/pods?namespace=other", good.clone()).await;
    assert_eq!(other.status, 401);
    assert!(other.header("www-authenticate").contains("insufficient_scope"), "{other:?}");
    assert_eq!(ask("/api/v1/nodes", good.clone()).await.status, 401, "nodes are in no namespace");
    // One that was asked for there, in vain: another would say no more.
    let vain = ask("/api/v1/pods?namespace=team", served.token("alice", "namespace:team:", |_| {})).await;
    let told = vain.body["detail"].as_str().unwrap();
    assert!(vain.status == 403 && told.ends_with("longshore role grant alice --view team"), "{vain:?}");
    let all = ask("/api/v1/nodes", served.token("github:app", "namespace:*:", |_| {})).await;
    let told = all.body["detail"].as_str().unwrap();
    assert!(told.ends_with("longshore role grant rule:github/RULE --view '*'"), "{told}");
    for token in [
        served.token("alice", "namespace:team:view", |token| token.expires_at -= 1000),
        served.token("alice", "namespace:team:view", |token| token.audience = "other".into()),
        served.token("alice", "namespace:team:view", |token| token.peer_id = Some("peer".into())),
        "a.b.c".to_owned(),
    ] {
        let refused = ask("/api/v1/pods?namespace=team", token).await;
        assert_eq!(refused.status, 401, "{refused:?}");
        assert!(refused.header("www-authenticate").contains("invalid_token"), "{refused:?}");
    }
    served.stopped().await;
}

#[tokio::test]
async fn each_right_lets_do_what_it_says() {
    let served = Served::guarded().await;
    served.registry.push("1", "one");
    let send = |method: Method, path: String, scope: &str, body: serde_json::Value| {
        let token = served.token("alice", scope, |_| {});
        served.send(served.request(method, &path).bearer_auth(token).json(&body))
    };
    let spec = json!({"name": "hello", "image": served.image("1")});
    let made = send(Method::POST, DEPLOYMENTS.into(), "namespace:default:rollback", spec.clone()).await;
    assert_eq!((made.status, made.code()), (403, "403_FORBIDDEN"), "{made:?}");
    let made = send(Method::POST, DEPLOYMENTS.into(), "namespace:default:deploy", spec).await;
    assert_eq!(made.status, 201, "{made:?}");
    let path = made.header("location").to_owned();
    let scale = json!({"replicas": 2});
    assert_eq!(send(Method::POST, format!("{path}/scale"), "namespace:default:rollback", scale.clone()).await.status, 200);
    assert_eq!(send(Method::POST, format!("{path}/scale"), "namespace:default:view", scale.clone()).await.status, 403);
    assert_eq!(send(Method::POST, format!("{path}/scale"), "namespace:other:admin", scale).await.status, 401);
    assert_eq!(send(Method::PUT, "/api/v1/namespaces/team".into(), "namespace:team:admin", json!({})).await.status, 401);
    assert_eq!(send(Method::PUT, "/api/v1/namespaces/team".into(), "namespace:*:admin", json!({})).await.status, 201);
    let seen = served.send(served.request(Method::GET, &path).bearer_auth(served.token("bob", "namespace:*:view", |_| {}))).await;
    assert_eq!(seen.status, 200);
    let audit =
        served.send(served.request(Method::GET, "/api/v1/audit").bearer_auth(served.token("root", "namespace:*:admin", |_| {})));
    let lines = audit.await;
    let accounts: Vec<&str> =
        lines.body["items"].as_array().unwrap().iter().map(|line| line["account"].as_str().unwrap()).collect();
    assert!(accounts.contains(&"alice"), "{lines:?}");
    served.stopped().await;
}

#[tokio::test]
async fn no_page_of_the_web_starts_anything_where_nobody_is_asked() {
    let served = Served::new().await;
    served.registry.push("1", "one");
    let spec = json!({"name": "hello", "image": served.image("1")}).to_string();
    // What a page sends without asking first: a "simple" request.
    let simple = || served.request(Method::POST, DEPLOYMENTS).header("content-type", "text/plain").body(spec.clone());
    for (name, value) in [("origin", "http://evil.example"), ("sec-fetch-site", "cross-site"), ("host", "evil.example:5300")] {
        let refused = served.send(simple().header(name, value)).await;
        assert_eq!((refused.status, refused.code()), (403, "403_FORBIDDEN"), "{name}: {refused:?}");
    }
    let read = served.send(served.request(Method::GET, "/api/v1/pods").header("host", "evil.example")).await;
    assert_eq!(read.status, 403, "{read:?}");
    assert_eq!(served.send(simple()).await.status, 201);
    served.stopped().await;
}

#[tokio::test]
async fn who_may_only_look_has_no_registry_asked() {
    let served = Served::guarded().await;
    served.registry.push("1", "one");
    let plan = |scope: &str| {
        let token = served.token("alice", scope, |_| {});
        let spec = json!({"name": "hello", "image": served.image("1")});
        served.send(served.request(Method::POST, &format!("{DEPLOYMENTS}:plan")).bearer_auth(token).json(&spec))
    };
    let refused = plan("namespace:default:view").await;
    assert_eq!((refused.status, refused.code()), (403, "403_FORBIDDEN"), "{refused:?}");
    assert_eq!(served.registry.asked.load(Ordering::Relaxed), 0);
    served.stopped().await;
}

#[tokio::test]
async fn an_image_s_name_leads_into_no_private_network() {
    let served = Served::new().await;
    for host in ["127.0.0.1:1", "10.0.0.5:2379", "localhost:1", "[::1]:1", "169.254.169.254"] {
        let refused = served.post(DEPLOYMENTS, json!({"name": "hello", "image": format!("{host}/a/b:1")})).await;
        assert_eq!((refused.status, refused.code()), (422, "422_IMAGE_NOT_ALLOWED"), "{host}: {refused:?}");
        assert!(refused.text("detail").contains("registry.private_hosts"), "{refused:?}");
    }
    served.stopped().await;
    let served = Served::with(|config| config.registry.private_hosts = vec!["127.0.0.1".into()], true).await;
    let asked = served.post(DEPLOYMENTS, json!({"name": "hello", "image": "127.0.0.1:1/a/b:1"})).await;
    assert_eq!(asked.code(), "503_REGISTRY_UNAVAILABLE", "it is asked, and nobody answers there: {asked:?}");
    served.stopped().await;
}

#[tokio::test]
async fn those_who_send_bodies_that_never_end_keep_nobody_else_out() {
    let few = |config: &mut crate::config::Config| {
        config.auth.mode = crate::config::AuthMode::Registry;
        config.requests.max_from_strangers = 1;
        config.requests.max_in_flight = 1;
    };
    let served = Served::guarded_with(few).await;
    let endless = reqwest::Body::wrap_stream(futures_util::stream::pending::<Result<&'static str, std::io::Error>>());
    let slow = tokio::spawn(served.request(Method::POST, DEPLOYMENTS).body(endless).send());
    // Until it has its turn.
    while served.post(DEPLOYMENTS, json!({})).await.status != 503 {}
    let token = served.token("alice", "namespace:*:view", |_| {});
    let known = served.send(served.request(Method::GET, "/api/v1/pods").bearer_auth(token)).await;
    assert_eq!(known.status, 200, "{known:?}");
    let node = served.send(served.request(Method::POST, "/agent/v1/reports").bearer_auth("a.b.c")).await;
    assert_eq!(node.status, 401, "nodes have turns of their own: {node:?}");
    slow.abort();
    served.stopped().await;
}
