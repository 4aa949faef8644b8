//! What comes of a blob that is wanted.

use std::sync::atomic::{AtomicU64, Ordering};

use libp2p_identity::PeerId;
use longshore_oci::piece::{PieceIndex, PieceSet};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use super::{OriginError, Wanted, input::Order};
use crate::{locality::Nearness, topic::TopicKey};

/// Arrivals that wait to be taken, at most; over it nothing is asked for.
pub(super) const MOST_ARRIVALS: usize = 256;

/// The last download's number, in this process.
static LAST: AtomicU64 = AtomicU64::new(0);

/// A piece that came and was found right.
#[derive(Debug)]
pub struct Arrival {
    /// Which.
    pub piece: PieceIndex,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The memory that they count against.
    pub memory: OwnedSemaphorePermit,
    /// Where it came from.
    pub from: Supplier,
}

/// Where a piece came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Supplier {
    /// A neighbour.
    Peer(PeerId, Nearness),
    /// The origin.
    Origin,
}

/// Why a blob does not come.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No peer brings it, and the origin does not either.
    #[error("no neighbour has what is missing, and where else it could come from fails")]
    Origin(#[source] OriginError),
    /// The swarm is left.
    #[error("the swarm was left")]
    Left,
}

/// Which download.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct FetchId(pub(super) u64);

/// The pieces of a blob as they come. Dropping it gives the rest up.
#[derive(Debug)]
pub struct Arrivals {
    id: FetchId,
    inbox: mpsc::Receiver<Result<Arrival, FetchError>>,
    orders: mpsc::Sender<Order>,
    /// The pieces that are here, or came.
    here: PieceSet,
    /// Those that landed, for [`tell`].
    landed: watch::Sender<PieceSet>,
}

impl Arrivals {
    pub(super) fn of(wanted: Wanted, orders: mpsc::Sender<Order>) -> (Self, Order) {
        let id = FetchId(LAST.fetch_add(1, Ordering::Relaxed) + 1);
        let topic = wanted.topic.key();
        let here = wanted.here.clone();
        let (out, inbox) = mpsc::channel(MOST_ARRIVALS);
        let pieces = wanted.geometry.pieces();
        let (landed, landing) = watch::channel(PieceSet::none_of(pieces));
        tokio::spawn(tell(topic, landing, PieceSet::all_of(pieces), orders.clone()));
        (Self { id, inbox, orders, here, landed }, Order::Fetch { id, wanted: Box::new(wanted), out })
    }

    /// The next piece; `None` once all have come that were missing, or after an error. It may be given up while it is waited for.
    pub async fn next(&mut self) -> Option<Result<Arrival, FetchError>> {
        while !self.here.is_full() {
            match self.inbox.recv().await.unwrap_or(Err(FetchError::Left)) {
                // Else it came by another way meanwhile.
                Ok(arrival) if self.here.insert(arrival.piece) => return Some(Ok(arrival)),
                Ok(_) => {}
                Err(error) => {
                    self.here = PieceSet::none_of(0);
                    return Some(Err(error));
                }
            }
        }
        None
    }

    /// A piece is where it can be read again, be it that it came this way or another: it is not wanted any more, and neighbours may have it.
    pub fn landed(&mut self, piece: PieceIndex) {
        self.here.insert(piece);
        self.landed.send_if_modified(|landed| landed.insert(piece));
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        // Else it is found by itself.
        let _ = self.orders.try_send(Order::Drop(self.id));
    }
}

/// Tells the task which pieces landed, each once, however long it takes to hear of them.
async fn tell(topic: TopicKey, mut landing: watch::Receiver<PieceSet>, mut untold: PieceSet, orders: mpsc::Sender<Order>) {
    while landing.changed().await.is_ok() {
        let landed: Vec<_> = landing.borrow_and_update().common(&untold).collect();
        for piece in landed {
            untold.remove(piece);
            if orders.send(Order::Landed { topic, piece }).await.is_err() {
                return;
            }
        }
    }
}
