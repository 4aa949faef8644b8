use std::{fmt, str::FromStr};

use http::{Uri, uri::Authority};

/// Where a mirror answers: `http` or `https`, a host, perhaps a port, and nothing more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MirrorUrl {
    is_plain: bool,
    authority: Authority,
}

/// The text is not a mirror's URL.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is not a mirror's URL; one is written http://127.0.0.1:5200")]
pub struct InvalidMirrorUrl(String);

impl MirrorUrl {
    /// The host, with the port where there is one.
    pub fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// Whether it is spoken to without TLS.
    pub fn is_plain(&self) -> bool {
        self.is_plain
    }
}

impl FromStr for MirrorUrl {
    type Err = InvalidMirrorUrl;

    fn from_str(text: &str) -> Result<Self, InvalidMirrorUrl> {
        let invalid = || InvalidMirrorUrl(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| invalid())?;
        let is_plain = match uri.scheme_str() {
            Some("http") => true,
            Some("https") => false,
            _ => return Err(invalid()),
        };
        let authority = uri.authority().filter(|authority| is_host(authority.as_str())).ok_or_else(invalid)?.clone();
        let is_bare = uri.path_and_query().is_none_or(|path| path == "/") && !text.contains('#');
        if is_bare { Ok(Self { is_plain, authority }) } else { Err(invalid()) }
    }
}

impl fmt::Display for MirrorUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", if self.is_plain { "http" } else { "https" }, self.authority)
    }
}

/// Whether a text is a host with or without a port, and safe as a folder's name: it holds no slash, and begins with no dot.
pub(super) fn is_host(text: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    let begins = text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[');
    let has_good_port = |authority: Authority| {
        let rest = &text[authority.host().len()..];
        rest.is_empty() || authority.port_u16().is_some()
    };
    begins && text.bytes().all(is_known) && text.parse::<Authority>().is_ok_and(has_good_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_a_scheme_and_a_host() {
        for text in ["http://127.0.0.1:5200", "https://mirror.example", "http://[::1]:5200"] {
            assert_eq!(text.parse::<MirrorUrl>().unwrap().to_string(), text);
        }
        assert_eq!("http://localhost:5200/".parse::<MirrorUrl>().unwrap().to_string(), "http://localhost:5200");
        for text in [
            "",
            "127.0.0.1:5200",
            "ftp://a",
            "http://a/b",
            "http://a?b",
            "http://a#b",
            "http://u:p@a",
            "http://a b",
            "http://a\"b",
            "http://a:x",
        ] {
            assert!(text.parse::<MirrorUrl>().is_err(), "{text}");
        }
    }
}
