use std::{fmt, str::FromStr};

use longshore_oci::RepositoryName;

use super::url::is_host;

/// How containerd calls what it does for registries that have no folder of their own.
const ANY: &str = "_default";
const DOCKER: &str = "docker.io";
const DOCKER_HOSTS: [&str; 2] = ["index.docker.io", "registry-1.docker.io"];

/// A registry as images name it, `docker.io` or `localhost:5000`, or `_default` for whichever.
///
/// Written `[http://|https://]HOST[:PORT][=NAME]`. With a scheme the runtime is told to speak it to the registry itself; without,
/// it decides as it did before. The name is what the mirror calls it, for runtimes that can tell it in a path alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Registry {
    host: String,
    scheme: Option<&'static str>,
    name: RepositoryName,
}

/// The text is not a registry's name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is not a registry; one is written docker.io, localhost:5000, http://10.0.0.5:5000 or registry.example.org=NAME")]
pub struct InvalidRegistry(String);

impl Registry {
    /// The host with its port, as images name it.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What the mirror calls it in the beginning of repositories' paths: its host, where a name is given nowhere, with `_` for
    /// what no path may hold. So `localhost:5000` is `localhost_5000`.
    pub fn name(&self) -> &RepositoryName {
        &self.name
    }

    /// Whether the name was given, and is not what is made of the host.
    pub fn is_renamed(&self) -> bool {
        self.name.as_str() != path_of(&self.host)
    }

    /// Whether it stands for those that are not named.
    pub fn is_any(&self) -> bool {
        self.host == ANY
    }

    /// Whether it is Docker Hub.
    pub fn is_docker(&self) -> bool {
        self.host == DOCKER
    }

    /// Whether the runtime is told that it speaks no TLS.
    pub(super) fn is_plain(&self) -> bool {
        self.scheme == Some("http")
    }

    /// Where it is, if the scheme was said.
    pub(super) fn server(&self) -> Option<String> {
        let host = if self.is_docker() { DOCKER_HOSTS[1] } else { &self.host };
        self.scheme.map(|scheme| format!("{scheme}://{host}"))
    }

    /// The host without its port.
    pub(super) fn host_alone(&self) -> &str {
        match self.host.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => &self.host,
        }
    }
}

impl FromStr for Registry {
    type Err = InvalidRegistry;

    fn from_str(text: &str) -> Result<Self, InvalidRegistry> {
        let invalid = || InvalidRegistry(text.to_owned());
        let (address, name) = text.split_once('=').map_or((text, None), |(address, name)| (address, Some(name)));
        let (scheme, host) = match address.split_once("://") {
            Some(("http", host)) => (Some("http"), host),
            Some(("https", host)) => (Some("https"), host),
            Some(_) => return Err(invalid()),
            None => (None, address),
        };
        if !(is_host(host) || host == ANY && scheme.is_none()) {
            return Err(invalid());
        }
        let host = if DOCKER_HOSTS.contains(&host) { DOCKER } else { host };
        let name = name.map_or_else(|| path_of(host), str::to_owned).parse().map_err(|_| invalid())?;
        Ok(Self { host: host.to_owned(), scheme, name })
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.host)
    }
}

/// A host as the beginning of a repository's path (distribution-spec, "Pulling manifests").
fn path_of(host: &str) -> String {
    let is_end = |end: char| !end.is_ascii_alphanumeric();
    let known =
        |letter: char| if letter.is_ascii_alphanumeric() || ".-_".contains(letter) { letter.to_ascii_lowercase() } else { '_' };
    let path: String = host.trim_matches(is_end).chars().map(known).collect();
    path.split('_').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_has_a_host_and_a_name() {
        let is = |text: &str, host: &str, name: &str, server: Option<&str>| {
            let registry: Registry = text.parse().unwrap();
            assert_eq!((registry.host(), registry.name().as_str(), registry.server().as_deref()), (host, name, server), "{text}");
        };
        is("docker.io", "docker.io", "docker.io", None);
        is("https://index.docker.io", "docker.io", "docker.io", Some("https://registry-1.docker.io"));
        is("localhost:5000", "localhost:5000", "localhost_5000", None);
        is("http://10.0.0.5:5000=ours/main", "10.0.0.5:5000", "ours/main", Some("http://10.0.0.5:5000"));
        is("[::1]:5000", "[::1]:5000", "1_5000", None);
        is("_default", "_default", "default", None);
        let is_renamed = |text: &str| text.parse::<Registry>().unwrap().is_renamed();
        assert!(is_renamed("localhost:5000=up") && !is_renamed("localhost:5000") && !is_renamed("localhost:5000=localhost_5000"));
        assert_eq!("localhost:5000".parse::<Registry>().unwrap().host_alone(), "localhost");
        assert_eq!("[::1]".parse::<Registry>().unwrap().host_alone(), "[::1]");
    }

    #[test]
    fn what_could_lead_elsewhere_is_none() {
        for text in [
            "",
            "..",
            "../x",
            "a/b",
            "a b",
            "a\nb",
            "ftp://a",
            "http://",
            "http://_default",
            "_other",
            "user@a",
            "a:x",
            "a:",
            "a:70000",
            "a..b",
            "a=",
            "a=../b",
            "a=B",
            "a=b//c",
            "a=b\"",
        ] {
            assert!(text.parse::<Registry>().is_err(), "{text}");
        }
    }
}
