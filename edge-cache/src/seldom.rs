//! What befalls again and again, and is told once in a while.

use std::{
    mem,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long nothing is told after it was.
const PAUSE: Duration = Duration::from_secs(10);

/// When it was last told, and how often it has befallen since.
#[derive(Debug, Default)]
pub struct Seldom(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    at: Option<Instant>,
    since: u64,
}

impl Seldom {
    /// Notes that it has befallen. How often since it was last told, this time too, where it is to be told now.
    pub fn due(&self) -> Option<u64> {
        self.due_at(Instant::now())
    }

    fn due_at(&self, now: Instant) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.since += 1;
        if told.at.is_some_and(|at| now.saturating_duration_since(at) < PAUSE) {
            return None;
        }
        told.at = Some(now);
        Some(mem::take(&mut told.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_once_in_a_while_and_how_often_it_was() {
        let (seldom, start) = (Seldom::default(), Instant::now());
        let told = |seconds| seldom.due_at(start + Duration::from_secs(seconds));
        assert_eq!(told(0), Some(1));
        assert!((0..500).all(|_| told(9).is_none()));
        assert_eq!(told(10), Some(501));
        assert_eq!([told(11), told(100)], [None, Some(2)]);
    }
}
