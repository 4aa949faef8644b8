//! What is known of containerd's store, by what it lists.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use longshore_edge_cache::store::{Store, StoreMetrics, StoreSettings};
use longshore_oci::{Algorithm, Digest, piece::PieceHashes};
use longshore_service::metrics::Metrics;

use super::{
    stock::{Listed, Stock, Telling},
    wire::{Info, Process, Timestamp},
};

const REPOSITORY: (&str, &str) = ("containerd.io/distribution.source.registry.example", "team/app,team/base");

fn open(folder: &Path) -> (Stock, Store) {
    let (store, _) = Store::open(StoreSettings::new(folder, 1 << 30), StoreMetrics::new(&Metrics::new())).unwrap();
    (Stock::open(store.clone()).unwrap(), store)
}

fn info(content: &[u8], labels: &[(&str, &str)]) -> Info {
    let labels: HashMap<_, _> = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let created_at = Some(Timestamp { seconds: 1, nanos: 2 });
    let size = i64::try_from(content.len()).unwrap();
    Info { digest: Digest::of(Algorithm::Sha256, content).to_string(), size, created_at, labels }
}

fn listed(infos: &[Info]) -> Vec<(Arc<str>, Listed)> {
    infos.iter().filter_map(Listed::of).map(|listed| ("k8s.io".into(), listed)).collect()
}

fn hashes(content: &[u8]) -> PieceHashes {
    PieceHashes::from_bytes(blake3::hash(content).as_bytes()).unwrap()
}

#[test]
fn what_is_listed_says_where_it_came_from() {
    let layer = Listed::of(&info(b"a", &[REPOSITORY, ("containerd.io/uncompressed", "sha256:1")])).unwrap();
    let places: Vec<_> = layer.places.iter().map(|(registry, name)| (registry.as_str(), name.as_str())).collect();
    assert_eq!(places, [("registry.example", "team/app"), ("registry.example", "team/base")]);
    let wrong = Listed::of(&info(b"a", &[("containerd.io/distribution.source.x", "../secret, ,UPPER")])).unwrap();
    assert!(wrong.places.is_empty());
    assert_eq!(Listed::of(&Info { digest: "sha256:short".into(), ..info(b"a", &[]) }), None);
    assert_eq!(Listed::of(&Info { size: -1, ..info(b"a", &[]) }), None);
}

/// A registry, by its key.
fn registry() -> Arc<str> {
    "registry.example https://registry.example".into()
}

#[tokio::test]
async fn a_blob_counts_as_here_only_where_its_pieces_can_be_checked() {
    let folder = tempfile::tempdir().unwrap();
    let (stock, _store) = open(folder.path());
    let (digest, registry) = (Digest::of(Algorithm::Sha256, b"layer"), registry());
    stock.set_shown(&digest, &registry, 5, hashes(b"layer"));
    assert!(!stock.may_have(&digest), "containerd has none");
    stock.set(listed(&[info(b"layer", &[REPOSITORY])]));
    let is_here = || stock.vouched(&digest, &registry).is_some();
    assert!(stock.get(&digest).is_some() && !is_here() && !stock.may_have(&digest));
    assert_eq!(stock.all(), [(digest.clone(), 5)]);
    // As many hashes as another length would have are none of this blob's.
    stock.set_shown(&digest, &registry, 3 << 20, hashes(b"layer"));
    assert!(!is_here());
    stock.set_shown(&digest, &registry, 5, hashes(b"layer"));
    assert!(is_here() && stock.elsewhere().contains(&digest));
    stock.set(Vec::new());
    assert!(!is_here() && stock.elsewhere().is_empty() && !stock.may_have(&digest));
}

#[tokio::test]
async fn what_one_registry_has_shown_is_nothing_to_another() {
    let folder = tempfile::tempdir().unwrap();
    let (stock, _store) = open(folder.path());
    let (digest, registry, other) =
        (Digest::of(Algorithm::Sha256, b"layer"), registry(), Arc::from("other https://other.example"));
    stock.set(listed(&[info(b"layer", &[REPOSITORY])]));
    stock.set_shown(&digest, &registry, 5, hashes(b"layer"));
    assert!(stock.vouched(&digest, &registry).is_some() && stock.vouched(&digest, &other).is_none());
    // One that says what is not so harms itself alone.
    stock.set_shown(&digest, &other, 5, hashes(b"wrong"));
    assert_ne!(stock.vouched(&digest, &registry).unwrap().1, stock.vouched(&digest, &other).unwrap().1);
    assert!(stock.refute(&digest, &other) && !stock.refute(&digest, &other), "it is told once");
    assert!(stock.vouched(&digest, &registry).is_some() && stock.vouched(&digest, &other).is_none());
    assert!(stock.elsewhere().contains(&digest));
    assert!(stock.refute(&digest, &registry));
    assert!(stock.elsewhere().is_empty() && !stock.may_have(&digest));
}

