//! How fast somebody sends, as far as it has shown.

use std::time::Duration;

use longshore_oci::piece::PIECE_BYTES;

use super::DownloadSettings;
use crate::moment::Moment;

/// After so many bytes what was measured counts: with less, chance does.
const SAMPLE_BYTES: u64 = PIECE_BYTES / 2;

/// Moving averages of what a piece takes while somebody sends, and of how long it takes to begin; a new sample counts for a quarter.
/// Who hasn't shown anything yet is unknown, and its chooser is to hope for the best.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    piece_takes: Option<Duration>,
    last_took: Duration,
    delay: Option<Duration>,
    /// Its least delay: the way there and back, without what it did for others meanwhile.
    least_delay: Option<Duration>,
    since: Moment,
    bytes: u64,
    has_begun: bool,
}

impl Pace {
    /// It was asked for something and had nothing to do before.
    pub fn asked(&mut self, now: Moment) {
        (self.since, self.bytes, self.has_begun) = (now, 0, false);
    }

    /// Bytes of it came.
    pub fn came(&mut self, bytes: u64, now: Moment) {
        if !self.has_begun {
            self.has_begun = true;
            // A whole piece at once tells nothing of when its first byte came.
            if bytes < SAMPLE_BYTES {
                let delay = now.since(self.since);
                self.delay = Some(averaged(self.delay, delay));
                self.least_delay = Some(self.least_delay.map_or(delay, |least| least.min(delay)));
                self.since = now;
            }
        }
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes >= SAMPLE_BYTES {
            self.settle(now);
        }
    }

    /// Counts what came so far, however little; not for who sent nothing.
    pub fn settle(&mut self, now: Moment) {
        if let Some(takes) = self.lately(now) {
            (self.piece_takes, self.last_took) = (Some(averaged(self.piece_takes, takes)), takes);
            (self.since, self.bytes) = (now, 0);
        }
    }

    /// What a piece takes at the pace since the last sample; nothing where nothing came since.
    pub fn lately(&self, now: Moment) -> Option<Duration> {
        (self.bytes > 0).then(|| part(now.since(self.since).max(Duration::from_micros(1)), PIECE_BYTES, self.bytes))
    }

    /// What a whole piece takes from the first byte to the last while it sends nothing else.
    pub fn piece_takes(&self) -> Option<Duration> {
        self.piece_takes
    }

    /// What a whole piece takes from the request to the last byte.
    pub fn answer_takes(&self) -> Option<Duration> {
        Some(self.piece_takes? + self.delay.unwrap_or_default())
    }

    /// Bytes a second.
    pub fn bytes_per_second(&self) -> Option<u64> {
        Some(bytes_in(Duration::from_secs(1), self.piece_takes?))
    }

    /// Bytes a second, or fewer where it was slower of late: one that many have come to ask meanwhile is what it was for them no more.
    pub fn least_bytes_per_second(&self) -> Option<u64> {
        Some(bytes_in(Duration::from_secs(1), self.piece_takes?.max(self.last_took)))
    }

    /// How many pieces it should be asked for at once so that it never idles: what it sends in the time that a request takes, and one
    /// more; nothing where that isn't known. A request's wait behind others' is no reason to ask for more.
    pub fn in_flight(&self) -> Option<u32> {
        let on_the_way = self.least_delay?.as_nanos().div_ceil(self.piece_takes?.as_nanos().max(1));
        Some(u32::try_from(on_the_way).unwrap_or(u32::MAX).saturating_add(1))
    }

    /// The same of one that others ask as well: what lies between two pieces is theirs, where it is short.
    pub fn in_flight_of_many(&self) -> Option<u32> {
        let takes = self.piece_takes?.max(Duration::from_nanos(1));
        let on_the_way = self.least_delay?.saturating_sub(takes / 4).as_nanos().div_ceil(takes.as_nanos());
        Some(u32::try_from(on_the_way).unwrap_or(u32::MAX).saturating_add(1))
    }

    /// The same, as far as the settings let a peer be asked.
    pub fn pipeline(&self, settings: &DownloadSettings) -> u32 {
        self.in_flight().map_or(settings.least_pipeline, |pieces| pieces.max(settings.least_pipeline).min(settings.most_pipeline))
    }
}

/// How much came within the last while, whoever sent it: of the while before and of that which runs.
#[derive(Clone, Debug)]
pub struct Flow {
    began: Moment,
    since: Moment,
    bytes: u64,
    before: u64,
}

impl Flow {
    /// From now on.
    pub fn new(now: Moment) -> Self {
        Self { began: now, since: now, bytes: 0, before: 0 }
    }

