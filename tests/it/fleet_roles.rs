//! Who may do what in the fleet: roles on namespaces, kept by the registry and upheld by the orchestrator.

use std::time::Duration;

use http::Method;
use longshore_tests::{
    Account, Answer, Authority, Backend, Client, Federation, Image, Orchestrator, Output, Registry, on_both_backends,
    temporary_folder, until,
};
use serde_json::{Value, json};

use crate::certificates::{client_of, server_of, tls_of};

on_both_backends!(roles_are_on_namespaces_as_on_repositories);
longshore_tests::once!(
    rights_hold_where_they_were_granted_and_nowhere_else,
    whoever_may_log_in_may_have_rights_on_namespaces,
    a_role_that_was_revoked_holds_until_its_token_has_run_out,
);

const ROLES: &str = "/v2/_longshore/roles";
const HOST: &str = "registry.example";
const LIMIT: Duration = Duration::from_secs(60);
const PASSWORD: &str = "a password of somebody";

/// What a token is for that a caller has asked for, as `namespace:NAME:ACTIONS`; what comes of a form names it.
async fn granted(client: &Client, account: &Account, scope: &str) -> String {
    let form = format!("grant_type=password&username={}&password={}&scope={scope}", account.name, account.secret);
    let request = client.request(Method::POST, "/token").header("content-type", "application/x-www-form-urlencoded");
    let answer = Answer::to(request.body(form.replace(' ', "+"))).await.expect(200).json();
    answer["scope"].as_str().expect("it is said what was granted").to_owned()
}

async fn roles_are_on_namespaces_as_on_repositories(backend: Backend) {
    let registry = Registry::with_accounts(backend, &[]).await;
    let admin = registry.admin();
    let alice = admin.create_person("alice", PASSWORD, &[("pull", "team/*")]).await;
    let role = json!({"subject": "alice", "actions": ["deploy", "view", "view"], "namespaces": "team-*"});
    let made = admin.send_json(Method::POST, ROLES, &role).await.expect(201).json();
    assert_eq!((&made["actions"], &made["namespaces"]), (&json!(["view", "deploy"]), &json!("team-*")), "{made}");
    assert!(made.get("repositories").is_none(), "{made}");
    let listed = admin.get(&format!("{ROLES}?subject=alice")).await.expect(200).json();
    assert_eq!(listed["roles"][1], made, "{listed}");
    assert_eq!(listed["roles"][0]["repositories"], "team/*", "{listed}");

    for (wrong, words) in [
        (json!({"subject": "alice", "actions": ["deploy"]}), "one of the two is needed"),
        (json!({"subject": "alice", "actions": ["deploy"], "namespaces": "a", "repositories": "a"}), "and not both"),
        (json!({"subject": "alice", "actions": ["deploy"], "repositories": "a"}), "of repositories"),
        (json!({"subject": "alice", "actions": ["push"], "namespaces": "a"}), "view, rollback, deploy or admin"),
        (json!({"subject": "alice", "actions": [], "namespaces": "a"}), "is to do something"),
        (json!({"subject": "alice", "actions": ["view"], "namespaces": "a/*"}), "no pattern of namespaces"),
        (json!({"subject": "alice", "actions": ["view"], "namespaces": "**"}), "* alone for all"),
        (json!({"subject": "anonymous", "actions": ["deploy"], "namespaces": "a"}), "view namespaces at most"),
    ] {
        let refused = admin.send_json(Method::POST, ROLES, &wrong).await;
        let text = String::from_utf8_lossy(&refused.body).into_owned();
        refused.expect_error(400, "ROLE_INVALID");
        assert!(text.contains(words), "{wrong}: {text}");
    }

    let client = registry.client();
    let got = async |scope: &str| granted(&client, &alice, scope).await;
    assert_eq!(got("namespace:team-a:view,rollback,deploy,admin").await, "namespace:team-a:view,rollback,deploy");
    assert_eq!(got("namespace:team-a:*").await, "namespace:team-a:view,rollback,deploy");
    for none in ["namespace:team:*", "namespace:*:view", "namespace:other:*", "repository:team-a:pull"] {
        assert_eq!(got(none).await, "", "{none}");
    }
    // The right to all namespaces is not the right to the registry.
    let robot = json!({"name": "ci", "kind": "robot", "roles": [{"actions": ["admin"], "namespaces": "*"}]});
    let robot = admin.create_account(&robot).await;
    let ci = Account::of("ci", robot["secret"].as_str().expect("it is shown once"));
    assert_eq!(granted(&client, &ci, "namespace:*:*").await, "namespace:*:view,rollback,deploy,admin");
    assert_eq!(granted(&client, &ci, "registry:admin:*").await, "");
    registry.as_account(&ci).get(ROLES).await.expect_error(403, "DENIED");
    assert_eq!(registry.as_account(&ci).get("/v2/_catalog").await.expect(200).texts("repositories"), Vec::<String>::new());
    let root = Account::of("admin", Registry::ADMIN_PASSWORD);
    assert_eq!(granted(&client, &root, "namespace:other:*").await, "namespace:other:view,rollback,deploy,admin");

    admin.revoke(made["id"].as_str().expect("a role has an id")).await;
    assert_eq!(got("namespace:team-a:*").await, "", "what is revoked is not given out");
    let told = until("the audit log to tell of it", LIMIT, async || {
        let audit = admin.get("/v2/_longshore/audit?n=100").await.expect(200).json().to_string().replace('\\', "");
        audit.contains("role.deleted").then_some(audit)
    })
    .await;
    assert!(told.contains("\"namespaces\":\"team-*\""), "{told}");
}

