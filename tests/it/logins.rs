//! Real clients log in: docker, podman, skopeo, crane and containerd's ctr push and pull what they may, and say why they may not.

use std::path::Path;

use http::Method;
use longshore_oci::{Algorithm, Digest};
use longshore_tests::{
    Account, Answer, Backend, Client, Containerd, Docker, Layout, Output, Podman, Random, Registry, done, go_program,
    on_both_backends, refused, run, run_ok, run_with_input, temporary_folder,
};
use serde_json::json;

on_both_backends!(a_push_outlives_its_token,);
longshore_tests::once!(
    docker_logs_in_pushes_mounts_and_pulls,
    podman_logs_in_pushes_and_pulls,
    skopeo_logs_in_copies_and_inspects,
    crane_logs_in_pushes_and_lists,
    containerd_pulls_and_pushes_as_an_account,
);

/// A registry with an image that anybody may pull, one that `ci` may, who also pushes below `team`, and one that only the
/// administrator may. `reader` may pull what `ci` pushes.
struct Harbor {
    registry: Registry,
    layout: Layout,
    ci: Account,
    reader: Account,
}

impl Harbor {
    async fn open(backend: Backend, seed: u64) -> Self {
        // Clients try a wrong secret more than once; here it is not to count as guessing.
        let registry = Registry::with_accounts(backend, &[("auth.failed_logins_per_account", 1000.into())]).await;
        let admin = registry.admin();
        let layout = Layout::runnable(seed, &[100_000]).await;
        let ci = admin.create_robot("ci", &[("push", "team/*")]).await;
        let reader = admin.create_person("reader", "a password to read", &[("pull", "team/*")]).await;
        admin.grant("anonymous", "pull", "public/**").await;
        let harbor = Self { registry, layout, ci, reader };
        for name in ["public/app:seed", "team/seeded:v1", "private/app:v1"] {
            let credentials = format!("--dest-creds=admin:{}", Registry::ADMIN_PASSWORD);
            let (from, to) = (harbor.layout.reference(), format!("docker://{}", harbor.image(name)));
            let copy = ["--insecure-policy", "copy", "--preserve-digests", "--dest-tls-verify=false", &credentials, &from, &to];
            run_ok("skopeo", copy).await;
        }
        harbor
    }

    fn host(&self) -> &str {
        self.registry.authority()
    }

    fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.host())
    }

    /// That an image is there, and whole.
    async fn check(&self, repository: &str, tag: &str) {
        self.registry.admin().pull_image(repository, tag).await;
    }

    fn wrong(&self) -> Account {
        Account::of(&self.ci.name, "lsr_not-its-secret")
    }
}

async fn docker_logs_in_pushes_mounts_and_pulls() {
    let harbor = Harbor::open(Backend::Bucket, 260).await;
    let docker = Docker::start().await;
    let seed = harbor.image("public/app:seed");
    docker.ok(&["pull", &seed]).await;
    let [pushed, mounted, private] = ["team/app:v1", "team/second:v1", "private/app:v1"].map(|name| harbor.image(name));
    for image in [&pushed, &mounted, &private] {
        docker.ok(&["tag", &seed, image]).await;
        refused(&docker.run(&["push", image]).await);
    }
    refused(&docker.login(harbor.host(), &harbor.wrong()).await);
    let login = done(docker.login(harbor.host(), &harbor.ci).await);
    assert!(login.stdout.contains("Login Succeeded"), "{login}");
    docker.ok(&["push", &pushed]).await;
    let said = docker.ok(&["push", &mounted]).await;
    assert!(said.contains("Mounted from team/app") || said.contains("Mounted from public/app"), "{said}");
    refused(&docker.run(&["push", &private]).await);
    docker.ok(&["rmi", "--force", &pushed, &mounted, &private]).await;
    for image in [&pushed, &mounted] {
        docker.ok(&["pull", image]).await;
    }
    refused(&docker.run(&["pull", &private]).await);
    harbor.check("team/app", "v1").await;
    harbor.check("team/second", "v1").await;

    docker.ok(&["logout", harbor.host()]).await;
    refused(&docker.run(&["push", &pushed]).await);
    refused(&docker.run(&["pull", &harbor.image("team/seeded:v1")]).await);
    done(docker.login(harbor.host(), &harbor.reader).await);
    docker.ok(&["pull", &harbor.image("team/seeded:v1")]).await;
    let refusal = docker.run(&["push", &pushed]).await;
    assert!(refusal.is_refusal_with(&["\"reader\" may not push to team/app"]), "with the registry's own reason: {refusal}");
    docker.ok(&["pull", &seed]).await;
}

