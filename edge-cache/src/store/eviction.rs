//! Which blobs to drop: a decision over a snapshot, without a look at anything else.

use std::{cmp::Ordering, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::usage::Use;
use crate::piece::PIECE_BYTES;

/// A blob that might be dropped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// What dropping it frees.
    pub disk_bytes: u64,
    /// How it was asked for.
    pub used: Use,
    /// Whether a pin holds it: it stays.
    pub is_pinned: bool,
    /// Whether somebody reads or writes it: it stays.
    pub is_in_use: bool,
    /// Whether this machine has it whole elsewhere, too: it goes before all that it has not.
    pub is_elsewhere: bool,
}

impl Candidate {
    fn may_go(&self) -> bool {
        !self.is_pinned && !self.is_in_use
    }

    /// What it is worth to keep: how often it is asked for, with age counted in; less where it is large, though not in proportion,
    /// since a large blob saves more where it is asked for.
    fn worth(&self, now: Timestamp) -> f64 {
        let pieces = u32::try_from(self.disk_bytes / PIECE_BYTES).unwrap_or(u32::MAX);
        self.used.frequency_at(now) / (f64::from(pieces) + 2.0).log2()
    }
}

/// What is needed, at least and at best.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Wanted {
    /// Without so many bytes nothing is dropped, since it would not help.
    pub needed_bytes: u64,
    /// So many bytes are freed where there are, so that the next needs no search.
    pub wanted_bytes: u64,
    /// So many blobs at least.
    pub needed_blobs: usize,
    /// So many blobs where there are.
    pub wanted_blobs: usize,
}

/// Which of the candidates to drop, by their place, those first that are elsewhere, too, and of these and the rest the least worth; `None` where what is needed can't be had.
pub fn choose(candidates: &[Candidate], now: Timestamp, wanted: Wanted) -> Option<Vec<usize>> {
    let mut order: Vec<(usize, f64)> = candidates
        .iter()
        .enumerate()
        .filter(|(_, candidate)| candidate.may_go())
        .map(|(place, candidate)| (place, candidate.worth(now)))
        .collect();
    let freeable = order.iter().fold(0_u64, |sum, (place, _)| sum.saturating_add(candidates[*place].disk_bytes));
    if freeable < wanted.needed_bytes || order.len() < wanted.needed_blobs {
        return None;
    }
    order.sort_by(|(left, left_worth), (right, right_worth)| {
        let by_age = || candidates[*left].used.last_used.cmp(&candidates[*right].used.last_used);
        let by_place = candidates[*right].is_elsewhere.cmp(&candidates[*left].is_elsewhere);
        by_place.then(left_worth.partial_cmp(right_worth).unwrap_or(Ordering::Equal)).then_with(by_age)
    });
    let (bytes, blobs) = (wanted.wanted_bytes.max(wanted.needed_bytes), wanted.wanted_blobs.max(wanted.needed_blobs));
    let (mut freed, mut chosen) = (0_u64, Vec::new());
    for (place, _) in order {
        if freed >= bytes && chosen.len() >= blobs {
            break;
        }
        // What frees nothing helps only where it is blobs that are too many.
        if candidates[place].disk_bytes > 0 || chosen.len() < blobs {
            freed = freed.saturating_add(candidates[place].disk_bytes);
            chosen.push(place);
        }
    }
    Some(chosen)
}

