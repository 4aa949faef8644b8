use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use super::{Limits, Traffic, asked::Asked, guests::Slot, owed::Owed};

/// What the parts of a connection share.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) limits: Limits,
    /// Room for long frames, in KiB, which all connections share.
    pub(super) metainfo_room: Arc<Semaphore>,
    pub(super) traffic: Traffic,
    /// Cancelled when the connection ends.
    pub(super) ended: CancellationToken,
    /// Wakes the writer for what is in no queue.
    pub(super) wake: Notify,
    is_ping_due: AtomicBool,
    is_pong_due: AtomicBool,
    parting: Mutex<Option<String>>,
    /// Cancelled when the peer is to be told that the connection ends.
    pub(super) leaving: CancellationToken,
    asked: Mutex<Asked>,
    owed: Mutex<Owed>,
}

impl Link {
    pub(super) fn new(limits: Limits, metainfo_room: Arc<Semaphore>) -> Self {
        Self {
            limits,
            metainfo_room,
            traffic: Traffic::default(),
            ended: CancellationToken::new(),
            wake: Notify::new(),
            is_ping_due: AtomicBool::new(false),
            is_pong_due: AtomicBool::new(false),
            parting: Mutex::new(None),
            leaving: CancellationToken::new(),
            asked: Mutex::new(Asked::new(limits.most_topics, limits.most_asked)),
            owed: Mutex::new(Owed::new(limits.most_owed)),
        }
    }

    /// Ends the connection. Memory that was set aside is free but for that of what is just being received, which the reader has: it lets go
    /// of it when it notices, or is dropped.
    pub(super) fn end(&self) {
        // In this order: who asks now sees that it has ended, and takes that back.
        self.ended.cancel();
        self.asked().clear();
    }

    /// What was asked of the peer.
    pub(super) fn asked(&self) -> MutexGuard<'_, Asked> {
        lock(&self.asked)
    }

    /// What the peer has asked for.
    pub(super) fn owed(&self) -> MutexGuard<'_, Owed> {
        lock(&self.owed)
    }

    /// Has the peer asked whether it is there.
    pub(super) fn ping(&self) {
        self.is_ping_due.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    pub(super) fn take_ping(&self) -> bool {
        self.is_ping_due.swap(false, Ordering::Relaxed)
    }

    /// Has the peer answered; one answer does for all that it has asked until then.
    pub(super) fn pong(&self) {
        self.is_pong_due.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    pub(super) fn take_pong(&self) -> bool {
        self.is_pong_due.swap(false, Ordering::Relaxed)
    }

    /// Has the peer told that the connection ends, and why.
    pub(super) fn part(&self, reason: String) {
        lock(&self.parting).get_or_insert(reason);
        self.leaving.cancel();
        self.wake.notify_one();
    }

    pub(super) fn take_parting(&self) -> Option<String> {
        lock(&self.parting).take()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection's reader or writer: with one of them the connection ends, with both its place is free.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) link: Arc<Link>,
    _slot: Arc<Slot>,
}

impl Half {
    pub(super) fn new(link: Arc<Link>, slot: Arc<Slot>) -> Self {
        Self { link, _slot: slot }
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        self.link.end();
    }
}
