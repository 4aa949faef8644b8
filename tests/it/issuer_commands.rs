//! `longshore issuer`: each verb, with what it prints.

use longshore_tests::{Backend, Federation, Output, TokenIssuer, longshore, run_with_input, temporary_folder};
use serde_json::{Value, json};

longshore_tests::once!(
    an_issuer_is_added_shown_and_removed,
    a_rule_is_allowed_and_disallowed,
    rules_that_are_allowed_at_once_are_all_there,
    a_token_is_checked,
    mistakes_are_told,
);

/// `longshore`, as the registry's administrator.
async fn longshore_as(federation: &Federation, arguments: &[&str], input: &str) -> Output {
    let password = format!("LONGSHORE_REGISTRY_PASSWORD={}", longshore_tests::Registry::ADMIN_PASSWORD);
    let binary = longshore().display().to_string();
    let connection = ["--registry", federation.registry.url(), "--username", "admin"];
    run_with_input("env", [&[password.as_str(), &binary], arguments, &connection].concat(), input).await
}

async fn ok(federation: &Federation, arguments: &[&str]) -> Output {
    let output = longshore_as(federation, arguments, "").await;
    assert_eq!(output.code, Some(0), "longshore {arguments:?}: {output}");
    output
}

async fn json(federation: &Federation, arguments: &[&str]) -> Value {
    let output = ok(federation, &[arguments, &["--output", "json"]].concat()).await;
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error} in {output}"))
}

#[track_caller]
fn failed(output: &Output, code: i32, words: &[&str]) {
    assert!(output.code == Some(code) && output.stdout.is_empty(), "{output}");
    assert!(words.iter().all(|word| output.stderr.contains(word)), "{words:?} in {output}");
}

