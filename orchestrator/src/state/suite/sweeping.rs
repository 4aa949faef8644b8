//! What nobody needs any more goes.

use longshore_fleet::api::OperationState;

use super::{
    Subject, on_every_database,
    samples::{NOW, act, operation_key, operation_row, puts, sweep},
};
use crate::state::{Act, JoinTokenRow, Sweep, Write};

on_every_database!(what_is_old_goes_and_the_rest_stays, so_many_go_at_once);

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
