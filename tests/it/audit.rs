//! The audit log: who did what is all in it, nothing of it can be changed unseen, and nobody waits for it.

use std::time::{Duration, Instant};

use http::Method;
use longshore_oci::AuditLine;
use longshore_tests::{
    Answer, Backend, Client, Image, Index, Output, Registry, Signer, longshore, on_both_backends, run, temporary_folder, until,
};
use serde_json::{Value, json};
use sqlx::{Connection, Executor, SqliteConnection, sqlite::SqliteConnectOptions};

on_both_backends!(whatever_happens_has_its_line, a_rebuilding_and_a_stop_lose_no_line);
longshore_tests::once!(
    whatever_is_changed_afterwards_is_found,
    a_head_that_was_kept_shows_a_rewriting,
    a_stuck_log_slows_nobody_down,
    replicas_keep_one_log,
    a_registry_that_asks_nobody_has_a_log_where_it_is_told_to,
);

const PATIENCE: Duration = Duration::from_secs(20);

/// `longshore audit …`, as the administrator.
async fn audit(registry: &Registry, arguments: &[&str]) -> Output {
    let password = format!("LONGSHORE_REGISTRY_PASSWORD={}", Registry::ADMIN_PASSWORD);
    let program = longshore().to_str().expect("our programs' names are ASCII").to_owned();
    let mut words = vec!["-u", "LONGSHORE_REGISTRY_TOKEN", "DOCKER_CONFIG=/nowhere", &password, &program, "audit"];
    words.extend(arguments);
    words.extend(["--registry", registry.url(), "-u", "admin"]);
    run("env", words).await
}

/// `longshore audit verify`, with a token that was got before: so nobody logs in, and no line is added.
async fn verify_with(token: &str, registry: &Registry) -> Output {
    let token = format!("LONGSHORE_REGISTRY_TOKEN={token}");
    let program = longshore().to_str().expect("our programs' names are ASCII").to_owned();
    run("env", [token.as_str(), &program, "audit", "verify", "--registry", registry.url()]).await
}

