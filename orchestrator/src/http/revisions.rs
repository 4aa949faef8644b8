//! `GET …/{id}/revisions`: what pods were made from.

use std::collections::BTreeMap;

use longshore_fleet::{
    PodId, WorkloadId,
    api::{Page, RevisionView},
};

use super::{Call, Outcome, acting, apply, reply};
use crate::{
    access::Right,
    error::Error,
    orchestrator::Orchestrator,
    state::{PodFilter, Slice},
    view,
};

/// How many pods are read at once to count them.
const BATCH: u32 = 5_000;

pub async fn revisions<B>(orchestrator: &Orchestrator, id: WorkloadId, call: &Call<B>) -> Outcome {
    acting::no_parameters(call)?;
    let found = apply::visible(orchestrator, id, call, Right::View).await?;
    let position = orchestrator.state.position().await?;
    let pods = count_pods(orchestrator, id).await?;
    let rows = orchestrator.state.revisions(id).await?;
    let items = rows.into_iter().map(|row| RevisionView {
        revision: row.number,
        resolved: row.template.image,
        image: row.image,
        created_at: view::timestamp(row.created),
        author: row.author,
        is_current: row.number == found.row.template_revision,
        pods: pods.get(&row.number).copied().unwrap_or_default(),
    });
    Ok(reply::ok(&Page { items: items.collect(), next: None, position }))
}

/// How many pods there are of each revision, those that have ended or are to end aside.
async fn count_pods(orchestrator: &Orchestrator, id: WorkloadId) -> Result<BTreeMap<u64, u32>, Error> {
    let filter = PodFilter { workload: Some(id), ..PodFilter::default() };
    let mut counts: BTreeMap<u64, u32> = BTreeMap::new();
    let mut after: Option<PodId> = None;
    loop {
        let rows = orchestrator.state.pods(&filter, Slice { after, most: BATCH }).await?;
        for row in rows.iter().filter(|row| row.end_within_seconds.is_none() && !row.state.phase.has_ended()) {
            *counts.entry(row.revision).or_default() += 1;
        }
        match rows.last() {
            Some(last) if rows.len() == BATCH as usize => after = Some(last.id),
            _ => return Ok(counts),
        }
    }
}
