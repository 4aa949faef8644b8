//! What callers change.

use longshore_fleet::api::OperationState;
use serde_json::json;

use super::{
    Subject, on_every_database,
    samples::{
        NOW, act, audit_line, does, name, namespace_row, new_node, new_workload, node_row, operation_key, operation_row, puts,
        revision_row, workload_row,
    },
};
use crate::state::{Act, Acted, Answer, Expected, JoinTokenRow, StateError, Write};

on_every_database!(
    an_act_tells_of_itself,
    an_operation_is_done_once,
    what_failed_may_be_tried_again,
    what_is_new_has_a_name_of_its_own,
    what_changed_meanwhile_is_not_overwritten,
    namespaces_keep_what_is_in_them,
    workloads_need_a_namespace,
    tokens_let_in_as_often_as_they_say,
    an_operation_that_ended_stays_so,
    the_audit_log_is_read_backwards,
);

async fn an_act_tells_of_itself(subject: Subject) {
    let state = &subject.state;
    assert_eq!(does(state, vec![new_workload(1)]).await.unwrap(), Acted::Done(1));
    let silent = Act { events: vec![], ..act(vec![new_workload(2)]) };
    assert_eq!(state.act(&silent).await.unwrap(), Acted::Done(1), "the last event is another's");
    assert_eq!(state.audit(None, 10).await.unwrap().len(), 2);
}

async fn an_operation_is_done_once(subject: Subject) {
    let state = &subject.state;
    let key = operation_key("op-1", "request");
    assert_eq!(state.answer(&key).await.unwrap(), None);
    let first = Act { operation: Some(key.clone()), ..act(vec![new_workload(1)]) };
    assert_eq!(state.act(&first).await.unwrap(), Acted::Done(1));
    let again = Act { answer: Answer { status: 500, body: json!(null) }, ..first.clone() };
    assert_eq!(subject.replica().await.act(&again).await.unwrap(), Acted::Before(first.answer.clone()));
    assert_eq!(state.answer(&key).await.unwrap(), Some(first.answer.clone()));
    let other = Act { operation: Some(operation_key("op-1", "another")), ..act(vec![new_workload(2)]) };
    assert!(matches!(state.act(&other).await, Err(StateError::OperationReused)));
    assert!(matches!(state.answer(&operation_key("op-1", "another")).await, Err(StateError::OperationReused)));
    let mut stranger = operation_key("op-1", "another");
    stranger.caller = "bob".to_owned();
    assert_eq!(state.answer(&stranger).await.unwrap(), None);
    state.act(&Act { operation: Some(stranger), ..act(vec![new_workload(2)]) }).await.unwrap();
    assert_eq!((subject.count("workloads").await, state.position().await.unwrap()), (2, 2));
}

async fn what_failed_may_be_tried_again(subject: Subject) {
    let state = &subject.state;
    let change = Write::PutWorkload(Box::new(workload_row(1, 2)), Expected::At(1));
    let retried = Act { operation: Some(operation_key("op", "request")), ..act(vec![new_node(1), change]) };
    assert!(matches!(state.act(&retried).await, Err(StateError::Changed(None))));
    for table in ["answers", "nodes", "events", "audit"] {
        assert_eq!(subject.count(table).await, 0, "{table}");
    }
    puts(state, vec![new_workload(1)]).await;
    assert_eq!(state.act(&retried).await.unwrap(), Acted::Done(2));
}

async fn what_is_new_has_a_name_of_its_own(subject: Subject) {
    let state = &subject.state;
    puts(state, vec![new_workload(1), new_node(1), Write::PutNamespace(namespace_row("team", 1, None), Expected::None)]).await;
    let mut workload = workload_row(2, 1);
    workload.name = workload_row(1, 1).name;
    let mut node = node_row(2, 1);
    node.name = node_row(1, 1).name;
    for taken in [
        new_workload(1),
        Write::PutWorkload(Box::new(workload.clone()), Expected::None),
        new_node(1),
        Write::PutNode(Box::new(node.clone()), Expected::None),
        Write::PutNamespace(namespace_row("team", 1, None), Expected::None),
    ] {
        let refused = does(state, vec![taken.clone()]).await;
        assert!(matches!(refused, Err(StateError::Exists)), "{taken:?}: {refused:?}");
    }
    workload.namespace = name("team");
    puts(state, vec![Write::PutWorkload(Box::new(workload.clone()), Expected::None), new_node(2)]).await;
    workload.namespace = name("default");
    for renamed in [Write::PutWorkload(Box::new(workload), Expected::At(1)), Write::PutNode(Box::new(node), Expected::At(1))] {
        let refused = does(state, vec![renamed]).await;
        assert!(matches!(refused, Err(StateError::Exists)), "{refused:?}");
    }
}

async fn what_changed_meanwhile_is_not_overwritten(subject: Subject) {
    let state = &subject.state;
    puts(state, vec![new_workload(1), new_node(1), Write::PutNamespace(namespace_row("team", 1, None), Expected::None)]).await;
    let change = |revision, expected| {
        [
            Write::PutWorkload(Box::new(workload_row(1, revision)), Expected::At(expected)),
            Write::PutNode(Box::new(node_row(1, revision)), Expected::At(expected)),
            Write::PutNamespace(namespace_row("team", revision, Some(3)), Expected::At(expected)),
        ]
    };
    puts(state, change(2, 1).to_vec()).await;
    for stale in change(3, 1) {
        let refused = does(state, vec![stale]).await;
        assert!(matches!(refused, Err(StateError::Changed(Some(2)))), "{refused:?}");
    }
    assert_eq!(state.workload(workload_row(1, 0).id).await.unwrap().unwrap().revision, 2);
    assert_eq!(state.node(node_row(1, 0).id).await.unwrap(), Some(node_row(1, 2)));
    assert_eq!(state.namespace(&name("team")).await.unwrap(), Some(namespace_row("team", 2, Some(3))));
    let revision = revision_row(1, 3);
    puts(state, vec![Write::PutRevision(Box::new(revision.clone()))]).await;
    puts(state, vec![Write::RemoveRevision(revision.workload, 2)]).await;
    assert_eq!(state.revisions(revision.workload).await.unwrap().len(), 1);
    puts(state, vec![Write::RemoveRevision(revision.workload, 3)]).await;
    assert_eq!(state.revisions(revision.workload).await.unwrap(), []);
}

