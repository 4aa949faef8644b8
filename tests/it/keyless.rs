//! Signatures without keys, by real servers: cosign signs with a certificate of Fulcio's, an entry in Rekor's log and a timestamp, and
//! the registry judges by the trusted root alone.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use longshore_tests::{Answer, Backend, Client, FulcioAuthority, Image, Registry, Sigstore, bundle_manifest};
use serde_json::{Value, json};

longshore_tests::once!(
    who_a_policy_names_opens_an_image_and_nobody_else,
    what_was_altered_opens_nothing,
    an_attestation_is_by_whom_it_must_be,
);

const CI: &str = "ci@example.org";

/// A registry that demands signatures without keys, and the Sigstore that they come from.
struct Harbor {
    sigstore: Sigstore,
    registry: Registry,
    admin: Client,
    node: Client,
}

impl Harbor {
    async fn open() -> Self {
        let sigstore = Sigstore::start().await;
        let document = sigstore.folder().join("policy.toml");
        std::fs::write(&document, policies(&sigstore)).unwrap();
        let values = [("policy.file", document.to_str().unwrap().into())];
        let registry = Registry::with_accounts(Backend::Folder, &values).await;
        let admin = registry.admin();
        let signing = admin.create_robot("signing", &[("sign", "**")]).await;
        let node = admin.create_robot("node", &[("pull", "**")]).await;
        let node = registry.as_account(&node);
        sigstore.reaches(registry.authority(), &signing).await;
        Self { sigstore, registry, admin, node }
    }

    /// Pushes an image under `v1`.
    async fn push(&self, repository: &str, seed: u64) -> Image {
        let image = Image::random(seed, &[100]);
        self.admin.push_image(repository, "v1", &image).await;
        image
    }

    async fn sign(&self, repository: &str, image: &Image, authority: FulcioAuthority, token: &str) {
        self.sigstore.sign(&self.name(repository, image), authority, token).await;
    }

    fn name(&self, repository: &str, image: &Image) -> String {
        format!("{}/{repository}@{}", self.registry.authority(), image.digest)
    }

    fn person(&self, address: &str) -> String {
        self.sigstore.people.token(&json!({ "email": address }))
    }

    async fn pull(&self, repository: &str) -> Answer {
        self.node.get_manifest(repository, "v1").await
    }

    /// Pushes a bundle that refers to an image.
    async fn attach(&self, repository: &str, image: &Image, bundle: &Value) {
        let manifest = bundle_manifest(&image.descriptor(), &bundle.to_string());
        self.admin.push_image(repository, manifest.digest.as_str(), &manifest).await;
    }

    /// The one bundle that was signed for an image.
    async fn bundle(&self, repository: &str, image: &Image) -> Value {
        let list = self.admin.get(&format!("/v2/{repository}/referrers/{}", image.digest)).await.expect(200).json();
        let manifests = list["manifests"].as_array().unwrap();
        assert_eq!(manifests.len(), 1, "{list}");
        let manifest = self.admin.get_manifest(repository, manifests[0]["digest"].as_str().unwrap()).await.expect(200).json();
        let layer = manifest["layers"][0]["digest"].as_str().unwrap().parse().unwrap();
        serde_json::from_slice(&self.admin.pull_blob(repository, &layer).await).unwrap()
    }
}

/// A policy for the repositories below each name: whose signature, and by which trusted root.
fn policies(sigstore: &Sigstore) -> String {
    let (people, builds) = (sigstore.people.url(), sigstore.builds.url());
    let roots = [("ours", FulcioAuthority::Ours), ("other", FulcioAuthority::Other)];
    let roots = roots
        .map(|(name, authority)| format!("[[trusted_root]]\nname = '{name}'\nfile = '{}'\n", sigstore.trusted_root(authority)));
    let signers = [
        ("prod", CI, people, "ours"),
        ("anybody", "*@example.org", "http://localhost:*", "ours"),
        ("boss", "boss@example.org", people, "ours"),
        ("abroad", CI, "https://accounts.example.com", "ours"),
        ("elsewhere", CI, people, "other"),
        ("builds", "http://localhost/builds/*", builds, "ours"),
    ];
    let signers = signers.map(|(name, identity, issuer, root)| {
        let signer = format!("{{ identity = '{identity}', issuer = '{issuer}', trusted_root = '{root}' }}");
        let policy = format!("[[policy]]\nname = '{name}'\nrepositories = ['{name}/**']\n[[policy.pull.require]]\n");
        if name == "prod" {
            let attested = policy.replace("prod", "attested");
            let attestation = format!(
                "[policy.pull.require.attestation]\npredicate_type = '{REVIEW}'\nby = {signer}\n\
                 where = [{{ field = '/result', equals = 'good' }}]\n"
            );
            format!("{policy}signature = {signer}\n{attested}{attestation}")
        } else {
            format!("{policy}signature = {signer}\n")
        }
    });
    [roots.concat(), signers.concat()].concat()
}

