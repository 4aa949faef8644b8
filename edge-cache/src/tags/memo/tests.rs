use longshore_oci::Algorithm;
use longshore_service::metrics::Metrics;
use tempfile::TempDir;

use super::*;
use crate::store::{StoreMetrics, StoreSettings};

const TTL: Duration = Duration::from_hours(1);

/// A store, of which a memo that is opened after another has what that one wrote down.
fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let (store, _keeper) = Store::open(StoreSettings::new(folder.path(), 1 << 30), StoreMetrics::new(&Metrics::new())).unwrap();
    (folder, store)
}

fn memo(store: &Store) -> Memo {
    Memo::new(Some(store.clone()), 100, TTL).unwrap()
}

fn key() -> (Place, Tag) {
    (Place { upstream: "a http://a".into(), repository: "team/app".parse().unwrap() }, "v1".parse().unwrap())
}

fn kept(checked_at: Timestamp) -> Kept {
    Kept::new(Digest::of(Algorithm::Sha256, b"1"), None, checked_at)
}

#[test]
fn a_tag_is_believed_for_its_time_and_not_from_the_future() {
    let at = |second| Timestamp::from_second(second).unwrap();
    let kept = Kept::new(Digest::of(Algorithm::Sha256, b"1"), Some("\"e\""), at(1_000));
    let ttl = Duration::from_secs(30);
    assert!(kept.is_fresh(at(1_029), ttl) && !kept.is_fresh(at(1_030), ttl));
    assert!(!kept.is_fresh(at(999), ttl) && kept.age(at(999)).is_none());
    assert!(!kept.is_fresh(at(1_000), Duration::ZERO));
    let long = Kept::new(kept.digest.clone(), Some(&"x".repeat(MOST_ETAG_BYTES + 1)), at(0));
    assert_eq!(long.etag, None);
}

#[test]
fn a_tag_is_read_as_it_was_written() {
    let place = Place { upstream: "a http://a".into(), repository: "team/app".parse().unwrap() };
    let key = (place, "v1".parse::<Tag>().unwrap());
    let kept = Kept::new(Digest::of(Algorithm::Sha512, b"1"), Some("W/\"e\""), Timestamp::from_second(5).unwrap());
    for kept in [Kept { is_outdated: true, ..kept.clone() }, kept] {
        assert_eq!(read(&write(&key, &kept)), Some((key.clone(), kept)));
    }
    assert_eq!(read(b"{}"), None);
}

#[tokio::test]
async fn a_change_outdates_what_was_asked_for_before_it_over_a_restart_too() {
    let outdates: [fn(&Memo); 2] = [|memo| memo.outdate(&key().0, &key().1), |memo| memo.outdate_all(&key().0.upstream)];
    for outdate in outdates {
        let ((place, tag), (_folder, store)) = (key(), store());
        let is_believed = |memo: &Memo| {
            let kept = memo.get(&place, &tag).expect("it can be served while nobody can be asked");
            kept.is_fresh(Timestamp::now(), TTL) && !memo.is_outdated(&place, &tag, &kept)
        };
        let (before, asked_at) = (memo(&store), Timestamp::now());
        before.put(&place, &tag, kept(asked_at));
        assert!(is_believed(&before) && is_believed(&memo(&store)));
        outdate(&before);
        assert!(!is_believed(&before) && !is_believed(&memo(&store)));
        // Asked for before, and answered after.
        before.put(&place, &tag, kept(asked_at));
        assert!(!is_believed(&before) && !is_believed(&memo(&store)));
        assert_eq!(memo(&store).get(&place, &tag).unwrap().checked_at, asked_at, "its age is told");
        before.put(&place, &tag, kept(Timestamp::now()));
        assert!(is_believed(&before) && is_believed(&memo(&store)));
    }
}

#[tokio::test]
async fn a_change_outdates_no_other_tag() {
    let ((place, tag), (_folder, store)) = (key(), store());
    let other = Place { upstream: "b http://b".into(), ..place.clone() };
    let before = memo(&store);
    before.put(&place, &tag, kept(Timestamp::now()));
    before.outdate(&place, &"v2".parse().unwrap());
    before.outdate(&other, &tag);
    before.outdate_all(&other.upstream);
    for memo in [&before, &memo(&store)] {
        let kept = memo.get(&place, &tag).unwrap();
        assert!(kept.is_fresh(Timestamp::now(), TTL) && !memo.is_outdated(&place, &tag, &kept));
    }
}
