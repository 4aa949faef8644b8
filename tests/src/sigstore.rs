use std::{path::Path, time::Duration};

use serde_json::{Value, json};

use crate::{Account, Cosign, Issuer, Namespace, Process, go_program, run_ok, until};

/// A Sigstore of one test's own: Fulcio, Rekor, a timestamp authority, and issuers of identities, all in a [`Namespace`], as some of
/// them listen on every address for whoever measures them.
///
/// Nothing is signed over the network otherwise: a registry is reached from in there once [`Self::reaches`] was told of it, and what
/// judges signatures needs the files of [`Self::trusted_root`] alone.
pub struct Sigstore {
    servers: Vec<Process>,
    cosign: Cosign,
    /// Says of addresses who they are.
    pub people: Issuer,
    /// Says of URIs, below `http://localhost`, what they are.
    pub builds: Issuer,
    namespace: Namespace,
}

/// Which of the two that give out certificates.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FulcioAuthority {
    /// The one that the harbor trusts.
    Ours,
    /// Another one, that knows the same issuers.
    Other,
}

impl FulcioAuthority {
    fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Other => "other",
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Ours => 8010,
            Self::Other => 8020,
        }
    }
}

const PEOPLE: u16 = 8001;
const BUILDS: u16 = 8002;
const REKOR: u16 = 8030;
const TIMESTAMPS: u16 = 8040;
/// From when on what signs is said to be good.
const SINCE: &str = "start-time=2025-01-01T00:00:00Z";
const START_LIMIT: Duration = Duration::from_secs(30);

impl Sigstore {
    /// All of it, once it answers.
    pub async fn start() -> Self {
        let namespace = Namespace::new().await;
        let cosign = Cosign::within(&namespace);
        let people = Issuer::start(&namespace, PEOPLE).await;
        let builds = Issuer::start(&namespace, BUILDS).await;
        let mut sigstore = Self { servers: Vec::new(), cosign, people, builds, namespace };
        for authority in [FulcioAuthority::Ours, FulcioAuthority::Other] {
            sigstore.start_fulcio(authority).await;
        }
        sigstore.start_rekor().await;
        sigstore.start_timestamps().await;
        for authority in [FulcioAuthority::Ours, FulcioAuthority::Other] {
            sigstore.describe(authority).await;
        }
        sigstore
    }

    async fn start_server(&mut self, name: &str, arguments: &[&str], port: u16, path: &str) {
        let mut process = self.namespace.start(name, go_program(name), |command| {
            command.arg("serve").args(arguments);
        });
        until(&format!("{name} to answer"), START_LIMIT, async || {
            let exit = process.exit_status();
            assert!(exit.is_none(), "{name} ended ({exit:?}):\n{}", process.output());
            self.namespace.get(port, path)
        })
        .await;
        self.servers.push(process);
    }

    async fn start_fulcio(&mut self, authority: FulcioAuthority) {
        let (people, builds) = (self.people.url(), self.builds.url());
        let issuers = json!({ "OIDCIssuers": {
            people: { "IssuerURL": people, "ClientID": "sigstore", "Type": "email" },
            builds: { "IssuerURL": builds, "ClientID": "sigstore", "Type": "uri", "SubjectDomain": "http://localhost" },
        } });
        let config = self.cosign.write("fulcio.json", &issuers.to_string());
        let port = authority.port();
        let arguments = [
            "--ca=ephemeralca".to_owned(),
            // Without a log of certificates.
            "--ct-log-url=".to_owned(),
            format!("--config-path={config}"),
            "--host=127.0.0.1".to_owned(),
            format!("--port={port}"),
            "--grpc-host=127.0.0.1".to_owned(),
            format!("--grpc-port={}", port + 1),
            format!("--metrics-port={}", port + 2),
            // By a name that is the namespace's own.
            format!("--legacy-unix-domain-socket=@fulcio-{port}"),
        ];
        self.start_server("fulcio", &arguments.each_ref().map(String::as_str), port, "/api/v2/trustBundle").await;
    }

    async fn start_rekor(&mut self) {
        let key = self.cosign.path("rekor.key");
        run_ok("openssl", ["genpkey", "-quiet", "-algorithm", "ed25519", "-out", &key]).await;
        run_ok("openssl", ["pkey", "-in", &key, "-pubout", "-out", &self.cosign.path("rekor.pub")]).await;
        let arguments = [
            format!("--http-port={REKOR}"),
            format!("--grpc-port={}", REKOR + 1),
            format!("--http-metrics-port={}", REKOR + 2),
            // The log's name, which its URL's host and the trusted root repeat.
            "--hostname=localhost".to_owned(),
            format!("--storage-dir={}", self.cosign.path("rekor")),
            format!("--signer-filepath={key}"),
            "--checkpoint-interval=1s".to_owned(),
            "--batch-max-age=100ms".to_owned(),
        ];
        std::fs::create_dir(self.cosign.path("rekor")).expect("the folder is new");
        self.start_server("posix", &arguments.each_ref().map(String::as_str), REKOR, "/healthz").await;
    }

