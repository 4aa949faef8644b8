//! `[site]`: the other edges of this site, which are asked before an upstream is.

use std::path::{Path, PathBuf};

use longshore_service::config::{Duration, Problems, Secret};

use crate::site::{Member, Membership, SiteError, SiteSecret, SiteSettings};

/// The other edges of this site.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// This edge's URL, as the others know it; with `dns` it may be left out where the machine's addresses tell.
    pub url: String,
    /// The URLs of all edges of the site, this one among them; none where it is alone, or `dns` tells.
    pub members: Vec<String>,
    /// The name that resolves to all edges of the site; empty for none.
    pub dns: String,
    /// The port of all that it resolves to.
    pub dns_port: u16,
    /// Whether they speak TLS, each with a certificate of that name.
    pub dns_https: bool,
    /// How often it is resolved.
    pub dns_every: Duration,
    /// What the edges of the site know and nobody else does, the same for all: that of `openssl rand -hex 32`.
    pub secret: Secret,
    /// How many edges are home to a blob.
    pub homes: usize,
    /// How long to wait for a connection to another edge, which then is skipped for a while. Five times as long for one of
    /// `max_connections`, and before one that has not answered is asked whether it is there at all.
    pub connect_timeout: Duration,
    /// How long to wait for the next bytes of its answer. A home may itself wait for an upstream's first bytes, so this is no shorter than
    /// that upstream's `retry_timeout`, `connect_timeout` and twice its `read_timeout` together: 85 s by default.
    pub read_timeout: Duration,
    /// Requests to each of them at once.
    pub max_connections: usize,
    /// A PEM file of the certificate authorities that vouch for them, in place of those that this machine trusts.
    pub ca_file: Option<PathBuf>,
    /// Whether they may be asked over plain HTTP where they are on other machines.
    pub allow_plain_http: bool,
}

impl Default for Site {
    fn default() -> Self {
        Self {
            url: String::new(),
            members: Vec::new(),
            dns: String::new(),
            dns_port: 5100,
            dns_https: true,
            dns_every: Duration::seconds(30),
            secret: Secret::default(),
            homes: 2,
            connect_timeout: Duration::seconds(1),
            read_timeout: Duration::seconds(90),
            max_connections: 64,
            ca_file: None,
            allow_plain_http: false,
        }
    }
}

longshore_service::settings!(Site {
    url,
    members,
    dns,
    dns_port,
    dns_https,
    dns_every,
    secret,
    homes,
    connect_timeout,
    read_timeout,
    max_connections,
    ca_file,
    allow_plain_http,
});

impl Site {
    /// How this edge is with others; `None` where it is alone.
    pub fn to_settings(&self) -> Result<Option<SiteSettings>, String> {
        let membership = match (self.members.is_empty(), self.dns.is_empty()) {
            (true, true) => return Ok(None),
            (false, false) => return Err("the edges of a site are listed or behind a name: set members or dns".to_owned()),
            (false, true) if self.url.is_empty() => {
                return Err("site.url is missing: it says which of site.members this edge is".to_owned());
            }
            (false, true) => Membership::listed(&self.url, &self.members, self.allow_plain_http),
            (true, false) => self.named(),
        };
        Ok(Some(SiteSettings {
            membership: membership.map_err(|error| error.to_string())?,
            secret: SiteSecret::new(self.secret.reveal()).map_err(|error| error.to_string())?,
            homes: self.homes,
            connect_timeout: self.connect_timeout.get(),
            read_timeout: self.read_timeout.get(),
            max_connections: self.max_connections,
            ca_file: self.ca_file.clone(),
            allow_plain_http: self.allow_plain_http,
        }))
    }

    fn named(&self) -> Result<Membership, SiteError> {
        let own = (!self.url.is_empty()).then(|| Member::parse(&self.url, self.allow_plain_http)).transpose()?;
        let (name, port, is_https, every) = (self.dns.clone(), self.dns_port, self.dns_https, self.dns_every.get());
        Ok(Membership::Named { own, name, port, is_https, every })
    }

    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        if let Err(reason) = self.to_settings() {
            problems.add(&["site.url", "site.members", "site.dns", "site.secret"], reason);
        }
        if !(1..=16).contains(&self.homes) {
            problems.add(&["site.homes"], "must be from 1 to 16");
        }
        if !(1..=4096).contains(&self.max_connections) {
            problems.add(&["site.max_connections"], "must be from 1 to 4096");
        }
        for (key, duration) in [
            ("site.dns_every", self.dns_every),
            ("site.connect_timeout", self.connect_timeout),
            ("site.read_timeout", self.read_timeout),
        ] {
            problems.check_not_zero(key, duration);
        }
    }

    pub(super) fn check_files(&self, problems: &mut Problems<'_>) {
        if let Some(path) = self.ca_file.as_deref().filter(|path| !Path::is_file(path)) {
            problems.add(&["site.ca_file"], format!("there is no file {}", path.display()));
        }
    }
}
