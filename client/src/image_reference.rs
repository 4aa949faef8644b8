use std::fmt;

use longshore_oci::{Digest, ImageText, InvalidDigest, InvalidRepositoryName, InvalidTag, Reference, RepositoryName, Tag};

use crate::{InvalidRegistryUrl, RegistryUrl};

/// An image as people write it: `[host[:port]/]repository[:tag][@digest]`, the grammar of docker's command line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ImageReference {
    /// The registry, where one is written before the repository.
    pub registry: Option<RegistryUrl>,
    /// The repository.
    pub repository: RepositoryName,
    /// The tag.
    pub tag: Option<Tag>,
    /// The digest; where it stands beside a tag, it alone says which manifest is meant.
    pub digest: Option<Digest>,
}

/// The text is not an image's reference.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidImageReference {
    /// What stands before the first slash looks like a host and can't be one.
    #[error(transparent)]
    Registry(#[from] InvalidRegistryUrl),
    /// The repository's name breaks the grammar.
    #[error(transparent)]
    Repository(#[from] InvalidRepositoryName),
    /// The text after the last colon is no tag.
    #[error(transparent)]
    Tag(#[from] InvalidTag),
    /// The text after `@` is no digest.
    #[error(transparent)]
    Digest(#[from] InvalidDigest),
}

impl ImageReference {
    /// Reads a reference. The part before the first slash is a registry if it has a dot or a colon or is `localhost`, as
    /// docker decides it; `http://` or `https://` before it settles the scheme, and else [`RegistryUrl::parse`] does.
    pub fn parse(text: &str, plain_http: bool) -> Result<Self, InvalidImageReference> {
        let ImageText { host, name, tag, digest } = ImageText::split(text);
        let registry = host.map(|host| RegistryUrl::parse(host, plain_http)).transpose()?;
        let digest = digest.map(str::parse).transpose()?;
        let tag = tag.map(str::parse).transpose()?;
        Ok(Self { registry, repository: name.parse()?, tag, digest })
    }

    /// What names the manifest: the digest, else the tag; `None` where neither is written.
    pub fn reference(&self) -> Option<Reference> {
        let tag = || self.tag.clone().map(Reference::Tag);
        self.digest.clone().map(Reference::Digest).or_else(tag)
    }
}

impl fmt::Display for ImageReference {
    /// As it is written within its registry: `repository[:tag][@digest]`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(formatter, ":{tag}")?;
        }
        self.digest.as_ref().map_or(Ok(()), |digest| write!(formatter, "@{digest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHA: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn parts(text: &str) -> (Option<String>, String, Option<String>) {
        let image = ImageReference::parse(text, false).expect("a reference");
        let registry = image.registry.as_ref().map(ToString::to_string);
        (registry, image.repository.to_string(), image.reference().map(|reference| reference.to_string()))
    }

    #[test]
    fn reads_every_form() {
        let of = |registry: Option<&str>, repository: &str, reference: Option<&str>| {
            (registry.map(str::to_owned), repository.to_owned(), reference.map(str::to_owned))
        };
        assert_eq!(parts("alpine"), of(None, "alpine", None));
        assert_eq!(parts("alpine:3.20"), of(None, "alpine", Some("3.20")));
        assert_eq!(parts("team/app:v1"), of(None, "team/app", Some("v1")));
        assert_eq!(parts("localhost/app"), of(Some("http://localhost"), "app", None));
        assert_eq!(parts("localhost:5000/alpine:1"), of(Some("http://localhost:5000"), "alpine", Some("1")));
        assert_eq!(parts("127.0.0.1:5000/a/b"), of(Some("http://127.0.0.1:5000"), "a/b", None));
        assert_eq!(parts("registry.example.org/a/b:1"), of(Some("https://registry.example.org"), "a/b", Some("1")));
        assert_eq!(parts("http://10.0.0.1:5000/a:1"), of(Some("http://10.0.0.1:5000"), "a", Some("1")));
        assert_eq!(parts(&format!("alpine@{SHA}")), of(None, "alpine", Some(SHA)));
        assert_eq!(parts(&format!("[::1]:5000/alpine:1@{SHA}")), of(Some("http://[::1]:5000"), "alpine", Some(SHA)));
    }

    #[test]
    fn says_which_part_is_wrong() {
        let error = |text: &str| ImageReference::parse(text, false).expect_err("no reference");
        assert!(matches!(error(""), InvalidImageReference::Repository(_)));
        assert!(matches!(error("Alpine"), InvalidImageReference::Repository(_)));
        assert!(matches!(error("alpine:"), InvalidImageReference::Tag(_)));
        assert!(matches!(error("alpine:-x"), InvalidImageReference::Tag(_)));
        assert!(matches!(error("alpine@latest"), InvalidImageReference::Digest(_)));
        assert!(matches!(error("ftp://a/b"), InvalidImageReference::Registry(_)));
        assert!(matches!(error("a:99999/b"), InvalidImageReference::Registry(_)));
    }

    proptest! {
        #[test]
        fn round_trips(text in "[a-z0-9]{1,8}(/[a-z0-9]{1,8}){0,2}(:[a-zA-Z0-9_][a-zA-Z0-9._-]{0,9})?(@sha256:[0-9a-f]{64})?") {
            prop_assert_eq!(ImageReference::parse(&text, false).expect("a reference").to_string(), text);
        }

        #[test]
        fn never_panics(text: String) {
            let _ = ImageReference::parse(&text, false);
        }
    }
}