/// Which of the candidates nobody has asked for in so long.
pub fn cold(candidates: &[Candidate], now: Timestamp, max_idle: Duration) -> Vec<usize> {
    let max_idle = SignedDuration::try_from(max_idle).unwrap_or(SignedDuration::MAX);
    let is_cold = |candidate: &Candidate| candidate.may_go() && now.duration_since(candidate.used.last_used) > max_idle;
    candidates.iter().enumerate().filter(|(_, candidate)| is_cold(candidate)).map(|(place, _)| place).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn candidate(disk_bytes: u64, last_used: i64, frequency: f64) -> Candidate {
        let used = Use { last_used: at(last_used), frequency };
        Candidate { disk_bytes, used, is_pinned: false, is_in_use: false, is_elsewhere: false }
    }

    fn bytes(needed_bytes: u64) -> Wanted {
        Wanted { needed_bytes, ..Wanted::default() }
    }

    #[test]
    fn age_frequency_and_size_count() {
        let day = 86_400;
        let choose_one = |pair: [Candidate; 2]| choose(&pair, at(10 * day), bytes(1)).unwrap();
        assert_eq!(choose_one([candidate(100, 9 * day, 1.0), candidate(100, 0, 1.0)]), [1], "the older goes");
        assert_eq!(choose_one([candidate(100, day, 2.0), candidate(100, day, 9.0)]), [0], "the rarer goes");
        assert_eq!(choose_one([candidate(100, day, 2.0), candidate(100 * PIECE_BYTES, day, 2.0)]), [1], "the larger goes");
        assert_eq!(choose_one([candidate(100, 9 * day, 1.0), candidate(100, 0, 100.0)]), [1], "days undo a hundred requests");
    }

    #[test]
    fn what_is_elsewhere_goes_before_what_is_worth_less() {
        let elsewhere = |one: Candidate| Candidate { is_elsewhere: true, ..one };
        let all = [candidate(100, 0, 1.0), elsewhere(candidate(100, 90, 50.0)), elsewhere(candidate(100, 90, 5.0))];
        assert_eq!(choose(&all, at(100), bytes(150)).unwrap(), [2, 1]);
        let pinned = Candidate { is_pinned: true, ..all[1] };
        assert_eq!(choose(&[all[0], pinned], at(100), bytes(50)).unwrap(), [0], "a pin holds it all the same");
    }

    #[test]
    fn the_cold_go_and_the_pinned_stay() {
        let pinned = Candidate { is_pinned: true, ..candidate(1, 0, 1.0) };
        let all = [candidate(1, 0, 1.0), pinned, candidate(1, 60, 1.0)];
        assert_eq!(cold(&all, at(61), Duration::from_mins(1)), [0]);
    }

    fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
        let one = (0_u64..5_000_000, 0_i64..1_000_000, 0.0..50.0_f64, any::<bool>(), any::<bool>(), any::<bool>());
        let one = one.prop_map(|(disk_bytes, last_used, frequency, is_pinned, is_in_use, is_elsewhere)| Candidate {
            disk_bytes,
            used: Use { last_used: at(last_used), frequency },
            is_pinned,
            is_in_use,
            is_elsewhere,
        });
        prop::collection::vec(one, 0..40)
    }

    proptest! {
        #[test]
        fn enough_goes_and_nothing_that_must_stay(
            all in candidates(),
            needed_bytes in 0_u64..20_000_000,
            more in 0_u64..20_000_000,
            needed_blobs in 0_usize..20,
        ) {
            let wanted = Wanted { needed_bytes, wanted_bytes: needed_bytes + more, needed_blobs, wanted_blobs: 0 };
            let free = all.iter().filter(|one| one.may_go());
            let (freeable, count) = (free.clone().map(|one| one.disk_bytes).sum::<u64>(), free.count());
            match choose(&all, at(1_000_000), wanted) {
                None => prop_assert!(freeable < needed_bytes || count < needed_blobs),
                Some(chosen) => {
                    prop_assert!(chosen.iter().all(|place| all[*place].may_go()));
                    let freed = |places: &[usize]| places.iter().map(|place| all[*place].disk_bytes).sum::<u64>();
                    prop_assert!(freed(&chosen) >= (needed_bytes + more).min(freeable));
                    prop_assert!(chosen.len() >= needed_blobs);
                    let unique: std::collections::BTreeSet<_> = chosen.iter().collect();
                    prop_assert_eq!(unique.len(), chosen.len());
                    if let Some((_, before)) = chosen.split_last() {
                        prop_assert!(freed(before) < needed_bytes + more || before.len() < needed_blobs, "no more than is wanted");
                    }
                }
            }
        }
    }
}
