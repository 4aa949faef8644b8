//! `GET` of what a pod writes, as its node sends it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;
use longshore_fleet::{LogsId, LogsRefusal, LogsRefused, LogsWanted, PodId};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::{Call, Outcome, pods, reply};
use crate::{
    access::Right,
    error::Error,
    logs::{LogReader, Piece},
    orchestrator::Orchestrator,
};

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
    match timeout(PATIENCE, reader.next()).await {
        Ok(Some(Piece::Refused(refused))) => return Err(refusal(refused, &row.name)),
        Ok(Some(_)) => {}
        Ok(None) | Err(_) => {
            let text = format!("the node of {} did not send what it wrote within {PATIENCE:?}", row.name);
            return Err(Error::NodeAway(text));
        }
    }
    let ends_in = call.caller.ends_at().map(|ends_at| ends_at.saturating_sub(Timestamp::now().as_second()));
    let ends_at = ends_in.map(|seconds| Instant::now() + Duration::from_secs(u64::try_from(seconds).unwrap_or_default()));
    let reading = Reading { reader, orchestrator: orchestrator.clone(), ends_at };
    Ok(reply::stream("text/plain; charset=utf-8", futures_util::stream::unfold(reading, Reading::step)))
}

/// What a node's refusal comes to.
fn refusal(LogsRefused { reason, message }: LogsRefused, pod: &str) -> Error {
    match reason {
        LogsRefusal::NotThere => Error::NotFound { what: "log of", name: format!("{pod}: {message}") },
        LogsRefusal::Busy => Error::NotNow(message),
        LogsRefusal::Unreadable => Error::NodeAway(format!("the log of {pod} can't be read: {message}")),
    }
}

struct Reading {
    reader: LogReader,
    orchestrator: Arc<Orchestrator>,
    ends_at: Option<Instant>,
}

/// Why what a pod writes is sent no further, though it may go on. An answer can't say so once it has begun; so it is broken off, which
/// nobody takes for its end.
#[derive(Debug, thiserror::Error)]
enum BrokenOff {
    #[error("this replica stops")]
    Draining,
    #[error("the token of whoever reads has ended")]
    Expired,
    #[error("the node sends no more")]
    NodeGone,
}

impl Reading {
    async fn step(mut self) -> Option<(Result<Bytes, BrokenOff>, Self)> {
        let ends_at = self.ends_at;
        let ended = async {
            match ends_at {
                Some(ends_at) => tokio::time::sleep_until(ends_at).await,
                None => std::future::pending().await,
            }
        };
        let piece = tokio::select! {
            piece = self.reader.next() => match piece {
                Some(Piece::Bytes(bytes)) => Ok(bytes),
                Some(Piece::Begin) => Ok(Bytes::new()),
                Some(Piece::End | Piece::Refused(_)) => return None,
                None => Err(BrokenOff::NodeGone),
            },
            () = self.orchestrator.draining.cancelled() => Err(BrokenOff::Draining),
            () = ended => Err(BrokenOff::Expired),
        };
        Some((piece, self))
    }
}
