//! Which images may be pulled at all: signatures and attestations as an authorization.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use http::Method;
use longshore_oci::{Algorithm, Digest, VerdictLifetime};
use longshore_tests::{
    Answer, Backend, Client, Image, Registry, Signer, bundle_manifest, bundle_of, descriptor, image_index, longshore, media_type,
    on_both_backends, run, simple_manifest, simple_payload, statement, temporary_folder, until,
};
use serde_json::{Value, json};
use tempfile::TempDir;

on_both_backends!(
    an_unsigned_image_is_in_quarantine_until_its_signature_comes,
    what_was_tampered_with_shows_nothing,
    an_attestation_must_say_what_is_asked,
    a_verdict_says_how_long_it_holds,
    an_index_is_judged_as_one,
    a_warning_policy_keeps_no_member_of_a_signed_index,
    evidence_is_for_all_to_see_and_nothing_else_is,
    a_policy_that_warns_says_so,
);

longshore_tests::once!(
    any_of_several_will_do,
    a_document_that_asks_the_impossible_is_refused,
    verdicts_are_explained_to_those_who_may_know,
);

const SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";
const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// A registry with a policy for `prod/**`, whose key is that of `signer`.
struct Harbor {
    registry: Registry,
    signer: Signer,
    puller: Client,
    _folder: TempDir,
}

impl Harbor {
    async fn open(backend: Backend, rules: &str) -> Self {
        let (signer, folder) = (Signer::new(), temporary_folder("policy"));
        let document = write(folder.path(), &signer, rules);
        let registry = Registry::with_accounts(backend, &[("policy.file", document.as_str().into())]).await;
        let robot = registry.admin().create_robot("node", &[("pull", "prod/**"), ("pull", "dev/**")]).await;
        let puller = registry.as_account(&robot);
        Self { registry, signer, puller, _folder: folder }
    }

    async fn push(&self, repository: &str, tag: &str, image: &Image) {
        self.registry.admin().push_image(repository, tag, image).await;
    }

    /// Pushes a signature of the old form.
    async fn push_simple(&self, image: &Digest, signature: &Image) {
        self.push("prod/app", &sig_tag(image), signature).await;
    }

    /// Pushes a bundle that refers to an image.
    async fn push_bundle(&self, image: &Image, bundle: &str) -> Image {
        let manifest = bundle_manifest(&image.descriptor(), bundle);
        self.push("prod/app", manifest.digest.as_str(), &manifest).await;
        manifest
    }

    async fn pull(&self, reference: &str) -> Answer {
        self.puller.get_manifest("prod/app", reference).await
    }
}

fn write(folder: &Path, signer: &Signer, rules: &str) -> String {
    std::fs::write(folder.join("release.pub"), signer.public_key()).unwrap();
    let document = folder.join("policy.toml");
    let text = format!(
        "[[key]]\nname = 'release.pub'\nfile = 'release.pub'\n[[policy]]\nname = 'prod'\nrepositories = ['prod/**']\n{rules}\n"
    );
    std::fs::write(&document, text).unwrap();
    document.to_str().unwrap().to_owned()
}

const SIGNED: &str = "[[policy.pull.require]]\nsignature = { key = 'release.pub' }";

fn sig_tag(image: &Digest) -> String {
    format!("{}.sig", image.as_str().replace(':', "-"))
}

/// The one reason in a refusal.
#[track_caller]
fn denied(answer: Answer) -> String {
    answer.denied_by("prod")
}

