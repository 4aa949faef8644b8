use std::time::Duration;

use bytes::Bytes;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::{BUFFER_BYTES, Reader};
use crate::{
    plane::{
        ConnectionError, Event, Piece, Violation,
        asked::{Received, Room},
    },
    wire::{BlockHead, Frame, HEAD_BYTES, Head, InvalidFrame, Kind, TopicId},
};

/// When a peer may ask again that has asked for more than it may at once.
const FULL_RETRY_AFTER_MS: u32 = 500;
/// What an `Opened` begins with, in bytes.
const ID_BYTES: usize = 4;

/// Where in a frame a reader is.
#[derive(Debug)]
pub(super) enum State {
    /// Before its head.
    Head { is_after_block: bool },
    /// Before its body, which is short.
    Body { kind: Kind, body_bytes: usize },
    /// Before what a block is of.
    BlockHead { body_bytes: usize },
    /// In a block; without room its bytes go nowhere.
    Block { block: BlockHead, room: Option<Room>, left_bytes: usize },
    /// Before a long body, which is an `Opened`.
    LongId { body_bytes: usize },
    /// In it.
    Long(Long),
    /// In a body that goes nowhere.
    Skipped { left_bytes: usize },
}

/// A long body that is being received. Room for more is taken as it comes: who only says that it will be long gets little.
#[derive(Debug)]
pub(super) struct Long {
    pub(super) id: TopicId,
    pub(super) body: Vec<u8>,
    pub(super) body_bytes: usize,
    /// How much of it there is room for.
    pub(super) room_bytes: usize,
    pub(super) room: Option<OwnedSemaphorePermit>,
    /// Since when more room is waited for.
    pub(super) waits_since: Option<Instant>,
}

impl Long {
    /// There is room for so much more.
    pub(super) fn grow(&mut self, bytes: usize, room: OwnedSemaphorePermit) {
        match &mut self.room {
            Some(all) => all.merge(room),
            all => *all = Some(room),
        }
        self.room_bytes += bytes;
        self.body.reserve_exact(bytes);
        self.waits_since = None;
    }
}

/// What came of what is there.
pub(super) enum Parsed {
    Event(Event),
    /// Nothing to tell, but there may be more.
    Nothing,
    NeedsBytes,
    NeedsRoom,
}

pub(super) const NEXT: State = State::Head { is_after_block: false };

impl State {
    /// How much has to be in the buffer at once.
    pub(super) fn needed_bytes(&self) -> usize {
        match self {
            Self::Head { .. } => HEAD_BYTES,
            Self::Body { body_bytes, .. } => *body_bytes,
            Self::BlockHead { .. } => BlockHead::BYTES,
            Self::LongId { .. } => ID_BYTES,
            Self::Block { .. } | Self::Long(_) | Self::Skipped { .. } => 0,
        }
    }

    /// How much is best read into the buffer in which there is so much: among blocks no more than a head, as what follows it can be read
    /// to where it belongs.
    pub(super) fn most_bytes(&self, buffered_bytes: usize) -> usize {
        match self {
            Self::Head { is_after_block: true } => (HEAD_BYTES + BlockHead::BYTES).saturating_sub(buffered_bytes).max(1),
            Self::BlockHead { .. } => BlockHead::BYTES.saturating_sub(buffered_bytes).max(1),
            _ => BUFFER_BYTES,
        }
    }
}

impl Reader {
    /// Goes on with what is in the buffer.
    pub(super) fn parse(&mut self) -> Result<Parsed, ConnectionError> {
        match &mut self.state {
            State::Head { .. } => {
                let Some(head) = self.take_array() else { return Ok(Parsed::NeedsBytes) };
                self.state = Self::after_head(head)?;
            }
            State::BlockHead { body_bytes } => {
                let body_bytes = *body_bytes;
                let Some(numbers) = self.take_array() else { return Ok(Parsed::NeedsBytes) };
                let block = BlockHead::decode(numbers, body_bytes)?;
                let room = self.link().asked().begin_block(block)?;
                let left_bytes = usize::try_from(block.length_bytes).expect("32 bits fit");
                self.state = State::Block { block, room, left_bytes };
            }
            State::Block { .. } => return Ok(self.block()),
            State::Body { kind, body_bytes } => {
                let (kind, end) = (*kind, self.start + *body_bytes);
                if self.end < end {
                    return Ok(Parsed::NeedsBytes);
                }
                let frame = Frame::decode(kind, &self.buffer[self.start..end])?;
                self.start = end;
                self.end_frame(NEXT);
                return self.frame(frame, None);
            }
            State::LongId { body_bytes } => {
                let body_bytes = *body_bytes;
                let Some(id) = self.buffer[self.start..self.end].first_chunk() else { return Ok(Parsed::NeedsBytes) };
                let id = TopicId(u32::from_le_bytes(*id));
                let must_have_metainfo = body_bytes > Kind::Opened.most_bytes_without_metainfo();
                let is_wanted = self.link().asked().long_answer(id, must_have_metainfo)?;
                self.state = if is_wanted {
                    let (body, room) = Default::default();
                    State::Long(Long { id, body, body_bytes, room_bytes: 0, room, waits_since: None })
                } else {
                    State::Skipped { left_bytes: body_bytes }
                };
            }
            State::Long(long) => {
                let buffered = (long.room_bytes - long.body.len()).min(self.end - self.start);
                long.body.extend_from_slice(&self.buffer[self.start..self.start + buffered]);
                self.start += buffered;
                if long.body.len() < long.room_bytes {
                    return Ok(Parsed::NeedsBytes);
                }
                if long.room_bytes < long.body_bytes {
                    return Ok(Parsed::NeedsRoom);
                }
                let State::Long(long) = self.end_frame(NEXT) else { unreachable!("it was matched") };
                return self.frame(Frame::decode_shared(Kind::Opened, &Bytes::from(long.body))?, long.room);
            }
            State::Skipped { left_bytes } => {
                let buffered = (*left_bytes).min(self.end - self.start);
                *left_bytes -= buffered;
                self.start += buffered;
                if *left_bytes > 0 {
                    return Ok(Parsed::NeedsBytes);
                }
                self.end_frame(NEXT);
            }
        }
        Ok(Parsed::Nothing)
    }

