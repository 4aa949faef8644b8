//! The operations of this process: those that run, and the last that ran.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use super::{operation::Operation, wish::Wish};

/// As many run as may.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0} operations are running, which is the most that may; wait for one, or cancel one")]
pub struct Busy(pub usize);

/// Operations, the newest first.
pub struct Operations {
    all: Mutex<VecDeque<Arc<Operation>>>,
    most_running: usize,
    most_kept: usize,
}

impl Operations {
    /// None yet; so many may run, and so many are remembered, those that run among them.
    pub fn new(most_running: usize, most_kept: usize) -> Self {
        let most_running = most_running.max(1);
        Self { all: Mutex::default(), most_running, most_kept: most_kept.max(most_running) }
    }

    /// The operation that does this, and whether it is a new one.
    pub fn begin(&self, wish: Wish, make: impl FnOnce(Wish) -> Operation) -> Result<(Arc<Operation>, bool), Busy> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let running = || all.iter().filter(|operation| !operation.is_over());
        if let Some(same) = running().find(|operation| !operation.is_ending() && operation.wish().is_same_as(&wish)) {
            return Ok((same.clone(), false));
        }
        if running().count() >= self.most_running {
            return Err(Busy(self.most_running));
        }
        let operation = Arc::new(make(wish));
        all.push_front(operation.clone());
        while all.len() > self.most_kept {
            let Some(oldest) = all.iter().rposition(|operation| operation.is_over()) else { break };
            all.remove(oldest);
        }
        Ok((operation, true))
    }

    /// The one of this id.
    pub fn get(&self, id: &str) -> Option<Arc<Operation>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).iter().find(|operation| operation.id() == id).cloned()
    }

    /// All, the newest first.
    pub fn list(&self) -> Vec<Arc<Operation>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn wish(image: &str) -> Wish {
        Wish { images: vec![image.to_owned()], platforms: vec![], pin: None, deadline: None }
    }

    fn make(wish: Wish) -> Operation {
        Operation::new(wish, Timestamp::UNIX_EPOCH, &CancellationToken::new())
    }

    #[test]
    fn the_same_while_it_runs_is_the_same_operation() {
        let operations = Operations::new(2, 3);
        let (first, is_new) = operations.begin(wish("a"), make).unwrap();
        assert!(is_new);
        let (again, is_new) = operations.begin(wish("a"), make).unwrap();
        assert!(!is_new && Arc::ptr_eq(&first, &again));
        let (other, _) = operations.begin(wish("b"), make).unwrap();
        assert_eq!(operations.begin(wish("c"), make).err(), Some(Busy(2)));
        assert!(!operations.begin(wish("b"), make).unwrap().1, "the same may be asked for though no other may begin");
        first.ended(None, Timestamp::UNIX_EPOCH);
        let (anew, is_new) = operations.begin(wish("a"), make).unwrap();
        assert!(is_new && anew.id() != first.id());
        other.cancel();
        anew.ended(None, Timestamp::UNIX_EPOCH);
        assert!(operations.begin(wish("b"), make).unwrap().1, "what is being cancelled is not joined");
        let ids: Vec<_> = operations.list().iter().map(|operation| operation.id().to_owned()).collect();
        assert_eq!((ids.len(), operations.get(first.id()).is_none()), (3, true), "the oldest that is over is forgotten");
        assert_eq!(operations.get(other.id()).unwrap().id(), ids[2]);
        assert_eq!(operations.get(anew.id()).unwrap().id(), ids[1]);
    }
}
