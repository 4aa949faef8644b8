//! What a leader writes.

use longshore_fleet::{
    Phase,
    api::{OperationState, WorkloadStatus},
};
use serde_json::json;

use super::{
    Subject, on_every_database,
    samples::{
        all, batch, event, lead, name, namespace_row, new_node, new_workload, node, node_row, operation_row, pod_row,
        revision_row, rollout_row, running, workload_row,
    },
};
use crate::state::{Batch, Expected, PodFilter, StateError, WorkloadFilter, Write};

on_every_database!(
    what_is_put_is_read,
    a_repeat_writes_nothing_twice,
    one_failure_undoes_all,
    what_is_gone_stays_gone,
    what_was_said_last_holds,
    many_at_once_are_all_there,
    signs_that_a_database_can_not_keep_harm_nothing,
);

async fn what_is_put_is_read(subject: Subject) {
    let state = &subject.state;
    let term = lead(state).await;
    let writes = vec![
        new_workload(1),
        Write::PutRevision(Box::new(revision_row(1, 1))),
        Write::PutRevision(Box::new(revision_row(1, 2))),
        Write::PutRollout(rollout_row(1, 1, "done")),
        Write::PutRollout(rollout_row(1, 2, "progressing")),
        Write::PutPod(Box::new(pod_row(1))),
        Write::PutPod(Box::new(running(2, 1))),
        new_node(1),
        Write::PutFacts(node(1), json!({"cpu": "4"})),
        Write::PutOperation(Box::new(operation_row(1, OperationState::Running))),
    ];
    assert_eq!(state.commit(term, &batch(1, writes)).await.unwrap(), Some(1));
    let workload = workload_row(1, 1);
    assert_eq!(state.workload(workload.id).await.unwrap().as_ref(), Some(&workload));
    let named = state.workload_named(workload.id.kind, &workload.namespace, &workload.name).await.unwrap();
    assert_eq!(named.as_ref(), Some(&workload));
    assert_eq!(state.revisions(workload.id).await.unwrap(), [revision_row(1, 2), revision_row(1, 1)]);
    assert_eq!(state.rollouts(workload.id, 10).await.unwrap(), [rollout_row(1, 2, "progressing"), rollout_row(1, 1, "done")]);
    assert_eq!(state.rollouts(workload.id, 1).await.unwrap(), [rollout_row(1, 2, "progressing")]);
    assert_eq!(state.pods(&PodFilter::default(), all()).await.unwrap(), [pod_row(1), running(2, 1)]);
    assert_eq!(state.pod(running(2, 1).id).await.unwrap(), Some(running(2, 1)));
    let mut stored = node_row(1, 1);
    stored.facts = Some(json!({"cpu": "4"}));
    assert_eq!(state.node(stored.id).await.unwrap().as_ref(), Some(&stored));
    assert_eq!(state.node_named(&stored.name).await.unwrap().as_ref(), Some(&stored));
    let operation = operation_row(1, OperationState::Running);
    assert_eq!(state.operation(operation.id).await.unwrap(), Some(operation));
}

async fn a_repeat_writes_nothing_twice(subject: Subject) {
    let state = &subject.state;
    let term = lead(state).await;
    let first = batch(1, vec![Write::PutPod(Box::new(pod_row(1)))]);
    assert_eq!(state.commit(term, &first).await.unwrap(), Some(1));
    assert_eq!(subject.replica().await.commit(term, &first).await.unwrap(), None);
    let second = batch(2, vec![Write::RemovePod(pod_row(1).id)]);
    assert_eq!(state.commit(term, &second).await.unwrap(), Some(2));
    assert_eq!(state.commit(term, &first).await.unwrap(), None, "one that was overtaken by now changes nothing back");
    assert_eq!(state.commit(term, &second).await.unwrap(), None);
    assert_eq!((subject.count("pods").await, subject.count("events").await), (0, 2));
}

async fn one_failure_undoes_all(subject: Subject) {
    let state = &subject.state;
    let term = lead(state).await;
    let writes =
        vec![Write::PutPod(Box::new(pod_row(1))), new_workload(1), Write::RemoveNamespace(name("default"), Expected::At(1))];
    let failed = state.commit(term, &batch(1, writes)).await;
    assert!(matches!(&failed, Err(StateError::NotEmpty(namespace)) if *namespace == name("default")), "{failed:?}");
    for table in ["pods", "workloads", "events"] {
        assert_eq!(subject.count(table).await, 0, "{table}");
    }
    state.commit(term, &batch(1, vec![])).await.unwrap();
    assert_eq!(subject.count("events").await, 1, "its number is not used up");
}

