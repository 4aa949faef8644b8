//! Reading everything at the beginning of a term.

use super::{State, TermEnd};
use crate::{
    control::Controller,
    state::{PodFilter, Slice, WorkloadFilter},
};

/// How many rows are read at once.
const PART: u32 = 5_000;

/// Reads in parts until there is no more.
macro_rules! in_parts {
    ($controller:ident, |$after:ident| $read:expr, |$row:ident| $key:expr, $put:expr) => {{
        let mut $after = None;
        loop {
            let rows = $read.await?;
            let is_last = rows.len() < PART as usize;
            for $row in rows {
                $after = Some($key);
                $put;
            }
            if is_last {
                break;
            }
            // Others have their turn, the lease's renewal among them.
            tokio::task::yield_now().await;
        }
    }};
}

/// Takes in all that the database has; the position of the events up to which that is certain.
pub(crate) async fn load(state: &State, controller: &mut Controller) -> Result<u64, TermEnd> {
    let position = state.position().await?;
    in_parts!(
        controller,
        |after| state.namespaces(Slice { after: after.clone(), most: PART }),
        |row| row.spec.name.clone(),
        controller.put_namespace(row)
    );
    in_parts!(
        controller,
        |after| state.nodes(Slice { after: after.clone(), most: PART }),
        |row| row.name.clone(),
        controller.put_node(row)
    );
    in_parts!(controller, |after| state.every_layer(after, PART / 10), |row| row.0, controller.put_layers(row.0, &row.1));
    load_workloads(state, controller).await?;
    in_parts!(
        controller,
        |after| state.pods(&PodFilter::default(), Slice { after, most: PART }),
        |row| row.id,
        controller.put_pod(row)
    );
    in_parts!(
        controller,
        |after| state.operations(true, Slice { after, most: PART }),
        |row| row.id,
        controller.put_operation(row)
    );
    Ok(position)
}

async fn load_workloads(state: &State, controller: &mut Controller) -> Result<(), TermEnd> {
    let mut after = None;
    loop {
        let rows = state.workloads(&WorkloadFilter::default(), Slice { after, most: PART }).await?;
        let is_last = rows.len() < PART as usize;
        for row in rows {
            after = Some(row.id);
            let revisions = state.revisions(row.id).await?;
            let rollouts = state.rollouts(row.id, 1).await?;
            controller.put_workload(row, revisions)?;
            for rollout in rollouts {
                controller.put_rollout(rollout);
            }
        }
        if is_last {
            return Ok(());
        }
    }
}

/// What callers have changed of one thing, as it is now.
pub(crate) async fn reload(
    state: &State,
    controller: &mut Controller,
    changed: &super::following::Changed,
) -> Result<(), TermEnd> {
    use super::following::Changed;
    match changed {
        Changed::Workload(id) => {
            // Where there is none any more it has gone by this leader's own doing: nobody else removes one.
            if let Some(row) = state.workload(*id).await? {
                let revisions = state.revisions(*id).await?;
                controller.put_workload(row, revisions)?;
            }
        }
        Changed::Node(id) => match state.node(*id).await? {
            Some(row) => controller.put_node(row),
            None => controller.remove_node(*id),
        },
        Changed::Namespace(name) => match state.namespace(name).await? {
            Some(row) => controller.put_namespace(row),
            None => controller.remove_namespace(name),
        },
        Changed::Operation(id) => {
            if let Some(row) = state.operation(*id).await? {
                controller.put_operation(row);
            }
        }
    }
    Ok(())
}
