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
        let Some(newest) = keys.last() else { return Some(Wanted { generation: 1, signs_from: now }) };
        let generation = newest.generation + 1;
        if !usable(newest) {
            return Some(Wanted { generation, signs_from: now });
        }
        let ends_at = later(newest.signs_from, self.lifetime);
        (later(now, self.overlap) >= ends_at).then(|| Wanted { generation, signs_from: ends_at.max(now) })
    }

    /// The key that signs now: the newest whose time has come, or where none's has, the first.
    pub fn current(keys: &[StoredKey], usable: impl Fn(&StoredKey) -> bool, now: Timestamp) -> Option<&StoredKey> {
        let mut usable = keys.iter().filter(|key| usable(key));
        let first = usable.clone().next();
        usable.rfind(|key| key.signs_from <= now).or(first)
    }

    /// Keys of lower generations than this need not be published any more.
    pub fn published_from(&self, keys: &[StoredKey], now: Timestamp) -> u64 {
        let replaced = keys.iter().rfind(|key| later(key.signs_from, self.overlap) <= now);
        replaced.map_or(0, |key| key.generation)
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
        assert_eq!([published(5), published(15), published(114), published(115)], [0, 1, 1, 2]);
    }

    #[test]
    fn a_registry_that_slept_goes_on_at_once() {
        let keys = [key(1, 5)];
        assert_eq!(ROTATION.wanted(&keys, |_| true, at(1000)), Some(Wanted { generation: 2, signs_from: at(1000) }));
        assert_eq!(Rotation::current(&keys, |_| true, at(1000)).unwrap().generation, 1);
    }

    #[test]
    fn a_key_that_cant_be_opened_is_replaced_and_stays_published() {
        let keys = [key(1, 5), key(2, 105)];
        assert_eq!(ROTATION.wanted(&keys, |_| false, at(110)), Some(Wanted { generation: 3, signs_from: at(110) }));
        assert!(Rotation::current(&keys, |_| false, at(110)).is_none());
        assert_eq!(Rotation::current(&keys, |key| key.generation == 1, at(110)).unwrap().generation, 1);
    }

    #[test]
    fn a_clock_that_was_set_back_leaves_a_key_to_sign_with() {
        assert_eq!(Rotation::current(&[key(1, 500)], |_| true, at(5)).unwrap().generation, 1);
    }
}
