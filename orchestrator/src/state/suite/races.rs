//! Many at once, on PostgreSQL from two replicas.

use super::{
    Subject, on_every_database,
    samples::{act, batch, does, name, namespace_row, new_workload, node_row, operation_key, pod_row, puts, wish, workload_row},
    together,
};
use crate::state::{Act, Acted, Batch, Charge, Expected, JoinTokenRow, StateError, Write};

on_every_database!(
    one_of_many_changes_of_a_revision_is_made,
    one_of_many_of_a_name_is_made,
    the_same_operation_is_done_once,
    of_two_leaders_one_writes,
    a_repeat_at_the_same_time_writes_once,
    a_token_lets_no_more_in,
    a_workload_never_outlives_its_namespace,
    charges_in_any_order_wait_for_one_another,
    acts_that_wait_for_each_other_both_come_through,
);

const TASKS: usize = 16;

async fn one_of_many_changes_of_a_revision_is_made(subject: Subject) {
    puts(&subject.state, vec![new_workload(1)]).await;
    for revision in 1..6 {
        let done = together(&subject, TASKS, |_, state| async move {
            does(&state, vec![Write::PutWorkload(Box::new(workload_row(1, revision + 1)), Expected::At(revision))]).await
        })
        .await;
        assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 1, "{done:?}");
        let others = done.iter().filter_map(|done| done.as_ref().err());
        for other in others {
            assert!(matches!(other, StateError::Changed(Some(seen)) if *seen == revision + 1), "{other:?}");
        }
    }
    assert_eq!(subject.count("events").await, 6);
}

async fn one_of_many_of_a_name_is_made(subject: Subject) {
    let done = together(&subject, TASKS, |number, state| async move {
        let mut row = workload_row(number as u128, 1);
        row.name = name("web");
        does(&state, vec![Write::PutWorkload(Box::new(row), Expected::None)]).await
    })
    .await;
    assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 1);
    assert!(done.iter().filter_map(|done| done.as_ref().err()).all(|error| matches!(error, StateError::Exists)), "{done:?}");
}

async fn the_same_operation_is_done_once(subject: Subject) {
    for round in 0..5_u128 {
        let done = together(&subject, TASKS, |_, state| async move {
            let operation = Some(operation_key(&round.to_string(), "request"));
            state.act(&Act { operation, ..act(vec![new_workload(round)]) }).await.unwrap()
        })
        .await;
        let before = Acted::Before(act(vec![]).answer);
        assert_eq!(done.iter().filter(|acted| **acted == before).count(), TASKS - 1, "{done:?}");
    }
    assert_eq!((subject.count("events").await, subject.count("audit").await), (5, 5));
}

async fn of_two_leaders_one_writes(subject: Subject) {
    for round in 0..10_u64 {
        let first = subject.state.lead(wish(1, 0)).await.unwrap();
        let done = together(&subject, 2, |number, state| async move {
            if number == 1 {
                return state.lead(wish(2, 0)).await.unwrap().term;
            }
            // The first one writes on, as if it did not know.
            let mut written = 0;
            for batch_number in 1..100 {
                let pod = Write::PutPod(Box::new(pod_row(u128::from(batch_number))));
                match state.commit(first.term, &batch(batch_number, vec![pod])).await {
                    Ok(_) => written = batch_number,
                    Err(StateError::Fenced) => break,
                    Err(error) => panic!("{error:?}"),
                }
            }
            written
        })
        .await;
        assert!(done[1] > first.term && done[0] < 99, "{done:?} in round {round}");
        let removed = (0..100).map(|number| Write::RemovePod(pod_row(number).id)).collect();
        let position = subject.state.commit(done[1], &Batch { number: 1, writes: removed, ..Batch::default() }).await.unwrap();
        let late = subject.state.commit(first.term, &batch(done[0] + 1, vec![Write::PutPod(Box::new(pod_row(1)))])).await;
        assert!(matches!(late, Err(StateError::Fenced)));
        assert_eq!((subject.count("pods").await, subject.state.position().await.unwrap()), (0, position.unwrap()));
    }
}

