//! Which upstream a request means, and which of its repositories.
//!
//! The first that says so counts: the parameter `ns`, which containerd adds; the header `OCI-Namespace`; the host that the
//! request is for; the front of the repository's name. What says nothing means the default upstream. A registry that is named and
//! not known is refused at once, so that a client goes on to it without waiting.

use std::sync::Arc;

use http::{header, request::Parts};
use longshore_client::is_same_port_here;
use longshore_oci::{Query, RepositoryName};

use crate::{
    error::Error,
    upstream::{Upstream, UpstreamSettings},
};

/// The header that names a registry (distribution-spec, "Proxying").
const NAMESPACE: &str = "oci-namespace";
/// The parameter that does.
pub const PARAMETER: &str = "ns";
/// Docker's registry goes by this name, and is none of these.
const DOCKER: &str = "docker.io";
const DOCKER_HOSTS: [&str; 2] = ["index.docker.io", "registry-1.docker.io"];
/// Where its repositories are that are named by one word.
const LIBRARY: &str = "library/";

/// What a request means.
#[derive(Clone)]
pub struct Meant {
    /// The upstream.
    pub upstream: Arc<Upstream>,
    /// The repository, as the upstream calls it, where the request is about one.
    pub repository: Option<RepositoryName>,
    /// Whether what the client shows is for this upstream: it is for the host that the request went to, which is the default
    /// upstream's, and another's only where its name leads here.
    pub is_shown: bool,
}

/// What a request says of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Said {
    namespace: Option<String>,
    host: Option<String>,
}

/// What an upstream is called, as it is compared.
#[derive(Clone, Debug, Default)]
pub struct Called {
    name: String,
    hosts: Vec<String>,
    /// The host of its own address.
    own_host: String,
    /// What the names of its repositories may begin with, without the slash at their end.
    prefixes: Vec<String>,
    is_default: bool,
}

impl Called {
    /// What an upstream is called that is set up so.
    pub fn new(settings: &UpstreamSettings) -> Self {
        let prefixes = [settings.path_prefix.as_deref(), Some(&settings.name)].into_iter().flatten();
        let prefixes = prefixes.map(|prefix| prefix.trim_matches('/').to_owned()).filter(|prefix| !prefix.is_empty());
        Self {
            name: normal(&settings.name),
            hosts: settings.hosts.iter().map(|host| normal(host)).collect(),
            own_host: normal(settings.url.authority()),
            prefixes: prefixes.collect(),
            is_default: settings.is_default,
        }
    }

    /// Whether this host is mapped to it.
    pub fn has_host(&self, host: &str) -> bool {
        by_host(&[self], &normal(host)).is_some()
    }

    fn is_docker(&self) -> bool {
        self.own_host == DOCKER || self.name == DOCKER || self.hosts.iter().any(|host| host == DOCKER)
    }
}

/// What a request means that is about this repository, if about one. One from this machine may call a registry on a port of this
/// machine by any of its names.
pub fn meant<'u>(
    upstreams: impl Iterator<Item = &'u Arc<Upstream>>,
    parts: &Parts,
    repository: Option<&RepositoryName>,
    is_local: bool,
) -> Result<Meant, Error> {
    let all: Vec<_> = upstreams.collect();
    let called: Vec<_> = all.iter().map(|upstream| upstream.called()).collect();
    let said = said(parts);
    let (position, repository) = choose(&called, &said, repository, is_local)?;
    let upstream = Arc::clone(all.get(position).ok_or(Error::NoDefault)?);
    let leads_here = said.host.as_deref().and_then(|host| by_host(&called, host));
    let is_shown = leads_here.map_or(called[position].is_default, |host| host == position);
    Ok(Meant { is_shown: is_shown || upstream.settings().takes_credentials, upstream, repository })
}

/// What a neighbour means that has a registry by this name: see [`Upstreams::of_neighbour`](crate::Upstreams::of_neighbour).
pub(crate) fn of_neighbour<'u>(
    upstreams: impl Iterator<Item = &'u Arc<Upstream>>,
    registry: &str,
    repository: &RepositoryName,
) -> Option<(Arc<Upstream>, RepositoryName)> {
    let all: Vec<_> = upstreams.collect();
    if let Some(upstream) = all.iter().find(|upstream| upstream.name() == registry) {
        return Some((Arc::clone(upstream), repository.clone()));
    }
    let called: Vec<_> = all.iter().map(|upstream| upstream.called()).collect();
    let (position, repository) = choose(&called, &Said::default(), Some(repository), false).ok()?;
    Some((Arc::clone(all.get(position)?), repository?))
}

