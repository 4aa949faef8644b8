//! What the runtime shows registries where it asks them itself.

use std::fmt;

use longshore_client::{Secret, port_here};
use longshore_edge_cache::config::Upstream;

/// Accounts by registry: those by which the node itself pulls. A runtime that goes through the node needs none; one that asks a registry
/// itself shows that registry the node's account there, and no other.
#[derive(Clone, Default)]
pub struct Logins(Vec<(String, Login)>);

/// An account of a registry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Login {
    /// Its name.
    pub username: String,
    /// Its secret.
    pub password: Secret,
}

impl Logins {
    /// Those of a node with these upstreams.
    pub fn of(upstreams: &[Upstream]) -> Self {
        let login = |upstream: &Upstream| {
            let registry = upstream.registry().ok().filter(|_| !upstream.username.is_empty())?;
            let password = Secret::new(upstream.password.reveal());
            Some((called(registry.authority()), Login { username: upstream.username.clone(), password }))
        };
        Self(upstreams.iter().filter_map(login).collect())
    }

    /// That for the registry of an image, and how the image names that registry.
    pub fn of_image<'a>(&self, image: &'a str) -> Option<(&'a str, &Login)> {
        let (host, _) = image.split_once('/')?;
        let called = called(host);
        self.0.iter().find(|(registry, _)| *registry == called).map(|(_, login)| (host, login))
    }
}

impl fmt::Debug for Logins {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.0.iter().map(|(registry, _)| registry)).finish()
    }
}

/// One name for all that this machine has.
fn called(host: &str) -> String {
    port_here(host).map_or_else(|| host.to_ascii_lowercase(), |port| format!("127.0.0.1{port}"))
}

#[cfg(test)]
mod tests {
    use longshore_service::config::Secret as Text;

    use super::*;

    fn upstream(url: &str, username: &str) -> Upstream {
        let (username, password) = (username.to_owned(), Text::new("a secret".to_owned()));
        Upstream { url: url.to_owned(), username, password, hosts: vec!["alias.example".to_owned()], ..Upstream::default() }
    }

    #[test]
    fn a_registry_is_shown_the_account_that_is_for_it_and_no_other() {
        let upstreams = [
            upstream("http://127.0.0.1:5000", "here"),
            upstream("https://registry.example", "there"),
            upstream("https://open.example", ""),
        ];
        let logins = Logins::of(&upstreams);
        let of = |image: &str| logins.of_image(image).map(|(host, login)| (host.to_owned(), login.username.clone()));
        let login = |host: &str, username: &str| Some((host.to_owned(), username.to_owned()));
        assert_eq!(of("localhost:5000/team/app@sha256:00"), login("localhost:5000", "here"));
        assert_eq!(of("Registry.example/app:1"), login("Registry.example", "there"));
        for other in ["localhost:5001/app", "open.example/app", "alias.example/app", "app", "library/app"] {
            assert_eq!(of(other), None, "{other}");
        }
        assert!(!format!("{logins:?}").contains("secret"));
    }
}
