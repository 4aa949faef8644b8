//! What is held for a moment, and let go where nobody takes it up again.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio_util::task::AbortOnDropHandle;

/// How long a client may take nothing before what is held for it alone is let go.
pub const BEHIND: Duration = Duration::from_secs(1);

/// Something that is let go when its time is over.
pub struct Lapsing<T> {
    held: Arc<Mutex<Option<T>>>,
    _end: AbortOnDropHandle<()>,
}

impl<T: Send + 'static> Lapsing<T> {
    /// Holds it for so long.
    pub fn new(value: T, time: Duration) -> Self {
        let held = Arc::new(Mutex::new(Some(value)));
        let ending = Arc::downgrade(&held);
        let end = tokio::spawn(async move {
            tokio::time::sleep(time).await;
            let value = ending.upgrade().and_then(|held| taken(&held));
            drop(value);
        });
        Self { held, _end: AbortOnDropHandle::new(end) }
    }

    /// It, where it is still held.
    pub fn take(self) -> Option<T> {
        taken(&self.held)
    }
}

fn taken<T>(held: &Mutex<Option<T>>) -> Option<T> {
    held.lock().unwrap_or_else(PoisonError::into_inner).take()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_let_go_when_its_time_is_over() {
        let held = Arc::new(());
        let lapsing = Lapsing::new(held.clone(), Duration::from_mins(1));
        assert!(lapsing.take().is_some());
        let lapsing = Lapsing::new(held.clone(), Duration::from_millis(5));
        while Arc::strong_count(&held) > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(lapsing.take().is_none());
        drop(Lapsing::new(held.clone(), Duration::from_mins(1)));
        assert_eq!(Arc::strong_count(&held), 1, "who drops it waits for nothing");
    }
}
