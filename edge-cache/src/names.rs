//! Which upstream a request means, and which of its repositories.
//!
//! The first that says so counts: the parameter `ns`, which containerd adds; the header `OCI-Namespace`; the host that the request is for;
//! the front of the repository's name. What says nothing means the default upstream. A registry that is named and not known is refused at
//! once, so that a client goes on to it without waiting.

use std::sync::Arc;

use http::{header, request::Parts};
use longshore_oci::{Query, RepositoryName};

use crate::{error::Error, upstream::Upstream};

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
    /// Whether what the client shows is for this upstream: it is for the host that the request went to, which is the default upstream's,
    /// and another's only where its name leads here.
    pub is_shown: bool,
}

/// What a request says of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Said {
    namespace: Option<String>,
    host: Option<String>,
}

/// What an upstream is called.
#[derive(Clone, Debug, Default)]
struct Called<'a> {
    name: &'a str,
    hosts: &'a [String],
    /// The host of its own address.
    own_host: String,
    path_prefix: Option<&'a str>,
    is_default: bool,
}

/// What a request means that is about this repository, if about one.
pub fn meant<'u>(
    upstreams: impl Iterator<Item = &'u Arc<Upstream>>,
    parts: &Parts,
    repository: Option<&RepositoryName>,
) -> Result<Meant, Error> {
    let all: Vec<_> = upstreams.collect();
    let called = all.iter().map(|upstream| {
        let settings = upstream.settings();
        let own_host = normal(settings.url.authority());
        let path_prefix = settings.path_prefix.as_deref();
        Called { name: upstream.name(), hosts: &settings.hosts, own_host, path_prefix, is_default: settings.is_default }
    });
    let said = said(parts);
    let called = called.collect::<Vec<_>>();
    let (position, repository) = choose(&called, &said, repository)?;
    let upstream = Arc::clone(all.get(position).ok_or(Error::NoDefault)?);
    let leads_here = said.host.as_deref().and_then(|host| by_host(&called, host));
    let is_shown = leads_here.map_or(called[position].is_default, |host| host == position);
    Ok(Meant { is_shown: is_shown || upstream.settings().takes_credentials, upstream, repository })
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
    called: &[Called<'_>],
    said: &Said,
    repository: Option<&RepositoryName>,
) -> Result<(usize, Option<RepositoryName>), Error> {
    if let Some(namespace) = &said.namespace {
        let position = by_namespace(called, namespace).ok_or_else(|| Error::NamespaceUnknown(namespace.clone()))?;
        return Ok((position, own_name(&called[position], repository.map(RepositoryName::as_str))?));
    }
    if let Some(position) = said.host.as_deref().and_then(|host| by_host(called, host)) {
        return Ok((position, own_name(&called[position], repository.map(RepositoryName::as_str))?));
    }
    if let Some((position, rest)) = repository.and_then(|repository| by_prefix(called, repository.as_str())) {
        return Ok((position, own_name(&called[position], Some(rest))?));
    }
    let position = called.iter().position(|upstream| upstream.is_default).ok_or(Error::NoDefault)?;
    Ok((position, own_name(&called[position], repository.map(RepositoryName::as_str))?))
}

/// The upstream that is set to be this registry; else the one of this name; else the one at this address.
fn by_namespace(called: &[Called<'_>], namespace: &str) -> Option<usize> {
    let by = |is_it: &dyn Fn(&Called<'_>) -> bool| called.iter().position(is_it);
    by(&|upstream| upstream.hosts.iter().any(|host| normal(host) == namespace))
        .or_else(|| by(&|upstream| normal(upstream.name) == namespace))
        .or_else(|| by(&|upstream| upstream.own_host == namespace))
}

/// The upstream that this host is mapped to, with its port or without.
fn by_host(called: &[Called<'_>], host: &str) -> Option<usize> {
    let mapped = |host: &str| called.iter().position(|upstream| upstream.hosts.iter().any(|mapped| normal(mapped) == host));
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    mapped(host).or_else(|| mapped(&normal(host.rsplit_once(':').filter(|(_, port)| is_port(port))?.0)))
}

/// The upstream that a repository's name begins with, and the rest of the name. The longest of several counts.
fn by_prefix<'r>(called: &[Called<'_>], repository: &'r str) -> Option<(usize, &'r str)> {
    let rest = |prefix: &str| {
        let prefix = prefix.trim_matches('/');
        repository.strip_prefix(prefix)?.strip_prefix('/').filter(|_| !prefix.is_empty())
    };
    let fitting = called.iter().enumerate().filter_map(|(position, upstream)| {
        let rests = [upstream.path_prefix.and_then(rest), rest(upstream.name)];
        rests.into_iter().flatten().min_by_key(|rest| rest.len()).map(|rest| (position, rest))
    });
    fitting.min_by_key(|(_, rest)| rest.len())
}

/// A repository as its upstream calls it.
fn own_name(upstream: &Called<'_>, name: Option<&str>) -> Result<Option<RepositoryName>, Error> {
    let Some(name) = name else { return Ok(None) };
    let is_docker = upstream.own_host == DOCKER
        || normal(upstream.name) == DOCKER
        || upstream.hosts.iter().any(|host| normal(host) == DOCKER);
    let parsed = if is_docker && !name.contains('/') { format!("{LIBRARY}{name}").parse() } else { name.parse() };
    parsed.map(Some).map_err(|error| Error::Route(longshore_oci::RouteError::Name(error)))
}

/// A host as it is compared: in lower case, without the root's dot, and docker's by its one name.
pub(crate) fn normal(host: &str) -> String {
    let host = host.trim().trim_end_matches('.').to_ascii_lowercase();
    if DOCKER_HOSTS.contains(&host.as_str()) { DOCKER.to_owned() } else { host }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn request(uri: &str, headers: &[(&str, &str)]) -> Said {
        let request = headers.iter().fold(Request::get(uri), |request, (name, value)| request.header(*name, *value));
        said(&request.body(()).unwrap().into_parts().0)
    }

    fn chosen(said: &Said, repository: &str) -> Result<(usize, String), String> {
        let ghcr = ["ghcr.io".to_owned(), "GHCR.edge.example".to_owned()];
        let called = [
            Called { name: "main", own_host: "registry.example:5000".into(), is_default: true, ..Called::default() },
            Called { name: "hub", own_host: normal("registry-1.docker.io"), path_prefix: Some("docker.io"), ..Called::default() },
            Called { name: "ghcr", hosts: &ghcr, own_host: "mirror.example".into(), ..Called::default() },
            Called { name: "ghcr/deep", own_host: "deep.example".into(), ..Called::default() },
        ];
        let name = repository.parse().unwrap();
        let (position, name) = choose(&called, said, Some(&name)).map_err(|error| error.to_string())?;
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
        assert_eq!(of("/v2/?ns=", &[("oci-namespace", "GHCR.io")], "a"), is(2, "a"));
        assert_eq!(of("/v2/?ns=docker.io", &[("oci-namespace", "ghcr.io"), ("host", "ghcr.io")], "a/b"), is(1, "a/b"));
        assert_eq!(of("/v2/", &[("host", "ghcr.edge.example:5100")], "docker.io/a"), is(2, "docker.io/a"));
        assert_eq!(of("/v2/", &[("host", "GHCR.io.:5100")], "a"), is(2, "a"), "its port hides no name");
        assert_eq!(of("/v2/", &[("host", "mirror.example")], "a"), is(0, "a"), "an address is no mapping");
        assert_eq!(of(here, &[], "docker.io/alpine"), is(1, "library/alpine"));
        assert_eq!(of(here, &[], "hub/library/alpine"), is(1, "library/alpine"));
        assert_eq!(of(here, &[], "ghcr/deep/app"), is(3, "app"));
        assert_eq!(of(here, &[], "ghcr/deeper"), is(2, "deeper"));
        assert_eq!(of(here, &[], "docker.io"), is(0, "docker.io"));
    }

    #[test]
    fn a_registry_that_is_not_known_is_not_another() {
        for uri in
            ["/v2/?ns=evil.example", "/v2/?ns=ghcr.io&ns=docker.io", "/v2/?ns=ghcr.io%00", "/v2/?ns=ghcr.io/x", "/v2/?ns=."]
        {
            assert!(chosen(&request(uri, &[("oci-namespace", "ghcr.io"), ("host", "ghcr.io")]), "a").is_err(), "{uri}");
        }
        let none = Called { name: "a", ..Called::default() };
        assert!(matches!(choose(&[none], &Said::default(), None), Err(Error::NoDefault)));
        let hub = Called { own_host: DOCKER.into(), is_default: true, ..Called::default() };
        let longest = "x".repeat(RepositoryName::MAX_LENGTH).parse().unwrap();
        assert!(matches!(choose(&[hub], &Said::default(), Some(&longest)), Err(Error::Route(_))));
    }
}
