//! Workload identity: the tokens of an issuer as logins, and what those may do whom it speaks for.

use http::Method;
use longshore_tests::{Answer, Backend, Client, Federation, Image, on_both_backends};
use serde_json::{Value, json};

on_both_backends!(a_token_is_a_login_in_every_way, what_a_workload_may_follows_its_rules_and_groups);
longshore_tests::once!(
    any_name_will_do_and_none_counts,
    groups_are_those_that_have_roles,
    issuers_of_one_url_are_told_apart_by_audience,
    a_workload_may_administer_and_leave_nobody_out,
    tokens_are_in_no_log_and_no_database,
    a_policy_is_explained_to_a_workload,
);

const PUSH: &str = "repository:team/app:pull,push";
const ADMINISTRATION: &str = "/v2/_longshore/accounts";
/// What the registry calls a caller with the claims that tokens have here.
const CALLER: &str = "ci:repo:acme/app:ref:refs/heads/main";
pub const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// The answer's tokens: for access, and for renewing it.
pub fn tokens(answer: Answer) -> (String, Option<String>) {
    let answer = answer.expect(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    let json = answer.json();
    assert_eq!(json["token"], json["access_token"]);
    assert!(json["expires_in"].as_u64().is_some_and(|seconds| seconds >= 60), "{json}");
    let text = |member: &str| json.get(member).map(|text| text.as_str().unwrap().to_owned());
    (text("access_token").unwrap(), text("refresh_token"))
}

/// That a caller pushes below `team`, pulls it, and does nothing else.
async fn pushes_below_team_alone(client: &Client, seed: u64) {
    let image = Image::random(seed, &[200]);
    client.push_image("team/app", "v1", &image).await;
    assert_eq!(client.pull_image("team/app", "v1").await, image.digest);
    assert_eq!(client.delete("/v2/team/app/manifests/v1").await.status.as_u16() / 100, 4);
}

async fn a_token_is_a_login_in_every_way(backend: Backend) {
    let federation = Federation::start(backend).await;
    let client = federation.registry.client();
    // On the API itself.
    let basic = federation.bearing(&federation.token(&json!({})));
    basic.get("/v2/").await.expect(200);
    pushes_below_team_alone(&basic, 800).await;
    let denied = basic.post("/v2/other/app/blobs/uploads/").await.expect_error(403, "DENIED").json();
    assert_eq!(denied["errors"][0]["message"], format!("\"{CALLER}\" may not push to other/app"));
    // At the token service, as docker and most others ask.
    let (access, refresh) = tokens(basic.ask_token(&[PUSH]).await);
    assert_eq!(refresh, None, "nobody asked for one");
    pushes_below_team_alone(&client.as_bearer(&access), 801).await;
    let offline = basic.get(&format!("/token?service=registry.example&scope={PUSH}&offline_token=true")).await;
    let (access, refresh) = tokens(offline);
    assert!(refresh.is_some());
    pushes_below_team_alone(&client.as_bearer(&access), 802).await;
    for query in ["offline_token=false", "offline_token="] {
        assert_eq!(tokens(basic.get(&format!("/token?{query}")).await).1, None, "{query}");
    }
    // By form, as containerd asks.
    let token = federation.token(&json!({}));
    let password = [("grant_type", "password"), ("username", "oidc"), ("password", token.as_str()), ("scope", PUSH)];
    let (access, refresh) = tokens(client.post_form(&password).await);
    assert_eq!(refresh, None);
    pushes_below_team_alone(&client.as_bearer(&access), 803).await;
    let (_, refresh) = tokens(client.post_form(&[&password[..], &[("access_type", "offline")]].concat()).await);
    assert!(refresh.is_some());
    // As those ask who know what they have.
    for kind in [JWT, "urn:ietf:params:oauth:token-type:id_token"] {
        let exchange = [("grant_type", EXCHANGE), ("subject_token", &token), ("subject_token_type", kind), ("scope", PUSH)];
        let (access, refresh) = tokens(client.post_form(&exchange).await);
        assert_eq!(refresh, None);
        pushes_below_team_alone(&client.as_bearer(&access), 804).await;
        let (_, refresh) = tokens(client.post_form(&[&exchange[..], &[("access_type", "offline")]].concat()).await);
        assert!(refresh.is_some());
    }
    for fields in [
        vec![("grant_type", EXCHANGE)],
        vec![("grant_type", EXCHANGE), ("subject_token_type", JWT)],
        vec![
            ("grant_type", EXCHANGE),
            ("subject_token", &token),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:saml2"),
        ],
        vec![("grant_type", "refresh_token")],
        vec![("grant_type", "client_credentials"), ("client_id", "x"), ("client_secret", &token)],
    ] {
        let answer = client.post_form(&fields).await.expect(400);
        answer.error_codes();
    }
    // Accounts have a secret that is kept anyway.
    let robot = federation.registry.admin().create_robot("robot", &[]).await;
    let robot_offline = federation.registry.as_account(&robot).get("/token?offline_token=true").await;
    assert_eq!(tokens(robot_offline).1, None);
    let fields = [("grant_type", "password"), ("username", "robot"), ("password", &robot.secret), ("access_type", "offline")];
    assert_eq!(tokens(client.post_form(&fields).await).1, None);
    assert_eq!(tokens(client.get("/token?offline_token=true").await).1, None, "nor has nobody a session");
    // An account has no use for the grant that tokens of issuers are for.
    let fields = [("grant_type", EXCHANGE), ("subject_token", robot.secret.as_str()), ("subject_token_type", JWT)];
    client.post_form(&fields).await.expect_error(401, "UNAUTHORIZED");
}

async fn what_a_workload_may_follows_its_rules_and_groups(backend: Backend) {
    let federation = Federation::start(backend).await;
    let admin = federation.registry.admin();
    let rules = json!([
        {"name": "release", "claims": {"repository": "acme/app"}},
        {"name": "main", "claims": {"repository": "acme/app", "ref": "refs/heads/main"}},
        {"name": "idle", "claims": {"repository": "acme/idle"}},
    ]);
    admin.put_issuer("ci", &federation.trust(&json!({ "rules": rules }))).await;
    admin.grant("rule:ci/main", "delete", "team/app").await;
    admin.grant("group:ci/readers", "pull", "secret/*").await;
    admin.grant("anonymous", "pull", "public/*").await;
    let image = Image::random(805, &[200]);
    for repository in ["team/app", "secret/app", "public/app"] {
        admin.push_image(repository, "v1", &image).await;
    }
    let may = async |claims: Value| {
        let client = federation.bearing(&federation.token(&claims));
        let scopes = ["team", "secret", "public"].map(|name| format!("repository:{name}/app:pull,push,delete"));
        let bearer = client.with_token(&scopes.each_ref().map(String::as_str)).await;
        let mut found = Vec::new();
        for client in [&client, &bearer] {
            let mut may = String::new();
            for name in ["team", "secret", "public"] {
                let is_in = |answer: &Answer| ![401, 403].contains(&answer.status.as_u16());
                let pulls = is_in(&client.get_manifest(&format!("{name}/app"), "v1").await);
                let pushes = is_in(&client.post(&format!("/v2/{name}/app/blobs/uploads/")).await);
                let deletes = is_in(&client.delete(&format!("/v2/{name}/app/manifests/absent")).await);
                for (is_so, letter) in [(pulls, 'l'), (pushes, 's'), (deletes, 'd')] {
                    may.push(if is_so { letter } else { '-' });
                }
                may.push(' ');
            }
            found.push(may);
        }
        assert_eq!(found[0], found[1], "by secret and by token: {claims}");
        found.swap_remove(0)
    };
    assert_eq!(may(json!({})).await, "lsd --- l-- ", "all rules that fit count");
    assert_eq!(may(json!({"ref": "refs/heads/topic"})).await, "ls- --- l-- ");
    assert_eq!(may(json!({"groups": ["readers"]})).await, "lsd l-- l-- ", "and the groups");
    assert_eq!(may(json!({"repository": "other/app", "groups": ["x", "readers"]})).await, "--- l-- l-- ");
    assert_eq!(may(json!({"repository": "acme/idle"})).await, "--- --- l-- ", "it is let in, and has no roles");
    let reader = federation.bearing(&federation.token(&json!({"repository": "other/app", "groups": ["readers"]})));
    assert_eq!(reader.get("/v2/_catalog").await.expect(200).texts("repositories"), ["public/app", "secret/app"]);
    // What is given is there at once where it was given.
    admin.grant("rule:ci/idle", "pull", "secret/app").await;
    assert_eq!(may(json!({"repository": "acme/idle"})).await, "--- l-- l-- ");
    let nobody = federation.bearing(&federation.token(&json!({"repository": "other/app", "groups": ["x"]})));
    let refused = nobody.get("/v2/").await.expect_error(401, "UNAUTHORIZED").json();
    assert!(refused["errors"][0]["message"].as_str().unwrap().contains("rule"), "{refused}");
    // The client's word on what it is for is no claim.
    nobody.get_manifest("public/app", "v1").await.expect_error(401, "UNAUTHORIZED");
}

async fn any_name_will_do_and_none_counts() {
    let federation = Federation::start(Backend::Folder).await;
    let admin = federation.registry.admin();
    let robot = admin.create_robot("robot", &[("delete", "team/*")]).await;
    let client = federation.registry.client();
    let token = federation.token(&json!({}));
    for name in ["oidc", "", "admin", "robot", "anonymous", "ci", "$oauthtoken", "Ünlaut"] {
        let client = client.as_basic(name, &token);
        client.get("/v2/").await.expect(200);
        let denied = client.get(ADMINISTRATION).await.expect_error(403, "DENIED").json();
        assert!(denied["errors"][0]["message"].as_str().unwrap().contains(CALLER), "{name}: {denied}");
        client.delete("/v2/team/app/manifests/absent").await.expect_error(403, "DENIED");
        client.ask_token(&[]).await.expect(200);
    }
    // A subject that reads like an account's name is none either.
    for subject in ["admin", "robot", "anonymous"] {
        let client = federation.bearing(&federation.token(&json!({ "sub": subject })));
        client.get(ADMINISTRATION).await.expect_error(403, "DENIED");
        let (path, change) = (format!("{ADMINISTRATION}/{subject}"), json!({"password": "x".repeat(20)}));
        client.send_json(Method::PATCH, &path, &change).await.expect_error(403, "DENIED");
    }
    federation.registry.as_account(&robot).get("/v2/").await.expect(200);
    // Whatever the issuer signed, a name is one that a log can hold, and an answer.
    for sub in ["a\r\nSet-Cookie: x", "a\u{0}", "\u{1b}[2J", "", &"x".repeat(1025)] {
        let odd = federation.bearing(&federation.token(&json!({ "sub": sub })));
        odd.get("/v2/").await.expect_error(401, "UNAUTHORIZED");
    }
    let odd = federation.bearing(&federation.token(&json!({"sub": "a\"é; Set-Cookie: x"})));
    let answer = odd.post("/v2/other/app/blobs/uploads/").await.expect_error(403, "DENIED");
    assert!(answer.header("set-cookie").is_none(), "{answer:?}");
    odd.with_token(&[PUSH]).await.get("/v2/").await.expect(200);
}

async fn groups_are_those_that_have_roles() {
    let federation = Federation::start(Backend::Folder).await;
    let admin = federation.registry.admin();
    for group in ["dev", "acme/team a", "7", "ünlaut"] {
        admin.grant(&format!("group:ci/{group}"), "pull", "team/*").await;
    }
    let groups = async |claim: &str, claims: Value| {
        admin.put_issuer("ci", &federation.trust(&json!({ "groupsClaim": claim }))).await;
        let answer = admin.check_issuer("ci", &federation.token(&claims)).await.expect(200);
        let mut groups = answer.texts("groups");
        groups.sort();
        groups
    };
    assert_eq!(groups("groups", json!({"groups": ["dev", "other", "acme/team a"]})).await, ["acme/team a", "dev"]);
    assert_eq!(groups("groups", json!({"groups": "dev"})).await, ["dev"], "one may stand alone");
    assert!(groups("groups", json!({"groups": ["Dev", "de", "dev ", "d*", "*"]})).await.is_empty());
    assert!(groups("groups", json!({"roles": ["dev"]})).await.is_empty());
    assert_eq!(groups("roles", json!({"roles": ["ünlaut"], "groups": ["dev"]})).await, ["ünlaut"]);
    assert_eq!(groups("/realm/roles", json!({"realm": {"roles": ["dev"]}})).await, ["dev"]);
    assert!(groups("groups", json!({"groups": {"dev": true}})).await.is_empty());
    // Whoever is in very many can still come in.
    let many: Vec<String> = (0..350).map(|number| format!("some-group-of-many-{number:05}")).collect();
    let token = federation.token(&json!({"groups": many}));
    assert!(token.len() < 16 << 10, "{}", token.len());
    federation.bearing(&token).with_token(&[PUSH]).await.get("/v2/").await.expect(200);
}

async fn issuers_of_one_url_are_told_apart_by_audience() {
    let federation = Federation::start(Backend::Folder).await;
    let admin = federation.registry.admin();
    let trust = |audience: &str, repository: &str| {
        let rule = json!({"name": "any", "claims": {"repository": repository}});
        federation.trust(&json!({"audiences": [audience, "both.example"], "rules": [rule]}))
    };
    for (name, audience, repository) in [("a", "a.example", "acme/a"), ("z", "z.example", "acme/z")] {
        admin.put_issuer(name, &trust(audience, repository)).await;
        admin.grant(&format!("rule:{name}/any"), "pull", &format!("{name}/**")).await;
    }
    let caller = async |audience: &str, repository: &str| {
        let token = federation.token(&json!({"aud": audience, "repository": repository}));
        let answer = federation.bearing(&token).get(ADMINISTRATION).await;
        let message = answer.json()["errors"][0]["message"].as_str().unwrap().to_owned();
        (answer.status.as_u16(), message)
    };
    for (audience, repository, name) in [
        ("a.example", "acme/a", "a"),
        ("z.example", "acme/z", "z"),
        ("both.example", "acme/a", "a"),
        ("both.example", "acme/z", "z"),
    ] {
        let (status, message) = caller(audience, repository).await;
        assert!(status == 403 && message.starts_with(&format!("\"{name}:repo:")), "{audience} {repository}: {status} {message}");
    }
    assert_eq!(caller("a.example", "acme/z").await.0, 401);
}

async fn a_workload_may_administer_and_leave_nobody_out() {
    let federation = Federation::start(Backend::Folder).await;
    let admin = federation.registry.admin();
    let role = admin.grant(Federation::RELEASE, "admin", "**").await;
    let workload = federation.bearing(&federation.token(&json!({})));
    let bearer = workload.with_token(&["registry:admin:*"]).await;
    for client in [&workload, &bearer] {
        client.get(ADMINISTRATION).await.expect(200);
        client.get("/v2/_longshore/issuers").await.expect(200);
    }
    let robot = workload.create_robot("robot", &[("pull", "team/*")]).await;
    federation.registry.as_account(&robot).get("/v2/").await.expect(200);
    // Nobody could log in to mend it, were the issuer to fall silent.
    let admins = format!("{ADMINISTRATION}/admin");
    workload.delete(&admins).await.expect_error(409, "DENIED");
    workload.send_json(Method::PATCH, &admins, &json!({"isDisabled": true})).await.expect_error(409, "DENIED");
    let roles = workload.get("/v2/_longshore/roles?subject=admin").await.expect(200).json();
    for role in roles["roles"].as_array().unwrap() {
        workload.delete(&format!("/v2/_longshore/roles/{}", role["id"].as_str().unwrap())).await.expect_error(409, "DENIED");
    }
    admin.get(ADMINISTRATION).await.expect(200);
    // With another account that administers it may.
    let other = workload.create_person("other", "a password of theirs", &[("admin", "**")]).await;
    workload.delete_account("admin").await;
    federation.registry.as_account(&other).revoke(&role).await;
    longshore_tests::until("it to administer no more", std::time::Duration::from_secs(5), async || {
        let answers = [workload.get(ADMINISTRATION).await, bearer.get(ADMINISTRATION).await];
        answers.iter().all(|answer| answer.status == 403).then_some(())
    })
    .await;
}

async fn tokens_are_in_no_log_and_no_database() {
    let federation = Federation::with(Backend::Folder, &[("log.filter", "debug".into())]).await;
    let client = federation.registry.client();
    let token = federation.token(&json!({"secret_claim": "for nobody's eyes"}));
    let refused = federation.token(&json!({"aud": "elsewhere", "secret_claim": "for nobody's eyes"}));
    let basic = federation.bearing(&token);
    basic.get("/v2/").await.expect(200);
    let (access, session) = tokens(basic.get(&format!("/token?scope={PUSH}&offline_token=true")).await);
    let session = session.unwrap();
    client.as_bearer(&access).post("/v2/team/app/blobs/uploads/").await.expect(202);
    tokens(client.post_form(&[("grant_type", "refresh_token"), ("refresh_token", &session)]).await);
    for text in [&token, &refused] {
        client.post_form(&[("grant_type", EXCHANGE), ("subject_token", text), ("subject_token_type", JWT)]).await;
        client.post_form(&[("grant_type", "password"), ("username", "oidc"), ("password", text)]).await;
        client.post_form(&[("grant_type", "refresh_token"), ("refresh_token", text)]).await;
        client.as_bearer(text).get("/v2/").await.expect(401);
        federation.registry.admin().check_issuer("ci", text).await;
    }
    federation.bearing(&refused).get("/v2/").await.expect(401);
    assert!(federation.registry.index().holds(federation.issuer.url()).await, "what is there is found");
    let log = federation.registry.log();
    assert!(log.contains("/token"), "it logs what is asked");
    for secret in [&token, &refused, &access, &session] {
        // Neither the signature nor what is signed.
        for part in secret.split('.').skip(1) {
            assert!(!log.contains(part), "{part}");
            assert!(!federation.registry.index().holds(part).await, "{part}");
        }
    }
    assert!(!log.contains("nobody's eyes"));
}

/// `--as` takes whatever a role can be for.
async fn a_policy_is_explained_to_a_workload() {
    let federation = Federation::start(Backend::Folder).await;
    let admin = federation.registry.admin();
    admin.grant("group:ci/readers", "pull", "secret/*").await;
    let image = Image::random(806, &[200]);
    for repository in ["team/app", "secret/app"] {
        admin.push_image(repository, "v1", &image).await;
    }
    let may_pull = async |repository: &str, subject: &str| {
        let subject = subject.replace(':', "%3A").replace('/', "%2F");
        admin.get(&format!("/v2/{repository}/_longshore/verdicts/v1?as={subject}")).await
    };
    for (repository, subject, may) in [
        ("team/app", Federation::RELEASE, true),
        ("secret/app", Federation::RELEASE, false),
        ("secret/app", "group:ci/readers", true),
        ("team/app", "group:ci/readers", false),
    ] {
        let verdict = may_pull(repository, subject).await.expect(200).json();
        assert_eq!(verdict["mayPull"], may, "{repository} {subject}: {verdict}");
    }
    for subject in ["rule:ci/absent", "rule:absent/release", "group:absent/readers"] {
        let answer = may_pull("team/app", subject).await;
        assert!([400, 404].contains(&answer.status.as_u16()), "{subject}: {answer:?}");
    }
    // Who bears a token is told of itself.
    let workload = federation.bearing(&federation.token(&json!({})));
    let own = workload.get("/v2/team/app/_longshore/verdicts/v1").await.expect(200).json();
    assert_eq!((&own["subject"], &own["mayPull"]), (&json!(CALLER), &json!(true)));
}