fn said(parts: &Parts) -> Said {
    let header = |name: &str| parts.headers.get(name)?.to_str().ok();
    let query = Query::new(parts.uri.query().unwrap_or_default());
    let named: Vec<_> = query.all(PARAMETER).filter(|value| !value.is_empty()).collect();
    let namespace = match named.as_slice() {
        [] => header(NAMESPACE).filter(|value| !value.is_empty()).map(normal),
        // Two different ones are no registry's name.
        [first, rest @ ..] if rest.iter().all(|other| other == first) => Some(normal(first)),
        several => Some(several.join("&")),
    };
    let host = parts.uri.authority().map(http::uri::Authority::as_str).or_else(|| header(header::HOST.as_str()));
    Said { namespace, host: host.map(normal) }
}

/// The position of the upstream, and the repository as it calls it.
fn choose(
    called: &[&Called],
    said: &Said,
    repository: Option<&RepositoryName>,
    is_local: bool,
) -> Result<(usize, Option<RepositoryName>), Error> {
    if let Some(namespace) = &said.namespace {
        let position = by_namespace(called, namespace, is_local).ok_or_else(|| Error::NamespaceUnknown(namespace.clone()))?;
        return Ok((position, own_name(called[position], repository.map(RepositoryName::as_str))?));
    }
    if let Some(position) = said.host.as_deref().and_then(|host| by_host(called, host)) {
        return Ok((position, own_name(called[position], repository.map(RepositoryName::as_str))?));
    }
    if let Some((position, rest)) = repository.and_then(|repository| by_prefix(called, repository.as_str())) {
        return Ok((position, own_name(called[position], Some(rest))?));
    }
    let position = called.iter().position(|upstream| upstream.is_default).ok_or(Error::NoDefault)?;
    Ok((position, own_name(called[position], repository.map(RepositoryName::as_str))?))
}

/// The upstream that is set to be this registry; else the one of this name; else the one at this address.
fn by_namespace(called: &[&Called], namespace: &str, is_local: bool) -> Option<usize> {
    let by = |is_it: &dyn Fn(&Called) -> bool| called.iter().position(|upstream| is_it(upstream));
    by(&|upstream| upstream.hosts.iter().any(|host| host == namespace))
        .or_else(|| by(&|upstream| upstream.name == namespace))
        .or_else(|| by(&|upstream| upstream.own_host == namespace))
        .or_else(|| by(&|upstream| is_local && is_same_port_here(&upstream.own_host, namespace)))
}

/// The upstream that this host is mapped to, with its port or without.
fn by_host(called: &[&Called], host: &str) -> Option<usize> {
    let mapped = |host: &str| called.iter().position(|upstream| upstream.hosts.iter().any(|mapped| mapped == host));
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    mapped(host).or_else(|| mapped(&normal(host.rsplit_once(':').filter(|(_, port)| is_port(port))?.0)))
}

/// The upstream that a repository's name begins with, and the rest of the name. The longest of several counts.
fn by_prefix<'r>(called: &[&Called], repository: &'r str) -> Option<(usize, &'r str)> {
    let fitting = called.iter().enumerate().filter_map(|(position, upstream)| {
        let rests = upstream.prefixes.iter().filter_map(|prefix| repository.strip_prefix(prefix.as_str())?.strip_prefix('/'));
        rests.min_by_key(|rest| rest.len()).map(|rest| (position, rest))
    });
    fitting.min_by_key(|(_, rest)| rest.len())
}

/// A repository as its upstream calls it.
fn own_name(upstream: &Called, name: Option<&str>) -> Result<Option<RepositoryName>, Error> {
    let Some(name) = name else { return Ok(None) };
    let is_of_one_word = !name.contains('/');
    let parsed = if is_of_one_word && upstream.is_docker() { format!("{LIBRARY}{name}").parse() } else { name.parse() };
    parsed.map(Some).map_err(|error| Error::Route(longshore_oci::RouteError::Name(error)))
}