async fn an_unsigned_image_is_in_quarantine_until_its_signature_comes(backend: Backend) {
    let harbor = Harbor::open(backend, SIGNED).await;
    let admin = harbor.registry.admin();
    let [image, second] = [800, 801].map(|seed| Image::random(seed, &[100]));
    harbor.push("prod/app", "v1", &image).await;
    harbor.push("prod/app", "v2", &second).await;
    harbor.push("dev/app", "v1", &image).await;
    let reason = denied(harbor.pull("v1").await);
    assert!(reason.starts_with(&format!("needs a signature by key release.pub: {} has none", image.digest)), "{reason}");
    let image_name = format!("{}/prod/app@{}", harbor.registry.authority(), image.digest);
    assert!(reason.ends_with(&format!(". Sign it: cosign sign --key … {image_name}")), "{reason}");
    denied(harbor.pull(image.digest.as_str()).await);
    // Docker asks with a HEAD first, and where it is refused with a GET for the reason.
    harbor.puller.head("/v2/prod/app/manifests/v1").await.expect(403);
    harbor.puller.get_manifest("dev/app", "v1").await.expect(200);
    let signing = admin.create_robot("signing", &[("sign", "prod/**")]).await;
    let signing = harbor.registry.as_account(&signing);
    for client in [&admin, &signing] {
        client.get_manifest("prod/app", "v1").await.expect(200);
    }

    let replica = if backend == Backend::Bucket { Some(harbor.registry.replica().await) } else { None };
    let others = replica.as_ref().map(|replica| Client::new(replica.url()));
    signing.push_image("prod/app", &sig_tag(&image.digest), &harbor.signer.simple(&image.digest)).await;
    harbor.pull("v1").await.expect(200);
    harbor.pull(image.digest.as_str()).await.expect(200);
    denied(harbor.pull("v2").await);
    let bundle = harbor.signer.bundle(&second.digest, SIGNATURE, &json!({}));
    let referrer = bundle_manifest(&second.descriptor(), &bundle.to_string());
    signing.push_image("prod/app", referrer.digest.as_str(), &referrer).await;
    harbor.pull("v2").await.expect(200);
    if let Some(others) = others {
        let robot = admin.create_robot("other", &[("pull", "prod/**")]).await;
        let others = others.as_basic(&robot.name, &robot.secret);
        until("the replica to know of the robot", Duration::from_secs(5), async || {
            (others.get_manifest("prod/app", "v2").await.status == 200).then_some(())
        })
        .await;
        others.get_manifest("prod/app", "v1").await.expect(200);
        admin.delete(&format!("/v2/prod/app/manifests/{}", referrer.digest)).await.expect(202);
        others.get_manifest("prod/app", "v2").await.expect_error(403, "DENIED");
    } else {
        admin.delete(&format!("/v2/prod/app/manifests/{}", referrer.digest)).await.expect(202);
    }
    denied(harbor.pull("v2").await);
    admin.delete(&format!("/v2/prod/app/manifests/{}", sig_tag(&image.digest))).await.expect(202);
    denied(harbor.pull("v1").await);
}