/// What `longshore audit --output json` prints with these arguments.
async fn listed(registry: &Registry, arguments: &[&str]) -> Vec<Value> {
    let output = audit(registry, &[arguments, &["--output", "json"]].concat()).await;
    assert_eq!(output.code, Some(0), "{output}");
    output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The first line with this action and these members, once it is there.
async fn line(registry: &Registry, action: &str, members: Value) -> Value {
    let has = |line: &Value| members.as_object().unwrap().iter().all(|(name, value)| line[name] == *value);
    until(&format!("{action} with {members}"), PATIENCE, async || {
        listed(registry, &["--action", action]).await.into_iter().find(&has)
    })
    .await
}

async fn put(client: &Client, reference: &str, image: &Image, id: &str) -> Answer {
    let path = format!("/v2/{reference}");
    let request = client.request(Method::PUT, &path).header("content-type", image.media_type.as_str());
    Answer::to(request.header("x-request-id", id).body(image.manifest.clone())).await
}

async fn delete(client: &Client, path: &str, id: &str) -> Answer {
    Answer::to(client.request(Method::DELETE, path).header("x-request-id", id)).await
}

async fn whatever_happens_has_its_line(backend: Backend) {
    let folder = temporary_folder("audit");
    let document = folder.path().join("policy.toml");
    std::fs::write(folder.path().join("k.pub"), Signer::new().public_key()).unwrap();
    let policy = "[[policy]]\nname = 'releases'\nrepositories = ['prod/**']\n[policy.push]\nimmutable_tags = ['v*']\n\
                  [[policy]]\nname = 'signed'\nrepositories = ['team/signed']\n[[policy.pull.require]]\nsignature = { key = 'k' }\n\
                  [[key]]\nname = 'k'\nfile = 'k.pub'\n";
    std::fs::write(&document, policy).unwrap();
    let values = [("policy.file", document.to_str().unwrap().into())];
    let registry = Registry::with_accounts(backend, &values).await;
    let admin = registry.admin();
    let ci = admin.create_robot("ci", &[("push", "team/*"), ("push", "prod/*")]).await;
    let bob = admin.create_person("bob", "the first password of bob", &[("pull", "team/*")]).await;
    let (robot, person) = (registry.as_account(&ci), registry.as_account(&bob));
    let done = json!({"actor": "admin", "address": "127.0.0.1", "result": "done"});
    let with = |more: Value| {
        let mut members = done.clone();
        members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        members
    };

    // What is done.
    let image = Image::random(810, &[100]);
    robot.push_image("team/app", "before", &image).await;
    put(&robot, "team/app/manifests/v1", &image, "push-1").await.expect(201);
    let of_image = json!({"actor": "ci", "repository": "team/app", "digest": image.digest, "requestId": "push-1"});
    line(&registry, "manifest.pushed", with(of_image.clone())).await;
    let mut of_tag = of_image;
    of_tag["tag"] = "v1".into();
    line(&registry, "tag.set", with(of_tag)).await;
    line(&registry, "blob.pushed", with(json!({"actor": "ci", "repository": "team/app"}))).await;
    let layer = longshore_oci::Digest::of(longshore_oci::Algorithm::Sha256, &image.blobs[1]);
    admin.post(&format!("/v2/team/other/blobs/uploads/?mount={layer}&from=team/app")).await.expect(201);
    line(&registry, "blob.mounted", with(json!({"repository": "team/other", "digest": layer}))).await;
    delete(&admin, &format!("/v2/team/other/blobs/{layer}"), "delete-0").await.expect(202);
    line(&registry, "blob.deleted", with(json!({"digest": layer, "requestId": "delete-0"}))).await;
    delete(&admin, "/v2/team/app/manifests/before", "delete-1").await.expect(202);
    line(&registry, "tag.deleted", with(json!({"tag": "before", "requestId": "delete-1"}))).await;
    delete(&admin, &format!("/v2/team/app/manifests/{}", image.digest), "delete-2").await.expect(202);
    line(&registry, "manifest.deleted", with(json!({"digest": image.digest, "requestId": "delete-2"}))).await;

    // Who came in, and who did not.
    let token = robot.token(&["repository:team/app:pull"]).await;
    let login = |by: &str| json!({"actor": "ci", "address": "127.0.0.1", "result": "done", "detail": {"by": by}});
    line(&registry, "login.succeeded", login("token")).await;
    line(&registry, "login.succeeded", login("basic")).await;
    let wrong = registry.client().as_basic("bob", "not the password of bob");
    wrong.get("/v2/").await.expect(401);
    let reason = json!({"actor": "bob", "result": "failed", "detail": {"reason": "the secret is wrong"}});
    line(&registry, "login.failed", reason).await;
    registry.client().as_basic("a password where the name should be", "x").ask_token(&[]).await.expect(401);
    let reason = json!({"actor": "anonymous", "result": "failed", "detail": {"reason": "there is no such account"}});
    line(&registry, "login.failed", reason).await;

    // A token that nobody here has signed is noted once, however often it is shown; one whose time is over is none.
    let forged = format!("{}AAAA", &token[..token.len() - 4]);
    for _ in 0..3 {
        registry.client().as_bearer(&forged).get("/v2/").await.expect(401);
    }
    let forgeries = json!({"actor": "anonymous", "address": "127.0.0.1", "result": "failed", "detail":
        {"reason": "the token is not valid: its signature does not hold"}});
    let found = line(&registry, "login.failed", forgeries.clone()).await;
    assert!(!found.to_string().contains(&forged[..20]), "{found}");

    // What was refused.
    let refused = |more: Value| {
        let mut members = with(more);
        members["result"] = "refused".into();
        members
    };
    delete(&person, "/v2/team/app/manifests/v1", "refused-1").await.expect(403);
    let about = json!({"actor": "bob", "repository": "team/app", "tag": "v1", "requestId": "refused-1"});
    let found = line(&registry, "access.denied", refused(about)).await;
    assert_eq!(found["detail"], json!({"method": "DELETE", "wanted": "delete from team/app"}));
    Answer::to(admin.request(Method::DELETE, "/v2/_longshore/accounts/admin").header("x-request-id", "refused-2"))
        .await
        .expect(409);
    line(&registry, "access.denied", refused(json!({"requestId": "refused-2"}))).await;
    let (first, second) = (Image::random(811, &[10]), Image::random(812, &[10]));
    robot.push_image("prod/app", "v1", &first).await;
    for blob in &second.blobs {
        robot.push_blob("prod/app", blob).await;
    }
    put(&robot, "prod/app/manifests/v1", &second, "refused-3").await.expect(403);
    let about = json!({"actor": "ci", "repository": "prod/app", "digest": second.digest, "tag": "v1", "requestId": "refused-3"});
    let found = line(&registry, "policy.denied", refused(about)).await;
    assert_eq!(found["detail"]["policies"][0]["policy"], "releases");
    assert!(found["detail"]["policies"][0]["reason"].as_str().unwrap().contains("stays at"), "{found}");
    robot.push_image("team/signed", "v1", &first).await;
    person.get_manifest("team/signed", "v1").await.expect(403);
    let about = json!({"actor": "bob", "repository": "team/signed", "digest": first.digest, "tag": "v1"});
    let found = line(&registry, "policy.denied", refused(about)).await;
    assert_eq!((&found["detail"]["policies"][0]["policy"], &found["detail"]["method"]), (&json!("signed"), &json!("GET")));

    // Who may call, and what they may do.
    let detail = json!({"account": "ci", "kind": "robot", "certificate": null, "expiresAt": null});
    line(&registry, "account.created", with(json!({"detail": detail}))).await;
    // Whose certificate stands for an account says as much as a secret does.
    admin.change_account("bob", &json!({"certificate": "dns:bob.example"})).await;
    line(&registry, "account.changed", with(json!({"detail": {"account": "bob", "certificate": "dns:bob.example"}}))).await;
    admin.change_account("bob", &json!({"password": "the second password of bob"})).await;
    let renewed = admin.change_account("ci", &json!({"renewSecret": true, "isDisabled": true})).await;
    line(&registry, "account.changed", with(json!({"detail": {"account": "bob", "secret": "changed"}}))).await;
    let detail = json!({"account": "ci", "secret": "changed", "isDisabled": true});
    line(&registry, "account.changed", with(json!({"detail": detail}))).await;
    let role = admin.grant("bob", "push", "team/bob/*").await;
    let detail = json!({"role": role, "subject": "bob", "actions": ["push"], "repositories": "team/bob/*"});
    line(&registry, "role.created", with(json!({"detail": detail}))).await;
    admin.revoke(&role).await;
    line(&registry, "role.deleted", with(json!({"detail": detail}))).await;
    admin.delete_account("ci").await;
    line(&registry, "account.deleted", with(json!({"detail": {"account": "ci"}}))).await;
    // The first start made the administrator, and nobody asked it to.
    let first = line(&registry, "account.created", json!({"actor": "(registry)"})).await;
    assert_eq!((&first["seq"], first.get("address")), (&json!(1), None));

    let is_forgery = |line: &&Value| line["detail"] == forgeries["detail"];
    assert_eq!(listed(&registry, &["--action", "login.failed"]).await.iter().filter(is_forgery).count(), 1);

    // It is found by who, what and when, and is whole.
    let of_bob = listed(&registry, &["--actor", "bob"]).await;
    assert!(of_bob.len() >= 3 && of_bob.iter().all(|line| line["actor"] == "bob"), "{of_bob:?}");
    assert!(
        listed(&registry, &["--action", "login"]).await.iter().all(|line| line["action"].as_str().unwrap().starts_with("login."))
    );
    assert!(listed(&registry, &["--until", "1h"]).await.is_empty());
    let all = listed(&registry, &["--since", "1h"]).await;
    assert_eq!(listed(&registry, &["-n", "2", "--actor", "bob"]).await, of_bob[of_bob.len() - 2..]);
    let table = audit(&registry, &["--actor", "bob"]).await;
    let words = ["TIME", "RESULT", "bob", "127.0.0.1", "access.denied", "team/app:v1", "refused", "refused-1"];
    assert!(words.iter().all(|word| table.stdout.contains(word)), "{table}");
    // What is exported can be checked by whoever has it.
    let mut previous = AuditLine::NO_HASH.to_owned();
    for text in audit(&registry, &["--output", "json"]).await.stdout.lines() {
        let (members, hash) = text.rsplit_once(",\"hash\":\"").expect("its hash comes last");
        let hash = hash.trim_end_matches("\"}");
        assert_eq!(AuditLine::hash_of(&previous, &format!("{members}}}")), hash);
        hash.clone_into(&mut previous);
    }
    let whole = audit(&registry, &["verify"]).await;
    assert!(whole.code == Some(0) && whole.stdout.contains(": whole") && !whole.stdout.contains("no key"), "{whole}");
    let told = Value::from(all).to_string();
    let secrets = [
        ci.secret.as_str(),
        bob.secret.as_str(),
        "the second password",
        renewed["secret"].as_str().unwrap(),
        &token,
        Registry::ADMIN_PASSWORD,
        "not the password",
        "where the name should be",
    ];
    for secret in secrets {
        assert!(!told.contains(secret), "{secret}");
    }
    // It is for administrators alone.
    let person = registry.client().as_basic("bob", "the second password of bob");
    person.get("/v2/_longshore/audit").await.expect_error(403, "DENIED");
}

/// A registry with some lines in its log.
async fn with_lines(backend: Backend, values: &[(&str, Value)]) -> Registry {
    let registry = Registry::with_accounts(backend, values).await;
    registry.admin().push_image("team/app", "v1", &Image::random(820, &[100, 200])).await;
    line(&registry, "tag.set", json!({"tag": "v1"})).await;
    registry
}

async fn whatever_is_changed_afterwards_is_found() {
    let mut registry = with_lines(Backend::Folder, &[]).await;
    let whole = audit(&registry, &["verify"]).await;
    assert!(whole.code == Some(0) && whole.stdout.contains("lines, from 1 to "), "{whole}");
    let token = registry.admin().token(&["registry:admin:*"]).await;
    let index = registry.index();
    registry.kill9();
    // What waits for its line would come after what is done to the others.
    index.execute("UPDATE events SET is_unaudited = 0").await;
    index.execute("CREATE TABLE saved AS SELECT * FROM audit; CREATE TABLE saved_head AS SELECT * FROM audit_head").await;
    let last = index.number("SELECT seq FROM audit_head").await;
    let end = format!("cut at the end: the last line is {}, not {last}", last - 1);
    let swap = "UPDATE audit SET seq = -seq WHERE seq IN (3, 4); UPDATE audit SET seq = 7 + seq WHERE seq < 0";
    for (change, found) in [
        ("UPDATE audit SET line = replace(line, 'admin', 'nobody') WHERE seq = 3".to_owned(), "line 3 was altered"),
        ("UPDATE audit SET hash = '0' || substr(hash, 1, 63) WHERE seq = 3".to_owned(), "line 3 was altered"),
        ("UPDATE audit SET line = '' WHERE seq = 3".to_owned(), "line 3 was altered: it can't be read"),
        ("DELETE FROM audit WHERE seq = 4".to_owned(), "line 4 is missing: after line 3 comes line 5"),
        ("DELETE FROM audit WHERE seq IN (4, 5)".to_owned(), "lines 4 to 5 are missing"),
        (swap.to_owned(), "line 3 is not in its place: line 4 is there"),
        ("DELETE FROM audit WHERE seq = 1".to_owned(), "cut at the beginning: the first line is 2, not 1"),
        (format!("DELETE FROM audit WHERE seq = {last}"), end.as_str()),
        ("UPDATE audit_head SET hash = '0' || substr(hash, 1, 63)".to_owned(), "is another than the head says"),
    ] {
        index.execute(&change).await;
        registry.restart().await;
        let output = verify_with(&token, &registry).await;
        assert!(output.code == Some(1) && output.stderr.contains(found), "{change}: {output}");
        registry.kill9();
        index
            .execute(
                "DELETE FROM audit; INSERT INTO audit SELECT * FROM saved; DELETE FROM audit_head; \
                 INSERT INTO audit_head SELECT * FROM saved_head; UPDATE events SET is_unaudited = 0",
            )
            .await;
    }
    registry.restart().await;
    let whole = verify_with(&token, &registry).await;
    assert!(whole.code == Some(0), "{whole}");
}

/// Whoever can write to the database can make all hashes anew; but not what somebody else keeps.
async fn a_head_that_was_kept_shows_a_rewriting() {
    let mut registry = with_lines(Backend::Folder, &[]).await;
    let folder = temporary_folder("head");
    let file = folder.path().join("head.json");
    let head = audit(&registry, &["head"]).await;
    assert!(head.code == Some(0) && head.stdout.contains("\"signature\": \"ey"), "{head}");
    std::fs::write(&file, &head.stdout).unwrap();
    let file = file.to_str().unwrap();
    registry.admin().push_image("team/app", "v2", &Image::random(821, &[100])).await;
    line(&registry, "tag.set", json!({"tag": "v2"})).await;
    let held = audit(&registry, &["verify", "--head", file]).await;
    assert!(held.code == Some(0) && held.stdout.contains("is there as it was"), "{held}");
    let forged = folder.path().join("forged.json");
    std::fs::write(&forged, head.stdout.replacen("\"seq\": ", "\"seq\": 1", 1)).unwrap();
    let output = audit(&registry, &["verify", "--head", forged.to_str().unwrap()]).await;
    assert!(output.code == Some(1) && output.stderr.contains("not the one that its signature is of"), "{output}");

    registry.kill9();
    let index = registry.index();
    let mut hash = AuditLine::NO_HASH.to_owned();
    let mut statements = String::new();
    for (number, text) in (1..).zip(index.texts("SELECT line FROM audit ORDER BY seq").await) {
        let text = text.replace("team/app", "team/oth");
        hash = AuditLine::hash_of(&hash, &text);
        statements.push_str(&format!("UPDATE audit SET line = '{text}', hash = '{hash}' WHERE seq = {number};"));
    }
    index.execute(&format!("{statements} UPDATE audit_head SET hash = '{hash}'")).await;
    registry.restart().await;
    let output = audit(&registry, &["verify"]).await;
    assert!(output.code == Some(0), "it holds together: {output}");
    let output = audit(&registry, &["verify", "--head", file]).await;
    assert!(output.code == Some(1) && output.stderr.contains("the log was rewritten since"), "{output}");
}

async fn a_stuck_log_slows_nobody_down() {
    let values = [("audit.queue", 5.into())];
    let registry = with_lines(Backend::Folder, &values).await;
    let reader = registry.as_account(&registry.admin().create_robot("reader", &[("pull", "team/app")]).await);
    reader.pull_image("team/app", "v1").await;
    line(&registry, "account.created", json!({"actor": "admin"})).await;
    let Index::Sqlite(file) = registry.index() else { panic!("a folder has SQLite") };
    let mut beside = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(file)).await.unwrap();
    beside.execute("BEGIN IMMEDIATE").await.unwrap();
    let begun = Instant::now();
    for number in 0..60 {
        reader.get_manifest(&format!("secret/number{number}"), "v1").await.expect(403);
        reader.pull_image("team/app", "v1").await;
    }
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(10), "nobody waits for the log: {took:?}");
    beside.execute("ROLLBACK").await.unwrap();
    line(&registry, "audit.lost", json!({"actor": "(registry)", "result": "failed"})).await;
    until("the number of what was lost to be told", PATIENCE, async || {
        let lost = listed(&registry, &["--action", "audit.lost"]).await;
        let lines = lost.iter().map(|line| line["detail"]["lines"].as_u64().unwrap());
        (lines.sum::<u64>() >= 40).then_some(())
    })
    .await;
    assert!(registry.metric("longshore_audit_lost_total").await >= 40.0);
    let denied = listed(&registry, &["--action", "access.denied"]).await;
    assert!((1..=20).contains(&denied.len()), "{denied:?}");
    assert_eq!(audit(&registry, &["verify"]).await.code, Some(0));
    // Of repeats there is one line with their number.
    for _ in 0..20 {
        reader.get_manifest("secret/again", "v1").await.expect(403);
    }
    let again = until("all of them to be told", PATIENCE, async || {
        let lines = listed(&registry, &["--action", "access.denied"]).await;
        let again: Vec<u64> = lines
            .iter()
            .filter(|line| line["repository"] == "secret/again")
            .map(|line| line["detail"]["count"].as_u64().unwrap_or(1))
            .collect();
        (again.iter().sum::<u64>() == 20).then_some(again)
    })
    .await;
    assert!(again.len() <= 10, "{again:?}");
}

