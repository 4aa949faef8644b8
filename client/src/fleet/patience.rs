use std::time::{Duration, Instant};

/// How long it is tried again to reach an orchestrator that does not answer, or can't do it yet, as while another replica takes over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Patience {
    /// How long it is waited before the second try; twice as long before each one after.
    pub first: Duration,
    /// The longest that it is waited between two.
    pub longest: Duration,
    /// For how long a new try is made.
    pub total: Duration,
}

impl Default for Patience {
    /// For 20 s, which is longer than it takes another replica to lead.
    fn default() -> Self {
        Self { first: Duration::from_millis(200), longest: Duration::from_secs(3), total: Duration::from_secs(20) }
    }
}

impl Patience {
    pub(super) fn begin(self) -> Tries {
        Tries { patience: self, next: self.first, began: Instant::now() }
    }
}

/// Tries of one request.
pub(super) struct Tries {
    patience: Patience,
    next: Duration,
    began: Instant,
}

impl Tries {
    /// How long to wait before the next one, where there is to be one; not less than was asked for.
    pub(super) fn next(&mut self, asked: Duration) -> Option<Duration> {
        let pause = self.next.max(asked);
        self.next = (self.next * 2).min(self.patience.longest);
        (self.began.elapsed() + pause <= self.patience.total).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_each_time_and_not_for_ever() {
        let patience =
            Patience { first: Duration::from_millis(10), longest: Duration::from_millis(30), total: Duration::from_mins(1) };
        let mut tries = patience.begin();
        let pauses: Vec<_> = (0..4).map(|_| tries.next(Duration::ZERO).map(|pause| pause.as_millis())).collect();
        assert_eq!(pauses, [Some(10), Some(20), Some(30), Some(30)]);
        assert_eq!(tries.next(Duration::from_secs(2)), Some(Duration::from_secs(2)));
        assert_eq!(tries.next(Duration::from_secs(61)), None, "who asks for longer is told, and not waited for");
        assert_eq!(Patience { total: Duration::ZERO, ..patience }.begin().next(Duration::ZERO), None);
    }
}
