//! Which tokens of an issuer are taken, and which are not, and why.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use longshore_tests::{Answer, Backend, Client, Federation, TokenIssuer, TokenKey, unsigned};
use ring::hmac;
use serde_json::{Value, json};

use crate::workloads::{EXCHANGE, JWT};

longshore_tests::once!(
    each_algorithm_is_taken,
    what_is_not_good_is_refused_with_the_reason,
    what_is_no_token_is_refused,
    an_issuer_speaks_for_itself_alone,
    claims_are_matched_by_patterns,
);

async fn each_algorithm_is_taken() {
    let federation = Federation::start(Backend::Folder).await;
    let rsa = TokenKey::rsa("rsa").await;
    let others = [TokenKey::p256("p256"), TokenKey::p384("p384"), TokenKey::ed25519("ed25519")];
    let all: Vec<&TokenKey> = others.iter().chain([&rsa]).collect();
    let issuer = TokenIssuer::start(&all).await;
    let admin = federation.registry.admin();
    let rule = json!({"name": "any", "claims": {"sub": "*"}});
    admin.put_issuer("many", &issuer.trust(&json!({ "rules": [rule] }))).await;
    let claims = issuer.claims(&json!({}));
    for key in &all {
        federation.bearing(&key.token(&claims)).get("/v2/").await.expect(200);
    }
    for algorithm in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
        let mut header = rsa.header();
        header["alg"] = algorithm.into();
        federation.bearing(&rsa.token_with(&header, &claims)).get("/v2/").await.expect(200);
        // The same bytes signed in another way are not signed.
        let signed = rsa.token_with(&header, &claims);
        header["alg"] = if algorithm == "RS256" { "PS256" } else { "RS256" }.into();
        let signature = signed.rsplit_once('.').unwrap().1;
        let other = format!("{}.{signature}", unsigned(&header, &claims));
        federation.bearing(&other).get("/v2/").await.expect_error(401, "UNAUTHORIZED");
    }
    // It is for several, of whom we are one.
    for audience in [json!([TokenIssuer::AUDIENCE]), json!(["a.example", TokenIssuer::AUDIENCE, "b.example"])] {
        let token = rsa.token(&issuer.claims(&json!({ "aud": audience })));
        federation.bearing(&token).get("/v2/").await.expect(200);
    }
    // Clocks may be a minute apart.
    let now = jiff::Timestamp::now().as_second();
    for more in [json!({"exp": now - 30}), json!({"nbf": now + 30}), json!({"nbf": null, "iat": null})] {
        federation.bearing(&rsa.token(&issuer.claims(&more))).get("/v2/").await.expect(200);
    }
}

/// That a token is refused in each way that it could be shown, with a reason that has one of the words.
async fn refused(client: &Client, what: &str, token: &str, words: &[&str]) {
    let exchange = [("grant_type", EXCHANGE), ("subject_token", token), ("subject_token_type", JWT)];
    let password = [("grant_type", "password"), ("username", "oidc"), ("password", token)];
    let basic = client.as_basic("oidc", token);
    let answers = [
        basic.get("/v2/").await,
        basic.get("/token").await,
        client.post_form(&exchange).await,
        client.post_form(&password).await,
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.status, 401, "{what} ({number}): {answer:?}");
        let message = reason(answer);
        assert!(words.iter().any(|word| message.contains(word)), "{what} ({number}): {message}");
    }
    client.as_bearer(token).get("/v2/").await.expect_error(401, "UNAUTHORIZED");
}

#[track_caller]
fn reason(answer: Answer) -> String {
    let answer = answer.expect_error(401, "UNAUTHORIZED");
    answer.json()["errors"][0]["message"].as_str().unwrap().to_owned()
}