const MATERIAL: &str = "/verificationMaterial";
const REVIEW: &str = "https://example.org/review/v1";

async fn who_a_policy_names_opens_an_image_and_nobody_else() {
    let harbor = Harbor::open().await;
    let (people, builds) = (harbor.sigstore.people.url(), harbor.sigstore.builds.url());
    let by_ci = format!("but by {CI} of {people}");
    for (seed, name, refused) in [
        (1100, "prod", None),
        (1101, "anybody", None),
        (1102, "boss", Some(by_ci.as_str())),
        (1103, "abroad", Some(&by_ci)),
        (1104, "elsewhere", Some("it is not to be trusted: certificate chain is invalid")),
        (1105, "builds", Some(&by_ci)),
    ] {
        let repository = format!("{name}/app");
        let image = harbor.push(&repository, seed).await;
        let reason = harbor.pull(&repository).await.denied_by(name);
        assert!(reason.contains("has none. Sign it: cosign sign "), "{name}: {reason}");
        harbor.sign(&repository, &image, FulcioAuthority::Ours, &harbor.person(CI)).await;
        let answer = harbor.pull(&repository).await;
        match refused {
            None => drop(answer.expect(200)),
            Some(words) => {
                let reason = answer.denied_by(name);
                assert!(reason.contains("has none that will do") && reason.contains(words), "{name}: {reason}");
            }
        }
    }

    // Others sign it as well, and it stays shut until the right one does.
    let image = harbor.push("prod/other", 1110).await;
    let address_in_a_uri = format!("http://localhost/{CI}");
    let uri = |uri: &str| harbor.sigstore.builds.token(&json!({ "sub": uri }));
    for (authority, token, words) in [
        (FulcioAuthority::Ours, harbor.person("eve@example.org"), format!("but by eve@example.org of {people}")),
        (FulcioAuthority::Ours, uri(&address_in_a_uri), format!("but by {address_in_a_uri} of {builds}")),
        (FulcioAuthority::Other, harbor.person(CI), "it is not to be trusted: certificate chain is invalid".to_owned()),
    ] {
        harbor.sign("prod/other", &image, authority, &token).await;
        let reason = harbor.pull("prod/other").await.denied_by("prod");
        assert!(reason.contains(&words), "{words}: {reason}");
    }
    harbor.sign("prod/other", &image, FulcioAuthority::Ours, &harbor.person(CI)).await;
    harbor.pull("prod/other").await.expect(200);

    // A URI is one, and an address is none, however it ends.
    let image = harbor.push("builds/other", 1111).await;
    harbor.sign("builds/other", &image, FulcioAuthority::Ours, &uri("http://localhost/builds/7")).await;
    harbor.pull("builds/other").await.expect(200);
    let image = harbor.push("anybody/other", 1112).await;
    harbor.sign("anybody/other", &image, FulcioAuthority::Ours, &uri("http://localhost/eve@example.org")).await;
    harbor.pull("anybody/other").await.denied_by("anybody");
    // The other root has its own.
    let image = harbor.push("elsewhere/other", 1113).await;
    harbor.sign("elsewhere/other", &image, FulcioAuthority::Other, &harbor.person(CI)).await;
    harbor.pull("elsewhere/other").await.expect(200);
}

/// A change of one bit in what a pointer names, which is in base64.
fn flip(bundle: &mut Value, pointer: &str) {
    let place = bundle.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}"));
    let mut bytes = STANDARD.decode(place.as_str().unwrap()).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    *place = STANDARD.encode(bytes).into();
}

