//! The links, and what is on its way.
//!
//! Each node has a link up and one down, and each is a queue: what comes first goes first, at the link's rate. A connection has a window
//! of blocks in these queues, and sends the next one when one has arrived; so connections that meet at a link share it about evenly, what
//! one can't use goes to the others, and what is asked for waits behind what is being sent, as it does behind a real link. Where a queue
//! is longer than links let it be, a connection has one block under way, as TCP would after a loss. That costs a few events a block
//! whatever the swarm's size; shares worked out for all flows at once, max-min fair, would cost as much as there are flows whenever one
//! begins or ends.

use std::collections::VecDeque;

use longshore_p2p::upload::ServeId;

use super::agenda::{Agenda, Event, Nanos};

/// How a node's links are, in bits a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// To others.
    pub up_bits: u64,
    /// From others.
    pub down_bits: u64,
}

/// How connections behave.
#[derive(Clone, Copy, Debug)]
pub struct Transport {
    /// What goes at once over a connection, in bytes; as much as others may have to wait for.
    pub block_bytes: u32,
    /// How much of a connection is under way where the way is short, in bytes.
    pub window_bytes: u32,
    /// How long a link's queue becomes before connections hold back.
    pub queue: Nanos,
    /// How much a sender's socket takes before it is under way: what it has taken counts as sent.
    pub socket_bytes: u32,
}

/// One direction of a node's connection to the network.
#[derive(Debug)]
struct Line {
    bits_per_second: u64,
    free_at: Nanos,
}

impl Line {
    fn enter(&mut self, bytes: u32, now: Nanos) -> Nanos {
        self.free_at = self.free_at.max(now) + u64::from(bytes) * 8_000_000_000 / self.bits_per_second;
        self.free_at
    }

    fn backlog(&self, now: Nanos) -> Nanos {
        self.free_at.saturating_sub(now)
    }
}

/// Which pipe; one that has ended is never taken for another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PipeId {
    index: u32,
    age: u32,
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub struct Parcel {
    /// Of which blob, by its place in the image.
    pub topic: u8,
    /// Which piece of it.
    pub piece: u32,
    /// By which serve of the sender's, or run of the receiver's.
    pub by: By,
    /// Whether the bytes are wrong.
    pub is_wrong: bool,
}

/// On whose account something is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum By {
    /// A peer's.
    Peer(ServeId),
    /// The origin's, for this run.
    Origin(u64),
}

#[derive(Debug)]
struct Sending {
    parcel: Parcel,
    unsent: u32,
    began: Nanos,
    is_taken: bool,
    is_dropped: bool,
}

/// A block that has arrived.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// Of what.
    pub parcel: Parcel,
    /// How long it is, in bytes.
    pub bytes: u32,
    /// Whether nothing of that piece comes after it.
    pub is_last: bool,
    /// Whether its receiver does not want it any more.
    pub is_dropped: bool,
}

/// One direction of a connection.
#[derive(Debug, Default)]
struct Pipe {
    age: u32,
    is_open: bool,
    from: u32,
    to: u32,
    way: Nanos,
    window: u32,
    under_way: u32,
    queue: VecDeque<Sending>,
    blocks: VecDeque<Block>,
}

/// A parcel that its sender has no more to do with.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Who has sent it.
    pub from: u32,
    /// What.
    pub parcel: Parcel,
    /// How long that took.
    pub took: Nanos,
}

/// All links and pipes. Nodes are numbered; the origin is the last.
#[derive(Debug)]
pub struct Network {
    transport: Transport,
    up: Vec<Line>,
    down: Vec<Line>,
    pipes: Vec<Pipe>,
    free: Vec<u32>,
}

impl Network {
    /// With these links.
    pub fn new(rates: &[Rates], transport: Transport) -> Self {
        let line = |bits_per_second: u64| Line { bits_per_second: bits_per_second.max(1), free_at: 0 };
        Self {
            transport,
            up: rates.iter().map(|rates| line(rates.up_bits)).collect(),
            down: rates.iter().map(|rates| line(rates.down_bits)).collect(),
            pipes: Vec::new(),
            free: Vec::new(),
        }
    }

    /// When something short that is said now is heard, where the way takes so long: it waits behind what is under way.
    pub fn heard_at(&self, from: u32, to: u32, way: Nanos, now: Nanos) -> Nanos {
        (self.up[place(from)].free_at.max(now) + way).max(self.down[place(to)].free_at)
    }

    /// A new pipe.
    pub fn open(&mut self, from: u32, to: u32, way: Nanos) -> PipeId {
        let slowest = self.up[place(from)].bits_per_second.min(self.down[place(to)].bits_per_second);
        let on_the_way = u128::from(slowest) * u128::from(2 * way) / 8_000_000_000;
        let window = self.transport.window_bytes.saturating_add(u32::try_from(on_the_way).unwrap_or(u32::MAX));
        let index = self.free.pop().unwrap_or_else(|| {
            self.pipes.push(Pipe::default());
            u32::try_from(self.pipes.len() - 1).expect("there are fewer pipes than that")
        });
        let pipe = &mut self.pipes[place(index)];
        let age = pipe.age + 1;
        *pipe = Pipe { age, is_open: true, from, to, way, window, ..Pipe::default() };
        PipeId { index, age }
    }

