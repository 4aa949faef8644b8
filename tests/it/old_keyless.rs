//! Signatures and attestations without keys in the form of cosign 2: annotations at an image's `.sig` and `.att` tags.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use longshore_tests::{Backend, Client, Image, OldSignature, OldSigstore, Registry, simple_payload, statement, temporary_folder};
use serde_json::{Value, json};
use tempfile::TempDir;

longshore_tests::once!(
    who_a_policy_names_has_signed_and_nobody_else,
    who_a_policy_names_has_attested_and_nobody_else,
    what_was_altered_opens_nothing,
    what_was_altered_attests_nothing,
);

const CI: &str = "ci@example.org";
const ISSUER: &str = "https://issuer.example.org";
const REVIEW: &str = "https://example.org/review/v1";
const UNTRUSTED: &str = "it is not to be trusted";

/// A registry that demands signatures without keys, and the Sigstore that they come from.
struct Harbor {
    sigstore: OldSigstore,
    admin: Client,
    node: Client,
    _registry: Registry,
    _folder: TempDir,
}

impl Harbor {
    async fn open() -> Self {
        let (sigstore, folder) = (OldSigstore::new(), temporary_folder("policy"));
        std::fs::write(folder.path().join("root.json"), sigstore.trusted_root().to_string()).unwrap();
        let document = folder.path().join("policy.toml");
        let signer = format!("signature = {{ identity = '{CI}', issuer = '{ISSUER}', trusted_root = 'ours' }}");
        let attestation = format!(
            "attestation = {{ predicate_type = '{REVIEW}', by = {}, where = [{{ field = '/result', equals = 'good' }}] }}",
            signer.trim_start_matches("signature = ")
        );
        let policies = [("prod", signer), ("attested", attestation)].map(|(name, rule)| {
            format!("[[policy]]\nname = '{name}'\nrepositories = ['{name}/**']\n[[policy.pull.require]]\n{rule}\n")
        });
        let root = "[[trusted_root]]\nname = 'ours'\nfile = 'root.json'\n";
        std::fs::write(&document, format!("{root}{}", policies.concat())).unwrap();
        let registry = Registry::with_accounts(Backend::Folder, &[("policy.file", document.to_str().unwrap().into())]).await;
        let admin = registry.admin();
        let node = admin.create_robot("node", &[("pull", "**")]).await;
        let node = registry.as_account(&node);
        Self { sigstore, admin, node, _registry: registry, _folder: folder }
    }

    async fn push(&self, repository: &str, seed: u64) -> Image {
        let image = Image::random(seed, &[100]);
        self.admin.push_image(repository, "v1", &image).await;
        image
    }

    fn sign(&self, image: &Image, address: &str) -> OldSignature {
        self.sigstore.sign(&simple_payload(&image.digest), address, ISSUER, 0)
    }

    fn attest(&self, image: &Image, address: &str, result: &str) -> OldSignature {
        self.sigstore.attest(&statement(&image.digest, REVIEW, &json!({ "result": result })), address, ISSUER, 0)
    }

    async fn attach(&self, repository: &str, image: &Image, signature: &OldSignature) {
        let end = if policy_of(repository) == "prod" { "sig" } else { "att" };
        let tag = format!("{}.{end}", image.digest.as_str().replace(':', "-"));
        self.admin.push_image(repository, &tag, &signature.manifest()).await;
    }

    async fn refused(&self, repository: &str) -> String {
        self.node.get_manifest(repository, "v1").await.denied_by(policy_of(repository))
    }

    /// Each of these opens nothing, for the reason that is told; what is good does in the same place.
    async fn refuses(&self, policy: &str, image: &Image, altered: Vec<Altered>, good: &OldSignature) {
        for (number, (what, words, signature)) in altered.into_iter().enumerate() {
            let repository = format!("{policy}/altered{number}");
            self.admin.push_image(&repository, "v1", image).await;
            self.attach(&repository, image, &signature).await;
            let reason = self.refused(&repository).await;
            assert!(reason.contains(words), "{what}: {reason}");
            self.attach(&repository, image, good).await;
            self.node.get_manifest(&repository, "v1").await.expect(200);
        }
    }
}

fn policy_of(repository: &str) -> &str {
    repository.split_once('/').expect("a policy's repositories begin with its name").0
}

/// What was done to a signature, why it is refused, and it.
type Altered = (&'static str, &'static str, OldSignature);

