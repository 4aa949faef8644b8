//! What those who follow the changes are told: each once, in an order that nothing comes into later.

use std::{collections::BTreeSet, sync::Arc};

use jiff::{Timestamp, ToSpan as _};
use sqlx::{Connection as _, PgConnection};
use tokio::{sync::Barrier, task::JoinSet};

use super::{
    Place, Subject,
    journal::Journal,
    on_every_database,
    samples::{commit, image, put},
};
use crate::state::{OutboxEvent, OutboxHead, SharedState};

on_every_database!(
    changes_are_told_in_their_order,
    nothing_is_skipped_by_who_follows_while_many_change,
    who_has_missed_something_can_see_it,
    a_rebuilding_begins_anew,
);

/// Has all that waits get its position.
async fn order(state: &SharedState) -> OutboxHead {
    loop {
        let (head, ordered) = state.order_outbox(3).await.unwrap();
        if ordered < 3 {
            assert_eq!(state.outbox_head().await.unwrap().0.epoch, head.epoch);
            return head;
        }
    }
}

fn told(event: &OutboxEvent) -> String {
    let tag = event.tag.as_deref().map(|tag| format!(" {tag}")).unwrap_or_default();
    format!("{} {} {}{tag}", event.position, event.kind, event.repository)
}

async fn page(state: &SharedState, after: u64, upto: u64) -> Vec<String> {
    state.outbox(after, upto).await.unwrap().1.iter().map(told).collect()
}

async fn changes_are_told_in_their_order(subject: Subject) {
    let state = &subject.state;
    let start = state.outbox_head().await.unwrap();
    assert_eq!((start.0.position, start.0.dropped, start.1), (0, 0, false));
    // A blob pushed is a place in the order, and no change for who follows.
    commit(state, "a/b", "layer").await;
    put(state, "a/b", &image("one", &[]), &["v1"]).await;
    put(state, "c/d", &image("two", &[]), &["v1", "v2"]).await;
    assert!(state.outbox_head().await.unwrap().1, "they wait");
    assert!(page(state, 0, 100).await.is_empty(), "what has no position is not told");
    let head = order(state).await;
    assert_eq!((head.position, head.dropped, &head.epoch), (6, 0, &start.0.epoch));
    assert_eq!(state.outbox_head().await.unwrap(), (head, false));
    let all = ["2 manifest.pushed a/b", "3 tag.set a/b v1", "4 manifest.pushed c/d", "5 tag.set c/d v1", "6 tag.set c/d v2"];
    assert_eq!(page(state, 0, 100).await, all);
    assert_eq!(page(state, 3, 5).await, all[2..4]);
    assert!(page(state, 6, 100).await.is_empty());
    put(state, "a/b", &image("three", &[]), &[]).await;
    assert_eq!(order(state).await.position, 7);
    assert_eq!(page(state, 6, 7).await, ["7 manifest.pushed a/b"]);
}

/// On PostgreSQL, from two replicas, whose transactions end in another order than their events are numbered.
async fn nothing_is_skipped_by_who_follows_while_many_change(subject: Subject) {
    const TASKS: usize = 16;
    const EACH: usize = 8;
    let replicas = [subject.state.clone(), subject.replica().await];
    let start = Arc::new(Barrier::new(TASKS + 2));
    let mut changing = JoinSet::new();
    for task in 0..TASKS {
        let (start, state) = (start.clone(), replicas[task % 2].clone());
        changing.spawn(async move {
            start.wait().await;
            for number in 0..EACH {
                put(&state, &format!("team/{}", task % 3), &image(&format!("{task} {number}"), &[]), &[]).await;
            }
        });
    }
    let mut following = JoinSet::new();
    for state in replicas.clone() {
        let start = start.clone();
        following.spawn(async move {
            start.wait().await;
            let (mut at, mut seen) = (0, Vec::new());
            while seen.len() < TASKS * EACH {
                let (head, _) = state.order_outbox(5).await.unwrap();
                let (_, events) = state.outbox(at, head.position).await.unwrap();
                at = head.position;
                seen.extend(events.into_iter().map(|event| (event.position, event.digest)));
            }
            seen
        });
    }
    changing.join_all().await;
    let seen = following.join_all().await;
    assert_eq!(seen[0], seen[1], "both are told the same");
    assert!(seen[0].is_sorted_by(|(first, _), (second, _)| first < second));
    let digests: BTreeSet<_> = seen[0].iter().map(|(_, digest)| digest.clone().unwrap()).collect();
    assert_eq!((digests.len(), seen[0].len()), (TASKS * EACH, TASKS * EACH), "each once");
}

