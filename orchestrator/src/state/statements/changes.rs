//! Changes: a leader's, and callers'.

use super::super::super::{
    Act, Acted, Batch, StateError, Write,
    sorting::{Step, sort},
};
use super::{
    Connection, Result, answers, audit, events, join_tokens, layers, lead, namespaces, nodes, operations, pods, revisions,
    rollouts, workloads,
};

/// Makes a leader's changes; the position of the last event, unless they were made before.
pub async fn commit(connection: &mut Connection, term: u64, batch: &Batch) -> Result<Option<u64>> {
    lead::prove(connection, term).await?;
    if !lead::note(connection, term, batch.number).await? {
        return Ok(None);
    }
    apply(connection, &batch.writes, batch.now).await?;
    events::add(connection, &batch.events, batch.now).await.map(Some)
}

/// Makes a caller's change, unless it was made before. Of two that are the same, the second waits here for the first.
pub async fn act(connection: &mut Connection, act: &Act) -> Result<Acted> {
    if let Some(operation) = &act.operation
        && !answers::add(connection, operation, &act.answer, act.now).await?
    {
        let before = answers::find(connection, operation).await?;
        // It was there a moment ago, and has been swept since: it is too old to be a retry's, and whoever asks again does it.
        return before.map(Acted::Before).ok_or(StateError::Unavailable(sqlx::Error::RowNotFound));
    }
    apply(connection, &act.writes, act.now).await?;
    audit::add(connection, std::slice::from_ref(&act.audit)).await?;
    Ok(Acted::Done(events::add(connection, &act.events, act.now).await?))
}

async fn apply(connection: &mut Connection, writes: &[Write], now: i64) -> Result<()> {
    for step in sort(writes) {
        match step {
            Step::PutPods(rows) => pods::put(connection, &rows).await?,
            Step::RemovePods(ids) => pods::remove(connection, &ids).await?,
            Step::PutStatuses(statuses) => workloads::put_statuses(connection, &statuses).await?,
            Step::PutRollouts(rows) => rollouts::put(connection, &rows).await?,
            Step::RemoveWorkloads(ids) => workloads::remove(connection, &ids).await?,
            Step::PutFacts(facts) => nodes::put_facts(connection, &facts).await?,
            Step::PutLayers(layers) => layers::put(connection, &layers).await?,
            Step::Charge(charges) => {
                for (name, charge) in charges {
                    namespaces::charge(connection, name, charge).await?;
                }
            }
            Step::One(write) => apply_one(connection, write, now).await?,
        }
    }
    Ok(())
}

async fn apply_one(connection: &mut Connection, write: &Write, now: i64) -> Result<()> {
    match write {
        Write::PutNamespace(row, expected) => namespaces::put(connection, row, *expected).await,
        Write::RemoveNamespace(name, expected) => namespaces::remove(connection, name, *expected).await,
        Write::PutWorkload(row, expected) => workloads::put(connection, row, *expected).await,
        Write::PutRevision(row) => revisions::put(connection, row).await,
        Write::RemoveRevision(workload, number) => revisions::remove(connection, *workload, *number).await,
        Write::PutRefusal(workload, number, why) => revisions::refuse(connection, *workload, *number, why.as_deref()).await,
        Write::PutNode(row, expected) => nodes::put(connection, row, *expected).await,
        Write::RemoveNode(id) => nodes::remove(connection, *id).await,
        Write::PutOperation(row) => operations::put(connection, row).await,
        Write::CancelOperation(row) => operations::cancel(connection, row).await,
        Write::PutJoinToken(row) => join_tokens::put(connection, row).await,
        Write::UseJoinToken { hash } => join_tokens::take(connection, hash, now).await,
        Write::RemoveJoinToken { hash } => join_tokens::remove(connection, hash).await,
        Write::Charge(..)
        | Write::RemoveWorkload(_)
        | Write::PutStatus(..)
        | Write::PutRollout(_)
        | Write::PutPod(_)
        | Write::RemovePod(_)
        | Write::PutFacts(..)
        | Write::PutLayers(..) => unreachable!("what is put together was sorted into its own steps"),
    }
}
