//! `GET …/{id}/revisions`: what pods were made from, the newest first.

use longshore_fleet::{WorkloadId, api::RevisionView};

use super::{Call, Outcome, apply, page, reply};
use crate::{access::Right, orchestrator::Orchestrator, state::Slice, view};

pub async fn revisions<B>(orchestrator: &Orchestrator, id: WorkloadId, call: &Call<B>) -> Outcome {
    let mut parameters = call.parameters(&["limit", "after"]);
    let slice: Slice<u64> = page::slice(&mut parameters, orchestrator.limits.max_page);
    let slice = parameters.done(slice)?;
    let found = apply::visible(orchestrator, id, call, Right::View).await?;
    let position = orchestrator.state.position().await?;
    let pods = orchestrator.state.count_pods(id).await?;
    let rows = orchestrator.state.revisions_below(id, slice.after, slice.most).await?;
    let views = rows.into_iter().map(|row| RevisionView {
        revision: row.number,
        resolved: row.template.image,
        image: row.image,
        created_at: view::timestamp(row.created),
        author: row.author,
        is_current: row.number == found.row.template_revision,
        pods: pods.get(&row.number).copied().unwrap_or_default(),
    });
    Ok(reply::ok(&page::page(views.collect(), &slice, |view: &RevisionView| view.revision.to_string(), position)))
}
