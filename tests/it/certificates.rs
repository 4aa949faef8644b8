//! Clients that show a certificate in place of a password.

use std::{path::Path, time::Duration};

use http::Method;
use longshore_tests::{
    Account, Answer, Authority, Backend, Certified, Client, Containerd, Image, Layout, Podman, ROOT_FILE_SYSTEM_WORDS, Registry,
    longshore, on_both_backends, run, run_ok, until,
};
use serde_json::{Value, json};

on_both_backends!(a_certificate_is_an_account, what_is_taken_away_is_gone_on_open_connections, real_clients_need_no_password,);
longshore_tests::once!(
    a_certificate_gets_a_token_that_is_shown_without_it,
    an_authorization_counts_before_a_certificate,
    a_page_that_a_browser_shows_is_not_its_user,
    a_certificate_is_one_account_s,
    strangers_are_refused_at_the_handshake,
    a_revoked_certificate_is_refused,
    a_certificate_that_expires_is_refused,
    where_one_is_required_nobody_is_served_without,
    mistakes_in_its_files_are_told,
    the_command_line_needs_no_password,
);

/// How long who was let in may be let in still.
const SOON: Duration = Duration::from_secs(5);
/// A file is looked at every 2 s.
const FILE_SOON: Duration = Duration::from_secs(10);
const DAY: i64 = 24 * 60 * 60;
const CI: &str = "uri:spiffe://example.org/ci";
const ACCOUNTS: &str = "/v2/_longshore/accounts";

/// A registry with TLS that asks who calls, and takes certificates of one authority.
struct Place {
    registry: Registry,
    authority: Authority,
    server: Certified,
}

impl Place {
    async fn start(backend: Backend, values: &[(&str, Value)]) -> Self {
        let authority = Authority::new("the company");
        let server = server_of(&authority);
        let registry = Registry::with_accounts(backend, &[&tls_of(&server), values].concat()).await;
        Self { registry, authority, server }
    }

    /// A caller who shows nothing.
    fn client(&self) -> Client {
        client_of(&self.registry, &self.authority, None)
    }

    /// A caller who shows a certificate.
    fn showing(&self, own: &Certified) -> Client {
        client_of(&self.registry, &self.authority, Some(own))
    }

    fn admin(&self) -> Client {
        self.client().as_basic("admin", Registry::ADMIN_PASSWORD)
    }

    fn certify(&self, identities: &[&str]) -> Certified {
        self.authority.certify(identities, 2, DAY)
    }

    /// A robot that has nothing but a certificate for this identity.
    async fn robot(&self, name: &str, identity: &str, roles: &[(&str, &str)]) {
        let roles: Vec<Value> =
            roles.iter().map(|(action, repositories)| json!({"actions": [action], "repositories": repositories})).collect();
        let robot = json!({"name": name, "kind": "robot", "certificate": identity, "withoutSecret": true, "roles": roles});
        let made = self.admin().create_account(&robot).await;
        assert!(made.get("secret").is_none() && made["account"]["certificate"] == identity, "{made}");
    }
}

/// The server's own certificate, with the number 1, in a folder with all that the registry reads.
pub fn server_of(authority: &Authority) -> Certified {
    let server = authority.certify(&["dns:localhost", "ip:127.0.0.1"], 1, DAY);
    std::fs::write(server.folder().join("ca.crl"), authority.revoke(&[])).unwrap();
    server
}

