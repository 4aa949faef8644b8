//! What a peer and a tracker say to each other.

mod wire;

use std::{collections::HashSet, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

pub(super) use wire::WireAnswer;

use super::{ControlError, Standing};
use crate::{
    record::{MOST_ADDRESSES, PeerRecord},
    topic::{MOST_REGISTRY_BYTES, Topic, TopicKey},
    wire::MOST_TOKEN_BYTES,
};

/// The largest message, in bytes, of either side.
pub const MOST_MESSAGE_BYTES: usize = 1 << 20;
/// The most topics of one announcement; who has more makes several.
pub const MOST_TOPICS: usize = 256;
/// The most topics withdrawn by one announcement.
pub const MOST_WITHDRAWN: usize = 4096;

/// What a peer tells a tracker.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Announce {
    /// Who it is and where it is reached. An address that stands for all of its own, `0.0.0.0`, becomes the one that the tracker sees; a peer on the
    /// tracker's own machine names those that others can reach, for the tracker sees its loopback.
    pub record: PeerRecord,
    /// What it holds or fetches, each once; each announced before is renewed.
    pub topics: Vec<AnnouncedTopic>,
    /// What it holds no longer.
    pub withdraw: Vec<TopicKey>,
}

/// A topic that a peer is in.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AnnouncedTopic {
    /// Which.
    pub topic: Topic,
    /// The registry's word that the peer may have it.
    pub token: Option<String>,
    /// How much of it the peer holds.
    pub state: Holding,
    /// Of how many others it would be told.
    pub wants_peers: u16,
    /// How many stripes it would fetch from the origin.
    pub wants_origin: u8,
}

/// How much of a blob a peer holds.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Holding {
    /// Pieces that it has.
    pub pieces: u32,
    /// Pieces that there are.
    pub of: u32,
}

/// What came of an announcement.
#[derive(Clone, Debug)]
pub struct Announced {
    /// One for each topic that was announced, in their order.
    pub topics: Vec<TopicAnswer>,
    /// How long the tracker knows of it.
    pub standing: Standing,
}

/// What a tracker answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// One for each topic that was announced, in their order.
    Topics(Vec<TopicAnswer>),
    /// The announcement is not taken, whoever's topics they are.
    Refused,
    /// There is no time for it now; come again.
    Busy {
        /// After so many milliseconds.
        retry_after_ms: u32,
    },
}

/// What a tracker answers to one topic.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TopicAnswer {
    /// The peer may have it, and is told who else is in it.
    Told(Introduction),
    /// The same for no token, one that does not hold, and a topic that nobody knows.
    Refused,
}

/// Who else is in a topic, and what there is to do about the origin.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Introduction {
    /// Some of the others, no more than were wanted, and none twice.
    pub peers: Vec<ToldPeer>,
    /// What the peer may fetch from the origin.
    pub origin: OriginLease,
    /// When to announce again, in milliseconds: within half of [`ControlSettings::idle_timeout`](super::ControlSettings::idle_timeout).
    pub again_in_ms: u32,
}

/// Another peer of a topic.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ToldPeer {
    /// Who, and where.
    pub record: Arc<PeerRecord>,
    /// Whether it has all of the blob.
    pub has_all: bool,
}

/// The stripes of a blob that one peer of a zone fetches from the origin. It takes the place of what was leased to the peer before.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OriginLease {
    /// Their numbers from 0, in order, and no more than were wanted.
    pub stripes: Vec<u8>,
    /// Into how many stripes the blob falls.
    pub of: u8,
    /// How long the lease holds from when the peer asked, in milliseconds: no two machines' clocks need agree.
    pub for_ms: u32,
}

impl Announce {
    /// Whether a tracker would take as much as this.
    pub(super) fn check(&self) -> Result<(), ControlError> {
        let different: HashSet<&Topic> = self.topics.iter().map(|announced| &announced.topic).collect();
        let longest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0);
        for (what, count, most) in [
            ("topics", self.topics.len(), MOST_TOPICS),
            ("topics that are in it twice", self.topics.len() - different.len(), 0),
            ("withdrawn topics", self.withdraw.len(), MOST_WITHDRAWN),
            ("addresses", self.record.pieces.len(), MOST_ADDRESSES),
            ("bytes of a token", longest(&mut self.topics.iter().map(AnnouncedTopic::token_bytes)), MOST_TOKEN_BYTES),
            (
                "bytes of a registry's name",
                longest(&mut self.topics.iter().map(|topic| topic.topic.registry.len())),
                MOST_REGISTRY_BYTES,
            ),
            ("names too long of where the peer is", usize::from(!self.record.locality.has_short_names()), 0),
            ("bytes", self.most_bytes(), MOST_MESSAGE_BYTES),
        ] {
            if count > most {
                return Err(ControlError::TooLarge { what, count, most });
            }
        }
        Ok(())
    }

    /// As several of which each is small enough for a message, to be announced one after another: what is withdrawn, and then the topics in
    /// the same order.
    pub fn split(self) -> Vec<Self> {
        let Self { record, topics, withdraw } = self;
        let empty = Self { record, topics: Vec::new(), withdraw: Vec::new() };
        let part = |withdraw: &[TopicKey]| Self { withdraw: withdraw.to_vec(), ..empty.clone() };
        let mut parts: Vec<Self> = withdraw.chunks(MOST_WITHDRAWN).map(part).collect();
        let mut last = parts.pop().unwrap_or_else(|| empty.clone());
        let mut bytes = last.most_bytes();
        for topic in topics {
            if last.topics.len() == MOST_TOPICS || bytes + topic.most_bytes() > MOST_MESSAGE_BYTES {
                parts.push(std::mem::replace(&mut last, empty.clone()));
                bytes = last.most_bytes();
            }
            bytes += topic.most_bytes();
            last.topics.push(topic);
        }
        parts.push(last);
        parts
    }

    /// As CBOR, not more than this.
    fn most_bytes(&self) -> usize {
        let topics: usize = self.topics.iter().map(AnnouncedTopic::most_bytes).sum();
        48 + most_bytes_of_record(&self.record) + topics + 72 * self.withdraw.len()
    }
}

impl AnnouncedTopic {
    /// Whether a tracker would take it, in whatever announcement.
    pub(crate) fn fits(&self) -> bool {
        self.token_bytes() <= MOST_TOKEN_BYTES && self.topic.registry.len() <= MOST_REGISTRY_BYTES
    }

    fn token_bytes(&self) -> usize {
        self.token.as_ref().map_or(0, String::len)
    }

    fn most_bytes(&self) -> usize {
        let topic = &self.topic;
        144 + topic.registry.len() + topic.repository.as_str().len() + topic.digest.as_str().len() + self.token_bytes()
    }
}

impl fmt::Debug for AnnouncedTopic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The token is a secret.
        write!(formatter, "{} {}/{}", self.topic, self.state.pieces, self.state.of)
    }
}

/// A record as CBOR, not more than this.
fn most_bytes_of_record(record: &PeerRecord) -> usize {
    let locality = &record.locality;
    let names: usize = [&locality.region, &locality.zone, &locality.rack, &locality.host].iter().map(|name| name.len() + 5).sum();
    128 + record.peer.to_bytes().len() + 48 * record.pieces.len() + names
}

#[cfg(test)]
pub(super) mod tests;
