use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The hash functions that name content (image-spec, "Digests").
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Algorithm {
    /// SHA-256, the canonical one: 64 hex digits.
    Sha256,
    /// SHA-512: 128 hex digits.
    Sha512,
}

impl Algorithm {
    /// The name before the colon of a digest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// How many lower-case hex digits follow the colon.
    pub fn hex_length(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

impl FromStr for Algorithm {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        match text {
            "sha256" => Ok(Self::Sha256),
            "sha512" => Ok(Self::Sha512),
            _ => Err(InvalidDigest::UnsupportedAlgorithm),
        }
    }
}

/// The name of content by its hash: `sha256:` and 64 lower-case hex digits, or `sha512:` and 128.
///
/// Order and equality are those of the text.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Digest(Arc<str>);

/// Why a text is no digest that this system takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidDigest {
    /// There is no colon, or a part around it is empty or has a character that the grammar lacks.
    #[error("a digest is written algorithm:hex")]
    Grammar,
    /// The algorithm is well formed but not one of ours.
    #[error("the digest's algorithm is not supported; sha256 and sha512 are")]
    UnsupportedAlgorithm,
    /// The part after the colon is not as long as the algorithm's, or not lower-case hex.
    #[error("the digest's hash has the wrong length or a character other than 0-9 and a-f")]
    Hash,
}

impl Digest {
    /// The digest whose hash has these bytes: 32 of them for SHA-256, 64 for SHA-512.
    pub fn from_hash(algorithm: Algorithm, hash: &[u8]) -> Self {
        assert_eq!(hash.len() * 2, algorithm.hex_length(), "a hash is as long as its algorithm's");
        let mut text = String::with_capacity(algorithm.name().len() + 1 + hash.len() * 2);
        text.push_str(algorithm.name());
        text.push(':');
        for byte in hash {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
            }
        }
        Self(text.into())
    }

    /// The digest of `content`.
    pub fn of(algorithm: Algorithm, content: &[u8]) -> Self {
        let mut hasher = crate::Hasher::new(algorithm);
        hasher.update(content);
        hasher.digest()
    }

    /// Its hash function.
    pub fn algorithm(&self) -> Algorithm {
        if self.0.starts_with("sha256") { Algorithm::Sha256 } else { Algorithm::Sha512 }
    }

    /// The hex digits after the colon.
    pub fn hex(&self) -> &str {
        &self.0[self.algorithm().name().len() + 1..]
    }

    /// The whole text, `algorithm:hex`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Digest {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let (name, hash) = text.split_once(':').ok_or(InvalidDigest::Grammar)?;
        let of_algorithm = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+._-".contains(&byte);
        let of_hash = |byte: u8| byte.is_ascii_alphanumeric() || b"=_-".contains(&byte);
        if name.is_empty() || hash.is_empty() || !name.bytes().all(of_algorithm) || !hash.bytes().all(of_hash) {
            return Err(InvalidDigest::Grammar);
        }
        let algorithm: Algorithm = name.parse()?;
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if hash.len() != algorithm.hex_length() || !hash.bytes().all(is_hex) {
            return Err(InvalidDigest::Hash);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_known_content() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(Algorithm::Sha256, b"").as_str(), empty);
        assert_eq!(Digest::of(Algorithm::Sha512, b"").hex().len(), 128);
    }

    #[test]
    fn says_why_a_text_is_no_digest() {
        let parse = |text: &str| text.parse::<Digest>().unwrap_err();
        assert_eq!(parse("latest"), InvalidDigest::Grammar);
        assert_eq!(parse("sha256:"), InvalidDigest::Grammar);
        assert_eq!(parse("sha256:../../etc"), InvalidDigest::Grammar);
        assert_eq!(parse("md5:d41d8cd98f00b204e9800998ecf8427e"), InvalidDigest::UnsupportedAlgorithm);
        assert_eq!(parse("sha256:baddigeststring"), InvalidDigest::Hash);
        let upper = format!("sha256:{}", "A".repeat(64));
        assert_eq!(parse(&upper), InvalidDigest::Hash);
    }

    proptest! {
        #[test]
        fn round_trips(content: Vec<u8>, long: bool) {
            let algorithm = if long { Algorithm::Sha512 } else { Algorithm::Sha256 };
            let digest = Digest::of(algorithm, &content);
            prop_assert_eq!(digest.as_str().parse::<Digest>(), Ok(digest.clone()));
            prop_assert_eq!(digest.algorithm(), algorithm);
        }

        #[test]
        fn never_panics(text: String) {
            let _ = text.parse::<Digest>();
        }
    }
}