async fn what_was_tampered_with_shows_nothing(backend: Backend) {
    let harbor = Harbor::open(backend, SIGNED).await;
    let (signer, stranger) = (&harbor.signer, Signer::new());
    let [image, other] = [810, 811].map(|seed| Image::random(seed, &[100]));
    harbor.push("prod/app", "v1", &image).await;
    let payload = simple_payload(&image.digest);
    let good = signer.sign(&payload);
    let changed = |from: &str, to: &str| Bytes::from(String::from_utf8(payload.to_vec()).unwrap().replace(from, to));
    let twice = changed("\"type\":", "\"type\":\"x\",\"type\":");
    let two_digests = changed("\"image\":{", &format!("\"image\":{{\"docker-manifest-digest\":\"{}\",", other.digest));
    let kind = changed("cosign container image signature", "atomic container signature");
    for (what, payload, signature) in [
        ("a signature of another image", simple_payload(&other.digest), signer.sign(&simple_payload(&other.digest))),
        ("another image's name under it", simple_payload(&other.digest), good.clone()),
        ("a stranger's signature", payload.clone(), stranger.sign(&payload)),
        ("a stripped signature", payload.clone(), String::new()),
        ("no base64", payload.clone(), "?".into()),
        ("a signature cut short", payload.clone(), good[..good.len() - 8].into()),
        ("a payload that was changed", changed("example.org", "example.net"), good.clone()),
        ("a member twice", twice.clone(), signer.sign(&twice)),
        ("two digests", two_digests.clone(), signer.sign(&two_digests)),
        ("another kind of statement", kind.clone(), signer.sign(&kind)),
    ] {
        harbor.push_simple(&image.digest, &simple_manifest(&payload, &signature)).await;
        let reason = denied(harbor.pull("v1").await);
        assert!(reason.contains("none that will do"), "{what}: {reason}");
    }
    let in_toto = "application/vnd.in-toto+json";
    let good = statement(&image.digest, SIGNATURE, &json!({}));
    let text = good.to_string();
    let with = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed[name] = value;
        changed.to_string()
    };
    let signed = |payload: &str| bundle_of(&signer.envelope(in_toto, payload));
    let by_stranger = stranger.bundle(&image.digest, SIGNATURE, &json!({}));
    let mut swapped = signer.envelope(in_toto, &text);
    swapped["payload"] =
        signer.envelope(in_toto, &statement(&other.digest, SIGNATURE, &json!({})).to_string())["payload"].clone();
    let mut stripped = signer.envelope(in_toto, &text);
    stripped["signatures"] = json!([]);
    let mut both = signed(&text);
    both["messageSignature"] = json!({ "signature": "" });
    let mut retyped = signer.envelope(in_toto, &text);
    retyped["payloadType"] = json!("text/plain");
    for (what, bundle) in [
        ("a statement of another image", signed(&statement(&other.digest, SIGNATURE, &json!({})).to_string())),
        ("a stranger's statement", by_stranger),
        ("another predicate", signed(&statement(&image.digest, PROVENANCE, &json!({})).to_string())),
        ("no statement", signed(&with("_type", json!("https://in-toto.io/Link/v1")))),
        ("nothing stated of", signed(&with("subject", json!([])))),
        ("another payload under the signature", bundle_of(&swapped)),
        ("another payload type", bundle_of(&signer.envelope("application/json", &text))),
        ("a payload type that was changed", bundle_of(&retyped)),
        ("a stripped signature", bundle_of(&stripped)),
        ("two contents", both),
        ("a member twice", signed(&text.replacen('{', &format!("{{\"predicateType\":\"{PROVENANCE}\","), 1))),
    ] {
        harbor.push_bundle(&image, &bundle.to_string()).await;
        let reason = denied(harbor.pull("v1").await);
        assert!(reason.contains("none that will do"), "{what}: {reason}");
    }
    let twice = signed(&text).to_string().replacen('{', "{\"mediaType\":\"application/x\",", 1);
    harbor.push_bundle(&image, &twice).await;
    denied(harbor.pull("v1").await);
    // What is good is found among all that is not.
    harbor.push_bundle(&image, &signed(&text).to_string()).await;
    harbor.pull("v1").await.expect(200);
}