pub fn tls_of(server: &Certified) -> [(&'static str, Value); 3] {
    [
        ("listen.tls_certificate_file", text(&server.certificate_file()).into()),
        ("listen.tls_key_file", text(&server.key_file()).into()),
        ("listen.tls_client_ca_file", text(&server.authority_file()).into()),
    ]
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("our folders' names are ASCII")
}

pub fn client_of(registry: &Registry, authority: &Authority, own: Option<&Certified>) -> Client {
    client_at(registry.url(), authority, own)
}

/// A caller of whatever is at a URL, who trusts nobody but this authority.
pub fn client_at(url: &str, authority: &Authority, own: Option<&Certified>) -> Client {
    let root = reqwest::Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    Client::configured(url, |builder| {
        let builder = builder.tls_certs_only([root]).use_rustls_tls();
        match own {
            Some(own) => builder.identity(reqwest::Identity::from_pem(&own.pem()).unwrap()),
            None => builder,
        }
    })
}

fn message(answer: &Answer) -> String {
    answer.json()["errors"][0]["message"].as_str().expect("a refusal says why").to_owned()
}

async fn attempt(client: &Client, path: &str) -> Result<Answer, reqwest::Error> {
    Answer::attempt(client.request(Method::GET, path)).await
}

async fn a_certificate_is_an_account(backend: Backend) {
    let place = Place::start(backend, &[]).await;
    let admin = place.admin();
    let image = Image::random(800, &[1000]);
    admin.push_image("team/app", "v1", &image).await;
    admin.push_image("public/app", "v1", &image).await;
    admin.push_image("other/app", "v1", &image).await;
    place.robot("ci", CI, &[("pull", "team/*"), ("push", "builds/*")]).await;

    let ci = place.showing(&place.certify(&[CI, "dns:runner-7.example.org"]));
    ci.get("/v2/").await.expect(200);
    ci.pull_image("team/app", "v1").await;
    ci.push_image("builds/app", "v1", &image).await;
    let denied = ci.post("/v2/team/app/blobs/uploads/").await.expect_error(403, "DENIED");
    assert_eq!(message(&denied), "\"ci\" may not push to team/app");
    ci.get_manifest("other/app", "v1").await.expect_error(403, "DENIED");
    assert_eq!(ci.get("/v2/_catalog").await.expect(200).texts("repositories"), ["builds/app", "team/app"]);
    until("it to be noted that ci called", Duration::from_secs(30), async || {
        let shown = admin.get(&format!("{ACCOUNTS}/ci")).await.expect(200).json();
        shown["account"].get("lastUsedAt").map(drop)
    })
    .await;

    // Nobody's certificate is nobody in particular, and is told of.
    admin.grant("anonymous", "pull", "public/*").await;
    let stranger = place.showing(&place.certify(&["uri:spiffe://example.org/other", "email:ann@example.org"]));
    stranger.pull_image("public/app", "v1").await;
    let refused = stranger.get_manifest("team/app", "v1").await.expect_error(401, "UNAUTHORIZED");
    let expected = "the client certificate, uri:spiffe://example.org/other, email:ann@example.org, is no account's, and nobody in \
                    particular may pull from team/app";
    assert_eq!(message(&refused), expected);
    let with_token = stranger.with_token(&["repository:team/app:pull"]).await;
    let refused = with_token.get_manifest("team/app", "v1").await.expect_error(401, "UNAUTHORIZED");
    assert_eq!(message(&refused), expected, "a token for nobody in particular hides nothing of that");
    place.client().get_manifest("team/app", "v1").await.expect_error(401, "UNAUTHORIZED");

    // Of the names in a certificate the common name is one only where there is no other.
    place.robot("node", "cn:node-1", &[("pull", "team/*")]).await;
    place.showing(&place.certify(&["cn:node-1"])).pull_image("team/app", "v1").await;
    place.showing(&place.certify(&["cn:node-1", "dns:node-2"])).get_manifest("team/app", "v1").await.expect(401);
    // Names of hosts are read whatever the case of their letters.
    let made = admin.create_account(&json!({"name": "host", "kind": "robot", "certificate": "dns:Host.Example.org"})).await;
    assert_eq!(made["account"]["certificate"], "dns:host.example.org");
    assert!(made["secret"].is_string(), "it has a secret too");
    place.showing(&place.certify(&["dns:HOST.example.ORG"])).get("/v2/").await.expect(200);
}

async fn what_is_taken_away_is_gone_on_open_connections(backend: Backend) {
    let values = [("auth.service", "registry.example".into())];
    let place = Place::start(backend, &values).await;
    let replica = if backend == Backend::Bucket { Some(place.registry.replica().await) } else { None };
    let admin = place.admin();
    admin.push_image("team/app", "v1", &Image::random(801, &[100])).await;
    let changes = [
        ("nothing", json!({})),
        ("disabled", json!({"isDisabled": true})),
        ("mapped-away", json!({"certificate": null})),
        ("another", json!({"certificate": "uri:spiffe://example.org/moved"})),
        ("expired", json!({"expiresAt": "2020-01-01T00:00:00Z"})),
    ];
    let mut callers = Vec::new();
    for (name, _) in &changes {
        let identity = format!("uri:spiffe://example.org/{name}");
        place.robot(name, &identity, &[("pull", "team/app")]).await;
        let own = place.certify(&[&identity]);
        let mut clients = vec![place.showing(&own)];
        clients.extend(replica.as_ref().map(|replica| client_of(replica, &place.authority, Some(&own))));
        for client in &clients {
            until("all to be let in", SOON, async || (client.get_manifest("team/app", "v1").await.status == 200).then_some(()))
                .await;
        }
        // A token that was got by it goes with it.
        let token = clients[0].token(&["repository:team/app:pull"]).await;
        clients.push(place.client().as_bearer(&token));
        callers.push(clients);
    }
    for (name, change) in &changes {
        admin.change_account(name, change).await;
    }
    for ((name, _), clients) in changes.iter().zip(&callers).skip(1) {
        for (number, client) in clients.iter().enumerate() {
            until(&format!("{name} to be refused on {number}"), SOON, async || {
                (client.get_manifest("team/app", "v1").await.status == 401).then_some(())
            })
            .await;
        }
    }
    for client in &callers[0] {
        client.get_manifest("team/app", "v1").await.expect(200);
    }
    let moved = place.showing(&place.certify(&["uri:spiffe://example.org/moved"]));
    moved.get_manifest("team/app", "v1").await.expect(200);
}

async fn a_certificate_gets_a_token_that_is_shown_without_it() {
    let place = Place::start(Backend::Folder, &[("auth.token_lifetime", "10m".into())]).await;
    place.admin().push_image("team/app", "v1", &Image::random(802, &[100])).await;
    place.robot("ci", CI, &[("pull", "team/*")]).await;
    let ci = place.showing(&place.certify(&[CI]));
    let answer = ci.ask_token(&["repository:team/app:pull,push"]).await.expect(200).json();
    assert_eq!(answer["expires_in"], 600, "{answer}");
    let bearer = place.client().as_bearer(answer["token"].as_str().unwrap());
    bearer.pull_image("team/app", "v1").await;
    bearer.post("/v2/team/app/blobs/uploads/").await.expect_error(403, "DENIED");
    // It holds no longer than the certificate.
    let brief = place.authority.certify(&[CI], 3, 90);
    let answer = place.showing(&brief).ask_token(&["repository:team/app:pull"]).await.expect(200).json();
    assert!((60..=90).contains(&answer["expires_in"].as_u64().unwrap()), "{answer}");
}

async fn an_authorization_counts_before_a_certificate() {
    let place = Place::start(Backend::Folder, &[]).await;
    let admin = place.admin();
    place.robot("ci", CI, &[("pull", "team/*")]).await;
    let ci = place.showing(&place.certify(&[CI]));
    ci.get(ACCOUNTS).await.expect_error(403, "DENIED");
    ci.as_basic("admin", Registry::ADMIN_PASSWORD).get(ACCOUNTS).await.expect(200);
    ci.as_basic("admin", "not the password at all").get("/v2/").await.expect_error(401, "UNAUTHORIZED");
    ci.as_bearer("no token").get("/v2/").await.expect_error(401, "UNAUTHORIZED");
    let robot = admin.create_robot("other", &[("push", "builds/*")]).await;
    let other = ci.as_basic(&robot.name, &robot.secret);
    other.push_image("builds/app", "v1", &Image::random(803, &[100])).await;
    ci.get_manifest("builds/app", "v1").await.expect_error(403, "DENIED");
    // At the token service too.
    let token = other.token(&["repository:builds/app:pull"]).await;
    place.client().as_bearer(&token).get_manifest("builds/app", "v1").await.expect(200);
    ci.as_basic("other", "lsr_wrong").ask_token(&[]).await.expect_error(401, "UNAUTHORIZED");
    // Nobody guesses at certificates, so none is counted as a guess.
    for _ in 0..30 {
        place.showing(&place.certify(&["dns:nobody"])).get("/v2/").await.expect(401);
    }
    place.admin().get(ACCOUNTS).await.expect(200);
}

/// A browser shows its user's certificate with whatever any page has it ask.
async fn a_page_that_a_browser_shows_is_not_its_user() {
    let place = Place::start(Backend::Folder, &[]).await;
    let admin = place.admin();
    admin.change_account("admin", &json!({"certificate": "email:ann@example.org"})).await;
    let ann = place.showing(&place.certify(&["email:Ann@example.org"]));
    ann.get(ACCOUNTS).await.expect(200);
    for (name, value) in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")] {
        let account = r#"{"name": "mine", "kind": "robot"}"#;
        let request = ann.request(Method::POST, ACCOUNTS).header(name, value).header("content-type", "text/plain");
        Answer::to(request.body(account)).await.expect_error(401, "UNAUTHORIZED");
        let token = Answer::to(ann.request(Method::GET, "/token?scope=registry:admin:*").header(name, value)).await.expect(200);
        ann.as_bearer(token.json()["token"].as_str().unwrap()).get(ACCOUNTS).await.expect_error(401, "UNAUTHORIZED");
    }
    admin.get(&format!("{ACCOUNTS}/mine")).await.expect_error(404, "ACCOUNT_UNKNOWN");
}

