use std::collections::{BTreeMap, btree_map::Entry};

use longshore_oci::piece::{Geometry, PieceIndex};
use tokio::sync::OwnedSemaphorePermit;

use super::{SendError, Violation};
use crate::wire::{BlockHead, TopicId};

/// What was asked of a peer: topics, and pieces of them. It knows what the peer may answer, and where that goes.
#[derive(Debug)]
pub(super) struct Asked {
    most_topics: usize,
    most_pieces: usize,
    next_id: u32,
    topics: BTreeMap<TopicId, Topic>,
    pieces: BTreeMap<(TopicId, PieceIndex), Asking>,
}

#[derive(Debug)]
enum Topic {
    /// Not answered yet.
    Waiting { wants_metainfo: bool },
    /// Answered.
    Open(Geometry),
}

/// A piece that was asked for.
#[derive(Debug)]
struct Asking {
    length_bytes: u32,
    received_bytes: u32,
    /// Nothing where it is cancelled, or being received into.
    room: Option<Room>,
    is_cancelled: bool,
}

/// Where a piece's bytes go. Memory was set aside for all of them, but none is taken before they come.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) bytes: Vec<u8>,
    pub(super) memory: OwnedSemaphorePermit,
}

/// What a block's bytes have led to.
#[derive(Debug)]
pub(super) enum Received {
    /// Nobody wants them any more.
    Nothing,
    /// There is so much of the piece.
    Part(u32),
    /// The piece is there.
    Whole(Room),
}

impl Asked {
    pub(super) fn new(most_topics: usize, most_pieces: usize) -> Self {
        let (topics, pieces) = Default::default();
        Self { most_topics, most_pieces, next_id: 0, topics, pieces }
    }

    /// Notes that a topic is being opened, and gives its id.
    pub(super) fn open(&mut self, wants_metainfo: bool) -> Result<TopicId, SendError> {
        if self.topics.len() >= self.most_topics || self.next_id == u32::MAX {
            return Err(SendError::TooMuchAsked);
        }
        let id = TopicId(self.next_id);
        self.next_id += 1;
        self.topics.insert(id, Topic::Waiting { wants_metainfo });
        Ok(id)
    }

    /// A long answer begins; whether anybody still wants it.
    pub(super) fn long_answer(&mut self, id: TopicId, must_have_metainfo: bool) -> Result<bool, Violation> {
        match self.topic(id)? {
            None => Ok(false),
            Some(Topic::Waiting { wants_metainfo: false }) if must_have_metainfo => Err(Violation::Metainfo(id)),
            Some(Topic::Waiting { .. }) => Ok(true),
            Some(Topic::Open(_)) => Err(Violation::Topic(id)),
        }
    }

    /// Takes note of an answer; whether anybody still wants it.
    pub(super) fn opened(&mut self, id: TopicId, geometry: Geometry, has_metainfo: bool) -> Result<bool, Violation> {
        let Some(topic) = self.topic(id)? else { return Ok(false) };
        let Topic::Waiting { wants_metainfo } = *topic else { return Err(Violation::Topic(id)) };
        if has_metainfo && !wants_metainfo {
            return Err(Violation::Metainfo(id));
        }
        *topic = Topic::Open(geometry);
        Ok(true)
    }

    /// A topic is not open any more, by whose will ever; whether it was.
    pub(super) fn close(&mut self, id: TopicId) -> bool {
        if self.topics.remove(&id).is_none() {
            return false;
        }
        self.pieces.extract_if((id, PieceIndex(0))..=(id, PieceIndex(u32::MAX)), |_, _| true).for_each(drop);
        true
    }

    /// Takes note that the peer has refused a topic; whether anybody still wants to know.
    pub(super) fn refused(&mut self, id: TopicId) -> Result<bool, Violation> {
        self.topic(id)?;
        Ok(self.close(id))
    }

    /// Whether anybody wants to know of a piece that the peer has.
    pub(super) fn has(&mut self, id: TopicId, piece: PieceIndex) -> Result<bool, Violation> {
        match self.topic(id)? {
            None => Ok(false),
            Some(Topic::Waiting { .. }) => Err(Violation::Topic(id)),
            Some(Topic::Open(geometry)) if piece.0 < geometry.pieces() => Ok(true),
            Some(Topic::Open(_)) => Err(Violation::NoSuchPiece(id, piece)),
        }
    }

