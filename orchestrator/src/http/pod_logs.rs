//! `GET` of what a pod writes, as its node sends it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;
use longshore_fleet::{LogsId, LogsWanted, PodId};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::{Call, Outcome, pods, reply};
use crate::{access::Right, error::Error, logs::LogReader, orchestrator::Orchestrator};

/// How long a node may take to begin.
const PATIENCE: Duration = Duration::from_secs(10);

pub async fn pod_logs<B>(orchestrator: &Arc<Orchestrator>, id: PodId, call: &Call<B>) -> Outcome {
    let mut parameters = call.parameters(&["follow", "tail", "previous", "timestamps"]);
    let wanted = LogsWanted {
        request: LogsId(Uuid::now_v7()),
        pod: id,
        previous: parameters.flag("previous"),
        follow: parameters.flag("follow"),
        tail: parameters.optional("tail"),
        timestamps: parameters.flag("timestamps"),
    };
    let wanted = parameters.done(wanted)?;
    let row = pods::visible(orchestrator, id, call, Right::View).await?;
    let Some(node) = row.node else {
        return Err(Error::NotFound { what: "log of", name: format!("{}: it is on no node yet", row.name) });
    };
    let leader = orchestrator.leader()?;
    let mut reader = orchestrator.logs.wait(wanted.request, node).ok_or(Error::Overloaded)?;
    if !leader.logs(wanted).await.map_err(|_| Error::NoLeader)? {
        return Err(Error::NodeAway(format!(
            "the node of {} is not connected, so that what it wrote can't be read now",
            row.name
        )));
    }
    // The first piece is empty, and says that the node has begun.
    if !matches!(timeout(PATIENCE, reader.next()).await, Ok(Some(_))) {
        return Err(Error::NodeAway(format!("the node of {} did not send what it wrote within {PATIENCE:?}", row.name)));
    }
    let ends_in = call.caller.ends_at().map(|ends_at| ends_at.saturating_sub(Timestamp::now().as_second()));
    let ends_at = ends_in.map(|seconds| Instant::now() + Duration::from_secs(u64::try_from(seconds).unwrap_or_default()));
    let state = (reader, orchestrator.clone(), ends_at);
    Ok(reply::stream("text/plain; charset=utf-8", futures_util::stream::unfold(state, step)))
}

type Reading = (LogReader, Arc<Orchestrator>, Option<Instant>);

async fn step((mut reader, orchestrator, ends_at): Reading) -> Option<(Result<Bytes, Infallible>, Reading)> {
    let ended = async {
        match ends_at {
            Some(ends_at) => tokio::time::sleep_until(ends_at).await,
            None => std::future::pending().await,
        }
    };
    let piece = tokio::select! {
        piece = reader.next() => piece?,
        () = orchestrator.draining.cancelled() => return None,
        () = ended => return None,
    };
    Some((Ok(piece), (reader, orchestrator, ends_at)))
}