async fn a_certificate_is_one_account_s() {
    let place = Place::start(Backend::Folder, &[]).await;
    let admin = place.admin();
    place.robot("ci", CI, &[("pull", "team/*")]).await;
    place.robot("node", "dns:node-1", &[("pull", "team/*")]).await;
    let wish = |name: &str, certificate: &str| json!({"name": name, "kind": "robot", "certificate": certificate});
    let create = async |wish: &Value| admin.send_json(Method::POST, ACCOUNTS, wish).await;
    let change = async |client: &Client, name: &str, change: &Value| {
        client.send_json(Method::PATCH, &format!("{ACCOUNTS}/{name}"), change).await
    };
    let taken = create(&wish("new", CI)).await.expect_error(409, "ACCOUNT_EXISTS");
    assert_eq!(message(&taken), format!("{CI} is the certificate of the account \"ci\"; take it from there first"));
    let taken = change(&admin, "node", &json!({"certificate": CI})).await.expect_error(409, "ACCOUNT_EXISTS");
    assert!(message(&taken).contains("the account \"ci\""), "{taken:?}");
    change(&admin, "ci", &json!({"certificate": CI})).await.expect(200);
    for (bad, why) in [
        ("node-1", "one is written uri:"),
        ("dns:*.example.org", "`*` stands for none"),
        ("dns:a..b", "no host's name"),
        ("ip:10.0.0.0/8", "no network address"),
    ] {
        for refused in [create(&wish("new", bad)).await, change(&admin, "ci", &json!({"certificate": bad})).await] {
            assert!(message(&refused.clone().expect_error(400, "ACCOUNT_INVALID")).contains(why), "{refused:?}");
        }
    }
    let person = json!({"name": "p", "kind": "person", "certificate": "dns:p", "withoutSecret": true});
    create(&person).await.expect_error(400, "ACCOUNT_INVALID");
    create(&json!({"name": "r", "kind": "robot", "withoutSecret": true})).await.expect_error(400, "ACCOUNT_INVALID");
    // Who it is says an administrator, and nobody of themselves.
    let ci = place.showing(&place.certify(&[CI]));
    change(&ci, "ci", &json!({"certificate": "uri:spiffe://example.org/mine"})).await.expect_error(403, "DENIED");

    let both = place.showing(&place.certify(&["dns:node-1", CI]));
    for path in ["/v2/", "/token"] {
        let refused = both.get(path).await.expect_error(401, "UNAUTHORIZED");
        assert!(message(&refused).contains("stands for more than one account: by dns:node-1 for one"), "{refused:?}");
    }
    both.as_basic("admin", Registry::ADMIN_PASSWORD).get("/v2/").await.expect(200);
    change(&admin, "node", &json!({"certificate": null})).await.expect(200);
    both.get("/v2/").await.expect(200);
    // What was made without a secret can be given one.
    let renewed = admin.change_account("ci", &json!({"renewSecret": true})).await;
    let secret = renewed["secret"].as_str().unwrap();
    let account = Account::of("ci", secret);
    place.client().as_basic(&account.name, &account.secret).get("/v2/").await.expect(200);
}

