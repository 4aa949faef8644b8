//! What is asked for, and what is served.

use std::time::Duration;

use libp2p_identity::PeerId;
use longshore_oci::piece::PieceIndex;

use crate::{locality::Nearness, topic::TopicKey};

/// What a peer asks for.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The blob.
    pub topic: TopicKey,
    /// Which piece of it.
    pub piece: PieceIndex,
    /// How long that piece is, by the blob's geometry.
    pub bytes: u64,
    /// How near the peer is.
    pub nearness: Nearness,
    /// Whether the peer has no piece of the blob yet.
    pub is_newcomer: bool,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asking {
    /// It waits, or did already, or is being served.
    Taken,
    /// It is not served: the queue is full.
    Rejected {
        /// When it may be asked again.
        retry_after: Duration,
    },
}

/// Which serve: one that has ended is never taken for another.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServeId(pub u64);

/// A piece to be sent now. It holds a slot until [`super::Uploads::served`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Serve {
    /// Which serve it is.
    pub id: ServeId,
    /// To whom.
    pub peer: PeerId,
    /// The blob.
    pub topic: TopicKey,
    /// Which piece of it.
    pub piece: PieceIndex,
    /// How long that piece is.
    pub bytes: u64,
}

/// What a cancel found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cancelled {
    /// The request waited, and waits no more.
    Waiting,
    /// It is being served: who sends it is to stop, and to say how far it came.
    Serving(ServeId),
    /// There is no such request; what was asked for may just have gone.
    Unknown,
}
