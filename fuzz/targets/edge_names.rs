//! What a request means at an edge: one registry and a repository as that calls it, or none at all. What the client shows is for the
//! registry whose host the request went to, and is shown to no other. The first line is the request's target, the others are headers.
#![no_main]

use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
};

use http::{Request, header, request::Parts};
use libfuzzer_sys::fuzz_target;
use longshore_edge_cache::{
    Config,
    names::{self, Meant},
    upstream::{Upstream, UpstreamMetrics, UpstreamSettings},
};
use longshore_oci::{Query, RepositoryName, Route};
use longshore_service::metrics::Metrics;

/// Nothing is asked of them.
const UPSTREAMS: &str = "
[[upstream]]
name = 'main'
url = 'http://127.0.0.1:5000'
[[upstream]]
name = 'hub'
url = 'http://127.0.0.1:5001'
hosts = ['docker.io']
path_prefix = 'docker.io'
[[upstream]]
name = 'ghcr'
url = 'http://127.0.0.1:5002'
hosts = ['ghcr.io', 'GHCR.edge.example']
[[upstream]]
name = 'quay.io'
url = 'http://127.0.0.1:5003'
path_prefix = 'mirror/quay'
takes_credentials = true
";

static ALL: LazyLock<Vec<Arc<Upstream>>> = LazyLock::new(|| {
    let config = Config::parse_str(UPSTREAMS).unwrap();
    let (metrics, default) = (UpstreamMetrics::new(&Metrics::new()), config.default_upstream());
    let opened = config.upstream.iter().enumerate().map(|(position, upstream)| {
        let settings = upstream.to_settings(position == default).unwrap();
        Arc::new(Upstream::new(settings, &metrics).unwrap())
    });
    opened.collect()
});

fuzz_target!(|text: &str| {
    let Some(parts) = request(text) else { return };
    let asked = match Route::parse(parts.uri.path()) {
        Ok(Route::Manifest(name, _) | Route::Blob(name, _) | Route::Tags(name) | Route::Referrers(name, _)) => Some(name),
        Ok(Route::Base) => None,
        _ => return,
    };
    match names::meant(ALL.iter(), &parts, asked.as_ref(), false) {
        Ok(meant) => {
            check_upstream(&meant, &parts);
            check_repository(&meant, asked.as_ref());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});

fn request(text: &str) -> Option<Parts> {
    let mut lines = text.lines();
    let mut request = Request::get(lines.next()?);
    for line in lines {
        let (name, value) = line.split_once(": ")?;
        request = request.header(name, value);
    }
    Some(request.body(()).ok()?.into_parts().0)
}

/// A registry that is named is the one that is meant, and what is shown to it is for it.
fn check_upstream(meant: &Meant, parts: &Parts) {
    let settings = meant.upstream.settings();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty());
    let query = Query::new(parts.uri.query().unwrap_or_default());
    let named: BTreeSet<String> =
        query.all(names::PARAMETER).map(|name| name.into_owned()).filter(|name| !name.is_empty()).collect();
    assert!(named.len() <= 1, "one of several was taken");
    if let Some(name) = named.first().map(String::as_str).or_else(|| header("oci-namespace")) {
        assert!(is_called(settings, &plain(name)), "{name} is not {}", settings.name);
    }
    let host = parts.uri.authority().map(|authority| authority.as_str()).or_else(|| header(header::HOST.as_str()));
    let of_host = host.and_then(|host| ALL.iter().find(|upstream| is_host(upstream.settings(), host)));
    let is_for_it = of_host.map_or(settings.is_default, |upstream| Arc::ptr_eq(upstream, &meant.upstream));
    assert_eq!(meant.is_shown, is_for_it || settings.takes_credentials, "{host:?} and {}", settings.name);
}

/// A repository is what was asked for, or its end, or docker's by its full name.
fn check_repository(meant: &Meant, asked: Option<&RepositoryName>) {
    assert_eq!(meant.repository.is_some(), asked.is_some());
    let Some((own, asked)) = meant.repository.as_ref().zip(asked) else { return };
    assert_eq!(own.as_str().parse::<RepositoryName>().as_ref(), Ok(own));
    let is_end = |name: &str| asked.as_str() == name || asked.as_str().ends_with(&format!("/{name}"));
    let is_docker = meant.upstream.name() == "hub";
    let is_library = || own.as_str().strip_prefix("library/").is_some_and(|name| !name.contains('/') && is_end(name));
    assert!(is_end(own.as_str()) || is_docker && is_library(), "{asked} became {own}");
    assert!(!is_docker || own.as_str().contains('/'), "docker has no {own}");
}

fn is_called(settings: &UpstreamSettings, name: &str) -> bool {
    settings.name == name || settings.url.authority() == name || settings.hosts.iter().any(|host| host == name)
}

/// Whether a host, with a port or without, is one of its own.
fn is_host(settings: &UpstreamSettings, host: &str) -> bool {
    let host = plain(host);
    let bare = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let bare = plain(bare.map_or(&host, |(bare, _)| bare));
    settings.hosts.contains(&bare)
}

fn plain(host: &str) -> String {
    let host = host.trim_start().trim_end_matches(|end: char| end == '.' || end.is_whitespace()).to_ascii_lowercase();
    if ["index.docker.io", "registry-1.docker.io"].contains(&host.as_str()) { "docker.io".to_owned() } else { host }
}
