//! Notation's signatures as an authorization, made by `notation` itself.

use std::{path::Path, time::Duration};

use longshore_tests::{
    Account, Answer, Backend, Client, Image, Output, Registry, go_program, image_index, on_both_backends, run, temporary_folder,
    until,
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, SignatureAlgorithm,
};
use serde_json::json;
use tempfile::TempDir;

on_both_backends!(what_notation_has_signed_is_pulled, a_signature_stands_until_it_expires);

longshore_tests::once!(
    one_of_an_authoritys_signers_is_meant,
    what_notation_verifies_can_be_read_by_whoever_pulls,
    an_envelope_of_cbor_will_do,
    an_index_signed_by_notation_is_judged_as_one,
);

/// Notation with keys and a configuration of its own.
struct Notation {
    folder: TempDir,
}

impl Notation {
    fn new() -> Self {
        Self { folder: temporary_folder("notation") }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        let settings = format!("XDG_CONFIG_HOME={}", self.folder.path().display());
        let notation = go_program("notation").to_str().unwrap().to_owned();
        run("env", [settings.as_str(), &notation].iter().chain(arguments)).await
    }

    async fn ok(&self, arguments: &[&str]) -> Output {
        let output = self.run(arguments).await;
        assert_eq!(output.code, Some(0), "notation {arguments:?}: {output}");
        output
    }

    /// Makes a key of RSA and a certificate that is its own root, as Notation's own guide has it; where that is.
    async fn generate(&self, name: &str) -> String {
        self.ok(&["cert", "generate-test", name]).await;
        self.path(&format!("notation/localkeys/{name}.crt"))
    }

