//! `GET /agent/v1/instructions`: what a node is to do, a line of JSON each, for as long as it listens.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use longshore_fleet::{Instruction, NodeId, StreamId};
use tokio::sync::mpsc;

use super::{Call, Outcome, acting, reply};
use crate::{error::Error, lead::Leader, orchestrator::Orchestrator};

/// After how long a silence an empty line is sent.
const BEAT: Duration = Duration::from_secs(5);
/// How many bytes of instructions go out at once, as far as they are there.
const CHUNK: usize = 64 << 10;

pub async fn instructions<B>(orchestrator: &Arc<Orchestrator>, call: &Call<B>) -> Outcome {
    acting::no_parameters(call)?;
    let node = orchestrator.nodes.identify(&orchestrator.state, &call.parts.headers).await?;
    let leader = orchestrator.leader()?;
    let opened = leader.open(node).await.map_err(|_| Error::NotLeader(None))?;
    let Some(opened) = opened else {
        orchestrator.nodes.forget(node);
        return Err(Error::not_found("node", node));
    };
    orchestrator.agents.inc();
    let listening =
        Listening { orchestrator: orchestrator.clone(), leader, node, stream: opened.stream, instructions: opened.instructions };
    Ok(reply::stream("application/x-ndjson", futures_util::stream::unfold(listening, Listening::step)))
}

/// A node that listens, until this is dropped.
struct Listening {
    orchestrator: Arc<Orchestrator>,
    leader: Leader,
    node: NodeId,
    stream: StreamId,
    instructions: mpsc::Receiver<Instruction>,
}

impl Listening {
    async fn step(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        let draining = self.orchestrator.draining.clone();
        let first = tokio::select! {
            biased;
            () = draining.cancelled() => return None,
            first = tokio::time::timeout(BEAT, self.instructions.recv()) => first,
        };
        let mut lines = Vec::new();
        match first {
            Ok(first) => write(&mut lines, &first?),
            Err(_) => lines.push(b'\n'),
        }
        while lines.len() < CHUNK
            && let Ok(next) = self.instructions.try_recv()
        {
            write(&mut lines, &next);
        }
        Some((Ok(lines.into()), self))
    }
}

fn write(lines: &mut Vec<u8>, instruction: &Instruction) {
    let written = serde_json::to_writer(&mut *lines, instruction);
    written.unwrap_or_else(|_| unreachable!("an instruction is always JSON, and memory takes all"));
    lines.push(b'\n');
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.orchestrator.agents.dec();
        let (leader, node, stream) = (self.leader.clone(), self.node, self.stream);
        tokio::spawn(async move { leader.closed(node, stream).await });
    }
}