async fn strangers_are_refused_at_the_handshake() {
    let place = Place::start(Backend::Folder, &[]).await;
    place.robot("ci", CI, &[]).await;
    let other = Authority::new("somebody else").certify(&[CI], 2, DAY);
    assert!(attempt(&place.showing(&other), "/v2/").await.is_err(), "another authority's");
    let expired = place.authority.certify(&[CI], 2, -60);
    assert!(attempt(&place.showing(&expired), "/v2/").await.is_err(), "an expired one");
    place.showing(&place.certify(&[CI])).get("/v2/").await.expect(200);
    until("the log to tell of it", SOON, async || {
        place.registry.log().contains("a client's certificate was not accepted").then_some(())
    })
    .await;
}

async fn a_revoked_certificate_is_refused() {
    let authority = Authority::new("the company");
    let server = server_of(&authority);
    let list = server.folder().join("ca.crl");
    let values = [&tls_of(&server)[..], &[("listen.tls_client_crl_file", text(&list).into())]].concat();
    let registry = Registry::with_accounts(Backend::Folder, &values).await;
    let place = Place { registry, authority, server };
    place.robot("ci", CI, &[]).await;
    let (one, two) = (place.authority.certify(&[CI], 7, DAY), place.authority.certify(&[CI], 8, DAY));
    let (first, second) = (place.showing(&one), place.showing(&two));
    first.get("/v2/").await.expect(200);
    second.get("/v2/").await.expect(200);
    // One that is broken leaves what was there before.
    std::fs::write(&list, "-----BEGIN X509 CRL-----").unwrap();
    until("the log to tell of it", FILE_SOON, async || place.registry.log().contains("cannot be used").then_some(())).await;
    place.showing(&one).get("/v2/").await.expect(200);
    std::fs::write(&list, place.authority.revoke(&[7])).unwrap();
    // The open connection says why, or is closed by then; and a new one is not made.
    until("the first to be refused", FILE_SOON, async || match attempt(&first, "/v2/").await {
        Ok(answer) if answer.status == 200 => None,
        Ok(answer) => {
            assert_eq!(message(&answer.clone().expect(401)), "the client certificate was revoked");
            Some(())
        }
        Err(_) => Some(()),
    })
    .await;
    assert!(attempt(&place.showing(&one), "/v2/").await.is_err());
    second.get("/v2/").await.expect(200);
    place.showing(&two).get("/v2/").await.expect(200);
}