async fn an_attestation_must_say_what_is_asked(backend: Backend) {
    let rules = format!(
        "[[policy.pull.require]]\n[policy.pull.require.attestation]\npredicate_type = '{PROVENANCE}'\nby = {{ key = 'release.pub' }}\n\
         where = [\n  {{ field = '/builder/id', matches = 'https://builder.example/*' }},\n  \
         {{ field = '/findings/*/severity', not = 'critical' }},\n  {{ field = '/at', newer_than = '7d' }},\n  \
         {{ field = '/warnings', at_most = 3 }},\n  {{ field = '/source', exists = true }},\n]"
    );
    let harbor = Harbor::open(backend, &rules).await;
    let image = Image::random(820, &[100]);
    harbor.push("prod/app", "v1", &image).await;
    let reason = denied(harbor.pull("v1").await);
    assert!(reason.contains(&format!("an attestation {PROVENANCE} by key release.pub")), "{reason}");
    assert!(reason.contains("cosign attest --key"), "{reason}");
    let now = jiff::Timestamp::now();
    let ago = |hours: i64| (now - jiff::SignedDuration::from_hours(hours)).to_string();
    let good = json!({
        "builder": { "id": "https://builder.example/1" },
        "findings": [{ "severity": "low" }, { "severity": "high" }],
        "at": ago(24), "warnings": 3, "source": "git",
    });
    let attest = async |predicate: &Value| {
        let bundle = harbor.signer.bundle(&image.digest, PROVENANCE, predicate);
        harbor.push_bundle(&image, &bundle.to_string()).await
    };
    for (pointer, value) in [
        ("/builder/id", json!("https://builder.example.net/1")),
        ("/builder/id", json!(["https://builder.example/1"])),
        ("/findings/1/severity", json!("critical")),
        ("/at", json!(ago(8 * 24))),
        ("/at", json!("yesterday")),
        ("/warnings", json!(4)),
        ("/warnings", json!("3")),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value.clone();
        attest(&bad).await;
        let reason = denied(harbor.pull("v1").await);
        assert!(reason.contains("it says something else: not "), "{pointer} {value}: {reason}");
    }
    for gone in ["builder", "at", "source"] {
        let mut bad = good.clone();
        bad.as_object_mut().unwrap().remove(gone);
        attest(&bad).await;
        denied(harbor.pull("v1").await);
    }
    attest(&good).await;
    harbor.pull("v1").await.expect(200);
}

async fn a_verdict_says_how_long_it_holds(backend: Backend) {
    let rules = format!(
        "[[policy.pull.require]]\n[policy.pull.require.attestation]\npredicate_type = '{PROVENANCE}'\nby = {{ key = 'release.pub' }}\n\
         where = [{{ field = '/at', newer_than = '1h' }}]"
    );
    let harbor = Harbor::open(backend, &rules).await;
    let [recent, older] = [821, 822].map(|seed| Image::random(seed, &[100]));
    let now = jiff::Timestamp::now();
    for (image, minutes) in [(&recent, 0), (&older, 50)] {
        for repository in ["prod/app", "dev/app"] {
            harbor.push(repository, image.digest.as_str(), image).await;
        }
        denied(harbor.pull(image.digest.as_str()).await);
        let said = json!({ "at": (now - jiff::SignedDuration::from_mins(minutes)).to_string() });
        harbor.push_bundle(image, &harbor.signer.bundle(&image.digest, PROVENANCE, &said).to_string()).await;
    }
    let plain = "max-age=60, stale-if-error=3600";
    let older_path = format!("/v2/prod/app/manifests/{}", older.digest);
    let admin = harbor.registry.admin().get(&older_path).await.expect(200);
    let unasked = harbor.puller.get_manifest("dev/app", older.digest.as_str()).await.expect(200);
    for answer in [admin, unasked] {
        assert_eq!(answer.required(VerdictLifetime::HEADER), plain);
    }
    // What is left of the hour ends both where it is shorter.
    let known = harbor.puller.request(Method::GET, &older_path).header("if-none-match", format!("\"{}\"", older.digest));
    for (answer, status, longest) in [
        (harbor.pull(recent.digest.as_str()).await, 200, 3600),
        (harbor.pull(older.digest.as_str()).await, 200, 600),
        (harbor.puller.head(&older_path).await, 200, 600),
        (Answer::to(known).await, 304, 600),
    ] {
        let told: VerdictLifetime = answer.expect(status).required(VerdictLifetime::HEADER).parse().unwrap();
        let stale_seconds = told.stale_if_error.as_secs();
        assert_eq!(told.max_age.as_secs(), 60);
        assert!((longest - 300..longest).contains(&stale_seconds), "{told}");
    }
}