async fn podman_logs_in_pushes_and_pulls() {
    let harbor = Harbor::open(Backend::Folder, 261).await;
    let podman = Podman::new();
    let authfile = podman.authfile();
    let ask = async |verb: &str, image: &str| podman.run(&[verb, "--tls-verify=false", &authfile, image]).await;
    let seed = harbor.image("public/app:seed");
    done(ask("pull", &seed).await);
    let [pushed, second, private] = ["team/app:v1", "team/second:v1", "private/app:v1"].map(|name| harbor.image(name));
    for image in [&pushed, &second, &private] {
        podman.ok(&["tag", &seed, image]).await;
    }
    refused(&ask("push", &pushed).await);
    let wrong = podman.login(harbor.host(), &harbor.wrong()).await;
    assert!(wrong.is_refusal_with(&["invalid username/password", "unauthorized"]), "{wrong}");
    done(podman.login(harbor.host(), &harbor.ci).await);
    done(ask("push", &pushed).await);
    done(ask("push", &second).await);
    refused(&ask("push", &private).await);
    refused(&ask("pull", &private).await);
    let other = Podman::new();
    done(other.run(&["pull", "--tls-verify=false", &authfile, &second]).await);
    harbor.check("team/app", "v1").await;

    podman.ok(&["logout", &authfile, harbor.host()]).await;
    refused(&ask("push", &pushed).await);
    done(podman.login(harbor.host(), &harbor.reader).await);
    done(ask("pull", &pushed).await);
    let new = harbor.image("team/new:v1");
    podman.ok(&["tag", &seed, &new]).await;
    refused(&ask("push", &new).await);
}

async fn skopeo_logs_in_copies_and_inspects() {
    let harbor = Harbor::open(Backend::Folder, 262).await;
    let folder = temporary_folder("skopeo");
    std::fs::write(folder.path().join("logins.json"), "{}").unwrap();
    let authfile = format!("--authfile={}", folder.path().join("logins.json").display());
    let login = async |account: &Account| {
        let arguments =
            ["login", "--tls-verify=false", &authfile, "--username", &account.name, "--password-stdin", harbor.host()];
        run_with_input("skopeo", arguments, &account.secret).await
    };
    let copy = async |from: &str, to: &str| {
        let plain = ["--src-tls-verify=false", "--dest-tls-verify=false"];
        run("skopeo", [&["--insecure-policy", "copy", "--preserve-digests", &authfile], &plain[..], &[from, to]].concat()).await
    };
    let inspect = async |image: &str| run("skopeo", ["inspect", "--tls-verify=false", &authfile, image]).await;
    let there = |name: &str| format!("docker://{}", harbor.image(name));
    let here = harbor.layout.reference();
    done(inspect(&there("public/app:seed")).await);
    refused(&copy(&here, &there("team/app:v1")).await);
    let wrong = login(&harbor.wrong()).await;
    assert!(wrong.is_refusal_with(&["invalid username/password", "unauthorized"]), "{wrong}");
    done(login(&harbor.ci).await);
    done(copy(&here, &there("team/app:v1")).await);
    done(copy(&there("team/app:v1"), &there("team/second:v1")).await);
    refused(&copy(&here, &there("private/app:v1")).await);
    refused(&inspect(&there("private/app:v1")).await);
    refused(&inspect(&there("absent/app:v1")).await);
    let delete = run("skopeo", ["delete", "--tls-verify=false", &authfile, &there("team/app:v1")]).await;
    refused(&delete);
    harbor.check("team/app", "v1").await;
    harbor.check("team/second", "v1").await;
    run_ok("skopeo", ["logout", &authfile, harbor.host()]).await;
    refused(&copy(&here, &there("team/app:v2")).await);
    refused(&inspect(&there("team/app:v1")).await);
    done(login(&harbor.reader).await);
    done(inspect(&there("team/app:v1")).await);
    refused(&copy(&here, &there("team/app:v2")).await);
}

/// crane, with logins in a folder of its own.
async fn crane(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let (config, program) = (format!("DOCKER_CONFIG={}", folder.display()), go_program("crane").display().to_string());
    run_with_input("env", [&[config.as_str(), program.as_str(), "--insecure"], arguments].concat(), input).await
}

async fn crane_logs_in_pushes_and_lists() {
    let harbor = Harbor::open(Backend::Folder, 263).await;
    let folder = temporary_folder("crane");
    let crane = async |arguments: &[&str]| crane(folder.path(), arguments, "").await;
    let login = async |account: &Account| {
        let arguments = ["auth", "login", harbor.host(), "--username", &account.name, "--password-stdin"];
        done(self::crane(folder.path(), &arguments, &account.secret).await);
    };
    let layout = harbor.layout.path().to_str().unwrap();
    let image = |name: &str| harbor.image(name);
    assert_eq!(done(crane(&["digest", &image("public/app:seed")]).await).stdout.trim(), harbor.layout.digest);
    refused(&crane(&["push", layout, &image("team/app:v1")]).await);
    // It keeps what it is told, and finds out later.
    login(&harbor.wrong()).await;
    refused(&crane(&["push", layout, &image("team/app:v1")]).await);
    login(&harbor.ci).await;
    done(crane(&["push", layout, &image("team/app:v1")]).await);
    done(crane(&["copy", &image("team/app:v1"), &image("team/second:v1")]).await);
    done(crane(&["tag", &image("team/app:v1"), "v2"]).await);
    refused(&crane(&["push", layout, &image("private/app:v2")]).await);
    refused(&crane(&["digest", "--full-ref", &image("private/app:v1")]).await);
    refused(&crane(&["delete", &format!("{}@{}", image("team/app"), harbor.layout.digest)]).await);
    let listed = done(crane(&["ls", &image("team/app")]).await);
    assert_eq!(listed.stdout.lines().collect::<Vec<_>>(), ["v1", "v2"]);
    let catalog = done(crane(&["catalog", harbor.host()]).await);
    // What anybody may pull is there as well; what is hidden is not.
    assert_eq!(catalog.stdout.lines().collect::<Vec<_>>(), ["public/app", "team/app", "team/second", "team/seeded"]);
    done(crane(&["auth", "logout", harbor.host()]).await);
    refused(&crane(&["push", layout, &image("team/app:v3")]).await);
    refused(&crane(&["ls", &image("team/app")]).await);
    login(&harbor.reader).await;
    done(crane(&["manifest", &image("team/app:v1")]).await);
    refused(&crane(&["push", layout, &image("team/app:v3")]).await);
    assert_eq!(harbor.registry.admin().pull_image("team/second", "v1").await.to_string(), harbor.layout.digest);
}

