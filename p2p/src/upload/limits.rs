//! How many bytes may go where in a second: token buckets.
//!
//! A node has a limit for all that goes up, one for all that comes down, and one for what of that comes from the origin; for what crosses
//! the border of its zone it has one more in each direction. What goes up is held to them by [`super::Uploads`], what comes down by
//! [`Intake`].

mod intake;

use std::{num::NonZeroU64, time::Duration};

use crate::moment::Moment;

pub use self::intake::{Intake, Provider};

/// Tokens are counted in billionths of a byte, so that a rate in bytes a second and a time in nanoseconds multiply without a
/// rest.
const PARTS: i128 = 1_000_000_000;

/// So many bytes a second.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    /// In the long run, in bytes a second.
    pub bytes_per_s: NonZeroU64,
    /// How many bytes may go at once after a rest. Something longer than this goes too, and is paid off before the next.
    pub burst_bytes: u64,
}

/// The limits of a node; what is `None` is without one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LimitSettings {
    /// To other nodes.
    pub up: Option<Rate>,
    /// From other nodes and the origin.
    pub down: Option<Rate>,
    /// From the origin, an edge or a registry; these bytes count for `down` too.
    pub origin: Option<Rate>,
    /// To nodes of other zones; these bytes count for `up` too.
    pub border_up: Option<Rate>,
    /// From nodes of other zones; these bytes count for `down` too.
    pub border_down: Option<Rate>,
}

/// A token bucket: what goes in any time is at most the rate's share of it, one burst, and one thing that is longer than the
/// burst.
#[derive(Clone, Debug)]
pub struct Bucket {
    rate: Option<Rate>,
    /// In [`PARTS`]; below 0 where something longer than the burst has gone.
    level: i128,
    at: Moment,
}

impl Bucket {
    /// A full one; without a rate it never holds anything back.
    pub fn new(rate: Option<Rate>) -> Self {
        Self { rate, level: rate.map_or(0, burst), at: Moment::default() }
    }

    /// When so many bytes may go, if nothing else does before; `now` or earlier where they may now.
    pub fn ready_at(&self, bytes: u64, now: Moment) -> Moment {
        let Some(rate) = self.rate else { return now };
        let missing = burst(rate).min(parts(bytes)) - self.level_at(now);
        let Ok(missing) = u128::try_from(missing) else { return now };
        let nanos = missing.div_ceil(u128::from(rate.bytes_per_s.get()));
        now.max(self.at) + u64::try_from(nanos).map_or(Duration::MAX, Duration::from_nanos)
    }

    /// Whether so many bytes may go now.
    pub fn is_ready(&self, bytes: u64, now: Moment) -> bool {
        self.ready_at(bytes, now) <= now
    }

    /// How many things of so many bytes may go now, one right after the other.
    pub fn count_ready(&self, bytes: u64, now: Moment) -> u64 {
        let Some(rate) = self.rate else { return u64::MAX };
        let spare = self.level_at(now) - burst(rate).min(parts(bytes));
        if spare < 0 { 0 } else { u64::try_from(spare / parts(bytes).max(1) + 1).unwrap_or(u64::MAX) }
    }

    /// Takes so many bytes, where they may go now; whether they may.
    pub fn take(&mut self, bytes: u64, now: Moment) -> bool {
        let is_ready = self.is_ready(bytes, now);
        if is_ready {
            self.charge(bytes, now);
        }
        is_ready
    }

    /// Takes so many bytes whether they may go now or not; what is too much is paid off before the next.
    pub fn charge(&mut self, bytes: u64, now: Moment) {
        if self.rate.is_some() {
            (self.level, self.at) = (self.level_at(now).saturating_sub(parts(bytes)), self.at.max(now));
        }
    }

    /// Gives back so many bytes that were taken and did not go.
    pub fn give_back(&mut self, bytes: u64) {
        if let Some(rate) = self.rate {
            self.level = (self.level + parts(bytes)).min(burst(rate));
        }
    }

    /// Its rate.
    pub fn rate(&self) -> Option<Rate> {
        self.rate
    }

