//! Peer ids: libp2p brings a version of their crate of its own, whose types are others. Their bytes are the same.

use libp2p_identity::PeerId;

/// An id as all of this crate has it.
pub(super) fn ours(peer: libp2p::PeerId) -> PeerId {
    PeerId::from_bytes(&peer.to_bytes()).expect("each version takes the ids of the other")
}

/// An id as libp2p's swarm has it.
pub(super) fn swarms(peer: PeerId) -> libp2p::PeerId {
    libp2p::PeerId::from_bytes(&peer.to_bytes()).expect("each version takes the ids of the other")
}

#[cfg(test)]
mod tests {
    use libp2p_identity::Keypair;

    use super::*;

    #[test]
    fn both_versions_mean_the_same_peer() {
        // One that is its key, as ours are, and one that is a key's hash.
        for peer in [Keypair::generate_ed25519().public().to_peer_id(), PeerId::random()] {
            let same = swarms(peer);
            assert_eq!((ours(same), same.to_string()), (peer, peer.to_string()));
        }
    }
}
