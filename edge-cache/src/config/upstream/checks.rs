//! What an upstream must be.

use longshore_client::{ClientError, ClientOptions, RegistryClient, RegistryUrl};
use longshore_oci::RepositoryName;
use longshore_service::{config::Problems, signing::PublicKey};

use super::{Credentials, Upstream};

/// The most attempts at a request.
const MOST_ATTEMPTS: u32 = 20;
/// The most requests at once.
const MOST_CONCURRENT: usize = 10_000;

impl Upstream {
    pub(in crate::config) fn check(&self, position: usize, problems: &mut Problems<'_>) {
        let key = |name: &str| format!("upstream.{position}.{name}");
        self.check_address(&key, problems);
        self.check_names(&key, problems);
        self.check_credentials(&key, problems);
        for (name, duration) in [("connect_timeout", self.connect_timeout), ("read_timeout", self.read_timeout)] {
            problems.check_not_zero(&key(name), duration);
        }
        if self.breaker_failures > 0 {
            problems.check_not_zero(&key("breaker_pause"), self.breaker_pause);
        }
        if !(1..=MOST_ATTEMPTS).contains(&self.max_attempts) {
            problems.add(&[&key("max_attempts")], format!("must be from 1 to {MOST_ATTEMPTS}"));
        }
        if !(1..=MOST_CONCURRENT).contains(&self.max_concurrent) {
            problems.add(&[&key("max_concurrent")], format!("must be from 1 to {MOST_CONCURRENT}"));
        }
        if self.backoff_min > self.backoff_max {
            let reason = format!("{} is longer than backoff_max, {}", self.backoff_min, self.backoff_max);
            problems.add(&[&key("backoff_min"), &key("backoff_max")], reason);
        }
    }

    fn check_address(&self, key: &impl Fn(&str) -> String, problems: &mut Problems<'_>) {
        if self.url.is_empty() {
            problems.add(&[&key("url"), &key("name")], "an upstream needs a url, such as \"https://registry.example.org\"");
        }
        for (name, text) in [("url", &self.url), ("fallback_url", &self.fallback_url)] {
            match (text.is_empty(), self.address(text)) {
                (false, Err(error)) => problems.add(&[&key(name)], error.to_string()),
                (false, Ok(url)) if !url.is_https() && !url.is_loopback() && !self.allow_plain_http => {
                    let reason = format!("{url} is plain HTTP to another machine: set allow_plain_http = true if it may be");
                    problems.add(&[&key(name), &key("allow_plain_http")], reason);
                }
                _ => {}
            }
        }
    }

    fn check_names(&self, key: &impl Fn(&str) -> String, problems: &mut Problems<'_>) {
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte));
        if !is_plain(&self.name) {
            problems.add(&[&key("name")], "must be made of letters, digits and .-_:[] alone");
        }
        for (name, hosts) in [("hosts", &self.hosts), ("token_realms", &self.token_realms)] {
            for host in hosts.iter().filter(|host| host.is_empty() || !is_plain(host)) {
                problems.add(&[&key(name)], format!("{host:?} is no host, such as registry.example.org or 10.0.0.1:5000"));
            }
        }
        for text in self.trusted_keys.iter().filter(|text| PublicKey::from_x(text).is_none()) {
            problems.add(&[&key("trusted_keys")], format!("{text:?} is no Ed25519 key: give the x of GET /v2/_longshore/keys"));
        }
        if let (false, Err(error)) = (self.path_prefix.is_empty(), self.path_prefix.parse::<RepositoryName>()) {
            problems.add(&[&key("path_prefix")], format!("{:?}: {error}", self.path_prefix));
        }
    }

    fn check_credentials(&self, key: &impl Fn(&str) -> String, problems: &mut Problems<'_>) {
        if self.username.is_empty() == self.password.is_set() {
            let keys = [key("username"), key("password")];
            problems.add(&keys.each_ref().map(String::as_str), "username and password belong together: give both or neither");
        } else if self.credentials == Credentials::Docker && !self.username.is_empty() {
            let keys = [key("credentials"), key("username")];
            problems.add(&keys.each_ref().map(String::as_str), "with \"docker\" there is no username: give one of the two");
        }
        if self.shares_access
            && self.credentials == Credentials::Own
            && self.username.is_empty()
            && self.certificate_file.is_none()
        {
            let reason = "the cache has no account there that could be shared: set username, credentials or certificate_file";
            problems.add(&[&key("shares_access")], reason);
        }
        if self.certificate_file.is_some() != self.key_file.is_some() {
            let keys = [key("certificate_file"), key("key_file")];
            problems.add(&keys.each_ref().map(String::as_str), "certificate_file and key_file belong together");
        }
    }

    /// The files are tried as they will be used, even where it is asked over plain HTTP and they are not.
    pub(in crate::config) fn check_files(&self, position: usize, problems: &mut Problems<'_>) {
        let key = |name: &str| format!("upstream.{position}.{name}");
        let (Ok(registry), certificate) = (self.registry(), self.certificate()) else { return };
        if self.ca_file.is_none() && certificate.is_none() {
            return;
        }
        let Ok(registry) = RegistryUrl::parse(&format!("https://{}", registry.authority()), false) else { return };
        let mut options = ClientOptions::new(registry);
        options.ca_file.clone_from(&self.ca_file);
        options.certificate = certificate;
        let Err(error) = RegistryClient::new(options) else { return };
        let reason = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        let names = match error {
            ClientError::Authorities { .. } => ["ca_file", "url"],
            _ => ["certificate_file", "key_file"],
        };
        problems.add(&names.map(key).each_ref().map(String::as_str), format!("{error}{reason}"));
    }
}
