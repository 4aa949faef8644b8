//! Trusted roots that a TUF repository keeps: what it says holds, or nothing changes.

use std::time::Duration;

use http::Method;
use longshore_tests::{
    Backend, Client, FulcioAuthority, Image, OldSigstore, Registry, Sigstore, TufRepository, longshore, run, simple_payload,
    temporary_folder, until,
};
use serde_json::{Value, json};
use tempfile::TempDir;

longshore_tests::once!(
    a_new_root_is_in_force_and_a_false_one_never_is,
    what_was_had_last_is_had_without_the_repository,
    keys_change_by_what_the_old_ones_have_signed,
    what_can_t_be_kept_is_in_force,
    nobody_is_asked_offline,
    neither_another_server_s_nor_too_much_is_taken,
    a_slow_repository_holds_up_no_other,
    a_real_sigstore_s_root_comes_by_tuf,
    a_repository_that_nobody_knows_is_refused,
);

const CI: &str = "ci@example.org";
const ISSUER: &str = "https://issuer.example.org";
const LIMIT: Duration = Duration::from_secs(20);
/// How long a timestamp is good that is to expire; a registry that asks once a second has it well before.
const MOMENT: Duration = Duration::from_secs(8);
/// Less than it takes until a server that does not answer is given up.
const LESS_THAN_SLOW: Duration = Duration::from_secs(9);
/// The largest trusted root that is taken, in bytes.
const MOST_ROOT_BYTES: usize = 1 << 20;

/// A policy for `prod/**`, whose trusted root comes from the repository `corp`.
fn policy(issuer: &str) -> String {
    format!(
        "[[trusted_root]]\nname = 'kept'\ntuf = 'corp'\n[[policy]]\nname = 'prod'\nrepositories = ['prod/**']\n\
         [[policy.pull.require]]\nsignature = {{ identity = '{CI}', issuer = '{issuer}', trusted_root = 'kept' }}\n"
    )
}

/// A registry with that policy, which asks the repository once a second.
struct Harbor {
    registry: Registry,
    admin: Client,
    node: Client,
    folder: TempDir,
}

impl Harbor {
    async fn open(repository: &TufRepository, issuer: &str) -> Self {
        Self::with(repository, policy(issuer), None, &[]).await
    }

    /// One with this policy, and maybe another repository, `slow`, at a URL.
    async fn with(repository: &TufRepository, policy: String, slow: Option<&str>, more: &[(&str, Value)]) -> Self {
        let folder = temporary_folder("tuf");
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(at("root.json"), repository.root()).unwrap();
        std::fs::write(at("policy.toml"), policy).unwrap();
        let repositories = [("corp", repository.url())].into_iter().chain(slow.map(|url| ("slow", url)));
        let repositories: Vec<String> = repositories.map(|(name, url)| format!("{name} {url} {}", at("root.json"))).collect();
        let values: [(&str, Value); 4] = [
            ("policy.file", at("policy.toml").into()),
            ("tuf.repositories", json!(repositories)),
            ("tuf.refresh_interval", "1s".into()),
            ("tuf.folder", at("kept").into()),
        ];
        let values = [&values, more].concat();
        let registry = Registry::with_accounts(Backend::Folder, &values).await;
        let admin = registry.admin();
        let node = admin.create_robot("node", &[("pull", "**")]).await;
        let node = registry.as_account(&node);
        Self { registry, admin, node, folder }
    }

    async fn push(&self, seed: u64) -> Image {
        let image = Image::random(seed, &[100]);
        self.admin.push_image("prod/app", &format!("v{seed}"), &image).await;
        image
    }

    /// Pushes an image, and its signature by this Sigstore.
    async fn push_signed(&self, seed: u64, sigstore: &OldSigstore) {
        let image = self.push(seed).await;
        let tag = format!("{}.sig", image.digest.as_str().replace(':', "-"));
        let signature = sigstore.sign(&simple_payload(&image.digest), CI, ISSUER, 0);
        self.admin.push_image("prod/app", &tag, &signature.manifest()).await;
    }

    async fn opens(&self, seed: u64) {
        until("the image to be let out", LIMIT, async || (self.status(seed).await == 200).then_some(())).await;
    }

    async fn closes(&self, seed: u64) {
        until("the image to be kept", LIMIT, async || (self.status(seed).await == 403).then_some(())).await;
    }

    async fn status(&self, seed: u64) -> u16 {
        self.node.get_manifest("prod/app", &format!("v{seed}")).await.status.as_u16()
    }

