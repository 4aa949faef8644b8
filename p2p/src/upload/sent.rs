//! How often this node has sent which piece, so that what it has sent least goes first.

use std::collections::BTreeMap;

use longshore_oci::piece::PieceIndex;

use crate::topic::TopicKey;

/// Counts of pieces sent. Of more pieces than are kept in mind, the blob of which nothing was sent for longest is forgotten; a blob that
/// has more by itself begins anew.
#[derive(Debug)]
pub struct Sent {
    most_pieces: usize,
    pieces: usize,
    now: u64,
    topics: BTreeMap<TopicKey, Counts>,
    by_use: BTreeMap<u64, TopicKey>,
}

#[derive(Debug, Default)]
struct Counts {
    used: u64,
    of: BTreeMap<PieceIndex, u32>,
}

impl Sent {
    /// None, of at most so many pieces, but at least one.
    pub fn new(most_pieces: usize) -> Self {
        Self { most_pieces: most_pieces.max(1), pieces: 0, now: 0, topics: BTreeMap::new(), by_use: BTreeMap::new() }
    }

    /// How often a piece was sent.
    pub fn count(&self, topic: &TopicKey, piece: PieceIndex) -> u32 {
        self.topics.get(topic).and_then(|counts| counts.of.get(&piece)).copied().unwrap_or(0)
    }

    /// A piece is being sent.
    pub fn add(&mut self, topic: TopicKey, piece: PieceIndex) {
        self.now += 1;
        let counts = self.topics.entry(topic).or_default();
        self.by_use.remove(&counts.used);
        self.by_use.insert(self.now, topic);
        counts.used = self.now;
        let count = counts.of.entry(piece).or_insert_with(|| {
            self.pieces += 1;
            0
        });
        *count = count.saturating_add(1);
        if counts.of.len() > self.most_pieces {
            self.pieces -= counts.of.len() - 1;
            counts.of.retain(|counted, _| *counted == piece);
        }
        while self.pieces > self.most_pieces {
            // Never the blob itself: it was used last, and has no more than there may be.
            let Some((_, oldest)) = self.by_use.first_key_value() else { break };
            self.forget(&oldest.clone());
        }
    }

    /// It was not sent after all. Nothing is kept of what never was, lest one that asks and cancels displace what was sent.
    pub fn take_back(&mut self, topic: &TopicKey, piece: PieceIndex) {
        let Some(counts) = self.topics.get_mut(topic) else { return };
        let Some(count) = counts.of.get_mut(&piece) else { return };
        *count -= 1;
        if *count == 0 {
            counts.of.remove(&piece);
            self.pieces -= 1;
            if counts.of.is_empty() {
                self.forget(topic);
            }
        }
    }

    /// Forgets a blob.
    pub fn forget(&mut self, topic: &TopicKey) {
        if let Some(counts) = self.topics.remove(topic) {
            self.by_use.remove(&counts.used);
            self.pieces -= counts.of.len();
        }
    }

    /// How many pieces are kept in mind.
    pub fn pieces(&self) -> usize {
        self.pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_forgets_the_blob_of_longest_ago() {
        let [old, new] = [1, 2].map(|byte| TopicKey([byte; 32]));
        let mut sent = Sent::new(4);
        for piece in [0, 1, 1] {
            sent.add(old, PieceIndex(piece));
        }
        sent.take_back(&old, PieceIndex(0));
        assert_eq!([0, 1, 2].map(|piece| sent.count(&old, PieceIndex(piece))), [0, 2, 0]);
        (1..4).for_each(|piece| sent.add(new, PieceIndex(piece)));
        assert_eq!((sent.pieces(), sent.count(&old, PieceIndex(1))), (4, 2));
        sent.add(new, PieceIndex(4));
        assert_eq!((sent.pieces(), sent.count(&old, PieceIndex(1)), sent.count(&new, PieceIndex(1))), (4, 0, 1));
        // A blob that has more pieces than are kept in mind begins anew, with the one that is being sent.
        (4..6).for_each(|piece| sent.add(new, PieceIndex(piece)));
        assert_eq!((sent.pieces(), sent.count(&new, PieceIndex(4)), sent.count(&new, PieceIndex(5))), (1, 0, 1));
        assert_eq!(sent.by_use.len(), sent.topics.len());
        sent.forget(&new);
        assert_eq!((sent.pieces(), sent.by_use.len()), (0, 0));
    }

    #[test]
    fn what_was_never_sent_displaces_nothing() {
        let [sent_one, asked] = [1, 2].map(|byte| TopicKey([byte; 32]));
        let mut sent = Sent::new(2);
        sent.add(sent_one, PieceIndex(0));
        for piece in (0..10).map(PieceIndex) {
            sent.add(asked, piece);
            sent.take_back(&asked, piece);
        }
        assert_eq!((sent.pieces(), sent.topics.len(), sent.by_use.len()), (1, 1, 1));
        assert_eq!(sent.count(&sent_one, PieceIndex(0)), 1);
    }
}
