//! `GET /api/v1/images/{digest}/holders`: which nodes have an image that some workload is made from, or a layer.

use std::{collections::BTreeMap, sync::Arc};

use longshore_fleet::{
    NodeName, WorkloadId,
    api::{Holder, Page},
};
use longshore_oci::Digest;

use super::{Call, Outcome, acting, reply};
use crate::{
    access::Right,
    error::Error,
    orchestrator::Orchestrator,
    schedule::ImageLayers,
    state::{LayerRow, Slice, WorkloadFilter},
};

/// How many workloads are read at once while an image is looked for.
const BATCH: u32 = 500;

pub async fn holders<B>(orchestrator: &Arc<Orchestrator>, digest: Digest, call: &Call<B>) -> Outcome {
    acting::no_parameters(call)?;
    orchestrator.access.require(&call.caller, Right::View, None)?;
    let leader = orchestrator.leader()?;
    let position = orchestrator.state.position().await?;
    let platforms = match image(orchestrator, &digest).await? {
        Some(platforms) => platforms.into_iter().map(rows).collect(),
        None => vec![vec![LayerRow { digest, size_bytes: 0 }]],
    };
    // A node has one platform: of several, it is the one that it has most of.
    let mut best: BTreeMap<NodeName, Holder> = BTreeMap::new();
    for layers in platforms {
        for holder in leader.holders(layers).await.map_err(|_| Error::NoLeader)? {
            let is_more = best.get(&holder.node).is_none_or(|known| part(&holder) > part(known));
            if is_more {
                best.insert(holder.node.clone(), holder);
            }
        }
    }
    Ok(reply::ok(&Page { items: best.into_values().collect::<Vec<_>>(), next: None, position }))
}

/// How much of it is there, in millionths.
fn part(holder: &Holder) -> u128 {
    u128::from(holder.bytes_held) * 1_000_000 / u128::from(holder.bytes_total.max(1))
}

fn rows(image: ImageLayers) -> Vec<LayerRow> {
    image.layers.into_iter().map(|(digest, size_bytes)| LayerRow { digest, size_bytes }).collect()
}

/// What an image of this digest is made of, by the revisions of workloads; `None` where none is made from it.
async fn image(orchestrator: &Orchestrator, digest: &Digest) -> Result<Option<Vec<ImageLayers>>, Error> {
    let mut after: Option<WorkloadId> = None;
    loop {
        let slice = Slice { after, most: BATCH };
        let rows = orchestrator.state.workloads(&WorkloadFilter::default(), slice).await?;
        for row in &rows {
            let revisions = orchestrator.state.revisions(row.id).await?;
            let meant = revisions.into_iter().find(|revision| revision.template.image.digest.as_ref() == Some(digest));
            if let Some(revision) = meant {
                return Ok(Some(revision.layers));
            }
        }
        match rows.last() {
            Some(last) if rows.len() == BATCH as usize => after = Some(last.id),
            _ => return Ok(None),
        }
    }
}
