use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use reqwest::{Client, Url};

use crate::{CertificateFolders, ClientError, ClientOptions, RegistryUrl, docker_hub};

/// How many other servers' connections are kept; a registry has a few storage hosts and a token service.
const MAX_SERVERS: usize = 16;

/// Servers that a registry sends its callers to, for bytes or for tokens.
///
/// None is shown the caller's certificate; the same authorities are trusted, and the waits are as long. Nobody goes from another
/// machine's registry to this machine's loopback, nor from TLS to plain HTTP.
#[derive(Debug)]
pub(crate) struct Elsewhere {
    /// The registry's, without what says who asks.
    options: ClientOptions,
    token_realms: Vec<String>,
    clients: Mutex<HashMap<String, Client>>,
}

impl Elsewhere {
    /// Those of a registry that is reached like this. Credentials go to the token services at these hosts, written with the port
    /// where it is not the scheme's own.
    pub(crate) fn new(options: &ClientOptions, token_realms: Vec<String>) -> Self {
        let mut options = options.clone();
        (options.credentials, options.certificate) = (None, None);
        options.certificate_folders = CertificateFolders::default();
        Self { options, token_realms, clients: Mutex::default() }
    }

    /// The connections to a URL's server.
    pub(crate) async fn client(&self, url: &Url) -> Result<Client, ClientError> {
        let registry = self.options.registry.of_server(url)?;
        let name = registry.to_string();
        if let Some(client) = self.clients.lock().unwrap_or_else(PoisonError::into_inner).get(&name) {
            return Ok(client.clone());
        }
        if let Some(reason) = self.objection(&registry) {
            return Err(ClientError::Astray { registry: self.options.registry.clone(), location: name, reason });
        }
        let options = ClientOptions { registry, ..self.options.clone() };
        let built = tokio::task::spawn_blocking(move || options.build()).await;
        let client = built.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= MAX_SERVERS {
            clients.clear();
        }
        clients.insert(name, client.clone());
        Ok(client)
    }

    /// Whether one goes to such a token service, and if need be with credentials.
    pub(crate) fn is_realm(&self, realm: &Url, with_credentials: bool) -> bool {
        let Ok(server) = self.options.registry.of_server(realm) else { return false };
        if self.objection(&server).is_some() {
            return false;
        }
        let is_named = || self.token_realms.iter().any(|named| named.eq_ignore_ascii_case(server.authority()));
        let is_known = || self.options.registry.is_docker_hub() && server.to_string() == docker_hub::TOKEN_SERVER;
        !with_credentials || is_named() || is_known()
    }

    fn objection(&self, server: &RegistryUrl) -> Option<&'static str> {
        let registry = &self.options.registry;
        if registry.is_https() && !server.is_https() {
            return Some("which is plain HTTP, where anyone between can read and change what is sent");
        }
        if server.is_loopback() && !registry.is_loopback() {
            return Some("which is this machine itself, and not the registry's");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elsewhere(registry: &str, token_realms: &[&str]) -> Elsewhere {
        let registry = RegistryUrl::parse(registry, false).expect("a registry");
        Elsewhere::new(&ClientOptions::new(registry), token_realms.iter().map(|&realm| realm.to_owned()).collect())
    }

    fn url(text: &str) -> Url {
        text.parse().expect("a URL")
    }

    #[test]
    fn shows_credentials_where_it_was_told_to() {
        let named = elsewhere("https://r.example", &["auth.example", "auth.example:8443"]);
        for (realm, anonymously, with_credentials) in [
            ("https://auth.example/token", true, true),
            ("https://AUTH.example:8443/token?a=b", true, true),
            ("https://auth.example:8444/token", true, false),
            ("https://other.example/token", true, false),
            ("http://auth.example/token", false, false),
            ("https://127.0.0.1/token", false, false),
            ("ftp://auth.example/token", false, false),
        ] {
            assert_eq!(named.is_realm(&url(realm), false), anonymously, "{realm}");
            assert_eq!(named.is_realm(&url(realm), true), with_credentials, "{realm}");
        }
        assert!(elsewhere("https://docker.io", &[]).is_realm(&url("https://auth.docker.io/token"), true));
        assert!(!elsewhere("https://r.example", &[]).is_realm(&url("https://auth.docker.io/token"), true));
    }

    #[tokio::test]
    async fn goes_from_nowhere_to_this_machine() {
        let error = elsewhere("https://r.example", &[]).client(&url("https://127.0.0.1:9000/b?secret=hush")).await;
        let error = error.expect_err("this machine").to_string();
        assert!(error.contains("https://127.0.0.1:9000, which is this machine") && !error.contains("hush"), "{error}");
        assert!(elsewhere("http://127.0.0.1:5000", &[]).client(&url("http://localhost:9000/b")).await.is_ok());
        let far = elsewhere("http://127.0.0.1:5000", &[]).client(&url("http://192.0.2.1/b")).await;
        assert!(matches!(far, Err(ClientError::PlainHttp(_))));
    }
}
