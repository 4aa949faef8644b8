//! People, robots and roles: how administrators make them, and what is kept of them.

use std::time::Duration;

use http::Method;
use jiff::{SignedDuration, Timestamp};
use longshore_tests::{Account, Answer, Backend, Client, Image, Registry, on_both_backends, until};
use serde_json::{Value, json};

on_both_backends!(
    an_account_is_made_changed_and_deleted,
    accounts_and_roles_are_paged,
    a_secret_is_shown_once_and_kept_nowhere,
    an_account_ends_when_it_should,
    roles_are_given_and_taken,
);
longshore_tests::once!(
    a_person_changes_its_own_password_alone,
    an_administrator_can_not_lock_itself_out,
    accounts_and_roles_are_bounded,
);

const ACCOUNTS: &str = "/v2/_longshore/accounts";
const ROLES: &str = "/v2/_longshore/roles";
const PASSWORD: &str = "correct horse battery";

/// One that lets who asks until it is refused, or let in, ask on.
async fn start(backend: Backend) -> Registry {
    let patience = [("auth.failed_logins_per_address", 1000.into()), ("auth.failed_logins_per_account", 1000.into())];
    Registry::with_accounts(backend, &patience).await
}

async fn account(admin: &Client, name: &str) -> Value {
    admin.get(&format!("{ACCOUNTS}/{name}")).await.expect(200).json()["account"].clone()
}

async fn try_change(client: &Client, name: &str, change: &Value) -> Answer {
    client.send_json(Method::PATCH, &format!("{ACCOUNTS}/{name}"), change).await
}

/// Asks until an account's secret is refused: an answer given before may be remembered for a moment.
async fn until_refused(registry: &Registry, account: &Account) {
    until(&format!("{} to be refused", account.name), Duration::from_secs(5), async || {
        (registry.as_account(account).get("/v2/").await.status == 401).then_some(())
    })
    .await;
}

async fn an_account_is_made_changed_and_deleted(backend: Backend) {
    let registry = start(backend).await;
    let admin = registry.admin();
    let before = Timestamp::now() - SignedDuration::from_secs(5);
    let ann = admin.create_person("ann", PASSWORD, &[("pull", "team/*")]).await;
    let made = account(&admin, "ann").await;
    assert_eq!((&made["name"], &made["kind"], &made["isDisabled"]), (&json!("ann"), &json!("person"), &json!(false)));
    assert!(made["createdAt"].as_str().unwrap().parse::<Timestamp>().unwrap() > before, "{made}");
    assert!(made.get("expiresAt").is_none() && made.get("lastUsedAt").is_none(), "{made}");
    registry.as_account(&ann).get("/v2/").await.expect(200);
    let taken = json!({"name": "ann", "kind": "robot"});
    admin.send_json(Method::POST, ACCOUNTS, &taken).await.expect_error(409, "ACCOUNT_EXISTS");

    // One who is given no password gets one; a robot always does.
    for (name, kind) in [("bob", "person"), ("ci", "robot")] {
        let made = admin.create_account(&json!({"name": name, "kind": kind})).await;
        assert_eq!((&made["account"]["name"], &made["account"]["kind"]), (&json!(name), &json!(kind)));
        let secret = made["secret"].as_str().unwrap();
        assert!(secret.len() >= 16 && (kind == "person" || secret.starts_with("lsr_")), "{made}");
        registry.as_account(&Account::of(name, secret)).get("/v2/").await.expect(200);
    }
    let renewed = admin.change_account("ann", &json!({"password": "another password"})).await;
    assert!(renewed.get("secret").is_none(), "{renewed}");
    let new = Account::of("ann", "another password");
    registry.as_account(&new).get("/v2/").await.expect(200);
    until_refused(&registry, &ann).await;
    until("its use to be told", Duration::from_secs(20), async || {
        let used_at: Timestamp = account(&admin, "ann").await.get("lastUsedAt")?.as_str()?.parse().unwrap();
        (used_at > before).then_some(())
    })
    .await;
    let renewed = admin.change_account("ann", &json!({"renewSecret": true})).await;
    let newest = Account::of("ann", renewed["secret"].as_str().unwrap());
    registry.as_account(&newest).get("/v2/").await.expect(200);
    until_refused(&registry, &new).await;

    let disabled = admin.change_account("ann", &json!({"isDisabled": true})).await;
    assert_eq!(disabled["account"]["isDisabled"], true);
    until_refused(&registry, &newest).await;
    assert_eq!(admin.change_account("ann", &json!({"isDisabled": false})).await["account"]["isDisabled"], false);
    until("it to be let in again", Duration::from_secs(5), async || {
        (registry.as_account(&newest).get("/v2/").await.status == 200).then_some(())
    })
    .await;

    admin.delete_account("ann").await;
    until_refused(&registry, &newest).await;
    admin.get(&format!("{ACCOUNTS}/ann")).await.expect_error(404, "ACCOUNT_UNKNOWN");
    admin.delete(&format!("{ACCOUNTS}/ann")).await.expect_error(404, "ACCOUNT_UNKNOWN");
    try_change(&admin, "ann", &json!({"isDisabled": true})).await.expect_error(404, "ACCOUNT_UNKNOWN");
    let left = admin.get(&format!("{ROLES}?subject=ann")).await.expect(200).json();
    assert_eq!(left["roles"], json!([]), "its roles went with it");
    let again = admin.create_person("ann", PASSWORD, &[]).await;
    registry.as_account(&again).get_manifest("team/app", "v1").await.expect_error(403, "DENIED");
}