async fn namespaces_keep_what_is_in_them(subject: Subject) {
    let state = &subject.state;
    let default = state.namespace(&name("default")).await.unwrap().unwrap();
    assert_eq!(default, namespace_row("default", 1, None), "it is there from the beginning");
    puts(state, vec![new_workload(1)]).await;
    let remove = |expected| vec![Write::RemoveNamespace(name("default"), expected)];
    assert!(matches!(does(state, remove(Expected::At(1))).await, Err(StateError::NotEmpty(_))));
    assert!(matches!(does(state, remove(Expected::At(2))).await, Err(StateError::Changed(Some(1)))));
    assert!(matches!(does(state, remove(Expected::None)).await, Err(StateError::Exists)));
    puts(state, vec![Write::RemoveWorkload(workload_row(1, 1).id)]).await;
    puts(state, remove(Expected::At(1))).await;
    assert_eq!(state.namespace(&name("default")).await.unwrap(), None);
    assert!(matches!(does(state, remove(Expected::At(1))).await, Err(StateError::Changed(None))));
    puts(state, remove(Expected::None)).await;
}

async fn workloads_need_a_namespace(subject: Subject) {
    let mut workload = workload_row(1, 1);
    workload.namespace = name("nowhere");
    let refused = does(&subject.state, vec![Write::PutWorkload(Box::new(workload), Expected::None)]).await;
    assert!(matches!(&refused, Err(StateError::NoNamespace(namespace)) if *namespace == name("nowhere")), "{refused:?}");
}

async fn tokens_let_in_as_often_as_they_say(subject: Subject) {
    let state = &subject.state;
    let far = jiff::Timestamp::now().as_microsecond() + 1_000_000_000;
    let token = |hash: &str, expires| JoinTokenRow { hash: hash.to_owned(), hint: "ab".to_owned(), expires, uses_left: 2 };
    puts(state, vec![Write::PutJoinToken(token("a", far)), Write::PutJoinToken(token("b", NOW))]).await;
    assert_eq!(state.join_tokens().await.unwrap(), [token("a", far)], "the other has run out");
    let join = |hash: &str| vec![Write::UseJoinToken { hash: hash.to_owned() }];
    puts(state, join("a")).await;
    assert_eq!(state.join_tokens().await.unwrap()[0].uses_left, 1);
    puts(state, join("a")).await;
    for hash in ["a", "b", "c"] {
        assert!(matches!(does(state, join(hash)).await, Err(StateError::NoSuchToken)), "{hash}");
    }
    assert_eq!(state.join_tokens().await.unwrap(), []);
    puts(state, vec![Write::PutJoinToken(token("a", far))]).await;
    puts(state, vec![Write::RemoveJoinToken { hash: "a".to_owned() }]).await;
    assert!(matches!(does(state, join("a")).await, Err(StateError::NoSuchToken)));
}

async fn an_operation_that_ended_stays_so(subject: Subject) {
    let state = &subject.state;
    let put = |number, is| Write::PutOperation(Box::new(operation_row(number, is)));
    puts(state, vec![put(1, OperationState::Running), put(2, OperationState::Running)]).await;
    puts(state, vec![put(1, OperationState::Cancelled)]).await;
    puts(state, vec![put(1, OperationState::Succeeded), put(1, OperationState::Running)]).await;
    let first = operation_row(1, OperationState::Cancelled);
    assert_eq!(state.operation(first.id).await.unwrap().as_ref(), Some(&first));
    let second = operation_row(2, OperationState::Running);
    assert_eq!(state.operations(true, super::samples::all()).await.unwrap(), std::slice::from_ref(&second));
    assert_eq!(state.operations(false, super::samples::all()).await.unwrap(), [first.clone(), second]);
    // Whoever cancels is told that there was nothing to cancel, and nothing is told of it.
    let cancel = |number| Write::CancelOperation(Box::new(operation_row(number, OperationState::Cancelled)));
    let position = state.position().await.unwrap();
    for number in [1, 3] {
        assert!(matches!(does(state, vec![cancel(number)]).await, Err(StateError::Changed(None))), "{number}");
    }
    assert_eq!(state.position().await.unwrap(), position);
    does(state, vec![cancel(2)]).await.unwrap();
    let second = operation_row(2, OperationState::Cancelled);
    assert_eq!(state.operations(false, super::samples::all()).await.unwrap(), [first, second]);
}

async fn the_audit_log_is_read_backwards(subject: Subject) {
    let state = &subject.state;
    let lines: Vec<_> = (0..40).map(|number| audit_line(&number.to_string())).collect();
    state.note(&lines).await.unwrap();
    let first = state.audit(None, 30).await.unwrap();
    let rest = state.audit(Some(first[29].0), 30).await.unwrap();
    let read: Vec<_> = first.into_iter().chain(rest).map(|(_, line)| line).rev().collect();
    assert_eq!(read, lines);
}