async fn a_certificate_that_expires_is_refused() {
    let place = Place::start(Backend::Folder, &[]).await;
    place.robot("ci", CI, &[]).await;
    let brief = place.showing(&place.authority.certify(&[CI], 2, 4));
    brief.get("/v2/").await.expect(200);
    until("it to be refused", Duration::from_secs(20), async || match attempt(&brief, "/v2/").await {
        Ok(answer) if answer.status == 200 => None,
        Ok(answer) => {
            assert_eq!(message(&answer.clone().expect(401)), "the client certificate has expired");
            Some(())
        }
        Err(_) => Some(()),
    })
    .await;
    place.showing(&place.certify(&[CI])).get("/v2/").await.expect(200);
}

async fn where_one_is_required_nobody_is_served_without() {
    let required = [("listen.tls_client_certificates", "required".into())];
    let place = Place::start(Backend::Folder, &required).await;
    let own = place.certify(&["dns:anybody"]);
    assert!(attempt(&place.client(), "/v2/").await.is_err(), "not even with a password");
    assert!(attempt(&place.admin(), "/v2/").await.is_err());
    place.showing(&own).get("/v2/").await.expect_error(401, "UNAUTHORIZED");
    place.showing(&own).as_basic("admin", Registry::ADMIN_PASSWORD).get("/v2/").await.expect(200);
    let ca_file = place.server.authority_file();
    let output = run(longshore(), ["image", "ls", "--registry", place.registry.url(), "--ca-file", text(&ca_file)]).await;
    assert_eq!(output.code, Some(1), "{output}");

    // Without accounts a certificate is all that is asked.
    let values = [&tls_of(&place.server)[..], &required].concat();
    let open = Registry::with(Backend::Folder, &values).await;
    assert!(attempt(&client_of(&open, &place.authority, None), "/v2/").await.is_err());
    let client = client_of(&open, &place.authority, Some(&own));
    client.push_image("any/thing", "v1", &Image::random(804, &[100])).await;
    // And is asked for as long as the connection lasts.
    let brief = client_of(&open, &place.authority, Some(&place.authority.certify(&["dns:anybody"], 3, 4)));
    brief.get("/v2/").await.expect(200);
    until("it to be refused", Duration::from_secs(20), async || match attempt(&brief, "/v2/").await {
        Ok(answer) => (answer.status == 401).then_some(()),
        Err(_) => Some(()),
    })
    .await;
}

