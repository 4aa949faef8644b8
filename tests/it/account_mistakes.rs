//! Accounts and roles that make no sense are refused, with the reason, and nothing of them stays.

use http::Method;
use longshore_tests::{Answer, Backend, Client, Registry};
use serde_json::{Value, json};

longshore_tests::once!(
    what_is_no_account_is_refused_with_the_reason,
    what_an_account_can_not_become_is_refused_with_the_reason,
    what_is_no_role_is_refused_with_the_reason,
    paths_that_lead_to_no_account_are_refused,
);

const ACCOUNTS: &str = "/v2/_longshore/accounts";
const ROLES: &str = "/v2/_longshore/roles";
const PASSWORD: &str = "correct horse battery";
const CODES: &[&str] = &["ACCOUNT_INVALID", "ACCOUNT_UNKNOWN", "ROLE_INVALID", "SIZE_INVALID"];

/// That a text is refused with one of the codes for it, and with words that say why.
async fn refused(client: &Client, method: Method, path: &str, text: &str) {
    let answer = client.send_text(method.clone(), path, text).await;
    let start = text.get(..200).unwrap_or(text);
    assert!((400..500).contains(&answer.status.as_u16()), "{method} {path} {start}: {answer:?}");
    assert!(answer.error_codes().iter().all(|code| CODES.contains(&code.as_str())), "{method} {path} {start}: {answer:?}");
    let message = answer.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    assert!(message.len() > 10, "{start}: {message}");
}

/// Texts that are no JSON object, or too much of one.
fn no_objects() -> Vec<String> {
    let nested = "[".repeat(100_000);
    ["", " ", "{", "[]", "null", "\"x\"", "{}x", "name=x", "{'name':'x'}", "\u{feff}{}", &nested, &"x".repeat(2 << 20)]
        .map(str::to_owned)
        .into()
}

async fn what_is_no_account_is_refused_with_the_reason() {
    let registry = Registry::with_accounts(Backend::Folder, &[]).await;
    let admin = registry.admin();
    for name in ["", "Upper", "-a", ".a", "_a", "@a", "a b", "a/b", "a:b", "ä", "a\u{0}", "a\n", "anonymous", &"x".repeat(129)] {
        let account = json!({"name": name, "kind": "person", "password": PASSWORD});
        refused(&admin, Method::POST, ACCOUNTS, &account.to_string()).await;
    }
    let with = |member: &str, value: Value| {
        let mut account = json!({"name": "ann", "kind": "person", "password": PASSWORD});
        account[member] = value;
        account.to_string()
    };
    let mut texts = vec![
        with("kind", "alien".into()),
        with("kind", Value::Null),
        with("name", 1.into()),
        with("password", "x".repeat(9).into()),
        with("password", "x".repeat(1025).into()),
        with("password", "".into()),
        with("password", 1_234_567_890_123_u64.into()),
        with("expiresAt", "tomorrow".into()),
        with("expiresAt", 5.into()),
        with("roles", "pull".into()),
        with("roles", json!([{"actions": ["fly"], "repositories": "**"}])),
        with("roles", json!([{"actions": [], "repositories": "**"}])),
        with("roles", json!([{"actions": ["pull"], "repositories": "a*"}])),
        with("roles", json!([{"actions": ["pull"], "repositories": "**", "subject": "bob"}])),
        with("roles", json!([{"actions": ["pull"], "repositories": "**"}, {"actions": ["pull"]}])),
        with("isAdministrator", true.into()),
        with("secret", "lsr_of-my-own-choice".into()),
        with("createdAt", "2020-01-01T00:00:00Z".into()),
        r#"["ann","robot"]"#.into(),
        r#"["ann","person","a password of its own"]"#.into(),
        r#"{"kind":"robot"}"#.into(),
        r#"{"name":"ann"}"#.into(),
        r#"{"name":"ann","kind":"robot","name":"bob"}"#.into(),
        r#"{"name":"ann","kind":"person","kind":"robot"}"#.into(),
    ];
    texts.extend(no_objects());
    for text in &texts {
        refused(&admin, Method::POST, ACCOUNTS, text).await;
    }
    let names = admin.get(ACCOUNTS).await.expect(200).json();
    assert_eq!(names["accounts"].as_array().unwrap().len(), 1, "nothing was half done: {names}");
    let roles = admin.get(&format!("{ROLES}?subject=ann")).await.expect(200).json();
    assert_eq!(roles["roles"], json!([]));
    let bounds = json!({"name": "x".repeat(128), "kind": "person", "password": "y".repeat(1024)});
    admin.create_account(&bounds).await;
    admin.delete_account(&"x".repeat(128)).await;
}

