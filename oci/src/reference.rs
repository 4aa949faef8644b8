use std::{fmt, str::FromStr};

use crate::{Digest, InvalidDigest, InvalidTag, Tag};

/// What names a manifest inside a repository: a tag, or the manifest's digest.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Reference {
    /// A name that can move.
    Tag(Tag),
    /// The content itself.
    Digest(Digest),
}

/// The text is neither a tag nor a digest.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidReference {
    /// It has a colon, so it was meant as a digest.
    #[error(transparent)]
    Digest(#[from] InvalidDigest),
    /// It has no colon, so it was meant as a tag.
    #[error(transparent)]
    Tag(#[from] InvalidTag),
}

impl Reference {
    /// The tag or digest as text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Tag(tag) => tag.as_str(),
            Self::Digest(digest) => digest.as_str(),
        }
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        if text.contains(':') { Ok(Self::Digest(text.parse()?)) } else { Ok(Self::Tag(text.parse()?)) }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trips(text in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}|sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}") {
            prop_assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }

        #[test]
        fn never_panics(text: String) {
            let _ = text.parse::<Reference>();
        }
    }
}
