//! Why a call came to nothing.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use libp2p::swarm::DialError;
use libp2p_identity::PeerId;

use super::{ControlAddress, ids};

type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// Why the control protocols can't be spoken, or a call has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ControlError {
    /// The certificate that proves the peer's id can't be made.
    #[error("no certificate can be made for the peer's key")]
    Certificate(#[source] Cause),
    /// Nothing can be listened for there.
    #[error("cannot listen at {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: Cause,
    },
    /// mDNS can't be spoken.
    #[error("cannot look for neighbours by mDNS")]
    Mdns(#[source] Arc<io::Error>),
    /// A message is larger, or has more of something, than the other end would take.
    #[error("{what} of the announcement: {count}, where at most {most} may be")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How much there is of it.
        count: usize,
        /// How much there may be.
        most: usize,
    },
    /// The address's name has no addresses.
    #[error("{address} cannot be resolved")]
    Unresolved {
        /// Which.
        address: ControlAddress,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// No connection could be made.
    #[error("{address} cannot be reached")]
    Unreachable {
        /// Where.
        address: ControlAddress,
        /// Why.
        #[source]
        source: Arc<DialError>,
    },
    /// Another peer is there.
    #[error("at {address} is {found}")]
    WrongPeer {
        /// Where, and who should be there.
        address: ControlAddress,
        /// Who is there.
        found: PeerId,
    },
    /// The address is this peer's own.
    #[error("{address} is this peer's own address")]
    Own {
        /// Which.
        address: ControlAddress,
    },
    /// There was no answer in time.
    #[error("no answer of {address} within {within:?}")]
    TimedOut {
        /// Whose.
        address: ControlAddress,
        /// The time there was.
        within: Duration,
    },
    /// The connection ended before the answer, or what came is none.
    #[error("the exchange with {address} broke off")]
    Broken {
        /// With whom.
        address: ControlAddress,
        /// How.
        #[source]
        source: Cause,
    },
    /// Whoever is there does not speak the protocol: a peer that is no tracker.
    #[error("{address} does not speak the protocol")]
    Unsupported {
        /// Where.
        address: ControlAddress,
    },
    /// What came does not answer what was asked.
    #[error("the answer of {address} makes no sense: {what}")]
    Nonsense {
        /// Whose.
        address: ControlAddress,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The tracker does not take the announcement: the record is not this peer's, or has more in it than it may.
    #[error("{address} refuses the announcement")]
    Refused {
        /// Who.
        address: ControlAddress,
    },
    /// The tracker has no time now.
    #[error("{address} is busy; it asks to be left alone for {retry_after:?}")]
    Busy {
        /// Who.
        address: ControlAddress,
        /// How long.
        retry_after: Duration,
    },
    /// The address failed a moment ago; nothing was tried.
    #[error("{address} failed a moment ago; it is tried again in {retry_after:?}")]
    BackingOff {
        /// Which.
        address: ControlAddress,
        /// When calls are tried again.
        retry_after: Duration,
    },
    /// There are as many calls under way as there may be; nothing was tried.
    #[error("{most} calls are under way already")]
    TooManyCalls {
        /// The limit.
        most: usize,
    },
    /// The control protocols are spoken no more.
    #[error("the control protocols have ended")]
    Closed,
}

impl ControlError {
    /// Of a connection that could not be made.
    pub(super) fn of_dial(address: &ControlAddress, error: DialError) -> Self {
        let address = address.clone();
        match error {
            DialError::WrongPeerId { obtained, .. } => Self::WrongPeer { address, found: ids::ours(obtained) },
            // The swarm leaves out the addresses at which it listens itself.
            DialError::LocalPeerId { .. } | DialError::NoAddresses => Self::Own { address },
            other => Self::Unreachable { address, source: Arc::new(other) },
        }
    }

    /// What calls are counted by.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Unresolved { .. } | Self::Unreachable { .. } | Self::WrongPeer { .. } | Self::Own { .. } => "unreachable",
            Self::TimedOut { .. } => "timeout",
            Self::Broken { .. } => "broken",
            Self::Unsupported { .. } => "unsupported",
            Self::Nonsense { .. } => "nonsense",
            Self::Refused { .. } => "refused",
            Self::Busy { .. } => "busy",
            Self::BackingOff { .. } => "backing_off",
            Self::TooManyCalls { .. } => "too_many",
            Self::Certificate(_) | Self::Listen { .. } | Self::Mdns(_) | Self::TooLarge { .. } | Self::Closed => "failed",
        }
    }
}