    /// Makes keys with certificates of one authority's, by their names; where the authority's is.
    fn authority(&self, signers: &[(&str, &'static SignatureAlgorithm)]) -> String {
        let root_key = KeyPair::generate().unwrap();
        let mut root = params("root");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = root.self_signed(&root_key).unwrap().pem();
        let issuer = Issuer::from_params(&root, &root_key);
        let mut keys = Vec::new();
        for (name, algorithm) in signers {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let mut signer = params(name);
            signer.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            signer.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
            let chain = signer.signed_by(&key, &issuer).unwrap().pem() + &certificate;
            let files = [("key", key.serialize_pem()), ("crt", chain)].map(|(ending, content)| {
                let file = self.path(&format!("{name}.{ending}"));
                std::fs::write(&file, content).unwrap();
                file
            });
            keys.push(json!({ "name": name, "keyPath": files[0], "certPath": files[1] }));
        }
        std::fs::create_dir_all(self.path("notation")).unwrap();
        std::fs::write(self.path("notation/signingkeys.json"), json!({ "keys": keys }).to_string()).unwrap();
        let file = self.path("root.crt");
        std::fs::write(&file, certificate).unwrap();
        file
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let parts = [(DnType::CountryName, "US"), (DnType::StateOrProvinceName, "WA"), (DnType::OrganizationName, "acme")];
    for (kind, value) in parts.into_iter().chain([(DnType::CommonName, name)]) {
        params.distinguished_name.push(kind, value);
    }
    params
}

/// A registry whose `prod/**` must be signed by somebody with these certificates, for one of these identities.
struct Harbor {
    registry: Registry,
    notation: Notation,
    signing: Account,
    node: Account,
}

impl Harbor {
    async fn open(backend: Backend, notation: Notation, certificates: &str, identity: &str) -> Self {
        let document = notation.path("policy.toml");
        let certificates = Path::new(certificates).strip_prefix(notation.folder.path()).unwrap().display();
        let text = format!(
            "[[trust_store]]\nname = 'acme'\nfile = '{certificates}'\n[[policy]]\nname = 'prod'\nrepositories = ['prod/**']\n\
             [[policy.pull.require]]\nnotation = {{ trust_stores = ['ca:acme'], identities = ['{identity}'] }}\n"
        );
        std::fs::write(&document, text).unwrap();
        let registry = Registry::with_accounts(backend, &[("policy.file", document.into())]).await;
        let signing = registry.admin().create_robot("signing", &[("sign", "prod/**")]).await;
        let node = registry.admin().create_robot("node", &[("pull", "prod/**")]).await;
        Self { registry, notation, signing, node }
    }

    async fn push(&self, tag: &str, image: &Image) -> String {
        self.registry.admin().push_image("prod/app", tag, image).await;
        format!("{}/prod/app@{}", self.registry.authority(), image.digest)
    }

    fn puller(&self) -> Client {
        self.registry.as_account(&self.node)
    }

    async fn pull(&self, reference: &str) -> Answer {
        self.puller().get_manifest("prod/app", reference).await
    }

    /// Signs an image as the robot that may.
    async fn sign(&self, image: &str, key: &str, more: &[&str]) {
        let login = ["--insecure-registry", "--username", &self.signing.name, "--password", &self.signing.secret];
        self.notation.ok(&[&["sign", "--key", key], more, &login, &[image]].concat()).await;
    }
}

/// The reason of a refusal.
#[track_caller]
fn denied(answer: Answer) -> String {
    let answer = answer.expect_error(403, "DENIED");
    answer.json()["errors"][0]["detail"]["policies"][0]["reason"].as_str().unwrap().to_owned()
}

async fn what_notation_has_signed_is_pulled(backend: Backend) {
    let notation = Notation::new();
    let certificate = notation.generate("acme.example").await;
    notation.generate("other.example").await;
    let identity = "x509.subject: C=US, ST=WA, O=Notary, CN=acme.example";
    let harbor = Harbor::open(backend, notation, &certificate, identity).await;
    let image = Image::random(900, &[100]);
    let name = harbor.push("v1", &image).await;
    let reason = denied(harbor.pull("v1").await);
    let asked = format!("needs a Notation signature by {identity} (trust store ca:acme): {} has none", image.digest);
    assert_eq!(reason, format!("{asked}. Sign it: notation sign {name}"));
    harbor.sign(&name, "other.example", &[]).await;
    let reason = denied(harbor.pull("v1").await);
    assert!(reason.contains("none that will do") && reason.contains("but by CN=other.example,O=Notary,"), "{reason}");
    harbor.sign(&name, "acme.example", &["--force-referrers-tag=false", "--user-metadata", "build=1"]).await;
    harbor.pull("v1").await.expect(200);
    harbor.pull(image.digest.as_str()).await.expect(200);
    let verdict = harbor.puller().get("/v2/prod/app/_longshore/verdicts/v1").await.expect(200).json();
    assert_eq!(verdict["policies"][0]["requirements"][0]["isSatisfied"], true, "{verdict}");
    let evidence = verdict["policies"][0]["requirements"][0]["evidence"].as_str().unwrap();
    let other = Image::random(901, &[100]);
    harbor.push("v2", &other).await;
    denied(harbor.pull("v2").await);
    harbor.registry.admin().delete(&format!("/v2/prod/app/manifests/{evidence}")).await.expect(202);
    denied(harbor.pull("v1").await);
}

async fn a_signature_stands_until_it_expires(backend: Backend) {
    let notation = Notation::new();
    let certificate = notation.generate("acme.example").await;
    let harbor = Harbor::open(backend, notation, &certificate, "*").await;
    let name = harbor.push("v1", &Image::random(910, &[100])).await;
    harbor.sign(&name, "acme.example", &["--expiry", "8s"]).await;
    harbor.pull("v1").await.expect(200);
    until("the signature to expire", Duration::from_secs(20), async || (harbor.pull("v1").await.status == 403).then_some(()))
        .await;
    let reason = denied(harbor.pull("v1").await);
    assert!(reason.contains("it expired at 20"), "{reason}");
}

async fn one_of_an_authoritys_signers_is_meant() {
    let notation = Notation::new();
    let signers = [("ci", &PKCS_ECDSA_P256_SHA256), ("release", &PKCS_ECDSA_P384_SHA384)];
    let certificate = notation.authority(&signers);
    let harbor = Harbor::open(Backend::Folder, notation, &certificate, "x509.subject: C=US, ST=WA, O=acme, CN=release").await;
    let name = harbor.push("v1", &Image::random(920, &[100])).await;
    harbor.sign(&name, "ci", &[]).await;
    let reason = denied(harbor.pull("v1").await);
    assert!(reason.contains("but by CN=ci,O=acme,"), "{reason}");
    harbor.sign(&name, "release", &[]).await;
    harbor.pull("v1").await.expect(200);
}

async fn what_notation_verifies_can_be_read_by_whoever_pulls() {
    let notation = Notation::new();
    notation.generate("acme.example").await;
    let trusted = json!({
        "version": "1.0",
        "trustPolicies": [{
            "name": "all", "registryScopes": ["*"], "signatureVerification": { "level": "strict" },
            "trustStores": ["ca:acme.example"], "trustedIdentities": ["*"],
        }],
    });
    std::fs::write(notation.path("notation/trustpolicy.json"), trusted.to_string()).unwrap();
    // The node trusts somebody else, so that the image is not its to pull: what is said of it is.
    let certificate = notation.generate("other.example").await;
    let harbor = Harbor::open(Backend::Folder, notation, &certificate, "*").await;
    let image = Image::random(930, &[100]);
    let name = harbor.push("v1", &image).await;
    harbor.sign(&name, "acme.example", &[]).await;
    harbor.sign(&name, "acme.example", &["--signature-format", "cose"]).await;
    denied(harbor.pull("v1").await);
    let referrers = harbor.puller().get(&format!("/v2/prod/app/referrers/{}", image.digest)).await.expect(200).json();
    let signatures = referrers["manifests"].as_array().unwrap();
    assert_eq!(signatures.len(), 2, "{referrers}");
    for signature in signatures {
        harbor.pull(signature["digest"].as_str().unwrap()).await.expect(200);
    }
    harbor.pull(&image.digest.as_str().replace(':', "-")).await.expect(200);
    // Notation asks for the image itself first.
    let document = harbor.notation.path("policy.toml");
    let text = std::fs::read_to_string(&document).unwrap();
    std::fs::write(&document, text.replace("other.example.crt", "acme.example.crt")).unwrap();
    until("the policy to trust the signer", Duration::from_secs(10), async || {
        (harbor.pull("v1").await.status == 200).then_some(())
    })
    .await;
    let login = ["--insecure-registry", "--username", &harbor.node.name, "--password", &harbor.node.secret];
    harbor.notation.ok(&[&["verify"], &login[..], &[&name]].concat()).await;
}

async fn an_envelope_of_cbor_will_do() {
    let notation = Notation::new();
    let certificate = notation.generate("acme.example").await;
    let harbor = Harbor::open(Backend::Folder, notation, &certificate, "*").await;
    let name = harbor.push("v1", &Image::random(940, &[100])).await;
    harbor.sign(&name, "acme.example", &["--signature-format", "cose"]).await;
    harbor.pull("v1").await.expect(200);
}

async fn an_index_signed_by_notation_is_judged_as_one() {
    let notation = Notation::new();
    let certificate = notation.generate("acme.example").await;
    let harbor = Harbor::open(Backend::Folder, notation, &certificate, "*").await;
    let member = Image::random(950, &[100]);
    harbor.push(member.digest.as_str(), &member).await;
    let index = image_index(&[("amd64", &member)]);
    let name = harbor.push("v1", &index).await;
    denied(harbor.pull(member.digest.as_str()).await);
    harbor.sign(&name, "acme.example", &[]).await;
    harbor.pull("v1").await.expect(200);
    harbor.pull(member.digest.as_str()).await.expect(200);
}
