//! Notation's signatures as an authorization, made by `notation` itself.

use std::{
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use longshore_tests::{
    Account, Answer, Backend, Client, Image, Namespace, Output, Registry, Timestamps, go_program, image_index, on_both_backends,
    run, temporary_folder, until,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, RevokedCertParams, SerialNumber,
    SignatureAlgorithm,
};
use serde_json::json;
use tempfile::TempDir;

on_both_backends!(
    what_notation_has_signed_is_pulled,
    a_signature_stands_until_it_expires,
    what_was_signed_in_time_is_pulled_ever_after,
    what_was_revoked_is_not_pulled,
);

longshore_tests::once!(
    one_of_an_authoritys_signers_is_meant,
    what_notation_verifies_can_be_read_by_whoever_pulls,
    an_envelope_of_cbor_will_do,
    an_index_signed_by_notation_is_judged_as_one,
);

/// Notation with keys and a configuration of its own.
struct Notation {
    folder: TempDir,
    /// What a command begins with.
    entrance: Vec<String>,
}

/// A root that certifies signers.
struct Root {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    /// Where that is.
    file: String,
}

impl Notation {
    fn new() -> Self {
        Self { folder: temporary_folder("notation"), entrance: Vec::new() }
    }

    /// The same, in a namespace.
    fn within(namespace: &Namespace) -> Self {
        Self { entrance: namespace.entrance(), ..Self::new() }
    }

    /// Writes a file into its folder, and those that that lies in.
    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        let settings = format!("XDG_CONFIG_HOME={}", self.folder.path().display());
        let notation = go_program("notation").to_str().unwrap().to_owned();
        let words = [&self.entrance[..], &["env".to_owned(), settings, notation]].concat();
        run(&words[0], words[1..].iter().map(String::as_str).chain(arguments.iter().copied())).await
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
        let root = self.root();
        self.certify(&root, signers, |_| {});
        root.file
    }

    fn root(&self) -> Root {
        let key = KeyPair::generate().unwrap();
        let mut root = params("root");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = root.self_signed(&key).unwrap().pem();
        self.write("root.crt", &certificate);
        Root { issuer: Issuer::new(root, key), certificate, file: self.path("root.crt") }
    }

    /// Makes keys with certificates of a root's, by their names.
    fn certify(&self, root: &Root, signers: &[(&str, &'static SignatureAlgorithm)], change: impl Fn(&mut CertificateParams)) {
        let mut keys = Vec::new();
        for (name, algorithm) in signers {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let mut signer = params(name);
            signer.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            signer.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
            change(&mut signer);
            let chain = signer.signed_by(&key, &root.issuer).unwrap().pem() + &root.certificate;
            let files = [("key", key.serialize_pem()), ("crt", chain)].map(|(ending, content)| {
                let file = format!("{name}.{ending}");
                self.write(&file, content);
                self.path(&file)
            });
            keys.push(json!({ "name": name, "keyPath": files[0], "certPath": files[1] }));
        }
        self.write("notation/signingkeys.json", json!({ "keys": keys }).to_string());
    }
}

/// A list, in DER, of the certificates of these numbers, good for so many seconds.
fn revocation_list(root: &Root, serials: &[u64], good_for: u64) -> Vec<u8> {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let revoked = |serial: &u64| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: epoch + from_now(0) - Duration::from_secs(60),
        reason_code: None,
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: epoch + from_now(0) - Duration::from_secs(60),
        next_update: epoch + from_now(good_for),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(&root.issuer).unwrap().der().to_vec()
}

/// How far from 1970 it will be in so many seconds.
fn from_now(seconds: u64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Duration::from_secs(now.as_secs() + seconds)
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
        let certificates = Path::new(certificates).strip_prefix(notation.folder.path()).unwrap().display();
        let text = format!(
            "[[trust_store]]\nname = 'acme'\nfile = '{certificates}'\n[[policy]]\nname = 'prod'\nrepositories = ['prod/**']\n\
             [[policy.pull.require]]\nnotation = {{ trust_stores = ['ca:acme'], identities = ['{identity}'] }}\n"
        );
        Self::open_with(backend, notation, &text).await
    }

    /// One with this document.
    async fn open_with(backend: Backend, notation: Notation, document: &str) -> Self {
        notation.write("policy.toml", document);
        let document = notation.path("policy.toml");
        let registry = Registry::with_accounts(backend, &[("policy.file", document.into())]).await;
        let signing = registry.admin().create_robot("signing", &[("sign", "prod/**")]).await;
        let node = registry.admin().create_robot("node", &[("pull", "prod/**")]).await;
        Self { registry, notation, signing, node }
    }

    async fn push(&self, tag: &str, image: &Image) -> String {
        self.push_to("prod/app", tag, image).await
    }

    async fn push_to(&self, repository: &str, tag: &str, image: &Image) -> String {
        self.registry.admin().push_image(repository, tag, image).await;
        format!("{}/{repository}@{}", self.registry.authority(), image.digest)
    }

    fn puller(&self) -> Client {
        self.registry.as_account(&self.node)
    }

    async fn pull(&self, reference: &str) -> Answer {
        self.pull_from("prod/app", reference).await
    }

    async fn pull_from(&self, repository: &str, reference: &str) -> Answer {
        self.puller().get_manifest(repository, reference).await
    }

    /// Waits until a pull is refused for this reason.
    async fn refuses(&self, repository: &str, reason: &str) {
        let refused = until("the image to be refused", Duration::from_secs(40), async || {
            let answer = self.pull_from(repository, "v1").await;
            (answer.status == 403).then_some(answer)
        });
        let told = denied(refused.await);
        assert!(told.contains(reason), "{told}");
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

async fn what_was_signed_in_time_is_pulled_ever_after(backend: Backend) {
    let namespace = Namespace::new().await;
    let timestamps = Timestamps::start(&namespace).await;
    let notation = Notation::within(&namespace);
    let root = notation.root();
    notation.write("stamps.crt", timestamps.root());
    let policy = |name: &str, stores: &str| {
        format!(
            "[[policy]]\nname = '{name}'\nrepositories = ['prod/{name}']\n\
             [[policy.pull.require]]\nnotation = {{ trust_stores = [{stores}], identities = ['*'] }}\n"
        )
    };
    let document = [
        "[[trust_store]]\nname = 'acme'\nfile = 'root.crt'\n[[trust_store]]\nname = 'stamps'\nfile = 'stamps.crt'\n",
        &policy("app", "'ca:acme', 'tsa:stamps'"),
        &policy("plain", "'ca:acme'"),
        &policy("other", "'ca:acme', 'tsa:acme'"),
    ];
    let harbor = Harbor::open_with(backend, notation, &document.concat()).await;
    namespace.let_through(harbor.registry.authority());
    let (image, later) = (Image::random(960, &[100]), Image::random(961, &[100]));
    let mut names = Vec::new();
    for (repository, tag, image) in
        [("prod/app", "v1", &image), ("prod/plain", "v1", &image), ("prod/other", "v1", &image), ("prod/app", "v2", &later)]
    {
        names.push(harbor.push_to(repository, tag, image).await);
    }
    let without = harbor.push_to("prod/app", "v3", &Image::random(962, &[100])).await;
    let (epoch, good_for) = (rcgen::date_time_ymd(1970, 1, 1), 15);
    harbor.notation.certify(&root, &[("ci", &PKCS_ECDSA_P256_SHA256)], |params| params.not_after = epoch + from_now(good_for));
    let (url, stamps) = (timestamps.url(), harbor.notation.path("stamps.crt"));
    let more = ["--timestamp-url", &url, "--timestamp-root-cert", &stamps];
    for (name, format) in names.iter().zip(["jws", "cose", "jws", "cose"]) {
        harbor.sign(name, "ci", &[&more[..], &["--signature-format", format]].concat()).await;
    }
    harbor.sign(&without, "ci", &[]).await;
    harbor.pull("v1").await.expect(200);
    harbor.pull_from("prod/plain", "v1").await.expect(200);
    harbor.refuses("prod/other", "its timestamp is by no authority of tsa:acme").await;
    let reason = denied(harbor.pull("v3").await);
    assert!(reason.contains("it has no timestamp"), "{reason}");
    harbor.refuses("prod/plain", "expired at 20").await;
    // One that was judged before, and one that was not.
    harbor.pull("v1").await.expect(200);
    harbor.pull("v2").await.expect(200);
    // Notation itself says the same.
    harbor.notation.write("notation/truststore/x509/ca/acme/root.crt", &root.certificate);
    harbor.notation.write("notation/truststore/x509/tsa/stamps/stamps.crt", timestamps.root());
    for (stores, code) in [(&["ca:acme", "tsa:stamps"][..], Some(0)), (&["ca:acme"][..], Some(1))] {
        let trusted = json!({
            "version": "1.0",
            "trustPolicies": [{
                "name": "all", "registryScopes": ["*"], "signatureVerification": { "level": "strict" },
                "trustStores": stores, "trustedIdentities": ["*"],
            }],
        });
        harbor.notation.write("notation/trustpolicy.json", trusted.to_string());
        let login = ["--insecure-registry", "--username", &harbor.node.name, "--password", &harbor.node.secret];
        let output = harbor.notation.run(&[&["verify"], &login[..], &[&names[3]]].concat()).await;
        assert_eq!(output.code, code, "{stores:?}: {output}");
    }
}

async fn what_was_revoked_is_not_pulled(backend: Backend) {
    let notation = Notation::new();
    let root = notation.root();
    let signers = [("ci", &PKCS_ECDSA_P256_SHA256)];
    notation.certify(&root, &signers, |params| params.serial_number = Some(SerialNumber::from(7_u64)));
    let document = "[[trust_store]]\nname = 'acme'\nfile = 'root.crt'\ncrl_files = ['acme.crl']\n\
                    [[policy]]\nname = 'prod'\nrepositories = ['prod/**']\n\
                    [[policy.pull.require]]\nnotation = { trust_stores = ['ca:acme'], identities = ['*'] }\n";
    notation.write("acme.crl", revocation_list(&root, &[8], 3600));
    let harbor = Harbor::open_with(backend, notation, document).await;
    let name = harbor.push("v1", &Image::random(970, &[100])).await;
    harbor.sign(&name, "ci", &[]).await;
    harbor.pull("v1").await.expect(200);
    harbor.notation.write("acme.crl", revocation_list(&root, &[7, 8], 3600));
    harbor.refuses("prod/app", "one of its certificates was revoked").await;
    harbor.notation.write("acme.crl", revocation_list(&root, &[], 12));
    until("the list to be read", Duration::from_secs(10), async || (harbor.pull("v1").await.status == 200).then_some(())).await;
    harbor.refuses("prod/app", "there should be a newer list of what was revoked by").await;
    harbor.notation.write("acme.crl", "no list");
    let stays = harbor.pull("v1").await;
    assert!(denied(stays).contains("there should be a newer list"));
    harbor.notation.write("acme.crl", revocation_list(&root, &[], 3600));
    until("the new list to be read", Duration::from_secs(10), async || (harbor.pull("v1").await.status == 200).then_some(()))
        .await;
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
