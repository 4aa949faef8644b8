//! Who is responsible for a topic where nobody says so: rendezvous hashing (Thaler and Ravishankar, 1998), by BLAKE3 of the name, keyed
//! with the topic.
//!
//! How two stand to each other depends on nothing but them and the topic. So when one goes, only what was its own moves, and all who
//! know the same others agree without a word.

use std::cmp::Reverse;

use libp2p_identity::PeerId;

use crate::topic::TopicKey;

/// The first `count` trackers of a topic by their names; of fewer, all. All of a fleet must be told the same names.
pub fn trackers_of<'a, Name: AsRef<str> + Ord>(
    names: impl IntoIterator<Item = &'a Name>,
    topic: &TopicKey,
    count: usize,
) -> Vec<&'a Name> {
    let weight = |name: &Name| *blake3::keyed_hash(&topic.0, name.as_ref().as_bytes()).as_bytes();
    let mut ranked: Vec<_> = names.into_iter().map(|name| (Reverse((weight(name), name)), name)).collect();
    ranked.sort_unstable();
    ranked.dedup_by(|one, other| one.1 == other.1);
    ranked.into_iter().take(count).map(|(_, name)| name).collect()
}

/// Which stripes of a blob's pieces a node fetches from the origin while no tracker says it: each stripe is that member's of the zone
/// that has the highest score for it. `alive` are those that the node believes to be there; it counts itself in, whether or not it is
/// among them. Two nodes that believe different things of a third may both fetch its stripes, or nobody does: then whoever waits for a
/// piece asks for it itself.
pub fn fallback<'a>(topic: &TopicKey, alive: impl IntoIterator<Item = &'a PeerId>, own: &PeerId, stripes: u8) -> Vec<u8> {
    let mut unbeaten: Vec<_> = (0..stripes).zip(scores(topic, own, stripes)).collect();
    for other in alive {
        if unbeaten.is_empty() {
            break;
        }
        let theirs = scores(topic, other, stripes);
        unbeaten.retain(|(stripe, score)| (*score, own) >= (theirs[usize::from(*stripe)], other));
    }
    unbeaten.into_iter().map(|(stripe, _)| stripe).collect()
}

fn scores(topic: &TopicKey, peer: &PeerId, stripes: u8) -> Vec<u64> {
    let mut bytes = vec![0; usize::from(stripes) * size_of::<u64>()];
    blake3::Hasher::new_keyed(&topic.0).update(&peer.to_bytes()).finalize_xof().fill(&mut bytes);
    bytes.as_chunks().0.iter().map(|score| u64::from_le_bytes(*score)).collect()
}

#[cfg(test)]
mod tests;
