//! `longshore login` and `longshore logout`: what is kept, who reads it, and what is said.

use std::{path::PathBuf, time::Duration};

use longshore_tests::{
    Backend, Docker, Federation, Image, Layout, Output, Registry, done, go_program, longshore, run, run_ok, run_with_input,
    temporary_folder, until,
};
use serde_json::{Value, json};
use tempfile::TempDir;

longshore_tests::once!(
    a_session_is_kept_in_place_of_an_issuer_s_token,
    a_password_is_kept_where_there_is_no_session,
    a_wrong_password_is_one_guess,
    a_login_by_an_address_says_what_docker_makes_of_it,
);

const PASSWORD: &str = "correct horse battery";

/// Somebody with a docker's configuration of their own.
struct Person {
    config: PathBuf,
    _folder: Option<TempDir>,
}

impl Person {
    fn new() -> Self {
        let folder = temporary_folder("person");
        Self { config: folder.path().join("docker"), _folder: Some(folder) }
    }

    /// Whose docker this is.
    fn with(docker: &Docker) -> Self {
        Self { config: docker.config_folder(), _folder: None }
    }

    async fn longshore(&self, arguments: &[&str], input: &str) -> Output {
        let (config, program) = (format!("DOCKER_CONFIG={}", self.config.display()), longshore().display().to_string());
        run_with_input("env", [&[config.as_str(), program.as_str()], arguments].concat(), input).await
    }

    async fn log_in(&self, host: &str, name: &str, secret: &str) -> Output {
        self.longshore(&["login", host, "-u", name, "--password-stdin"], secret).await
    }

    /// What is kept of logins.
    fn kept(&self) -> Value {
        let config = std::fs::read(self.config.join("config.json")).expect("something is kept");
        serde_json::from_slice::<Value>(&config).expect("it is JSON")["auths"].clone()
    }
}

#[track_caller]
fn refused(output: &Output) {
    assert!(output.is_refusal_with(&["denied", "unauthorized"]), "{output}");
}

/// It goes on after the token has ended, and docker and crane go on with it.
async fn a_session_is_kept_in_place_of_an_issuer_s_token() {
    let federation = Federation::start(Backend::Folder).await;
    let (registry, host) = (&federation.registry, federation.registry.authority());
    let image = format!("{host}/team/app:v1");
    let layout = Layout::runnable(830, &[1000]).await;
    let (from, to) = (layout.reference(), format!("docker://{image}"));
    let admin = format!("--dest-creds=admin:{}", Registry::ADMIN_PASSWORD);
    run_ok("skopeo", ["--insecure-policy", "copy", "--preserve-digests", "--dest-tls-verify=false", &admin, &from, &to]).await;
    let docker = Docker::start().await;
    let person = Person::with(&docker);
    let tags = async || person.longshore(&["image", "tags", "--registry", registry.url(), "team/app"], "").await;
    refused(&tags().await);

    let wrong = person.log_in(host, "oidc", &federation.token(&json!({"aud": "elsewhere.example"}))).await;
    assert!(wrong.code == Some(1) && wrong.stderr.contains("audience"), "with the registry's own reason: {wrong}");
    let token = federation.token_ending_in(10);
    let login = done(person.log_in(host, "oidc", &token).await);
    assert!(login.stderr.contains("the token of a session is kept in "), "{login}");
    let kept = person.kept();
    assert_eq!(kept[host]["auth"], "b2lkYzo=", "the name, without a password: {kept}");
    assert!(kept[host]["identitytoken"].as_str().is_some_and(|session| !session.is_empty() && session != token), "{kept}");
    assert!(!kept.to_string().contains(&token), "{kept}");
    until("the token to end", Duration::from_secs(90), async || {
        (federation.bearing(&token).get("/v2/").await.status == 401).then_some(())
    })
    .await;
    assert_eq!(done(tags().await).stdout.trim(), "v1");
    let inspected = done(person.longshore(&["image", "inspect", &image], "").await);
    assert!(inspected.stdout.contains(&layout.digest), "{inspected}");
    docker.ok(&["pull", &image]).await;
    let config = format!("DOCKER_CONFIG={}", person.config.display());
    let crane = go_program("crane").display().to_string();
    let digest = done(run("env", [config.as_str(), &crane, "--insecure", "digest", &image]).await);
    assert_eq!(digest.stdout.trim(), layout.digest);

    let logout = done(person.longshore(&["logout", host], "").await);
    assert!(logout.stderr.contains(&format!("logged out of {host}")), "{logout}");
    assert_eq!(person.kept(), json!({}));
    refused(&tags().await);
    refused(&docker.run(&["pull", &image]).await);
}

