//! An image as a container runtime names it.

use std::{fmt, str::FromStr};

use longshore_oci::{Digest, ImageText, InvalidDigest, InvalidRepositoryName, InvalidTag, RepositoryName, Tag};

use crate::text::as_text;

/// An image, whole: registry, repository, and a tag, a digest or both. Read as docker reads it: `alpine` is
/// `docker.io/library/alpine:latest`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Image {
    /// The registry's host, with its port where one is written.
    pub registry: String,
    /// The repository there.
    pub repository: RepositoryName,
    /// The tag; there is one wherever there is no digest.
    pub tag: Option<Tag>,
    /// The digest; where there is one, it alone says what is meant.
    pub digest: Option<Digest>,
}

/// A text is no image's name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidImage {
    /// It has a scheme.
    #[error("an image is named without http:// or https://")]
    Scheme,
    /// What stands before the first slash is no host.
    #[error("`{0}` is no host, with or without a port")]
    Registry(String),
    /// The repository's name breaks the grammar.
    #[error(transparent)]
    Repository(#[from] InvalidRepositoryName),
    /// What follows the last colon is no tag.
    #[error(transparent)]
    Tag(#[from] InvalidTag),
    /// What follows `@` is no digest.
    #[error(transparent)]
    Digest(#[from] InvalidDigest),
}

/// Where images are whose name has no host.
const DOCKER_HUB: &str = "docker.io";

impl Image {
    /// The same image by this digest alone: what runs is what was seen when it was chosen.
    #[must_use]
    pub fn at(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }
}

impl FromStr for Image {
    type Err = InvalidImage;

    fn from_str(text: &str) -> Result<Self, InvalidImage> {
        if text.contains("://") {
            return Err(InvalidImage::Scheme);
        }
        let ImageText { host, name, tag, digest } = ImageText::split(text);
        let registry = host.unwrap_or(DOCKER_HUB);
        if !is_authority(registry) {
            return Err(InvalidImage::Registry(registry.to_owned()));
        }
        let digest = digest.map(str::parse).transpose()?;
        let tag = tag.map(str::parse).transpose()?;
        let repository: RepositoryName =
            if registry == DOCKER_HUB && !name.contains('/') { format!("library/{name}").parse()? } else { name.parse()? };
        let tag = match (tag, &digest) {
            (None, None) => Some("latest".parse()?),
            (tag, _) => tag,
        };
        Ok(Self { registry: registry.to_owned(), repository, tag, digest })
    }
}

/// Whether it is a host's name or address, and perhaps a port.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, rest)) => {
                let is_address = address.parse::<std::net::Ipv6Addr>().is_ok();
                return is_address && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port));
            }
            None => return false,
        },
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.len() <= 253 && host.split('.').all(is_label) && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

impl fmt::Display for Image {
    /// Whole: `docker.io/library/alpine:latest`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(formatter, ":{tag}")?;
        }
        self.digest.as_ref().map_or(Ok(()), |digest| write!(formatter, "@{digest}"))
    }
}

as_text!(Image, "registry, repository, and a tag, a digest or both: `localhost:5000/hello:1`; read as docker reads it");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHA: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn is_read_as_docker_reads_it() {
        for (text, whole) in [
            ("alpine", "docker.io/library/alpine:latest"),
            ("alpine:3.20", "docker.io/library/alpine:3.20"),
            ("team/app", "docker.io/team/app:latest"),
            ("localhost:5000/hello:1", "localhost:5000/hello:1"),
            ("localhost/hello", "localhost/hello:latest"),
            ("[::1]:5000/a/b", "[::1]:5000/a/b:latest"),
            ("docker.io/alpine", "docker.io/library/alpine:latest"),
        ] {
            assert_eq!(text.parse::<Image>().unwrap().to_string(), whole, "{text}");
        }
        let both = format!("registry.example.org/a:1@{SHA}");
        assert_eq!(both.parse::<Image>().unwrap().to_string(), both);
        let pinned = format!("registry.example.org/a@{SHA}");
        assert_eq!(both.parse::<Image>().unwrap().at(SHA.parse().unwrap()).to_string(), pinned);
    }

    #[test]
    fn says_which_part_is_wrong() {
        let error = |text: &str| text.parse::<Image>().unwrap_err();
        assert_eq!(error("https://localhost/a"), InvalidImage::Scheme);
        for host in ["a..b", "localhost:", "localhost:0", "localhost:99999", "[::1", "[x]:1", "-a.b", "localhost:+5"] {
            assert_eq!(error(&format!("{host}/a")), InvalidImage::Registry(host.into()));
        }
        assert!(matches!(error(""), InvalidImage::Repository(_)));
        assert!(matches!(error("localhost/A"), InvalidImage::Repository(_)));
        assert!(matches!(error("alpine:"), InvalidImage::Tag(_)));
        assert!(matches!(error("alpine@latest"), InvalidImage::Digest(_)));
    }

    proptest! {
        #[test]
        fn what_is_written_whole_is_read_the_same(text in "([a-z]{1,5}(\\.[a-z]{1,5}|:[1-9][0-9]{0,3})/)?[a-z]{1,5}(/[a-z]{1,5})?(:[a-z0-9]{1,5})?") {
            let image: Image = text.parse().unwrap();
            prop_assert_eq!(image.to_string().parse(), Ok(image));
        }

        #[test]
        fn never_panics(text: String) {
            let _ = text.parse::<Image>();
        }
    }
}
