//! Where those who read what pods write wait for the nodes that send it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use longshore_fleet::{LogsId, LogsRefused, NodeId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// How many pieces may wait for a reader before its node is held up.
const WAITING: usize = 16;

/// What a node sends to whoever reads.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Piece {
    /// It begins.
    Begin,
    /// The next of it.
    Bytes(Bytes),
    /// That there was all of it. Where this does not come, it broke off.
    End,
    /// That it does not come at all, and why.
    Refused(LogsRefused),
}

/// Those who wait, by what names their wish.
#[derive(Clone, Debug)]
pub(crate) struct LogDesk {
    waiting: Arc<Mutex<HashMap<LogsId, Place>>>,
    places: Arc<Semaphore>,
}

#[derive(Debug)]
struct Place {
    /// The node that may send it.
    node: NodeId,
    pieces: mpsc::Sender<Piece>,
}

/// Somebody who reads, until this is dropped.
pub(crate) struct LogReader {
    id: LogsId,
    desk: LogDesk,
    pieces: mpsc::Receiver<Piece>,
    _place: OwnedSemaphorePermit,
}

impl LogDesk {
    /// One with room for so many readers.
    pub(crate) fn new(most_readers: usize) -> Self {
        Self { waiting: Arc::default(), places: Arc::new(Semaphore::new(most_readers)) }
    }

    /// Waits for what a node sends under this name; `None` where too many read.
    pub(crate) fn wait(&self, id: LogsId, node: NodeId) -> Option<LogReader> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        let (sender, pieces) = mpsc::channel(WAITING);
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Place { node, pieces: sender });
        Some(LogReader { id, desk: self.clone(), pieces, _place: place })
    }

    /// Where what a node sends under this name goes, once; `None` where nobody waits for it.
    pub(crate) fn claim(&self, id: LogsId, node: NodeId) -> Option<mpsc::Sender<Piece>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.get(&id)?.node != node {
            return None;
        }
        waiting.remove(&id).map(|place| place.pieces)
    }
}

impl LogReader {
    /// The next piece; `None` where the node has gone away.
    pub(crate) async fn next(&mut self) -> Option<Piece> {
        self.pieces.recv().await
    }
}

impl Drop for LogReader {
    fn drop(&mut self) {
        self.desk.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn what_the_node_sends_reaches_who_waits_for_it() {
        let desk = LogDesk::new(1);
        let (id, node, other) = (LogsId(Uuid::from_u128(1)), NodeId(Uuid::from_u128(2)), NodeId(Uuid::from_u128(3)));
        let mut reader = desk.wait(id, node).unwrap();
        assert!(desk.wait(LogsId(Uuid::from_u128(4)), node).is_none(), "there is room for one");
        assert!(desk.claim(id, other).is_none() && desk.claim(LogsId(Uuid::nil()), node).is_none());
        let pieces = desk.claim(id, node).unwrap();
        assert!(desk.claim(id, node).is_none(), "it is sent once");
        pieces.send(Piece::Bytes("a\n".into())).await.unwrap();
        assert_eq!(reader.next().await, Some(Piece::Bytes("a\n".into())));
        drop(pieces);
        assert_eq!(reader.next().await, None);
        drop(reader);
        assert!(desk.wait(id, node).is_some() && desk.waiting.lock().unwrap().is_empty());
    }
}
