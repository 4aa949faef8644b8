//! What nodes say to each other, and when it is heard.

use std::{sync::Arc, time::Duration};

use longshore_oci::piece::PieceSet;
use longshore_p2p::{
    record::PeerRecord,
    tracker::{Answer, Refusal},
    upload::ServeId,
};

use super::{
    agenda::{Agenda, Event, NEVER, Nanos},
    network::{Network, Parcel, PipeId, Taken},
    shape::Shape,
};

/// Something that a node hears.
#[derive(Debug)]
pub enum Said {
    /// There is a connection.
    Connected,
    /// The peer could not be reached.
    Unreached,
    /// The connection has ended.
    Gone,
    /// The peer opens a layer.
    Open(u8),
    /// It is open: what the peer has of it, and who else has to do with it.
    Opened(u8, Box<PieceSet>, Vec<PeerRecord>),
    /// The peer needs nothing more of it.
    Close(u8),
    /// The peer has one more piece.
    Have(u8, u32),
    /// The peer asks for a piece.
    Ask(u8, u32),
    /// The peer needs it no more.
    Cancel(u8, u32),
    /// It won't come.
    Rejected(u8, u32, Duration),
    /// What this node sent is its socket's affair, or was stopped: how many bytes went, and how long it took.
    Served(ServeId, u64, Nanos),
    /// A piece that came was looked at.
    Checked(Parcel),
    /// It is known what to show for a layer.
    Shown(u8),
    /// A tracker's answers to what it was told of these layers then, or none.
    Told(usize, Nanos, Vec<(u8, bool)>, Option<Vec<Result<Answer, Refusal>>>),
    /// A tracker has forgotten all.
    Forgotten(usize),
}

/// Something said, and by whom.
#[derive(Debug)]
pub struct Letter {
    at: Nanos,
    /// Who has said it; the node itself where it is of no other.
    pub from: u32,
    /// What.
    pub said: Said,
}

#[derive(Debug)]
struct Mailbox {
    letters: Vec<Letter>,
    attends_at: Nanos,
}

/// The agenda, the network, and what was said and is not heard yet.
#[derive(Debug)]
pub struct Post {
    /// What happens when.
    pub agenda: Agenda,
    /// The links.
    pub network: Network,
    boxes: Vec<Mailbox>,
    beat: Nanos,
    zones: u32,
    origin: u32,
    near: Nanos,
    far: Nanos,
    taken: Vec<Taken>,
}

impl Post {
    pub(super) fn new(shape: &Shape, network: Network) -> Self {
        let empty = |_| Mailbox { letters: Vec::new(), attends_at: NEVER };
        Self {
            agenda: Agenda::default(),
            network,
            boxes: (0..shape.nodes).map(empty).collect(),
            beat: shape.beat.max(1),
            zones: shape.zones.max(1),
            origin: shape.nodes,
            near: shape.way,
            far: shape.far_way,
            taken: Vec::new(),
        }
    }

    /// How long the way between two takes.
    pub fn way(&self, from: u32, to: u32) -> Nanos {
        let is_far = from == self.origin || to == self.origin || from % self.zones != to % self.zones;
        if is_far { self.far } else { self.near }
    }

    /// When something short that one says to another is heard.
    pub fn heard_at(&self, from: u32, to: u32, now: Nanos) -> Nanos {
        self.network.heard_at(from, to, self.way(from, to), now)
    }

    /// Says something to another.
    pub fn say(&mut self, from: u32, to: u32, said: Said, now: Nanos) {
        self.put(to, from, said, self.heard_at(from, to, now));
    }

    /// Has a node hear something then.
    pub fn put(&mut self, to: u32, from: u32, said: Said, at: Nanos) {
        self.boxes[place(to)].letters.push(Letter { at, from, said });
        self.attend(to, at);
    }

    /// Has a node look at things then, or at the next beat.
    pub fn attend(&mut self, node: u32, at: Nanos) {
        let at = at.div_ceil(self.beat).saturating_mul(self.beat);
        let mailbox = &mut self.boxes[place(node)];
        if at < mailbox.attends_at {
            mailbox.attends_at = at;
            self.agenda.add(at, Event::Attends(node));
        }
    }

    /// What a node hears now, in order; nothing where it is not the time that it looks.
    pub fn take(&mut self, node: u32, now: Nanos) -> Option<Vec<Letter>> {
        let mailbox = &mut self.boxes[place(node)];
        if mailbox.attends_at != now {
            return None;
        }
        mailbox.attends_at = NEVER;
        mailbox.letters.sort_by_key(|letter| letter.at);
        let due = mailbox.letters.partition_point(|letter| letter.at <= now);
        let rest = mailbox.letters.split_off(due);
        let next = rest.first().map(|letter| letter.at);
        let due = std::mem::replace(&mut mailbox.letters, rest);
        if let Some(next) = next {
            self.attend(node, next);
        }
        Some(due)
    }

    /// A node is gone: what it was told is of no use.
    pub fn empty(&mut self, node: u32) {
        self.boxes[place(node)].letters = Vec::new();
    }

    /// Sends on over a pipe; its sender hears of what it has no more to do with.
    pub fn pump(&mut self, pipe: PipeId, now: Nanos) {
        let mut taken = std::mem::take(&mut self.taken);
        self.network.pump(pipe, &mut self.agenda, &mut taken, now);
        for Taken { from, parcel, took } in taken.drain(..) {
            if let super::network::By::Peer(serve) = parcel.by {
                self.put(from, from, Said::Served(serve, u64::MAX, took), now);
            }
        }
        self.taken = taken;
    }
}

/// The records of nodes, by number.
pub type Records = Arc<[PeerRecord]>;

fn place(number: u32) -> usize {
    usize::try_from(number).expect("32 bits fit")
}