async fn replicas_keep_one_log() {
    let first = with_lines(Backend::Bucket, &[]).await;
    let second = first.replica().await;
    let clients = [first.admin(), second.admin()];
    let push = async |number: u64| {
        let image = Image::random(830 + number, &[50]);
        clients[usize::from(number.is_multiple_of(2))].push_image("team/app", &format!("t{number}"), &image).await;
    };
    futures_util::future::join_all((0..20).map(push)).await;
    until("all of it to be in the log", PATIENCE, async || {
        let lines = listed(&second, &["--action", "tag.set"]).await;
        (lines.len() == 21).then_some(())
    })
    .await;
    for registry in [&first, &second] {
        let output = audit(registry, &["verify"]).await;
        assert!(output.code == Some(0) && output.stdout.contains(": whole"), "{output}");
    }
}

async fn a_rebuilding_and_a_stop_lose_no_line(backend: Backend) {
    let mut registry = with_lines(backend, &[("listen.drain_timeout", "1s".into())]).await;
    registry.client().as_basic("admin", "not its password").get("/v2/").await.expect(401);
    registry.sigterm();
    assert_eq!(registry.ended(Duration::from_secs(30)).await.code(), Some(0));
    // What happened in the last moment before it stopped is noted.
    assert_eq!(registry.index().number("SELECT COUNT(*) FROM events WHERE kind = 'login.failed'").await, 1);
    let pushed = registry.index().number("SELECT COUNT(*) FROM events WHERE kind = 'tag.set'").await;
    let output = registry.reindex().await;
    assert!(output.code == Some(0), "{output}");
    registry.restart().await;
    line(&registry, "login.failed", json!({"actor": "admin"})).await;
    let tags = listed(&registry, &["--action", "tag.set"]).await;
    assert_eq!(i64::try_from(tags.len()).unwrap(), pushed, "what was played back is no news");
    assert_eq!(audit(&registry, &["verify"]).await.code, Some(0));
}

