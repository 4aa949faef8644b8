use std::{fmt, net::SocketAddr};

use bytes::Bytes;
use longshore_oci::piece::{Geometry, PieceIndex, PieceSet};

use crate::{locality::Locality, record::PeerRecord, topic::Topic};

/// A topic, by the number that its opener gave it on this connection.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TopicId(pub u32);

/// What says that a peer may have a topic. It is nothing for a log.
#[derive(Clone, Eq, PartialEq)]
pub struct Token(pub String);

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Token({} bytes)", self.0.len())
    }
}

/// All that is said, but for blocks: [`BlockHead`](super::BlockHead).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Frame {
    /// Who greets.
    Hello(Hello),
    /// A topic is to be opened.
    Open(Open),
    /// It is open.
    Opened(Opened),
    /// It is not: it is not there, or not for who asks, and these are not told apart. After an `Opened`: not any more.
    Refused {
        /// The topic.
        id: TopicId,
    },
    /// One more piece is there.
    Have {
        /// The topic.
        id: TopicId,
        /// The piece.
        piece: PieceIndex,
    },
    /// A piece is to be sent.
    Ask {
        /// The topic.
        id: TopicId,
        /// The piece.
        piece: PieceIndex,
    },
    /// It needn't be sent any more.
    Cancel {
        /// The topic.
        id: TopicId,
        /// The piece.
        piece: PieceIndex,
    },
    /// It won't be sent, or not to its end.
    Rejected {
        /// The topic.
        id: TopicId,
        /// The piece.
        piece: PieceIndex,
        /// When it is worth asking again, in milliseconds.
        retry_after_ms: u32,
    },
    /// A topic is not wanted any more.
    Close {
        /// The topic.
        id: TopicId,
    },
    /// Peers who have to do with a topic.
    Introduce {
        /// The topic.
        id: TopicId,
        /// The peers, at most [`MOST_RECORDS`](super::MOST_RECORDS).
        records: Vec<PeerRecord>,
    },
    /// To be answered.
    Ping,
    /// The answer.
    Pong,
    /// The connection ends.
    Bye {
        /// Why, for people: at most [`MOST_REASON_BYTES`](super::MOST_REASON_BYTES).
        reason: String,
    },
}

/// Who greets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hello {
    /// The highest version that it speaks, at least 1.
    pub version: u16,
    /// Where it is.
    pub locality: Locality,
    /// Where it takes connections for pieces, at most [`MOST_ADDRESSES`](crate::record::MOST_ADDRESSES).
    pub addresses: Vec<SocketAddr>,
    /// That it is of the fleet.
    pub proof: Option<[u8; 32]>,
}

/// A topic that is to be opened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Open {
    /// How it will be called.
    pub id: TopicId,
    /// What it is.
    pub topic: Topic,
    /// By what right, at most [`MOST_TOKEN_BYTES`](super::MOST_TOKEN_BYTES).
    pub token: Option<Token>,
    /// Whether its metainfo is to be sent.
    pub want_metainfo: bool,
}

/// What a topic's answerer has of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Opened {
    /// The topic.
    pub id: TopicId,
    /// How the blob falls into pieces, at most [`MOST_PIECES`](super::MOST_PIECES).
    pub geometry: Geometry,
    /// Which of them are there.
    pub pieces: PieceSet,
    /// Its metainfo, where that was asked for and is there: at most [`MOST_METAINFO_BYTES`](super::MOST_METAINFO_BYTES).
    pub metainfo: Option<Bytes>,
}

impl Frame {
    /// The kind of this frame.
    pub fn kind(&self) -> super::Kind {
        use super::Kind;
        match self {
            Self::Hello(_) => Kind::Hello,
            Self::Open(_) => Kind::Open,
            Self::Opened(_) => Kind::Opened,
            Self::Refused { .. } => Kind::Refused,
            Self::Have { .. } => Kind::Have,
            Self::Ask { .. } => Kind::Ask,
            Self::Cancel { .. } => Kind::Cancel,
            Self::Rejected { .. } => Kind::Rejected,
            Self::Close { .. } => Kind::Close,
            Self::Introduce { .. } => Kind::Introduce,
            Self::Ping => Kind::Ping,
            Self::Pong => Kind::Pong,
            Self::Bye { .. } => Kind::Bye,
        }
    }
}