    /// Whether anybody wants to know who has to do with a topic.
    pub(super) fn introduced(&mut self, id: TopicId) -> Result<bool, Violation> {
        Ok(self.topic(id)?.is_some())
    }

    /// Notes that a piece is asked for.
    pub(super) fn ask(&mut self, id: TopicId, piece: PieceIndex, memory: OwnedSemaphorePermit) -> Result<(), SendError> {
        let Some(Topic::Open(geometry)) = self.topics.get(&id) else { return Err(SendError::NotOpen) };
        let bytes = geometry.bytes_of(piece);
        let length_bytes = u32::try_from(bytes.end - bytes.start).expect("a piece is short");
        if length_bytes == 0 {
            return Err(SendError::NotOpen);
        }
        let is_full = self.pieces.len() >= self.most_pieces;
        match self.pieces.entry((id, piece)) {
            Entry::Occupied(_) => Err(SendError::AlreadyAsked),
            Entry::Vacant(_) if is_full => Err(SendError::TooMuchAsked),
            Entry::Vacant(place) => {
                let room = Some(Room { bytes: Vec::new(), memory });
                place.insert(Asking { length_bytes, received_bytes: 0, room, is_cancelled: false });
                Ok(())
            }
        }
    }

    /// Forgets a piece that could not be asked for.
    pub(super) fn take_back(&mut self, id: TopicId, piece: PieceIndex) {
        self.pieces.remove(&(id, piece));
    }

    /// Notes that a piece is not wanted any more; whether the peer is to be told.
    pub(super) fn cancel(&mut self, id: TopicId, piece: PieceIndex) -> bool {
        let asking = self.pieces.get_mut(&(id, piece)).filter(|asking| !asking.is_cancelled);
        asking.is_some_and(|asking| {
            asking.room = None;
            asking.is_cancelled = true;
            true
        })
    }

    /// Takes note of a rejection; whether anybody still wants to know.
    pub(super) fn rejected(&mut self, id: TopicId, piece: PieceIndex) -> Result<bool, Violation> {
        if self.topic(id)?.is_none() {
            return Ok(false);
        }
        let asking = self.pieces.remove(&(id, piece)).ok_or(Violation::NotAsked(id, piece))?;
        Ok(!asking.is_cancelled)
    }

    /// A block begins: where its bytes go, which is nowhere where they are not wanted any more.
    pub(super) fn begin_block(&mut self, block: BlockHead) -> Result<Option<Room>, Violation> {
        let (id, piece) = (block.id, block.piece);
        if self.topic(id)?.is_none() {
            return Ok(None);
        }
        let asking = self.pieces.get_mut(&(id, piece)).ok_or(Violation::NotAsked(id, piece))?;
        let end = block.offset_bytes.checked_add(block.length_bytes).filter(|end| *end <= asking.length_bytes);
        if block.offset_bytes != asking.received_bytes || end.is_none() {
            return Err(Violation::NotNext(id, piece));
        }
        Ok(asking.room.take().map(|mut room| {
            if asking.received_bytes == 0 {
                room.bytes.reserve_exact(usize::try_from(asking.length_bytes).expect("32 bits fit"));
            }
            room
        }))
    }

    /// A block has come, into the room that it was given.
    pub(super) fn end_block(&mut self, block: BlockHead, room: Option<Room>) -> Received {
        let key = (block.id, block.piece);
        // Its topic may have been closed in the meantime.
        let Some(asking) = self.pieces.get_mut(&key) else { return Received::Nothing };
        asking.received_bytes += block.length_bytes;
        let room = room.filter(|_| !asking.is_cancelled);
        if asking.received_bytes == asking.length_bytes {
            self.pieces.remove(&key);
            return room.map_or(Received::Nothing, Received::Whole);
        }
        asking.room = room;
        if asking.room.is_some() { Received::Part(asking.received_bytes) } else { Received::Nothing }
    }

    /// Nothing is asked for any more.
    pub(super) fn clear(&mut self) {
        self.pieces.clear();
        self.topics.clear();
    }

    /// A topic that the peer speaks of. `None` where it was closed, which the peer may not know yet.
    fn topic(&mut self, id: TopicId) -> Result<Option<&mut Topic>, Violation> {
        if id.0 >= self.next_id {
            return Err(Violation::Topic(id));
        }
        Ok(self.topics.get_mut(&id))
    }
}