    async fn refused(&self, seed: u64) -> String {
        self.node.get_manifest("prod/app", &format!("v{seed}")).await.denied_by("prod")
    }

    /// Waits until the repository was asked twice more, from the beginning to the end, and what it said did not hold.
    async fn fails(&self) {
        let failures = async || self.registry.metric("longshore_tuf_failures_total{repository=\"corp\"}").await;
        let before = failures().await;
        until("the repository to fail", LIMIT, async || (failures().await >= before + 2.0).then_some(())).await;
    }
}

async fn a_new_root_is_in_force_and_a_false_one_never_is() {
    let mut repository = TufRepository::start().await;
    let (ours, others) = (OldSigstore::new(), OldSigstore::new());
    let [our_root, other_root] = [&ours, &others].map(|sigstore| sigstore.trusted_root().to_string());
    let harbor = Harbor::open(&repository, ISSUER).await;
    harbor.push_signed(1, &ours).await;
    harbor.push_signed(2, &others).await;
    harbor.fails().await;
    let reason = harbor.refused(1).await;
    assert!(reason.contains("the TUF repository \"corp\" has not given its trusted root yet"), "{reason}");

    repository.publish(&other_root);
    harbor.opens(2).await;
    let reason = harbor.refused(1).await;
    assert!(reason.contains("it is not to be trusted"), "{reason}");
    let first = repository.files();

    repository.publish(&our_root);
    harbor.opens(1).await;
    harbor.closes(2).await;
    let second = repository.files();

    let mut tampered = TufFiles(second.clone());
    repository.publish(&other_root);
    tampered.take_all_but_target(repository.files());
    let mut longer = repository.files();
    let (path, target) = longer.iter_mut().find(|(path, _)| path.starts_with("/targets/")).unwrap();
    assert!(path.ends_with(".trusted_root.json"));
    target.push(b' ');
    let mut without_target = repository.files();
    without_target.retain(|path, _| !path.starts_with("/targets/"));
    for (what, files) in [
        ("a target that is another one", tampered.0),
        ("a target that is longer", longer),
        ("no target", without_target),
        ("an older version", first),
        ("nothing", Default::default()),
    ] {
        repository.serve(files);
        harbor.fails().await;
        assert_eq!((harbor.status(1).await, harbor.status(2).await), (200, 403), "{what}");
    }
    repository.forge(&other_root);
    harbor.fails().await;
    assert_eq!((harbor.status(1).await, harbor.status(2).await), (200, 403), "signed by somebody else");
    repository.publish_delegated(&other_root);
    harbor.fails().await;
    assert_eq!((harbor.status(1).await, harbor.status(2).await), (200, 403), "a target of a delegated role");
    repository.publish("{}");
    harbor.fails().await;
    assert_eq!((harbor.status(1).await, harbor.status(2).await), (200, 403), "no trusted root");
    repository.publish_until(&other_root, "2025-01-01T00:00:00Z");
    harbor.fails().await;
    assert_eq!((harbor.status(1).await, harbor.status(2).await), (200, 403), "a timestamp that has expired");
    assert!(harbor.registry.log().contains("a TUF repository could not be asked for its trusted root"));

    repository.publish(&other_root);
    harbor.opens(2).await;
    harbor.closes(1).await;
    assert!(harbor.registry.log().contains("the TUF repository answers again"));
    assert!(harbor.registry.metric("longshore_tuf_refreshed_at_seconds{repository=\"corp\"}").await > 1.7e9);
}

/// What a repository serves, while somebody alters it.
struct TufFiles(longshore_tests::Files);

impl TufFiles {
    /// Takes over the metadata of another version, with the target that was there before in the place of its own.
    fn take_all_but_target(&mut self, files: longshore_tests::Files) {
        let old = self.0.iter().find(|(path, _)| path.starts_with("/targets/")).map(|(_, target)| target.clone()).unwrap();
        self.0 = files;
        for (path, target) in &mut self.0 {
            if path.starts_with("/targets/") {
                target.clone_from(&old);
            }
        }
    }
}

