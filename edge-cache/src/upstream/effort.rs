//! How far one goes for an answer.

use std::time::{Duration, Instant};

use super::{UpstreamError, UpstreamSettings, backoff};

/// What was done so far to get an answer.
#[derive(Debug)]
pub(super) struct Effort {
    begun: Instant,
    /// How long after that a request may still be sent to an address that had its chance.
    patience: Duration,
    attempts: u32,
    /// Which address is next.
    next: usize,
    /// Which were asked, or left alone.
    tried: Vec<bool>,
    /// Which failed.
    failed: Vec<bool>,
}

impl Effort {
    pub(super) fn new(places: usize, patience: Duration, now: Instant) -> Self {
        Self { begun: now, patience, attempts: 0, next: 0, tried: vec![false; places], failed: vec![false; places] }
    }

    /// The addresses in the order in which they are to be asked.
    pub(super) fn order(&self) -> impl Iterator<Item = usize> + use<> {
        let (next, count) = (self.next, self.tried.len());
        (0..count).map(move |offset| (next + offset) % count)
    }

    /// Whether a wait is worth it.
    pub(super) fn may_wait(&self, wait: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.begun).saturating_add(wait) <= self.patience
    }

    /// An address is left alone, or is asked now.
    pub(super) fn visit(&mut self, place: usize) {
        self.tried[place] = true;
    }

    /// An address failed; whether for the first time.
    pub(super) fn blame(&mut self, place: usize) -> bool {
        !std::mem::replace(&mut self.failed[place], true)
    }

    /// An address failed. After how long one goes on; `None` for not at all.
    pub(super) fn go_on(
        &mut self,
        place: usize,
        error: &UpstreamError,
        settings: &UpstreamSettings,
        part: f64,
        now: Instant,
    ) -> Option<Duration> {
        self.attempts += 1;
        self.next = place;
        if error.is_of_the_address() {
            self.next = (place + 1) % self.tried.len();
            if self.tried.contains(&false) {
                return Some(Duration::ZERO);
            }
        }
        if self.attempts >= settings.attempts || !error.is_passing() {
            return None;
        }
        let rounds = self.attempts.div_ceil(u32::try_from(self.tried.len()).unwrap_or(u32::MAX));
        let pause = backoff::pause(rounds, settings.backoff_min, settings.backoff_max, part);
        // Many who are told to wait for as long come apart after it.
        let pause = pause.saturating_add(error.retry_after().unwrap_or_default());
        self.may_wait(pause, now).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use longshore_client::RegistryUrl;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn refused(status: u16, retry_after: Option<u64>) -> UpstreamError {
        let retry_after = retry_after.map(Duration::from_secs);
        let status = StatusCode::from_u16(status).unwrap();
        UpstreamError::Refused { upstream: "u".into(), status, errors: Vec::new(), retry_after, challenge: None }
    }

    fn settings() -> UpstreamSettings {
        UpstreamSettings::new("u", RegistryUrl::parse("localhost:1", false).unwrap())
    }

    #[test]
    fn goes_on_a_few_times_and_then_not() {
        let now = Instant::now();
        let mut effort = Effort::new(1, PATIENCE, now);
        effort.visit(0);
        let pauses: Vec<_> = (0..4).map(|_| effort.go_on(0, &refused(500, None), &settings(), 1.0, now)).collect();
        let expected = [Some(100), Some(200), Some(400), None];
        assert_eq!(pauses, expected.map(|pause| pause.map(Duration::from_millis)));
        for (error, goes_on) in [
            (refused(404, None), None),
            (refused(401, None), None),
            (refused(501, None), None),
            (refused(429, Some(3)), Some(3)),
            (refused(503, Some(20)), Some(20)),
            (refused(429, Some(21)), None),
            (refused(503, Some(u64::MAX)), None),
        ] {
            let mut effort = Effort::new(1, PATIENCE, now);
            effort.visit(0);
            let pause = effort.go_on(0, &error, &settings(), 0.0, now);
            assert_eq!(pause, goes_on.map(Duration::from_secs), "{error}");
        }
        let mut late = Effort::new(1, PATIENCE, now);
        late.visit(0);
        assert_eq!(late.go_on(0, &refused(500, None), &settings(), 1.0, now + PATIENCE), None);
        let patient = Effort::new(1, PATIENCE * 2, now);
        assert!(patient.may_wait(PATIENCE, now + PATIENCE) && !patient.may_wait(PATIENCE * 2, now + PATIENCE));
    }

    #[test]
    fn goes_to_the_other_address_at_once() {
        let now = Instant::now();
        let mut effort = Effort::new(2, PATIENCE, now);
        assert_eq!(effort.order().collect::<Vec<_>>(), [0, 1]);
        effort.visit(0);
        assert_eq!(effort.go_on(0, &refused(503, Some(60)), &settings(), 1.0, now), Some(Duration::ZERO));
        assert_eq!(effort.order().collect::<Vec<_>>(), [1, 0]);
        effort.visit(1);
        let pause = effort.go_on(1, &refused(500, None), &settings(), 1.0, now);
        assert_eq!(pause, Some(Duration::from_millis(100)));
        assert!(effort.blame(1) && !effort.blame(1) && effort.blame(0));
        // What the registry limits it limits at both.
        let mut limited = Effort::new(2, PATIENCE, now);
        limited.visit(0);
        let pause = limited.go_on(0, &refused(429, Some(1)), &settings(), 1.0, now);
        assert_eq!(pause, Some(Duration::from_millis(1100)), "not all in the same moment");
        assert_eq!(limited.order().next(), Some(0));
    }

    #[test]
    fn has_two_addresses_asked_even_for_one_attempt() {
        let now = Instant::now();
        let once = UpstreamSettings { attempts: 1, ..settings() };
        let mut effort = Effort::new(2, PATIENCE, now);
        effort.visit(0);
        assert_eq!(effort.go_on(0, &refused(500, None), &once, 1.0, now + PATIENCE * 2), Some(Duration::ZERO));
        effort.visit(1);
        assert_eq!(effort.go_on(1, &refused(500, None), &once, 1.0, now), None);
    }
}
