//! Real clients log in with an issuer's token: docker, podman, skopeo, crane, containerd's ctr, and `longshore` itself.

use std::{path::Path, time::Duration};

use longshore_tests::{
    Account, Backend, Containerd, Docker, Federation, Layout, Output, Podman, ROOT_FILE_SYSTEM_WORDS, Registry, done, go_program,
    longshore, on_both_backends, refused, run, run_ok, run_with_input, temporary_folder, until,
};
use serde_json::{Value, json};

on_both_backends!(docker_goes_on_after_its_token_has_ended);
longshore_tests::once!(
    others_go_on_with_what_docker_keeps,
    podman_and_skopeo_log_in_with_a_token,
    crane_logs_in_with_a_token,
    containerd_logs_in_with_a_token,
);

/// What docker keeps of a login.
fn kept(docker: &Docker, registry: &Registry) -> Value {
    let config = std::fs::read(docker.config_folder().join("config.json")).expect("docker keeps its logins");
    let config: Value = serde_json::from_slice(&config).expect("docker writes JSON");
    config["auths"][registry.authority()].clone()
}

/// Puts an image into a registry as its administrator.
async fn seed(federation: &Federation, layout: &Layout, name: &str) -> String {
    let image = format!("{}/{name}", federation.registry.authority());
    let credentials = format!("--dest-creds=admin:{}", Registry::ADMIN_PASSWORD);
    let to = format!("docker://{image}");
    let from = layout.reference();
    run_ok("skopeo", ["--insecure-policy", "copy", "--preserve-digests", "--dest-tls-verify=false", &credentials, &from, &to])
        .await;
    image
}

/// Waits until the registry takes a token no more.
async fn ended(federation: &Federation, token: &str) {
    until("the token to end", Duration::from_secs(90), async || {
        (federation.bearing(token).get("/v2/").await.status == 401).then_some(())
    })
    .await;
}

async fn docker_goes_on_after_its_token_has_ended(backend: Backend) {
    let federation = Federation::start(backend).await;
    let (registry, admin) = (&federation.registry, federation.registry.admin());
    let docker = Docker::start().await;
    let layout = Layout::runnable(820, &[100_000]).await;
    let seeded = seed(&federation, &layout, "team/seeded:v1").await;
    let private = seed(&federation, &layout, "private/app:v1").await;
    refused(&docker.run(&["pull", &seeded]).await);
    let wrong = federation.token(&json!({"aud": "elsewhere.example"}));
    let output = docker.login(registry.authority(), &Account::bearing(&wrong)).await;
    assert!(output.is_refusal_with(&["audience"]), "with the registry's own reason: {output}");

    let token = federation.token_ending_in(10);
    let login = done(docker.login(registry.authority(), &Account::bearing(&token)).await);
    assert!(login.stdout.contains("Login Succeeded"), "{login}");
    let kept = kept(&docker, registry);
    assert!(kept["identitytoken"].as_str().is_some_and(|text| !text.is_empty()), "it keeps the session: {kept}");
    assert!(!kept.to_string().contains(&token), "and not the token");
    ended(&federation, &token).await;

    assert_eq!(docker.ok(&["run", "--rm", "--network=host", &seeded]).await.trim(), ROOT_FILE_SYSTEM_WORDS);
    let [pushed, mounted] = ["team/app:v1", "team/second:v1"].map(|name| format!("{}/{name}", registry.authority()));
    for image in [&pushed, &mounted] {
        docker.ok(&["tag", &seeded, image]).await;
        docker.ok(&["push", image]).await;
    }
    admin.pull_image("team/app", "v1").await;
    admin.pull_image("team/second", "v1").await;
    docker.ok(&["rmi", "--force", &seeded, &pushed, &mounted]).await;
    docker.ok(&["pull", &pushed]).await;
    refused(&docker.run(&["pull", &private]).await);
    let new = format!("{}/private/app:v2", registry.authority());
    docker.ok(&["tag", &pushed, &new]).await;
    let output = docker.run(&["push", &new]).await;
    refused(&output);

    // What docker keeps is worth nothing once the rule is gone.
    admin.put_issuer("ci", &federation.trust(&json!({"rules": []}))).await;
    until("docker to be refused", Duration::from_secs(10), async || {
        docker.run(&["pull", &mounted]).await.is_refusal().then_some(())
    })
    .await;
    refused(&docker.run(&["push", &pushed]).await);
}

