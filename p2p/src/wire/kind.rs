use longshore_oci::RepositoryName;

use super::{
    BLOCK_BYTES, HEAD_BYTES, InvalidFrame, MOST_METAINFO_BYTES, MOST_PIECES, MOST_REASON_BYTES, MOST_RECORDS, MOST_TOKEN_BYTES,
    block::BLOCK_HEAD_BYTES,
};
use crate::{locality::MOST_NAME_BYTES, record::MOST_ADDRESSES, topic::MOST_REGISTRY_BYTES};

/// The bit of a kind that may be skipped by who does not know it.
const OPTIONAL: u8 = 0x80;
/// The longest frame that is skipped, in bytes.
const MOST_SKIPPED_BYTES: usize = 64 << 10;
/// The longest text of a digest, in bytes: `sha512:` and its hex digits.
pub(super) const MOST_DIGEST_BYTES: usize = 7 + 128;
/// The longest peer id, in bytes.
pub(super) const MOST_PEER_ID_BYTES: usize = 80;

/// The longest text of so many bytes, written.
const fn text(most: usize) -> usize {
    2 + most
}

/// An address: which family, the IP, the port.
const ADDRESS_BYTES: usize = 1 + 16 + 2;
const ADDRESSES_BYTES: usize = 1 + MOST_ADDRESSES * ADDRESS_BYTES;
const LOCALITY_BYTES: usize = 4 * text(MOST_NAME_BYTES);
const RECORD_BYTES: usize = 1 + MOST_PEER_ID_BYTES + ADDRESSES_BYTES + LOCALITY_BYTES;
const TOPIC_BYTES: usize = text(MOST_REGISTRY_BYTES) + text(RepositoryName::MAX_LENGTH) + text(MOST_DIGEST_BYTES);
/// What has to be understood of a greeting.
const HELLO_BYTES: usize = 2 + LOCALITY_BYTES + ADDRESSES_BYTES + 1 + 32;
/// What later versions may add to one, in bytes.
const HELLO_MORE_BYTES: usize = 4096;
/// A frame that opens a topic's answer without its metainfo.
const OPENED_BYTES: usize = 4 + 8 + (MOST_PIECES as usize).div_ceil(64) * 8 + 1;

/// What a frame is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// Who greets: the first frame of each side, and said once.
    Hello = 1,
    /// Opens a topic.
    Open = 2,
    /// It is open, and which pieces are there.
    Opened = 3,
    /// It is not, or no longer, open.
    Refused = 4,
    /// One more piece is there.
    Have = 5,
    /// A piece is asked for.
    Ask = 6,
    /// It is not wanted any more.
    Cancel = 7,
    /// It won't be sent.
    Rejected = 8,
    /// A part of a piece.
    Block = 9,
    /// A topic is not wanted any more.
    Close = 10,
    /// Peers who have to do with a topic.
    Introduce = 11,
    /// Is anybody there?
    Ping = 12,
    /// Yes.
    Pong = 13,
    /// The connection ends, and why.
    Bye = 14,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Hello,
        Self::Open,
        Self::Opened,
        Self::Refused,
        Self::Have,
        Self::Ask,
        Self::Cancel,
        Self::Rejected,
        Self::Block,
        Self::Close,
        Self::Introduce,
        Self::Ping,
        Self::Pong,
        Self::Bye,
    ];

    /// The longest body of one, in bytes.
    pub const fn most_bytes(self) -> usize {
        match self {
            Self::Hello => HELLO_BYTES + HELLO_MORE_BYTES,
            Self::Open => 4 + TOPIC_BYTES + 1 + 1 + text(MOST_TOKEN_BYTES),
            Self::Opened => OPENED_BYTES + MOST_METAINFO_BYTES,
            Self::Refused | Self::Close => 4,
            Self::Have | Self::Ask | Self::Cancel => 8,
            Self::Ping | Self::Pong => 0,
            Self::Rejected => 12,
            Self::Block => BLOCK_HEAD_BYTES - HEAD_BYTES + BLOCK_BYTES,
            Self::Introduce => 4 + 1 + MOST_RECORDS * RECORD_BYTES,
            Self::Bye => text(MOST_REASON_BYTES),
        }
    }

    /// The same for a frame that carries no metainfo, as none may that was not asked for.
    pub const fn most_bytes_without_metainfo(self) -> usize {
        match self {
            Self::Opened => OPENED_BYTES,
            kind => kind.most_bytes(),
        }
    }

    fn of(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte).checked_sub(1)?).copied()
    }
}

/// A frame's head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Head {
    /// A frame that is known here, and how long its body is.
    Known {
        /// What it is.
        kind: Kind,
        /// The length of its body, no more than the kind's limit.
        body_bytes: usize,
    },
    /// A frame that is to be skipped.
    Skipped {
        /// The length of its body.
        body_bytes: usize,
    },
}

impl Head {
    /// Reads a head.
    pub fn decode(bytes: [u8; HEAD_BYTES]) -> Result<Self, InvalidFrame> {
        let [length @ .., kind] = bytes;
        let body_bytes = usize::try_from(u32::from_le_bytes(length)).expect("32 bits fit");
        let is_optional = kind & OPTIONAL != 0;
        match Kind::of(kind) {
            None if !is_optional => Err(InvalidFrame::UnknownKind(kind)),
            None => match MOST_SKIPPED_BYTES {
                most if body_bytes > most => Err(InvalidFrame::TooLong { kind: None, bytes: body_bytes, most }),
                _ => Ok(Self::Skipped { body_bytes }),
            },
            Some(kind) => {
                check_length(kind, body_bytes)?;
                Ok(Self::Known { kind, body_bytes })
            }
        }
    }

    /// Writes the head of a frame that is known.
    pub(super) fn encode(kind: Kind, body_bytes: usize) -> Result<[u8; HEAD_BYTES], InvalidFrame> {
        check_length(kind, body_bytes)?;
        let [a, b, c, d] = u32::try_from(body_bytes).expect("no limit is longer").to_le_bytes();
        Ok([a, b, c, d, kind as u8])
    }
}

fn check_length(kind: Kind, bytes: usize) -> Result<(), InvalidFrame> {
    let most = kind.most_bytes();
    if bytes > most { Err(InvalidFrame::TooLong { kind: Some(kind), bytes, most }) } else { Ok(()) }
}
