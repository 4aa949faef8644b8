//! `[[upstream]]`: a registry that the edge speaks for, how it is reached, and what it may be asked.

mod checks;

use std::path::PathBuf;

use longshore_client::{ClientCertificateFiles, InvalidRegistryUrl, RegistryUrl, port_here};
use longshore_service::{
    choice,
    config::{ByteSize, Duration, Secret},
    signing::PublicKey,
};

use crate::upstream::{CredentialSource, Kind, UpstreamSettings};

/// Docker Hub is called by the first of these and answers at the last.
const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

choice! {
    /// What an upstream is.
    pub enum UpstreamKind {
        /// It is asked.
        Auto = "auto",
        /// A Longshore registry, which says what pieces a blob has.
        Longshore = "longshore",
        /// Any other registry.
        Other = "other",
    }
}

choice! {
    /// Whose credentials the edge asks an upstream with, where it asks for itself.
    pub enum Credentials {
        /// Those of `username` and `password`, or none.
        Own = "own",
        /// Those that docker keeps on this machine for the upstream.
        Docker = "docker",
    }
}

/// A registry that the edge speaks for.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct Upstream {
    /// What it is called in paths, logs and metrics; empty for the host of its URL.
    pub name: String,
    /// Where it is: `https://registry.example.org`, or `docker.io`.
    pub url: String,
    /// Where it is asked when it does not answer there; empty for nowhere.
    pub fallback_url: String,
    /// Whether it is a Longshore registry.
    pub kind: UpstreamKind,
    /// Where it is an edge cache: the keys whose word for the pieces of blobs is taken, each the `x` that `GET /v2/_longshore/keys` of that
    /// edge has. Registries of ours need none.
    pub trusted_keys: Vec<String>,
    /// Whether it is asked where a request names no upstream. Where none is said to be, the first one is.
    pub default: bool,
    /// More hosts that it is asked for beside its own: in containerd's `ns`, in `OCI-Namespace`, and in `Host`.
    pub hosts: Vec<String>,
    /// What repositories' paths begin with here that are its own, beside its name.
    pub path_prefix: String,
    /// Whose credentials the edge itself asks with.
    pub credentials: Credentials,
    /// The edge's account there; empty for none.
    pub username: String,
    /// The account's password, or a robot's secret.
    pub password: Secret,
    /// Whether it is shown what clients show where a request names it in `ns` or in its path. Without that they show it theirs by a host of
    /// its own (`hosts`), and others are the default upstream's.
    pub takes_credentials: bool,
    /// Whether whoever reaches the edge, and shows no credential, may see what the edge's own account may. Without that each client must show
    /// that it may.
    pub shares_access: bool,
    /// Other servers where the account's name and password may be shown for a token, by host: `auth.example.org`.
    pub token_realms: Vec<String>,
    /// A PEM file of certificate authorities to trust beside those of this machine.
    pub ca_file: Option<PathBuf>,
    /// A PEM file of a certificate that says who asks.
    pub certificate_file: Option<PathBuf>,
    /// A PEM file of the certificate's key.
    pub key_file: Option<PathBuf>,
    /// Whether it may be asked over plain HTTP where it is on another machine.
    pub allow_plain_http: bool,
    /// Requests to it at once; more wait. Blobs have three in four of them.
    pub max_concurrent: usize,
    /// Bytes of blobs in a second from it; 0 for as many as come.
    pub bytes_per_second: ByteSize,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long to wait for the next bytes of an answer.
    pub read_timeout: Duration,
    /// How often a request is tried, the first time included.
    pub max_attempts: u32,
    /// How long after its begin a request may be tried again, waits that the upstream asks for among it.
    pub retry_timeout: Duration,
    /// The longest wait before a request is tried a second time; it doubles from there, and a random part of it is waited.
    pub backoff_min: Duration,
    /// The longest.
    pub backoff_max: Duration,
    /// After so many failures in a row it is left alone for `breaker_pause`; 0 for never. Of one manifest or blob that it can't give, or of
    /// one client, they count once.
    pub breaker_failures: u32,
    /// How long.
    pub breaker_pause: Duration,
    /// Whether a Longshore registry is asked to tell of its changes, so that a tag that moved is known at once.
    pub follow_events: bool,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            name: String::new(),
            url: String::new(),
            fallback_url: String::new(),
            kind: UpstreamKind::Auto,
            trusted_keys: Vec::new(),
            default: false,
            hosts: Vec::new(),
            path_prefix: String::new(),
            credentials: Credentials::Own,
            username: String::new(),
            password: Secret::default(),
            takes_credentials: false,
            shares_access: false,
            token_realms: Vec::new(),
            ca_file: None,
            certificate_file: None,
            key_file: None,
            allow_plain_http: false,
            max_concurrent: 64,
            bytes_per_second: ByteSize::default(),
            connect_timeout: Duration::seconds(5),
            read_timeout: Duration::seconds(30),
            max_attempts: 4,
            retry_timeout: Duration::seconds(20),
            backoff_min: Duration::milliseconds(100),
            backoff_max: Duration::seconds(1),
            breaker_failures: 5,
            breaker_pause: Duration::seconds(10),
            follow_events: true,
        }
    }
}