async fn an_index_is_judged_as_one(backend: Backend) {
    let harbor = Harbor::open(backend, SIGNED).await;
    let [amd, arm, alone] = [830, 831, 832].map(|seed| Image::random(seed, &[100]));
    for child in [&amd, &arm, &alone] {
        harbor.push("prod/app", child.digest.as_str(), child).await;
    }
    let index = image_index(&[("amd64", &amd), ("arm64", &arm)]);
    let outer = image_index(&[("amd64", &index)]);
    let unsigned = image_index(&[("amd64", &amd), ("arm64", &alone)]);
    harbor.push("prod/app", "v1", &index).await;
    harbor.push("prod/app", "outer", &outer).await;
    harbor.push("prod/app", "unsigned", &unsigned).await;
    for reference in ["v1", "outer", "unsigned", amd.digest.as_str(), alone.digest.as_str()] {
        denied(harbor.pull(reference).await);
    }
    harbor.push_simple(&amd.digest, &harbor.signer.simple(&amd.digest)).await;
    harbor.pull(amd.digest.as_str()).await.expect(200);
    for reference in ["v1", arm.digest.as_str()] {
        denied(harbor.pull(reference).await);
    }
    harbor.push_simple(&outer.digest, &harbor.signer.simple(&outer.digest)).await;
    for reference in ["outer", "v1", amd.digest.as_str(), arm.digest.as_str()] {
        harbor.pull(reference).await.expect(200);
    }
    for reference in ["unsigned", alone.digest.as_str()] {
        denied(harbor.pull(reference).await);
    }
}

async fn evidence_is_for_all_to_see_and_nothing_else_is(backend: Backend) {
    let harbor = Harbor::open(backend, SIGNED).await;
    let image = Image::random(840, &[100]);
    harbor.push("prod/app", "v1", &image).await;
    let stranger = Signer::new();
    harbor.push_simple(&image.digest, &stranger.simple(&image.digest)).await;
    harbor.pull(&sig_tag(&image.digest)).await.expect(200);
    let bundle = harbor.push_bundle(&image, &stranger.bundle(&image.digest, SIGNATURE, &json!({})).to_string()).await;
    harbor.pull(bundle.digest.as_str()).await.expect(200);
    let list = image_index(&[("amd64", &bundle)]);
    harbor.push("prod/app", "sha256-list", &list).await;
    harbor.pull("sha256-list").await.expect(200);
    harbor.puller.get(&format!("/v2/prod/app/referrers/{}", image.digest)).await.expect(200);

    // Something to run, that calls itself a signature or refers to an image.
    let layer = image.blobs[1].clone();
    let config = image.blobs[0].clone();
    let disguised = |kind: &str, layers: &[&Bytes], subject: Value| {
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::MANIFEST,
            "config": descriptor(media_type::CONFIG, &config),
            "layers": layers.iter().map(|layer| descriptor(kind, layer)).collect::<Vec<_>>(),
            "subject": subject,
        });
        let blobs = [vec![config.clone()], layers.iter().map(|layer| (*layer).clone()).collect()].concat();
        Image::from_json(media_type::MANIFEST, &manifest, blobs)
    };
    let json = simple_payload(&image.digest);
    let simple = "application/vnd.dev.cosign.simplesigning.v1+json";
    // Programs that take one case of letters for the other would read other layers in it.
    let two = json!({
        "schemaVersion": 2, "mediaType": media_type::MANIFEST,
        "config": descriptor(media_type::CONFIG, &config),
        "layers": [descriptor(simple, &json)], "Layers": [descriptor(media_type::LAYER, &layer)],
    });
    let two = Bytes::from(two.to_string());
    let answer = harbor.registry.admin().put_manifest("prod/app", "two", media_type::MANIFEST, &two).await;
    answer.expect_error(400, "MANIFEST_INVALID");
    // Text that is an archive and JSON at once; and something to run where nobody looks.
    let mut archive = format!("{{\"critical\":\"{}\"}}", "x".repeat(600)).into_bytes();
    archive[148..156].fill(b' ');
    let sum: u32 = archive[..512].iter().map(|byte| u32::from(*byte)).sum();
    archive[148..156].copy_from_slice(format!("{sum:>7o} ").as_bytes());
    let archive = Bytes::from(archive);
    let mut in_config = disguised(simple, &[&json], Value::Null);
    let manifest = String::from_utf8(in_config.manifest.to_vec()).unwrap();
    let config_descriptor = descriptor(media_type::CONFIG, &config).to_string();
    let manifest = manifest.replace(&config_descriptor, &descriptor(media_type::CONFIG, &layer).to_string());
    in_config =
        Image::from_json(media_type::MANIFEST, &serde_json::from_str(&manifest).unwrap(), vec![layer.clone(), json.clone()]);
    for (number, disguised) in [
        disguised(simple, &[&archive], Value::Null),
        disguised("application/vnd.example.tar+json", &[&json], Value::Null),
        in_config,
        disguised(media_type::LAYER, &[&layer], image.descriptor()),
        disguised(simple, &[&layer], Value::Null),
        disguised(simple, &[&json, &layer], image.descriptor()),
        disguised(media_type::LAYER, &[&json], Value::Null),
        disguised(simple, &[], image.descriptor()),
        image_index(&[("amd64", &bundle), ("arm64", &image)]),
    ]
    .into_iter()
    .enumerate()
    {
        let tag = format!("{}.sig", Digest::of(Algorithm::Sha256, &[u8::try_from(number).unwrap()]).as_str().replace(':', "-"));
        harbor.push("prod/app", &tag, &disguised).await;
        let answer = harbor.pull(&tag).await;
        assert_eq!(answer.status, 403, "{number}: {answer:?}");
    }
}