    /// Bytes came.
    pub fn came(&mut self, bytes: u64, now: Moment, window: Duration) {
        self.turn(now, window);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Bytes a second over at least the last `window`; nothing while it is younger.
    pub fn bytes_per_second(&mut self, now: Moment, window: Duration) -> Option<u64> {
        self.turn(now, window);
        let over = window + now.since(self.since);
        (now.since(self.began) >= window).then(|| bytes_of(self.bytes.saturating_add(self.before), over))
    }

    fn turn(&mut self, now: Moment, window: Duration) {
        let age = now.since(self.since);
        if age >= window {
            self.before = if age >= window * 2 { 0 } else { self.bytes };
            (self.since, self.bytes) = (now, 0);
        }
    }
}

fn averaged(known: Option<Duration>, sample: Duration) -> Duration {
    known.map_or(sample, |known| (known * 3 + sample) / 4).min(Duration::from_hours(1))
}

/// `of` times `counter / divisor`.
fn part(of: Duration, counter: u64, divisor: u64) -> Duration {
    let nanos = of.as_nanos().saturating_mul(u128::from(counter)) / u128::from(divisor.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

fn bytes_in(time: Duration, piece_takes: Duration) -> u64 {
    let bytes = u128::from(PIECE_BYTES).saturating_mul(time.as_nanos()) / piece_takes.as_nanos().max(1);
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn bytes_of(bytes: u64, over: Duration) -> u64 {
    u64::try_from(u128::from(bytes) * 1_000_000_000 / over.as_nanos().max(1)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Moment {
        Moment(Duration::from_millis(ms))
    }

    #[test]
    fn what_was_shown_is_expected() {
        let (mut pace, settings) = (Pace::default(), DownloadSettings::default());
        assert_eq!((pace.piece_takes(), pace.pipeline(&settings)), (None, settings.least_pipeline));
        pace.asked(ms(0));
        pace.came(0, ms(100));
        pace.came(PIECE_BYTES, ms(120));
        assert_eq!(pace.piece_takes(), Some(Duration::from_millis(20)));
        assert_eq!(pace.answer_takes(), Some(Duration::from_millis(120)));
        assert_eq!((pace.pipeline(&settings), pace.bytes_per_second()), (6, Some(PIECE_BYTES * 50)));
        // Twice as slow: a quarter of the way there at once, and there after a while.
        pace.came(PIECE_BYTES, ms(160));
        assert_eq!(pace.piece_takes(), Some(Duration::from_millis(25)));
        assert_eq!((pace.bytes_per_second(), pace.least_bytes_per_second()), (Some(PIECE_BYTES * 40), Some(PIECE_BYTES * 25)));
        for turn in 1..40 {
            pace.came(PIECE_BYTES, ms(160 + turn * 40));
        }
        assert!(pace.piece_takes().unwrap() > Duration::from_millis(39));
    }

    #[test]
    fn pieces_that_come_interleaved_are_no_burst() {
        let mut pace = Pace::default();
        pace.asked(ms(0));
        for step in 1..=32_u64 {
            pace.came(PIECE_BYTES / 32, ms(step * 5));
            pace.came(PIECE_BYTES / 32, ms(step * 5));
        }
        let takes = pace.piece_takes().unwrap();
        assert!((75..=85).contains(&takes.as_millis()), "{takes:?}");
    }

    #[test]
    fn a_trickle_is_a_pace_too() {
        let mut pace = Pace::default();
        pace.settle(ms(5));
        assert_eq!(pace.piece_takes(), None);
        pace.asked(ms(0));
        pace.came(1, ms(0));
        pace.settle(ms(1_000));
        assert_eq!(pace.piece_takes(), Some(Duration::from_hours(1)));
        assert_eq!(pace.pipeline(&DownloadSettings::default()), 2);
    }

    #[test]
    fn who_is_busy_for_others_is_asked_for_no_more() {
        let mut pace = Pace::default();
        for (asked, begins) in [(0, 20), (1_000, 1_400)] {
            pace.asked(ms(asked));
            pace.came(0, ms(begins));
            pace.came(PIECE_BYTES, ms(begins + 20));
        }
        assert_eq!((pace.in_flight(), pace.answer_takes()), (Some(2), Some(Duration::from_millis(135))));
    }

    #[test]
    fn of_one_that_others_ask_a_short_wait_is_theirs() {
        let waits = |wait: u64| {
            let mut pace = Pace::default();
            pace.asked(ms(0));
            pace.came(0, ms(wait));
            pace.came(PIECE_BYTES, ms(wait + 20));
            (pace.in_flight().unwrap(), pace.in_flight_of_many().unwrap())
        };
        assert_eq!((waits(0), waits(5), waits(6), waits(100)), ((1, 1), (2, 1), (2, 2), (6, 6)));
    }

    #[test]
    fn the_flow_is_that_of_lately() {
        let window = Duration::from_secs(2);
        let mut flow = Flow::new(ms(0));
        flow.came(1_000, ms(500), window);
        assert_eq!((flow.bytes_per_second(ms(1_000), window), flow.bytes_per_second(ms(2_000), window)), (None, Some(500)));
        flow.came(3_000, ms(2_000), window);
        assert_eq!((flow.bytes_per_second(ms(4_000), window), flow.bytes_per_second(ms(9_000), window)), (Some(1_500), Some(0)));
    }
}
