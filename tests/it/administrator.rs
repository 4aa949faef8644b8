//! The first start, which makes an administrator, and what of the configuration is about who may call.

use std::{path::Path, time::Duration};

use longshore_tests::{
    Backend, Client, Image, Output, Process, Registry, longshore, on_both_backends, run, run_ok, temporary_folder,
};
use serde_json::Value;

on_both_backends!(a_password_is_made_and_told_once, a_given_password_is_the_first_starts_alone);
longshore_tests::once!(
    up_asks_who_calls_where_it_is_told_to,
    others_are_let_in_by_their_accounts_or_by_saying_so,
    mistakes_about_accounts_are_reported,
    without_accounts_nobody_is_asked,
);

/// What a registry made calls itself with, if it has said so; in the words that `up` has too.
fn told_password(output: &str) -> Option<String> {
    let told: Vec<&str> = output.lines().filter(|line| line.contains("the administrator is \"admin\"")).collect();
    assert!(told.len() <= 1, "it is shown this once: {told:?}");
    let rest = told.first()?.split_once("with the password ")?.1;
    let password = rest.split([';', ' ', ',']).next()?.to_owned();
    assert!(password.len() >= 16 && rest.contains("shown this once"), "{told:?}");
    Some(password)
}

/// Also where all that was in the database is lost.
async fn a_password_is_made_and_told_once(backend: Backend) {
    let values = [("auth.enabled", true.into()), ("keys.sealing_secret", Registry::SEALING_SECRET.into())];
    let mut registry = Registry::with(backend, &values).await;
    let first = told_password(&registry.log()).expect("it is told");
    let admin = registry.client().as_basic("admin", &first);
    admin.get("/v2/_longshore/accounts").await.expect(200);
    assert!(!registry.index().holds(&first).await);
    let image = Image::random(750, &[1000]);
    admin.push_image("team/app", "v1", &image).await;
    let robot = admin.create_robot("ci", &[("pull", "team/*")]).await;
    let token = registry.as_account(&robot).token(&["repository:team/app:pull"]).await;
    registry.restart().await;
    assert_eq!(told_password(&registry.log()), None);
    assert!(!registry.log().contains(&first));
    admin.get("/v2/_longshore/accounts").await.expect(200);
    assert_eq!(registry.as_account(&robot).pull_image("team/app", "v1").await, image.digest);
    assert_eq!(registry.client().as_bearer(&token).pull_image("team/app", "v1").await, image.digest);

    // What is rebuilt is what the store knows of; who may call it does not, and that stays.
    registry.kill9();
    let output = registry.reindex().await;
    assert!(output.code == Some(0) && told_password(&output.stderr).is_none(), "{output}");
    registry.restart().await;
    assert_eq!(told_password(&registry.log()), None);
    assert_eq!(registry.as_account(&robot).pull_image("team/app", "v1").await, image.digest);

    registry.kill9();
    registry.index().lose().await;
    let output = registry.reindex().await;
    assert!(output.code == Some(0) && told_password(&output.stderr).is_none(), "{output}");
    registry.restart().await;
    let second = told_password(&registry.log()).expect("it is told, as the other is of no use any more");
    assert_ne!(first, second);
    admin.get("/v2/").await.expect(401);
    registry.as_account(&robot).get("/v2/").await.expect(401);
    registry.client().as_bearer(&token).get_manifest("team/app", "v1").await.expect(401);
    assert_eq!(registry.client().as_basic("admin", &second).pull_image("team/app", "v1").await, image.digest);
}

async fn a_given_password_is_the_first_starts_alone(backend: Backend) {
    let folder = temporary_folder("password");
    let file = folder.path().join("password");
    std::fs::write(&file, "out of a file, all of it\n").unwrap();
    let values = [
        ("auth.enabled", true.into()),
        ("keys.sealing_secret", Registry::SEALING_SECRET.into()),
        ("auth.admin_password_file", file.to_str().unwrap().into()),
    ];
    let mut registry = Registry::with(backend, &values).await;
    let client = registry.client();
    let (given, other) = (client.as_basic("admin", "out of a file, all of it"), client.as_basic("admin", "another password"));
    given.get("/v2/_longshore/accounts").await.expect(200);
    assert_eq!(told_password(&registry.log()), None);
    assert!(!registry.log().contains("out of a file"), "{}", registry.log());
    given.change_account("admin", &serde_json::json!({"password": "another password"})).await;
    registry.restart().await;
    // It was changed since; the configuration does not bring it back.
    other.get("/v2/_longshore/accounts").await.expect(200);
    given.get("/v2/").await.expect(401);
}

async fn up_asks_who_calls_where_it_is_told_to() {
    let folder = temporary_folder("up");
    let data = folder.path().to_str().unwrap().to_owned();
    let up = async |flags: &[&str]| {
        let mut process = Process::start("up", longshore(), |command| {
            command.args(["up", "--data", &data, "--listen", "127.0.0.1:0", "--admin-listen", "off"]).args(flags);
        });
        let url = process.printed("where it is", Duration::from_secs(30), |line| {
            let rest = line.split_once("registry on ")?.1;
            rest.starts_with("http").then(|| rest.split([',', ' ']).next().unwrap_or_default().to_owned())
        });
        let url = url.await;
        (process, Client::new(&url))
    };
    let (mut process, client) = up(&["--auth"]).await;
    let whole = "longshore: the administrator is \"admin\", with the password ";
    let line = process.printed("the password", Duration::from_secs(10), |line| line.strip_prefix(whole).map(str::to_owned)).await;
    assert!(line.ends_with("; it is shown this once"), "{line}");
    let password = told_password(&process.output()).unwrap();
    client.get("/v2/").await.expect(401);
    client.as_basic("admin", &password).get("/v2/").await.expect(200);
    process.terminate(Duration::from_secs(20));
    let (mut process, client) = up(&["--auth"]).await;
    client.as_basic("admin", &password).get("/v2/").await.expect(200);
    assert_eq!(told_password(&process.output()), None);
    process.terminate(Duration::from_secs(20));
    let (process, client) = up(&[]).await;
    client.get("/v2/").await.expect(200);
    assert_eq!(told_password(&process.output()), None);
}

