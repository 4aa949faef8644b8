//! What upstreams have taken back of what they signed: vouchers for it from before do not count any more, whoever hands them on.

use std::sync::Arc;

use jiff::Timestamp;
use longshore_oci::{Digest, ManifestVoucher, RepositoryName, VerdictLifetime};
use moka::{notification::RemovalCause, policy::EvictionPolicy, sync::Cache};
use serde::{Deserialize, Serialize};

use super::{Place, Resets};
use crate::store::{Store, StoreError};

/// The kind of the records of what upstreams have told.
const TOLD_KIND: &str = "edge-taken-back";
/// The same of what they answer.
const ANSWERED_KIND: &str = "edge-taken-back-answered";
/// The kind of the records of when an upstream may have taken back anything.
const ALL_KIND: &str = "edge-taken-back-all";

/// As it is written down.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    upstream: String,
    repository: RepositoryName,
    digest: Digest,
    at: Timestamp,
}

type Key = (Place, Digest);

/// All of it for as long as a voucher from before may count.
pub struct TakenBack {
    /// What upstreams have told of their changes. What there is no room for takes all vouchers of its upstream from before along.
    told: Noted,
    /// What they answer to who asks. What there is no room for is forgotten: whoever may ask could take all vouchers back otherwise.
    answered: Noted,
    all: Arc<Resets>,
}

impl TakenBack {
    /// What is written down; never more than so many of either.
    pub fn new(store: Option<Store>, most: u64) -> Result<Self, StoreError> {
        let all = Arc::new(Resets::new(store.clone(), ALL_KIND)?);
        let resets = all.clone();
        let told = Noted::new(store.clone(), TOLD_KIND, most, move |key, at| resets.note_at(&key.0.upstream, at))?;
        Ok(Self { told, answered: Noted::new(store, ANSWERED_KIND, most, |_, _| {})?, all })
    }

    /// Notes that the upstream tells that it took back at a time, by its clock, what it had said of this.
    pub fn note_told(&self, place: &Place, digest: &Digest, at: Timestamp) {
        self.told.note((place.clone(), digest.clone()), at.max(Timestamp::now()));
    }

    /// Notes that the upstream answers so as if it had taken that back.
    pub fn note_answered(&self, place: &Place, digest: &Digest) {
        self.answered.note((place.clone(), digest.clone()), Timestamp::now());
    }

    /// Notes that an upstream may have taken back anything.
    pub fn note_all(&self, upstream: &Arc<str>) {
        self.all.note(upstream);
    }

    /// Whether this word for a manifest was taken back since.
    pub fn has_word(&self, place: &Place, said: &ManifestVoucher) -> bool {
        self.has(place, &said.digest, said_at(said))
    }

    /// Whether what the upstream said of this at a time was taken back since. What it said in the same second was, for a voucher names no
    /// smaller part of time.
    pub fn has(&self, place: &Place, digest: &Digest, said_at: Timestamp) -> bool {
        let all = self.all.last(&place.upstream).map(|reset| reset.time);
        let key = (place.clone(), digest.clone());
        let this = [&self.told, &self.answered].into_iter().filter_map(|noted| noted.known.get(&key));
        this.chain(all).any(|at| said_at.as_second() <= at.as_second())
    }
}

/// When each of some things was taken back.
struct Noted {
    known: Cache<Key, Timestamp>,
    /// The kind of their records.
    kind: &'static str,
    /// Where they are written down; nowhere in a test.
    store: Option<Store>,
}

impl Noted {
    fn new(
        store: Option<Store>,
        kind: &'static str,
        most: u64,
        has_no_room: impl Fn(&Key, Timestamp) + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        let of = store.clone();
        let known = Cache::builder()
            .max_capacity(most)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(VerdictLifetime::LONGEST)
            .eviction_listener(move |key: Arc<Key>, at, cause| {
                if cause == RemovalCause::Size {
                    has_no_room(&key, at);
                }
                if let Some(store) = of.as_ref().filter(|_| cause != RemovalCause::Replaced) {
                    store.remove_record(kind, &name(&key));
                }
            })
            .build();
        let written = store.as_ref().map_or(Ok(Vec::new()), |store| store.records(kind))?;
        for (name, value) in written {
            match read(&value) {
                Some((key, at)) => known.insert(key, at),
                None => store.iter().for_each(|store| store.remove_record(kind, &name)),
            }
        }
        Ok(Self { known, kind, store })
    }

