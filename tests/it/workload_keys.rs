//! Where the registry has an issuer's keys from: how often it asks, and what it does where it can't be told.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use longshore_tests::{Answer, Backend, Federation, Manner, TokenIssuer, TokenKey, until};
use serde_json::{Value, json};

longshore_tests::once!(
    keys_are_asked_for_once,
    a_key_that_is_new_is_found,
    a_flood_of_unknown_keys_is_one_question,
    an_issuer_that_is_silent_is_not_needed,
    an_issuer_that_hangs_holds_nobody_else_up,
    an_issuer_that_says_nonsense_is_not_believed,
    authorities_of_its_own_vouch_for_an_issuer,
);

/// How long an issuer is left alone after it was asked.
const PAUSE: Duration = Duration::from_secs(10);

fn rules() -> Value {
    json!([{"name": "release", "claims": {"repository": "acme/app"}}])
}

/// That a token can't be checked now: it is not taken, and the reason is told.
#[track_caller]
fn unchecked(answer: Answer) {
    assert!([401, 503].contains(&answer.status.as_u16()), "{answer:?}");
    answer.error_codes();
    let message = answer.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("keys") && message.contains("can't be had"), "{message}");
}

/// That what is wrong with an issuer is told to who keeps the registry, if not to whoever asks.
async fn logged(federation: &Federation, url: &str) {
    until("the log to tell", Duration::from_secs(5), async || {
        federation.registry.log().lines().any(|line| line.contains(url) && line.contains("WARN")).then_some(())
    })
    .await;
}

async fn keys_are_asked_for_once() {
    let federation = Federation::start(Backend::Folder).await;
    let admin = federation.registry.admin();
    assert!(federation.issuer.take_requests().is_empty(), "it is asked when somebody comes");
    let login = async || federation.bearing(&federation.token(&json!({}))).get("/v2/").await.expect(200);
    join_all((0..20).map(|_| login())).await;
    assert_eq!(federation.issuer.take_requests(), ["/.well-known/openid-configuration", "/keys"]);
    // Where it is said where they are nobody is asked for that.
    let direct = TokenIssuer::start(&[&federation.key]).await;
    let trust = direct.trust(&json!({"jwksUrl": direct.keys_url(), "rules": rules()}));
    admin.put_issuer("direct", &trust).await;
    for _ in 0..3 {
        federation.bearing(&federation.key.token(&direct.claims(&json!({})))).get("/v2/").await.expect(200);
    }
    assert_eq!(direct.take_requests(), ["/keys"]);
    // Where they are given nobody is asked for anything.
    let given = TokenIssuer::start(&[]).await;
    let trust = given.trust(&json!({"jwks": {"keys": [federation.key.jwk()]}, "rules": rules()}));
    admin.put_issuer("given", &trust).await;
    federation.bearing(&federation.key.token(&given.claims(&json!({})))).get("/v2/").await.expect(200);
    let unknown = TokenKey::p256("unknown").token(&given.claims(&json!({})));
    federation.bearing(&unknown).get("/v2/").await.expect_error(401, "UNAUTHORIZED");
    assert!(given.take_requests().is_empty());
    // An account is none of its business.
    admin.get("/v2/").await.expect(200);
    assert!(federation.issuer.take_requests().is_empty());
    // Other keys that are said to be elsewhere are asked for there, and the old ones are no more.
    let key = TokenKey::p256("key-1");
    let moved = TokenIssuer::start(&[&key]).await;
    admin.put_issuer("direct", &direct.trust(&json!({"jwksUrl": moved.keys_url(), "rules": rules()}))).await;
    federation.bearing(&key.token(&direct.claims(&json!({})))).get("/v2/").await.expect(200);
    federation.bearing(&federation.key.token(&direct.claims(&json!({})))).get("/v2/").await.expect_error(401, "UNAUTHORIZED");
    assert_eq!((direct.take_fetches(), moved.take_fetches()), (0, 1));
}

async fn a_key_that_is_new_is_found() {
    let federation = Federation::start(Backend::Folder).await;
    let login = async |key: &TokenKey| federation.bearing(&key.token(&federation.issuer.claims(&json!({})))).get("/v2/").await;
    login(&federation.key).await.expect(200);
    federation.issuer.take_requests();
    let second = TokenKey::ed25519("key-2");
    federation.issuer.publish(&[&second]);
    // It was asked a moment ago.
    until("the new key to be taken", PAUSE + Duration::from_secs(5), async || (login(&second).await.status == 200).then_some(()))
        .await;
    assert_eq!(federation.issuer.take_fetches(), 1);
    login(&federation.key).await.expect_error(401, "UNAUTHORIZED");
    login(&second).await.expect(200);
}