async fn what_is_gone_stays_gone(subject: Subject) {
    let state = &subject.state;
    let term = lead(state).await;
    let writes = vec![new_workload(1), new_node(1), Write::PutRevision(Box::new(revision_row(1, 1)))];
    state.commit(term, &batch(1, writes)).await.unwrap();
    let id = workload_row(1, 1).id;
    let writes = vec![
        Write::PutRollout(rollout_row(1, 1, "done")),
        Write::RemoveWorkload(id),
        Write::RemoveNode(node(1)),
        Write::PutStatus(id, WorkloadStatus::default()),
        Write::PutFacts(node(1), json!(1)),
        Write::PutLayers(node(1), vec![super::samples::layer(1)]),
    ];
    state.commit(term, &batch(2, writes)).await.unwrap();
    for table in ["workloads", "revisions", "rollouts", "nodes", "node_layers"] {
        assert_eq!(subject.count(table).await, 0, "{table}");
    }
}

async fn what_was_said_last_holds(subject: Subject) {
    let state = &subject.state;
    let term = lead(state).await;
    let status = |wanted| WorkloadStatus { wanted, ..WorkloadStatus::default() };
    let writes = vec![
        Write::PutStatus(workload_row(1, 1).id, status(9)),
        new_workload(1),
        Write::PutStatus(workload_row(1, 1).id, status(2)),
        Write::PutPod(Box::new(pod_row(1))),
        Write::PutPod(Box::new(pod_row(2))),
        Write::RemovePod(pod_row(1).id),
        Write::PutStatus(workload_row(1, 1).id, status(3)),
        Write::PutPod(Box::new(running(2, 1))),
        Write::RemovePod(pod_row(3).id),
        Write::PutPod(Box::new(pod_row(3))),
        Write::PutWorkload(Box::new(workload_row(1, 2)), Expected::At(1)),
    ];
    state.commit(term, &batch(1, writes)).await.unwrap();
    let workload = state.workload(workload_row(1, 1).id).await.unwrap().unwrap();
    assert_eq!((workload.status.wanted, workload.revision), (3, 2), "what is wanted changes, and how it is stays");
    assert_eq!(state.pods(&PodFilter::default(), all()).await.unwrap(), [running(2, 1), pod_row(3)]);
}

async fn many_at_once_are_all_there(subject: Subject) {
    let state = &subject.state;
    let term = lead(state).await;
    let mut number = 0;
    // Around the sizes of the statements that rows go in.
    for count in [1, 3, 4, 5, 31, 33, 255, 256, 257, 600] {
        number += 1;
        let pods = (0..count).map(|pod| Write::PutPod(Box::new(pod_row(pod))));
        let statuses = (0..count).map(|workload| {
            Write::PutStatus(super::samples::deployment(workload), WorkloadStatus { ready: 5, ..WorkloadStatus::default() })
        });
        let workloads = (0..count).map(new_workload);
        let writes = workloads.chain(pods).chain(statuses).collect();
        let events: Vec<_> = (0..count).map(|number| event(&format!("{number}"))).collect();
        let before = state.position().await.unwrap();
        state.commit(term, &Batch { number, writes, events, now: 0 }).await.unwrap();
        let page = state.events(before, 1000).await.unwrap();
        let ids: Vec<_> = page.events.iter().map(|event| event.id.clone()).collect();
        assert_eq!(ids, (0..count).map(|number| number.to_string()).collect::<Vec<_>>());
        assert_eq!(page.position, before + u64::try_from(count).unwrap());
        let pods = state.pods(&PodFilter::default(), all()).await.unwrap();
        assert_eq!(pods, (0..count).map(pod_row).collect::<Vec<_>>());
        let workloads = state.workloads(&WorkloadFilter::default(), all()).await.unwrap();
        assert!(workloads.len() as u128 == count && workloads.iter().all(|workload| workload.status.ready == 5));
        number += 1;
        let pods = (0..count).map(|pod| Write::RemovePod(pod_row(pod).id));
        let workloads = (0..count).map(|number| Write::RemoveWorkload(super::samples::deployment(number)));
        state.commit(term, &batch(number, pods.chain(workloads).collect())).await.unwrap();
        assert_eq!((subject.count("pods").await, subject.count("workloads").await), (0, 0));
    }
}

async fn signs_that_a_database_can_not_keep_harm_nothing(subject: Subject) {
    let state = &subject.state;
    let term = lead(state).await;
    let mut pod = running(1, 1);
    pod.state.message = Some("a\0b".to_owned());
    pod.state.phase = Phase::Failed;
    let mut told = event("pod");
    told.message = "a\0b".to_owned();
    told.object = Some(json!({"message": "a\0b"}));
    let mut namespace = namespace_row("team", 1, None);
    namespace.spec.allow.host_paths = vec!["/a\0b".to_owned()];
    let writes = vec![Write::PutPod(Box::new(pod.clone())), Write::PutNamespace(namespace.clone(), Expected::None)];
    state.commit(term, &Batch { number: 1, writes, events: vec![told.clone()], now: 0 }).await.unwrap();
    assert_eq!(state.pod(pod.id).await.unwrap(), Some(pod));
    assert_eq!(state.namespace(&name("team")).await.unwrap(), Some(namespace));
    let event = state.events(0, 1).await.unwrap().events.remove(0);
    assert_eq!((event.message.as_str(), event.object), ("a\u{fffd}b", told.object));
}