async fn who_a_policy_names_has_signed_and_nobody_else() {
    let harbor = Harbor::open().await;
    let image = harbor.push("prod/app", 2200).await;
    harbor.refused("prod/app").await;
    harbor.attach("prod/app", &image, &harbor.sign(&image, "eve@example.org")).await;
    let reason = harbor.refused("prod/app").await;
    assert!(reason.contains(&format!("but by eve@example.org of {ISSUER}")), "{reason}");
    let elsewhere = harbor.sigstore.sign(&simple_payload(&image.digest), CI, "https://other.example.org", 0);
    harbor.attach("prod/app", &image, &elsewhere).await;
    let reason = harbor.refused("prod/app").await;
    assert!(reason.contains(&format!("but by {CI} of https://other.example.org")), "{reason}");
    harbor.attach("prod/app", &image, &harbor.sign(&image, CI)).await;
    harbor.node.get_manifest("prod/app", "v1").await.expect(200);
    // The authority's own certificate is in the trusted root.
    let image = harbor.push("prod/unchained", 2201).await;
    harbor.attach("prod/unchained", &image, &harbor.sign(&image, CI).with(OldSigstore::CHAIN, None)).await;
    harbor.node.get_manifest("prod/unchained", "v1").await.expect(200);
}

/// An entry with another value at a place.
fn changed(signature: &OldSignature, place: &str, value: Value) -> OldSignature {
    let mut entry = signature.entry();
    *entry.pointer_mut(place).unwrap() = value;
    signature.with(OldSigstore::ENTRY, Some(entry.to_string()))
}

/// As many cases as there are things in a signature that could be from elsewhere.
fn altered(harbor: &Harbor, image: &Image) -> Vec<Altered> {
    let good = harbor.sign(image, CI);
    let eves = harbor.sign(image, "eve@example.org");
    let again = harbor.sign(image, CI);
    let another = harbor.sign(&Image::random(2299, &[100]), CI);
    let stranger = OldSigstore::new().sign(&good.payload, CI, ISSUER, 0);
    let from = |other: &OldSignature, name: &str| good.with(name, Some(other.annotation(name)));
    let time = good.entry()["Payload"]["integratedTime"].as_u64().unwrap();
    let body = good.entry()["Payload"]["body"].as_str().unwrap().to_owned();
    let rewritten = |change: &dyn Fn(&mut Value)| {
        let mut said: Value = serde_json::from_slice(&STANDARD.decode(&body).unwrap()).unwrap();
        change(&mut said);
        // The log has promised this one too: it is about something else, and that must be seen.
        let entry = harbor.sigstore.promise(&STANDARD.encode(said.to_string()), time);
        good.with(OldSigstore::ENTRY, Some(entry.to_string()))
    };
    let other_payload = OldSignature { payload: another.payload.clone(), ..good.clone() };
    let stamped = r#"{"SignedRFC3161Timestamp":"MAA="}"#.to_owned();
    let only_stamped = good.with(OldSigstore::ENTRY, None).with(OldSigstore::TIMESTAMP, Some(stamped.clone()));
    let late = harbor.sigstore.sign(&good.payload, CI, ISSUER, 3600);
    vec![
        ("the signature of another image", "it is about another image", another.clone()),
        ("the payload of another image", UNTRUSTED, other_payload),
        ("another's signature", UNTRUSTED, from(&eves, OldSigstore::SIGNATURE)),
        ("another's certificate", UNTRUSTED, from(&eves, OldSigstore::CERTIFICATE)),
        ("a certificate for the same identity and another key", UNTRUSTED, from(&again, OldSigstore::CERTIFICATE)),
        ("the entry of another signature of this image", UNTRUSTED, from(&again, OldSigstore::ENTRY)),
        ("the entry of another image's", UNTRUSTED, from(&another, OldSigstore::ENTRY)),
        ("somebody else's entry", UNTRUSTED, from(&eves, OldSigstore::ENTRY)),
        ("certificate and entry of another", UNTRUSTED, {
            from(&eves, OldSigstore::CERTIFICATE).with(OldSigstore::ENTRY, Some(eves.annotation(OldSigstore::ENTRY)))
        }),
        ("a whole signature by an authority and a log that nobody trusts", UNTRUSTED, stranger.clone()),
        ("the entry of a log that nobody trusts", UNTRUSTED, from(&stranger, OldSigstore::ENTRY)),
        ("another time", UNTRUSTED, changed(&good, "/Payload/integratedTime", json!(time - 1))),
        ("another index", UNTRUSTED, changed(&good, "/Payload/logIndex", json!(8))),
        ("another log", UNTRUSTED, changed(&good, "/Payload/logID", json!("ab".repeat(32)))),
        ("another promise", UNTRUSTED, changed(&good, "/SignedEntryTimestamp", again.entry()["SignedEntryTimestamp"].clone())),
        ("no promise", "can't be read", changed(&good, "/SignedEntryTimestamp", Value::Null)),
        ("an empty promise", UNTRUSTED, changed(&good, "/SignedEntryTimestamp", json!(""))),
        ("no time", "can't be read", changed(&good, "/Payload/integratedTime", json!(0))),
        ("a time before the certificate's", UNTRUSTED, late),
        ("a promise about another digest", UNTRUSTED, {
            rewritten(&|said| said["spec"]["data"]["hash"]["value"] = "ab".repeat(32).into())
        }),
        ("a promise about another signature", UNTRUSTED, {
            rewritten(&|said| said["spec"]["signature"]["content"] = again.annotation(OldSigstore::SIGNATURE).into())
        }),
        ("a promise about another certificate", UNTRUSTED, {
            let certificate = STANDARD.encode(again.annotation(OldSigstore::CERTIFICATE));
            rewritten(&|said| said["spec"]["signature"]["publicKey"]["content"] = certificate.clone().into())
        }),
        ("a promise about another kind of entry", UNTRUSTED, rewritten(&|said| said["kind"] = "rekord".into())),
        ("a promise about an entry of Rekor's second log", UNTRUSTED, rewritten(&|said| said["apiVersion"] = "0.0.2".into())),
        ("no entry", "no entry of a log", good.with(OldSigstore::ENTRY, None)),
        ("a timestamp alone", "no entry of a log", only_stamped),
        ("a timestamp that is none beside the entry", UNTRUSTED, good.with(OldSigstore::TIMESTAMP, Some(stamped))),
        ("an entry that is no JSON", "can't be read", good.with(OldSigstore::ENTRY, Some("{".into()))),
        ("a certificate that is none", "its certificate can't be read", good.with(OldSigstore::CERTIFICATE, Some("x".into()))),
        ("no certificate", "none of a form that this signer signs in", good.with(OldSigstore::CERTIFICATE, None)),
        ("no signature", UNTRUSTED, good.with(OldSigstore::SIGNATURE, None)),
        (
            "nothing",
            "none of a form that this signer signs in",
            OldSignature { annotations: serde_json::Map::new(), ..good.clone() },
        ),
    ]
}

