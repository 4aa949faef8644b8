//! What a real cosign 2 made without a key, with a log of Rekor's first version, and was then kept: image, signatures and attestations.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use longshore_oci::{Algorithm, Digest};
use longshore_tests::{Backend, Client, Image, OldSigstore, Registry, media_type, temporary_folder};
use serde_json::Value;
use tempfile::TempDir;

longshore_tests::once!(what_cosign_2_made_opens_its_image_and_no_other);

/// Whom a policy wants, by the root that goes with what was kept.
const SIGNER: &str = "{ identity = 'ci@example.org', issuer = 'https://issuer.example.org', trusted_root = 'kept' }";

struct Harbor {
    kept: Value,
    admin: Client,
    node: Client,
    _registry: Registry,
    _folder: TempDir,
}

impl Harbor {
    async fn open() -> Self {
        let kept: Value = serde_json::from_str(include_str!("cosign2.json")).unwrap();
        let folder = temporary_folder("policy");
        std::fs::write(folder.path().join("root.json"), kept["trusted_root"].to_string()).unwrap();
        let attestation = format!(
            "attestation = {{ predicate_type = 'https://example.org/p/v1', by = {SIGNER}, \
             where = [{{ field = '/passed', equals = true }}] }}"
        );
        let policies = [("signed", format!("signature = {SIGNER}")), ("attested", attestation)].map(|(name, rule)| {
            format!("[[policy]]\nname = '{name}'\nrepositories = ['{name}/**']\n[[policy.pull.require]]\n{rule}\n")
        });
        let document = folder.path().join("policy.toml");
        let root = "[[trusted_root]]\nname = 'kept'\nfile = 'root.json'\n";
        std::fs::write(&document, format!("{root}{}", policies.concat())).unwrap();
        let settings = [("policy.file", document.to_str().unwrap().into())];
        let registry = Registry::with_accounts(Backend::Folder, &settings).await;
        let admin = registry.admin();
        let node = registry.as_account(&admin.create_robot("node", &[("pull", "**")]).await);
        Self { kept, admin, node, _registry: registry, _folder: folder }
    }

    /// What was kept under a name, byte for byte.
    fn kept(&self, name: &str) -> Image {
        let kept = &self.kept[name];
        let manifest = Bytes::from(kept["manifest"].as_str().unwrap().to_owned());
        let blobs = kept["blobs"].as_array().unwrap().iter().map(|blob| STANDARD.decode(blob.as_str().unwrap()).unwrap().into());
        Image {
            digest: Digest::of(Algorithm::Sha256, &manifest),
            manifest,
            media_type: media_type::MANIFEST.to_owned(),
            blobs: blobs.collect(),
        }
    }

    /// What a node that pulls is told while this lies beside an image: nothing where it may.
    async fn refusal(&self, repository: &str, image: &Image, evidence: &Image) -> Option<String> {
        let policy = repository.split_once('/').unwrap().0;
        self.admin.push_image(repository, "v1", image).await;
        self.node.get_manifest(repository, "v1").await.denied_by(policy);
        let end = if policy == "signed" { "sig" } else { "att" };
        let tag = format!("{}.{end}", image.digest.as_str().replace(':', "-"));
        self.admin.push_image(repository, &tag, evidence).await;
        let answer = self.node.get_manifest(repository, "v1").await;
        if answer.status == 200 { None } else { Some(answer.denied_by(policy)) }
    }
}

async fn what_cosign_2_made_opens_its_image_and_no_other() {
    let harbor = Harbor::open().await;
    let (image, other) = (harbor.kept("image"), Image::random(2240, &[100]));
    for (number, (policy, name)) in [
        ("signed", "signature"),
        ("signed", "stamped_signature"),
        ("attested", "attestations"),
        ("attested", "stamped_attestation"),
    ]
    .into_iter()
    .enumerate()
    {
        let evidence = harbor.kept(name);
        let repository = |what: &str| format!("{policy}/{what}{number}");
        assert_eq!(harbor.refusal(&repository("app"), &image, &evidence).await, None, "{name}");
        assert!(harbor.refusal(&repository("other"), &other, &evidence).await.is_some(), "{name}");
    }
    // What another entry or timestamp was made for shows nothing here.
    for (number, name) in [OldSigstore::ENTRY, OldSigstore::TIMESTAMP].into_iter().enumerate() {
        let mut mixed: Value = serde_json::from_slice(&harbor.kept("stamped_signature").manifest).unwrap();
        let from: Value = serde_json::from_slice(&harbor.kept("stamped_attestation").manifest).unwrap();
        mixed["layers"][0]["annotations"][name] = from["layers"][0]["annotations"][name].clone();
        let mixed = Image::from_json(media_type::MANIFEST, &mixed, harbor.kept("stamped_signature").blobs);
        let reason = harbor.refusal(&format!("signed/mixed{number}"), &image, &mixed).await.expect("it is refused");
        assert!(reason.contains("it is not to be trusted"), "{name}: {reason}");
    }
}
