use longshore_service::{metrics::Metrics, signing::SigningKey};

use super::*;
use crate::store::{StoreMetrics, StoreSettings};

const NOW: i64 = 1_700_000_000;

fn digest(of: &str) -> Digest {
    Digest::of(Algorithm::Sha256, of.as_bytes())
}

fn place() -> Place {
    Place { upstream: "up http://up".into(), repository: "team/app".parse().unwrap() }
}

fn vouched(of: &str, tag: Option<&str>, issued_at: i64) -> Vouched {
    let said = ManifestVoucher {
        issued_at,
        repository: place().repository,
        digest: digest(of),
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        tag: tag.map(|tag| tag.parse().unwrap()),
        is_whole: true,
        stale_until: issued_at + 60,
    };
    Vouched { text: format!("a.{of}{issued_at}.b").into(), said }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn the_latest_word_counts_till_it_ends() {
    let (all, place) = (Statements::new(None).unwrap(), place());
    let v1 = tag_topic(&"v1".parse().unwrap());
    all.add_manifest(&place.upstream, vouched("1", Some("v1"), NOW));
    all.add_manifest(&place.upstream, vouched("1", None, NOW - 30));
    for about in [&digest("1"), &v1] {
        assert_eq!(all.counting(&place, about, at(NOW + 59)).unwrap().said.issued_at, NOW, "an older word takes no place");
        assert!(all.counting(&place, about, at(NOW + 60)).is_none() && all.manifest(&place, about).is_some());
    }
    let elsewhere = Place { repository: "team/other".parse().unwrap(), ..place.clone() };
    assert!(all.manifest(&elsewhere, &digest("1")).is_none());
    all.add_manifest(&place.upstream, vouched("2", Some("v1"), NOW + 5));
    assert_eq!(all.counting(&place, &v1, at(NOW + 6)).unwrap().said.digest, digest("2"));
}

#[test]
fn a_manifest_that_is_taken_back_is_so_for_its_tags() {
    let (all, place) = (Statements::new(None).unwrap(), place());
    let v1 = tag_topic(&"v1".parse().unwrap());
    all.add_manifest(&place.upstream, vouched("1", Some("v1"), NOW));
    all.forget(&place, &digest("1"));
    assert!(all.counting(&place, &v1, at(NOW)).is_none());
}

#[test]
fn all_of_it_outlasts_a_restart_but_keys_that_are_old() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Store::open(StoreSettings::new(folder.path(), 1 << 30), StoreMetrics::new(&Metrics::new())).unwrap();
    let (place, keys) = (place(), KeySet::from_iter([SigningKey::generate().0.public()]));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _guard = runtime.enter();
    {
        let (store, _keeper) = open();
        let all = Statements::new(Some(store.clone())).unwrap();
        all.add_manifest(&place.upstream, vouched("1", Some("v1"), NOW));
        all.add_metainfo(&place.upstream, &digest("blob"), "signed");
        all.put_keys(&place.upstream, Some(&keys));
        let old = WrittenKeys { keys: keys.clone(), fetched_at: Timestamp::now() - KEYS_KEPT };
        all.write(KEYS, "old".into(), &old);
        runtime.block_on(store.flush()).unwrap();
    }
    let (store, _keeper) = open();
    let all = Statements::new(Some(store)).unwrap();
    assert_eq!(*all.manifest(&place, &digest("1")).unwrap(), vouched("1", Some("v1"), NOW));
    assert!(all.manifest(&place, &tag_topic(&"v1".parse().unwrap())).is_some());
    assert_eq!(all.metainfo(&place.upstream, &digest("blob")).as_deref(), Some("signed"));
    assert_eq!((all.keys(&place.upstream), all.keys(&"old".into())), (Some(keys), None));
    all.put_keys(&place.upstream, None);
    assert_eq!(all.keys(&place.upstream), None);
}
