use std::iter;

use crate::{RegistryUrl, docker_hub};

/// Names of one and the same machine; people write one to docker and another to us.
const LOOPBACK_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The names under which docker may keep a registry's credentials, the one that it is called by now first.
pub(super) fn server_names(registry: &RegistryUrl) -> Vec<String> {
    if registry.is_docker_hub() {
        return docker_hub::LOGIN_NAMES.map(str::to_owned).to_vec();
    }
    let host = registry.host();
    let is_loopback = LOOPBACK_HOSTS.contains(&host);
    let others = LOOPBACK_HOSTS.into_iter().filter(|other| is_loopback && *other != host);
    iter::once(host).chain(others).flat_map(|host| registry.names_with(host)).collect()
}

/// The name in a key of `auths`: old dockers wrote `https://` before it and a path after it.
pub(super) fn server_name(key: &str) -> &str {
    let name = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    name.split_once('/').map_or(name, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_those_of_docker() {
        let names = |text: &str| server_names(&RegistryUrl::parse(text, false).expect("a registry"));
        assert_eq!(names("registry.example.org"), ["registry.example.org", "registry.example.org:443"]);
        assert_eq!(names("registry.example.org:443"), ["registry.example.org", "registry.example.org:443"]);
        assert_eq!(names("registry.example.org:5000"), ["registry.example.org:5000"]);
        assert_eq!(names("127.0.0.1:5000"), ["127.0.0.1:5000", "localhost:5000", "[::1]:5000"]);
        assert_eq!(names("[::1]:5000"), ["[::1]:5000", "localhost:5000", "127.0.0.1:5000"]);
        assert_eq!(names("http://127.0.0.2:5000"), ["127.0.0.2:5000"]);
        assert_eq!(names("registry-1.docker.io")[0], "https://index.docker.io/v1/");
    }

    #[test]
    fn are_found_in_old_keys() {
        for key in ["h:5000", "https://h:5000", "http://h:5000/", "https://h:5000/v1/", "h:5000/team"] {
            assert_eq!(server_name(key), "h:5000", "{key}");
        }
    }
}
