//! What one peer waits for.

use std::collections::{BTreeSet, VecDeque};

use longshore_oci::piece::PieceIndex;

use super::{sent::Sent, turns::Place};
use crate::{locality::Nearness, moment::Moment, topic::TopicKey};

/// Of how many blobs a peer's first piece is remembered; of more it is no newcomer.
const MOST_GREETED: usize = 256;
/// How often others of its peer are served before a request; then it goes first, however often its piece was sent.
const MOST_PASSED: u64 = 32;

/// One request that waits.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The blob.
    pub topic: TopicKey,
    /// Which piece of it.
    pub piece: PieceIndex,
    /// How long that is.
    pub bytes: u64,
    /// Whether it would be the peer's first of the blob.
    is_first: bool,
    /// How often the peer had been served when it came.
    since: u64,
}

/// A peer and its requests.
#[derive(Debug)]
pub struct Peer {
    /// How near it is.
    pub nearness: Nearness,
    /// Where it stands among those that wait.
    pub place: Place,
    /// Whether it is among those that wait and may be served.
    pub is_listed: bool,
    /// How many of its requests are being served.
    pub serving: usize,
    /// When it was told to come again, as it was turned away.
    pub not_before: Moment,
    /// When it last asked or was served.
    pub last: Moment,
    queue: VecDeque<Request>,
    greeted: BTreeSet<TopicKey>,
    served: u64,
}

impl Peer {
    /// One that waits for nothing.
    pub fn new(nearness: Nearness, now: Moment) -> Self {
        let (queue, greeted) = (VecDeque::new(), BTreeSet::new());
        Self {
            nearness,
            place: Place::default(),
            is_listed: false,
            serving: 0,
            not_before: now,
            last: now,
            queue,
            greeted,
            served: 0,
        }
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// How many bytes they are.
    pub fn waiting_bytes(&self) -> u64 {
        self.queue.iter().map(|request| request.bytes).sum()
    }

    /// Whether it neither waits for anything nor is being served.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.serving == 0
    }

    /// Whether it waits for the first piece of some blob.
    pub fn is_newcomer(&self) -> bool {
        self.queue.iter().any(|request| request.is_first)
    }

    /// Whether it waits for this piece.
    pub fn waits_for(&self, topic: &TopicKey, piece: PieceIndex) -> bool {
        self.position(topic, piece).is_some()
    }

    /// Adds a request; `has_none` says that the peer is known to have no piece of the blob.
    pub fn push(&mut self, topic: TopicKey, piece: PieceIndex, bytes: u64, has_none: bool) {
        let is_first = has_none && self.greeted.len() < MOST_GREETED && !self.greeted.contains(&topic);
        self.queue.push_back(Request { topic, piece, bytes, is_first, since: self.served });
    }

    /// Takes a request out that is not wanted any more.
    pub fn cancel(&mut self, topic: &TopicKey, piece: PieceIndex) -> Option<Request> {
        self.queue.remove(self.position(topic, piece)?)
    }

    /// Which request is next: the one whose piece was sent least often, the oldest of several; of a newcomer, only first pieces.
    /// One that others have passed for long goes before.
    pub fn choose(&self, sent: &Sent, only_first: bool) -> Option<(usize, Request)> {
        let oldest = self.queue.front().filter(|oldest| !only_first && self.served - oldest.since >= MOST_PASSED);
        if let Some(oldest) = oldest {
            return Some((0, *oldest));
        }
        let fitting = self.queue.iter().enumerate().filter(|(_, request)| request.is_first || !only_first);
        let (at, request) = fitting.min_by_key(|(at, request)| (sent.count(&request.topic, request.piece), *at))?;
        Some((at, *request))
    }

    /// Takes the chosen one out to be served.
    pub fn take(&mut self, at: usize, now: Moment) {
        if let Some(taken) = self.queue.remove(at) {
            (self.served, self.last) = (self.served + 1, now);
            self.serving += 1;
            self.place.had_bytes += taken.bytes;
            // Whatever it waits for of this blob is not its first any more.
            if taken.is_first {
                self.greeted.insert(taken.topic);
                self.queue.iter_mut().filter(|other| other.topic == taken.topic).for_each(|other| other.is_first = false);
            }
        }
    }

    /// A piece of a blob did not go after all, or not whole: it may still be the first.
    pub fn ungreet(&mut self, topic: &TopicKey) {
        self.greeted.remove(topic);
    }

    /// All that waits.
    pub fn into_waiting(self) -> Vec<Request> {
        self.queue.into()
    }

    fn position(&self, topic: &TopicKey, piece: PieceIndex) -> Option<usize> {
        self.queue.iter().position(|request| request.topic == *topic && request.piece == piece)
    }
}
