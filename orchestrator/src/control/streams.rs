//! The streams on which nodes are told what to do.

use longshore_fleet::{Instruction, LogsWanted, NodeId, StreamId, api::Change};

use super::{Controller, Timer, output::Told};
use crate::schedule::Millis;

impl Controller {
    /// A node has opened a stream: it is told how things are to be, and from then on what is other. One that it had before is over. `None`
    /// where there is no such node.
    pub fn open(&mut self, id: NodeId, now: Millis) -> Option<StreamId> {
        self.now = self.now.max(now);
        let stream = self.random.stream(self.now);
        let node = self.nodes.get_mut(&id)?;
        let was_away = node.stream.is_none();
        node.stream = Some(stream);
        node.reported = 0;
        self.keep_images_on(id);
        let all = self.everything_for(id, stream)?;
        self.unwritten.told.push(Told { node: id, stream, instruction: all });
        if was_away {
            self.reschedule(id);
        }
        self.offer_fetches(id);
        Some(stream)
    }

    /// A stream is over: where it was the node's last, nothing is placed there until it opens another.
    pub fn close(&mut self, id: NodeId, stream: StreamId, now: Millis) {
        self.now = self.now.max(now);
        let Some(node) = self.nodes.get_mut(&id).filter(|node| node.stream == Some(stream)) else { return };
        node.stream = None;
        self.reschedule(id);
        let at = self.nodes.get(&id).map_or(self.now, |node| node.heard + self.settings.lost_after_ms);
        self.timers.set(Timer::Node(id), at.max(self.now));
    }

    /// For so long nobody could be heard, because this machine slept or its clock was set: no node was silent for that.
    pub fn note_pause(&mut self, pause: Millis, now: Millis) {
        self.now = self.now.max(now);
        for node in self.nodes.values_mut() {
            node.heard = node.heard.saturating_add(pause).min(self.now);
        }
    }

    /// Has a pod's node send what the pod writes. False where it is on no node that listens.
    pub fn logs(&mut self, wanted: LogsWanted) -> bool {
        let node = self.pods.get(&wanted.pod).and_then(|pod| pod.row.node);
        let Some(node) = node.filter(|node| self.nodes.get(node).is_some_and(|node| node.stream.is_some())) else { return false };
        self.tell(node, Instruction::Logs(wanted));
        true
    }

    /// A node may have been silent for too long.
    pub(crate) fn look_after(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let until = node.heard + self.settings.lost_after_ms;
        if self.now < until {
            self.timers.set(Timer::Node(id), until);
            return;
        }
        // Looked at again when it was heard of, or after as long.
        self.timers.set(Timer::Node(id), self.now + self.settings.lost_after_ms);
        if std::mem::replace(&mut node.is_lost, true) {
            return;
        }
        node.stream = None;
        self.reschedule(id);
        self.tell_of_node(id, Change::Changed, "NotReady", "it is not heard of");
        self.disown(id);
        self.withdraw_fetches(id);
        self.timers.set(Timer::Losses, self.now);
    }
}
