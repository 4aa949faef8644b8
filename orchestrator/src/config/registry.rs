//! `[registry]`: where images are asked for.

use std::{net::IpAddr, path::PathBuf};

use longshore_service::{
    choice,
    config::{Duration, HttpUrl, Problems, Secret},
};

choice! {
    /// What becomes of images of registries that are not ours.
    pub enum OtherRegistries {
        /// They are asked for without saying who asks.
        Anonymous = "anonymous",
        /// They are refused.
        Refused = "refused",
    }
}

/// Where images are asked for: what a tag names, what an image is made of, and whether a policy lets it run.
#[derive(Clone, Debug, PartialEq)]
pub struct Registry {
    /// Our registry. Images are of it whose name begins with one of `hosts`.
    pub url: HttpUrl,
    /// How images name it: host and port. The URL's own where there are none.
    pub hosts: Vec<String>,
    /// Certificate authorities, PEM, that are trusted beside the machine's.
    pub ca_file: Option<PathBuf>,
    /// Whether plain HTTP may leave this machine.
    pub allow_plain_http: bool,
    /// The account that asks; nobody in particular where it is empty.
    pub username: String,
    /// Its secret.
    pub password: Secret,
    /// What becomes of images of other registries.
    pub others: OtherRegistries,
    /// Other registries, and proxies, that are asked although they are on this machine or in a private network: hosts, without a port. None
    /// else there is, whatever an image's name or a registry's answer says: who may deploy need not be one who may reach them.
    pub private_hosts: Vec<String>,
    /// How long a registry may take to say all about an image.
    pub timeout: Duration,
    /// How many images are asked for at once.
    pub max_asked: usize,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:5000".parse().unwrap_or_else(|_| unreachable!("it is a URL")),
            hosts: Vec::new(),
            ca_file: None,
            allow_plain_http: false,
            username: String::new(),
            password: Secret::default(),
            others: OtherRegistries::Anonymous,
            private_hosts: Vec::new(),
            timeout: Duration::seconds(20),
            max_asked: 64,
        }
    }
}

longshore_service::settings!(Registry {
    url,
    hosts,
    ca_file,
    allow_plain_http,
    username,
    password,
    others,
    private_hosts,
    timeout,
    max_asked
});

impl Registry {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        problems.check_not_zero("registry.timeout", self.timeout);
        if !(1..=10_000).contains(&self.max_asked) {
            problems.add(&["registry.max_asked"], "must be from 1 to 10000");
        }
        if self.username.is_empty() == self.password.is_set() {
            problems.add(&["registry.username", "registry.password"], "both are needed, or neither");
        }
        if let Err(error) = longshore_client::RegistryUrl::parse(self.url.as_str(), self.allow_plain_http) {
            problems.add(&["registry.url"], error.to_string());
        }
        if let Some(host) = self.hosts.iter().find(|host| host.is_empty() || host.contains('/')) {
            problems.add(&["registry.hosts"], format!("{host:?} is no host, with or without a port"));
        }
        let is_host = |host: &String| {
            let is_name = !host.contains([':', '/']) && longshore_client::RegistryUrl::parse(host, false).is_ok();
            is_name || host.parse::<IpAddr>().is_ok()
        };
        if let Some(host) = self.private_hosts.iter().find(|host| !is_host(host)) {
            problems
                .add(&["registry.private_hosts"], format!("{host:?} is no host; one is a name or an address, without a port"));
        }
    }
}
