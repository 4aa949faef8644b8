use tokio::time::Instant;

use crate::moment::Moment;

/// The node's clock: the one that its timers go by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now(self) -> Moment {
        Moment(self.0.elapsed())
    }

    /// When a moment is for a timer.
    pub(super) fn at(self, moment: Moment) -> Instant {
        self.0 + moment.0
    }
}