async fn a_flood_of_unknown_keys_is_one_question() {
    let federation = Federation::start(Backend::Folder).await;
    federation.bearing(&federation.token(&json!({}))).get("/v2/").await.expect(200);
    federation.issuer.take_requests();
    let began = Instant::now();
    let claims = federation.issuer.claims(&json!({}));
    let token = |number: usize| {
        let mut header = federation.key.header();
        header["kid"] = format!("unknown-{number}").into();
        federation.key.token_with(&header, &claims)
    };
    for round in 0..5 {
        let tokens: Vec<String> = (0..40).map(|number| token(round * 40 + number)).collect();
        let answers = join_all(tokens.iter().map(async |token| federation.bearing(token).get("/v2/").await.status.as_u16()));
        assert!(answers.await.iter().all(|status| *status == 401), "round {round}");
        // Whoever has a good one is let in meanwhile.
        federation.bearing(&federation.token(&json!({}))).get("/v2/").await.expect(200);
    }
    let most = 1 + usize::try_from(began.elapsed().as_secs() / PAUSE.as_secs()).unwrap();
    let fetches = federation.issuer.take_fetches();
    assert!(fetches <= most, "{fetches} in {:?}", began.elapsed());
}

async fn an_issuer_that_is_silent_is_not_needed() {
    let mut federation = Federation::start(Backend::Folder).await;
    let url = federation.issuer.url().to_owned();
    let claims = || federation.issuer.claims(&json!({}));
    federation.bearing(&federation.key.token(&claims())).get("/v2/").await.expect(200);
    let (first, second, third) = (claims(), claims(), claims());
    // Its address belongs to nobody any more.
    let gone = std::mem::replace(&mut federation.issuer, TokenIssuer::start(&[]).await);
    drop(gone);
    federation.bearing(&federation.key.token(&first)).get("/v2/").await.expect(200);
    let unknown = TokenKey::p256("unknown");
    federation.bearing(&unknown.token(&second)).get("/v2/").await.expect_error(401, "UNAUTHORIZED");
    federation.bearing(&federation.key.token(&second)).get("/v2/").await.expect(200);
    // Who was never told the keys can't check anything, and says so.
    federation.registry.restart().await;
    unchecked(federation.bearing(&federation.key.token(&third)).get("/v2/").await);
    logged(&federation, &url).await;
    unchecked(federation.bearing(&federation.key.token(&third)).get("/token").await);
    let told = federation.registry.admin().check_issuer("ci", &federation.key.token(&third)).await;
    told.expect_error(422, "TOKEN_REFUSED");
    federation.registry.admin().get("/v2/").await.expect(200);
}

async fn an_issuer_that_hangs_holds_nobody_else_up() {
    // So few that those who wait could keep all others out.
    let federation = Federation::with(Backend::Folder, &[("requests.max_in_flight", 64.into())]).await;
    let admin = federation.registry.admin();
    let robot = admin.create_robot("robot", &[]).await;
    let hanging = TokenIssuer::start(&[&federation.key]).await;
    admin.put_issuer("hanging", &hanging.trust(&json!({"rules": rules()}))).await;
    hanging.answer(Manner::Never);
    let token = federation.key.token(&hanging.claims(&json!({})));
    let began = Instant::now();
    let waiting: Vec<_> = (0..30)
        .map(|_| {
            let client = federation.bearing(&token);
            tokio::spawn(async move { (client.get("/v2/").await, began.elapsed()) })
        })
        .collect();
    until("it to be asked", Duration::from_secs(5), async || (!hanging.take_requests().is_empty()).then_some(())).await;
    let others = Instant::now();
    for _ in 0..5 {
        federation.bearing(&federation.token(&json!({}))).get("/v2/").await.expect(200);
        federation.registry.as_account(&robot).get("/v2/").await.expect(200);
        admin.get("/v2/_longshore/issuers").await.expect(200);
    }
    assert!(others.elapsed() < Duration::from_secs(5), "{:?}", others.elapsed());
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()), "they wait all the while");
    for waiting in waiting {
        let (answer, after) = waiting.await.unwrap();
        unchecked(answer);
        assert!(after < Duration::from_secs(30), "one attempt is enough for all: {after:?}");
    }
    // It is asked again once it can be.
    hanging.answer(Manner::Well);
    until("it to be asked again", PAUSE + Duration::from_secs(10), async || {
        (federation.bearing(&token).get("/v2/").await.status == 200).then_some(())
    })
    .await;
}

