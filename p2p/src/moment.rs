//! Time as what decides sees it: handed in, so that a simulator hands in its own.

use std::{
    ops::{Add, AddAssign},
    time::Duration,
};

/// A point in time, by a clock that only goes forward: so long after it began.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Moment(pub Duration);

impl Moment {
    /// How long after an earlier moment; nothing where that is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }
}

impl AddAssign<Duration> for Moment {
    fn add_assign(&mut self, by: Duration) {
        *self = *self + by;
    }
}