async fn who_has_missed_something_can_see_it(subject: Subject) {
    let (state, journal) = (&subject.state, Journal::default());
    for number in 0..3 {
        journal.push(state, "a/b", &image(&format!("{number}"), &[]), &["latest"]).await;
    }
    let head = order(state).await;
    subject.execute("UPDATE events SET happened_at = 1 WHERE position <= 2").await;
    assert_eq!(state.expire_events(Timestamp::now() - 1.hour(), false, 10).await.unwrap(), 2);
    let (after, left) = state.outbox(2, 100).await.unwrap();
    assert_eq!((after.position, after.dropped, left.len()), (6, 2, 4));
    assert!(!after.reaches(&head.epoch, 1) && after.reaches(&head.epoch, 2));
    // What nobody was ever told of, since nobody followed, has been missed by all.
    put(state, "a/b", &image("more", &[]), &[]).await;
    assert_eq!(state.expire_events(Timestamp::now() + 1.hour(), false, 10).await.unwrap(), 5);
    let (last, is_waiting) = state.outbox_head().await.unwrap();
    assert_eq!((last.position, last.dropped, is_waiting), (7, 7, false));
    put(state, "a/b", &image("again", &[]), &[]).await;
    assert_eq!(order(state).await.position, 8, "no position is given twice");
}

async fn a_rebuilding_begins_anew(subject: Subject) {
    let state = &subject.state;
    put(state, "a/b", &image("one", &[]), &["v1"]).await;
    let before = order(state).await;
    state.clear().await.unwrap();
    put(state, "a/b", &image("one", &[]), &["v1"]).await;
    assert_eq!(state.order_outbox(10).await.unwrap().1, 0, "what is played back is no news");
    assert!(!state.outbox_head().await.unwrap().1);
    state.finish_rebuilding().await.unwrap();
    put(state, "a/b", &image("two", &[]), &[]).await;
    let after = order(state).await;
    assert!(after.epoch != before.epoch && !after.reaches(&before.epoch, 1));
    assert_eq!(page(state, 0, 100).await, ["1 manifest.pushed a/b"]);
}

/// An event whose transaction ends late is told late, and not left out.
#[tokio::test]
async fn what_is_committed_late_is_told_late() {
    let subject = Subject::postgres().await;
    let Place::Url(url) = &subject.place else { unreachable!("it is on PostgreSQL") };
    let mut connection = PgConnection::connect(url).await.unwrap();
    let mut slow = connection.begin().await.unwrap();
    sqlx::query("INSERT INTO events (kind, repository, happened_at, tag) VALUES ('tag.set', 'a/slow', 1, 'v1')")
        .execute(&mut *slow)
        .await
        .unwrap();
    put(&subject.state, "a/fast", &image("one", &[]), &[]).await;
    assert_eq!(order(&subject.state).await.position, 1);
    assert_eq!(page(&subject.state, 0, 100).await, ["1 manifest.pushed a/fast"]);
    slow.commit().await.unwrap();
    assert_eq!(order(&subject.state).await.position, 2);
    assert_eq!(page(&subject.state, 1, 100).await, ["2 tag.set a/slow v1"]);
}
