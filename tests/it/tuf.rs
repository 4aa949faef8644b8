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
    a_real_sigstore_s_root_comes_by_tuf,
    a_repository_that_nobody_knows_is_refused,
);

const CI: &str = "ci@example.org";
const ISSUER: &str = "https://issuer.example.org";
const LIMIT: Duration = Duration::from_secs(20);

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
        let folder = temporary_folder("tuf");
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(at("root.json"), repository.root()).unwrap();
        std::fs::write(at("policy.toml"), policy(issuer)).unwrap();
        let values: [(&str, Value); 4] = [
            ("policy.file", at("policy.toml").into()),
            ("tuf.repositories", json!([format!("corp {} {}", repository.url(), at("root.json"))])),
            ("tuf.refresh_interval", "1s".into()),
            ("tuf.folder", at("kept").into()),
        ];
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
    let soon = jiff::Timestamp::now() + Duration::from_secs(30);
    repository.publish_until(&ours.trusted_root().to_string(), &soon.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    harbor.opens(1).await;
    // Half of a newer version: it is begun with, and can't be ended.
    repository.publish(&others.trusted_root().to_string());
    let mut half = repository.files();
    half.retain(|path, _| path == "/timestamp.json");
    repository.serve(half);
    harbor.fails().await;
    drop(repository);
    harbor.registry.restart().await;
    harbor.fails().await;
    assert_eq!(harbor.status(1).await, 200);
    // What was altered on the disk is not believed.
    let root = harbor.folder.path().join("kept/corp/verified/targets/trusted_root.json");
    std::fs::write(&root, others.trusted_root().to_string()).unwrap();
    harbor.registry.restart().await;
    let reason = harbor.refused(1).await;
    assert!(reason.contains("has not given its trusted root yet"), "{reason}");
    assert!(harbor.registry.log().contains("can't be used any more"));
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
    let document = harbor.folder.path().join("unknown.toml");
    std::fs::write(&document, unknown).unwrap();
    let checked = run(longshore(), ["registry", "config", "check", "--policy.file", document.to_str().unwrap()]).await;
    assert_ne!(checked.code, Some(0), "{checked}");
    assert!(checked.to_string().contains("there is no TUF repository"), "{checked}");
}
