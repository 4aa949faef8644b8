use crate::RegistryUrl;

/// The hosts that people name Docker's own registry by.
const HOSTS: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// The host where its distribution API answers.
const API_HOST: &str = "registry-1.docker.io";

/// The server that it gets its tokens from.
pub(crate) const TOKEN_SERVER: &str = "https://auth.docker.io";

/// The names under which docker may keep its credentials, docker's own first.
pub(crate) const LOGIN_NAMES: [&str; 4] = ["https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io"];

impl RegistryUrl {
    /// Whether this is Docker's own registry, by any of its names.
    pub fn is_docker_hub(&self) -> bool {
        self.is_https() && self.as_url().port().is_none() && HOSTS.contains(&self.host())
    }

    /// Where the registry's API answers, which for Docker's own is not where its name says.
    #[must_use]
    pub fn api(&self) -> Self {
        if !self.is_docker_hub() {
            return self.clone();
        }
        Self::parse(&format!("https://{API_HOST}"), false).expect("a host makes a registry's URL")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_at_another_name() {
        let api = |text: &str| RegistryUrl::parse(text, false).expect("a registry").api().to_string();
        assert_eq!(api("docker.io"), "https://registry-1.docker.io");
        assert_eq!(api("index.docker.io"), "https://registry-1.docker.io");
        for other in ["https://docker.io:5000", "http://docker.io", "https://ghcr.io"] {
            assert_eq!(api(other), other);
        }
    }
}
