//! Which upstreams may be meant where containerd notes a registry.

use std::sync::Arc;

use http::{HeaderValue, Request};
use longshore_client::port_here;
use longshore_edge_cache::{Upstreams, names, upstream::Upstream};
use longshore_oci::RepositoryName;

/// The upstreams that a registry may be by its host, each with what it calls the repository. containerd notes the host without its port,
/// so there may be several; each is asked whether it has what is meant.
pub fn places(upstreams: &Upstreams, registry: &str, repository: &RepositoryName) -> Vec<(Arc<Upstream>, RepositoryName)> {
    if registry.is_empty() {
        // Nothing would mean the default upstream.
        return Vec::new();
    }
    let all_names = upstreams.iter().flat_map(|upstream| {
        let settings = upstream.settings();
        [settings.name.as_str(), settings.url.authority()].into_iter().chain(settings.hosts.iter().map(String::as_str))
    });
    let mut found: Vec<(Arc<Upstream>, RepositoryName)> = Vec::new();
    for name in [registry].into_iter().chain(all_names.filter(|name| is_host_of(registry, name))) {
        let Some((upstream, repository)) = place(upstreams, name, repository) else { continue };
        if !found.iter().any(|(known, _)| known.name() == upstream.name()) {
            found.push((upstream, repository));
        }
    }
    found
}

/// Whether a registry's name is this host with a port.
fn is_host_of(host: &str, name: &str) -> bool {
    let Some((of_name, port)) = name.rsplit_once(':') else { return false };
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_same = of_name.eq_ignore_ascii_case(host) || of_name.trim_matches(['[', ']']) == host;
    let is_here = |name: &str| port_here(name) == Some("");
    is_port && (is_same || is_here(of_name) && (is_here(host) || is_here(&format!("[{host}]"))))
}

/// The upstream that a pull on this machine means by a registry's name, and what it calls the repository.
fn place(upstreams: &Upstreams, name: &str, repository: &RepositoryName) -> Option<(Arc<Upstream>, RepositoryName)> {
    let mut request = Request::new(());
    request.headers_mut().insert("oci-namespace", HeaderValue::from_str(name).ok()?);
    let (parts, ()) = request.into_parts();
    let meant = names::meant(upstreams.iter(), &parts, Some(repository), true).ok()?;
    Some((meant.upstream, meant.repository?))
}

#[cfg(test)]
mod tests {
    use longshore_client::RegistryUrl;
    use longshore_edge_cache::upstream::{UpstreamMetrics, UpstreamSettings};
    use longshore_service::metrics::Metrics;

    use super::*;

    fn upstreams() -> Upstreams {
        let metrics = UpstreamMetrics::new(&Metrics::new());
        let upstream = |name: &str, url: &str, hosts: &[&str]| {
            let hosts = hosts.iter().map(|&host| host.to_owned()).collect();
            let settings = UpstreamSettings { hosts, ..UpstreamSettings::new(name, RegistryUrl::parse(url, false).unwrap()) };
            Arc::new(Upstream::new(settings, &metrics).unwrap())
        };
        Upstreams::new(vec![
            upstream("one", "http://127.0.0.1:5000", &[]),
            upstream("two", "https://registry.example:8443", &["mirror.example:1"]),
            upstream("docker.io", "https://registry-1.docker.io", &[]),
            upstream("other", "https://registry.example", &[]),
        ])
    }

    #[test]
    fn a_host_without_its_port_is_whichever_it_may_be() {
        let all = upstreams();
        let found = |registry: &str| -> Vec<String> {
            let found = places(&all, registry, &"team/app".parse().unwrap());
            found.iter().map(|(upstream, _)| upstream.name().to_owned()).collect()
        };
        assert_eq!(found("registry.example"), ["other", "two"]);
        for one in ["127.0.0.1", "localhost", "127.0.0.1:5000", "localhost:5000", "::1"] {
            assert_eq!(found(one), ["one"], "{one}");
        }
        assert_eq!(found("mirror.example"), ["two"]);
        for unknown in ["example", "elsewhere.example", "", "a b", "registry.example:1"] {
            assert!(found(unknown).is_empty(), "{unknown}");
        }
        let hub = places(&all, "docker.io", &"alpine".parse().unwrap());
        assert_eq!(hub[0].1.as_str(), "library/alpine");
    }
}