/// A host as it is compared: in lower case, without the root's dot, and docker's by its one name.
pub(crate) fn normal(host: &str) -> String {
    let host = host.trim_start().trim_end_matches(|end: char| end == '.' || end.is_whitespace()).to_ascii_lowercase();
    if DOCKER_HOSTS.contains(&host.as_str()) { DOCKER.to_owned() } else { host }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use longshore_client::RegistryUrl;

    use super::*;

    fn request(uri: &str, headers: &[(&str, &str)]) -> Said {
        let request = headers.iter().fold(Request::get(uri), |request, (name, value)| request.header(*name, *value));
        said(&request.body(()).unwrap().into_parts().0)
    }

    fn settings(name: &str, url: &str) -> UpstreamSettings {
        UpstreamSettings::new(name, RegistryUrl::parse(url, false).unwrap())
    }

    fn called(name: &str, url: &str) -> Called {
        Called::new(&settings(name, url))
    }

    fn chosen(said: &Said, repository: &str) -> Result<(usize, String), String> {
        chosen_from(said, repository, true)
    }

    fn chosen_from(said: &Said, repository: &str, is_local: bool) -> Result<(usize, String), String> {
        let mut main = called("main", "https://registry.example:5000");
        main.is_default = true;
        let hub = UpstreamSettings { path_prefix: Some("docker.io".into()), ..settings("hub", "https://registry-1.docker.io") };
        let hosts = vec!["ghcr.io".into(), "GHCR.edge.example".into()];
        let ghcr = UpstreamSettings { hosts, ..settings("ghcr", "https://mirror.example") };
        let (deep, here) = (called("ghcr/deep", "https://deep.example"), called("here", "http://127.0.0.1:5001"));
        let called = [main, Called::new(&hub), Called::new(&ghcr), deep, here];
        let called: Vec<_> = called.iter().collect();
        let name = repository.parse().unwrap();
        let (position, name) = choose(&called, said, Some(&name), is_local).map_err(|error| error.to_string())?;
        Ok((position, name.unwrap().to_string()))
    }

    #[test]
    fn a_registry_is_named_in_four_ways() {
        let of = |uri: &str, headers: &[(&str, &str)], repository| chosen(&request(uri, headers), repository);
        let is = |position, name: &str| Ok((position, name.to_owned()));
        let here = "http://edge:5100/v2/";
        assert_eq!(of(here, &[], "team/app"), is(0, "team/app"));
        assert_eq!(of("/v2/?ns=docker.io", &[], "alpine"), is(1, "library/alpine"));
        assert_eq!(of("/v2/?ns=Registry-1.Docker.io.", &[], "a/b"), is(1, "a/b"));
        assert_eq!(of("/v2/?ns=ghcr.io&ns=ghcr.io", &[], "alpine"), is(2, "alpine"));
        assert_eq!(of("/v2/?ns=registry.example%3A5000", &[], "a"), is(0, "a"));
        assert_eq!(of("/v2/?ns=mirror.example", &[], "a"), is(2, "a"));
        assert_eq!(of("/v2/?ns=localhost:5001", &[], "a"), is(4, "a"));
        assert_eq!(of("/v2/?ns=%5B::1%5D:5001", &[], "a"), is(4, "a"));
        assert_eq!(of("/v2/?ns=", &[("oci-namespace", "GHCR.io")], "a"), is(2, "a"));
        assert_eq!(of("/v2/?ns=docker.io", &[("oci-namespace", "ghcr.io"), ("host", "ghcr.io")], "a/b"), is(1, "a/b"));
        assert_eq!(of("/v2/", &[("host", "ghcr.edge.example:5100")], "docker.io/a"), is(2, "docker.io/a"));
        assert_eq!(of("/v2/", &[("host", "GHCR.io.:5100")], "a"), is(2, "a"), "its port hides no name");
        assert_eq!(of("/v2/", &[("host", "ghcr.io\t..\t.")], "a"), is(2, "a"), "what is no part of a name hides none");
        assert_eq!(of("/v2/", &[("host", "mirror.example")], "a"), is(0, "a"), "an address is no mapping");
        assert_eq!(of(here, &[], "docker.io/alpine"), is(1, "library/alpine"));
        assert_eq!(of(here, &[], "hub/library/alpine"), is(1, "library/alpine"));
        assert_eq!(of(here, &[], "ghcr/deep/app"), is(3, "app"));
        assert_eq!(of(here, &[], "ghcr/deeper"), is(2, "deeper"));
        assert_eq!(of(here, &[], "docker.io"), is(0, "docker.io"));
    }

    #[test]
    fn a_registry_that_is_not_known_is_not_another() {
        for uri in [
            "/v2/?ns=evil.example",
            "/v2/?ns=ghcr.io&ns=docker.io",
            "/v2/?ns=ghcr.io%00",
            "/v2/?ns=ghcr.io/x",
            "/v2/?ns=.",
            "/v2/?ns=localhost:5002",
        ] {
            assert!(chosen(&request(uri, &[("oci-namespace", "ghcr.io"), ("host", "ghcr.io")]), "a").is_err(), "{uri}");
        }
        assert!(chosen_from(&request("/v2/?ns=localhost:5001", &[]), "a", false).is_err(), "that is another's machine");
        let none = called("a", "https://a.example");
        assert!(matches!(choose(&[&none], &Said::default(), None, false), Err(Error::NoDefault)));
        let hub = Called { is_default: true, ..called("hub", "https://docker.io") };
        let longest = "x".repeat(RepositoryName::MAX_LENGTH).parse().unwrap();
        assert!(matches!(choose(&[&hub], &Said::default(), Some(&longest), false), Err(Error::Route(_))));
    }
}
