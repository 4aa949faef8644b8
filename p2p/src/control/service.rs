//! What answers announcements.

use std::net::IpAddr;

use async_trait::async_trait;
use libp2p_identity::PeerId;

use super::{Announce, Answer};

/// A tracker as the control protocol sees it: a registry's or an edge's, around the pure state of one and the check of tokens.
#[async_trait]
pub trait TrackerService: Send + Sync + 'static {
    /// A peer announces, from this address. The record is the peer's own: its id was proven by the connection, and its addresses are such
    /// that others can reach. The answer has a [`TopicAnswer`](super::TopicAnswer) for each topic, in their order; one of a topic that
    /// the peer may not have, for whatever reason, is `Refused`.
    async fn announce(&self, peer: PeerId, from: IpAddr, announce: Announce) -> Answer;

    /// The last connection on which the peer announced has ended, and with it all that it announced. It is called on the task that owns
    /// the swarm, so it may not block; and never while an announcement of that peer is being answered.
    fn gone(&self, peer: PeerId);
}
