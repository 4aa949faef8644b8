//! Whether a member is asked now.

use std::time::{Duration, Instant};

/// For how long a member is left alone that did not answer; twice as long each time that it still does not.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest that is.
const MOST_PAUSE: Duration = Duration::from_secs(30);

/// A member's: up, or left alone until some time, when one request tries it again.
#[derive(Debug, Default)]
pub struct Health {
    failures: u32,
    until: Option<Instant>,
    is_tried: bool,
}

impl Health {
    /// Whether a request goes to it now. Of those that come when its pause is over one does, and the others when that went well, or
    /// after another pause.
    pub fn admit(&mut self, now: Instant) -> bool {
        match self.until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                self.until = Some(now + self.pause());
                self.is_tried = true;
                true
            }
        }
    }

    /// Whether no request goes to it now.
    pub fn is_left_alone(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Whether it answered last.
    pub fn is_up(&self) -> bool {
        self.until.is_none()
    }

    /// It answered; whether that is news.
    pub fn worked(&mut self) -> bool {
        let was_down = self.until.is_some();
        *self = Self::default();
        was_down
    }

    /// It did not answer; whether that is news. What was sent before it was known to be down says nothing more.
    pub fn failed(&mut self, now: Instant) -> bool {
        let was_up = self.until.is_none();
        if was_up || self.is_tried {
            self.failures = self.failures.saturating_add(1);
            self.is_tried = false;
            self.until = Some(now + self.pause());
        }
        was_up
    }

    fn pause(&self) -> Duration {
        let times = 2_u32.saturating_pow(self.failures.saturating_sub(1));
        FIRST_PAUSE.saturating_mul(times).min(MOST_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_tries_it_after_each_pause_and_pauses_grow_to_a_limit() {
        let (mut health, start) = (Health::default(), Instant::now());
        assert!(health.admit(start) && health.is_up());
        // As many as were under way when it went.
        assert!(health.failed(start));
        assert!((0..50).all(|_| !health.failed(start)));
        let mut now = start;
        for pause in [1, 2, 4, 8, 16, 30, 30].map(Duration::from_secs) {
            assert!(!health.admit(now + pause.saturating_sub(Duration::from_millis(1))), "{pause:?}");
            now += pause;
            assert!(health.admit(now), "{pause:?}");
            assert!(!health.admit(now), "{pause:?}");
            assert!(!health.failed(now));
        }
        assert!(health.worked() && !health.worked());
        assert!(health.admit(now) && health.failed(now) && !health.admit(now + Duration::from_millis(999)));
        assert!(health.admit(now + Duration::from_secs(1)));
    }

    #[test]
    fn a_try_that_nothing_is_heard_of_is_not_the_last() {
        let (mut health, now) = (Health::default(), Instant::now());
        health.failed(now);
        assert!(health.admit(now + Duration::from_secs(1)) && !health.admit(now + Duration::from_millis(1999)));
        assert!(health.admit(now + Duration::from_secs(2)));
    }
}
