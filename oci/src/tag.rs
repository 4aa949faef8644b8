use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A tag: up to 128 of `[a-zA-Z0-9._-]`, the first of them neither `.` nor `-` (distribution-spec, "Pulling manifests").
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Tag(Box<str>);

/// The text is not a tag.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a tag is 1 to 128 of letters, digits, '.', '_' and '-', and begins with none of '.' and '-'")]
pub struct InvalidTag;

impl Tag {
    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is one for signatures and the like: `sha256-`, a digest's digits, and perhaps `.sig`, `.att` or `.sbom`.
    pub fn is_of_a_digest(&self) -> bool {
        let Some(rest) = self.0.strip_prefix("sha256-") else { return false };
        let (digits, kind) = rest.split_once('.').unwrap_or((rest, "sig"));
        digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) && matches!(kind, "sig" | "att" | "sbom")
    }
}

impl FromStr for Tag {
    type Err = InvalidTag;

    fn from_str(text: &str) -> Result<Self, InvalidTag> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let bytes = text.as_bytes();
        let begins_well = bytes.first().is_some_and(|&byte| is_word(byte));
        if !begins_well || bytes.len() > 128 || !bytes.iter().all(|&byte| is_word(byte) || byte == b'.' || byte == b'-') {
            return Err(InvalidTag);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_those_that_are_made_of_a_digest() {
        let digits = "0f".repeat(32);
        for (tag, expected) in [
            (format!("sha256-{digits}"), true),
            (format!("sha256-{digits}.sig"), true),
            (format!("sha256-{digits}.att"), true),
            (format!("sha256-{digits}.txt"), false),
            (format!("sha256-{digits}0.sig"), false),
            (format!("sha512-{digits}.sig"), false),
            ("sha256-list".to_owned(), false),
            ("v1.sig".to_owned(), false),
        ] {
            assert_eq!(tag.parse::<Tag>().expect("a tag").is_of_a_digest(), expected, "{tag}");
        }
    }

    #[test]
    fn follows_the_grammar() {
        let longest = "x".repeat(128);
        for tag in ["latest", "1.2.3", "_", "A-b.c", longest.as_str()] {
            assert!(tag.parse::<Tag>().is_ok(), "{tag}");
        }
        let too_long = "x".repeat(129);
        for tag in ["", ".a", "-a", "a b", "a/b", "a:b", "é", too_long.as_str()] {
            assert_eq!(tag.parse::<Tag>(), Err(InvalidTag), "{tag}");
        }
    }
}
