//! What comes down, held to the node's limits.

use super::{Bucket, LimitSettings};
use crate::{locality::Nearness, moment::Moment, upload::is_far};

/// Who bytes come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Provider {
    /// Another node, so near.
    Peer(Nearness),
    /// The origin: an edge or a registry.
    Origin,
}

/// The limits of what comes down. Bytes are taken when they are asked for, and those that did not come are given back.
#[derive(Clone, Debug)]
pub struct Intake {
    down: Bucket,
    /// From the own zone, over its border, and from the origin; each of these counts for `down` too.
    parts: [Bucket; 3],
}

impl Intake {
    /// Full ones; what goes up is none of its business.
    pub fn new(limits: &LimitSettings) -> Self {
        Self { down: Bucket::new(limits.down), parts: [None, limits.border_down, limits.origin].map(Bucket::new) }
    }

    /// When so many bytes may be asked for, if nothing else is before; `now` or earlier where they may now.
    pub fn ready_at(&self, from: Provider, bytes: u64, now: Moment) -> Moment {
        self.down.ready_at(bytes, now).max(self.parts[part(from)].ready_at(bytes, now))
    }

    /// How many pieces of so many bytes may be asked for now.
    pub fn may_ask(&self, from: Provider, bytes: u64, now: Moment) -> u32 {
        let count = self.down.count_ready(bytes, now).min(self.parts[part(from)].count_ready(bytes, now));
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Takes so many bytes that are asked for now. Where that is more than may be, as of a run of pieces that were asked for at once, the rest
    /// is paid off before anything else may be.
    pub fn charge(&mut self, from: Provider, bytes: u64, now: Moment) {
        self.down.charge(bytes, now);
        self.parts[part(from)].charge(bytes, now);
    }

    /// Gives back so many bytes that were taken and did not come.
    pub fn give_back(&mut self, from: Provider, bytes: u64) {
        self.down.give_back(bytes);
        self.parts[part(from)].give_back(bytes);
    }
}

/// Which of the parts.
fn part(from: Provider) -> usize {
    match from {
        Provider::Peer(nearness) => usize::from(is_far(nearness)),
        Provider::Origin => 2,
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU64, time::Duration};

    use super::{super::Rate, *};

    const NEAR: Provider = Provider::Peer(Nearness::Zone);
    const FAR: Provider = Provider::Peer(Nearness::Region);
    const PIECE: u64 = 1000;

    fn at(ms: u64) -> Moment {
        Moment(Duration::from_millis(ms))
    }

    fn pieces_per_s(pieces: u64) -> Rate {
        Rate { bytes_per_s: NonZeroU64::new(pieces * PIECE).unwrap(), burst_bytes: PIECE }
    }

    /// Asks whenever something may be, of these in turn; how many pieces came of each.
    fn ask_for(limits: LimitSettings, providers: &[Provider], until: Moment) -> Vec<u64> {
        let (mut intake, mut now) = (Intake::new(&limits), at(0));
        let mut came = vec![0; providers.len()];
        while now <= until {
            for (provider, came) in providers.iter().zip(&mut came) {
                let may = intake.may_ask(*provider, PIECE, now) > 0;
                if may {
                    intake.charge(*provider, PIECE, now);
                    *came += 1;
                }
            }
            let next = providers.iter().map(|provider| intake.ready_at(*provider, PIECE, now)).min().unwrap();
            assert!(next > now, "who may ask now has asked");
            now = next;
        }
        came
    }

    #[test]
    fn each_way_has_its_limit() {
        let limits = LimitSettings {
            down: Some(pieces_per_s(20)),
            border_down: Some(pieces_per_s(4)),
            origin: Some(pieces_per_s(2)),
            ..LimitSettings::default()
        };
        assert_eq!(ask_for(limits, &[FAR], at(10_000)), [41]);
        assert_eq!(ask_for(limits, &[Provider::Origin], at(10_000)), [21]);
        assert_eq!(ask_for(limits, &[NEAR], at(10_000)), [201]);
        // Together they come to no more than all may.
        let came = ask_for(limits, &[Provider::Origin, FAR, NEAR], at(10_000));
        assert!(came.iter().sum::<u64>() == 201 && came[0] <= 21 && came[1] <= 41 && came[2] >= 139, "{came:?}");
    }

    #[test]
    fn what_did_not_come_may_be_asked_of_another() {
        let limits =
            LimitSettings { down: Some(pieces_per_s(1)), border_down: Some(pieces_per_s(1)), ..LimitSettings::default() };
        let mut intake = Intake::new(&limits);
        intake.charge(FAR, PIECE, at(0));
        assert!([NEAR, FAR, Provider::Origin].iter().all(|from| intake.may_ask(*from, PIECE, at(0)) == 0));
        intake.give_back(FAR, PIECE);
        assert_eq!([NEAR, FAR].map(|from| intake.may_ask(from, PIECE, at(0))), [1, 1]);
    }

    #[test]
    fn a_run_that_was_asked_for_at_once_is_paid_off_whole() {
        let limits = LimitSettings { origin: Some(pieces_per_s(1)), ..LimitSettings::default() };
        let mut intake = Intake::new(&limits);
        (0..64).for_each(|_| intake.charge(Provider::Origin, PIECE, at(0)));
        assert_eq!(intake.ready_at(Provider::Origin, PIECE, at(0)), at(64_000));
        assert_eq!(intake.may_ask(NEAR, PIECE, at(0)), u32::MAX, "it is none of the neighbours' business");
    }

    #[test]
    fn without_limits_nothing_is_held_back() {
        let mut intake =
            Intake::new(&LimitSettings { up: Some(pieces_per_s(1)), border_up: Some(pieces_per_s(1)), ..Default::default() });
        for from in [NEAR, FAR, Provider::Origin] {
            (0..10).for_each(|_| intake.charge(from, u64::MAX, at(0)));
            assert_eq!(intake.may_ask(from, PIECE, at(0)), u32::MAX);
        }
    }
}
