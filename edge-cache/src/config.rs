//! What an operator can set, a struct a section.
//!
//! Names and layers are those of [`longshore_service::config`]: `folder` under `[cache]`, `LONGSHORE_EDGE__CACHE__FOLDER`, or
//! `--cache.folder`; and for the first upstream `url` under `[[upstream]]`, `LONGSHORE_EDGE__UPSTREAM__0__URL`, or `--upstream.0.url`.
//! Paths are relative to the working directory.

mod cache;
mod listen;
mod requests;
mod site;
mod upstream;

use std::path::Path;

use longshore_service::{
    config::{self, Layout, Loaded, Log, Mistakes, Problems, Telemetry},
    telemetry::Settings,
};

use crate::names::normal;

pub use cache::Cache;
pub use listen::Listen;
pub use requests::Requests;
pub use site::Site;
pub use upstream::{Credentials, Upstream, UpstreamKind};

/// The daemon's name in environment variables: `LONGSHORE_EDGE__…`.
pub const DAEMON: &str = "edge";

/// The edge's whole configuration. `Default` keeps pieces in `./edge`, on loopback, and has no upstream, without which there is no edge.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where and how to listen.
    pub listen: Listen,
    /// What is kept, where, and for how long.
    pub cache: Cache,
    /// How many requests run at once, and how many logins may fail.
    pub requests: Requests,
    /// The other edges of this site.
    pub site: Site,
    /// What is logged, and how.
    pub log: Log,
    /// Where traces go.
    pub telemetry: Telemetry,
    /// The registries that it speaks for. The first one is asked where a request names none, unless another is said to be.
    pub upstream: Vec<Upstream>,
}

longshore_service::sections!(Config { listen, cache, requests, site, log, telemetry; upstream });

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: Listen::default(),
            cache: Cache::default(),
            requests: Requests::default(),
            site: Site::default(),
            log: Log::default(),
            telemetry: Telemetry::of("longshore-edge"),
            upstream: Vec::new(),
        }
    }
}

impl Config {
    /// Reads the configuration from a file, the environment and flags; see [`longshore_service::config::load`].
    pub fn load(
        file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
        flags: Vec<(String, String)>,
    ) -> Result<Loaded<Self>, Mistakes> {
        config::load(DAEMON, file, env, flags)
    }

    /// Reads a configuration from TOML text alone. Mistakes name the text `edge.toml`.
    ///
    /// Nothing outside the text is looked at: secrets given by a file stay unread, and files are not checked.
    pub fn parse_str(toml: &str) -> Result<Self, Mistakes> {
        config::load_text("edge.toml", toml).map(|loaded| loaded.config)
    }

    /// The position of the upstream that is asked where a request names none.
    pub fn default_upstream(&self) -> usize {
        self.upstream.iter().position(|upstream| upstream.default).unwrap_or_default()
    }

    /// The settings of logs and traces.
    pub fn telemetry_settings(&self) -> Settings {
        self.log.to_settings(&self.telemetry)
    }

    /// What no two upstreams may both have: whoever asks for it means one of them.
    fn check_apart(&self, problems: &mut Problems<'_>) {
        for (position, upstream) in self.upstream.iter().enumerate() {
            let key = |name: &str| format!("upstream.{position}.{name}");
            let before = &self.upstream[..position];
            let is_called = |other: &Upstream, host: &str| other.name().is_some_and(|name| normal(&name) == normal(host));
            let is_asked_for = |other: &Upstream, host: &str| other.hosts().iter().any(|known| normal(known) == normal(host));
            if let Some(name) = upstream.name().filter(|name| before.iter().any(|other| is_called(other, name))) {
                problems.add(&[&key("name"), &key("url")], format!("there is more than one upstream {name:?}: give them names"));
                continue;
            }
            for host in upstream.hosts() {
                let is_another_s = self.upstream.iter().enumerate().any(|(other, named)| {
                    other != position && (is_called(named, &host) || other < position && is_asked_for(named, &host))
                });
                if is_another_s {
                    problems.add(&[&key("hosts")], format!("another upstream is asked for {host:?} already"));
                }
            }
            let prefix = &upstream.path_prefix;
            let is_another_s = self.upstream.iter().enumerate().any(|(other, named)| {
                other != position && (named.name().as_ref() == Some(prefix) || other < position && named.path_prefix == *prefix)
            });
            if !prefix.is_empty() && is_another_s {
                problems.add(&[&key("path_prefix")], format!("another upstream has the paths under {prefix:?} already"));
            }
            if upstream.default && before.iter().any(|other| other.default) {
                problems.add(&[&key("default")], "one upstream alone is asked where a request names none");
            }
        }
    }
}

impl Layout for Config {
    fn check(&self, problems: &mut Problems<'_>) {
        self.listen.check(problems);
        self.cache.check(problems);
        self.requests.check(problems);
        self.site.check(problems);
        if self.upstream.is_empty() {
            let reason =
                "a cache needs a registry to speak for: write [[upstream]] and its url = \"https://registry.example.org\"";
            problems.add(&["upstream"], reason);
        }
        for (position, upstream) in self.upstream.iter().enumerate() {
            upstream.check(position, problems);
        }
        self.check_apart(problems);
    }

    fn check_files(&self, problems: &mut Problems<'_>) {
        self.listen.check_files(problems);
        self.site.check_files(problems);
        for (position, upstream) in self.upstream.iter().enumerate() {
            upstream.check_files(position, problems);
        }
    }
}

#[cfg(test)]
mod tests;
