//! Turns at upstreams: one that hangs keeps those who want something of another from nothing.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many at once at each upstream.
pub struct Turns {
    most: usize,
    /// By an upstream's address; there are as many as are configured.
    of: Mutex<HashMap<Arc<str>, Arc<Semaphore>>>,
}

impl Turns {
    /// None taken yet.
    pub fn new(most: usize) -> Self {
        Self { most: most.min(Semaphore::MAX_PERMITS), of: Mutex::default() }
    }

    /// A turn at an upstream, until it is dropped; `None` where all are taken.
    pub fn take(&self, upstream: &Arc<str>) -> Option<OwnedSemaphorePermit> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = of.entry(upstream.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.most)));
        turns.clone().try_acquire_owned().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_upstream_has_its_own() {
        let (turns, hung, well) = (Turns::new(2), "hung".into(), "well".into());
        let held = [turns.take(&hung), turns.take(&hung)];
        assert!(held.iter().all(Option::is_some) && turns.take(&hung).is_none());
        assert!(turns.take(&well).is_some());
        drop(held);
        assert!(turns.take(&hung).is_some());
    }
}