async fn mistakes_in_its_files_are_told() {
    let authority = Authority::new("the company");
    let server = server_of(&authority);
    let broken = server.folder().join("broken.pem");
    std::fs::write(&broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let (certificate, key, good) = (server.certificate_file(), server.key_file(), server.authority_file());
    let check = async |more: &[&str]| {
        let tls = ["--listen.tls_certificate_file", text(&certificate), "--listen.tls_key_file", text(&key)];
        run(longshore(), [&["registry", "config", "check"], &tls[..], more].concat()).await
    };
    for (more, expected) in [
        (vec!["--listen.tls_client_ca_file", "/nowhere/ca.crt"], "--listen.tls_client_ca_file: /nowhere/ca.crt cannot be read"),
        (vec!["--listen.tls_client_ca_file", text(&key)], "holds no certificate in PEM form"),
        (vec!["--listen.tls_client_ca_file", text(&broken)], "a certificate that cannot be an authority's"),
        (
            vec!["--listen.tls_client_ca_file", text(&good), "--listen.tls_client_crl_file", text(&broken)],
            "broken.pem holds no list of revoked certificates in PEM form",
        ),
        (vec!["--listen.tls_client_certificates", "required"], "it must be said which certificates are good"),
    ] {
        let output = check(&more).await;
        assert!(output.code == Some(2) && output.stderr.contains(expected), "{more:?}: {output}");
    }
    let list = server.folder().join("ca.crl");
    let output = check(&["--listen.tls_client_ca_file", text(&good), "--listen.tls_client_crl_file", text(&list)]).await;
    assert_eq!(output.code, Some(0), "{output}");
}

async fn the_command_line_needs_no_password() {
    let place = Place::start(Backend::Folder, &[]).await;
    place.admin().change_account("admin", &json!({"certificate": "email:ann@example.org"})).await;
    let ann = place.certify(&["email:ann@example.org"]);
    let (certificate, key, ca) = (ann.certificate_file(), ann.key_file(), ann.authority_file());
    let as_ann = |arguments: &[&str]| -> Vec<String> {
        let connection = ["--registry", place.registry.url(), "--ca-file", text(&ca)];
        let own = ["--client-certificate", text(&certificate), "--client-key", text(&key)];
        [arguments, &connection, &own].concat().into_iter().map(str::to_owned).collect()
    };
    let made = run(longshore(), as_ann(&["robot", "create", "ci", "--push", "team/*", "--certificate", CI, "--no-secret"])).await;
    assert!(made.code == Some(0) && made.stdout.is_empty(), "{made}");
    assert!(made.stderr.contains(&format!("a client certificate for {CI} is what it shows")), "{made}");
    let ci = place.showing(&place.certify(&[CI]));
    ci.push_image("team/app", "v1", &Image::random(805, &[100])).await;
    let listed = run_ok(longshore(), as_ann(&["robot", "ls"])).await;
    assert!(listed.contains("CERTIFICATE") && listed.contains(CI), "{listed}");
    let moved = "dns:runner.example.org";
    let said = run_ok(longshore(), as_ann(&["robot", "certificate", "ci", moved])).await;
    assert_eq!(said.trim(), format!("a client certificate for {moved} is ci now"));
    place.showing(&place.certify(&[moved])).get("/v2/").await.expect(200);
    ci.get("/v2/").await.expect(401);
    run_ok(longshore(), as_ann(&["robot", "certificate", "ci", "--none"])).await;
    place.showing(&place.certify(&[moved])).get("/v2/").await.expect(401);
    let refused = run(longshore(), as_ann(&["robot", "certificate", "admin", "dns:x"])).await;
    assert!(refused.code == Some(2), "a person is no robot: {refused}");
    run_ok(longshore(), as_ann(&["account", "certificate", "admin", "email:ann@example.org"])).await;
    let alone = run(longshore(), ["robot", "ls", "--client-key", text(&key)]).await;
    assert!(alone.code == Some(2) && alone.stderr.contains("go together"), "{alone}");
    let absent =
        ["robot", "ls", "--registry", place.registry.url(), "--client-certificate", "/nowhere", "--client-key", text(&key)];
    let absent = run(longshore(), absent).await;
    assert!(absent.code == Some(2) && absent.stderr.contains("/nowhere"), "{absent}");
}

/// skopeo, podman and containerd push, pull and run, and no password is anywhere.
async fn real_clients_need_no_password(backend: Backend) {
    let place = Place::start(backend, &[]).await;
    place.robot("ci", CI, &[("push", "clients/*")]).await;
    place.robot("node", "dns:node-1.example.org", &[("pull", "clients/*")]).await;
    let (ci, node) = (place.certify(&[CI]), place.certify(&["dns:node-1.example.org"]));
    let stranger = place.certify(&["dns:stranger.example.org"]);
    let layout = Layout::runnable(806, &[100_000]).await;
    let image = format!("{}/clients/app:v1", place.registry.authority());
    let (reference, remote) = (layout.reference(), format!("docker://{image}"));
    let skopeo = async |own: &Certified| {
        let folder = own.folder().display();
        let arguments = ["--insecure-policy", "copy", "--preserve-digests", &format!("--dest-cert-dir={folder}")];
        run("skopeo", [&arguments[..], &[reference.as_str(), remote.as_str()]].concat()).await
    };
    assert_eq!(skopeo(&ci).await.code, Some(0), "{}", skopeo(&ci).await);
    let denied = skopeo(&node).await;
    assert!(denied.is_refusal_with(&["denied", "may not push"]), "{denied}");
    let unknown = skopeo(&stranger).await;
    assert!(unknown.is_refusal_with(&["access to the resource is denied", "is no account's"]), "{unknown}");

    let podman = Podman::new();
    let cert_dir = |own: &Certified| format!("--cert-dir={}", own.folder().display());
    podman.ok(&["pull", "--quiet", &cert_dir(&node), &image]).await;
    let said = podman.ok(&["run", "--rm", "--network=host", "--ulimit=nofile=512:512", "--ulimit=nproc=512:512", &image]).await;
    assert_eq!(said.trim(), ROOT_FILE_SYSTEM_WORDS);
    let pushed = format!("{}/clients/podman:v1", place.registry.authority());
    podman.ok(&["tag", &image, &pushed]).await;
    let denied = podman.run(&["push", &cert_dir(&node), &pushed]).await;
    assert!(denied.is_refusal_with(&["denied", "may not push"]), "{denied}");
    podman.ok(&["push", &cert_dir(&ci), &pushed]).await;

    let containerd = Containerd::start().await;
    let hosts = node.folder().join("hosts");
    let authority = place.registry.authority();
    std::fs::create_dir_all(hosts.join(authority)).unwrap();
    let of_node = |name: &str| format!("{:?}", node.folder().join(name));
    let toml = format!(
        "server = \"https://{authority}\"\n[host.\"https://{authority}\"]\nca = {}\nclient = [[{}, {}]]\n",
        of_node("ca.crt"),
        of_node("client.cert"),
        of_node("client.key")
    );
    std::fs::write(hosts.join(authority).join("hosts.toml"), toml).unwrap();
    let hosts = text(&hosts);
    containerd.ok(&["images", "pull", "--hosts-dir", hosts, &image]).await;
    assert_eq!(containerd.ok(&["run", "--rm", &image, "app"]).await.trim(), ROOT_FILE_SYSTEM_WORDS);
    // What is there already it would not send.
    let other = format!("{authority}/clients/app:v2");
    let denied = containerd.ctr(&["images", "push", "--hosts-dir", hosts, &other, &image]).await;
    assert_ne!(denied.code, Some(0), "{denied}");
}
