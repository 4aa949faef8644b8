//! Issuers that make no sense are refused, with all that is wrong with them, and nothing of them stays.

use http::Method;
use longshore_tests::{Answer, Backend, Registry, TokenKey};
use serde_json::{Value, json};

longshore_tests::once!(all_that_is_wrong_with_an_issuer_is_told, what_is_no_issuer_is_refused);

const ISSUERS: &str = "/v2/_longshore/issuers";

fn path(name: &str) -> String {
    format!("{ISSUERS}/{name}")
}

fn trust() -> Value {
    json!({"url": "https://issuer.example", "audiences": ["registry.example"]})
}

async fn all_that_is_wrong_with_an_issuer_is_told() {
    let registry = Registry::with_accounts(Backend::Folder, &[]).await;
    let admin = registry.admin();
    let told = async |trust: &Value| {
        let answer = admin.try_put_issuer("ci", trust).await;
        let codes = answer.clone().expect(400).error_codes();
        assert!(codes.iter().all(|code| code == "ISSUER_INVALID"), "{codes:?}");
        let errors = answer.json()["errors"].as_array().unwrap().clone();
        errors.iter().map(|error| error["message"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join("; ")
    };
    let secret = json!({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]});
    let rule = |name: &str, claims: Value| json!([{"name": name, "claims": claims}]);
    let many = |count: usize| -> Value {
        (0..count).map(|number| json!({"name": format!("r{number}"), "claims": {"sub": "x"}})).collect()
    };
    for (member, value, word) in [
        ("url", json!(""), "url"),
        ("url", json!("issuer.example"), "url"),
        ("url", json!("http://issuer.example"), "https"),
        ("url", json!("http://127.0.0.1.issuer.example"), "https"),
        ("url", json!("http://192.0.2.1:8080"), "https"),
        ("url", json!("http://127.0.0.1@issuer.example"), "https"),
        ("url", json!("ftp://issuer.example"), "https"),
        ("url", json!("https://"), "url"),
        ("url", json!("https://issuer.example/\n"), "url"),
        ("audiences", json!([]), "audiences"),
        ("audiences", json!([""]), "audiences"),
        ("jwksUrl", json!("http://issuer.example/keys"), "jwksUrl"),
        ("jwksUrl", json!("/keys"), "jwksUrl"),
        ("jwks", json!({}), "jwks"),
        ("jwks", json!({"keys": []}), "jwks"),
        ("jwks", json!({"keys": [{"kty": "EC"}]}), "jwks"),
        ("jwks", secret, "jwks"),
        ("caCertificates", json!("no certificates"), "caCertificates"),
        ("caCertificates", json!(""), "caCertificates"),
        ("groupsClaim", json!(""), "groupsClaim"),
        ("sessionSeconds", json!(0), "sessionSeconds"),
        ("sessionSeconds", json!(59), "sessionSeconds"),
        ("sessionSeconds", json!(1_000_000_000), "sessionSeconds"),
        ("rules", rule("", json!({"sub": "x"})), "rule"),
        ("rules", rule("A", json!({"sub": "x"})), "rule"),
        ("rules", rule("a/b", json!({"sub": "x"})), "rule"),
        ("rules", rule("a", json!({})), "claims"),
        ("rules", rule("a", json!({"": "x"})), "claims"),
        ("rules", rule("a", json!({"sub": "x".repeat(5000)})), "claims"),
        ("rules", json!([{"name": "a", "claims": {"sub": "x"}}, {"name": "a", "claims": {"sub": "y"}}]), "another"),
        ("rules", many(300), "rules"),
    ] {
        let mut trust = trust();
        trust[member] = value;
        let message = told(&trust).await;
        assert!(message.contains(word), "{trust:.100}: {message}");
        assert!(message.len() < 1000, "{message}");
    }
    let all = json!({
        "url": "http://issuer.example", "audiences": [], "jwksUrl": "http://issuer.example/keys",
        "caCertificates": "none", "groupsClaim": "", "sessionSeconds": 1, "rules": [{"name": "A", "claims": {}}],
    });
    let message = told(&all).await;
    for word in ["url", "audiences", "jwksUrl", "caCertificates", "groupsClaim", "sessionSeconds", "\"A\"", "claims"] {
        assert!(message.contains(word), "all at once: {word} in {message}");
    }
    let mut both = trust();
    both["jwks"] = json!({"keys": [TokenKey::ed25519("a").jwk()]});
    both["jwksUrl"] = "https://issuer.example/keys".into();
    assert!(told(&both).await.contains("jwks"));
    assert_eq!(admin.get(ISSUERS).await.expect(200).json(), json!({"issuers": []}), "nothing of it stays");
    for url in
        ["https://issuer.example:8443/a/b", "http://127.0.0.1:1", "http://[::1]:1/x", "http://localhost:1", "http://127.9.9.9"]
    {
        let mut trust = trust();
        trust["url"] = url.into();
        admin.put_issuer("ci", &trust).await;
    }
}

async fn what_is_no_issuer_is_refused() {
    let registry = Registry::with_accounts(Backend::Folder, &[]).await;
    let admin = registry.admin();
    let text = trust().to_string();
    let with = |member: &str, value: Value| {
        let mut trust = trust();
        trust[member] = value;
        trust.to_string()
    };
    let twice = text.replacen('{', r#"{"url":"https://elsewhere.example","#, 1);
    let bodies = [
        String::new(),
        "{}".into(),
        "[]".into(),
        "null".into(),
        "{".into(),
        format!("{text}x"),
        twice,
        r#"["https://issuer.example",["registry.example"]]"#.into(),
        json!({"url": "https://issuer.example"}).to_string(),
        json!({"audiences": ["registry.example"]}).to_string(),
        with("name", "ci".into()),
        with("revision", 1.into()),
        with("createdAt", "2026-06-01T12:00:00Z".into()),
        with("changedAt", "2026-06-01T12:00:00Z".into()),
        with("trusted", true.into()),
        with("url", 7.into()),
        with("url", Value::Null),
        with("audiences", "registry.example".into()),
        with("audiences", json!([7])),
        with("sessionSeconds", "1h".into()),
        with("sessionSeconds", json!(-1)),
        with("sessionSeconds", json!(3600.5)),
        with("rules", json!({})),
        with("rules", json!([{"name": "a"}])),
        with("rules", json!([{"claims": {"sub": "x"}}])),
        with("rules", json!([{"name": "a", "claims": {"sub": 1}}])),
        with("rules", json!([{"name": "a", "claims": {"sub": ["x"]}}])),
        with("rules", json!([{"name": "a", "claims": {"sub": "x"}, "roles": []}])),
        with("rules", json!([["a", {"sub": "x"}]])),
        "[".repeat(10_000),
        format!("{}{text}", " ".repeat(1 << 20)),
    ];
    for body in &bodies {
        let answer = admin.send_text(Method::PUT, &path("ci"), body).await;
        assert!([400, 413].contains(&answer.status.as_u16()), "{body:.100}: {answer:?}");
        let known = |code: &String| ["ISSUER_INVALID", "SIZE_INVALID"].contains(&code.as_str());
        assert!(answer.error_codes().iter().all(known), "{body:.100}: {answer:?}");
    }
    for name in ["UPPER", "-a", ".a", "a%20b", "a:b", "a%2Fb", "%00", "%ff", "anonymous", "%C3%A9", &"x".repeat(129)] {
        let answer = admin.try_put_issuer(name, &trust()).await;
        assert!([400, 404].contains(&answer.status.as_u16()), "{name}: {answer:?}");
        let answer = admin.get(&path(name)).await;
        assert_eq!(answer.status.as_u16() / 100, 4, "{name}: {answer:?}");
    }
    assert_eq!(admin.get(ISSUERS).await.expect(200).json(), json!({"issuers": []}));
    let mut given = trust();
    given["jwks"] = json!({"keys": [TokenKey::ed25519("a").jwk()]});
    admin.put_issuer("ci", &given).await;
    for body in ["", "{}", "[]", "{\"token\":7}", "{\"token\":\"a\",\"name\":\"b\"}"] {
        let answer = admin.send_text(Method::POST, &format!("{}/check", path("ci")), body).await;
        assert_eq!(answer.status.as_u16(), 400, "{body}: {answer:?}");
        answer.error_codes();
    }
    for token in ["", "x", "a.b.c", "lsr_x"] {
        admin.check_issuer("ci", token).await.expect_error(422, "TOKEN_REFUSED");
    }
    for (method, path) in [
        (Method::POST, ISSUERS.to_owned()),
        (Method::PUT, ISSUERS.to_owned()),
        (Method::POST, path("ci")),
        (Method::PATCH, path("ci")),
        (Method::GET, format!("{}/check", path("ci"))),
        (Method::DELETE, format!("{}/check", path("ci"))),
    ] {
        let answer = Answer::to(admin.request(method, &path)).await.expect_error(405, "UNSUPPORTED");
        assert!(answer.header("allow").is_some(), "{answer:?}");
    }
    for path in [format!("{}/", path("ci")), format!("{}/other", path("ci")), format!("{ISSUERS}/"), format!("{ISSUERS}//check")]
    {
        let answer = admin.get(&path).await;
        assert_eq!(answer.status.as_u16() / 100, 4, "{path}: {answer:?}");
    }
}
