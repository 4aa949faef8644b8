//! What a node brings: what is here, who may have it, and memory.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use libp2p_identity::PeerId;
use longshore_oci::piece::{Geometry, PieceIndex, PieceSet};
use tokio::sync::OwnedSemaphorePermit;

use crate::{topic::Topic, wire::Token};

/// What is here of a blob.
#[derive(Clone, Debug)]
pub struct Kept {
    /// How it falls into pieces.
    pub geometry: Geometry,
    /// Which of them are here.
    pub pieces: PieceSet,
}

/// What is here. It is asked for by topic: what one registry's repository has is nothing to who may pull from another's, be it of the same
/// digest.
#[async_trait]
pub trait Holdings: Send + Sync + 'static {
    /// What is here of a blob; `None` where nothing is, nor will be soon. Must not wait for anything.
    fn kept(&self, topic: &Topic) -> Option<Kept>;

    /// A piece that is here, found right; `None` where it is not, or can't be read now.
    async fn read(&self, topic: &Topic, piece: PieceIndex) -> Option<Bytes>;

    /// What is known here of a topic beside its pieces, as [`Swarm::ask_about`](super::Swarm::ask_about) hands it on: a blob's signed
    /// metainfo, say. `None` where nothing is.
    async fn metainfo(&self, topic: &Topic) -> Option<Bytes>;
}

/// Who may have what.
#[async_trait]
pub trait Rights: Send + Sync + 'static {
    /// What this node shows to others, that it may have a topic; `None` where it needs nothing, or has nothing. It is asked for often.
    async fn token(&self, topic: &Topic) -> Option<Token>;

    /// For how long from now a peer may have a topic, by what it shows; `None` where it may not.
    async fn may_have(&self, topic: &Topic, peer: PeerId, token: Option<&Token>) -> Option<Duration>;

    /// Whether a peer may announce a topic here, and be told who else has to do with it, by what it shows: be anything known of it here or
    /// not.
    async fn may_announce(&self, topic: &Topic, peer: PeerId, token: Option<&Token>) -> bool;
}

/// The memory that pieces in flight count against.
pub trait Memory: Send + Sync + 'static {
    /// Sets memory for so many bytes aside, where there is some now.
    fn try_take(&self, bytes: u64) -> Option<OwnedSemaphorePermit>;
}
