//! What each of those who connect may have of what there is for all of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use libp2p_identity::PeerId;
use tokio::sync::OwnedSemaphorePermit;

use super::link::Link;
use crate::network::Share;

/// The place of a connection among all of its kind, and among those of its network.
#[derive(Debug)]
pub(super) struct Slot {
    _of_all: OwnedSemaphorePermit,
    _of_network: Option<Share>,
}

impl Slot {
    pub(super) fn new(of_all: OwnedSemaphorePermit, of_network: Option<Share>) -> Self {
        Self { _of_all: of_all, _of_network: of_network }
    }
}

/// The connections that others have made, the oldest first.
#[derive(Debug)]
pub(super) struct Guests {
    most_of_peer: usize,
    links: Mutex<Vec<(PeerId, Weak<Link>)>>,
}

impl Guests {
    pub(super) fn new(most_of_peer: usize) -> Self {
        Self { most_of_peer: most_of_peer.max(1), links: Mutex::default() }
    }

    /// Adds one. Where its peer has as many as it may the oldest is ended: it has begun anew, and its id is proven, so nobody else can
    /// have done that.
    pub(super) fn add(&self, peer: PeerId, link: &Arc<Link>) {
        let mut links = lock(&self.links);
        links.retain(|(_, link)| link.upgrade().is_some_and(|link| !link.ended.is_cancelled()));
        let of_peer: Vec<_> = links.iter().filter(|(of, _)| *of == peer).filter_map(|(_, link)| link.upgrade()).collect();
        let surplus = (of_peer.len() + 1).saturating_sub(self.most_of_peer);
        of_peer.iter().take(surplus).for_each(|oldest| oldest.end());
        links.push((peer, Arc::downgrade(link)));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