    fn note(&self, key: Key, at: Timestamp) {
        let record = self.store.as_ref().map(|store| (store, name(&key), write(&key, at)));
        // First, since one that had ended takes its record along.
        self.known.insert(key, at);
        if let Some((store, name, value)) = record {
            store.put_record(self.kind, name, value);
        }
    }
}

/// When an upstream said so. In the future none did.
pub fn said_at(said: &ManifestVoucher) -> Timestamp {
    Timestamp::from_second(said.issued_at).unwrap_or_default().min(Timestamp::now())
}

/// What a record is called.
fn name((place, digest): &Key) -> String {
    format!("{} {} {digest}", place.upstream, place.repository)
}

fn write((place, digest): &Key, at: Timestamp) -> Vec<u8> {
    let (upstream, repository, digest) = (place.upstream.to_string(), place.repository.clone(), digest.clone());
    serde_json::to_vec(&Written { upstream, repository, digest, at }).expect("texts and times are always JSON")
}

fn read(value: &[u8]) -> Option<(Key, Timestamp)> {
    let Written { upstream, repository, digest, at } = serde_json::from_slice(value).ok()?;
    Some(((Place { upstream: upstream.into(), repository }, digest), at))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use longshore_oci::Algorithm;
    use longshore_service::metrics::Metrics;

    use super::*;
    use crate::store::{StoreMetrics, StoreSettings};

    const SECOND: Duration = Duration::from_secs(1);

    fn place(upstream: &str) -> Place {
        Place { upstream: upstream.into(), repository: "team/app".parse().unwrap() }
    }

    fn digest(number: u32) -> Digest {
        Digest::of(Algorithm::Sha256, &number.to_be_bytes())
    }

    #[tokio::test]
    async fn it_holds_for_what_was_said_before_and_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let opened = Store::open(StoreSettings::new(folder.path(), 1 << 20), StoreMetrics::new(&Metrics::new()));
        let (store, _keeper) = opened.unwrap();
        let before = TakenBack::new(Some(store.clone()), 10).unwrap();
        let now = Timestamp::now();
        before.note_told(&place("a"), &digest(1), now);
        before.note_answered(&place("a"), &digest(3));
        before.note_told(&place("d"), &digest(1), now + 60 * SECOND);
        before.note_all(&"b".into());
        let now = Timestamp::now();
        for known in [&before, &TakenBack::new(Some(store), 10).unwrap()] {
            let has = |upstream, number, said_at| known.has(&place(upstream), &digest(number), said_at);
            for number in [1, 3] {
                assert!(has("a", number, now) && has("a", number, now - SECOND) && !has("a", number, now + SECOND));
            }
            assert!(has("d", 1, now + 59 * SECOND) && !has("d", 1, now + 61 * SECOND), "its clock is ahead");
            assert!(!has("a", 2, now - SECOND) && !has("c", 1, now - SECOND));
            assert!(has("b", 1, now) && has("b", 2, now) && !has("b", 2, now + SECOND));
        }
    }

    #[test]
    fn what_is_told_and_has_no_room_takes_all_from_before_along_and_what_is_answered_nothing() {
        let known = TakenBack::new(None, 2).unwrap();
        let now = Timestamp::now();
        for number in 0..50 {
            known.note_answered(&place("a"), &digest(number));
        }
        known.answered.known.run_pending_tasks();
        let lost = (0..50).filter(|number| !known.has(&place("a"), &digest(*number), now)).count();
        assert_eq!((lost, known.answered.known.entry_count()), (48, 2));
        for number in 0..50 {
            known.note_told(&place("a"), &digest(number), now);
        }
        known.told.known.run_pending_tasks();
        assert!((0..60).all(|number| known.has(&place("a"), &digest(number), now)));
        assert!(!known.has(&place("a"), &digest(99), now + 2 * SECOND) && !known.has(&place("b"), &digest(99), now));
    }
}
