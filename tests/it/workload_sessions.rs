//! Sessions: how a workload goes on after its issuer's token has ended, and what ends that.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Method;
use longshore_service::signing::SigningKey;
use longshore_tests::{Answer, Backend, Client, Federation, Image, Registry, TokenKey, on_both_backends, until};
use serde_json::{Value, json};

use crate::workloads::{EXCHANGE, JWT, tokens};

on_both_backends!(what_is_taken_away_ends_sessions_everywhere);
longshore_tests::once!(
    a_session_outlives_its_token,
    a_session_ends_at_its_time,
    each_kind_of_token_is_for_its_own_purpose,
    changes_that_are_not_about_it_leave_a_session,
);

const PULL: &str = "repository:team/app:pull";
/// How long who was let in may be let in still.
const SOON: Duration = Duration::from_secs(5);

async fn resume(client: &Client, session: &str, scope: &str) -> Answer {
    client.post_form(&[("grant_type", "refresh_token"), ("refresh_token", session), ("scope", scope)]).await
}

/// What a login by this token lasts by.
async fn session(client: &Client, token: &str) -> String {
    let fields = [
        ("grant_type", EXCHANGE),
        ("subject_token", token),
        ("subject_token_type", JWT),
        ("access_type", "offline"),
        ("scope", PULL),
    ];
    tokens(client.post_form(&fields).await).1.expect("it asked for one")
}

async fn a_session_outlives_its_token() {
    let federation = Federation::start(Backend::Folder).await;
    let (client, image) = (federation.registry.client(), Image::random(810, &[300]));
    let token = federation.token_ending_in(5);
    let session = session(&client, &token).await;
    until("the token to end", Duration::from_secs(10), async || {
        (federation.bearing(&token).get("/v2/").await.status == 401).then_some(())
    })
    .await;
    for (scope, granted) in [
        ("repository:team/app:pull,push", "repository:team/app:pull,push"),
        (PULL, PULL),
        ("repository:other/app:pull,push", ""),
        ("", ""),
    ] {
        let answer = resume(&client, &session, scope).await.expect(200);
        assert_eq!(answer.json()["scope"], granted);
        let (access, refresh) = tokens(answer);
        assert_eq!(refresh, None, "the one that there is goes on");
        client.as_bearer(&access).get("/v2/").await.expect(200);
    }
    // Asked as docker and crane ask.
    let fields = [
        ("grant_type", "refresh_token"),
        ("service", "registry.example"),
        ("client_id", "docker"),
        ("access_type", "offline"),
        ("refresh_token", session.as_str()),
        ("scope", "repository:team/app:pull,push"),
    ];
    let (access, refresh) = tokens(client.post_form(&fields).await);
    assert_eq!(refresh, None);
    client.as_bearer(&access).push_image("team/app", "v1", &image).await;
    // It is as long as the registry is told, whatever the issuer's token said.
    let admin = federation.registry.admin();
    admin.put_issuer("ci", &federation.trust(&json!({"sessionSeconds": 90}))).await;
    let short = self::session(&client, &federation.token(&json!({}))).await;
    let left = resume(&client, &short, PULL).await.expect(200).json()["expires_in"].as_u64().unwrap();
    assert!((60..=90).contains(&left), "{left}");
}