async fn what_was_had_last_is_had_without_the_repository() {
    let mut repository = TufRepository::start().await;
    let (ours, others) = (OldSigstore::new(), OldSigstore::new());
    let mut harbor = Harbor::open(&repository, ISSUER).await;
    harbor.push_signed(1, &ours).await;
    // It is good for a moment only, and verified as of then.
    let soon = jiff::Timestamp::now() + MOMENT;
    repository.publish_until(&ours.trusted_root().to_string(), &soon.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    harbor.opens(1).await;
    // Half of a newer version: it is begun with, and can't be ended.
    repository.publish(&others.trusted_root().to_string());
    let mut half = repository.files();
    half.retain(|path, _| path == "/timestamp.json");
    repository.serve(half);
    harbor.fails().await;
    drop(repository);
    tokio::time::sleep(soon.duration_since(jiff::Timestamp::now()).try_into().unwrap_or_default()).await;
    let kept = harbor.folder.path().join("kept/corp/verified/root.json");
    let identity = || std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&kept).unwrap());
    let before = identity();
    harbor.registry.restart().await;
    harbor.fails().await;
    assert_eq!((harbor.status(1).await, identity()), (200, before), "it is read, and left as it is");
    // What was altered on the disk is not believed.
    let root = harbor.folder.path().join("kept/corp/verified/targets/trusted_root.json");
    std::fs::write(&root, others.trusted_root().to_string()).unwrap();
    harbor.registry.restart().await;
    let reason = harbor.refused(1).await;
    assert!(reason.contains("said last can't be used any more"), "{reason}");
    assert!(harbor.registry.log().contains("can't be used any more"));
}

async fn keys_change_by_what_the_old_ones_have_signed() {
    let mut repository = TufRepository::start().await;
    let (ours, others) = (OldSigstore::new(), OldSigstore::new());
    let mut harbor = Harbor::open(&repository, ISSUER).await;
    harbor.push_signed(1, &ours).await;
    harbor.push_signed(2, &others).await;
    repository.publish(&ours.trusted_root().to_string());
    harbor.opens(1).await;
    repository.rotate();
    repository.publish(&others.trusted_root().to_string());
    let files = repository.files();
    let mut usurped = files.clone();
    let root = usurped.get_mut("/2.root.json").unwrap();
    let mut parsed: Value = serde_json::from_slice(root).unwrap();
    parsed["signatures"].as_array_mut().unwrap().remove(0);
    *root = parsed.to_string().into_bytes();
    repository.serve(usurped);
    harbor.fails().await;
    assert_eq!((harbor.status(1).await, harbor.status(2).await), (200, 403), "the old key has not signed the new one");
    repository.serve(files);
    harbor.opens(2).await;
    harbor.closes(1).await;
    drop(repository);
    harbor.registry.restart().await;
    harbor.fails().await;
    assert_eq!((harbor.status(1).await, harbor.status(2).await), (403, 200), "what the new key has signed is verified again");
}

async fn what_can_t_be_kept_is_in_force() {
    let mut repository = TufRepository::start().await;
    let ours = OldSigstore::new();
    let mut harbor = Harbor::open(&repository, ISSUER).await;
    harbor.push_signed(1, &ours).await;
    harbor.fails().await;
    // Where the copy is to be made there is a file.
    let kept = harbor.folder.path().join("kept/corp");
    std::fs::create_dir_all(&kept).unwrap();
    std::fs::write(kept.join("verified.next"), "").unwrap();
    repository.publish(&ours.trusted_root().to_string());
    harbor.opens(1).await;
    harbor.fails().await;
    assert_eq!(harbor.status(1).await, 200);
    assert!(harbor.registry.log().contains("in force until the next start only"), "{}", harbor.registry.log());
    std::fs::remove_file(kept.join("verified.next")).unwrap();
    let answers = async || harbor.registry.log().contains("the TUF repository answers again").then_some(());
    until("the root to be kept", LIMIT, answers).await;
    drop(repository);
    harbor.registry.restart().await;
    harbor.fails().await;
    assert_eq!(harbor.status(1).await, 200);
}

async fn nobody_is_asked_offline() {
    let mut repository = TufRepository::start().await;
    let (ours, others) = (OldSigstore::new(), OldSigstore::new());
    repository.publish(&ours.trusted_root().to_string());
    let mut harbor = Harbor::with(&repository, policy(ISSUER), None, &[("tuf.offline", true.into())]).await;
    harbor.push_signed(1, &ours).await;
    let reason = harbor.refused(1).await;
    assert!(reason.contains("has not given its trusted root yet"), "{reason}");
    assert_eq!(repository.requests(), 0);
    harbor.registry.restart_with(&[("tuf.offline", false.into())]).await;
    harbor.opens(1).await;
    harbor.registry.restart_with(&[("tuf.offline", true.into())]).await;
    let before = repository.requests();
    repository.publish(&others.trusted_root().to_string());
    // Otherwise it would be asked once a second.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((repository.requests(), harbor.status(1).await), (before, 200));
}