    fn after_head(head: [u8; HEAD_BYTES]) -> Result<State, ConnectionError> {
        let (kind, body_bytes) = match Head::decode(head)? {
            Head::Skipped { body_bytes } => return Ok(State::Skipped { left_bytes: body_bytes }),
            Head::Known { kind, body_bytes } => (kind, body_bytes),
        };
        match kind {
            Kind::Block if body_bytes < BlockHead::BYTES => Err(InvalidFrame::Malformed { kind, part: "length" }.into()),
            Kind::Block => Ok(State::BlockHead { body_bytes }),
            Kind::Opened if body_bytes > BUFFER_BYTES => Ok(State::LongId { body_bytes }),
            _ => Ok(State::Body { kind, body_bytes }),
        }
    }

    fn block(&mut self) -> Parsed {
        let State::Block { room, left_bytes, .. } = &mut self.state else { return Parsed::Nothing };
        let buffered = (*left_bytes).min(self.end - self.start);
        if let Some(room) = room {
            room.bytes.extend_from_slice(&self.buffer[self.start..self.start + buffered]);
        }
        *left_bytes -= buffered;
        self.start += buffered;
        if *left_bytes > 0 {
            return Parsed::NeedsBytes;
        }
        let State::Block { block, room, .. } = self.end_frame(State::Head { is_after_block: true }) else {
            unreachable!("it was matched")
        };
        self.link().traffic.note_received_block(block.length_bytes);
        let (id, piece) = (block.id, block.piece);
        match self.link().asked().end_block(block, room) {
            Received::Nothing => Parsed::Nothing,
            Received::Part(received_bytes) => Parsed::Event(Event::Progress { id, piece, received_bytes }),
            Received::Whole(Room { bytes, memory }) => Parsed::Event(Event::Piece(Piece { id, piece, bytes, memory })),
        }
    }

    /// What a frame means.
    fn frame(&mut self, frame: Frame, room: Option<OwnedSemaphorePermit>) -> Result<Parsed, ConnectionError> {
        let event = match frame {
            Frame::Hello(_) => return Err(Violation::SecondHello.into()),
            Frame::Bye { reason } => return Err(ConnectionError::Left(reason)),
            Frame::Ping => {
                self.link().pong();
                None
            }
            Frame::Pong => None,
            Frame::Open(open) => {
                if self.is_known(open.id) {
                    return Err(Violation::Id(open.id).into());
                }
                self.last_id = Some(open.id.0);
                self.link().owed().open(open.id);
                Some(Event::Open(open))
            }
            Frame::Close { id } => {
                self.check_id(id)?;
                // Who closes what is not open says nothing that anybody has to hear.
                let was_open = self.link().owed().close(id);
                was_open.then_some(Event::Close { id })
            }
            Frame::Ask { id, piece } => {
                self.check_id(id)?;
                let is_taken = self.link().owed().add(id, piece)?;
                if !is_taken {
                    self.say(&Frame::Rejected { id, piece, retry_after_ms: FULL_RETRY_AFTER_MS })?;
                }
                is_taken.then_some(Event::Ask { id, piece })
            }
            Frame::Cancel { id, piece } => {
                self.check_id(id)?;
                let was_waiting = self.link().owed().cancel(id, piece);
                if was_waiting {
                    self.say(&Frame::Rejected { id, piece, retry_after_ms: 0 })?;
                }
                was_waiting.then_some(Event::Cancel { id, piece })
            }
            answer => self.answer(answer, room)?,
        };
        Ok(event.map_or(Parsed::Nothing, Parsed::Event))
    }

    /// What an answer means, where anybody still waits for it.
    fn answer(&self, frame: Frame, room: Option<OwnedSemaphorePermit>) -> Result<Option<Event>, Violation> {
        let mut asked = self.link().asked();
        let (is_wanted, event) = match frame {
            Frame::Opened(opened) => {
                let is_wanted = asked.opened(opened.id, opened.geometry, opened.metainfo.is_some())?;
                (is_wanted, Event::Opened { opened, room })
            }
            Frame::Refused { id } => (asked.refused(id)?, Event::Refused { id }),
            Frame::Have { id, piece } => (asked.has(id, piece)?, Event::Have { id, piece }),
            Frame::Rejected { id, piece, retry_after_ms } => {
                let retry_after = Duration::from_millis(retry_after_ms.into());
                (asked.rejected(id, piece)?, Event::Rejected { id, piece, retry_after })
            }
            Frame::Introduce { id, records } => (asked.introduced(id)?, Event::Introduced { id, records }),
            question => unreachable!("{:?} is no answer", question.kind()),
        };
        Ok(is_wanted.then_some(event))
    }

    fn is_known(&self, id: TopicId) -> bool {
        self.last_id.is_some_and(|last| id.0 <= last)
    }

    fn check_id(&self, id: TopicId) -> Result<(), Violation> {
        if self.is_known(id) { Ok(()) } else { Err(Violation::Id(id)) }
    }

    fn end_frame(&mut self, next: State) -> State {
        self.pulse.frame_ended();
        std::mem::replace(&mut self.state, next)
    }

    fn take_array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = *self.buffer[self.start..self.end].first_chunk()?;
        self.start += N;
        Some(bytes)
    }
}
