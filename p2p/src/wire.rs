//! What is said on the [`plane`](crate::plane): frames, and how they are written.
//!
//! A frame is the length of its body (4 bytes), its kind (1 byte) and its body; numbers are little endian, a text is its length (2 bytes)
//! and UTF-8. Each kind has a limit of its own, which is looked at before anything is made room for. A kind that is not known is skipped
//! where its highest bit is set, and ends the connection where not. What a later version adds at the end of a `Hello` is not looked at.
//! Nothing here reads or writes: bytes become frames and frames bytes, and the same bytes always stand for the same frame.
//!
//! A [`TopicId`] is of who opened the topic with it, on this connection, whoever says it. The opener's frames are `Open`, `Ask`, `Cancel`
//! and `Close`; the answerer's are `Opened`, `Refused`, `Have`, `Rejected`, `Introduce` and blocks. Ids grow and are never used twice.
//! Each `Ask` is answered to an end once: by the last of its piece's blocks, or by `Rejected`. A `Cancel` makes that end come sooner, and
//! is no end itself; after a `Close` or `Refused` none is needed.

mod block;
mod decode;
mod encode;
mod fields;
mod frame;
mod kind;
#[cfg(test)]
pub(crate) mod tests;

pub use block::BlockHead;
pub use frame::{Frame, Hello, Open, Opened, Token, TopicId};
pub use kind::{Head, Kind};

/// The version of what is said here. Two peers go by the lower of theirs. A later one may say more at the end of a `Hello`, as no other
/// frame can be known to be understood before both have greeted.
pub const VERSION: u16 = 1;
/// The length of a frame's head, in bytes.
pub const HEAD_BYTES: usize = 5;
/// The most bytes of a piece in a block.
pub const BLOCK_BYTES: usize = 64 << 10;
/// The longest token, in bytes.
pub const MOST_TOKEN_BYTES: usize = 16 << 10;
/// The most pieces that a blob has whose pieces are told of here: as many make 1 TiB.
pub const MOST_PIECES: u32 = 1 << 20;
/// The longest metainfo, in bytes.
pub const MOST_METAINFO_BYTES: usize = 16 << 20;
/// The most records in an introduction.
pub const MOST_RECORDS: usize = 16;
/// The longest reason to leave, in bytes.
pub const MOST_REASON_BYTES: usize = 200;

/// Why bytes are no frame, or what should be said can't be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidFrame {
    /// The kind is not known here, and not one that may be skipped.
    #[error("a frame of the unknown kind {0}")]
    UnknownKind(u8),
    /// It is longer than those of its kind may be.
    #[error("a frame {kind:?} of {bytes} bytes, where {most} are the most")]
    TooLong {
        /// Its kind; `None` where that is not known and would be skipped.
        kind: Option<Kind>,
        /// How long its body is.
        bytes: usize,
        /// How long it may be.
        most: usize,
    },
    /// A part of it is not what it should be.
    #[error("a frame {kind:?} whose {part} is malformed")]
    Malformed {
        /// Its kind.
        kind: Kind,
        /// Which part.
        part: &'static str,
    },
}
