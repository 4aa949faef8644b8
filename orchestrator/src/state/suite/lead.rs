//! Who leads.

use std::time::Duration;

use super::{
    Subject, on_every_database,
    samples::{batch, lead, new_workload, wish},
    together,
};
use crate::state::StateError;

on_every_database!(
    one_leads_until_it_runs_out,
    a_lead_that_was_given_up_is_taken_at_once,
    whoever_leads_no_more_writes_nothing,
    one_of_many_takes_the_lead,
);

async fn one_leads_until_it_runs_out(subject: Subject) {
    let state = &subject.state;
    assert_eq!(state.leader().await.unwrap(), None);
    let first = state.lead(wish(1, 200)).await.unwrap();
    assert_eq!((first.holder, first.term, first.remaining_ms), (wish(1, 0).holder, 1, 200));
    let refused = subject.replica().await.lead(wish(2, 60_000)).await.unwrap();
    assert_eq!((refused.holder, refused.term), (first.holder, 1), "another leads");
    assert!((1..=200).contains(&refused.remaining_ms), "{refused:?}");
    assert_eq!(refused.address, "replica-1:7000");
    let kept = state.lead(wish(1, 50)).await.unwrap();
    assert_eq!((kept.term, kept.remaining_ms), (1, 50), "the same turn");
    while state.leader().await.unwrap().unwrap().remaining_ms > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(2)).await;
    let taken = state.lead(wish(2, 60_000)).await.unwrap();
    assert_eq!((taken.holder, taken.term), (wish(2, 0).holder, 2));
    assert_eq!(state.lead(wish(1, 60_000)).await.unwrap().holder, taken.holder);
    let leader = state.leader().await.unwrap().unwrap();
    assert!(leader.holder == taken.holder && leader.remaining_ms > 50_000, "{leader:?}");
}

async fn a_lead_that_was_given_up_is_taken_at_once(subject: Subject) {
    let state = &subject.state;
    state.lead(wish(1, 60_000)).await.unwrap();
    state.resign(wish(2, 0).holder).await.unwrap();
    assert!(state.leader().await.unwrap().is_some(), "it was not the other's to give up");
    state.resign(wish(1, 0).holder).await.unwrap();
    assert_eq!(state.leader().await.unwrap(), None);
    assert!(matches!(state.commit(1, &batch(1, vec![])).await, Err(StateError::Fenced)), "not even who gave it up");
    assert_eq!(state.lead(wish(1, 60_000)).await.unwrap().term, 2, "a turn of its own, though the holder is the same");
}

async fn whoever_leads_no_more_writes_nothing(subject: Subject) {
    let state = &subject.state;
    let term = lead(state).await;
    state.commit(term, &batch(1, vec![new_workload(1)])).await.unwrap();
    state.resign(wish(1, 0).holder).await.unwrap();
    let later = subject.replica().await.lead(wish(2, 60_000)).await.unwrap().term;
    for wrong in [term, later + 1, 0] {
        let refused = state.commit(wrong, &batch(2, vec![new_workload(2)])).await;
        assert!(matches!(refused, Err(StateError::Fenced)), "{refused:?}");
    }
    assert_eq!((subject.count("workloads").await, state.position().await.unwrap()), (1, 1));
    state.commit(later, &batch(1, vec![new_workload(2)])).await.unwrap();
    assert_eq!((subject.count("workloads").await, state.position().await.unwrap()), (2, 2), "numbers begin anew with a term");
}

async fn one_of_many_takes_the_lead(subject: Subject) {
    let leases =
        together(&subject, 16, |number, state| async move { state.lead(wish(number as u128 + 1, 60_000)).await.unwrap() }).await;
    assert!(leases.iter().all(|lease| (lease.holder, lease.term) == (leases[0].holder, 1)), "{leases:?}");
}