async fn what_an_account_can_not_become_is_refused_with_the_reason() {
    let registry = Registry::with_accounts(Backend::Folder, &[]).await;
    let admin = registry.admin();
    admin.create_person("ann", PASSWORD, &[]).await;
    let mut texts: Vec<String> = [
        json!({"isDisabled": "yes"}),
        json!({"password": "x".repeat(9)}),
        json!({"password": "x".repeat(1025)}),
        json!({"expiresAt": "tomorrow"}),
        json!({"kind": "robot"}),
        json!({"name": "bob"}),
        json!({"roles": [{"actions": ["admin"], "repositories": "**"}]}),
        json!({"isDisabled": true, "isAdministrator": true}),
        json!({"password": PASSWORD, "renewSecret": true}),
    ]
    .map(|change| change.to_string())
    .into();
    texts.push(r#"{"isDisabled":true,"isDisabled":false}"#.into());
    texts.extend(no_objects());
    for text in &texts {
        refused(&admin, Method::PATCH, &format!("{ACCOUNTS}/ann"), text).await;
    }
    registry.client().as_basic("ann", PASSWORD).get("/v2/").await.expect(200);
    let after = admin.get(&format!("{ACCOUNTS}/ann")).await.expect(200).json();
    assert_eq!((&after["account"]["kind"], &after["account"]["isDisabled"]), (&json!("person"), &json!(false)));
    let roles = admin.get(&format!("{ROLES}?subject=ann")).await.expect(200).json();
    assert_eq!(roles["roles"], json!([]));
}

async fn what_is_no_role_is_refused_with_the_reason() {
    let registry = Registry::with_accounts(Backend::Folder, &[]).await;
    let admin = registry.admin();
    admin.create_robot("ci", &[]).await;
    let with = |member: &str, value: Value| {
        let mut role = json!({"subject": "ci", "actions": ["pull"], "repositories": "team/*"});
        role[member] = value;
        role.to_string()
    };
    let mut texts = vec![
        with("subject", "nobody".into()),
        with("subject", "".into()),
        with("subject", "Anonymous".into()),
        with("subject", Value::Null),
        with("actions", json!([])),
        with("actions", json!(["fly"])),
        with("actions", json!(["Pull"])),
        with("actions", json!(["pull", "*"])),
        with("actions", "pull".into()),
        with("id", "role_1".into()),
        r#"["ci",["pull"],"team/*"]"#.into(),
        r#"{"subject":"anonymous","actions":["admin"],"repositories":"**"}"#.into(),
        r#"{"subject":"ci","actions":["pull"]}"#.into(),
        r#"{"subject":"ci","actions":["pull"],"repositories":"a","subject":"admin"}"#.into(),
    ];
    for pattern in ["", "*", "a*", "*/a", "/**", "a/*/b", "A/**", "a/***", "a//*", "../*", "a\u{0}", "**/a"] {
        texts.push(with("repositories", pattern.into()));
    }
    texts.extend(no_objects());
    for text in &texts {
        refused(&admin, Method::POST, ROLES, text).await;
    }
    let left = admin.get(&format!("{ROLES}?subject=ci")).await.expect(200).json();
    assert_eq!(left["roles"], json!([]));
    for id in ["x", "role_", "role_x", "%2e%2e", "%00", "role_01890000-0000-7000-8000-000000000000"] {
        let answer = admin.delete(&format!("{ROLES}/{id}")).await;
        assert!([400, 404].contains(&answer.status.as_u16()), "{id}: {answer:?}");
    }
}

async fn paths_that_lead_to_no_account_are_refused() {
    let registry = Registry::with_accounts(Backend::Folder, &[]).await;
    let admin = registry.admin();
    for name in ["UPPER", "%2e%2e", "a%2fb", "%00", "%ff", "anonymous", &"x".repeat(1000)] {
        let path = format!("{ACCOUNTS}/{name}");
        for method in [Method::GET, Method::DELETE, Method::PATCH] {
            let answer = admin.send_text(method.clone(), &path, r#"{"isDisabled":true}"#).await;
            assert!((400..500).contains(&answer.status.as_u16()), "{method} {name}: {answer:?}");
            answer.error_codes();
        }
    }
    for (method, path) in [(Method::PUT, ACCOUNTS), (Method::DELETE, ACCOUNTS), (Method::PATCH, ROLES), (Method::PUT, ROLES)] {
        let answer = Answer::to(admin.request(method, path)).await.expect_error(405, "UNSUPPORTED");
        assert!(answer.header("allow").is_some(), "{answer:?}");
    }
}
