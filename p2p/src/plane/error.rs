use std::{io, net::SocketAddr};

use libp2p_identity::PeerId;
use longshore_oci::piece::PieceIndex;

use crate::wire::{InvalidFrame, TopicId};

/// Why there is no endpoint, or none that listens.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// No certificate can be made.
    #[error("a certificate for the node's key can't be made")]
    Certificate(#[from] libp2p_tls::certificate::GenError),
    /// It can't be used.
    #[error("the certificate for the node's key can't be used")]
    Tls(#[from] rustls::Error),
    /// What it would say of itself can't be said.
    #[error("what a node says of itself can't be said")]
    Hello(#[source] InvalidFrame),
    /// The address can't be listened on.
    #[error("{address} can't be listened on for pieces")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Why a peer was not reached.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// As many connections as may be were made here.
    #[error("too many connections were made already")]
    Full,
    /// It is this node.
    #[error("{0} is this node itself")]
    Oneself(PeerId),
    /// Its record has no address.
    #[error("no address of {0} is known")]
    NoAddress(PeerId),
    /// There is no connection.
    #[error("{address} can't be connected to")]
    Connect {
        /// Where it should be.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It took too long.
    #[error("{address} took too long {doing}")]
    TimedOut {
        /// Where it should be.
        address: SocketAddr,
        /// What it was doing.
        doing: &'static str,
    },
    /// TLS or the greeting broke; also who has all the connections that it may have, or takes this node for a stranger, just breaks off.
    #[error("{address} broke off the handshake")]
    Handshake {
        /// Where it is.
        address: SocketAddr,
        /// How.
        #[source]
        source: io::Error,
    },
    /// Somebody else is there.
    #[error("who is at {address} is not {expected}")]
    WrongPeer {
        /// Where.
        address: SocketAddr,
        /// Who should be.
        expected: PeerId,
    },
    /// It has not proven that it is of the fleet.
    #[error("{peer} at {address} is not of this fleet")]
    Stranger {
        /// Where it is.
        address: SocketAddr,
        /// Who it is.
        peer: PeerId,
    },
}

/// Why something can't be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SendError {
    /// So much waits already to be written that the peer must have stopped taking it.
    #[error("too much waits to be sent to the peer")]
    Full,
    /// The connection has ended.
    #[error("the connection has ended")]
    Ended,
    /// It can't be said.
    #[error("it can't be said")]
    Invalid(#[from] InvalidFrame),
    /// As many topics are open at the peer, or pieces asked of it, as may be.
    #[error("too much is asked of the peer already")]
    TooMuchAsked,
    /// The topic is not open, or has no such piece.
    #[error("nothing is open at the peer that has this piece")]
    NotOpen,
    /// The piece is asked for already, or its cancelling has not been answered yet.
    #[error("the piece is asked of the peer already")]
    AlreadyAsked,
    /// The peer has not asked for the piece, needs it no more, or has its answer.
    #[error("the peer does not wait for the piece")]
    NotOwed,
    /// The piece is being sent already.
    #[error("the piece is being sent to the peer already")]
    AlreadySending,
}

/// Why a connection has ended.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The peer has left.
    #[error("the peer left: {}", .0.escape_debug())]
    Left(String),
    /// It broke.
    #[error("the connection broke")]
    Broken(#[from] io::Error),
    /// The peer says nothing, though it was asked.
    #[error("the peer is silent")]
    Silent,
    /// The peer takes nothing.
    #[error("the peer takes nothing")]
    Stalled,
    /// The peer takes too long for a frame.
    #[error("the peer takes too long for a frame")]
    SlowFrame,
    /// The peer says what can't be understood.
    #[error("the peer sent what is no frame")]
    Frame(#[from] InvalidFrame),
    /// The peer says what it may not say.
    #[error("the peer broke the rules")]
    Rules(#[from] Violation),
    /// This end has ended it; where that was the other half, that half says why.
    #[error("the connection was ended here")]
    Ended,
}

/// What a peer may not say.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Violation {
    /// It greets twice.
    #[error("it greeted twice")]
    SecondHello,
    /// It answers what was not asked.
    #[error("it answered for the topic {0:?}, which was never opened there, or was answered already")]
    Topic(TopicId),
    /// It sends a metainfo that was not asked for.
    #[error("it sent a metainfo for the topic {0:?}, which was not asked for")]
    Metainfo(TopicId),
    /// It has a piece that does not exist.
    #[error("it has the piece {1:?} of the topic {0:?}, which does not exist")]
    NoSuchPiece(TopicId, PieceIndex),
    /// It answers for a piece that was not asked for.
    #[error("it answered for the piece {1:?} of the topic {0:?}, which was not asked of it")]
    NotAsked(TopicId, PieceIndex),
    /// The bytes are not those after the ones that it sent before, or more than the piece has.
    #[error("it sent bytes of the piece {1:?} of the topic {0:?} that are not the next")]
    NotNext(TopicId, PieceIndex),
    /// It asks for a piece that it waits for.
    #[error("it asked for the piece {1:?} of the topic {0:?}, though it was not answered yet")]
    AskedTwice(TopicId, PieceIndex),
    /// It uses an id for the second time, or speaks of one that it has not used.
    #[error("it used the id {0:?} out of turn")]
    Id(TopicId),
}
