use std::{fmt, net::IpAddr, sync::Arc};

use reqwest::Url;

use crate::ClientError;

/// Where a registry answers: `http` or `https`, a host, perhaps a port, and nothing more, since the distribution API
/// always begins at the root (distribution-spec, "API").
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RegistryUrl(Arc<Url>);

/// The text is not a registry's URL.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidRegistryUrl {
    /// It can't be read, has no host, or has a path or query.
    #[error(
        "{0:?} is not a registry's URL; one is written http://127.0.0.1:5000, https://registry.example.org or localhost:5000"
    )]
    Malformed(String),
    /// It is for another protocol.
    #[error("a registry's URL begins with http:// or https://, not {0}://")]
    Scheme(String),
    /// It holds a user name or a password, which would show in process lists and logs.
    #[error("a registry's URL must hold no user name or password")]
    UserInfo,
}

impl RegistryUrl {
    /// Reads a URL, or a bare `host:port`, which means `https` unless the host is this machine or `plain_http` is set.
    pub fn parse(text: &str, plain_http: bool) -> Result<Self, InvalidRegistryUrl> {
        let malformed = || InvalidRegistryUrl::Malformed(text.to_owned());
        if text.contains("://") {
            return Self::of(&text.parse().map_err(|_| malformed())?).ok_or_else(malformed)?;
        }
        let secure: Url = format!("https://{text}").parse().map_err(|_| malformed())?;
        let secure = Self::of(&secure).ok_or_else(malformed)??;
        if !plain_http && !secure.is_loopback() {
            return Ok(secure);
        }
        // Read again rather than changed: a port that is one scheme's own would be lost on the way to the other.
        Self::of(&format!("http://{text}").parse().map_err(|_| malformed())?).ok_or_else(malformed)?
    }

    /// `None` where the URL has more than a registry's has.
    fn of(url: &Url) -> Option<Result<Self, InvalidRegistryUrl>> {
        if !matches!(url.scheme(), "http" | "https") {
            return Some(Err(InvalidRegistryUrl::Scheme(url.scheme().to_owned())));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Some(Err(InvalidRegistryUrl::UserInfo));
        }
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        (is_bare && url.has_host()).then(|| Ok(Self(Arc::new(url.clone()))))
    }

    /// The URL, with `/` as its path.
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// The host, with the port where it is not the scheme's own: `localhost:5000`, as docker names a registry.
    pub fn authority(&self) -> &str {
        self.0.authority()
    }

    /// The host alone.
    pub(crate) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The names that docker may have for it, were this its host: without the scheme's own port, and with it.
    pub(crate) fn names_with(&self, host: &str) -> Vec<String> {
        match (self.0.port(), self.0.port_or_known_default()) {
            (None, Some(default)) => vec![host.to_owned(), format!("{host}:{default}")],
            (Some(port), _) => vec![format!("{host}:{port}")],
            (None, None) => vec![host.to_owned()],
        }
    }

    /// The server at which a URL is, whatever its path.
    pub(crate) fn of_server(&self, url: &Url) -> Result<Self, ClientError> {
        let mut server = url.clone();
        server.set_path("/");
        server.set_query(None);
        server.set_fragment(None);
        let malformed = || ClientError::Malformed { registry: self.clone(), reason: "it names what is no server".to_owned() };
        Self::of(&server).and_then(Result::ok).ok_or_else(malformed)
    }

    /// Whether its scheme is `https`.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether the host is this machine, so that what is said to it crosses no network. Who connects to no address in particular comes
    /// out here, too.
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.ends_with(".localhost") || bare.parse().is_ok_and(is_here)
    }
}

fn is_here(address: IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_loopback() || address.is_unspecified()
}

impl fmt::Display for RegistryUrl {
    /// Without a slash at its end.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, InvalidRegistryUrl> {
        RegistryUrl::parse(text, false).map(|url| url.to_string())
    }

    #[test]
    fn takes_urls_and_bare_hosts() {
        for (text, url) in [
            ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
            ("http://127.0.0.1:5000/", "http://127.0.0.1:5000"),
            ("https://registry.example.org", "https://registry.example.org"),
            ("localhost:5000", "http://localhost:5000"),
            ("localhost:443", "http://localhost:443"),
            ("[::1]:5000", "http://[::1]:5000"),
            ("registry.example.org:5000", "https://registry.example.org:5000"),
            ("10.0.0.1:5000", "https://10.0.0.1:5000"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(url), "{text}");
        }
        let plain = RegistryUrl::parse("10.0.0.1:5000", true).expect("a host and a port");
        assert_eq!(plain.to_string(), "http://10.0.0.1:5000");
        assert!(!plain.is_loopback());
        for here in ["0.0.0.0:5000", "[::]:5000", "[::ffff:127.0.0.1]:5000", "127.8.8.8"] {
            assert!(RegistryUrl::parse(here, true).expect("a host").is_loopback(), "{here}");
        }
        assert_eq!(plain.authority(), "10.0.0.1:5000");
    }

    #[test]
    fn refuses_what_no_registry_has() {
        assert_eq!(shown("ftp://a"), Err(InvalidRegistryUrl::Scheme("ftp".to_owned())));
        assert_eq!(shown("http://u:p@a"), Err(InvalidRegistryUrl::UserInfo));
        for text in ["", "http://", "http://a/b", "http://a?b", "a/b", "a b", "a:70000"] {
            assert_eq!(shown(text), Err(InvalidRegistryUrl::Malformed(text.to_owned())), "{text}");
        }
    }
}
