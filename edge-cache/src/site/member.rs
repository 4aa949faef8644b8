use std::{fmt, sync::Arc};

use longshore_client::{InvalidRegistryUrl, RegistryUrl};

/// One edge of a site, by the URL at which the others reach it: `https://edge-1.example.org:5100`. Members must all write it alike.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Member(Arc<str>);

/// The text is no member's URL.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidMember {
    /// See [`InvalidRegistryUrl`].
    #[error("{text:?} is not the URL of an edge")]
    Url {
        /// The text.
        text: String,
        /// Why not.
        #[source]
        source: InvalidRegistryUrl,
    },
    /// What is sent could be read, or changed, on its way.
    #[error("{0} is plain HTTP to another machine: set allow_plain_http = true if it may be")]
    PlainHttp(String),
}

impl Member {
    /// Reads a URL of no more than a scheme, a host and perhaps a port.
    pub fn parse(text: &str, allow_plain_http: bool) -> Result<Self, InvalidMember> {
        let url = RegistryUrl::parse(text, allow_plain_http);
        let url = url.map_err(|source| InvalidMember::Url { text: text.to_owned(), source })?;
        if !url.is_https() && !url.is_loopback() && !allow_plain_http {
            return Err(InvalidMember::PlainHttp(url.to_string()));
        }
        Ok(Self(url.to_string().into()))
    }

    /// The URL, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

impl fmt::Display for Member {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_same_however_it_is_written() {
        let of = |text| Member::parse(text, false).unwrap();
        assert_eq!(of("https://Edge-1.example.org:443/"), of("edge-1.example.org"));
        assert_eq!(of("http://127.0.0.1:5100").as_str(), "http://127.0.0.1:5100");
        assert_ne!(of("https://a.example"), of("https://a.example:5100"));
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(Member::parse("http://10.0.0.1:5100", false), Err(InvalidMember::PlainHttp("http://10.0.0.1:5100".into())));
        assert!(Member::parse("http://10.0.0.1:5100", true).is_ok());
        for text in ["", "ftp://a.example", "https://a.example/x", "https://me:secret@a.example"] {
            assert!(matches!(Member::parse(text, true), Err(InvalidMember::Url { .. })), "{text}");
        }
    }
}
