//! What a caller shows of itself: the challenge that asks for it, and what is no proof.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Method;
use longshore_oci::{Algorithm, Digest};
use longshore_service::signing::{KeySet, SigningKey};
use longshore_tests::{Account, Answer, Backend, Image, Registry};
use serde_json::{Value, json};

longshore_tests::once!(
    a_challenge_says_where_tokens_are_and_what_for,
    a_token_that_was_tampered_with_is_refused,
    credentials_that_are_none_are_refused,
    each_way_in_can_be_closed,
);

const KIND: &str = "longshore-access.v1+jwt";

/// That an answer is a 401 whose challenge gives this reason.
#[track_caller]
fn refused_for(answer: Answer, reason: &str) {
    let answer = answer.expect(401);
    let challenge = answer.required("www-authenticate");
    assert!(challenge.starts_with("Bearer ") && challenge.ends_with(&format!(",error=\"{reason}\"")), "{challenge}");
}

async fn a_challenge_says_where_tokens_are_and_what_for() {
    let registry = Registry::with_accounts(Backend::Folder, &[]).await;
    let (client, host) = (registry.client(), registry.authority());
    let challenge = |scope: &str| format!("Bearer realm=\"http://{host}/token\",service=\"longshore\"{scope}");
    for path in ["/v2/", "/v2"] {
        let answer = client.get(path).await.expect_error(401, "UNAUTHORIZED");
        assert_eq!(answer.required("www-authenticate"), challenge(""));
        assert_eq!(answer.required("docker-distribution-api-version"), "registry/2.0");
    }
    let answer = client.get_manifest("team/app", "v1").await.expect_error(401, "UNAUTHORIZED");
    assert_eq!(answer.required("www-authenticate"), challenge(",scope=\"repository:team/app:pull\""));
    let head = client.head("/v2/team/app/manifests/v1").await.expect(401);
    assert_eq!(head.required("www-authenticate"), challenge(",scope=\"repository:team/app:pull\""));
    let digest = Digest::of(Algorithm::Sha256, b"x");
    for (method, tail, action) in [
        (Method::POST, "blobs/uploads/".to_owned(), "push"),
        (Method::PUT, "manifests/v1".to_owned(), "push"),
        (Method::DELETE, "manifests/v1".to_owned(), "delete"),
        (Method::DELETE, format!("blobs/{digest}"), "delete"),
    ] {
        let request = client.request(method.clone(), &format!("/v2/team/app/{tail}")).header("content-length", 0);
        let answer = Answer::to(request).await.expect_error(401, "UNAUTHORIZED");
        let told = answer.required("www-authenticate");
        let scope = told.strip_prefix(&challenge(",scope=\"repository:team/app:")).and_then(|rest| rest.strip_suffix('"'));
        let actions: Vec<&str> = scope.unwrap_or_else(|| panic!("{method} {tail}: {told}")).split(',').collect();
        assert!(actions.contains(&action), "{method} {tail}: {told}");
    }
    for path in ["/v2/_catalog", "/v2/_longshore/images"] {
        let answer = client.get(path).await.expect_error(401, "UNAUTHORIZED");
        assert_eq!(answer.required("www-authenticate"), challenge(",scope=\"registry:catalog:*\""));
    }
    // A name that could end the parameter that it stands in.
    for path in ["/v2/a%22,realm=%22x/manifests/v1", "/v2/a%0d%0ax:%20y/tags/list"] {
        let answer = client.get(path).await;
        assert!((400..500).contains(&answer.status.as_u16()), "{answer:?}");
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        assert!(!challenge.contains("realm=\"x") && answer.header("x").is_none(), "{answer:?}");
    }
}

/// The part of a compact signature, changed.
fn with_part(signed: &str, number: usize, change: impl FnOnce(&mut Value)) -> String {
    let mut parts: Vec<String> = signed.split('.').map(str::to_owned).collect();
    let mut json = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(&parts[number]).unwrap()).unwrap();
    change(&mut json);
    parts[number] = URL_SAFE_NO_PAD.encode(json.to_string());
    parts.join(".")
}

async fn a_token_that_was_tampered_with_is_refused() {
    let registry = Registry::with_accounts(Backend::Folder, &[]).await;
    let admin = registry.admin();
    let image = Image::random(720, &[100]);
    admin.push_image("team/app", "v1", &image).await;
    admin.grant("anonymous", "pull", "team/**").await;
    let robot = admin.create_robot("ci", &[("pull", "team/app")]).await;
    let token = registry.as_account(&robot).token(&["repository:team/app:pull"]).await;
    registry.client().as_bearer(&token).get_manifest("team/app", "v1").await.expect(200);

    let keys: KeySet = serde_json::from_value(admin.get("/v2/_longshore/keys").await.expect(200).json()).unwrap();
    let claims: Value = keys.check(KIND, &token).unwrap();
    let (stranger, _) = SigningKey::generate();
    let our_header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap();
    let layer = Digest::of(Algorithm::Sha256, &image.blobs[1]);
    let metainfo = admin.get(&format!("/v2/team/app/_longshore/metainfo/{layer}")).await.expect(200).json();
    let (unsigned, signature) = token.rsplit_once('.').unwrap();
    let none = with_part(&token, 0, |header| header["alg"] = "none".into());
    let cases = [
        ("another account", with_part(&token, 1, |claims| claims["sub"] = "admin".into())),
        ("more access", with_part(&token, 1, |claims| claims["access"][0]["actions"] = json!(["pull", "push"]))),
        ("a longer life", with_part(&token, 1, |claims| claims["exp"] = 4_000_000_000_u64.into())),
        ("a stranger's key", stranger.sign(KIND, &claims)),
        (
            "a stranger's key, by our name",
            with_part(&stranger.sign(KIND, &claims), 0, |header| header["kid"] = our_header["kid"].clone()),
        ),
        ("another statement of ours", metainfo["signature"].as_str().unwrap().to_owned()),
        ("another kind", with_part(&token, 0, |header| header["typ"] = "longshore-metainfo.v1+jwt".into())),
        ("the usual kind", with_part(&token, 0, |header| header["typ"] = "JWT".into())),
        ("no algorithm", none.clone()),
        ("no algorithm and no signature", format!("{}.", none.rsplit_once('.').unwrap().0)),
        ("another algorithm", with_part(&token, 0, |header| header["alg"] = "HS256".into())),
        ("a key of its own", with_part(&token, 0, |header| header["jwk"] = json!({"kty": "oct", "k": "AA"}))),
        ("no signature", format!("{unsigned}.")),
        ("half a signature", format!("{unsigned}.{}", &signature[..40])),
        ("a robot's secret", robot.secret.clone()),
        ("words", "not-a-token".into()),
        ("three words", "a.b.c".into()),
        ("too much", "a".repeat(6000)),
    ];
    for (what, token) in cases {
        let client = registry.client().as_bearer(&token);
        // Anybody may pull this, but not with a token that is none.
        for path in ["/v2/", "/v2/team/app/manifests/v1", "/v2/_longshore/accounts"] {
            let answer = client.get(path).await;
            assert_eq!(answer.status, 401, "{what}: {answer:?}");
            refused_for(answer, "invalid_token");
        }
    }
    let huge = registry.client().as_bearer(&"a.".repeat(20_000)).get("/v2/").await;
    assert!((400..500).contains(&huge.status.as_u16()), "{huge:?}");
}

