//! What happens when.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::network::PipeId;

/// Simulated time, in nanoseconds since the beginning.
pub type Nanos = u64;

/// A millisecond.
pub const MS: Nanos = 1_000_000;
/// A second.
pub const SECOND: Nanos = 1_000 * MS;
/// Later than anything.
pub const NEVER: Nanos = Nanos::MAX;

/// Something that happens.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// A block has left its sender's link and is at its receiver's.
    Crossed(PipeId),
    /// A block is there.
    Delivered(PipeId),
    /// Its sender knows that it is.
    Credited(PipeId),
    /// The origin has begun to answer.
    Answers(PipeId),
    /// A node looks at what it was told, and decides.
    Attends(u32),
    /// An announcement has come to its tracker.
    Announced(u32),
    /// A node that was dialed greets, or does not.
    Greets {
        /// Who has dialed.
        from: u32,
        /// Whom.
        to: u32,
    },
    /// A node begins to want the image.
    Begins(u32),
    /// A node ends, and its connections with it.
    Leaves(u32),
    /// The leaseholder of a zone falls silent.
    LeaderDies(u32),
    /// All trackers end.
    TrackersDie,
}

/// What is still to happen. What is due at one time happens in the order in which it was put down.
#[derive(Debug, Default)]
pub struct Agenda {
    entries: BinaryHeap<Reverse<Entry>>,
    last: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: Nanos,
    order: u64,
    event: Event,
}

impl Entry {
    fn key(&self) -> (Nanos, u64) {
        (self.at, self.order)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl Agenda {
    /// Puts something down.
    pub fn add(&mut self, at: Nanos, event: Event) {
        self.last += 1;
        self.entries.push(Reverse(Entry { at, order: self.last, event }));
    }

    /// Takes the next.
    pub fn next(&mut self) -> Option<(Nanos, Event)> {
        self.entries.pop().map(|Reverse(entry)| (entry.at, entry.event))
    }
}
