//! Lists: by their keys, in slices, filtered.

use std::collections::{BTreeMap, BTreeSet};

use longshore_fleet::{JobId, Phase, WorkloadKind};
use uuid::Uuid;

use super::{
    Subject, on_every_database,
    samples::{
        all, deployment, lead, name, namespace_row, new_node, new_workload, node, pod_row, puts, revision_row, running,
        workload_row,
    },
};
use crate::state::{Batch, Expected, PodFilter, PodRow, Slice, WorkloadFilter, Write};

on_every_database!(pods_are_filtered, workloads_are_filtered, slices_follow_one_another, what_pods_name_is_looked_up_at_once);

async fn pods_are_filtered(subject: Subject) {
    let state = &subject.state;
    let term = lead(state).await;
    let elsewhere = PodRow { namespace: name("team"), workload: deployment(2), ..running(3, 2) };
    let pods = [pod_row(1), running(2, 1), elsewhere, running(4, 2)];
    let writes = pods.iter().cloned().map(|pod| Write::PutPod(Box::new(pod))).collect();
    state.commit(term, &Batch { number: 1, writes, ..Batch::default() }).await.unwrap();
    let none = PodFilter::default();
    for (filter, expected) in [
        (none.clone(), vec![0, 1, 2, 3]),
        (PodFilter { namespace: Some(name("team")), ..none.clone() }, vec![2]),
        (PodFilter { workload: Some(deployment(1)), ..none.clone() }, vec![0, 1, 3]),
        (PodFilter { node: Some(node(2)), ..none.clone() }, vec![2, 3]),
        (PodFilter { phase: Some(Phase::Pending), ..none.clone() }, vec![0]),
        (PodFilter { name: Some("web-4".to_owned()), ..none.clone() }, vec![3]),
        (
            PodFilter { node: Some(node(2)), namespace: Some(name("default")), phase: Some(Phase::Running), ..none.clone() },
            vec![3],
        ),
        (PodFilter { name: Some("none\0".to_owned()), ..none }, vec![]),
    ] {
        let found = state.pods(&filter, all()).await.unwrap();
        assert_eq!(found, expected.into_iter().map(|index: usize| pods[index].clone()).collect::<Vec<_>>(), "{filter:?}");
    }
    let slice = Slice { after: Some(pods[1].id), most: 1 };
    let filter = PodFilter { workload: Some(deployment(1)), ..PodFilter::default() };
    assert_eq!(state.pods(&filter, slice).await.unwrap(), [pods[3].clone()]);
    assert_eq!(state.pod(pod_row(9).id).await.unwrap(), None);
}

async fn workloads_are_filtered(subject: Subject) {
    let state = &subject.state;
    let mut job = workload_row(1, 1);
    job.id = JobId(Uuid::from_u128(1)).into();
    let mut elsewhere = workload_row(2, 1);
    elsewhere.namespace = name("team");
    puts(
        state,
        vec![
            Write::PutNamespace(namespace_row("team", 1, None), Expected::None),
            Write::PutWorkload(Box::new(job.clone()), Expected::None),
            Write::PutWorkload(Box::new(elsewhere.clone()), Expected::None),
            new_workload(1),
        ],
    )
    .await;
    let list = async |kind, namespace: Option<&str>, slice| {
        state.workloads(&WorkloadFilter { kind, namespace: namespace.map(name) }, slice).await.unwrap()
    };
    assert_eq!(list(None, None, all()).await, [workload_row(1, 1), elsewhere.clone(), job.clone()]);
    assert_eq!(list(Some(WorkloadKind::Job), None, all()).await, [job.clone()]);
    assert_eq!(list(Some(WorkloadKind::Deployment), None, all()).await, [workload_row(1, 1), elsewhere.clone()]);
    assert_eq!(list(None, Some("team"), all()).await, [elsewhere.clone()]);
    assert_eq!(list(Some(WorkloadKind::Job), Some("team"), all()).await, []);
    assert_eq!(list(None, None, Slice { after: Some(elsewhere.id), most: 9 }).await, [job.clone()]);
    let named = state.workload_named(WorkloadKind::Job, &job.namespace, &job.name).await.unwrap();
    assert_eq!(named, Some(job), "a name is a kind's own");
}

async fn slices_follow_one_another(subject: Subject) {
    let state = &subject.state;
    let mut writes: Vec<_> = (1..=7).map(new_node).collect();
    writes.extend((1..=7).map(|number| Write::PutNamespace(namespace_row(&format!("team-{number}"), 1, None), Expected::None)));
    puts(state, writes).await;
    let (mut nodes, mut after) = (vec![], None);
    loop {
        let slice = state.nodes(Slice { after, most: 3 }).await.unwrap();
        let Some(last) = slice.last() else { break };
        after = Some(last.name.clone());
        nodes.extend(slice);
    }
    assert_eq!(nodes, state.nodes(all()).await.unwrap());
    assert_eq!(nodes.len(), 7);
    assert!(nodes.is_sorted_by_key(|node| node.name.clone()));
    let slice = state.namespaces(Slice { after: Some(name("team-5")), most: 9 }).await.unwrap();
    assert_eq!(slice, [namespace_row("team-6", 1, None), namespace_row("team-7", 1, None)]);
    assert_eq!(state.namespaces(Slice { after: None, most: 1 }).await.unwrap()[0].spec.name, name("default"));
}

async fn what_pods_name_is_looked_up_at_once(subject: Subject) {
    let state = &subject.state;
    let revisions =
        [(1, 1), (1, 2), (2, 1)].map(|(workload, number)| Write::PutRevision(Box::new(revision_row(workload, number))));
    puts(state, vec![new_workload(1), new_workload(2), new_node(1), new_node(2)]).await;
    puts(state, revisions.to_vec()).await;
    let of = BTreeSet::from([(deployment(1), 2), (deployment(2), 1), (deployment(2), 9), (deployment(3), 1)]);
    let owners = state.owners(&of).await.unwrap();
    let image = revision_row(1, 1).template.image;
    let expected = [((deployment(1), 2), (name("web-1"), image.clone())), ((deployment(2), 1), (name("web-2"), image))];
    assert_eq!(owners, BTreeMap::from(expected), "those that there are, and no others");
    let names = state.node_names(&BTreeSet::from([node(2), node(7)])).await.unwrap();
    assert_eq!(names.into_keys().collect::<Vec<_>>(), [node(2)]);
    assert!(state.owners(&BTreeSet::new()).await.unwrap().is_empty());
}
