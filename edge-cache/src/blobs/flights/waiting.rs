use std::sync::Arc;

use tokio::sync::watch;

use super::{Landing, Told, whole_flight::WholeFlight};

/// Where whoever waits for a piece is told of it.
pub struct Waiting {
    told: Told,
    gathered: Option<Attendance>,
}

/// Somebody who wants what a flight brings, as long as this lives.
pub(super) struct Attendance {
    flight: Arc<WholeFlight>,
    /// Whether who leaves may come again in a moment, as clients do that read on, or anew where they were cut off.
    may_come_again: bool,
}

impl Waiting {
    pub(super) fn of_run(told: Told) -> Self {
        Self { told, gathered: None }
    }

    pub(super) fn gathered(told: Told, attendance: Attendance) -> Self {
        Self { told, gathered: Some(attendance) }
    }

    /// The flight that brings the piece, where it brings all that is missing.
    pub(super) fn attendance(&self) -> Option<&Attendance> {
        self.gathered.as_ref()
    }

    /// The same for one who waits for all of the blob. When they leave, and nobody else wants it, nothing more is brought.
    #[must_use]
    pub fn for_all(mut self) -> Self {
        if let Some(attendance) = &mut self.gathered {
            attendance.may_come_again = false;
        }
        self
    }

    /// Whether it is gathered, with all that is missing of its blob.
    pub fn is_gathered(&self) -> bool {
        self.gathered.is_some()
    }

    /// How many pieces of the blob have come, where all that are missing are gathered.
    pub fn count(&self) -> Option<watch::Receiver<u32>> {
        self.gathered.as_ref().map(|attendance| attendance.flight().count())
    }

    /// What the piece comes to, as soon as it is here; `None` where it was given up.
    pub async fn landed(&mut self) -> Option<Landing> {
        self.told.wait_for(Option::is_some).await.ok()?.clone()
    }

    /// The same, once it lies in the store, or will not: nobody tells of it any more then, which is later than it is first told of.
    pub async fn written(&mut self) -> Option<Landing> {
        while self.told.changed().await.is_ok() {}
        self.told.borrow().clone()
    }
}

impl Attendance {
    /// For one more.
    pub(super) fn new(flight: &Arc<WholeFlight>) -> Self {
        flight.come();
        Self { flight: flight.clone(), may_come_again: true }
    }

    /// What they wait for.
    pub(super) fn flight(&self) -> &Arc<WholeFlight> {
        &self.flight
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        self.flight.go(self.may_come_again);
    }
}
