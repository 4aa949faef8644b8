//! Memory for bytes in flight, waited for.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How much memory requests may hold together for bytes in flight. Who asks while it is used up waits, in turn, and meanwhile
/// leaves the client's bytes in the socket.
#[derive(Clone, Debug)]
pub struct Budget {
    kibibytes: Arc<Semaphore>,
    total_kibibytes: u32,
    patience: Duration,
}

/// The budget stayed used up for as long as one may wait.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("too much is being transferred at once; try again in a moment")]
pub struct NoBudget;

impl Budget {
    /// A budget of so many bytes, for which one waits so long.
    pub fn new(total_bytes: u64, patience: Duration) -> Self {
        let total_kibibytes = u32::try_from(total_bytes.div_ceil(1024)).unwrap_or(u32::MAX).max(1);
        let permits = usize::try_from(total_kibibytes).unwrap_or(Semaphore::MAX_PERMITS);
        Self { kibibytes: Arc::new(Semaphore::new(permits)), total_kibibytes, patience }
    }

    /// Memory for so many bytes, given back when the permit is dropped. More than there is in all counts as all there is.
    pub async fn take(&self, bytes: u64) -> Result<OwnedSemaphorePermit, NoBudget> {
        let permit = self.kibibytes.clone().acquire_many_owned(self.kibibytes_of(bytes));
        tokio::time::timeout(self.patience, permit).await.ok().and_then(Result::ok).ok_or(NoBudget)
    }

    /// The same, where it is there now and nobody waits for it.
    pub fn try_take(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        self.kibibytes.clone().try_acquire_many_owned(self.kibibytes_of(bytes)).ok()
    }

    /// What so many bytes count as.
    fn kibibytes_of(&self, bytes: u64) -> u32 {
        u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX).clamp(1, self.total_kibibytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn makes_the_second_wait_for_the_first() {
        let budget = Budget::new(4096, Duration::from_millis(20));
        let first = budget.take(4096).await.unwrap();
        assert!(budget.take(1).await.is_err());
        drop(first);
        assert!(budget.take(1 << 40).await.is_ok());
    }

    #[tokio::test]
    async fn who_does_not_wait_takes_nothing_from_who_does() {
        let budget = Budget::new(4096, Duration::from_secs(20));
        let first = budget.try_take(3072).expect("nobody has any");
        assert!(budget.try_take(2048).is_none());
        let mut second = Box::pin(budget.take(2048));
        assert!(futures_util::poll!(&mut second).is_pending());
        assert!(budget.try_take(1).is_none(), "another waits for it");
        drop(first);
        let second = second.await.unwrap();
        assert!(budget.try_take(2048).is_some() && budget.try_take(2049).is_none());
        drop(second);
        assert!(budget.try_take(1 << 40).is_some());
    }
}