async fn what_was_altered_opens_nothing() {
    let harbor = Harbor::open().await;
    let (image, others) = (harbor.push("prod/app", 1120).await, harbor.push("prod/others", 1121).await);
    // The first entry's place in the log is 0, which its bundle leaves out.
    harbor.sign("prod/others", &others, FulcioAuthority::Ours, &harbor.person(CI)).await;
    harbor.sign("prod/app", &image, FulcioAuthority::Ours, &harbor.person(CI)).await;
    let (good, other) = (harbor.bundle("prod/app", &image).await, harbor.bundle("prod/others", &others).await);
    // Somebody else's signature of the image itself.
    let eves = harbor.push("anybody/app", 1120).await;
    harbor.sign("anybody/app", &eves, FulcioAuthority::Ours, &harbor.person("eve@example.org")).await;
    let eves = harbor.bundle("anybody/app", &eves).await;

    let entry = format!("{MATERIAL}/tlogEntries/0");
    let stamp = format!("{MATERIAL}/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp");
    let with = |pointer: &str, value: Value| {
        let mut bundle = good.clone();
        *bundle.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
        bundle
    };
    let from = |source: &Value, pointer: &str| with(pointer, source.pointer(pointer).unwrap().clone());
    let flipped = |pointer: &str| {
        let mut bundle = good.clone();
        flip(&mut bundle, pointer);
        bundle
    };
    let certificate = format!("{MATERIAL}/certificate");
    let mut all_but_the_certificate = eves.clone();
    *all_but_the_certificate.pointer_mut(&certificate).unwrap() = good.pointer(&certificate).unwrap().clone();
    let mut keyed = good.clone();
    keyed["verificationMaterial"].as_object_mut().unwrap().remove("certificate");
    keyed["verificationMaterial"]["publicKey"] = json!({ "hint": "" });
    let mut predicate: Value =
        serde_json::from_slice(&STANDARD.decode(good.pointer("/dsseEnvelope/payload").unwrap().as_str().unwrap()).unwrap())
            .unwrap();
    predicate["predicate"] = json!({ "changed": true });
    let checkpoint = format!("{entry}/inclusionProof/checkpoint/envelope");
    let unsigned = good.pointer(&checkpoint).unwrap().as_str().unwrap().split("\n\n").next().unwrap().to_owned() + "\n\n";

    let cases = [
        ("another's certificate", "certificate chain is invalid", from(&eves, &certificate)),
        ("all of another's but the certificate", "invalid signature", all_but_the_certificate),
        ("a key in the certificate's place", "bundle has no signing certificate", keyed),
        ("no log entry", "bundle must have an inclusion proof", with(&format!("{MATERIAL}/tlogEntries"), json!([]))),
        ("the log entry of another artifact", "artifact hash mismatch for hashedrekord entry", from(&other, &entry)),
        ("the log entry of another's signature", "does not match certificate in Rekor entry", from(&eves, &entry)),
        ("another place in the log", "log index 1000 out of range", with(&format!("{entry}/logIndex"), json!("1000"))),
        ("the proof of another entry", "log index 1 out of range", from(&other, &format!("{entry}/inclusionProof"))),
        ("a checkpoint without a signature", "it can't be read", with(&checkpoint, unsigned.into())),
        ("an entry that was changed", "root hash mismatch", flipped(&format!("{entry}/canonicalizedBody"))),
        (
            "no timestamp",
            "no verified timestamp",
            with(&format!("{MATERIAL}/timestampVerificationData"), json!({ "rfc3161Timestamps": [] })),
        ),
        ("the timestamp of another signature", "Timestamp message hash mismatch", from(&other, &stamp)),
        ("a timestamp that was changed", "Failed to verify timestamp signature", flipped(&stamp)),
        ("the payload of another digest", "invalid signature", from(&other, "/dsseEnvelope/payload")),
        (
            "a payload that was changed",
            "invalid signature",
            with("/dsseEnvelope/payload", STANDARD.encode(predicate.to_string()).into()),
        ),
        ("the envelope of another artifact", "Timestamp message hash mismatch", from(&other, "/dsseEnvelope")),
        ("a signature that was changed", "Timestamp message hash mismatch", flipped("/dsseEnvelope/signatures/0/sig")),
        ("another's signature", "Timestamp message hash mismatch", from(&eves, "/dsseEnvelope/signatures/0/sig")),
        ("the whole bundle of another artifact", "artifact hash does not match any subject", other.clone()),
        ("the whole bundle of somebody else", "but by eve@example.org", eves.clone()),
    ];
    for (number, (what, words, bundle)) in cases.into_iter().enumerate() {
        let repository = format!("prod/altered{number}");
        let image = harbor.push(&repository, 1120).await;
        harbor.attach(&repository, &image, &bundle).await;
        let reason = harbor.pull(&repository).await.denied_by("prod");
        assert!(reason.contains("has none that will do") && reason.contains(words), "{what}: {reason}");
        // What is good is found beside it.
        harbor.attach(&repository, &image, &good).await;
        harbor.pull(&repository).await.expect(200);
    }
}

async fn an_attestation_is_by_whom_it_must_be() {
    let harbor = Harbor::open().await;
    let image = harbor.push("attested/app", 1130).await;
    let name = harbor.name("attested/app", &image);
    harbor.sign("attested/app", &image, FulcioAuthority::Ours, &harbor.person(CI)).await;
    for (by, result, words) in [
        ("eve@example.org", "good", Some("but by eve@example.org")),
        (CI, "bad", Some("not /result is \"good\"")),
        (CI, "good", None),
    ] {
        harbor.pull("attested/app").await.denied_by("attested");
        harbor.sigstore.attest(&name, &harbor.person(by), REVIEW, &json!({ "result": result })).await;
        let answer = harbor.pull("attested/app").await;
        match words {
            None => drop(answer.expect(200)),
            Some(words) => {
                let reason = answer.denied_by("attested");
                assert!(reason.contains(words), "{words}: {reason}");
            }
        }
    }
}
