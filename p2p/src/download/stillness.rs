//! How long a stripe may get nothing new, or a client wait, before others than its holder ask the origin.

use std::time::Duration;

use super::DownloadSettings;
use crate::moment::Moment;

/// So often the time doubles at most.
const MOST_TIMES_DOUBLED: f64 = 8.0;
/// How many takeovers of a stripe a client waits for a piece of it while others of it come.
const PATIENT_TIMES: u32 = 3;
/// How many takeovers the first piece of all may take: those who fetch from the origin share its link, so their first ones come late, and
/// at once. Who adds to them makes them later still.
const FIRST_TIMES: u32 = 3;

/// When each stripe last got something new, as seen by one node of many that would all stand in for its holder.
#[derive(Debug)]
pub(super) struct Stillness {
    since: Vec<Moment>,
    /// This node's place among those that wait, by chance: from 0 to 1, for each stripe another.
    places: Vec<f64>,
    /// What a stripe takes from one new piece to the next; shorter waits make it shrink slowly.
    gap: Duration,
    /// Whether nothing new of any stripe came yet.
    is_fresh: bool,
}

impl Stillness {
    pub(super) fn new(stripes: u8, now: Moment, mut chance: impl FnMut() -> f64) -> Self {
        let places: Vec<_> = (0..stripes).map(|_| chance()).collect();
        Self { since: vec![now; places.len()], places, gap: Duration::ZERO, is_fresh: true }
    }

    /// The same of another number of stripes.
    pub(super) fn restriped(&self, stripes: u8, now: Moment, chance: impl FnMut() -> f64) -> Self {
        let Self { gap, is_fresh, .. } = *self;
        Self { gap, is_fresh, ..Self::new(stripes, now, chance) }
    }

    /// Something new of a stripe came to the zone.
    pub(super) fn moved(&mut self, stripe: u8, now: Moment) {
        if let Some(since) = self.since.get_mut(usize::from(stripe)) {
            self.gap = now.since(*since).max(self.gap / 8 * 7);
            *since = now;
            self.is_fresh = false;
        }
    }

    /// When each stripe counts as forsaken, where so many others wait for it as well and the origin takes so long for a piece. By twice
    /// the time only two more stand in, however many wait: those who come later see what the first ones bring.
    pub(super) fn over_at(&self, others: usize, origin_takes: Option<Duration>, settings: &DownloadSettings) -> Vec<Moment> {
        let least = settings.takeover.saturating_mul(if self.is_fresh { FIRST_TIMES } else { 1 });
        let span = self.span(origin_takes, least, settings);
        let over_at = |(since, place): (&Moment, &f64)| *since + span.mul_f64(times(others, *place));
        self.since.iter().zip(&self.places).map(over_at).collect()
    }

    /// When something new of a stripe last came to the zone.
    pub(super) fn since(&self, stripe: u8) -> Moment {
        self.since.get(usize::from(stripe)).copied().unwrap_or_default()
    }

    /// How long a client waits for others to bring a piece of a stripe: while nothing comes, and while something does that isn't what it
    /// waits for. Of many nodes whose clients wait only few stand in at once, as above.
    pub(super) fn client_waits(
        &self,
        stripe: u8,
        others: usize,
        origin_takes: Option<Duration>,
        settings: &DownloadSettings,
    ) -> (Duration, Duration) {
        let times = times(others, self.places.get(usize::from(stripe)).copied().unwrap_or_default());
        let waits = |least| self.span(origin_takes, least, settings).mul_f64(times);
        (waits(settings.client_patience), waits(settings.takeover).saturating_mul(PATIENT_TIMES))
    }

    /// Twice what new pieces were seen to take.
    fn span(&self, origin_takes: Option<Duration>, least: Duration, settings: &DownloadSettings) -> Duration {
        let seen = self.gap.max(origin_takes.unwrap_or_default()).saturating_mul(2);
        seen.min(settings.most_origin_rest).max(least)
    }
}

/// How many times as long one of so many waits that has this place among them.
fn times(others: usize, place: f64) -> f64 {
    let others = f64::from(u16::try_from(others.max(2)).unwrap_or(u16::MAX));
    (others * place / 2.0).min(MOST_TIMES_DOUBLED).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Moment {
        Moment(Duration::from_millis(ms))
    }

    #[test]
    fn of_many_only_few_stand_in_at_once() {
        let settings = DownloadSettings::default();
        for nodes in [2_u32, 16, 64] {
            let place = |node: u32| (f64::from(node) + 0.5) / f64::from(nodes);
            let over_at = |node| {
                let mut stillness = Stillness::new(1, ms(0), || place(node));
                stillness.moved(0, ms(0));
                stillness.over_at(usize::try_from(nodes).unwrap() - 1, None, &settings)[0]
            };
            let within = |span: u64| (0..nodes).filter(|node| over_at(*node) <= ms(span * 2_000)).count();
            assert!(within(1) == 0 && (1..=2).contains(&within(2)) && within(8) <= 6 && within(512) == nodes as usize, "{nodes}");
        }
    }

    #[test]
    fn of_many_clients_few_ask_for_themselves() {
        let settings = DownloadSettings::default();
        let waits = |place, others| Stillness::new(1, ms(0), || place).client_waits(0, others, None, &settings);
        assert_eq!(waits(0.0, 0), (Duration::from_secs(2), Duration::from_secs(6)));
        assert_eq!(waits(1.0, 2).0, Duration::from_secs(4));
        let soon = (0..64).filter(|node| waits(f64::from(*node) / 64.0, 63).0 <= Duration::from_secs(8)).count();
        assert!((1..=5).contains(&soon), "{soon}");
    }

    #[test]
    fn the_first_piece_of_all_may_take_longer() {
        let settings = DownloadSettings::default();
        let mut stillness = Stillness::new(2, ms(0), || 0.0);
        let over_at = |stillness: &Stillness| stillness.over_at(9, None, &settings)[1];
        assert_eq!(over_at(&stillness), ms(6_000));
        stillness.moved(0, ms(500));
        assert_eq!(over_at(&stillness), ms(2_000));
        // A client waits no longer for that.
        let waits = Stillness::new(2, ms(0), || 0.0).client_waits(1, 9, None, &settings).0;
        assert_eq!(waits, settings.client_patience);
    }

    #[test]
    fn a_slow_origin_is_given_its_time() {
        let settings = DownloadSettings::default();
        let mut stillness = Stillness::new(2, ms(0), || 0.0);
        stillness.moved(0, ms(0));
        let over_at = |stillness: &Stillness, takes| stillness.over_at(9, takes, &settings)[1];
        assert_eq!(over_at(&stillness, None), ms(2_000));
        assert_eq!(over_at(&stillness, Some(Duration::from_secs(3))), ms(6_000));
        stillness.moved(0, ms(4_000));
        stillness.moved(9, ms(4_000));
        assert_eq!((over_at(&stillness, None), stillness.over_at(9, None, &settings)[0]), (ms(8_000), ms(12_000)));
        // Not for ever, and what was seen long ago is forgotten.
        assert_eq!(over_at(&stillness, Some(Duration::MAX)), ms(60_000));
        for turn in 0..40 {
            stillness.moved(0, ms(4_000 + turn));
        }
        assert_eq!(over_at(&stillness, None), ms(2_000));
    }
}