async fn a_repeat_at_the_same_time_writes_once(subject: Subject) {
    let term = super::samples::lead(&subject.state).await;
    for number in 1..6 {
        let done =
            together(&subject, 8, |_, state| async move { state.commit(term, &batch(number, vec![])).await.unwrap() }).await;
        let written: Vec<_> = done.iter().flatten().collect();
        assert_eq!(written, [&number], "{done:?}");
    }
    assert_eq!(subject.count("events").await, 5);
}

async fn a_token_lets_no_more_in(subject: Subject) {
    let hash = "hash".to_owned();
    let token = JoinTokenRow { hash: hash.clone(), hint: String::new(), expires: i64::MAX, uses_left: 5 };
    puts(&subject.state, vec![Write::PutJoinToken(token)]).await;
    let done = together(&subject, TASKS, |number, state| {
        let hash = hash.clone();
        async move {
            let row = Box::new(node_row(number as u128, 1));
            does(&state, vec![Write::UseJoinToken { hash }, Write::PutNode(row, Expected::None)]).await
        }
    })
    .await;
    assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 5);
    assert_eq!(subject.count("nodes").await, 5);
}

async fn a_workload_never_outlives_its_namespace(subject: Subject) {
    for round in 1..=10 {
        puts(&subject.state, vec![Write::PutNamespace(namespace_row("team", round, None), Expected::None)]).await;
        let done = together(&subject, 2, |number, state| async move {
            if number == 0 {
                return does(&state, vec![Write::RemoveNamespace(name("team"), Expected::At(round))]).await;
            }
            let mut row = workload_row(1, 1);
            row.namespace = name("team");
            does(&state, vec![Write::PutWorkload(Box::new(row), Expected::None)]).await
        })
        .await;
        match (&done[0], &done[1]) {
            (Ok(_), Err(StateError::NoNamespace(_))) => {}
            (Err(StateError::NotEmpty(_)), Ok(_)) => {
                let id = workload_row(1, 1).id;
                puts(&subject.state, vec![Write::RemoveWorkload(id), Write::RemoveNamespace(name("team"), Expected::At(round))])
                    .await;
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn charges_in_any_order_wait_for_one_another(subject: Subject) {
    let names = ["a", "b", "c"];
    let put = |text: &&str| Write::PutNamespace(namespace_row(text, 1, None), Expected::None);
    puts(&subject.state, names.iter().map(put).collect()).await;
    together(&subject, 12, |task, state| async move {
        for turn in 0..10 {
            let charge = |place: usize| {
                let place = if task % 2 == 0 { task + turn + place } else { 2 * (task + turn) + 2 * place };
                Write::Charge(name(names[place % 3]), Charge { pods: 1, ..Charge::default() })
            };
            does(&state, (0..3).map(charge).collect()).await.unwrap();
        }
    })
    .await;
    for text in names {
        assert_eq!(subject.state.namespace(&name(text)).await.unwrap().unwrap().asked.pods, 120, "{text}");
    }
    assert_eq!(subject.count("events").await, 1 + 120);
}

/// Two transactions each of which waits for the other: one is done again.
async fn acts_that_wait_for_each_other_both_come_through(subject: Subject) {
    let token = |hash: &str| JoinTokenRow { hash: hash.to_owned(), hint: String::new(), expires: i64::MAX, uses_left: 100 };
    puts(&subject.state, vec![Write::PutJoinToken(token("a")), Write::PutJoinToken(token("b"))]).await;
    together(&subject, 2, |task, state| async move {
        for _ in 0..20 {
            let mut hashes = ["a", "b"];
            hashes.rotate_left(task);
            does(&state, hashes.map(|hash| Write::UseJoinToken { hash: hash.to_owned() }).to_vec()).await.unwrap();
        }
    })
    .await;
    let left: Vec<_> = subject.state.join_tokens().await.unwrap().iter().map(|token| token.uses_left).collect();
    assert_eq!((left, subject.count("events").await), (vec![60, 60], 1 + 40));
}
