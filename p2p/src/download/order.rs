//! What a download wants done.

use std::{ops::Range, time::Duration};

use libp2p_identity::PeerId;
use longshore_oci::piece::PieceIndex;

/// Which request to the origin: counted up, so none comes twice in a download.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RunId(pub u64);

/// Something that a download wants done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Order {
    /// Ask a peer for a piece.
    Ask {
        /// Whom.
        peer: PeerId,
        /// For which.
        piece: PieceIndex,
    },
    /// Tell a peer that the piece isn't wanted of it any more. What still comes of it is nobody's, though a piece that comes whole all
    /// the same may be handed in.
    Cancel {
        /// Whom.
        peer: PeerId,
        /// Which.
        piece: PieceIndex,
    },
    /// Ask the origin for pieces in a row.
    AskOrigin {
        /// The request.
        id: RunId,
        /// First and past the last.
        pieces: Range<u32>,
        /// Why.
        ground: Ground,
    },
    /// Break a request to the origin off. It is over by that; no end of it need be told.
    CancelOrigin {
        /// The request.
        id: RunId,
        /// Whether that is for its own sake: it brings nothing, or too little for its time.
        has_stalled: bool,
    },
    /// A peer was passed by: what it was asked for is asked of others. For who counts; the cancels are orders of their own.
    PassBy {
        /// Whom.
        peer: PeerId,
        /// Why.
        why: Why,
    },
    /// Ask a tracker for a lease to ask the origin. Repeated each [`super::DownloadSettings::takeover`] while none comes.
    NeedLease,
}

/// Why a peer was passed by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why {
    /// It sent nothing for longer than its own pace allows.
    Silent,
    /// It sends, but others would bring the piece sooner.
    Slow,
}

/// Why the origin is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ground {
    /// The node holds the lease.
    Lease,
    /// Nobody else fetches it.
    Takeover,
    /// A client waits for it in vain.
    Client,
    /// Peers are far slower than the origin was, or bring nothing.
    SlowPeers,
}

impl Ground {
    /// Its name, as metrics have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lease => "lease",
            Self::Takeover => "takeover",
            Self::Client => "client",
            Self::SlowPeers => "slow_peers",
        }
    }
}

/// How a request to the origin ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RunEnd {
    /// All was sent.
    Done,
    /// It broke off, or what came was wrong; the origin isn't asked again for so long.
    Failed {
        /// How long.
        retry_after: Duration,
    },
}