async fn a_registry_that_asks_nobody_has_a_log_where_it_is_told_to() {
    let mut registry = Registry::start(Backend::Folder).await;
    let client = registry.client();
    for path in ["/v2/_longshore/audit", "/v2/_longshore/audit/head"] {
        client.get(path).await.expect_error(404, "UNSUPPORTED");
    }
    registry.restart_with(&[("audit.enabled", "on".into())]).await;
    client.push_image("team/app", "v1", &Image::random(840, &[10, 20])).await;
    let lines = until("its lines", PATIENCE, async || {
        let lines = client.get("/v2/_longshore/audit").await.expect(200).json()["lines"].as_array().unwrap().clone();
        (lines.len() == 5).then_some(lines)
    })
    .await;
    // Page by page it is the same.
    let (mut paged, mut next) = (Vec::new(), Some("/v2/_longshore/audit?n=2&action=blob&since=2026-01-01T00:00:00Z".to_owned()));
    let mut pages = 0;
    while let Some(path) = next {
        let answer = client.get(&path).await.expect(200);
        next = answer.next_page();
        paged.extend(answer.json()["lines"].as_array().unwrap().clone());
        pages += 1;
    }
    assert_eq!((paged.as_slice(), pages >= 2), (&lines[..3], true));
    for line in &lines {
        let text: Value = serde_json::from_str(line["line"].as_str().unwrap()).unwrap();
        assert_eq!((&text["actor"], &text["address"]), (&json!("anonymous"), &json!("127.0.0.1")));
    }
    for wrong in ["last=x", "since=soon", "until=1", "n=x", &format!("actor={}", "a".repeat(1200)), "action=%00"] {
        let answer = client.get(&format!("/v2/_longshore/audit?{wrong}")).await;
        assert_eq!(answer.status, 400, "{wrong}: {answer:?}");
    }
    // What was noted stays to be read for as long as it is kept; then the rest goes on from there.
    let head = client.get("/v2/_longshore/audit/head").await.expect(200).json();
    registry.restart_with(&[("audit.retention", "1s".into()), ("sweep.interval", "1s".into())]).await;
    let later = until("them to be dropped", PATIENCE, async || {
        let later = client.get("/v2/_longshore/audit/head").await.expect(200).json();
        (later["firstSeq"] == 6).then_some(later)
    })
    .await;
    assert_eq!((&later["seq"], &later["firstPrevious"]), (&head["seq"], &head["hash"]));
    let url = registry.url();
    let output = run(longshore(), ["audit", "verify", "--registry", url]).await;
    assert!(output.code == Some(0) && output.stdout.contains("no lines: whole"), "{output}");
    let output = run(longshore(), ["audit", "verify", "--since", "1h", "--registry", url]).await;
    assert_eq!(output.code, Some(2), "{output}");
}