#[tokio::test]
async fn what_is_wrong_is_not_there_until_it_comes_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (digest, registry, first) = (Digest::of(Algorithm::Sha256, b"layer"), registry(), info(b"layer", &[REPOSITORY]));
    let of_registry = |stock: &Stock| stock.refute(&digest, &registry);
    for distrust in [&of_registry as &dyn Fn(&Stock) -> bool, &|stock| stock.distrust(&digest)] {
        let (stock, _store) = open(folder.path());
        stock.set(listed(std::slice::from_ref(&first)));
        stock.set_shown(&digest, &registry, 5, hashes(b"layer"));
        assert!(distrust(&stock) && !distrust(&stock), "it is told once");
        let is_gone = |stock: &Stock| stock.vouched(&digest, &registry).is_none() && stock.elsewhere().is_empty();
        assert!(is_gone(&stock));
        stock.set(listed(std::slice::from_ref(&first)));
        assert!(is_gone(&stock), "the same is wrong still");
        stock.set(listed(&[Info { created_at: Some(Timestamp { seconds: 9, nanos: 0 }), ..first.clone() }]));
        stock.set_shown(&digest, &registry, 5, hashes(b"layer"));
        assert!(stock.vouched(&digest, &registry).is_some());
    }
}

#[tokio::test]
async fn what_is_said_counts_once_it_is_proven() {
    let folder = tempfile::tempdir().unwrap();
    let (digest, registry, other) =
        (Digest::of(Algorithm::Sha256, b"layer"), registry(), Arc::from("other https://other.example"));
    {
        let (stock, store) = open(folder.path());
        stock.set(listed(&[info(b"layer", &[REPOSITORY])]));
        let is_here = || stock.vouched(&digest, &registry).is_some();
        stock.set_said(&digest, &registry, 5, hashes(b"layer"));
        assert!(stock.said(&digest, &registry).is_some() && !is_here());
        assert!(!stock.may_have(&digest) && stock.elsewhere().is_empty(), "it is known to nobody");
        stock.set_said(&digest, &other, 5, hashes(b"wrong"));
        stock.prove(&digest, &registry);
        assert!(is_here() && stock.may_have(&digest) && stock.vouched(&digest, &other).is_none());
        // What is found out is not made up for by saying it again, and what is known by more than a word takes its place.
        assert!(stock.refute(&digest, &other));
        stock.set_said(&digest, &other, 5, hashes(b"layer"));
        stock.prove(&digest, &other);
        assert!(stock.said(&digest, &other).is_none());
        let third = Arc::from("third https://third.example");
        stock.set_said(&digest, &third, 5, hashes(b"wrong"));
        stock.set_shown(&digest, &third, 5, hashes(b"layer"));
        assert_eq!(stock.vouched(&digest, &third).unwrap().1, hashes(b"layer"));
        stock.set_said(&digest, &third, 5, hashes(b"wrong"));
        assert_eq!(stock.vouched(&digest, &third).unwrap().1, hashes(b"layer"));
        store.flush().await.unwrap();
        assert_eq!(store.records("runtime-pieces").unwrap().len(), 2, "what is only said is not written down");
    }
    let (stock, _store) = open(folder.path());
    stock.set(listed(&[info(b"layer", &[REPOSITORY])]));
    assert!(stock.vouched(&digest, &registry).is_some() && stock.said(&digest, &other).is_none());
}

#[tokio::test]
async fn hashes_outlast_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let [kept, gone] = [b"kept", b"gone"].map(|content| Digest::of(Algorithm::Sha256, content));
    {
        let (stock, store) = open(folder.path());
        stock.set(listed(&[info(b"kept", &[]), info(b"gone", &[])]));
        stock.set_shown(&kept, &registry(), 4, hashes(b"kept"));
        stock.set_shown(&gone, &registry(), 4, hashes(b"gone"));
        store.put_record("runtime-pieces", "no digest".into(), vec![1, 2, 3]);
        store.flush().await.unwrap();
    }
    let (stock, store) = open(folder.path());
    assert!(stock.may_have(&kept) && stock.vouched(&kept, &registry()).is_none(), "nobody has looked yet");
    stock.set(listed(&[info(b"kept", &[])]));
    assert!(stock.vouched(&kept, &registry()).is_some() && !stock.may_have(&gone));
    store.flush().await.unwrap();
    assert_eq!(store.records("runtime-pieces").unwrap().len(), 1);
}

#[tokio::test]
async fn peers_are_told_of_what_came_from_somewhere() {
    let folder = tempfile::tempdir().unwrap();
    let (stock, _store) = open(folder.path());
    let manifest = info(b"manifest", &[REPOSITORY, ("containerd.io/gc.ref.content.config", "sha256:1")]);
    let of_somebody = [b"a", b"b", b"c"];
    let all: Vec<_> =
        of_somebody.map(|content| info(content, &[REPOSITORY])).into_iter().chain([info(b"of nobody", &[]), manifest]).collect();
    stock.set(listed(&all));
    let now = Instant::now();
    assert_eq!((stock.untold(9, now).len(), stock.untold(1, now).len()), (3, 1));
    let [told, denied, unknown] = of_somebody.map(|content| Digest::of(Algorithm::Sha256, content));
    for (digest, telling) in [(&told, Telling::Told), (&denied, Telling::Denied), (&unknown, Telling::Unknown)] {
        stock.note_told(digest, telling, now);
    }
    let due = |after| stock.untold(9, now + after).into_iter().map(|one| one.digest).collect::<HashSet<_>>();
    assert_eq!(due(Duration::ZERO), HashSet::new());
    assert_eq!(due(Duration::from_mins(1)), HashSet::from([unknown.clone()]));
    assert_eq!(due(Duration::from_hours(1)), HashSet::from([denied, unknown]));
}

#[test]
fn a_container_runs_until_it_has_ended() {
    let states = [1, 2, 3, 4, 5].map(|status| Process { status, ..Process::default() }.is_live());
    assert_eq!(states, [true, true, false, true, true]);
}
