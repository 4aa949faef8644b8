use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use bytes::Bytes;
use longshore_oci::piece::PieceIndex;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::{SendError, Sent, Traffic, link::Link};
use crate::{
    record::PeerRecord,
    topic::Topic,
    wire::{Frame, InvalidFrame, Kind, Open, Opened, Token, TopicId},
};

/// A frame as it is written.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) bytes: Vec<u8>,
    pub(super) tail: Option<Bytes>,
}

/// A piece that is to be written.
#[derive(Debug)]
pub(super) struct OutgoingPiece {
    pub(super) id: TopicId,
    pub(super) piece: PieceIndex,
    pub(super) bytes: Bytes,
    pub(super) is_cancelled: Arc<AtomicBool>,
    pub(super) done: oneshot::Sender<Sent>,
}

/// What waits to be written.
#[derive(Debug)]
pub(super) struct Queues {
    pub(super) control: mpsc::Receiver<Encoded>,
    pub(super) pieces: mpsc::Receiver<OutgoingPiece>,
}

/// Says things to a peer. All but pieces is put into a queue at once, or not at all: where that is [`SendError::Full`] the peer takes
/// nothing, and leaving it is best. With the last of its senders a connection ends.
#[derive(Clone, Debug)]
pub struct Sender {
    link: Arc<Link>,
    control: mpsc::Sender<Encoded>,
    pieces: mpsc::Sender<OutgoingPiece>,
}

impl Sender {
    pub(super) fn new(link: Arc<Link>) -> (Self, Queues) {
        let (control, control_queue) = mpsc::channel(link.limits.most_control_frames.max(1));
        let (pieces, piece_queue) = mpsc::channel(link.limits.most_pieces_queued.max(1));
        (Self { link, control, pieces }, Queues { control: control_queue, pieces: piece_queue })
    }

    /// Opens a topic at the peer, and gives it its id.
    pub fn open(&self, topic: Topic, token: Option<Token>, want_metainfo: bool) -> Result<TopicId, SendError> {
        // Ids have to be said in the order in which they are given.
        let mut asked = self.link.asked();
        let id = asked.open(want_metainfo)?;
        let said = self.say(&Frame::Open(Open { id, topic, token, want_metainfo }));
        if said.is_err() {
            asked.close(id);
        }
        said.map(|()| id)
    }

    /// Closes a topic at the peer. Nothing more is heard of it, and what memory its pieces had is free but for a block that is just being
    /// received.
    pub fn close(&self, id: TopicId) -> Result<(), SendError> {
        let mut asked = self.link.asked();
        if asked.close(id) { self.say(&Frame::Close { id }) } else { Ok(()) }
    }

    /// Asks for a piece of an open topic, for which memory was set aside. It ends with the piece, with a rejection, with the topic or with
    /// the connection.
    pub fn ask(&self, id: TopicId, piece: PieceIndex, memory: OwnedSemaphorePermit) -> Result<(), SendError> {
        // What is asked, cancelled and closed has to be said in the order in which it is noted.
        let mut asked = self.link.asked();
        asked.ask(id, piece, memory)?;
        let said = self.say(&Frame::Ask { id, piece });
        if said.is_err() {
            asked.take_back(id, piece);
        }
        said
    }

    /// Asks for a piece no more. Nothing more is heard of it, and its memory is free but for a block that is just being received; it can
    /// be asked for again when the peer has answered that.
    pub fn cancel(&self, id: TopicId, piece: PieceIndex) -> Result<(), SendError> {
        let mut asked = self.link.asked();
        if asked.cancel(id, piece) { self.say(&Frame::Cancel { id, piece }) } else { Ok(()) }
    }

    /// Answers that a topic of the peer's is open.
    pub fn opened(&self, opened: Opened) -> Result<(), SendError> {
        self.say(&Frame::Opened(opened))
    }

    /// Answers that a topic of the peer's is not open, or not any more; nothing says why. What was asked of it needs no other answer, and
    /// what is being sent is cancelled.
    pub fn refuse(&self, id: TopicId) -> Result<(), SendError> {
        self.link.owed().close(id);
        self.say(&Frame::Refused { id })
    }

    /// Tells that one more piece of a topic of the peer's is here.
    pub fn have(&self, id: TopicId, piece: PieceIndex) -> Result<(), SendError> {
        self.say(&Frame::Have { id, piece })
    }