    fn level_at(&self, now: Moment) -> i128 {
        let Some(rate) = self.rate else { return 0 };
        let nanos = i128::try_from(now.since(self.at).as_nanos()).unwrap_or(i128::MAX);
        let gained = nanos.saturating_mul(i128::from(rate.bytes_per_s.get()));
        self.level.saturating_add(gained).min(burst(rate))
    }
}

fn parts(bytes: u64) -> i128 {
    i128::from(bytes) * PARTS
}

fn burst(rate: Rate) -> i128 {
    parts(rate.burst_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(bytes_per_s: u64, burst_bytes: u64) -> Bucket {
        Bucket::new(Some(Rate { bytes_per_s: NonZeroU64::new(bytes_per_s).unwrap(), burst_bytes }))
    }

    fn ms(ms: u64) -> Moment {
        Moment(Duration::from_millis(ms))
    }

    #[test]
    fn after_the_burst_it_goes_by_the_rate() {
        let mut bucket = of(1000, 500);
        assert!(bucket.take(300, ms(0)) && bucket.take(200, ms(0)) && !bucket.take(1, ms(0)));
        assert_eq!((bucket.ready_at(1, ms(0)), bucket.ready_at(200, ms(50))), (ms(1), ms(200)));
        assert!(!bucket.take(200, ms(199)) && bucket.take(200, ms(200)));
        bucket.give_back(100);
        assert!(bucket.take(100, ms(200)) && !bucket.is_ready(1, ms(200)));
        // A rest fills it to the burst and no further.
        assert!(bucket.take(500, ms(3_600_000)) && !bucket.take(1, ms(3_600_000)));
    }

    #[test]
    fn what_is_longer_than_the_burst_goes_and_is_paid_off() {
        let mut bucket = of(1000, 10);
        assert!(bucket.take(1010, ms(0)));
        assert_eq!(bucket.ready_at(5, ms(0)), ms(1005));
        let mut never_full = of(1000, 0);
        assert!(never_full.take(7, ms(1)) && !never_full.take(7, ms(7)) && never_full.take(7, ms(8)));
    }

    #[test]
    fn without_a_rate_all_goes() {
        let mut bucket = Bucket::new(None);
        assert!((0..100).all(|_| bucket.take(u64::MAX, ms(0))) && bucket.count_ready(u64::MAX, ms(0)) == u64::MAX);
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let mut bucket = of(1000, 1000);
        assert!(bucket.take(1000, ms(5000)));
        assert!(!bucket.take(1, ms(0)) && bucket.ready_at(1, ms(0)) == ms(5001));
    }

    proptest! {
        #[test]
        fn no_span_has_more_than_its_share(
            per_s in 1_u64..5000, burst in 0_u64..3000, takes in prop::collection::vec((0_u64..400, 1_u64..4000), 1..80),
        ) {
            let mut bucket = of(per_s, burst);
            let (mut now, mut went) = (0, Vec::new());
            for (pause, bytes) in takes {
                now += pause;
                let ready = bucket.ready_at(bytes, ms(now));
                let mut tried = bucket.clone();
                let count = (0..10_000).take_while(|_| tried.take(bytes, ms(now))).count();
                prop_assert_eq!(bucket.count_ready(bytes, ms(now)), count as u64);
                prop_assert_eq!(bucket.take(bytes, ms(now)), ready <= ms(now));
                if ready <= ms(now) {
                    went.push((now, bytes));
                } else {
                    let just_before = Moment(ready.0.saturating_sub(Duration::from_nanos(1)));
                    prop_assert!(!bucket.is_ready(bytes, just_before) && bucket.is_ready(bytes, ready));
                }
            }
            for first in 0..went.len() {
                let mut sum = 0;
                for (at, bytes) in &went[first..] {
                    // Up to the last, which may be longer than the burst.
                    let share = per_s * (at - went[first].0) / 1000 + burst + 1;
                    prop_assert!(sum + bytes.min(&burst) <= share, "{sum} and {bytes} of {share}");
                    sum += bytes;
                }
            }
        }
    }
}
