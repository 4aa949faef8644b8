//! Room for messages: so many bytes may be held at once, and of those each connection's a part at most.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room is given in steps of so many bytes.
const STEP_BYTES: usize = 16 << 10;

/// The room there is for one connection's messages.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    all: Arc<Semaphore>,
    part: Arc<Semaphore>,
    part_bytes: usize,
}

impl Budget {
    /// Room for so many bytes of all connections, and for so many of each.
    pub fn new(all_bytes: usize, part_bytes: usize) -> Self {
        Self { all: semaphore(all_bytes), part: semaphore(part_bytes), part_bytes }
    }

    /// The room for another connection's.
    pub fn of_another(&self) -> Self {
        Self { part: semaphore(self.part_bytes), ..self.clone() }
    }

    /// A receipt for nothing yet.
    pub fn receipt(&self) -> Receipt {
        let nothing = |semaphore: &Arc<Semaphore>| {
            Arc::clone(semaphore).try_acquire_many_owned(0).expect("there is room for nothing, and no semaphore here is closed")
        };
        Receipt { all: nothing(&self.all), part: nothing(&self.part) }
    }
}

fn semaphore(bytes: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS)))
}

/// What was taken of a budget. It is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Receipt {
    all: OwnedSemaphorePermit,
    part: OwnedSemaphorePermit,
}

impl Receipt {
    /// For how many bytes it is.
    pub fn bytes(&self) -> usize {
        self.all.num_permits()
    }

    /// Makes it one for at least so many bytes, and not many more. Where there is no room for them it stays as it is.
    #[must_use]
    pub fn resize(&mut self, bytes: usize) -> bool {
        let (held, wanted) = (self.bytes(), bytes.next_multiple_of(STEP_BYTES));
        if wanted <= held {
            drop((self.all.split(held - wanted), self.part.split(held - wanted)));
            return true;
        }
        let Ok(more) = u32::try_from(wanted - held) else { return false };
        let take = |permit: &OwnedSemaphorePermit| Arc::clone(permit.semaphore()).try_acquire_many_owned(more);
        let (Ok(part), Ok(all)) = (take(&self.part), take(&self.all)) else { return false };
        self.part.merge(part);
        self.all.merge(all);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_has_its_part_and_leaves_the_rest() {
        let one = Budget::new(STEP_BYTES * 3, STEP_BYTES * 2);
        let (other, mut held, mut others) = (one.of_another(), one.receipt(), one.of_another().receipt());
        assert!(held.resize(STEP_BYTES + 1) && held.bytes() == STEP_BYTES * 2);
        // Its part is over, though there is room.
        assert!(!held.resize(STEP_BYTES * 2 + 1) && !one.receipt().resize(1));
        assert!(others.resize(1));
        // There is none left, though another has had nothing.
        assert!(!other.receipt().resize(1) && !others.resize(STEP_BYTES + 1));
        assert!(held.resize(1) && other.receipt().resize(1));
        drop((held, others));
        assert_eq!((one.all.available_permits(), one.part.available_permits()), (STEP_BYTES * 3, STEP_BYTES * 2));
        assert_eq!(other.part.available_permits(), STEP_BYTES * 2);
    }
}