/// The shortest there can be.
async fn a_session_ends_at_its_time() {
    let federation = Federation::start(Backend::Folder).await;
    let client = federation.registry.client();
    federation.registry.admin().put_issuer("ci", &federation.trust(&json!({"sessionSeconds": 60}))).await;
    federation.registry.admin().push_image("team/app", "v1", &Image::random(811, &[100])).await;
    let began = std::time::Instant::now();
    let session = session(&client, &federation.token(&json!({}))).await;
    let (access, _) = tokens(resume(&client, &session, PULL).await);
    let bearer = client.as_bearer(&access);
    bearer.get_manifest("team/app", "v1").await.expect(200);
    let refused = until("it to end", Duration::from_secs(90), async || {
        let answer = resume(&client, &session, PULL).await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    refused.expect_error(401, "UNAUTHORIZED");
    assert!(began.elapsed() >= Duration::from_secs(58), "{:?}", began.elapsed());
    until("its access to end with it", Duration::from_secs(30), async || {
        (bearer.get_manifest("team/app", "v1").await.status == 401).then_some(())
    })
    .await;
}

/// A part of a compact signature, changed.
fn with_part(signed: &str, number: usize, change: impl FnOnce(&mut Value)) -> String {
    let mut parts: Vec<String> = signed.split('.').map(str::to_owned).collect();
    let mut json = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(&parts[number]).unwrap()).unwrap();
    change(&mut json);
    parts[number] = URL_SAFE_NO_PAD.encode(json.to_string());
    parts.join(".")
}

async fn each_kind_of_token_is_for_its_own_purpose() {
    let federation = Federation::start(Backend::Folder).await;
    let client = federation.registry.client();
    federation.registry.admin().grant("anonymous", "pull", "team/*").await;
    let token = federation.token(&json!({}));
    let session = session(&client, &token).await;
    let (access, _) = tokens(resume(&client, &session, PULL).await);
    client.as_bearer(&access).get("/v2/").await.expect(200);
    // A session's is for the token service, and there for nothing but this.
    for text in [&session, &token] {
        for path in ["/v2/", "/v2/team/app/manifests/v1", "/v2/_longshore/accounts"] {
            client.as_bearer(text).get(path).await.expect_error(401, "UNAUTHORIZED");
        }
    }
    for text in [&session, &access] {
        federation.bearing(text).get("/v2/").await.expect_error(401, "UNAUTHORIZED");
        federation.bearing(text).get("/token").await.expect_error(401, "UNAUTHORIZED");
        let fields = [("grant_type", EXCHANGE), ("subject_token", text.as_str()), ("subject_token_type", JWT)];
        client.post_form(&fields).await.expect_error(401, "UNAUTHORIZED");
        client.post_form(&[("grant_type", "password"), ("username", "oidc"), ("password", text)]).await.expect(401);
        federation.registry.admin().check_issuer("ci", text).await.expect_error(422, "TOKEN_REFUSED");
    }
    let (stranger, _) = SigningKey::generate();
    let part = |number: usize| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(session.split('.').nth(number).unwrap()).unwrap()).unwrap()
    };
    let (header, claims) = (part(0), part(1));
    let kind = header["typ"].as_str().unwrap();
    let forged = stranger.sign(kind, &claims);
    let robot = federation.registry.admin().create_robot("robot", &[]).await;
    let robot_token = federation.registry.as_account(&robot).token(&[PULL]).await;
    for (what, text) in [
        ("an access token", access.clone()),
        ("an account's token", robot_token.clone()),
        ("an account's token, said to be a session's", with_part(&robot_token, 0, |header| header["typ"] = kind.into())),
        ("an access token, said to be a session's", with_part(&access, 0, |header| header["typ"] = kind.into())),
        ("the issuer's token", token.clone()),
        ("a longer life", with_part(&session, 1, |claims| claims["exp"] = 4_000_000_000_u64.into())),
        ("another caller", with_part(&session, 1, |claims| claims["sub"] = "admin".into())),
        ("a stranger's", forged.clone()),
        ("a stranger's by our name", with_part(&forged, 0, |forged| forged["kid"] = header["kid"].clone())),
        ("unsigned", format!("{}.", session.rsplit_once('.').unwrap().0)),
        ("an account's secret", robot.secret.clone()),
        ("nothing", String::new()),
        ("words", "not a token".into()),
        ("too much", "a".repeat(50_000)),
    ] {
        let answer = resume(&client, &text, PULL).await;
        assert!([400, 401].contains(&answer.status.as_u16()), "{what}: {answer:?}");
        answer.error_codes();
    }
    // Another registry has other keys, and one with the same keys may go by another name.
    let elsewhere = Federation::start(Backend::Folder).await;
    resume(&elsewhere.registry.client(), &session, PULL).await.expect_error(401, "UNAUTHORIZED");
    let mut registry = federation.registry;
    resume(&registry.client(), &session, PULL).await.expect(200);
    registry.restart().await;
    resume(&registry.client(), &session, PULL).await.expect(200);
    registry.restart_with(&[("auth.service", "elsewhere.example".into())]).await;
    resume(&registry.client(), &session, PULL).await.expect_error(401, "UNAUTHORIZED");
}

/// What is done to an issuer, or to what those may do whom it speaks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Change {
    Nothing,
    RoleRevoked,
    RuleChanged,
    RuleRemoved,
    IssuerRemoved,
    /// Removed, and put again as it was, with its role.
    IssuerReplaced,
    UrlChanged,
    AudienceChanged,
    KeysChanged,
}

const CHANGES: [Change; 9] = [
    Change::Nothing,
    Change::RoleRevoked,
    Change::RuleChanged,
    Change::RuleRemoved,
    Change::IssuerRemoved,
    Change::IssuerReplaced,
    Change::UrlChanged,
    Change::AudienceChanged,
    Change::KeysChanged,
];

/// Somebody who was let in.
struct Bearer {
    change: Change,
    name: String,
    role: String,
    access: String,
    session: String,
}

impl Bearer {
    /// By an issuer of its own, which differs from the others by its audience.
    async fn create(federation: &Federation, change: Change) -> Self {
        let admin = federation.registry.admin();
        let name = format!("{change:?}").to_lowercase();
        admin.put_issuer(&name, &Self::trust(federation, &name, &json!({}))).await;
        let role = admin.grant(&format!("rule:{name}/release"), "pull", "team/app").await;
        let client = federation.registry.client();
        let session = session(&client, &federation.token(&json!({"aud": name}))).await;
        let (access, _) = tokens(resume(&client, &session, PULL).await);
        Self { change, name, role, access, session }
    }

