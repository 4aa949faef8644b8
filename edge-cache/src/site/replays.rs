//! Which requests were taken already, so that none is taken twice.

use std::{
    collections::HashSet,
    mem,
    sync::{Mutex, PoisonError},
};

use super::signature::Tag;

/// How far a request's time may be from this edge's, in seconds.
pub const WINDOW_SECONDS: i64 = 60;
/// How long one is remembered at least: from the earliest that it is taken to the latest.
const GENERATION_SECONDS: i64 = 2 * WINDOW_SECONDS;
/// How many are remembered of such a time; 32 MiB of them.
const MOST: usize = 1 << 20;

/// Why a request is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotNew {
    /// It is too old, or of a time to come.
    Late,
    /// It was taken before.
    Seen,
    /// There are more than can be remembered.
    TooMany,
}

/// The requests of late, by their signatures. What was taken before this process began is not known.
#[derive(Debug, Default)]
pub struct Replays(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    began: i64,
    now: HashSet<Tag>,
    before: HashSet<Tag>,
}

impl Replays {
    /// Takes a request that was sent at a time, where it is new. It must be known to be from a member: nobody else may fill this.
    pub fn take(&self, tag: &Tag, sent: i64, now: i64) -> Result<(), NotNew> {
        self.take_of(tag, sent, now, MOST)
    }

    fn take_of(&self, tag: &Tag, sent: i64, now: i64, most: usize) -> Result<(), NotNew> {
        if sent.abs_diff(now) > WINDOW_SECONDS.unsigned_abs() {
            return Err(NotNew::Late);
        }
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(seen.began) >= GENERATION_SECONDS {
            let before = mem::take(&mut seen.now);
            // What is older than two such times could not be taken anyway.
            seen.before = if now.saturating_sub(seen.began) < 2 * GENERATION_SECONDS { before } else { HashSet::new() };
            seen.began = now;
        }
        if seen.now.contains(tag) || seen.before.contains(tag) {
            return Err(NotNew::Seen);
        }
        if seen.now.len() >= most {
            return Err(NotNew::TooMany);
        }
        seen.now.insert(*tag);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(number: u8) -> Tag {
        [number; 32]
    }

    #[test]
    fn one_is_taken_once_for_as_long_as_it_could_be() {
        for start in [1_000_000, 1_000_090, 1_000_119] {
            let replays = Replays::default();
            replays.take(&tag(0), 1_000_000, 1_000_000).unwrap();
            // Of a time to come, so it could be taken for two minutes.
            replays.take(&tag(1), start + 60, start).unwrap();
            for now in start..=start + 120 {
                assert_eq!(replays.take(&tag(1), start + 60, now), Err(NotNew::Seen), "{start}, {now}");
                replays.take(&tag(2), now, now).ok();
            }
            assert_eq!(replays.take(&tag(1), start + 60, start + 121), Err(NotNew::Late));
        }
    }

    #[test]
    fn one_of_another_time_is_not_taken() {
        let replays = Replays::default();
        assert_eq!(replays.take(&tag(1), 939, 1_000), Err(NotNew::Late));
        assert_eq!(replays.take(&tag(1), 1_061, 1_000), Err(NotNew::Late));
        assert_eq!(replays.take(&tag(1), i64::MIN, 1_000), Err(NotNew::Late));
        assert_eq!((replays.take(&tag(1), 940, 1_000), replays.take(&tag(2), 1_060, 1_000)), (Ok(()), Ok(())));
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        let replays = Replays::default();
        let take = |number, now| replays.take_of(&tag(number), now, now, 2);
        assert_eq!([take(1, 1_000), take(2, 1_000), take(3, 1_000)], [Ok(()), Ok(()), Err(NotNew::TooMany)]);
        assert_eq!([take(1, 1_120), take(4, 1_120), take(4, 1_121)], [Err(NotNew::Seen), Ok(()), Err(NotNew::Seen)]);
        assert_eq!([take(1, 1_400), take(2, 1_400)], [Ok(()), Ok(())]);
    }
}