async fn a_password_is_kept_where_there_is_no_session() {
    let registry = Registry::with_accounts(Backend::Folder, &[]).await;
    let admin = registry.admin();
    admin.push_image("team/app", "v1", &Image::random(831, &[100])).await;
    let ann = admin.create_person("ann", PASSWORD, &[("pull", "team/*")]).await;
    let ci = admin.create_robot("ci", &[("pull", "team/*")]).await;
    let host = registry.authority();
    for account in [&ann, &ci] {
        let person = Person::new();
        let login = done(person.log_in(host, &account.name, &account.secret).await);
        assert!(login.stderr.contains("the password is kept in "), "{login}");
        assert_eq!(person.kept()[host].as_object().map(|kept| kept.keys().map(String::as_str).collect()), Some(vec!["auth"]));
        let tags = done(person.longshore(&["image", "tags", "--registry", registry.url(), "team/app"], "").await);
        assert_eq!(tags.stdout.trim(), "v1");
    }
    let person = Person::new();
    let login = person.longshore(&["login", host, "-u", "ci", "--password-stdin", "--output", "json"], &ci.secret).await;
    let told: Value = serde_json::from_str(&done(login).stdout).unwrap();
    assert_eq!(told, json!({"registry": host, "username": "ci", "isSession": false}));
    // Where nobody is asked, and where nothing but passwords is taken.
    let open = Registry::start(Backend::Folder).await;
    done(person.log_in(open.authority(), "anybody", "at all").await);
    let basic = Registry::with_accounts(Backend::Folder, &[("auth.bearer", false.into())]).await;
    done(person.log_in(basic.authority(), "admin", Registry::ADMIN_PASSWORD).await);
    refused_login(&person.log_in(basic.authority(), "admin", PASSWORD).await);
}

#[track_caller]
fn refused_login(output: &Output) {
    assert!(output.code == Some(1) && output.stderr.contains("are the name and the password right?"), "{output}");
}

async fn a_wrong_password_is_one_guess() {
    let registry = Registry::with_accounts(Backend::Folder, &[("auth.failed_logins_per_account", 2.into())]).await;
    let ann = registry.admin().create_person("ann", PASSWORD, &[]).await;
    let person = Person::new();
    refused_login(&person.log_in(registry.authority(), "ann", "a wrong guess").await);
    done(person.log_in(registry.authority(), "ann", PASSWORD).await);
    refused_login(&person.log_in(registry.authority(), "ann", "another").await);
    let late = person.log_in(registry.authority(), "ann", &ann.secret).await;
    assert!(late.code == Some(1) && late.stderr.contains("TOOMANYREQUESTS"), "{late}");
}

async fn a_login_by_an_address_says_what_docker_makes_of_it() {
    let registry = Registry::with_accounts(Backend::Folder, &[]).await;
    let (host, port) = (registry.authority(), registry.authority().rsplit_once(':').unwrap().1);
    let words = format!("for localhost:{port}/... run `longshore login localhost:{port}`");
    let person = Person::new();
    let unnamed = ["login", "--registry", registry.url(), "-u", "admin", "--password-stdin"];
    let login = done(person.longshore(&unnamed, Registry::ADMIN_PASSWORD).await);
    assert!(login.stderr.contains(&words) && login.stderr.contains(&format!("images named {host}/...")), "{login}");
    let login = done(person.log_in(&format!("localhost:{port}"), "admin", Registry::ADMIN_PASSWORD).await);
    assert!(!login.stderr.contains("docker finds it"), "{login}");
    let kept = person.kept();
    assert!(kept[host].is_object() && kept[format!("localhost:{port}")].is_object(), "{kept}");
    done(person.longshore(&["logout"], "").await);
    assert_eq!(person.kept(), kept, "that was of another port");
    done(person.longshore(&["logout", "--registry", registry.url()], "").await);
    assert_eq!(person.kept(), json!({}), "of all names of this machine");
}