    fn trust(federation: &Federation, name: &str, more: &Value) -> Value {
        let mut trust = federation.trust(&json!({"audiences": [name], "jwks": {"keys": [federation.key.jwk()]}}));
        for (name, value) in more.as_object().unwrap() {
            trust[name] = value.clone();
        }
        trust
    }

    async fn suffer(&self, federation: &Federation) {
        let admin = federation.registry.admin();
        let Self { name, role, .. } = self;
        let put = async |more: Value| drop(admin.put_issuer(name, &Self::trust(federation, name, &more)).await);
        let remove = async || drop(admin.delete(&format!("/v2/_longshore/issuers/{name}")).await.expect(204));
        match self.change {
            Change::Nothing => {}
            Change::RoleRevoked => admin.revoke(role).await,
            Change::RuleChanged => {
                let claims = json!({"repository": "acme/app", "ref": "refs/heads/release"});
                put(json!({"rules": [{"name": "release", "claims": claims}]})).await;
            }
            Change::RuleRemoved => put(json!({"rules": []})).await,
            Change::IssuerRemoved => remove().await,
            Change::IssuerReplaced => {
                remove().await;
                put(json!({})).await;
                admin.grant(&format!("rule:{name}/release"), "pull", "team/app").await;
            }
            Change::UrlChanged => put(json!({"url": "https://elsewhere.example"})).await,
            Change::AudienceChanged => put(json!({"audiences": ["elsewhere.example"]})).await,
            Change::KeysChanged => put(json!({"jwks": {"keys": [TokenKey::p256("key-1").jwk()]}})).await,
        }
    }

    /// As the registry at `client` is asked: for what it may have by its access token, and by one that its session gets it.
    async fn statuses(&self, client: &Client) -> [u16; 2] {
        let by_access = client.as_bearer(&self.access).get_manifest("team/app", "v1").await.status.as_u16();
        let resumed = resume(client, &self.session, PULL).await;
        if resumed.status != 200 {
            return [by_access, resumed.status.as_u16()];
        }
        let (access, _) = tokens(resumed);
        [by_access, client.as_bearer(&access).get_manifest("team/app", "v1").await.status.as_u16()]
    }
}

async fn what_is_taken_away_ends_sessions_everywhere(backend: Backend) {
    let federation = Federation::start(backend).await;
    let registry = &federation.registry;
    let replica = if backend == Backend::Bucket { Some(registry.replica().await) } else { None };
    registry.admin().push_image("team/app", "v1", &Image::random(812, &[100])).await;
    let mut bearers = Vec::new();
    for change in CHANGES {
        bearers.push(Bearer::create(&federation, change).await);
    }
    let clients: Vec<Client> = [Some(registry), replica.as_ref()].into_iter().flatten().map(Registry::client).collect();
    for bearer in &bearers {
        for client in &clients {
            until("all to be let in", SOON, async || (bearer.statuses(client).await == [200, 200]).then_some(())).await;
        }
    }
    for bearer in &bearers {
        bearer.suffer(&federation).await;
    }
    for bearer in bearers.iter().filter(|bearer| bearer.change != Change::Nothing) {
        let change = bearer.change;
        let is_refused = |status: u16| status == 401 || status == 403 && change == Change::RoleRevoked;
        for (number, client) in clients.iter().enumerate() {
            until(&format!("{change:?} to be in force on {number}"), SOON, async || {
                bearer.statuses(client).await.into_iter().all(is_refused).then_some(())
            })
            .await;
        }
    }
    for client in &clients {
        assert_eq!(bearers[0].statuses(client).await, [200, 200], "and nobody else is shut out");
    }
}

async fn changes_that_are_not_about_it_leave_a_session() {
    let federation = Federation::start(Backend::Folder).await;
    let admin = federation.registry.admin();
    admin.push_image("team/app", "v1", &Image::random(813, &[100])).await;
    let bearer = Bearer::create(&federation, Change::Nothing).await;
    let release = json!({"name": "release", "claims": {"repository": "acme/app"}});
    for more in [
        json!({"rules": [{"name": "another", "claims": {"repository": "acme/app"}}, release]}),
        json!({"rules": [release]}),
        json!({"sessionSeconds": 60}),
    ] {
        admin.put_issuer(&bearer.name, &Bearer::trust(&federation, &bearer.name, &more)).await;
        assert_eq!(bearer.statuses(&federation.registry.client()).await, [200, 200], "{more}");
    }
    // What comes with a rule that is new is for those who log in after that.
    let rules = json!([{"name": "another", "claims": {"repository": "acme/app"}}, release]);
    admin.put_issuer(&bearer.name, &Bearer::trust(&federation, &bearer.name, &json!({ "rules": rules }))).await;
    admin.grant(&format!("rule:{}/another", bearer.name), "delete", "team/*").await;
    let (access, _) = tokens(resume(&federation.registry.client(), &bearer.session, "repository:team/app:delete").await);
    let request = federation.registry.client().as_bearer(&access).request(Method::DELETE, "/v2/team/app/manifests/v1");
    let answer = Answer::to(request).await;
    assert!([401, 403].contains(&answer.status.as_u16()), "{answer:?}");
}