async fn containerd_pulls_and_pushes_as_an_account() {
    let harbor = Harbor::open(Backend::Folder, 264).await;
    let containerd = Containerd::start().await;
    let seed = harbor.image("public/app:seed");
    containerd.ok(&["images", "pull", "--plain-http", &seed]).await;
    let [pushed, mounted, private] = ["team/app:v1", "team/second:v1", "private/app:v1"].map(|name| harbor.image(name));
    for image in [&pushed, &mounted] {
        containerd.ok(&["images", "tag", &seed, image]).await;
        refused(&containerd.ctr(&["images", "push", "--plain-http", image]).await);
        refused(&containerd.as_account(&harbor.wrong(), "push", image).await);
        refused(&containerd.as_account(&harbor.reader, "push", image).await);
        done(containerd.as_account(&harbor.ci, "push", image).await);
    }
    refused(&containerd.as_account(&harbor.ci, "pull", &private).await);
    refused(&containerd.ctr(&["images", "pull", "--plain-http", &harbor.image("team/seeded:v1")]).await);
    refused(&containerd.as_account(&harbor.wrong(), "pull", &harbor.image("team/seeded:v1")).await);
    done(containerd.as_account(&harbor.reader, "pull", &harbor.image("team/seeded:v1")).await);
    containerd.ok(&["images", "tag", &seed, &private]).await;
    refused(&containerd.as_account(&harbor.ci, "push", &private).await);
    for repository in ["team/app", "team/second"] {
        harbor.check(repository, "v1").await;
    }
}

/// A large push may last longer than the token that began it: clients get themselves another one, and go on.
async fn a_push_outlives_its_token(backend: Backend) {
    let registry = Registry::with_accounts(backend, &[]).await;
    let admin = registry.admin();
    let scopes = ["repository:team/large:pull,push"];
    let robot = admin.create_robot("ci", &[("push", "team/*")]).await;
    let first = registry.as_account(&robot).with_token(&scopes).await;
    let content = Random::seeded(265).bytes(9 << 20);
    let digest = Digest::of(Algorithm::Sha256, &content);
    let mut upload = first.begin_upload("team/large", "").await;
    first.next_chunk(&mut upload, &content.slice(..6 << 20)).await;
    // There is no waiting for a token's end in a test; one whose secret was renewed ends as well.
    let renewed = admin.change_account("ci", &json!({"renewSecret": true})).await;
    let renewed = registry.as_account(&Account::of("ci", renewed["secret"].as_str().unwrap()));
    longshore_tests::until("the token to be refused", std::time::Duration::from_secs(5), async || {
        (first.get("/v2/").await.status == 401).then_some(())
    })
    .await;
    let refused = first.send_chunk(&upload, upload.offset_bytes, &content.slice(6 << 20..7 << 20)).await;
    assert!(refused.expect(401).required("www-authenticate").contains("scope=\"repository:team/large:"));
    let second: Client = renewed.with_token(&scopes).await;
    let mut seen = upload.clone();
    second.upload_status(&mut seen).await;
    assert_eq!(seen.offset_bytes, 6 << 20, "what was refused was not taken");
    second.next_chunk(&mut upload, &content.slice(6 << 20..7 << 20)).await;
    second.close_upload(&upload, &digest, &content.slice(7 << 20..)).await.expect(201);
    assert!(second.pull_blob("team/large", &digest).await == content);
    // Whoever may not push there can't go on with an upload, whatever it knows of it.
    let other = admin.create_robot("other", &[("pull", "team/*"), ("push", "other/*")]).await;
    let other = registry.as_account(&other);
    let open = second.begin_upload("team/large", "").await;
    for method in [Method::GET, Method::PATCH, Method::PUT, Method::DELETE] {
        let request = other.request(method.clone(), &open.location).header("content-length", 0);
        Answer::to(request).await.expect_error(403, "DENIED");
        let elsewhere = open.location.replace("/team/large/", "/other/large/");
        let request = other.request(method, &format!("{elsewhere}?digest={digest}")).header("content-length", 0);
        Answer::to(request).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    }
    second.get(&open.location).await.expect(204);
}
