//! What a batch comes to is what its changes come to, one after the other.

use longshore_fleet::{PodId, api::WorkloadStatus};
use proptest::{
    prelude::{Strategy as _, any},
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::json;
use uuid::Uuid;

use super::{
    Subject,
    samples::{deployment, layer, lead, new_node, new_workload, node, puts, revision_row, rollout_row, running},
};
use crate::state::{Batch, PodFilter, Write};

/// One of the changes that are sorted, of one of three things.
fn write((kind, which, value): (u8, u8, u32)) -> Write {
    let which = u128::from(which % 3 + 1);
    match kind % 10 {
        0 => Write::PutStatus(deployment(which), WorkloadStatus { wanted: value, ..WorkloadStatus::default() }),
        1 => Write::RemoveWorkload(deployment(which)),
        2 => Write::PutRollout(rollout_row(which, u64::from(value % 3), if value % 2 == 0 { "done" } else { "progressing" })),
        3 => Write::PutRevision(Box::new(revision_row(which, u64::from(value % 3)))),
        4 => Write::RemoveRevision(deployment(which), u64::from(value % 3)),
        5 => Write::PutPod(Box::new(running(which, u128::from(value)))),
        6 => Write::RemovePod(PodId(Uuid::from_u128(which))),
        7 => Write::PutFacts(node(which), json!(value)),
        8 => Write::PutLayers(node(which), (0..u64::from(value % 5)).map(layer).collect()),
        _ => Write::RemoveNode(node(which)),
    }
}

/// Makes these changes in batches; everything that is there then.
async fn outcome(batches: impl Iterator<Item = Vec<Write>>) -> String {
    let subject = Subject::sqlite().await;
    let state = &subject.state;
    puts(state, (1..=3).flat_map(|number| [new_workload(number), new_node(number)]).collect()).await;
    let term = lead(state).await;
    for (number, writes) in (1..).zip(batches) {
        state.commit(term, &Batch { number, writes, ..Batch::default() }).await.unwrap();
    }
    let mut found = vec![
        format!("{:?}", state.pods(&PodFilter::default(), super::samples::all()).await.unwrap()),
        format!("{:?}", state.nodes(super::samples::all()).await.unwrap()),
        format!("{:?}", state.every_layer(None, 10).await.unwrap()),
    ];
    for number in 1..=3 {
        let id = deployment(number);
        found.push(format!("{:?}", state.workload(id).await.unwrap()));
        found.push(format!("{:?}", state.revisions(id).await.unwrap()));
        found.push(format!("{:?}", state.rollouts(id, 10).await.unwrap()));
    }
    found.join("\n")
}

#[tokio::test]
async fn a_batch_is_its_changes_in_their_order() {
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    let changes = proptest::collection::vec((any::<u8>(), any::<u8>(), any::<u32>()).prop_map(write), 1..30);
    for _ in 0..25 {
        let writes = changes.new_tree(&mut runner).unwrap().current();
        let at_once = outcome(std::iter::once(writes.clone())).await;
        let one_by_one = outcome(writes.iter().cloned().map(|write| vec![write])).await;
        assert_eq!(at_once, one_by_one, "{writes:#?}");
    }
}