async fn neither_another_server_s_nor_too_much_is_taken() {
    let (mut repository, elsewhere) = (TufRepository::start().await, TufRepository::start().await);
    let ours = OldSigstore::new();
    let root = ours.trusted_root().to_string();
    repository.publish(&root);
    elsewhere.serve(repository.files());
    repository.redirect(elsewhere.url());
    let harbor = Harbor::open(&repository, ISSUER).await;
    harbor.push_signed(1, &ours).await;
    harbor.fails().await;
    harbor.refused(1).await;
    assert!(harbor.registry.log().contains("answers 307"), "{}", harbor.registry.log());
    assert_eq!(elsewhere.requests(), 0);
    let with_spaces = |length: usize| format!("{root}{}", " ".repeat(length - root.len()));
    repository.publish(&with_spaces(MOST_ROOT_BYTES + 1));
    harbor.fails().await;
    harbor.refused(1).await;
    repository.publish(&with_spaces(MOST_ROOT_BYTES));
    harbor.opens(1).await;
}

async fn a_slow_repository_holds_up_no_other() {
    let repository = TufRepository::start().await;
    // The system takes connections, and nobody answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let slow = policy(ISSUER).replace("'kept'", "'slow'").replace("'corp'", "'slow'").replace("'prod", "'slow");
    let harbor = Harbor::with(&repository, policy(ISSUER) + &slow, Some(&url), &[]).await;
    let fails = tokio::time::timeout(LESS_THAN_SLOW, harbor.fails());
    fails.await.expect("the other is asked meanwhile");
    let failures = harbor.registry.metric("longshore_tuf_failures_total{repository=\"slow\"}").await;
    assert!(failures < 2.0, "it was to be slow");
}

async fn a_real_sigstore_s_root_comes_by_tuf() {
    let (sigstore, mut repository) = (Sigstore::start().await, TufRepository::start().await);
    let harbor = Harbor::open(&repository, sigstore.people.url()).await;
    let root = |authority| std::fs::read_to_string(sigstore.trusted_root(authority)).unwrap();
    repository.publish(&root(FulcioAuthority::Other));
    let image = harbor.push(1).await;
    let signing = harbor.admin.create_robot("signing", &[("sign", "**")]).await;
    sigstore.reaches(harbor.registry.authority(), &signing).await;
    let name = format!("{}/prod/app@{}", harbor.registry.authority(), image.digest);
    sigstore.sign(&name, FulcioAuthority::Ours, &sigstore.people.token(&json!({ "email": CI }))).await;
    until("the root of the other to be in force", LIMIT, async || {
        harbor.refused(1).await.contains("it is not to be trusted: certificate chain is invalid").then_some(())
    })
    .await;
    repository.publish(&root(FulcioAuthority::Ours));
    harbor.opens(1).await;
}

async fn a_repository_that_nobody_knows_is_refused() {
    let repository = TufRepository::start().await;
    let harbor = Harbor::open(&repository, ISSUER).await;
    let unknown = policy(ISSUER).replace("'corp'", "'elsewhere'").replace("'prod'", "'other'");
    let place = "/v2/_longshore/policies/other";
    let answer = harbor.admin.send_text(Method::PUT, place, &unknown).await;
    let answer = answer.expect_error(400, "POLICY_INVALID");
    let told = answer.json().to_string();
    assert!(told.contains("there is no TUF repository") && told.contains("tuf.repositories"), "{told}");
    let built_in = unknown.replace("'elsewhere'", "'sigstore'");
    // Tried out alone: who applied it would have it asked.
    harbor.admin.send_text(Method::PUT, &format!("{place}?dryRun=true"), &built_in).await.expect(200);
    // In the file that is in force it is a mistake like any other.
    let in_force = harbor.folder.path().join("policy.toml");
    std::fs::write(&in_force, policy(ISSUER).replace("'corp'", "'elsewhere'").replace("'prod/**'", "'**'")).unwrap();
    let is_told = async || harbor.registry.log().contains("the policies stay as they were").then_some(());
    until("the mistake to be told", LIMIT, is_told).await;
    assert!(harbor.registry.log().contains("there is no TUF repository"));
    harbor.admin.push_image("other/app", "v1", &Image::random(1, &[100])).await;
    assert_eq!(harbor.node.get_manifest("other/app", "v1").await.status.as_u16(), 200);
    let document = harbor.folder.path().join("unknown.toml");
    std::fs::write(&document, unknown).unwrap();
    let checked = run(longshore(), ["registry", "config", "check", "--policy.file", document.to_str().unwrap()]).await;
    assert_ne!(checked.code, Some(0), "{checked}");
    assert!(checked.to_string().contains("there is no TUF repository"), "{checked}");
}
