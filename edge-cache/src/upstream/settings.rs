use std::{path::PathBuf, time::Duration};

use longshore_client::{ClientCertificateFiles, RegistryUrl, Secret};
use longshore_service::signing::KeySet;

/// A registry that is asked for what is not here, and how.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct UpstreamSettings {
    /// What it is called in metrics, logs and answers.
    pub name: String,
    /// Where it is; Docker's own by any of its names.
    pub url: RegistryUrl,
    /// A second address of the same registry, for when the first does not answer.
    pub fallback_url: Option<RegistryUrl>,
    /// Whether it is one of ours.
    pub kind: Kind,
    /// Where it is an edge: the keys whose word for the pieces of blobs is taken, beside those of a registry of ours.
    pub trusted_keys: KeySet,
    /// Whom the edge is there.
    pub credentials: CredentialSource,
    /// A PEM file of certificate authorities to trust beside those of the machine, there and wherever it sends its callers.
    pub ca_file: Option<PathBuf>,
    /// A certificate that the edge shows there when it asks as itself, and at no other time.
    pub certificate: Option<ClientCertificateFiles>,
    /// Whether plain HTTP may leave this machine.
    pub allow_plain_http: bool,
    /// How many requests may be under way to it at once. One in four, and one at least, is left free by the bodies of blobs.
    pub max_concurrent: usize,
    /// How many bytes of bodies are taken from it in a second; 0 for as many as come.
    pub bytes_per_second: u64,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long to wait for the next bytes of an answer, and for a request's turn.
    pub read_timeout: Duration,
    /// How often something is asked for before the last error counts; 1 for once.
    pub attempts: u32,
    /// How long after it was begun a request may still be sent to an address that had its chance.
    pub retry_timeout: Duration,
    /// The longest pause before the second attempt. Each further one is up to twice as long, and a random part of it is waited.
    pub backoff_min: Duration,
    /// The longest pause before any attempt.
    pub backoff_max: Duration,
    /// After so many failures one after another an address is left alone; 0 for never. What it answered counts once for each thing that
    /// was asked for, and once for each caller.
    pub breaker_failures: u32,
    /// For how long.
    pub breaker_pause: Duration,
    /// Hosts of token services beside the registry itself that may be shown the edge's credentials, with the port where it is not
    /// the scheme's own. Docker's own is known.
    pub token_realms: Vec<String>,
    /// Whether it is shown what clients show where a request names it by `ns` or by its path, and not by a host of its own: what they
    /// show there is for the default upstream.
    pub takes_credentials: bool,
    /// Whether whoever reaches the edge, and shows no credential, may see what the edge's own may.
    pub shares_access: bool,
    /// The host names, of `?ns=` and of requests, that mean it.
    pub hosts: Vec<String>,
    /// The first segments of a repository's name that mean it.
    pub path_prefix: Option<String>,
    /// Whether it is meant where nothing else is.
    pub is_default: bool,
}

/// Whether a registry is one of ours, which vouches for each piece of a blob.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Kind {
    /// It is found out.
    #[default]
    Auto,
    /// It is.
    Longshore,
    /// It is not.
    Other,
}

/// Where the edge's own credentials are from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum CredentialSource {
    /// It has none, and is anonymous.
    #[default]
    None,
    /// Docker's configuration and its helpers, in the environment of this process. They are read again every five minutes.
    Docker,
    /// These.
    Given {
        /// The name.
        username: String,
        /// The password.
        password: Secret,
    },
}

impl UpstreamSettings {
    /// Anonymous, and for nothing in particular: 64 requests at once, at any rate, 4 attempts up to 1 s apart, 5 s to connect, 30 s for
    /// an answer's next bytes, left alone for 10 s after 5 failures.
    pub fn new(name: impl Into<String>, url: RegistryUrl) -> Self {
        Self {
            name: name.into(),
            url,
            fallback_url: None,
            kind: Kind::Auto,
            trusted_keys: KeySet::default(),
            credentials: CredentialSource::None,
            ca_file: None,
            certificate: None,
            allow_plain_http: false,
            max_concurrent: 64,
            bytes_per_second: 0,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(30),
            attempts: 4,
            retry_timeout: Duration::from_secs(20),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(1),
            breaker_failures: 5,
            breaker_pause: Duration::from_secs(10),
            token_realms: Vec::new(),
            takes_credentials: false,
            shares_access: false,
            hosts: Vec::new(),
            path_prefix: None,
            is_default: false,
        }
    }
}