/// Credentials of docker's are read by many.
async fn others_go_on_with_what_docker_keeps() {
    let federation = Federation::start(Backend::Folder).await;
    let registry = &federation.registry;
    let docker = Docker::start().await;
    let layout = Layout::runnable(821, &[1000]).await;
    let image = seed(&federation, &layout, "team/app:v1").await;
    let token = federation.token_ending_in(10);
    done(docker.login(registry.authority(), &Account::bearing(&token)).await);
    ended(&federation, &token).await;
    let folder = docker.config_folder();
    let authfile = format!("--authfile={}", folder.join("config.json").display());
    let there = format!("docker://{image}");
    done(run("skopeo", ["inspect", "--tls-verify=false", &authfile, &there]).await);
    let to = format!("docker://{}/team/copied:v1", registry.authority());
    let copy = ["--insecure-policy", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", &authfile, &there, &to];
    done(run("skopeo", copy).await);
    let podman = Podman::new();
    done(podman.run(&["pull", "--tls-verify=false", &authfile, &image]).await);
    let digest = done(crane(&folder, &["digest", &image], "").await);
    assert_eq!(digest.stdout.trim(), layout.digest);
    done(crane(&folder, &["tag", &image, "v2"], "").await);
    let config = format!("DOCKER_CONFIG={}", folder.display());
    let binary = longshore().display().to_string();
    let url = format!("--registry={}", registry.url());
    let listed = done(run("env", [config.as_str(), &binary, "image", "tags", &url, "team/app"]).await);
    assert_eq!(listed.stdout.lines().collect::<Vec<_>>(), ["v1", "v2"]);
}

async fn podman_and_skopeo_log_in_with_a_token() {
    let federation = Federation::start(Backend::Folder).await;
    let registry = &federation.registry;
    let layout = Layout::runnable(822, &[1000]).await;
    let seeded = seed(&federation, &layout, "team/seeded:v1").await;
    let podman = Podman::new();
    let authfile = podman.authfile();
    let wrong = federation.token(&json!({"repository": "other/app"}));
    let output = podman.login(registry.authority(), &Account::bearing(&wrong)).await;
    assert!(output.is_refusal_with(&["invalid username/password", "unauthorized"]), "{output}");
    done(podman.login(registry.authority(), &Account::bearing(&federation.token(&json!({})))).await);
    done(podman.run(&["pull", "--tls-verify=false", &authfile, &seeded]).await);
    let [pushed, private] = ["team/app:v1", "private/app:v1"].map(|name| format!("{}/{name}", registry.authority()));
    for image in [&pushed, &private] {
        podman.ok(&["tag", &seeded, image]).await;
    }
    done(podman.run(&["push", "--tls-verify=false", &authfile, &pushed]).await);
    refused(&podman.run(&["push", "--tls-verify=false", &authfile, &private]).await);
    registry.admin().pull_image("team/app", "v1").await;

    let folder = temporary_folder("skopeo");
    std::fs::write(folder.path().join("logins.json"), "{}").unwrap();
    let authfile = format!("--authfile={}", folder.path().join("logins.json").display());
    let login = ["login", "--tls-verify=false", &authfile, "--username", "oidc", "--password-stdin", registry.authority()];
    let output = run_with_input("skopeo", login, &wrong).await;
    assert!(output.is_refusal_with(&["invalid username/password", "unauthorized"]), "{output}");
    done(run_with_input("skopeo", login, &federation.token(&json!({}))).await);
    let copy = async |name: &str| {
        let (from, to) = (layout.reference(), format!("docker://{}/{name}", registry.authority()));
        run("skopeo", ["--insecure-policy", "copy", "--dest-tls-verify=false", &authfile, &from, &to]).await
    };
    done(copy("team/copied:v1").await);
    refused(&copy("private/copied:v1").await);
    registry.admin().pull_image("team/copied", "v1").await;
}

/// crane, with logins in a folder of its own.
async fn crane(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let (config, program) = (format!("DOCKER_CONFIG={}", folder.display()), go_program("crane").display().to_string());
    run_with_input("env", [&[config.as_str(), program.as_str(), "--insecure"], arguments].concat(), input).await
}

async fn crane_logs_in_with_a_token() {
    let federation = Federation::start(Backend::Folder).await;
    let registry = &federation.registry;
    let layout = Layout::runnable(823, &[1000]).await;
    let folder = temporary_folder("crane");
    let login = ["auth", "login", registry.authority(), "--username", "oidc", "--password-stdin"];
    let from = layout.path().to_str().unwrap();
    let push = async |name: &str| crane(folder.path(), &["push", from, &format!("{}/{name}", registry.authority())], "").await;
    // It keeps what it is told, and finds out later.
    done(crane(folder.path(), &login, &federation.token(&json!({"exp": 1}))).await);
    refused(&push("team/app:v1").await);
    done(crane(folder.path(), &login, &federation.token(&json!({}))).await);
    done(push("team/app:v1").await);
    refused(&push("private/app:v1").await);
    registry.admin().pull_image("team/app", "v1").await;
}

async fn containerd_logs_in_with_a_token() {
    let federation = Federation::start(Backend::Folder).await;
    let layout = Layout::runnable(824, &[1000]).await;
    let seeded = seed(&federation, &layout, "team/seeded:v1").await;
    let containerd = Containerd::start().await;
    let account = Account::bearing(&federation.token(&json!({})));
    refused(&containerd.as_account(&Account::bearing(&federation.token(&json!({"exp": 1}))), "pull", &seeded).await);
    done(containerd.as_account(&account, "pull", &seeded).await);
    let [pushed, private] = ["team/app:v1", "private/app:v1"].map(|name| format!("{}/{name}", federation.registry.authority()));
    for image in [&pushed, &private] {
        containerd.ok(&["images", "tag", &seeded, image]).await;
    }
    done(containerd.as_account(&account, "push", &pushed).await);
    refused(&containerd.as_account(&account, "push", &private).await);
    federation.registry.admin().pull_image("team/app", "v1").await;
}
