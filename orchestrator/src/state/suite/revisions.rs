//! What pods were made from.

use longshore_fleet::Phase;

use super::{
    Subject, on_every_database,
    samples::{batch, deployment, does, lead, new_workload, pod_row, puts, revision_row, running, workload_row},
    together,
};
use crate::state::{Expected, Write};

on_every_database!(
    a_revision_that_is_wanted_stays,
    whoever_goes_back_finds_what_pods_are_made_from,
    revisions_come_in_parts_and_their_pods_are_counted,
);

fn put(number: u64) -> Write {
    Write::PutRevision(Box::new(revision_row(1, number)))
}

async fn a_revision_that_is_wanted_stays(subject: Subject) {
    let state = &subject.state;
    let term = lead(state).await;
    puts(state, vec![new_workload(1), put(1), put(2)]).await;
    let writes = vec![Write::RemoveRevision(deployment(1), 1), Write::RemoveRevision(deployment(1), 2)];
    state.commit(term, &batch(1, writes)).await.unwrap();
    assert_eq!(state.revisions(deployment(1)).await.unwrap(), [revision_row(1, 1)]);
    let removal = Write::RemoveRevision(deployment(1), 1);
    let gone = vec![Write::RemoveWorkload(deployment(1)), put(1), removal];
    state.commit(term, &batch(2, gone)).await.unwrap();
    assert_eq!(state.revisions(deployment(1)).await.unwrap(), [], "without a workload nobody wants it");
}

async fn whoever_goes_back_finds_what_pods_are_made_from(subject: Subject) {
    let term = lead(&subject.state).await;
    puts(&subject.state, vec![new_workload(1), put(1), put(2)]).await;
    for round in 0..20_u64 {
        // Pods are made from the second, and the leader forgets the first just as somebody goes back to it.
        let seen = 2 * round + 2;
        let mut forward = workload_row(1, seen);
        forward.template_revision = 2;
        puts(&subject.state, vec![Write::PutWorkload(Box::new(forward), Expected::At(seen - 1)), put(2)]).await;
        together(&subject, 2, |number, state| async move {
            if number == 0 {
                let forgotten = vec![Write::RemoveRevision(deployment(1), 1)];
                state.commit(term, &batch(round + 1, forgotten)).await.unwrap();
            } else {
                let back = Write::PutWorkload(Box::new(workload_row(1, seen + 1)), Expected::At(seen));
                does(&state, vec![back, put(1)]).await.unwrap();
            }
        })
        .await;
        let kept = subject.state.revisions(deployment(1)).await.unwrap();
        assert!(kept.iter().any(|revision| revision.number == 1), "in round {round} there are {kept:?}");
    }
}

async fn revisions_come_in_parts_and_their_pods_are_counted(subject: Subject) {
    let state = &subject.state;
    let term = lead(state).await;
    let mut writes: Vec<Write> = (1..=5).map(put).collect();
    let mut ended = pod_row(3);
    (ended.revision, ended.state.phase) = (2, Phase::Failed);
    let mut other = pod_row(4);
    other.revision = 2;
    // The second is to end.
    let pods = [pod_row(1), running(2, 1), ended, other, pod_row(5)];
    writes.extend(pods.map(|pod| Write::PutPod(Box::new(pod))));
    state.commit(term, &batch(1, writes)).await.unwrap();
    let part = async |below, most| -> Vec<u64> {
        let rows = state.revisions_below(deployment(1), below, most).await.unwrap();
        rows.into_iter().map(|row| row.number).collect()
    };
    assert_eq!((part(None, 2).await, part(Some(4), 2).await, part(Some(2), 2).await), (vec![5, 4], vec![3, 2], vec![1]));
    let counts: Vec<(u64, u32)> = state.count_pods(deployment(1)).await.unwrap().into_iter().collect();
    assert_eq!(counts, [(1, 2), (2, 1)]);
    assert!(state.count_pods(deployment(2)).await.unwrap().is_empty());
}