longshore_service::settings!(Upstream {
    name,
    url,
    fallback_url,
    kind,
    trusted_keys,
    default,
    hosts,
    path_prefix,
    credentials,
    username,
    password,
    takes_credentials,
    shares_access,
    token_realms,
    ca_file,
    certificate_file,
    key_file,
    allow_plain_http,
    max_concurrent,
    bytes_per_second,
    connect_timeout,
    read_timeout,
    max_attempts,
    retry_timeout,
    backoff_min,
    backoff_max,
    breaker_failures,
    breaker_pause,
    follow_events,
});

impl Upstream {
    /// Where it is; Docker Hub by any of its names is where it answers.
    pub fn registry(&self) -> Result<RegistryUrl, InvalidRegistryUrl> {
        self.address(&self.url)
    }

    /// Where it is asked when it does not answer there.
    pub fn fallback(&self) -> Result<Option<RegistryUrl>, InvalidRegistryUrl> {
        (!self.fallback_url.is_empty()).then(|| self.address(&self.fallback_url)).transpose()
    }

    fn address(&self, text: &str) -> Result<RegistryUrl, InvalidRegistryUrl> {
        let registry = RegistryUrl::parse(text, self.allow_plain_http)?;
        let [.., answers_at] = DOCKER_HUB;
        if registry.is_https() && DOCKER_HUB.contains(&registry.authority()) {
            return RegistryUrl::parse(answers_at, false);
        }
        Ok(registry)
    }

    /// What it is called; `None` where that can't be told from its URL. A registry of this machine is called the same by whichever of its
    /// names it is reached, for neighbours find each other by that.
    pub fn name(&self) -> Option<String> {
        if !self.name.is_empty() {
            return Some(self.name.clone());
        }
        let registry = self.registry().ok()?;
        let [called, .., answers_at] = DOCKER_HUB;
        let host = if registry.authority() == answers_at { called } else { registry.authority() };
        Some(port_here(host).map_or_else(|| host.to_owned(), |port| format!("127.0.0.1{port}")))
    }

    /// The hosts that it is asked for beside its own.
    pub fn hosts(&self) -> Vec<String> {
        self.hosts.iter().map(|host| host.to_ascii_lowercase()).collect()
    }

    /// The certificate that says who asks.
    pub fn certificate(&self) -> Option<ClientCertificateFiles> {
        Some(ClientCertificateFiles { certificate: self.certificate_file.clone()?, key: self.key_file.clone()? })
    }

    /// How it is asked, and whether it is meant where nothing else is; `None` where it has no name or no URL.
    pub fn to_settings(&self, is_default: bool) -> Option<UpstreamSettings> {
        let defaults = UpstreamSettings::new(self.name()?, self.registry().ok()?);
        Some(UpstreamSettings {
            fallback_url: self.fallback().ok()?,
            kind: match self.kind {
                UpstreamKind::Auto => Kind::Auto,
                UpstreamKind::Longshore => Kind::Longshore,
                UpstreamKind::Other => Kind::Other,
            },
            trusted_keys: self.trusted_keys.iter().filter_map(|x| PublicKey::from_x(x)).collect(),
            credentials: match self.credentials {
                Credentials::Docker => CredentialSource::Docker,
                Credentials::Own if self.username.is_empty() => CredentialSource::None,
                Credentials::Own => CredentialSource::Given {
                    username: self.username.clone(),
                    password: longshore_client::Secret::new(self.password.reveal()),
                },
            },
            ca_file: self.ca_file.clone(),
            certificate: self.certificate(),
            allow_plain_http: self.allow_plain_http,
            max_concurrent: self.max_concurrent,
            bytes_per_second: self.bytes_per_second.as_bytes(),
            connect_timeout: self.connect_timeout.get(),
            read_timeout: self.read_timeout.get(),
            attempts: self.max_attempts,
            retry_timeout: self.retry_timeout.get(),
            backoff_min: self.backoff_min.get(),
            backoff_max: self.backoff_max.get(),
            breaker_failures: self.breaker_failures,
            breaker_pause: self.breaker_pause.get(),
            token_realms: self.token_realms.clone(),
            takes_credentials: self.takes_credentials,
            shares_access: self.shares_access,
            hosts: self.hosts(),
            path_prefix: (!self.path_prefix.is_empty()).then(|| self.path_prefix.clone()),
            is_default,
            ..defaults
        })
    }
}