    async fn start_timestamps(&mut self) {
        let port = format!("--port={TIMESTAMPS}");
        let arguments = ["--host=127.0.0.1", &port, "--scheme=http", "--timestamp-signer=memory", "--disable-ntp-monitoring"];
        self.start_server("timestamp-server", &arguments, TIMESTAMPS, "/ping").await;
    }

    /// Writes down, for who signs, what to ask, and for who judges, what to trust.
    async fn describe(&self, authority: FulcioAuthority) {
        let (name, fulcio) = (authority.name(), format!("http://127.0.0.1:{}", authority.port()));
        let (rekor, timestamps) =
            (format!("http://localhost:{REKOR}"), format!("http://127.0.0.1:{TIMESTAMPS}/api/v1/timestamp"));
        let service =
            |flag: &str, url: &str, version: u8| format!("--{flag}=url={url},api-version={version},{SINCE},operator=tests");
        let out = format!("--out={}", self.signing_config(authority));
        self.cosign
            .ok(&[
                "signing-config",
                "create",
                &service("fulcio", &fulcio, 1),
                &service("rekor", &rekor, 2),
                "--rekor-config=ANY",
                &service("tsa", &timestamps, 1),
                "--tsa-config=ANY",
                &out,
            ])
            .await;
        let get = |port: u16, path: &str| self.namespace.get(port, path).unwrap_or_else(|| panic!("no answer to {path}"));
        let bundle: Value = serde_json::from_str(&get(authority.port(), "/api/v2/trustBundle")).expect("Fulcio says JSON");
        let certificates = bundle["chains"][0]["certificates"].as_array().expect("Fulcio has a chain");
        let chain: String = certificates.iter().filter_map(Value::as_str).collect();
        let chain = self.cosign.write(&format!("{name}-fulcio.pem"), &chain);
        let stamps = self.cosign.write("timestamps.pem", &get(TIMESTAMPS, "/api/v1/timestamp/certchain"));
        let out = format!("--out={}", self.trusted_root(authority));
        self.cosign
            .ok(&[
                "trusted-root",
                "create",
                &format!("--fulcio=url={fulcio},certificate-chain={chain}"),
                &format!("--rekor=url={rekor},public-key={},{SINCE},origin=localhost", self.cosign.path("rekor.pub")),
                &format!("--tsa=url={timestamps},certificate-chain={stamps}"),
                &out,
            ])
            .await;
    }

    fn signing_config(&self, authority: FulcioAuthority) -> String {
        self.cosign.path(&format!("{}-signing.json", authority.name()))
    }

    /// The file that says what to trust of who has this authority's certificates.
    pub fn trusted_root(&self, authority: FulcioAuthority) -> String {
        self.cosign.path(&format!("{}-root.json", authority.name()))
    }

    /// Has cosign reach a registry, as this account.
    pub async fn reaches(&self, registry: &str, account: &Account) {
        self.namespace.let_through(registry);
        self.cosign.login(registry, account).await;
    }

    /// `cosign sign`, as who has this token.
    pub async fn sign(&self, image: &str, authority: FulcioAuthority, token: &str) {
        self.by(authority, token, &["sign", "--yes"], image).await;
    }

    /// `cosign attest`, as who has this token.
    pub async fn attest(&self, image: &str, token: &str, kind: &str, predicate: &Value) {
        let predicate = self.cosign.write("predicate.json", &predicate.to_string());
        self.by(FulcioAuthority::Ours, token, &["attest", "--yes", "--type", kind, "--predicate", &predicate], image).await;
    }

    async fn by(&self, authority: FulcioAuthority, token: &str, words: &[&str], image: &str) {
        let (config, root) = (self.signing_config(authority), self.trusted_root(authority));
        let token = self.cosign.write("token", token);
        let files = ["--signing-config", &config, "--trusted-root", &root, "--identity-token", &token];
        self.cosign.ok(&[words, &files, &["--allow-http-registry", image]].concat()).await;
    }

    /// Where its files lie.
    pub fn folder(&self) -> &Path {
        self.cosign.folder()
    }
}
