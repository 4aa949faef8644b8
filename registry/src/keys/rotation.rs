use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::state::StoredKey;

/// How long a key signs, and how long before and after that it is published.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// From one key's first signature to the next one's.
    pub lifetime: Duration,
    /// So long before its first signature and after its last one a key is published, for those who remember the set of keys.
    pub overlap: Duration,
}

/// A key that has to be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wanted {
    /// Its number.
    pub generation: u64,
    /// From when on it signs.
    pub signs_from: Timestamp,
}

impl Rotation {
    /// The key that has to be made now, if one has to be. The `keys` are in the order of their generations; `usable` tells those that this
    /// process can sign with.
    pub fn wanted(&self, keys: &[StoredKey], usable: impl Fn(&StoredKey) -> bool, now: Timestamp) -> Option<Wanted> {
        let generation = keys.last().map_or(1, |newest| newest.generation + 1);
        // Of another secret's there may be newer ones; replicas that don't share theirs must not go on replacing each other's. Nor does
        // one count that was made by a clock far ahead.
        let counts = |key: &&StoredKey| usable(key) && key.signs_from <= later(now, self.lifetime);
        let Some(newest) = keys.iter().rfind(counts) else { return Some(Wanted { generation, signs_from: now }) };
        let (ends_at, published_at) = (later(newest.signs_from, self.lifetime), later(now, self.overlap));
        (published_at >= ends_at).then_some(Wanted { generation, signs_from: published_at })
    }

    /// The key that signs now: the newest whose time has come, or where none's has, the first.
    pub fn current(keys: &[StoredKey], usable: impl Fn(&StoredKey) -> bool, now: Timestamp) -> Option<&StoredKey> {
        let mut usable = keys.iter().filter(|key| usable(key));
        let first = usable.clone().next();
        usable.rfind(|key| key.signs_from <= now).or(first)
    }

    /// Keys of lower generations than this need not be published any more: their time is over, and that of a later one has come.
    pub fn published_from(&self, keys: &[StoredKey], now: Timestamp) -> u64 {
        let is_over = |key: &StoredKey| later(later(key.signs_from, self.lifetime), self.overlap) <= now;
        let has_come = |key: &StoredKey| later(key.signs_from, self.overlap) <= now;
        let replaced = keys.windows(2).take_while(|pair| is_over(&pair[0]) && has_come(&pair[1])).last();
        replaced.map_or(0, |pair| pair[1].generation)
    }
}

fn later(at: Timestamp, time: Duration) -> Timestamp {
    let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
    at.saturating_add(time).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROTATION: Rotation = Rotation { lifetime: Duration::from_secs(100), overlap: Duration::from_secs(10) };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn key(generation: u64, signs_from: i64) -> StoredKey {
        StoredKey { generation, public: String::new(), sealed: Vec::new(), signs_from: at(signs_from) }
    }

    #[test]
    fn a_key_is_followed_by_one_that_is_published_before_it_signs() {
        assert_eq!(ROTATION.wanted(&[], |_| true, at(5)), Some(Wanted { generation: 1, signs_from: at(5) }));
        let mut keys = vec![key(1, 5)];
        assert_eq!(ROTATION.wanted(&keys, |_| true, at(94)), None);
        assert_eq!(ROTATION.wanted(&keys, |_| true, at(95)), Some(Wanted { generation: 2, signs_from: at(105) }));
        keys.push(key(2, 105));
        assert_eq!(ROTATION.wanted(&keys, |_| true, at(95)), None);
        let current = |now| Rotation::current(&keys, |_| true, at(now)).unwrap().generation;
        assert_eq!([current(5), current(104), current(105), current(500)], [1, 1, 2, 2]);
        let published = |now| ROTATION.published_from(&keys, at(now));
        assert_eq!([published(5), published(114), published(115)], [0, 0, 2]);
    }

    #[test]
    fn a_registry_that_slept_goes_on_with_the_old_key_until_the_new_one_is_known() {
        let keys = [key(1, 5)];
        assert_eq!(ROTATION.wanted(&keys, |_| true, at(1000)), Some(Wanted { generation: 2, signs_from: at(1010) }));
        assert_eq!(Rotation::current(&keys, |_| true, at(1000)).unwrap().generation, 1);
        assert_eq!(ROTATION.published_from(&[key(1, 5), key(2, 1010)], at(1019)), 0);
        assert_eq!(ROTATION.published_from(&[key(1, 5), key(2, 1010)], at(1020)), 2);
    }

    #[test]
    fn a_key_that_cant_be_opened_is_replaced_and_stays_published() {
        let keys = [key(1, 5), key(2, 105)];
        assert_eq!(ROTATION.wanted(&keys, |_| false, at(110)), Some(Wanted { generation: 3, signs_from: at(110) }));
        assert!(Rotation::current(&keys, |_| false, at(110)).is_none());
        let first = |key: &StoredKey| key.generation == 1;
        assert_eq!(Rotation::current(&keys, first, at(110)).unwrap().generation, 1);
        assert_eq!(ROTATION.wanted(&keys, first, at(90)), None, "it has one that will do");
        assert_eq!(ROTATION.wanted(&keys, first, at(95)).unwrap().generation, 3);
        assert_eq!(ROTATION.published_from(&[key(1, 5), key(2, 6)], at(50)), 0, "another replica may still sign with it");
    }

    #[test]
    fn a_clock_that_was_ahead_or_was_set_back_leaves_a_key_to_sign_with() {
        assert_eq!(Rotation::current(&[key(1, 50)], |_| true, at(5)).unwrap().generation, 1);
        let ahead = [key(1, 5000)];
        assert_eq!(ROTATION.wanted(&ahead, |_| true, at(5)), Some(Wanted { generation: 2, signs_from: at(5) }));
        let keys = [key(1, 5000), key(2, 5)];
        assert_eq!(Rotation::current(&keys, |_| true, at(5)).unwrap().generation, 2);
        assert_eq!(ROTATION.wanted(&keys, |_| true, at(5)), None);
    }
}