/// The values of a field on all pages from `path` on, and how many pages these were.
async fn on_all_pages(client: &Client, path: &str, list: &str, field: &str) -> (Vec<String>, usize) {
    let (mut found, mut count, mut next) = (Vec::new(), 0, Some(path.to_owned()));
    while let Some(page) = next {
        let answer = client.get(&page).await.expect(200);
        found.extend(answer.json()[list].as_array().unwrap().iter().map(|entry| entry[field].as_str().unwrap().to_owned()));
        (next, count) = (answer.next_page(), count + 1);
        assert!(count < 50, "it ends: {found:?}");
    }
    (found, count)
}

async fn accounts_and_roles_are_paged(backend: Backend) {
    let registry = Registry::with_accounts(backend, &[("lists.max_page", 4.into())]).await;
    let admin = registry.admin();
    let longest = "x".repeat(128);
    let mut names = ["b", "a-b", "a.b", "a_b", "a@b", "9", longest.as_str()];
    for name in names {
        admin.create_robot(name, &[("pull", "a"), ("push", "b/*")]).await;
    }
    names.sort_unstable();
    let mut expected: Vec<&str> = names.iter().copied().chain(["admin"]).collect();
    expected.sort_unstable();
    for (query, count) in [("?n=1", 8), ("?n=3", 3), ("", 2), ("?n=100", 2)] {
        assert_eq!(
            on_all_pages(&admin, &format!("{ACCOUNTS}{query}"), "accounts", "name").await,
            (owned(&expected), count),
            "{query}"
        );
    }
    let (ids, _) = on_all_pages(&admin, &format!("{ROLES}?n=3"), "roles", "id").await;
    assert!(ids.is_sorted() && ids.iter().all(|id| id.starts_with("role_")), "{ids:?}");
    // The administrator may have one of its own.
    assert!(ids.len() >= 14, "{ids:?}");
    let (of_one, count) = on_all_pages(&admin, &format!("{ROLES}?subject=a%40b&n=1"), "roles", "subject").await;
    assert_eq!((of_one, count), (owned(&["a@b", "a@b"]), 2));
    for path in [ACCOUNTS, ROLES] {
        let none = admin.get(&format!("{path}?n=0")).await.expect(200);
        assert_eq!(none.next_page(), None);
        admin.get(&format!("{path}?n=x")).await.expect_error(400, "PAGINATION_NUMBER_INVALID");
    }
    let after = admin.get(&format!("{ACCOUNTS}?last=a_c")).await.expect(200).json();
    assert_eq!(after["accounts"][0]["name"], "admin");
    // As they are written in a path.
    for name in ["a@b", "a%40b"] {
        assert_eq!(account(&admin, name).await["name"], "a@b");
    }
    admin.delete_account("a%40b").await;
    admin.get(&format!("{ACCOUNTS}/a@b")).await.expect_error(404, "ACCOUNT_UNKNOWN");
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

async fn a_secret_is_shown_once_and_kept_nowhere(backend: Backend) {
    let registry = Registry::with_accounts(backend, &[("log.filter", "debug".into())]).await;
    let admin = registry.admin();
    let robot = admin.create_robot("robot-of-secrets", &[("pull", "**")]).await;
    let person = admin.create_person("person-of-secrets", PASSWORD, &[]).await;
    let renewed = admin.change_account("robot-of-secrets", &json!({"renewSecret": true})).await;
    let renewed = Account::of("robot-of-secrets", renewed["secret"].as_str().unwrap());
    for account in [&renewed, &person] {
        registry.as_account(account).with_token(&["repository:team/app:pull"]).await.get("/v2/").await.expect(200);
        registry.as_account(account).get("/v2/").await.expect(200);
    }
    let token = registry.as_account(&renewed).token(&["repository:team/app:pull"]).await;
    registry.client().as_bearer(&format!("{token}x")).get("/v2/").await.expect(401);
    registry.client().as_basic("person-of-secrets", "a wrong guess of it").get("/v2/").await.expect(401);

    let listed = admin.get(ACCOUNTS).await.expect(200);
    let one = admin.get(&format!("{ACCOUNTS}/robot-of-secrets")).await.expect(200);
    let shown = [listed, one].map(|answer| String::from_utf8_lossy(&answer.body).into_owned());
    assert!(registry.index().holds("robot-of-secrets").await, "what is there is found");
    for secret in
        [robot.secret.as_str(), &renewed.secret, &person.secret, &token, Registry::ADMIN_PASSWORD, "a wrong guess of it"]
    {
        assert!(!shown.iter().any(|shown| shown.contains(secret)), "it is not shown again");
        assert!(!registry.index().holds(secret).await, "the database has it not");
        assert!(!registry.log().contains(secret), "and no log: {}", registry.log());
    }
    let metrics = Client::new(registry.admin_url()).get("/metrics").await.expect(200);
    assert!(!String::from_utf8_lossy(&metrics.body).contains("of-secrets"), "names are not counted by");
}

async fn an_account_ends_when_it_should(backend: Backend) {
    let registry = start(backend).await;
    let admin = registry.admin();
    let later = |seconds| (Timestamp::now() + SignedDuration::from_secs(seconds)).to_string();
    let short = admin.create_account(&json!({"name": "short", "kind": "robot", "expiresAt": later(3)})).await;
    let short = Account::of("short", short["secret"].as_str().unwrap());
    registry.as_account(&short).get("/v2/").await.expect(200);
    let end = later(3600);
    let long = admin.create_account(&json!({"name": "long", "kind": "robot", "expiresAt": end})).await;
    let told: Timestamp = long["account"]["expiresAt"].as_str().unwrap().parse().unwrap();
    assert!((told.as_second() - end.parse::<Timestamp>().unwrap().as_second()).abs() <= 1, "{long}");
    let long = Account::of("long", long["secret"].as_str().unwrap());
    until("the short-lived one to end", Duration::from_secs(10), async || {
        let answer = registry.as_account(&short).get("/v2/").await;
        (answer.status == 401).then(|| answer.error_codes())
    })
    .await;
    registry.as_account(&short).ask_token(&[]).await.expect_error(401, "UNAUTHORIZED");
    registry.as_account(&long).get("/v2/").await.expect(200);
    // It can be given more time, or all there is.
    admin.change_account("short", &json!({"expiresAt": later(3600)})).await;
    until("it to be let in again", Duration::from_secs(5), async || {
        (registry.as_account(&short).get("/v2/").await.status == 200).then_some(())
    })
    .await;
    let forever = admin.change_account("short", &json!({"expiresAt": null})).await;
    assert!(forever["account"].get("expiresAt").is_none_or(Value::is_null), "{forever}");
}

async fn roles_are_given_and_taken(backend: Backend) {
    let registry = start(backend).await;
    let admin = registry.admin();
    admin.push_image("prod/app", "v1", &Image::random(740, &[100])).await;
    let robot = admin.create_robot("ci", &[]).await;
    let client = registry.as_account(&robot);
    let role = json!({"subject": "ci", "actions": ["pull", "delete"], "repositories": "prod/*"});
    let made = admin.send_json(Method::POST, ROLES, &role).await.expect(201).json();
    for member in ["subject", "actions", "repositories"] {
        assert_eq!(made[member], role[member], "{made}");
    }
    made["createdAt"].as_str().unwrap().parse::<Timestamp>().unwrap();
    let listed = admin.get(&format!("{ROLES}?subject=ci")).await.expect(200).json();
    assert_eq!(listed["roles"], json!([made]));
    client.get_manifest("prod/app", "v1").await.expect(200);
    client.post("/v2/prod/app/blobs/uploads/").await.expect_error(403, "DENIED");
    // Whoever gets the right to all repositories administers, and who loses it does not.
    let id = admin.grant("ci", "admin", "**").await;
    client.get(ACCOUNTS).await.expect(200);
    client.post("/v2/prod/app/blobs/uploads/").await.expect(202);
    admin.revoke(&id).await;
    until("it to be an administrator no more", Duration::from_secs(5), async || {
        (client.get(ACCOUNTS).await.status == 403).then_some(())
    })
    .await;
    admin.revoke(made["id"].as_str().unwrap()).await;
    until("it to be refused", Duration::from_secs(5), async || {
        (client.get_manifest("prod/app", "v1").await.status == 403).then_some(())
    })
    .await;
    admin.delete(&format!("{ROLES}/{id}")).await.expect_error(404, "ROLE_UNKNOWN");
    client.delete(&format!("{ROLES}/{id}")).await.expect_error(403, "DENIED");
}

async fn a_person_changes_its_own_password_alone() {
    let registry = start(Backend::Folder).await;
    let admin = registry.admin();
    let ann = admin.create_person("ann", PASSWORD, &[("push", "**")]).await;
    admin.create_person("bob", PASSWORD, &[]).await;
    let robot = admin.create_robot("ci", &[("admin", "team/**")]).await;
    let client = registry.as_account(&ann);
    for change in [
        json!({"isDisabled": false}),
        json!({"expiresAt": null}),
        json!({"password": "another password", "expiresAt": null}),
        json!({"password": "another password", "isDisabled": false}),
    ] {
        try_change(&client, "ann", &change).await.expect_error(403, "DENIED");
    }
    let password = json!({"password": "another password"});
    for name in ["bob", "admin", "ci", "absent"] {
        try_change(&client, name, &password).await.expect_error(403, "DENIED");
    }
    // A robot has no password of its own.
    let robot = registry.as_account(&robot);
    try_change(&robot, "ci", &json!({"renewSecret": true})).await.expect_error(403, "DENIED");
    let answer = try_change(&robot, "ci", &password).await;
    assert!([400, 403].contains(&answer.status.as_u16()), "{answer:?}");
    robot.get("/v2/").await.expect(200);
    try_change(&registry.client(), "ann", &password).await.expect_error(401, "UNAUTHORIZED");
    try_change(&client, "ann", &json!({"password": "short"})).await.expect_error(400, "ACCOUNT_INVALID");
    // Nothing of this changed anything.
    registry.as_account(&ann).get("/v2/").await.expect(200);
    try_change(&client, "ann", &password).await.expect(200);
    registry.client().as_basic("ann", "another password").get("/v2/").await.expect(200);
    until_refused(&registry, &ann).await;
}

async fn an_administrator_can_not_lock_itself_out() {
    let registry = start(Backend::Folder).await;
    let admin = registry.admin();
    let own = format!("{ACCOUNTS}/admin");
    admin.delete(&own).await.expect(409).error_codes();
    try_change(&admin, "admin", &json!({"isDisabled": true})).await.expect(409).error_codes();
    let roles = admin.get(&format!("{ROLES}?subject=admin")).await.expect(200).json();
    for role in roles["roles"].as_array().unwrap() {
        admin.delete(&format!("{ROLES}/{}", role["id"].as_str().unwrap())).await.expect(409).error_codes();
    }
    admin.get(ACCOUNTS).await.expect(200);
    // Another can.
    let other = admin.create_robot("other", &[("admin", "**")]).await;
    let other = registry.as_account(&other);
    other.change_account("admin", &json!({"isDisabled": true})).await;
    until_refused(&registry, &Account::of("admin", Registry::ADMIN_PASSWORD)).await;
    other.delete_account("admin").await;
    other.delete(&format!("{ACCOUNTS}/other")).await.expect(409);
    other.get(ACCOUNTS).await.expect(200);
}

async fn accounts_and_roles_are_bounded() {
    let bounds = [("auth.max_accounts", 3.into()), ("auth.max_roles", 4.into())];
    let registry = Registry::with_accounts(Backend::Folder, &bounds).await;
    let admin = registry.admin();
    let has_room = async |method: Method, path: &str, json: Value| {
        let answer = admin.send_json(method, path, &json).await;
        assert!(answer.status == 201 || [400, 403, 409, 429].contains(&answer.status.as_u16()), "{answer:?}");
        answer.status == 201
    };
    let mut made = Vec::new();
    for name in ["a", "b", "c"] {
        made.push(has_room(Method::POST, ACCOUNTS, json!({"name": name, "kind": "robot"})).await);
    }
    assert_eq!(made, [true, true, false], "the administrator is one of three");
    admin.delete_account("a").await;
    assert!(has_room(Method::POST, ACCOUNTS, json!({"name": "c", "kind": "robot"})).await, "and room is made again");
    let mut count = 0;
    for number in 0..6 {
        let role = json!({"subject": "c", "actions": ["pull"], "repositories": format!("r{number}")});
        count += usize::from(has_room(Method::POST, ROLES, role).await);
    }
    let all = admin.get(ROLES).await.expect(200).json();
    assert_eq!(all["roles"].as_array().unwrap().len(), 4, "{all}");
    assert!((3..=4).contains(&count), "{count}");
}
