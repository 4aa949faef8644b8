use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use longshore_oci::piece::PieceIndex;

use super::{SendError, Violation};
use crate::wire::TopicId;

/// What became of a piece that was to be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sent {
    /// All of it was written.
    Whole,
    /// The peer, or who sent it, did not want it any more; the peer has been told.
    Cancelled,
}

/// The topics that a peer has open, and the pieces that it has asked for and that are not answered to an end. Who answers one takes it from
/// here, so nobody does twice.
#[derive(Debug)]
pub(super) struct Owed {
    most: usize,
    topics: BTreeSet<TopicId>,
    pieces: BTreeMap<(TopicId, PieceIndex), Owing>,
}

#[derive(Debug)]
enum Owing {
    /// Nobody has answered yet.
    Waiting,
    /// It is being sent, or waits for its turn; and whether the rest is to be left out.
    Sending(Arc<AtomicBool>),
}

impl Owed {
    pub(super) fn new(most: usize) -> Self {
        Self { most, topics: BTreeSet::new(), pieces: BTreeMap::new() }
    }

    /// The peer opens a topic.
    pub(super) fn open(&mut self, id: TopicId) {
        self.topics.insert(id);
    }

    /// The peer asks for a piece; whether there is a place for one more.
    pub(super) fn add(&mut self, id: TopicId, piece: PieceIndex) -> Result<bool, Violation> {
        let is_full = self.pieces.len() >= self.most;
        match self.pieces.entry((id, piece)) {
            Entry::Occupied(_) => Err(Violation::AskedTwice(id, piece)),
            Entry::Vacant(_) if is_full => Ok(false),
            Entry::Vacant(place) => {
                place.insert(Owing::Waiting);
                Ok(true)
            }
        }
    }

    /// A piece begins to be sent. Gives what says that it is not wanted any more.
    pub(super) fn begin(&mut self, id: TopicId, piece: PieceIndex) -> Result<Arc<AtomicBool>, SendError> {
        match self.pieces.get_mut(&(id, piece)) {
            None => Err(SendError::NotOwed),
            Some(Owing::Sending(_)) => Err(SendError::AlreadySending),
            Some(owing) => {
                let is_cancelled = Arc::default();
                *owing = Owing::Sending(Arc::clone(&is_cancelled));
                Ok(is_cancelled)
            }
        }
    }

    /// A piece is answered to an end.
    pub(super) fn end(&mut self, id: TopicId, piece: PieceIndex) {
        self.pieces.remove(&(id, piece));
    }

    /// A piece is not to be sent, by whose will ever; whether the peer is to be told. Where it is being sent the writer does that.
    pub(super) fn cancel(&mut self, id: TopicId, piece: PieceIndex) -> bool {
        let Entry::Occupied(place) = self.pieces.entry((id, piece)) else { return false };
        if let Owing::Sending(is_cancelled) = place.get() {
            is_cancelled.store(true, Ordering::Relaxed);
            return false;
        }
        place.remove();
        true
    }

    /// A topic is not open any more, by whose will ever; whether it was. Nothing of it is to be sent, and no answer is needed.
    pub(super) fn close(&mut self, id: TopicId) -> bool {
        let of_topic = (id, PieceIndex(0))..=(id, PieceIndex(u32::MAX));
        for (_, owing) in self.pieces.extract_if(of_topic, |_, _| true) {
            if let Owing::Sending(is_cancelled) = owing {
                is_cancelled.store(true, Ordering::Relaxed);
            }
        }
        self.topics.remove(&id)
    }
}
