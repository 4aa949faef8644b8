use std::{fmt, str::FromStr};

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

#[cfg(test)]
mod tests {
    use super::*;

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