/// A registry with accounts and an image, and an orchestrator that asks who calls.
struct Place {
    registry: Registry,
    orchestrator: Orchestrator,
}

impl Place {
    async fn start(registry: Registry, service: &str) -> Self {
        let admin = registry.admin();
        for (tag, seed) in [("v1", 900), ("v2", 901)] {
            admin.push_image("team/app", tag, &Image::random(seed, &[1000])).await;
        }
        let puller = admin.create_robot("orchestrator", &[("pull", "**")]).await;
        let values: [(&str, Value); 4] = [
            ("auth.mode", "registry".into()),
            ("auth.service", service.into()),
            ("registry.username", puller.name.into()),
            ("registry.password", puller.secret.into()),
        ];
        let orchestrator = Orchestrator::start(&registry, &[HOST], &values).await;
        let place = Self { registry, orchestrator };
        let root = Account::of("admin", Registry::ADMIN_PASSWORD);
        let file = temporary_folder("documents");
        let path = file.path().join("namespaces.json");
        let documents = json!([{"kind": "Namespace", "name": "team"}, {"kind": "Namespace", "name": "other"}]);
        let lines: Vec<String> = documents.as_array().expect("a list").iter().map(ToString::to_string).collect();
        std::fs::write(&path, lines.join("\n---\n")).expect("the folder is ours");
        done(&place.run(&root, &["apply", "-f", path.to_str().expect("our folders' names are ASCII")]).await);
        place
    }

    async fn run(&self, account: &Account, words: &[&str]) -> Output {
        self.orchestrator.command_as(&self.registry, account, words).await
    }

    /// `longshore run` of an image in a namespace.
    async fn deploy(&self, account: &Account, namespace: &str, name: &str) -> Output {
        let image = format!("{HOST}/team/app:v1");
        self.run(account, &["run", &image, "--name", name, "-n", namespace, "--no-wait"]).await
    }

    /// Lets somebody do something, as administrators do.
    async fn grant(&self, subject: &str, flags: &[&str]) {
        let root = Account::of("admin", Registry::ADMIN_PASSWORD);
        done(&self.registry.command_as(&root, &[&["role", "grant", subject], flags].concat()).await);
    }
}

#[track_caller]
fn done(output: &Output) {
    assert_eq!(output.code, Some(0), "{output}");
}

/// That somebody may not, is told so, and how it could be granted.
#[track_caller]
fn denied(output: &Output, words: &[&str]) {
    assert_eq!(output.code, Some(7), "{output}");
    for words in words {
        assert!(output.stderr.contains(words), "{words}: {output}");
    }
}

