//! The nodes that listen to this leader.

use longshore_fleet::{Instruction, NodeId, StreamId};
use rustc_hash::FxHashMap as HashMap;
use tokio::sync::mpsc;

use super::AgentStream;
use crate::control::Told;

/// The nodes that listen to this leader, each by its last stream.
#[derive(Debug)]
pub(crate) struct Streams {
    open: HashMap<NodeId, (StreamId, mpsc::Sender<Instruction>)>,
    /// How many instructions may wait for a node.
    length: usize,
}

impl Streams {
    pub(crate) fn new(length: usize) -> Self {
        Self { open: HashMap::default(), length }
    }

    /// A node listens; a stream that it had before ends.
    pub(crate) fn open(&mut self, node: NodeId, stream: StreamId) -> AgentStream {
        let (sender, instructions) = mpsc::channel(self.length);
        self.open.insert(node, (stream, sender));
        AgentStream { stream, instructions }
    }

    /// A stream is over.
    pub(crate) fn close(&mut self, node: NodeId, stream: StreamId) {
        if self.open.get(&node).is_some_and(|(open, _)| *open == stream) {
            self.open.remove(&node);
        }
    }

    /// Tells nodes what was decided. A node that does not keep up is cut off, to begin anew: those streams are handed back.
    pub(crate) fn tell(&mut self, told: Vec<Told>) -> Vec<(NodeId, StreamId)> {
        let mut cut = Vec::new();
        for Told { node, stream, instruction } in told {
            let Some((_, sender)) = self.open.get(&node).filter(|(open, _)| *open == stream) else { continue };
            if sender.try_send(instruction).is_err() {
                self.open.remove(&node);
                cut.push((node, stream));
            }
        }
        cut
    }
}