    /// A pipe ends; what is under way is lost.
    pub fn close(&mut self, id: PipeId) {
        if let Some(pipe) = self.find(id) {
            let age = pipe.age;
            *pipe = Pipe { age, ..Pipe::default() };
            self.free.push(id.index);
        }
    }

    /// Puts a parcel of so many bytes into a pipe.
    pub fn send(&mut self, id: PipeId, parcel: Parcel, bytes: u32, now: Nanos) {
        if let Some(pipe) = self.find(id) {
            let sending = Sending { parcel, unsent: bytes, began: now, is_taken: false, is_dropped: false };
            pipe.queue.push_back(sending);
        }
    }

    /// Sends on what may be sent on. What its sender has no more to do with is added to `taken`.
    pub fn pump(&mut self, id: PipeId, agenda: &mut Agenda, taken: &mut Vec<Taken>, now: Nanos) {
        let Transport { block_bytes, queue, socket_bytes, .. } = self.transport;
        let Some(pipe) = self.pipes.get_mut(place(id.index)).filter(|pipe| pipe.is_open && pipe.age == id.age) else { return };
        let (up, down) = (&mut self.up[place(pipe.from)], &self.down[place(pipe.to)]);
        while let Some(sending) = pipe.queue.front_mut() {
            let is_held = pipe.under_way + block_bytes > pipe.window || up.backlog(now) > queue || down.backlog(now) > queue;
            if pipe.under_way > 0 && is_held {
                break;
            }
            let bytes = sending.unsent.min(block_bytes);
            sending.unsent -= bytes;
            pipe.under_way += bytes;
            let (parcel, is_last, is_dropped) = (sending.parcel, sending.unsent == 0, sending.is_dropped);
            pipe.blocks.push_back(Block { parcel, bytes, is_last, is_dropped });
            agenda.add(up.enter(bytes, now) + pipe.way, Event::Crossed(id));
            if is_last {
                if !sending.is_taken {
                    taken.push(Taken { from: pipe.from, parcel, took: now - sending.began });
                }
                pipe.queue.pop_front();
            }
        }
        let mut waiting = 0;
        for sending in &mut pipe.queue {
            waiting += sending.unsent;
            if waiting > socket_bytes {
                break;
            }
            if !std::mem::replace(&mut sending.is_taken, true) {
                taken.push(Taken { from: pipe.from, parcel: sending.parcel, took: now - sending.began });
            }
        }
    }

    /// A block is at its receiver's link. At one that is not there any more it is lost, and its sender hears nothing.
    pub fn crossed(&mut self, id: PipeId, is_lost: bool, agenda: &mut Agenda, now: Nanos) {
        let Some(pipe) = self.pipes.get(place(id.index)).filter(|pipe| pipe.is_open && pipe.age == id.age) else { return };
        // The last block that was put in is as long as any other, or nearly.
        let bytes = pipe.blocks.front().map_or(0, |block| block.bytes);
        if !is_lost {
            agenda.add(self.down[place(pipe.to)].enter(bytes, now), Event::Delivered(id));
        }
    }

    /// A block has arrived: from whom, at whom, and how long its sender takes to know.
    pub fn delivered(&mut self, id: PipeId) -> Option<(u32, u32, Block, Nanos)> {
        let pipe = self.find(id)?;
        let block = pipe.blocks.pop_front()?;
        pipe.under_way -= block.bytes;
        Some((pipe.from, pipe.to, block, pipe.way))
    }

    /// Its receiver does not want a piece any more: what still comes of it is for nothing.
    pub fn drop_piece(&mut self, id: PipeId, topic: u8, piece: u32) {
        let Some(pipe) = self.find(id) else { return };
        let is_it = |parcel: &Parcel| (parcel.topic, parcel.piece) == (topic, piece);
        pipe.queue.iter_mut().filter(|sending| is_it(&sending.parcel)).for_each(|sending| sending.is_dropped = true);
        pipe.blocks.iter_mut().filter(|block| is_it(&block.parcel)).for_each(|block| block.is_dropped = true);
    }

    /// Its sender stops a serve, where its socket has not taken all of it yet; whether that was so.
    pub fn stop(&mut self, id: PipeId, serve: ServeId) -> bool {
        let Some(pipe) = self.find(id) else { return false };
        let before = pipe.queue.len();
        // What is under way of it is read to no end.
        pipe.queue.retain(|sending| sending.is_taken || sending.parcel.by != By::Peer(serve));
        pipe.queue.len() < before
    }

    /// Who is at a pipe's end.
    pub fn receiver(&self, id: PipeId) -> Option<u32> {
        self.pipes.get(place(id.index)).filter(|pipe| pipe.is_open && pipe.age == id.age).map(|pipe| pipe.to)
    }

    /// Whether something is in a pipe.
    pub fn is_busy(&self, id: PipeId) -> bool {
        let pipe = self.pipes.get(place(id.index)).filter(|pipe| pipe.is_open && pipe.age == id.age);
        pipe.is_some_and(|pipe| !pipe.queue.is_empty() || !pipe.blocks.is_empty())
    }

    fn find(&mut self, id: PipeId) -> Option<&mut Pipe> {
        self.pipes.get_mut(place(id.index)).filter(|pipe| pipe.is_open && pipe.age == id.age)
    }
}

fn place(number: u32) -> usize {
    usize::try_from(number).expect("32 bits fit")
}