async fn what_is_not_good_is_refused_with_the_reason() {
    let federation = Federation::start(Backend::Folder).await;
    let rsa = TokenKey::rsa("rsa").await;
    federation.issuer.publish(&[&federation.key, &rsa]);
    let (key, client) = (&federation.key, federation.registry.client());
    federation.bearing(&federation.token(&json!({}))).get("/v2/").await.expect(200);
    let now = jiff::Timestamp::now().as_second();
    let url = federation.issuer.url().to_owned();
    let claims = |what: &'static str, more: Value, word: &'static str| (what, federation.token(&more), word);
    for (what, token, word) in [
        claims("another audience", json!({"aud": "elsewhere.example"}), "audience"),
        claims("other audiences", json!({"aud": ["elsewhere.example", "registry.example.net"]}), "audience"),
        claims("no audience", json!({"aud": null}), "aud"),
        claims("an empty audience", json!({"aud": []}), "aud"),
        claims("another issuer", json!({"iss": "https://elsewhere.example"}), "issuer"),
        claims("almost the issuer", json!({"iss": format!("{url}/")}), "issuer"),
        claims("expired", json!({"exp": now - 120}), "expired"),
        claims("expired long ago", json!({"exp": 1}), "expired"),
        claims("not yet valid", json!({"nbf": now + 300}), "yet"),
        claims("no end", json!({"exp": null}), "exp"),
        claims("no subject", json!({"sub": null}), "sub"),
        claims("no rule that fits", json!({"repository": "other/app"}), "rule"),
    ] {
        refused(&client, what, &token, &[word]).await;
    }
    // What is there and can't be what it should be; the reason is whatever is noticed first.
    for more in [json!({"exp": "tomorrow"}), json!({"exp": true}), json!({"sub": 7}), json!({"sub": ["a"]}), json!({"aud": 7})] {
        refused(&client, &more.to_string(), &federation.token(&more), &["token"]).await;
    }
    let good = federation.issuer.claims(&json!({}));
    let with_header = |name: &str, value: Value| {
        let mut header = key.header();
        header[name] = value;
        key.token_with(&header, &good)
    };
    let stranger = TokenKey::p256("key-1");
    let signature_of = |token: &str| token.rsplit_once('.').unwrap().1.to_owned();
    let genuine = key.token(&good);
    let mut more = good.clone();
    more["sub"] = "somebody else".into();
    let p384 = TokenKey::p384("key-1");
    let none = |algorithm: &str| {
        let mut header = key.header();
        header["alg"] = algorithm.into();
        format!("{}.", unsigned(&header, &good))
    };
    let mut cases = vec![
        ("a stranger's key by our name", stranger.token(&good)),
        ("a stranger's key that it brings along", {
            let mut header = stranger.header();
            header["jwk"] = stranger.jwk();
            stranger.token_with(&header, &good)
        }),
        ("other claims under the signature", format!("{}.{}", unsigned(&key.header(), &more), signature_of(&genuine))),
        ("half a signature", genuine[..genuine.len() - 40].to_owned()),
        ("no signature", format!("{}.", unsigned(&key.header(), &good))),
        ("a key that nobody has", with_header("kid", "absent".into())),
        ("a key of another kind", with_header("kid", "rsa".into())),
        ("a key of another curve by our name", p384.token(&good)),
        ("what must be understood", with_header("crit", json!(["b64"]))),
        ("alg none", none("none")),
        ("alg None", none("None")),
        ("alg nOnE with a signature", format!("{}{}", none("nOnE"), signature_of(&genuine))),
        ("no alg", with_header("alg", Value::Null)),
        ("alg ES512", with_header("alg", "ES512".into())),
        ("alg ES256K", with_header("alg", "ES256K".into())),
        ("alg RS256 by a key of a curve", with_header("alg", "RS256".into())),
        ("alg RS1", with_header("alg", "RS1".into())),
    ];
    // What is public is no secret, in whatever form it is taken for one.
    for (key, name) in [(key, "key-1"), (&rsa, "rsa")] {
        let jwk = key.jwk();
        let mut secrets: Vec<Vec<u8>> = vec![jwk.to_string().into(), Vec::new(), b"secret".to_vec()];
        for member in ["n", "x", "y"] {
            let Some(text) = jwk[member].as_str() else { continue };
            secrets.extend([text.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(text).unwrap()]);
        }
        let (x, y) = (jwk["x"].as_str(), jwk["y"].as_str());
        if let (Some(x), Some(y)) = (x, y) {
            let [x, y] = [x, y].map(|text| URL_SAFE_NO_PAD.decode(text).unwrap());
            secrets.push([&[4][..], &x, &y].concat());
        }
        for (algorithm, by) in [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)] {
            for secret in &secrets {
                let signed = unsigned(&json!({"alg": algorithm, "kid": name, "typ": "JWT"}), &good);
                let tag = hmac::sign(&hmac::Key::new(by, secret), signed.as_bytes());
                cases.push(("a shared secret", format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))));
            }
        }
    }
    for (what, token) in cases {
        refused(&client, what, &token, &["token", "secret"]).await;
    }
    federation.bearing(&key.token(&good)).get("/v2/").await.expect(200);
}

