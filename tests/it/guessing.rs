//! Passwords are not found out by trying.

use http::Method;
use longshore_tests::{Answer, Backend, Client, Registry, on_both_backends};
use serde_json::json;

on_both_backends!(who_guesses_is_told_to_wait_and_others_are_not);
longshore_tests::once!(
    guesses_made_at_once_are_counted_as_well,
    guesses_at_many_names_are_counted_by_address,
    a_wrong_name_and_a_wrong_password_are_answered_alike,
);

const PASSWORD: &str = "correct horse battery";

async fn guess(client: &Client, name: &str, password: &str) -> Answer {
    client.as_basic(name, password).get("/v2/").await
}

/// That an answer says to come again within the minute.
#[track_caller]
fn told_to_wait(answer: Answer) {
    let answer = answer.expect_error(429, "TOOMANYREQUESTS");
    let seconds: u64 = answer.required("retry-after").parse().expect("a count of seconds");
    assert!((1..=60).contains(&seconds), "{answer:?}");
}

async fn who_guesses_is_told_to_wait_and_others_are_not(backend: Backend) {
    let registry = Registry::with_accounts(backend, &[("auth.failed_logins_per_account", 3.into())]).await;
    let (admin, client) = (registry.admin(), registry.client());
    let ann = admin.create_person("ann", PASSWORD, &[]).await;
    let bob = admin.create_person("bob", PASSWORD, &[]).await;
    let robot = admin.create_robot("ci", &[]).await;
    // Whoever says nothing guesses nothing, and neither does who is right.
    for _ in 0..10 {
        client.get("/v2/").await.expect(401);
        registry.as_account(&ann).get("/v2/").await.expect(200);
    }
    for number in 0..3 {
        guess(&client, "ann", &format!("a wrong guess {number}")).await.expect_error(401, "UNAUTHORIZED");
    }
    told_to_wait(guess(&client, "ann", "a wrong guess").await);
    // Or the last guess would tell whether it was right.
    told_to_wait(guess(&client, "ann", PASSWORD).await);
    told_to_wait(registry.as_account(&ann).ask_token(&[]).await);
    let form = format!("grant_type=password&username=ann&password={PASSWORD}&service=x").replace(' ', "+");
    let form = client.request(Method::POST, "/token").header("content-type", "application/x-www-form-urlencoded").body(form);
    told_to_wait(Answer::to(form).await);
    for account in [&bob, &robot] {
        registry.as_account(account).get("/v2/").await.expect(200);
        registry.as_account(account).token(&[]).await;
    }
    client.get("/v2/").await.expect(401);
    // Guesses by way of the token service are guesses.
    for _ in 0..3 {
        client.as_basic("bob", "a wrong guess").ask_token(&[]).await.expect_error(401, "UNAUTHORIZED");
    }
    told_to_wait(client.as_basic("bob", "a wrong guess").ask_token(&[]).await);
    told_to_wait(guess(&client, "bob", "a wrong guess").await);
    admin.get("/v2/_longshore/accounts").await.expect(200);
    registry.as_account(&robot).get("/v2/").await.expect(200);
}

async fn guesses_made_at_once_are_counted_as_well() {
    let registry = Registry::with_accounts(Backend::Folder, &[("auth.failed_logins_per_account", 3.into())]).await;
    let client = registry.client();
    registry.admin().create_person("ann", PASSWORD, &[]).await;
    let passwords: Vec<String> = (0..30).map(|number| format!("a wrong guess {number}")).collect();
    let guesses = passwords.iter().map(|password| guess(&client, "ann", password));
    let statuses: Vec<u16> = futures_util::future::join_all(guesses).await.iter().map(|answer| answer.status.as_u16()).collect();
    assert!(statuses.iter().all(|status| [401, 429].contains(status)), "{statuses:?}");
    let tried = statuses.iter().filter(|status| **status == 401).count();
    assert!((1..=3).contains(&tried), "{tried} of them were tried: {statuses:?}");
}

async fn guesses_at_many_names_are_counted_by_address() {
    let registry = Registry::with_accounts(Backend::Folder, &[("auth.failed_logins_per_address", 5.into())]).await;
    let client = registry.client();
    for number in 0..5 {
        guess(&client, &format!("name{number}"), "a wrong guess").await.expect_error(401, "UNAUTHORIZED");
    }
    told_to_wait(guess(&client, "name9", "a wrong guess").await);
    client.get("/v2/").await.expect(401);
}

async fn a_wrong_name_and_a_wrong_password_are_answered_alike() {
    let registry = Registry::with_accounts(Backend::Folder, &[]).await;
    let (admin, client) = (registry.admin(), registry.client());
    admin.create_person("ann", PASSWORD, &[]).await;
    admin.create_robot("rob", &[]).await;
    let off = json!({"name": "off", "kind": "person", "password": PASSWORD});
    admin.create_account(&off).await;
    admin.change_account("off", &json!({"isDisabled": true})).await;
    let seen = |answer: &Answer, name: &str| {
        let own = ["x-request-id", "date"];
        let headers: Vec<String> = answer
            .headers
            .iter()
            .filter(|(header, _)| !own.contains(&header.as_str()))
            .map(|(header, value)| format!("{header}: {value:?}"))
            .collect();
        (answer.status, headers, String::from_utf8_lossy(&answer.body).replace(name, "NAME"))
    };
    for path in ["/v2/", "/v2/team/app/manifests/v1", "/token", "/v2/_longshore/accounts"] {
        let ask = async |name: &str| {
            let answer = client.as_basic(name, "a wrong guess").get(path).await.expect_error(401, "UNAUTHORIZED");
            seen(&answer, name)
        };
        let expected = ask("ann").await;
        for name in ["nix", "rob", "off"] {
            assert_eq!(ask(name).await, expected, "{path} {name}");
        }
    }
}