async fn credentials_that_are_none_are_refused() {
    let patient = [("auth.failed_logins_per_address", 1000.into()), ("auth.failed_logins_per_account", 1000.into())];
    let registry = Registry::with_accounts(Backend::Folder, &patient).await;
    let admin = registry.admin();
    admin.grant("anonymous", "pull", "**").await;
    // Colons and letters beyond ASCII are a password's own (RFC 7617).
    let person = Account::of("ann@example", "grün: a password");
    admin.create_person(&person.name, &person.secret, &[]).await;
    registry.as_account(&person).get("/v2/").await.expect(200);
    let robot = admin.create_robot("ci", &[]).await;
    let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let good = base64(&format!("ci:{}", robot.secret));
    for value in [
        "Basic".to_owned(),
        "Basic ".into(),
        "Basic !!!".into(),
        format!("Basic {}", base64("no colon")),
        format!("Basic {}", base64(":")),
        format!("Basic {}", base64("ci:")),
        format!("Basic {}", base64(&format!("CI:{}", robot.secret))),
        format!("Basic {}", base64(&format!("ci :{}", robot.secret))),
        format!("Basic {}", base64(&format!("anonymous:{}", robot.secret))),
        format!("Basic {}", base64(&format!("admin:{}", robot.secret))),
        format!("Basic {}", base64("ci:lsr_")),
        format!("Basic {good}, Basic {good}"),
        format!("Basic {}", base64(&format!("ci:{}", "x".repeat(5000)))),
        format!("Basic {}", URL_SAFE_NO_PAD.encode(b"\xff\xfe:\xff")),
        format!("Digest {good}"),
        "Bearer".into(),
        "Bearer ".into(),
        good.clone(),
    ] {
        for path in ["/v2/", "/v2/_catalog", "/v2/team/app/manifests/v1"] {
            let answer = Answer::to(registry.client().request(Method::GET, path).header("authorization", &value)).await;
            assert!([400, 401].contains(&answer.status.as_u16()), "{value} {path}: {answer:?}");
        }
    }
    for (first, second) in [(good.as_str(), "eDp5"), ("eDp5", good.as_str()), (good.as_str(), good.as_str())] {
        let request = registry.client().request(Method::GET, "/v2/").header("authorization", format!("Basic {first}"));
        let answer = Answer::to(request.header("authorization", format!("Basic {second}"))).await;
        assert!(answer.status == 400 || answer.status == 401 || first == second, "{answer:?}");
    }
    // The name of a scheme is the same in any case (RFC 9110, section 11.1).
    let request = registry.client().request(Method::GET, "/v2/").header("authorization", format!("bAsIc {good}"));
    Answer::to(request).await.expect(200);
    registry.as_account(&robot).get("/v2/").await.expect(200);
}

async fn each_way_in_can_be_closed() {
    let mut registry = Registry::with_accounts(Backend::Folder, &[("auth.bearer", false.into())]).await;
    let robot = registry.admin().create_robot("ci", &[("push", "team/app")]).await;
    let image = Image::random(723, &[100]);
    let answer = registry.client().get("/v2/").await.expect_error(401, "UNAUTHORIZED");
    assert!(answer.required("www-authenticate").starts_with("Basic realm=\"longshore\""), "{answer:?}");
    registry.as_account(&robot).push_image("team/app", "v1", &image).await;
    let answer = registry.as_account(&robot).get("/token").await;
    assert!([404, 405].contains(&answer.status.as_u16()), "{answer:?}");

    registry.restart_with(&[("auth.bearer", true.into()), ("auth.basic", false.into())]).await;
    let basic = registry.as_account(&robot);
    for path in ["/v2/", "/v2/team/app/manifests/v1", "/v2/_longshore/accounts"] {
        let answer = basic.get(path).await.expect_error(401, "UNAUTHORIZED");
        assert!(answer.required("www-authenticate").starts_with("Bearer "), "{answer:?}");
    }
    let bearer = basic.with_token(&["repository:team/app:pull,push"]).await;
    assert_eq!(bearer.pull_image("team/app", "v1").await, image.digest);
}