async fn what_is_no_token_is_refused() {
    let federation = Federation::start(Backend::Folder).await;
    let (key, client) = (&federation.key, federation.registry.client());
    let good = federation.token(&json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let signed = |header: &str, claims: &str| format!("{}.{}.{}", encode(header), encode(claims), parts[2]);
    let header = key.header().to_string();
    let iss = federation.issuer.url();
    for text in [
        "a.b.c".to_owned(),
        "..".into(),
        "eyJ.eyJ.eyJ".into(),
        parts[..2].join("."),
        format!("{good}."),
        format!("{good}.{}.{}", parts[0], parts[1]),
        format!(" {good}"),
        good.replace('.', ".."),
        signed("", ""),
        signed("{}", "{}"),
        signed(&header, ""),
        signed(&header, "[]"),
        signed(&header, "null"),
        signed(&header, "\"x\""),
        signed(&header, &format!("{{\"iss\":\"{iss}\"")),
        signed(&header, &format!("{{\"iss\":[\"{iss}\"]}}")),
        signed(&header, &format!("{{\"iss\":\"{iss}\",\"x\":{}1{}}}", "[".repeat(3000), "]".repeat(3000))),
        signed("[]", &format!("{{\"iss\":\"{iss}\"}}")),
        signed(&header, &format!("{{\"iss\":\"{iss}\"}}")),
        signed(&format!("{{\"alg\":\"ES256\",\"kid\":\"{}\"}}", "k".repeat(9000)), &format!("{{\"iss\":\"{iss}\"}}")),
        key.token(&federation.issuer.claims(&json!({"padding": "x".repeat(20_000)}))),
    ] {
        let basic = client.as_basic("oidc", &text);
        for answer in [basic.get("/v2/").await, basic.get("/token").await] {
            assert!([400, 401].contains(&answer.status.as_u16()), "{text:.80}: {answer:?}");
        }
        let fields = [("grant_type", EXCHANGE), ("subject_token", text.as_str()), ("subject_token_type", JWT)];
        let answer = client.post_form(&fields).await;
        assert!([400, 401, 413].contains(&answer.status.as_u16()), "{text:.80}: {answer:?}");
    }
    let huge = federation.bearing(&"a".repeat(40_000)).get("/v2/").await;
    assert!((400..500).contains(&huge.status.as_u16()), "{huge:?}");
    federation.bearing(&good).get("/v2/").await.expect(200);
}

/// Each has its own keys, rules and groups, whatever the others' are called.
async fn an_issuer_speaks_for_itself_alone() {
    let federation = Federation::start(Backend::Folder).await;
    let key = TokenKey::p256("key-1");
    let other = TokenIssuer::start(&[&key]).await;
    let admin = federation.registry.admin();
    let rules = json!([{"name": "release", "claims": {"repository": "acme/*"}}]);
    admin.put_issuer("other", &other.trust(&json!({ "rules": rules }))).await;
    admin.grant("group:ci/dev", "pull", "secret/*").await;
    let client = federation.registry.client();
    // Their own keys, in each other's name.
    let theirs = key.token(&federation.issuer.claims(&json!({})));
    refused(&client, "the other's key", &theirs, &["signature"]).await;
    let ours = federation.key.token(&other.claims(&json!({})));
    refused(&client, "our key", &ours, &["signature"]).await;
    // Their own names are theirs.
    let stranger = federation.bearing(&key.token(&other.claims(&json!({"groups": ["dev"]}))));
    stranger.get("/v2/").await.expect(200);
    stranger.post("/v2/team/app/blobs/uploads/").await.expect_error(403, "DENIED");
    stranger.get_manifest("secret/app", "v1").await.expect_error(403, "DENIED");
    let answer = admin.check_issuer("ci", &key.token(&other.claims(&json!({})))).await.expect_error(422, "TOKEN_REFUSED");
    assert!(answer.json()["errors"][0]["message"].as_str().unwrap().contains("token"), "{answer:?}");
    // A subject can be made to read like another issuer's; the name in front is ours.
    let posing = federation.bearing(&key.token(&other.claims(&json!({"sub": "x\", \"ci:admin"}))));
    posing.post("/v2/team/app/blobs/uploads/").await.expect_error(403, "DENIED");
}

async fn claims_are_matched_by_patterns() {
    let federation = Federation::start(Backend::Folder).await;
    let admin = federation.registry.admin();
    let claims = json!({
        "number": 1, "fraction": 1.5, "yes": true, "text": "true", "empty": "", "nothing": null,
        "teams": ["dev", "ops", 7], "lists": [["x"]], "object": {"a": "b"}, "run": "a.b+c",
        "kubernetes.io": {"namespace": "prod", "serviceaccount": {"name": "builder"}},
        "a/b": {"c~d": "x"}, "nested": {"list": ["a", "b"]}, "/odd": "x",
    });
    let cases = [
        (json!({"repository": "acme/app"}), true),
        (json!({"repository": "*"}), true),
        (json!({"repository": "acme/*"}), true),
        (json!({"repository": "acme/app*"}), true),
        (json!({"repository": "*acme/app"}), true),
        (json!({"repository": "a*e/*pp"}), true),
        (json!({"repository": "**"}), true),
        (json!({"repository": "acme"}), false),
        (json!({"repository": "cme/app"}), false),
        (json!({"repository": "ACME/app"}), false),
        (json!({"repository": "acme/app "}), false),
        (json!({"repository": "acme/app*x"}), false),
        (json!({"repository": "acme/?pp"}), false),
        (json!({"repository": "acme/(app|x)"}), false),
        (json!({"run": "a.b+c"}), true),
        (json!({"run": "a?b+c"}), false),
        (json!({"repository": "acme/app", "ref": "refs/heads/*"}), true),
        (json!({"repository": "acme/app", "ref": "refs/tags/*"}), false),
        (json!({"Repository": "acme/app"}), false),
        (json!({"absent": "*"}), false),
        (json!({"nothing": "*"}), false),
        (json!({"empty": "*"}), true),
        (json!({"number": "1"}), true),
        (json!({"number": "01"}), false),
        (json!({"fraction": "1.5"}), true),
        (json!({"yes": "true"}), true),
        (json!({"text": "true"}), true),
        (json!({"yes": "false"}), false),
        (json!({"teams": "ops"}), true),
        (json!({"teams": "o*"}), true),
        (json!({"teams": "7"}), true),
        (json!({"teams": "devops"}), false),
        (json!({"teams": "dev,ops"}), false),
        (json!({"lists": "*"}), false),
        (json!({"object": "*"}), false),
        (json!({"/kubernetes.io/namespace": "prod"}), true),
        (json!({"/kubernetes.io/serviceaccount/name": "build*"}), true),
        (json!({"/kubernetes.io/namespace": "production"}), false),
        (json!({"/kubernetes.io": "*"}), false),
        (json!({"kubernetes.io/namespace": "prod"}), false),
        (json!({"/a~1b/c~0d": "x"}), true),
        (json!({"/nested/list": "b"}), true),
        (json!({"/nested/list/0": "a"}), true),
        (json!({"/repository": "acme/app"}), true),
        (json!({"/odd": "x"}), false),
        (json!({"sub": "repo:acme/app:*", "iss": "http*", "aud": "registry.example"}), true),
    ];
    let name = |number: usize| format!("r{number:02}");
    let rules: Vec<Value> =
        cases.iter().enumerate().map(|(number, (claims, _))| json!({"name": name(number), "claims": claims})).collect();
    admin.put_issuer("ci", &federation.trust(&json!({ "rules": rules }))).await;
    let mut token_claims = federation.issuer.claims(&claims);
    token_claims["nothing"] = Value::Null;
    let answer = admin.check_issuer("ci", &federation.key.token(&token_claims)).await.expect(200);
    let fitting = answer.texts("rules");
    for (number, (claims, fits)) in cases.iter().enumerate() {
        assert_eq!(fitting.contains(&name(number)), *fits, "{claims}");
    }
    assert_eq!(answer.json()["subject"], "ci:repo:acme/app:ref:refs/heads/main");
    let ends_at: jiff::Timestamp = answer.json()["expiresAt"].as_str().unwrap().parse().unwrap();
    assert_eq!(Some(ends_at.as_second()), token_claims["exp"].as_i64());
    // It comes in by all of them at once, however long its own token gets by that.
    federation.bearing(&federation.key.token(&token_claims)).with_token(&[]).await.get("/v2/").await.expect(200);
}
