use std::time::Duration;

use longshore_oci::piece::PieceIndex;
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    record::PeerRecord,
    wire::{Open, Opened, TopicId},
};

/// What a peer has said. `Open`, `Close`, `Ask` and `Cancel` are about topics that it has opened here, and their ids its own; all
/// the others are about topics that were opened there, and their ids those that [`Sender::open`](super::Sender::open) gave.
#[derive(Debug)]
pub enum Event {
    /// It opens a topic, and is to be answered.
    Open(Open),
    /// It has closed a topic, and needs nothing more of it. What it asked of it needs no answer, and what is being sent was cancelled.
    Close {
        /// The topic.
        id: TopicId,
    },
    /// It asks for a piece, and is to be answered: by the piece or a rejection. What is answered or not wanted any more can't be answered
    /// again, so each question has one end whatever is tried.
    Ask {
        /// The topic.
        id: TopicId,
        /// The piece.
        piece: PieceIndex,
    },
    /// It needs a piece no more that it asked for, and that was not being sent yet. It has been answered: the question can be dropped.
    Cancel {
        /// The topic.
        id: TopicId,
        /// The piece.
        piece: PieceIndex,
    },
    /// A topic is open.
    Opened {
        /// What the peer has of it.
        opened: Opened,
        /// The room that the metainfo takes among [`Limits::metainfo_bytes`](super::Limits::metainfo_bytes), where it was long.
        room: Option<OwnedSemaphorePermit>,
    },
    /// A topic is not open, or not any more, or there was no room in time for what the peer says of it. What was asked for of it won't
    /// come.
    Refused {
        /// The topic.
        id: TopicId,
    },
    /// The peer has one more piece.
    Have {
        /// The topic.
        id: TopicId,
        /// The piece.
        piece: PieceIndex,
    },
    /// More of a piece came, but not yet all of it.
    Progress {
        /// The topic.
        id: TopicId,
        /// The piece.
        piece: PieceIndex,
        /// How much there is of it.
        received_bytes: u32,
    },
    /// A piece came, unchecked.
    Piece(Piece),
    /// A piece won't come that was asked for, and not cancelled.
    Rejected {
        /// The topic.
        id: TopicId,
        /// The piece.
        piece: PieceIndex,
        /// When it is worth asking again.
        retry_after: Duration,
    },
    /// Peers who have to do with a topic.
    Introduced {
        /// The topic.
        id: TopicId,
        /// The peers.
        records: Vec<PeerRecord>,
    },
}

/// A piece as a peer has sent it: of the right length, and not known to be right.
#[derive(Debug)]
pub struct Piece {
    /// The topic.
    pub id: TopicId,
    /// Which it is.
    pub piece: PieceIndex,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The memory that was set aside for them.
    pub memory: OwnedSemaphorePermit,
}