async fn a_policy_that_warns_says_so(backend: Backend) {
    let harbor = Harbor::open(backend, &format!("mode = 'warn'\n{SIGNED}")).await;
    let image = Image::random(850, &[100]);
    harbor.push("prod/app", "v1", &image).await;
    let answer = harbor.pull("v1").await.expect(200);
    assert!(answer.required("warning").starts_with("299 - \"policy 'prod' needs a signature by key release.pub"), "{answer:?}");
    harbor.push_simple(&image.digest, &harbor.signer.simple(&image.digest)).await;
    let answer = harbor.pull("v1").await.expect(200);
    assert!(answer.header("warning").is_none(), "{answer:?}");
}

async fn any_of_several_will_do() {
    let other = Signer::new();
    let rules = format!("[policy.pull]\nmatch = 'any'\n{SIGNED}\n[[policy.pull.require]]\nsignature = {{ key = 'other' }}\n");
    let key = format!("[[key]]\nname = 'other'\ntext = '''\n{}'''\n", other.public_key());
    let harbor = Harbor::open(Backend::Folder, &format!("{rules}{key}")).await;
    let image = Image::random(860, &[100]);
    harbor.push("prod/app", "v1", &image).await;
    let reason = denied(harbor.pull("v1").await);
    assert!(reason.contains("key release.pub") && reason.contains(" Or it needs a signature by key other"), "{reason}");
    harbor.push_simple(&image.digest, &other.simple(&image.digest)).await;
    harbor.pull("v1").await.expect(200);
}

async fn a_document_that_asks_the_impossible_is_refused() {
    let (folder, signer) = (temporary_folder("policy"), Signer::new());
    for (rules, words) in [
        ("[[policy.pull.require]]\nsignature = { key = 'nobody' }", "there is no [[key]] \"nobody\""),
        ("[[policy.pull.require]]\nsignature = { identity = 'x' }", "a signer is a key, or an identity"),
        (
            "[[policy.pull.require]]\nsignature = { identity = 'x', issuer = 'y', trusted_root = 'z' }",
            "no [[trusted_root]] \"z\"",
        ),
        ("[[policy.pull.require]]\n", "require"),
        (
            "[[policy.pull.require]]\nnotation = { trust_stores = ['ca:acme'], identities = ['*'] }",
            "there is no [[trust_store]] \"acme\"",
        ),
        ("[[policy.pull.require]]\nnotation = { trust_stores = [], identities = ['*'] }", "needs trust_stores"),
        ("[[policy.pull.require]]\nnotation = { trust_stores = ['ca:acme'] }", "identities"),
        ("[[trust_store]]\nname = 'acme'\ntext = 'x'", "\"acme\" is no trust store of certificates in PEM"),
        ("[[trust_store]]\nname = 'acme'\nfile = 'absent.pem'", "absent.pem"),
        ("[[key]]\nname = 'k'\nfile = 'absent'", "absent"),
        ("[[key]]\nname = 'k'\ntext = 'no key'", "is no public key"),
        ("[[key]]\nname = 'k'", "needs either a file or a text"),
        ("[[trusted_root]]\nname = 'k'\ntext = '{}'", "trusted root"),
        ("[[key]]\nname = 'release.pub'\nfile = 'release.pub'", "more than one \"release.pub\""),
    ] {
        let document = write(folder.path(), &signer, rules);
        let output = run(longshore(), ["policy", "check", &document]).await;
        assert_eq!(output.code, Some(2), "{rules}: {output}");
        assert!(output.stderr.contains(words), "{rules}: {output}");
    }
    let document = write(folder.path(), &signer, SIGNED);
    let output = run(longshore(), ["policy", "check", &document]).await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), "prod: enforce\n"), "{output}");
}