    /// Answers that a piece which the peer asked for won't be sent, or not to its end. Nothing is said where the peer does not wait for it.
    pub fn reject(&self, id: TopicId, piece: PieceIndex, retry_after: Duration) -> Result<(), SendError> {
        if !self.link.owed().cancel(id, piece) {
            return Ok(());
        }
        let retry_after_ms = u32::try_from(retry_after.as_millis()).unwrap_or(u32::MAX);
        self.say(&Frame::Rejected { id, piece, retry_after_ms })
    }

    /// Tells of peers who have to do with a topic of the peer's.
    pub fn introduce(&self, id: TopicId, records: Vec<PeerRecord>) -> Result<(), SendError> {
        self.say(&Frame::Introduce { id, records })
    }

    /// Sends a piece that the peer asked for, when its turn has come, and waits until it is written. From the first poll on this answers
    /// the peer to an end, also where the peer cancels it or nobody waits any more: then the rest is left out, and the peer gets a
    /// rejection. It is [`SendError::NotOwed`] where the peer has cancelled it before, or it was rejected here.
    pub async fn send_piece(&self, id: TopicId, piece: PieceIndex, bytes: Bytes) -> Result<Sent, SendError> {
        if bytes.is_empty() || u32::try_from(bytes.len()).is_err() {
            return Err(InvalidFrame::Malformed { kind: Kind::Block, part: "length" }.into());
        }
        let is_cancelled = self.link.owed().begin(id, piece)?;
        let mut waiting = Waiting { sender: self, id, piece, is_over: false };
        let place = tokio::select! {
            place = self.pieces.reserve() => place.map_err(|_| SendError::Ended)?,
            () = self.link.ended.cancelled() => return Err(SendError::Ended),
        };
        waiting.is_over = true;
        let (done, outcome) = oneshot::channel();
        place.send(OutgoingPiece { id, piece, bytes, is_cancelled, done });
        tokio::select! {
            biased;
            sent = outcome => sent.map_err(|_| SendError::Ended),
            () = self.link.ended.cancelled() => Err(SendError::Ended),
        }
    }

    /// Says good-bye and ends the connection, within a second whatever the peer takes; a reason is for people, and cut where it is too
    /// long.
    pub fn leave(&self, reason: &str) {
        let end = reason.floor_char_boundary(crate::wire::MOST_REASON_BYTES);
        self.link.part(reason[..end].to_owned());
    }

    /// Ends the connection at once.
    pub fn cut(&self) {
        self.link.end();
    }

    /// Waits until the connection has ended.
    pub async fn ended(&self) {
        self.link.ended.cancelled().await;
    }

    /// What has gone over the connection.
    pub fn traffic(&self) -> &Traffic {
        &self.link.traffic
    }

    /// What the reader answers by; it keeps no connection.
    pub(super) fn answers(&self) -> Answers {
        Answers(self.control.downgrade())
    }

    fn say(&self, frame: &Frame) -> Result<(), SendError> {
        if self.link.ended.is_cancelled() {
            return Err(SendError::Ended);
        }
        say(&self.control, frame)
    }
}

/// Says what needs nobody's decision.
#[derive(Debug)]
pub(super) struct Answers(mpsc::WeakSender<Encoded>);

impl Answers {
    pub(super) fn say(&self, frame: &Frame) -> Result<(), SendError> {
        self.0.upgrade().map_or(Err(SendError::Ended), |control| say(&control, frame))
    }
}

fn say(control: &mpsc::Sender<Encoded>, frame: &Frame) -> Result<(), SendError> {
    let mut bytes = Vec::new();
    let tail = frame.encode(&mut bytes)?;
    control.try_send(Encoded { bytes, tail }).map_err(|error| match error {
        mpsc::error::TrySendError::Full(_) => SendError::Full,
        mpsc::error::TrySendError::Closed(_) => SendError::Ended,
    })
}

/// A piece that has no place in the queue yet: where it is given up the peer is told.
struct Waiting<'a> {
    sender: &'a Sender,
    id: TopicId,
    piece: PieceIndex,
    is_over: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let (id, piece) = (self.id, self.piece);
        self.sender.link.owed().end(id, piece);
        if self.sender.say(&Frame::Rejected { id, piece, retry_after_ms: 0 }).is_err() {
            // It would wait for an answer for good.
            self.sender.cut();
        }
    }
}
