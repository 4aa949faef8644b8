//! How long until something is tried again.

use std::time::{Duration, Instant};

use super::Rules;

/// Waits that double.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    next: Option<Duration>,
    until: Option<Instant>,
}

impl Backoff {
    /// Nothing has failed yet.
    pub fn new(rules: &Rules) -> Self {
        Self { first: rules.backoff, most: rules.backoff_most, next: None, until: None }
    }

    /// It failed: the next try is after a while.
    pub fn fail(&mut self, now: Instant) {
        let wait = self.next.unwrap_or(self.first);
        self.next = Some((wait * 2).min(self.most));
        self.until = Some(now + wait);
    }

    /// It failed: the next try is at once where it is the first time, else after a while.
    pub fn crash(&mut self, now: Instant) {
        if self.next.is_none() {
            self.next = Some(self.first.min(self.most));
        } else {
            self.fail(now);
        }
    }

    /// All is well.
    pub fn reset(&mut self) {
        (self.next, self.until) = (None, None);
    }

    /// Until when nothing is tried.
    pub fn until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let (mut backoff, now) = (Backoff::new(&Rules::default()), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..7 {
            backoff.fail(now);
            waits.push(backoff.until(now).unwrap().duration_since(now).as_secs());
        }
        assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(backoff.until(now + Duration::from_mins(6)), None);
        backoff.reset();
        backoff.fail(now);
        assert_eq!(backoff.until(now), Some(now + Duration::from_secs(10)));
    }

    #[test]
    fn the_first_crash_waits_for_nothing() {
        let (mut backoff, now) = (Backoff::new(&Rules::default()), Instant::now());
        let waits = [(); 4].map(|()| {
            backoff.crash(now);
            backoff.until(now).map_or(0, |until| until.duration_since(now).as_secs())
        });
        assert_eq!(waits, [0, 10, 20, 40]);
    }
}
