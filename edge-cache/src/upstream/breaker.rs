//! When an address is left alone.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How many failures are told apart where it is never left alone.
const LEAST_COUNTED: u32 = 2;

/// Leaves an address alone for a while when it has failed too often, and then lets one request find out whether it is back.
#[derive(Debug)]
pub struct Breaker {
    failures: u32,
    pause: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// So many failures one after another.
    Closed(Failures),
    /// Nobody asks until then.
    Open(Instant),
    /// One is asking. Who asks and never tells what came of it has time until then.
    Trying(Instant),
}

/// Failures since the last request that went well.
#[derive(Debug, Default)]
struct Failures {
    count: u32,
    /// What they may be of alone; each counts once.
    blamed: HashSet<u64>,
}

impl Breaker {
    /// After so many failures, for so long; never for 0.
    pub fn new(failures: u32, pause: Duration) -> Self {
        Self { failures, pause, state: Mutex::new(State::Closed(Failures::default())) }
    }

    /// Whether one may ask now, which one then does; an error is how long nobody may.
    pub fn admit(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.lock();
        match *state {
            State::Closed(_) => return Ok(()),
            State::Open(until) | State::Trying(until) if until > now => return Err(until - now),
            State::Open(_) | State::Trying(_) => {}
        }
        *state = State::Trying(now + self.pause);
        Ok(())
    }

    /// It answered, though it may yet fail before all of the answer is here. Whether it was left alone before.
    pub fn answered(&self) -> bool {
        let mut state = self.lock();
        let was_open = !matches!(*state, State::Closed(_));
        if was_open {
            *state = State::Closed(self.almost());
        }
        was_open
    }

    /// It did all that it was asked. While it is left alone that was asked for before, and says nothing of now.
    pub fn succeeded(&self) {
        let mut state = self.lock();
        if matches!(*state, State::Closed(_)) {
            *state = State::Closed(Failures::default());
        }
    }

    /// It failed whoever asks, and whatever for. Whether it is left alone from now on.
    pub fn failed(&self, now: Instant) -> bool {
        let mut state = self.lock();
        let count = match &mut *state {
            State::Closed(failures) => {
                failures.count = failures.count.saturating_add(1);
                failures.count
            }
            State::Trying(_) => self.failures,
            // Others were under way when it was closed.
            State::Open(_) => return false,
        };
        self.open_after(count, &mut state, now)
    }

    /// It failed, and that may be of one of these alone: it counts where none of them was blamed since the last request that went well.
    /// Whether it is left alone from now on.
    ///
    /// One that is tried answered: it is left alone again when something else fails, too.
    pub fn failed_at(&self, blamed: &[u64], now: Instant) -> bool {
        let mut state = self.lock();
        if let State::Trying(_) = *state {
            let mut failures = self.almost();
            failures.blamed.extend(blamed);
            *state = State::Closed(failures);
            return false;
        }
        let State::Closed(failures) = &mut *state else { return false };
        let is_known = blamed.iter().any(|blamed| failures.blamed.contains(blamed));
        if is_known || failures.count >= self.failures.max(LEAST_COUNTED) {
            return false;
        }
        failures.blamed.extend(blamed);
        failures.count += 1;
        let count = failures.count;
        self.open_after(count, &mut state, now)
    }

    /// Whether more than one thing failed since the last request that went well.
    pub fn fails_widely(&self) -> bool {
        match &*self.lock() {
            State::Closed(failures) => failures.count > 1,
            State::Open(_) | State::Trying(_) => true,
        }
    }

    fn open_after(&self, count: u32, state: &mut State, now: Instant) -> bool {
        let opens = self.failures > 0 && count >= self.failures;
        if opens {
            *state = State::Open(now + self.pause);
        }
        opens
    }

    /// As many failures that one more is too many.
    fn almost(&self) -> Failures {
        Failures { count: self.failures.saturating_sub(1), blamed: HashSet::new() }
    }

    /// Whether nobody but one asks.
    pub fn is_open(&self) -> bool {
        !matches!(*self.lock(), State::Closed(_))
    }

    /// For how long yet nobody but one asks, while that is so; zero where the next request finds out whether it is back.
    pub fn open_for(&self, now: Instant) -> Option<Duration> {
        match *self.lock() {
            State::Closed(_) => None,
            State::Open(until) | State::Trying(until) => Some(until.saturating_duration_since(now)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(10);

    #[test]
    fn leaves_alone_what_fails_and_tries_it_with_one() {
        let (breaker, now) = (Breaker::new(2, PAUSE), Instant::now());
        assert!(!breaker.failed(now));
        breaker.succeeded();
        assert!(!breaker.failed(now) && breaker.admit(now).is_ok());
        assert!(breaker.failed(now) && breaker.is_open());
        assert!(!breaker.failed(now), "it is open already");
        breaker.succeeded();
        assert!(breaker.is_open(), "what began before ends well, and nothing since");
        assert_eq!(breaker.admit(now + PAUSE / 2), Err(PAUSE / 2));
        assert_eq!(breaker.open_for(now + PAUSE / 2), Some(PAUSE / 2));
        let later = now + PAUSE;
        assert_eq!(breaker.open_for(later + PAUSE), Some(Duration::ZERO), "nobody has asked since");
        assert_eq!(breaker.admit(later), Ok(()));
        assert_eq!(breaker.admit(later), Err(PAUSE), "one is enough");
        assert!(breaker.failed(later));
        assert!(breaker.admit(later + PAUSE).is_ok() && breaker.answered());
        assert!(breaker.admit(later + PAUSE).is_ok() && !breaker.is_open() && breaker.open_for(later).is_none());
        assert!(breaker.failed(later + PAUSE), "an answer that breaks off is none");
    }

    #[test]
    fn is_not_opened_by_one_thing_that_fails() {
        let (breaker, now) = (Breaker::new(3, PAUSE), Instant::now());
        let of = |blamed: &[u64]| breaker.failed_at(blamed, now);
        assert!((0..100).all(|_| !of(&[1])) && !breaker.fails_widely());
        assert!((0..100).all(|caller| !of(&[1, 100 + caller])), "whoever asks for it");
        assert!(!of(&[2, 50]) && breaker.fails_widely());
        assert!((0..100).all(|thing| !of(&[200 + thing, 50])), "whatever one caller asks for");
        breaker.succeeded();
        assert!(!breaker.fails_widely() && !of(&[3]) && !of(&[4]));
        assert!(of(&[5]) && breaker.is_open());
        let later = now + PAUSE;
        assert!(breaker.admit(later).is_ok());
        assert!((0..100).all(|_| !breaker.failed_at(&[5], later)) && !breaker.is_open(), "nor is it kept open by it");
        assert!(breaker.failed_at(&[6], later), "something else fails as well");
    }

    #[test]
    fn waits_for_nobody_who_never_tells() {
        let (breaker, now) = (Breaker::new(1, PAUSE), Instant::now());
        breaker.failed(now);
        assert!(breaker.admit(now + PAUSE).is_ok() && breaker.admit(now + PAUSE).is_err());
        assert!(breaker.admit(now + PAUSE * 2).is_ok());
    }

    #[test]
    fn can_be_without() {
        let (breaker, now) = (Breaker::new(0, PAUSE), Instant::now());
        assert!((0..100).all(|_| !breaker.failed(now) && breaker.admit(now).is_ok()));
        assert!((0..100).all(|thing| !breaker.failed_at(&[thing], now)) && breaker.fails_widely());
    }
}
