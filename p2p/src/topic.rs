//! What a swarm is about.

use std::{fmt, sync::Arc};

use longshore_oci::{Digest, RepositoryName};
use serde::{Deserialize, Serialize};

/// The longest name of a registry, in bytes: a host's name, a colon and a port.
pub const MOST_REGISTRY_BYTES: usize = 253 + 6;

/// A blob, as one that a repository of a registry has: who may pull from there may have it, and nobody else hears of it.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Topic {
    /// The registry, by the name that all nodes have for it: `registry.example.org`.
    pub registry: Arc<str>,
    /// The repository there.
    pub repository: RepositoryName,
    /// The blob.
    pub digest: Digest,
}

/// A topic's short name: it tells nothing to who can't guess the topic.
#[derive(Clone, Copy, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct TopicKey(pub [u8; 32]);

impl Topic {
    /// Its short name.
    pub fn key(&self) -> TopicKey {
        let mut hasher = blake3::Hasher::new_derive_key("longshore swarm topic v1");
        for part in [&self.registry, self.repository.as_str(), self.digest.as_str()] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        TopicKey(*hasher.finalize().as_bytes())
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}@{}", self.registry, self.repository, self.digest)
    }
}

impl fmt::Debug for TopicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use longshore_oci::Algorithm;

    use super::*;

    #[test]
    fn a_key_is_of_one_topic() {
        let topic = |registry: &str, repository: &str, content: &[u8]| Topic {
            registry: registry.into(),
            repository: repository.parse().unwrap(),
            digest: Digest::of(Algorithm::Sha256, content),
        };
        let one = topic("a", "b/c", b"1");
        assert_eq!(one.key(), topic("a", "b/c", b"1").key());
        for other in [topic("ab", "c", b"1"), topic("a", "b/c", b"2"), topic("a", "b/d", b"1"), topic("b", "b/c", b"1")] {
            assert_ne!(one.key(), other.key(), "{other}");
        }
    }
}