async fn rights_hold_where_they_were_granted_and_nowhere_else() {
    let place = Place::start(Registry::with_accounts(Backend::Folder, &[]).await, "longshore").await;
    let admin = place.registry.admin();
    let alice = &admin.create_person("alice", PASSWORD, &[]).await;
    let (bob, carol) = (&admin.create_robot("bob", &[]).await, &admin.create_robot("carol", &[]).await);
    for (name, flag) in [("alice", "--deploy"), ("bob", "--view"), ("carol", "--rollback")] {
        place.grant(name, &[flag, "team"]).await;
    }
    let root = Account::of("admin", Registry::ADMIN_PASSWORD);
    let made = place.registry.command_as(&root, &["robot", "create", "ci", "--deploy", "team-*", "--output", "json"]).await;
    done(&made);
    let made: Value = serde_json::from_str(&made.stdout).expect("it is told as JSON");
    let robot = Account::of("ci", made["secret"].as_str().expect("it is shown once"));
    let roles = place.registry.command_as(&root, &["role", "ls", "--subject", "ci"]).await;
    assert!(roles.stdout.contains("namespaces") && roles.stdout.contains("team-*"), "{roles}");

    // Who deploys in one namespace does so there and nowhere else.
    done(&place.deploy(alice, "team", "hello").await);
    let refused = place.deploy(alice, "other", "hello").await;
    let how = "longshore role grant alice --deploy other";
    denied(&refused, &["alice may not change what runs in the namespace other", "whoever administers the registry", how]);
    denied(&place.run(alice, &["get", "deployments", "-n", "other"]).await, &["--view other"]);
    denied(&place.run(alice, &["get", "nodes"]).await, &["all namespaces", "--view '*'"]);
    denied(&place.run(alice, &["node", "token", "create"]).await, &["--namespace-admin '*'"]);
    // A robot likewise, by a pattern.
    denied(&place.deploy(&robot, "team", "robots").await, &["longshore role grant ci --deploy team"]);
    place.grant("ci", &["--deploy", "team"]).await;
    done(&place.deploy(&robot, "team", "robots").await);

    // Who may look does nothing else.
    let seen = place.run(bob, &["get", "deployments", "-n", "team"]).await;
    assert!(seen.code == Some(0) && seen.stdout.contains("hello"), "{seen}");
    done(&place.run(bob, &["describe", "deployment", "hello", "-n", "team"]).await);
    denied(&place.run(bob, &["scale", "deployment", "hello", "-n", "team", "--replicas", "2"]).await, &["--rollback team"]);
    denied(&place.deploy(bob, "team", "mine").await, &["--deploy team"]);
    denied(&place.run(bob, &["delete", "deployment", "hello", "-n", "team"]).await, &["bob may not"]);

    // Who may roll back does that, and changes nothing else.
    let file = temporary_folder("documents");
    let path = file.path().join("hello.json");
    let second = json!({"kind": "Deployment", "namespace": "team", "name": "hello", "image": format!("{HOST}/team/app:v2")});
    std::fs::write(&path, second.to_string()).expect("the folder is ours");
    let path = path.to_str().expect("our folders' names are ASCII");
    denied(&place.run(carol, &["apply", "-f", path]).await, &["--deploy team"]);
    done(&place.run(alice, &["apply", "-f", path]).await);
    done(&place.run(carol, &["rollback", "deployment", "hello", "-n", "team", "--to", "1"]).await);
    done(&place.run(carol, &["scale", "deployment", "hello", "-n", "team", "--replicas", "2"]).await);
    denied(&place.run(carol, &["delete", "deployment", "hello", "-n", "team"]).await, &["carol may not"]);

    // Whoever is nobody is told to log in, and who administers all may do all.
    let nobody = place.orchestrator.try_command(&["get", "deployments", "-n", "team"]).await;
    denied(&nobody, &["nobody in particular", "longshore login"]);
    let all = place.run(&root, &["get", "deployments", "-A"]).await;
    assert!(all.code == Some(0) && all.stdout.contains("hello") && all.stdout.contains("robots"), "{all}");
    done(&place.deploy(&root, "other", "hello").await);
    done(&place.run(alice, &["delete", "deployment", "hello", "-n", "team"]).await);
}