async fn an_issuer_that_says_nonsense_is_not_believed() {
    let federation = Federation::start(Backend::Folder).await;
    let admin = federation.registry.admin();
    let other = TokenIssuer::start(&[&federation.key]).await;
    let with = |status: u16, headers: &str, body: &str| Manner::With(status, headers.into(), body.into());
    let keys = json!({"keys": [federation.key.jwk()]}).to_string();
    let moved = format!("Location: {}\r\n", other.keys_url());
    let manners = [
        with(500, "", "{}"),
        with(404, "", &keys),
        with(204, "", ""),
        with(302, &moved, ""),
        with(200, "", ""),
        with(200, "", "<html>"),
        with(200, "", "[]"),
        with(200, "", "{\"keys\":{}}"),
        with(200, "", "{\"keys\":[]}"),
        with(200, "", "{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0\",\"kid\":\"key-1\"}]}"),
        with(200, "", &"[".repeat(100_000)),
        with(200, "", &format!("{keys}{}", " ".repeat(5 << 20))),
    ];
    // Each is another issuer: one that was asked is left alone for a while.
    for (number, manner) in manners.into_iter().enumerate() {
        let issuer = TokenIssuer::start(&[&federation.key]).await;
        issuer.answer(manner);
        let name = format!("keys-{number}");
        let trust = issuer.trust(&json!({"jwksUrl": issuer.keys_url(), "rules": rules()}));
        admin.put_issuer(&name, &trust).await;
        let token = federation.key.token(&issuer.claims(&json!({})));
        unchecked(federation.bearing(&token).get("/v2/").await);
        logged(&federation, issuer.url()).await;
        assert_eq!(issuer.take_requests(), ["/keys"], "{number}");
    }
    assert!(other.take_requests().is_empty(), "nobody is sent elsewhere");
    let url = |issuer: &TokenIssuer| issuer.url().to_owned();
    let issuers = [TokenIssuer::start(&[&federation.key]).await, TokenIssuer::start(&[&federation.key]).await];
    let [first, second] = &issuers;
    for (name, issuer, discovery) in [
        ("another", first, json!({"issuer": url(&other), "jwks_uri": first.keys_url()})),
        ("none", second, json!({"issuer": url(second)})),
    ] {
        issuer.describe(discovery);
        admin.put_issuer(name, &issuer.trust(&json!({"rules": rules()}))).await;
        unchecked(federation.bearing(&federation.key.token(&issuer.claims(&json!({})))).get("/v2/").await);
    }
    for jwks_uri in ["http://192.0.2.1/keys", "file:///etc/passwd", "/keys", ""] {
        let issuer = TokenIssuer::start(&[&federation.key]).await;
        issuer.describe(json!({"issuer": url(&issuer), "jwks_uri": jwks_uri}));
        admin.put_issuer("unsafe", &issuer.trust(&json!({"rules": rules()}))).await;
        let began = Instant::now();
        unchecked(federation.bearing(&federation.key.token(&issuer.claims(&json!({})))).get("/v2/").await);
        assert!(began.elapsed() < Duration::from_secs(5), "{jwks_uri} is not tried");
    }
    // Among keys that are of no use to us one that is can be found.
    let issuer = TokenIssuer::start(&[]).await;
    let mut encryption = TokenKey::p256("key-1").jwk();
    encryption["use"] = "enc".into();
    let unknown = json!({"kty": "AKP", "alg": "ML-DSA-65", "kid": "pq", "pub": "AA"});
    let keys = json!({"keys": [unknown, {"kty": "EC"}, 7, encryption, federation.key.jwk()], "more": 1}).to_string();
    issuer.answer(with(200, "", &keys));
    admin.put_issuer("mixed", &issuer.trust(&json!({"jwksUrl": issuer.keys_url(), "rules": rules()}))).await;
    federation.bearing(&federation.key.token(&issuer.claims(&json!({})))).get("/v2/").await.expect(200);
}

async fn authorities_of_its_own_vouch_for_an_issuer() {
    let federation = Federation::start(Backend::Folder).await;
    let admin = federation.registry.admin();
    let [issuer, stranger] = [TokenIssuer::over_tls(&[&federation.key]).await, TokenIssuer::over_tls(&[&federation.key]).await];
    let put = async |authorities: Value| {
        let trust = issuer.trust(&json!({"caCertificates": authorities, "rules": rules()}));
        admin.put_issuer("tls", &trust).await;
        federation.bearing(&federation.key.token(&issuer.claims(&json!({})))).get("/v2/").await
    };
    assert!(issuer.url().starts_with("https://localhost:"));
    unchecked(put(Value::Null).await);
    unchecked(put(stranger.certificate().into()).await);
    put(issuer.certificate().into()).await.expect(200);
    assert_eq!(issuer.take_requests(), ["/.well-known/openid-configuration", "/keys"]);
}