async fn what_was_altered_opens_nothing() {
    let harbor = Harbor::open().await;
    let image = Image::random(2210, &[100]);
    harbor.refuses("prod", &image, altered(&harbor, &image), &harbor.sign(&image, CI)).await;
}

async fn who_a_policy_names_has_attested_and_nobody_else() {
    let harbor = Harbor::open().await;
    let image = harbor.push("attested/app", 2220).await;
    harbor.refused("attested/app").await;
    for (by, result, words) in [("eve@example.org", "good", "but by eve@example.org"), (CI, "bad", "not /result is \"good\"")] {
        harbor.attach("attested/app", &image, &harbor.attest(&image, by, result)).await;
        let reason = harbor.refused("attested/app").await;
        assert!(reason.contains(words), "{words}: {reason}");
    }
    harbor.attach("attested/app", &image, &harbor.attest(&image, CI, "good")).await;
    harbor.node.get_manifest("attested/app", "v1").await.expect(200);
    // What is said of an image is not that it is signed.
    let image = harbor.push("prod/attested", 2221).await;
    harbor.attach("prod/attested", &image, &harbor.attest(&image, CI, "good")).await;
    harbor.refused("prod/attested").await;
}

/// As many cases as there are things in an attestation that could be from elsewhere.
fn altered_attestations(harbor: &Harbor, image: &Image) -> Vec<Altered> {
    let good = harbor.attest(image, CI, "good");
    let again = harbor.attest(image, CI, "good");
    let eves = harbor.attest(image, "eve@example.org", "good");
    let bad = harbor.attest(image, CI, "bad");
    let of_another = harbor.attest(&Image::random(2298, &[100]), CI, "good");
    let from = |other: &OldSignature, name: &str| good.with(name, Some(other.annotation(name)));
    let with_payload = |payload: Vec<u8>| OldSignature { payload: payload.into(), ..good.clone() };
    let rewritten = |change: &dyn Fn(&mut Value)| {
        let mut envelope: Value = serde_json::from_slice(&good.payload).unwrap();
        change(&mut envelope);
        with_payload(envelope.to_string().into_bytes())
    };
    let statement = String::from_utf8(good.payload.to_vec()).unwrap();
    let twice = statement.replacen('{', "{\"payloadType\":\"application/vnd.in-toto+json\",", 1);
    let promised = |change: &dyn Fn(&mut Value)| {
        let entry = good.entry();
        let payload = &entry["Payload"];
        let mut said: Value = serde_json::from_slice(&STANDARD.decode(payload["body"].as_str().unwrap()).unwrap()).unwrap();
        change(&mut said);
        let time = payload["integratedTime"].as_u64().unwrap();
        good.with(OldSigstore::ENTRY, Some(harbor.sigstore.promise(&STANDARD.encode(said.to_string()), time).to_string()))
    };
    let late = harbor.sigstore.attest(&statement_of(&good), CI, ISSUER, 3600);
    let stranger = OldSigstore::new().attest(&statement_of(&good), CI, ISSUER, 0);
    vec![
        ("another image's", UNTRUSTED, of_another.clone()),
        ("another's envelope", UNTRUSTED, with_payload(eves.payload.to_vec())),
        ("another envelope of the same signer", UNTRUSTED, with_payload(bad.payload.to_vec())),
        ("another certificate", UNTRUSTED, from(&again, OldSigstore::CERTIFICATE)),
        ("another's certificate", UNTRUSTED, from(&eves, OldSigstore::CERTIFICATE)),
        ("another entry", UNTRUSTED, from(&again, OldSigstore::ENTRY)),
        ("the entry of a signature", UNTRUSTED, from(&harbor.sign(image, CI), OldSigstore::ENTRY)),
        ("a payload that was changed", UNTRUSTED, {
            let said = statement_of(&good).to_string().replace("good", "Good");
            rewritten(&|envelope| envelope["payload"] = STANDARD.encode(&said).into())
        }),
        ("another payload type", UNTRUSTED, rewritten(&|envelope| envelope["payloadType"] = "application/json".into())),
        ("no signature", UNTRUSTED, rewritten(&|envelope| envelope["signatures"][0]["sig"] = "".into())),
        ("two signatures", "can't be read", {
            rewritten(&|envelope| {
                let signatures = envelope["signatures"].as_array_mut().unwrap();
                signatures.push(signatures[0].clone());
            })
        }),
        ("a member twice", "can't be read", with_payload(twice.into_bytes())),
        ("no envelope", "can't be read", with_payload(b"{".to_vec())),
        (
            "a promise about another payload",
            UNTRUSTED,
            promised(&|said| said["spec"]["payloadHash"]["value"] = "ab".repeat(32).into()),
        ),
        (
            "a promise about another signature",
            UNTRUSTED,
            promised(&|said| said["spec"]["signatures"][0]["signature"] = "AAAA".into()),
        ),
        ("a promise about no signature", UNTRUSTED, promised(&|said| said["spec"]["signatures"] = json!([]))),
        ("a promise about another certificate", UNTRUSTED, {
            let other = STANDARD.encode(again.annotation(OldSigstore::CERTIFICATE));
            promised(&|said| said["spec"]["signatures"][0]["verifier"] = other.clone().into())
        }),
        ("an entry of a kind that signatures have", UNTRUSTED, promised(&|said| said["kind"] = "hashedrekord".into())),
        ("no entry", "no entry of a log", good.with(OldSigstore::ENTRY, None)),
        ("an entry from before the certificate", UNTRUSTED, late),
        ("an authority and a log that nobody trusts", UNTRUSTED, stranger),
        ("no certificate", "none of a form", good.with(OldSigstore::CERTIFICATE, None)),
    ]
}

fn statement_of(attestation: &OldSignature) -> Value {
    let envelope: Value = serde_json::from_slice(&attestation.payload).unwrap();
    serde_json::from_slice(&STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap()).unwrap()
}

async fn what_was_altered_attests_nothing() {
    let harbor = Harbor::open().await;
    let image = Image::random(2230, &[100]);
    harbor.refuses("attested", &image, altered_attestations(&harbor, &image), &harbor.attest(&image, CI, "good")).await;
}
