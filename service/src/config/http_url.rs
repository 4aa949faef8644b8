//! The base URL of an HTTP server.

use std::fmt;
use std::str::FromStr;

use super::setting::optional_setting;

/// An absolute `http` or `https` URL with a host, kept without the slash at its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpUrl(String);

/// The text is not such a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpUrlError {
    /// It does not parse, has no host, or carries a query.
    #[error("a URL is a scheme, a host and perhaps a port and path, such as https://example.org:9000")]
    Malformed,
    /// It is for another protocol.
    #[error("the URL must begin with http:// or https://")]
    Scheme,
    /// It holds a user name or a password, which belong in settings of their own.
    #[error("the URL must not hold a user name or a password")]
    UserInfo,
}

impl HttpUrl {
    /// The URL, without a slash at its end, so that a path can follow.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether its scheme is `https`.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

impl FromStr for HttpUrl {
    type Err = HttpUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: http::Uri = text.parse().map_err(|_| HttpUrlError::Malformed)?;
        let authority = uri.authority().ok_or(HttpUrlError::Malformed)?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(HttpUrlError::Scheme);
        }
        if authority.as_str().contains('@') {
            return Err(HttpUrlError::UserInfo);
        }
        if authority.host().is_empty() || uri.query().is_some() {
            return Err(HttpUrlError::Malformed);
        }
        Ok(Self(uri.to_string().trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

crate::text_setting!(HttpUrl, "a URL such as \"https://example.org\"");
optional_setting!(HttpUrl, "", HttpUrl(String::new()));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_http_urls_and_drops_the_last_slash() {
        let url = |text: &str| text.parse::<HttpUrl>().map(|url| url.to_string());
        assert_eq!(url("http://127.0.0.1:9000/"), Ok("http://127.0.0.1:9000".to_owned()));
        assert_eq!(url("https://example.org/a/b"), Ok("https://example.org/a/b".to_owned()));
        assert_eq!(url("example.org"), Err(HttpUrlError::Scheme));
        assert_eq!(url("ftp://example.org"), Err(HttpUrlError::Scheme));
        assert_eq!(url("https://user:pass@example.org"), Err(HttpUrlError::UserInfo));
        assert_eq!(url("/only/a/path"), Err(HttpUrlError::Malformed));
    }
}
