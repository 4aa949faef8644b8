//! How long it takes: printed, not judged. `cargo test -p longshore-orchestrator --lib figures -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use super::{
    Subject,
    samples::{deployment, event, lead, node, node_row, pod_row, running},
};
use crate::state::{Batch, Expected, LayerRow, PodFilter, Slice, Write};

const PODS: u128 = 100_000;

#[tokio::test]
#[ignore = "it measures"]
async fn on_sqlite() {
    measure("SQLite", Subject::sqlite().await).await;
}

#[tokio::test]
#[ignore = "it measures"]
async fn on_postgres() {
    measure("PostgreSQL", Subject::postgres().await).await;
}

async fn measure(name: &str, subject: Subject) {
    let state = &subject.state;
    let term = lead(state).await;
    let mut number = 0;
    let mut commit = async |writes: Vec<Write>, events: usize| {
        number += 1;
        let events = (0..events).map(|number| event(&format!("pod_{number:032}"))).collect();
        let begun = Instant::now();
        state.commit(term, &Batch { number, writes, events, now: 0 }).await.unwrap();
        begun.elapsed()
    };
    let mut new = vec![];
    for first in (0..PODS).step_by(1000) {
        new.push(commit((first..first + 1000).map(|pod| Write::PutPod(Box::new(pod_row(pod)))).collect(), 1000).await);
    }
    println!("{name}: 1,000 new pods and 1,000 events in a batch: {}", spread(&mut new));
    let mut bound = vec![];
    for first in (0..PODS / 4).step_by(1000) {
        let pods = (first..first + 1000).map(|pod| Write::PutPod(Box::new(running(pod * 4, pod % 50)))).collect();
        bound.push(commit(pods, 1000).await);
    }
    println!("{name}: 1,000 changed pods and 1,000 events in a batch: {}", spread(&mut bound));
    let gone = (0..1000).map(|pod| Write::RemovePod(pod_row(pod * 5 + 1).id)).collect();
    println!("{name}: 1,000 pods of {PODS} go in a batch: {:.1?}", commit(gone, 0).await);
    let begun = Instant::now();
    let (mut after, mut count) = (None, 0);
    loop {
        let slice = state.pods(&PodFilter::default(), Slice { after, most: 10_000 }).await.unwrap();
        let Some(last) = slice.last() else { break };
        (after, count) = (Some(last.id), count + slice.len());
    }
    println!("{name}: {count} pods read in slices of 10,000: {:.0?}", begun.elapsed());
    let begun = Instant::now();
    let filter = PodFilter { node: Some(node(7)), workload: Some(deployment(1)), ..PodFilter::default() };
    let found = state.pods(&filter, Slice { after: None, most: 100 }).await.unwrap().len();
    println!("{name}: {found} pods of a node: {:.1?}", begun.elapsed());
    let layers = |from: u64| -> Vec<LayerRow> { (from..from + 500).map(super::samples::layer).collect() };
    let nodes = (0..1000).map(|number| Write::PutNode(Box::new(node_row(number, 1)), Expected::None)).collect();
    println!("{name}: 1,000 nodes: {:.0?}", commit(nodes, 0).await);
    let lists = (0..1000_u64).map(|number| Write::PutLayers(node(number.into()), layers(number))).collect();
    println!("{name}: 500 layers of each of them: {:.0?}", commit(lists, 0).await);
    let begun = Instant::now();
    let read = state.every_layer(None, 1000).await.unwrap();
    println!("{name}: {} nodes' layers read: {:.0?}", read.len(), begun.elapsed());
}

fn spread(times: &mut [Duration]) -> String {
    times.sort();
    format!("median {:.1?}, longest {:.1?}", times[times.len() / 2], times[times.len() - 1])
}
