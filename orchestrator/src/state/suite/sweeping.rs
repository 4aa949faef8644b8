//! What nobody needs any more goes.

use longshore_fleet::api::OperationState;

use super::{
    Subject, on_every_database,
    samples::{NOW, act, deployment, lead, new_workload, operation_key, operation_row, puts, rollout_row, sweep},
};
use crate::state::{Act, Batch, JoinTokenRow, RolloutRow, Sweep, Write};

on_every_database!(what_is_old_goes_and_the_rest_stays, so_many_go_at_once, the_audit_log_and_rollouts_are_bounded);

async fn what_is_old_goes_and_the_rest_stays(subject: Subject) {
    let state = &subject.state;
    let token = |hash: &str, expires| {
        Write::PutJoinToken(JoinTokenRow { hash: hash.to_owned(), hint: String::new(), expires, uses_left: 1 })
    };
    let put = |number, is| Write::PutOperation(Box::new(operation_row(number, is)));
    puts(
        state,
        vec![put(1, OperationState::Succeeded), put(2, OperationState::Running), token("old", NOW - 1), token("good", i64::MAX)],
    )
    .await;
    for (id, now) in [("old", NOW - 1), ("new", NOW + 100)] {
        state.act(&Act { operation: Some(operation_key(id, "r")), now, ..act(vec![]) }).await.unwrap();
    }
    assert_eq!(state.sweep(&sweep()).await.unwrap(), 0);
    let old = Sweep { answers_before: NOW, operations_before: NOW + 10, audit_before: NOW, ..sweep() };
    assert_eq!(state.sweep(&old).await.unwrap(), 3, "an answer, a token and an operation");
    assert_eq!(state.answer(&operation_key("old", "another")).await.unwrap(), None);
    assert!(state.answer(&operation_key("new", "r")).await.unwrap().is_some());
    assert_eq!(state.operations(false, super::samples::all()).await.unwrap(), [operation_row(2, OperationState::Running)]);
    assert_eq!(state.join_tokens().await.unwrap()[0].hash, "good");
    assert_eq!(state.sweep(&Sweep { audit_before: NOW + 1, ..sweep() }).await.unwrap(), 3);
    assert_eq!(state.audit(None, 10).await.unwrap(), []);
}

async fn so_many_go_at_once(subject: Subject) {
    let state = &subject.state;
    for number in 0..5 {
        let operation = Some(operation_key(&number.to_string(), "r"));
        state.act(&Act { operation, ..act(vec![]) }).await.unwrap();
    }
    let all = Sweep { answers_before: i64::MAX, audit_before: i64::MAX, events_before: i64::MAX, most: 2, ..sweep() };
    let mut dropped = vec![];
    for _ in 0..4 {
        dropped.push(state.sweep(&all).await.unwrap());
    }
    assert_eq!(dropped, [6, 6, 3, 0]);
}

async fn the_audit_log_and_rollouts_are_bounded(subject: Subject) {
    let state = &subject.state;
    for number in 0..5 {
        state.act(&Act { operation: Some(operation_key(&number.to_string(), "r")), ..act(vec![]) }).await.unwrap();
    }
    let newest: Vec<u64> = state.audit(None, 2).await.unwrap().into_iter().map(|(number, _)| number).collect();
    let few = Sweep { audit_kept: 2, ..sweep() };
    assert_eq!(state.sweep(&Sweep { most: 2, ..few }).await.unwrap(), 2, "the oldest, so many at once");
    assert_eq!((state.sweep(&few).await.unwrap(), state.sweep(&few).await.unwrap()), (1, 0));
    let kept: Vec<u64> = state.audit(None, 10).await.unwrap().into_iter().map(|(number, _)| number).collect();
    assert_eq!(kept, newest);

    puts(state, (1..=2).map(new_workload).collect()).await;
    let term = lead(state).await;
    let done = |number, revision| Write::PutRollout(RolloutRow { ended: Some(NOW), ..rollout_row(number, revision, "done") });
    let going = Write::PutRollout(RolloutRow { ended: None, ..rollout_row(2, 2, "progressing") });
    let writes = vec![done(1, 1), done(1, 2), done(2, 1), going];
    state.commit(term, &Batch { number: 1, writes, ..Batch::default() }).await.unwrap();
    assert_eq!(state.sweep(&Sweep { operations_before: NOW + 1, ..sweep() }).await.unwrap(), 2, "but for each one's last");
    for number in 1..=2 {
        let left = state.rollouts(deployment(number), 10).await.unwrap();
        assert_eq!(left.iter().map(|rollout| rollout.revision).collect::<Vec<_>>(), [2]);
    }
}
