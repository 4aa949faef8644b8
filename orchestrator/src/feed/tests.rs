use longshore_fleet::api::{Change, EventKind};
use prometheus::IntGauge;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::state::{Batch, LeaseWish, NewEvent, SqliteState, State as _};

async fn state() -> (TempDir, SharedState, u64) {
    let folder = tempfile::tempdir().unwrap();
    let state = SqliteState::open(&folder.path().join("o.db"), 4).await.unwrap();
    let lease = LeaseWish { holder: Uuid::nil(), address: String::new(), length_ms: 600_000 };
    let term = state.lead(lease).await.unwrap().term;
    (folder, Arc::new(state), term)
}

/// So many events in one transaction.
async fn happen(state: &SharedState, term: u64, number: u64, count: usize) {
    let event = NewEvent {
        kind: EventKind::Pod,
        change: Change::Noted,
        id: "pod".into(),
        namespace: None,
        name: "a".into(),
        reason: "Placed".into(),
        message: String::new(),
        author: None,
        object: None,
    };
    state.commit(term, &Batch { number, writes: Vec::new(), events: vec![event; count], now: 1 }).await.unwrap();
}

/// All that comes at once, and how it ended.
async fn drain(watching: &mut Watching) -> (Vec<u64>, Next) {
    let mut positions = Vec::new();
    loop {
        match watching.next().await.unwrap() {
            Next::Events(events) => positions.extend(events.iter().map(|event| event.position)),
            end => return (positions, end),
        }
    }
}

#[tokio::test]
async fn who_catches_up_gets_all_and_who_falls_behind_is_told() {
    let (_folder, state, term) = state().await;
    let feed = Feed::new(state.clone(), 10, IntGauge::new("watchers", "Watchers.").unwrap());
    let mut live = feed.watch(0).unwrap();
    feed.look().await.unwrap();
    assert!(matches!(drain(&mut live).await, (none, Next::Nothing) if none.is_empty()));
    for number in 1..=4 {
        happen(&state, term, number, 5_000).await;
    }
    feed.look().await.unwrap();
    let (had, end) = drain(&mut live).await;
    assert!(had.is_empty() && matches!(end, Next::Behind), "what it had not read is not kept any more");
    let mut late = feed.watch(0).unwrap();
    let (had, end) = drain(&mut late).await;
    assert!(matches!(end, Next::Nothing));
    assert_eq!(had, (1..=20_000).collect::<Vec<u64>>(), "from the database, and then from what is kept");
    happen(&state, term, 5, 3).await;
    feed.look().await.unwrap();
    assert_eq!(drain(&mut late).await.0, [20_001, 20_002, 20_003]);
}

#[tokio::test]
async fn places_are_counted_and_given_back() {
    let (_folder, state, _) = state().await;
    let watchers = IntGauge::new("watchers", "Watchers.").unwrap();
    let feed = Feed::new(state, 1, watchers.clone());
    let watching = feed.watch(0).unwrap();
    assert!(feed.watch(0).is_none() && watchers.get() == 1);
    drop(watching);
    assert!(feed.watch(0).is_some());
    assert_eq!(watchers.get(), 0);
}

#[tokio::test]
async fn while_nobody_watches_nothing_is_read_and_nothing_is_missed() {
    let (_folder, state, term) = state().await;
    let feed = Feed::new(state.clone(), 10, IntGauge::new("watchers", "Watchers.").unwrap());
    let stop = CancellationToken::new();
    let running = tokio::spawn(Feed::run(feed.clone(), stop.clone()));
    let mut first = feed.watch(0).unwrap();
    happen(&state, term, 1, 2).await;
    feed.hint();
    let mut had = Vec::new();
    while had.len() < 2 {
        had.extend(drain(&mut first).await.0);
        if had.len() < 2 {
            tokio::time::timeout(Duration::from_secs(5), first.changed()).await.unwrap();
        }
    }
    drop(first);
    happen(&state, term, 2, 3).await;
    feed.hint();
    let mut second = feed.watch(2).unwrap();
    let mut had = drain(&mut second).await.0;
    while had.len() < 3 {
        tokio::time::timeout(Duration::from_secs(5), second.changed()).await.unwrap();
        had.extend(drain(&mut second).await.0);
    }
    assert_eq!(had, [3, 4, 5]);
    stop.cancel();
    running.await.unwrap();
}