/// Each line, without what pads it.
fn lines(output: &Output) -> Vec<String> {
    output.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

async fn an_issuer_is_added_shown_and_removed() {
    let federation = Federation::start(Backend::Folder).await;
    let url = "https://token.actions.githubusercontent.com";
    let add = ["issuer", "add", "github", "--url", url, "--audience", "registry.example"];
    let added = ok(&federation, &add).await;
    assert!(added.stdout.is_empty() && added.stderr.contains(url), "{added}");
    assert!(added.stderr.contains("longshore issuer allow github"), "it says what comes next: {added}");
    failed(&longshore_as(&federation, &add, "").await, 1, &["github", "ISSUER_CHANGED"]);

    let folder = temporary_folder("issuer");
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let tls = TokenIssuer::over_tls(&[]).await;
    let authorities = file("ca.pem", tls.certificate().unwrap());
    let keys = json!({"keys": [federation.key.jwk()]});
    let keys_file = file("keys.json", &keys.to_string());
    let made = json(
        &federation,
        &[
            "issuer",
            "add",
            "own",
            "--url",
            "https://own.example",
            "--audience",
            "a",
            "--audience",
            "b",
            "--jwks",
            &keys_file,
            "--issuer-ca-file",
            &authorities,
            "--groups-claim",
            "/realm/roles",
            "--session",
            "30m",
        ],
    )
    .await;
    assert_eq!((&made["name"], &made["audiences"], &made["jwks"]), (&json!("own"), &json!(["a", "b"]), &keys));
    assert_eq!((&made["groupsClaim"], &made["sessionSeconds"]), (&json!("/realm/roles"), &json!(1800)));
    assert_eq!(made["caCertificates"].as_str(), tls.certificate());
    let at = json(
        &federation,
        &["issuer", "add", "at", "--url", "https://at.example", "--audience", "a", "--jwks-url", "https://at.example/keys"],
    )
    .await;
    assert_eq!(at["jwksUrl"], "https://at.example/keys");

    let listed = ok(&federation, &["issuer", "ls"]).await;
    let rows = lines(&listed);
    assert_eq!(rows[0], "NAME URL AUDIENCES RULES CHANGED");
    assert!(rows[1].starts_with("at https://at.example a - "), "{listed}");
    assert!(rows[2].starts_with(&format!("ci {} registry.example release ", federation.issuer.url())), "{listed}");
    assert!(rows[3].starts_with(&format!("github {url} registry.example - ")), "{listed}");
    assert!(rows[4].starts_with("own https://own.example a,b - "), "{listed}");
    assert_eq!(rows.len(), 5);
    let array = json(&federation, &["issuer", "ls"]).await;
    assert_eq!(array.as_array().unwrap().len(), 4);
    assert_eq!(array[3], made);

    let shown = ok(&federation, &["issuer", "show", "own"]).await;
    let rows = lines(&shown);
    for row in [
        "name own",
        "url https://own.example",
        "audiences a, b",
        "keys given",
        "authorities its own",
        "groups claim /realm/roles",
        "session 1800 s",
    ] {
        assert!(rows.iter().any(|line| line == row), "{row} in {shown}");
    }
    let shown = ok(&federation, &["issuer", "show", "ci"]).await;
    assert!(lines(&shown).ends_with(&["RULE CLAIMS".into(), "release repository=acme/app".into()]), "{shown}");
    assert_eq!(json(&federation, &["issuer", "show", "own"]).await, made);
    failed(&longshore_as(&federation, &["issuer", "show", "absent"], "").await, 1, &["absent", "ISSUER_UNKNOWN"]);

    let removed = ok(&federation, &["issuer", "rm", "github"]).await;
    assert_eq!(removed.stdout, "removed github, and the roles of its rules and groups\n");
    assert_eq!(json(&federation, &["issuer", "rm", "own"]).await, made);
    failed(&longshore_as(&federation, &["issuer", "rm", "github"], "").await, 1, &["github", "ISSUER_UNKNOWN"]);
    assert_eq!(json(&federation, &["issuer", "ls"]).await.as_array().unwrap().len(), 2);
}

async fn a_rule_is_allowed_and_disallowed() {
    let federation = Federation::start(Backend::Folder).await;
    let main = ["--claim", "repository=acme/lib", "--claim", "ref=refs/heads/*"];
    let allow = [&["issuer", "allow", "ci", "main"], &main[..]].concat();
    let allowed = ok(&federation, &[&allow[..], &["--push", "lib/**", "--pull", "base/*"]].concat()).await;
    let rows = lines(&allowed);
    assert_eq!(rows[0], "rule main of ci: ref=refs/heads/*, repository=acme/lib");
    assert!(rows[1].starts_with("role_") && rows[1].ends_with(": rule:ci/main may pull on base/*"), "{allowed}");
    assert!(rows[2].starts_with("role_") && rows[2].ends_with(": rule:ci/main may push on lib/**"), "{allowed}");
    let client = federation.bearing(&federation.token(&json!({"repository": "acme/lib"})));
    client.post("/v2/lib/a/b/blobs/uploads/").await.expect(202);
    client.post("/v2/team/app/blobs/uploads/").await.expect_error(403, "DENIED");
    federation.bearing(&federation.token(&json!({}))).get("/v2/").await.expect(200);

    // Said again it is as it is; with more it has more.
    let again = ok(&federation, &[&allow[..], &["--push", "lib/**", "--pull", "base/*"]].concat()).await;
    assert_eq!(again.stdout, allowed.stdout);
    let before = json(&federation, &["issuer", "show", "ci"]).await;
    let more = json(&federation, &[&allow[..], &["--delete", "lib/**"]].concat()).await;
    assert_eq!((&more["issuer"], &more["rule"]["name"]), (&json!("ci"), &json!("main")));
    assert_eq!(more["rule"]["claims"], json!({"ref": "refs/heads/*", "repository": "acme/lib"}));
    assert_eq!((&more["roles"][0]["subject"], &more["roles"][0]["actions"]), (&json!("rule:ci/main"), &json!(["delete"])));
    client.delete("/v2/lib/a/manifests/absent").await.expect(404);
    assert_eq!(json(&federation, &["issuer", "show", "ci"]).await, before, "the rule is not touched");
    let roles = json(&federation, &["role", "ls", "--subject", "rule:ci/main"]).await;
    assert_eq!(roles.as_array().unwrap().len(), 3);

    // Who has roles by a rule is not changed by a slip.
    let other = ["issuer", "allow", "ci", "main", "--claim", "repository=*", "--push", "lib/**"];
    failed(&longshore_as(&federation, &other, "").await, 2, &["other claims", "repository=acme/lib", "disallow ci main"]);
    assert_eq!(json(&federation, &["issuer", "show", "ci"]).await, before);
    let bare = ok(&federation, &["issuer", "allow", "ci", "idle", "--claim", "/a/b=x=y"]).await;
    assert_eq!(bare.stdout, "rule idle of ci: /a/b=x=y\n");
    assert!(bare.stderr.contains("longshore role grant rule:ci/idle"), "{bare}");
    let granted = ok(&federation, &["role", "grant", "rule:ci/idle", "--push", "acme/*"]).await;
    assert!(granted.stdout.ends_with(": rule:ci/idle may push on acme/*\n"), "{granted}");
    ok(&federation, &["role", "grant", "group:ci/acme/dev", "--pull", "acme/*"]).await;

    // What holds is printed, whatever comes after it.
    let half = ["issuer", "allow", "ci", "half", "--claim", "sub=x", "--pull", "a/*", "--push", "b/***"];
    let half = longshore_as(&federation, &half, "").await;
    assert!(half.code == Some(1) && half.stderr.contains("ROLE_INVALID"), "{half}");
    assert!(half.stdout.starts_with("rule half of ci: sub=x\nrole_") && half.stdout.ends_with("may pull on a/*\n"), "{half}");

    let removed = ok(&federation, &["issuer", "disallow", "ci", "main"]).await;
    assert_eq!(removed.stdout, "removed the rule main of ci, and its roles\n");
    client.get("/v2/").await.expect_error(401, "UNAUTHORIZED");
    assert_eq!(json(&federation, &["role", "ls", "--subject", "rule:ci/main"]).await, json!([]));
    let rule = json(&federation, &["issuer", "disallow", "ci", "half"]).await;
    assert_eq!(rule, json!({"name": "half", "claims": {"sub": "x"}}));
    failed(&longshore_as(&federation, &["issuer", "disallow", "ci", "main"], "").await, 1, &["ci has no rule main"]);
    failed(&longshore_as(&federation, &["issuer", "disallow", "absent", "main"], "").await, 1, &["ISSUER_UNKNOWN"]);
    federation.bearing(&federation.token(&json!({}))).get("/v2/").await.expect(200);
}

/// Each reads all rules, and writes them all.
async fn rules_that_are_allowed_at_once_are_all_there() {
    let federation = Federation::start(Backend::Folder).await;
    let names = ["a", "b", "c", "d"];
    let allow =
        names.map(async |name| ok(&federation, &["issuer", "allow", "ci", name, "--claim", "sub=x", "--pull", name]).await);
    futures_util::future::join_all(allow).await;
    let issuer = json(&federation, &["issuer", "show", "ci"]).await;
    let mut found: Vec<&str> = issuer["rules"].as_array().unwrap().iter().map(|rule| rule["name"].as_str().unwrap()).collect();
    found.sort_unstable();
    assert_eq!(found, ["a", "b", "c", "d", "release"]);
}

async fn a_token_is_checked() {
    let federation = Federation::start(Backend::Folder).await;
    ok(&federation, &["role", "grant", "group:ci/dev", "--pull", "acme/*"]).await;
    let check = async |token: &str, more: &[&str]| {
        longshore_as(&federation, &[&["issuer", "check", "ci", "--token-stdin"], more].concat(), token).await
    };
    let now = jiff::Timestamp::now().as_second();
    let token = federation.token(&json!({"groups": ["dev", "x"], "exp": now + 1000}));
    let checked = check(&format!("{token}\n"), &[]).await;
    assert_eq!(checked.code, Some(0), "{checked}");
    let end = jiff::Timestamp::from_second(now + 1000).unwrap();
    let expected = ["subject ci:repo:acme/app:ref:refs/heads/main", "rules release", "groups dev", &format!("expires {end}")]
        .map(str::to_owned);
    assert_eq!(lines(&checked), expected);
    let value: Value = serde_json::from_str(&check(&token, &["--output", "json"]).await.stdout).unwrap();
    assert_eq!((&value["rules"], &value["groups"]), (&json!(["release"]), &json!(["dev"])));
    for (token, word) in [
        (federation.token(&json!({"aud": "elsewhere"})), "audience"),
        (federation.token(&json!({"exp": 1})), "expired"),
        ("no token".to_owned(), "TOKEN_REFUSED"),
    ] {
        let output = check(&token, &[]).await;
        failed(&output, 1, &[word]);
        assert!(!output.stderr.contains(&token) || word == "TOKEN_REFUSED", "{output}");
    }
    failed(&check("", &[]).await, 2, &["the token on stdin is empty"]);
    failed(&check(&"x".repeat(20_000), &[]).await, 2, &["longer than"]);
    // A token is no argument: others can read those.
    let argument = longshore_as(&federation, &["issuer", "check", "ci", "--token", &token], "").await;
    assert_eq!(argument.code, Some(2), "{argument}");
}

async fn mistakes_are_told() {
    let federation = Federation::start(Backend::Folder).await;
    let run = async |arguments: &[&str]| longshore_as(&federation, arguments, "").await;
    let add = ["issuer", "add", "x", "--url", "https://x.example", "--audience", "a"];
    let folder = temporary_folder("mistakes");
    let no_keys = folder.path().join("keys.json");
    std::fs::write(&no_keys, "{").unwrap();
    let no_keys = no_keys.display().to_string();
    for (arguments, code, words) in [
        (&["issuer", "add", "x", "--url", "https://x.example"][..], 2, &["--audience"][..]),
        (&["issuer", "add", "x", "--audience", "a"], 2, &["--url"]),
        (
            &["issuer", "add", "x", "--url", "http://x.example", "--audience", "", "--session", "1s"],
            1,
            &["https", "audiences", "sessionSeconds", "ISSUER_INVALID"],
        ),
        (&[&add[..], &["--session", "1500ms"]].concat(), 2, &["--session"]),
        (&[&add[..], &["--session", "soon"]].concat(), 2, &["--session"]),
        (&[&add[..], &["--jwks", "/nowhere/at/all"]].concat(), 2, &["/nowhere/at/all"]),
        (&[&add[..], &["--jwks", &no_keys]].concat(), 2, &["JSON Web Key Set"]),
        (&[&add[..], &["--issuer-ca-file", "/nowhere/at/all"]].concat(), 2, &["/nowhere/at/all"]),
        (&[&add[..], &["--jwks", &no_keys, "--jwks-url", "https://x.example/keys"]].concat(), 2, &["cannot be used with"]),
        (&["issuer", "allow", "ci", "a"], 2, &["--claim"]),
        (&["issuer", "allow", "ci", "a", "--claim", "sub"], 2, &["CLAIM=PATTERN"]),
        (&["issuer", "allow", "ci", "a", "--claim", "sub=a", "--claim", "sub=b"], 2, &["sub is there twice"]),
        (&["issuer", "allow", "ci", "A", "--claim", "sub=a"], 1, &["ISSUER_INVALID"]),
        (&["issuer", "allow", "absent", "a", "--claim", "sub=a"], 1, &["ISSUER_UNKNOWN"]),
        (&["role", "grant", "rule:ci/absent", "--pull", "**"], 1, &["absent"]),
    ] {
        let output = run(arguments).await;
        assert!(output.code == Some(code), "{arguments:?}: {output}");
        assert!(words.iter().all(|word| output.stderr.contains(word)), "{arguments:?}: {words:?} in {output}");
    }
    let listed = json(&federation, &["issuer", "ls"]).await;
    assert_eq!(listed.as_array().unwrap().len(), 1, "nothing of it was done: {listed}");
    assert_eq!(listed[0]["rules"].as_array().unwrap().len(), 1);
    let help = ok(&federation, &["issuer", "--help"]).await;
    for verb in ["ls", "show", "add", "allow", "disallow", "check", "rm"] {
        assert!(help.stdout.lines().any(|line| line.trim_start().starts_with(verb)), "{verb} in {help}");
    }
}