async fn whoever_may_log_in_may_have_rights_on_namespaces() {
    // By a token of an issuer.
    let federation = Federation::start(Backend::Folder).await;
    let job = Account::bearing(&federation.token(&json!({"repository": "acme/app"})));
    let place = Place::start(federation.registry, "registry.example").await;
    denied(&place.deploy(&job, "team", "hello").await, &["longshore role grant rule:ci/RULE --deploy team"]);
    place.grant(Federation::RELEASE, &["--deploy", "team"]).await;
    done(&place.deploy(&job, "team", "hello").await);
    denied(&place.deploy(&job, "other", "hello").await, &["may not"]);

    // By a certificate.
    let authority = Authority::new("the company");
    let server = server_of(&authority);
    let registry = Registry::with_accounts(Backend::Folder, &tls_of(&server)).await;
    let identity = "uri:spiffe://example.org/ci";
    let own = authority.certify(&[identity], 2, 24 * 60 * 60);
    let client = client_of(&registry, &authority, None);
    let roles = json!([{"actions": ["deploy"], "namespaces": "team"}]);
    let robot = json!({"name": "ci", "kind": "robot", "certificate": identity, "withoutSecret": true, "roles": roles});
    client.as_basic("admin", Registry::ADMIN_PASSWORD).create_account(&robot).await;
    let showing = client_of(&registry, &authority, Some(&own));
    let token = showing.token(&["namespace:team:view,rollback,deploy,admin"]).await;
    assert_eq!(scopes(&token), json!([{"type": "namespace", "name": "team", "actions": ["view", "rollback", "deploy"]}]));
    // What was asked for in vain is said, so that the orchestrator need not have another token got.
    let token = showing.token(&["namespace:other:deploy", "repository:team/app:pull"]).await;
    assert_eq!(scopes(&token), json!([{"type": "namespace", "name": "other", "actions": []}]));
}

async fn a_role_that_was_revoked_holds_until_its_token_has_run_out() {
    let registry = Registry::with_accounts(Backend::Folder, &[]).await;
    let place = Place::start(registry, "longshore").await;
    let admin = place.registry.admin();
    let ci = admin.create_robot("ci", &[]).await;
    place.grant("ci", &["--view", "team"]).await;
    let roles = admin.get(&format!("{ROLES}?subject=ci")).await.expect(200).json();
    let role = roles["roles"][0]["id"].as_str().expect("a role has an id").to_owned();
    // A token ends with its account at the latest, so that nobody has to wait for minutes here; robots log in at once.
    let end = jiff::Timestamp::now() + Duration::from_secs(12);
    admin.change_account("ci", &json!({"expiresAt": end})).await;
    let token = place.registry.as_account(&ci).token(&["namespace:team:view"]).await;
    admin.change_account("ci", &json!({"expiresAt": null})).await;
    let bearer = Client::new(place.orchestrator.url()).as_bearer(&token);
    bearer.get("/api/v1/pods?namespace=team").await.expect(200);
    admin.revoke(&role).await;
    // No new one is given out; the one that is out is good until its time is over, and no longer.
    denied(&place.run(&ci, &["get", "pods", "-n", "team"]).await, &["ci may not look at what is"]);
    if jiff::Timestamp::now() + Duration::from_secs(1) < end {
        bearer.get("/api/v1/pods?namespace=team").await.expect(200);
    }
    until("the token to run out", LIMIT, async || {
        let answer = bearer.get("/api/v1/pods?namespace=team").await;
        (answer.status == 401).then_some(())
    })
    .await;
    // Tokens tell time by the second.
    assert!(jiff::Timestamp::now() + Duration::from_secs(1) >= end, "it was good until then");
}

/// What a token says that it is for.
fn scopes(token: &str) -> Value {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let payload = token.split('.').nth(1).expect("a token has three parts");
    let payload = URL_SAFE_NO_PAD.decode(payload).expect("it is base64");
    serde_json::from_slice::<Value>(&payload).expect("it is JSON")["access"].clone()
}