async fn verdicts_are_explained_to_those_who_may_know() {
    let harbor = Harbor::open(Backend::Folder, SIGNED).await;
    let (admin, image) = (harbor.registry.admin(), Image::random(870, &[100]));
    harbor.push("prod/app", "v1", &image).await;
    let verdict = async |client: &Client, query: &str| client.get(&format!("/v2/prod/app/_longshore/verdicts/v1{query}")).await;
    let own = verdict(&harbor.puller, "").await.expect(200).json();
    assert_eq!((&own["mayPull"], &own["subject"]), (&json!(false), &json!("node")), "{own}");
    assert_eq!(own["policies"][0]["requirements"][0]["isSatisfied"], false, "{own}");
    verdict(&harbor.puller, "?as=admin").await.expect_error(403, "DENIED");
    let other = verdict(&admin, "?as=node").await.expect(200).json();
    assert_eq!(other["mayPull"], false);
    let anonymous = verdict(&admin, "?as=anonymous").await.expect(200).json();
    assert_eq!((&anonymous["mayPull"], &anonymous["because"]), (&json!(false), &json!("no role allows it to pull from there")));
    let signs = verdict(&admin, "").await.expect(200).json();
    assert_eq!((&signs["mayPull"], &signs["policies"][0]["isSatisfied"]), (&json!(true), &json!(false)));
    verdict(&admin, "?as=nobody").await.expect_error(404, "ACCOUNT_UNKNOWN");
    verdict(&harbor.registry.client(), "").await.expect(401);
    harbor.push_simple(&image.digest, &harbor.signer.simple(&image.digest)).await;
    let own = verdict(&harbor.puller, "").await.expect(200).json();
    let evidence = harbor.signer.simple(&image.digest);
    assert_eq!(own["mayPull"], true, "{own}");
    assert!(own["policies"][0]["requirements"][0]["evidence"].is_string(), "{own} {}", evidence.digest);
}

async fn a_warning_policy_keeps_no_member_of_a_signed_index(backend: Backend) {
    let more = "[[policy]]\nname = 'more'\nrepositories = ['prod/**']\nmode = 'warn'\n[[policy.pull.require]]\n\
                [policy.pull.require.attestation]\npredicate_type = 'https://example.org/x'\nby = { key = 'release.pub' }\n";
    let harbor = Harbor::open(backend, &format!("{SIGNED}\n{more}")).await;
    let child = Image::random(890, &[100]);
    harbor.push("prod/app", child.digest.as_str(), &child).await;
    let index = image_index(&[("amd64", &child)]);
    harbor.push("prod/app", "v1", &index).await;
    harbor.push_simple(&index.digest, &harbor.signer.simple(&index.digest)).await;
    for reference in ["v1", child.digest.as_str()] {
        let answer = harbor.pull(reference).await.expect(200);
        assert!(answer.required("warning").contains("policy 'more'"), "{answer:?}");
    }
}
