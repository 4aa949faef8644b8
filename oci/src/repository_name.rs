use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A repository's name: path components of lower-case letters and digits, joined inside by `.`, `_`, `__` or dashes, and to each
/// other by `/` (distribution-spec, "Pulling manifests"). At most [`RepositoryName::MAX_LENGTH`] bytes.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RepositoryName(Arc<str>);

/// The text is not a repository's name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidRepositoryName {
    /// A component breaks the grammar.
    #[error(
        "a repository name is lower-case letters and digits, joined by single '.', '_', '__' or dashes, in components joined by '/'"
    )]
    Grammar,
    /// It is longer than clients can take.
    #[error("a repository name has at most 255 characters")]
    TooLong,
}

impl RepositoryName {
    /// The longest name taken, in bytes: many clients limit host and name together to 255.
    pub const MAX_LENGTH: usize = 255;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RepositoryName {
    type Err = InvalidRepositoryName;

    fn from_str(text: &str) -> Result<Self, InvalidRepositoryName> {
        if text.len() > Self::MAX_LENGTH {
            return Err(InvalidRepositoryName::TooLong);
        }
        if !text.split('/').all(is_component) {
            return Err(InvalidRepositoryName::Grammar);
        }
        Ok(Self(text.into()))
    }
}

/// Whether the text is `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn is_component(text: &str) -> bool {
    let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    if !bytes.first().is_some_and(|&byte| is_alphanumeric(byte)) || !bytes.last().is_some_and(|&byte| is_alphanumeric(byte)) {
        return false;
    }
    bytes
        .split(|&byte| is_alphanumeric(byte))
        .all(|separator| matches!(separator, [] | [b'.' | b'_'] | [b'_', b'_']) || separator.iter().all(|&byte| byte == b'-'))
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for RepositoryName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RepositoryName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn takes_what_the_grammar_allows() {
        for name in ["a", "library/alpine", "a.b", "a_b", "a__b", "a---b", "0/1/2", "v2/manifests/blobs"] {
            assert!(name.parse::<RepositoryName>().is_ok(), "{name}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for name in ["", "/", "a/", "/a", "a//b", "A", "a..b", "a___b", "-a", "a-", "a._b", "a b", "ä", "..", "_catalog"] {
            assert_eq!(name.parse::<RepositoryName>(), Err(InvalidRepositoryName::Grammar), "{name}");
        }
        assert_eq!("a".repeat(256).parse::<RepositoryName>(), Err(InvalidRepositoryName::TooLong));
    }

    proptest! {
        #[test]
        fn round_trips(name in "[a-z0-9]{1,5}(([._]|__|-{1,3})[a-z0-9]{1,5}){0,3}(/[a-z0-9]{1,5}){0,3}") {
            let parsed: RepositoryName = name.parse().unwrap();
            prop_assert_eq!(parsed.as_str(), name);
        }
    }

    #[test]
    fn serialised_it_is_its_text() {
        let name: RepositoryName = "library/alpine".parse().unwrap();
        let json = serde_json::to_string(&name).unwrap();
        assert_eq!(json, r#""library/alpine""#);
        assert_eq!(serde_json::from_str::<RepositoryName>(&json).unwrap(), name);
        assert!(serde_json::from_str::<RepositoryName>(r#""Library""#).is_err());
    }
}
