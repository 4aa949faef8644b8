//! What peers say of a topic.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use libp2p_identity::PeerId;
use tokio::sync::mpsc;

use super::{input::Order, inquiring::InquiryId};
use crate::topic::Topic;

/// Answers that wait to be taken, at most; those of more peers are let go.
const MOST_TOLD: usize = 8;

/// The last inquiry's number, in this process.
static LAST: AtomicU64 = AtomicU64::new(0);

/// What a peer says that it knows of a topic. Nothing of it is proven.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Told {
    /// Who says it.
    pub by: PeerId,
    /// What its [`Holdings`](super::Holdings) has as metainfo.
    pub metainfo: Bytes,
}

/// The answers of peers, as they come. Dropping it ends the asking.
#[derive(Debug)]
pub struct Inquiry {
    id: InquiryId,
    inbox: mpsc::Receiver<Told>,
    orders: mpsc::Sender<Order>,
}

impl Inquiry {
    pub(super) fn of(topic: Topic, patience: Duration, orders: mpsc::Sender<Order>) -> (Self, Order) {
        let id = InquiryId(LAST.fetch_add(1, Ordering::Relaxed) + 1);
        let (out, inbox) = mpsc::channel(MOST_TOLD);
        (Self { id, inbox, orders }, Order::AskAbout { id, topic, patience, out })
    }

    /// The next answer; `None` once nobody else is to be asked. It may be given up while it is waited for.
    pub async fn next(&mut self) -> Option<Told> {
        self.inbox.recv().await
    }
}

impl Drop for Inquiry {
    fn drop(&mut self) {
        // Else it is found by itself.
        let _ = self.orders.try_send(Order::StopAsking(self.id));
    }
}