async fn check(folder: &Path, text: &str) -> Output {
    let file = folder.join("registry.toml");
    std::fs::write(&file, text).unwrap();
    run(longshore(), ["registry", "config", "check", "--config", file.to_str().unwrap()]).await
}

async fn others_are_let_in_by_their_accounts_or_by_saying_so() {
    let folder = temporary_folder("reach");
    for (address, more, is_right) in [
        ("0.0.0.0:5000", "", false),
        ("[::]:5000", "", false),
        ("192.0.2.1:5000", "", false),
        ("0.0.0.0:5000", "allow_unauthenticated = true\n", true),
        ("0.0.0.0:5000", "[auth]\nenabled = true\n", true),
        ("127.0.0.1:5000", "", true),
        ("[::1]:5000", "", true),
    ] {
        let text = format!("[listen]\naddress = \"{address}\"\nallow_plain_http = true\n{more}");
        let output = check(folder.path(), &text).await;
        assert_eq!(output.code, Some(if is_right { 0 } else { 2 }), "{text}: {output}");
        let names_it = output.stderr.contains("registry.toml:2") && output.stderr.contains("allow_unauthenticated");
        assert!(is_right || names_it && output.stderr.contains("auth"), "{text}: {output}");
    }
    let text = "[listen]\naddress = \"0.0.0.0:0\"\nadmin_address = \"off\"\nallow_plain_http = true\n";
    let file = folder.path().join("registry.toml");
    std::fs::write(&file, text).unwrap();
    let output = run(longshore(), ["registry", "serve", "--config", file.to_str().unwrap()]).await;
    assert!(output.code == Some(2) && output.stderr.contains("allow_unauthenticated"), "{output}");
}

async fn mistakes_about_accounts_are_reported() {
    let folder = temporary_folder("auth");
    let postgres = "[database]\nkind = \"postgres\"\nurl = \"postgres://postgres@127.0.0.1/x\"\n";
    for (text, words) in [
        ("[auth]\nenabled = true\ntoken_lifetime = \"59s\"\n".to_owned(), "auth.token_lifetime"),
        ("[auth]\nenabled = true\npeer_token_lifetime = \"25h\"\n".to_owned(), "auth.peer_token_lifetime"),
        (format!("[auth]\nenabled = true\n{postgres}"), "keys.sealing_secret"),
        ("[auth]\nenabled = true\nadmin_password = \"short\"\n".into(), "auth.admin_password"),
        ("[auth]\nenabled = true\nbearer = false\nbasic = false\n".into(), "auth.b"),
        ("[auth]\nenabeld = true\n".into(), "enabled"),
        ("[auth]\nenabled = true\nadmin_password_file = \"/nowhere/at/all\"\n".into(), "/nowhere/at/all"),
    ] {
        let output = check(folder.path(), &text).await;
        assert!(output.code == Some(2) && output.stderr.contains(words), "{text}: {output}");
    }
    for text in [
        "[auth]\nenabled = true\ntoken_lifetime = \"60s\"\n".to_owned(),
        format!("[auth]\nenabled = true\nbearer = false\n{postgres}"),
        format!("[auth]\nenabled = true\n[keys]\nsealing_secret = \"{}\"\n{postgres}", Registry::SEALING_SECRET),
    ] {
        let output = check(folder.path(), &text).await;
        assert_eq!(output.code, Some(0), "{text}: {output}");
    }
    let file = folder.path().join("registry.toml");
    std::fs::write(&file, "[auth]\nenabled = true\nadmin_password = \"not for anybody's eyes\"\n").unwrap();
    let arguments = ["registry", "config", "show", "--redact", "--config", file.to_str().unwrap()];
    let shown = run_ok(longshore(), arguments).await;
    assert!(shown.contains("admin_password") && !shown.contains("anybody's eyes"), "{shown}");
}

async fn without_accounts_nobody_is_asked() {
    let registry = Registry::start(Backend::Folder).await;
    let client = registry.client();
    let image = Image::random(751, &[100]);
    client.push_image("team/app", "v1", &image).await;
    client.delete("/v2/team/app/manifests/v1").await.expect(202);
    assert_eq!(told_password(&registry.log()), None);
    // Clients that are logged in show what they have, whether it is asked for or not.
    for client in [client.as_basic("ci", "whatever"), client.as_bearer("whatever")] {
        assert_eq!(client.pull_image("team/app", image.digest.as_str()).await, image.digest);
    }
    for path in ["/token", "/v2/_longshore/accounts", "/v2/_longshore/roles"] {
        let answer = client.get(path).await;
        assert!((400..500).contains(&answer.status.as_u16()), "{path}: {answer:?}");
        answer.error_codes();
    }
    let made: Value = serde_json::json!({"name": "ci", "kind": "robot"});
    let answer = client.send_json(http::Method::POST, "/v2/_longshore/accounts", &made).await;
    assert!((400..500).contains(&answer.status.as_u16()), "{answer:?}");
}
