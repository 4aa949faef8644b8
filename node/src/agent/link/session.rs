//! One connection: from joining, where that is yet to be done, to the loss of the stream.

use std::{convert::Infallible, sync::Arc, time::Duration};

use longshore_fleet::{Assignment, Instruction, LogsWanted, NodeId, Phase, PodId, PodState, StreamId};
use longshore_service::error_text::with_sources;
use reqwest::Response;
use tokio::{
    sync::oneshot,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::{Link, LinkError, lines::Lines};
use crate::agent::{logs::Desk, roster::Order};

/// After so long without a word a stream is broken: an orchestrator says every five seconds that it is there, and whoever leads after one that
/// stands still must hear of this node before it counts as lost.
const SILENCE: Duration = Duration::from_secs(12);
/// How long the first report may wait until it is known what the runtime has.
const FIRST_LOOK: Duration = Duration::from_secs(3);
/// How soon that is asked again.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// How many who read logs are served on one connection.
const MOST_READERS: usize = 64;

/// A stream of instructions.
struct Stream {
    answer: Response,
    lines: Lines,
}

/// What a stream begins with.
struct Beginning {
    stream: StreamId,
    heartbeat: Duration,
    pods: Vec<PodId>,
}

impl Link {
    /// Hears and tells, until one of both fails.
    pub(super) async fn session(&mut self, url: &str) -> Result<Infallible, LinkError> {
        let mut node = match self.membership.node() {
            Some(node) => node,
            None => self.join(url).await?,
        };
        let answer = match self.caller.instructions(url, node).await {
            Err(error) if error.is_stranger() => {
                tracing::warn!(%node, error = with_sources(&error), "the orchestrator does not know this node; it joins anew");
                node = self.join(url).await?;
                self.caller.instructions(url, node).await?
            }
            answer => answer?,
        };
        let mut stream = Stream { answer, lines: Lines::new(self.most_line_bytes) };
        let first = stream.next().await?;
        let beginning = self.begin(first).await?;
        tracing::info!(url, stream = %beginning.stream, pods = beginning.pods.len(), "the orchestrator says what runs here");
        self.hands.metrics.connected.set(1);
        self.look_at(&beginning.pods).await;
        let reporting = self.report(url, node, beginning.stream, beginning.heartbeat);
        let hearing = self.hear(url, node, &mut stream);
        tokio::select! {
            ended = reporting => ended,
            ended = hearing => ended,
        }
    }

    async fn join(&mut self, url: &str) -> Result<NodeId, LinkError> {
        let node = self.caller.join(url).await?;
        self.membership.set_node(node).await?;
        tracing::info!(%node, url, "the node has joined the fleet");
        Ok(node)
    }

    /// Takes up all that is to be.
    async fn begin(&mut self, first: Instruction) -> Result<Beginning, LinkError> {
        let Instruction::All { stream, term, heartbeat_seconds, pods, .. } = &first else { return Err(LinkError::NoBeginning) };
        let heartbeat = Duration::from_secs(u64::from(*heartbeat_seconds).max(1));
        let beginning = Beginning { stream: *stream, heartbeat, pods: pods.iter().map(id).collect() };
        self.membership.hear(*term).await?;
        let (taken, is_taken) = oneshot::channel();
        let order = Order { instruction: first, taken: Some(taken) };
        self.orders.send(order).await.map_err(|_| LinkError::Ending)?;
        is_taken.await.map_err(|_| LinkError::Ending)?;
        Ok(beginning)
    }

    /// Waits until it is known what the runtime has of these: what a first report does not tell of is not there.
    async fn look_at(&self, pods: &[PodId]) {
        let (board, began) = (&self.hands.board, Instant::now());
        while !board.knows_all(pods) {
            if began.elapsed() > FIRST_LOOK {
                let message = Some("the node can't find out how it is: its container runtime does not answer".to_owned());
                let reason = Some("RuntimeDown".to_owned());
                let unknown = PodState { phase: Phase::Waiting, reason, message, ..PodState::default() };
                for pod in pods {
                    board.set_unknown(*pod, unknown.clone());
                }
                return;
            }
            sleep(LOOK_PAUSE).await;
        }
    }

    /// Hears what is to be.
    async fn hear(&self, url: &str, node: NodeId, stream: &mut Stream) -> Result<Infallible, LinkError> {
        let mut readers: JoinSet<()> = JoinSet::new();
        loop {
            let instruction = tokio::select! {
                instruction = stream.next() => instruction?,
                Some(_) = readers.join_next() => continue,
            };
            match instruction {
                Instruction::Logs(wanted) if readers.len() < MOST_READERS => self.send_logs(url, node, wanted, &mut readers),
                Instruction::Logs(wanted) => tracing::warn!(pod = %wanted.pod, "too many read logs here; one more is not served"),
                instruction => {
                    self.orders.send(Order { instruction, taken: None }).await.map_err(|_| LinkError::Ending)?;
                }
            }
        }
    }

    /// Sends what a pod writes, beside all else.
    fn send_logs(&self, url: &str, node: NodeId, wanted: LogsWanted, readers: &mut JoinSet<()>) {
        let (caller, desk, url): (_, Arc<Desk>, _) = (self.caller.clone(), self.desk.clone(), url.to_owned());
        readers.spawn(async move {
            let sent = match desk.read(&wanted).await {
                Ok(parts) => caller.logs(&url, node, wanted.request, parts).await,
                Err(refused) => caller.refuse_logs(&url, node, wanted.request, &refused).await,
            };
            if let Err(error) = sent {
                // Most often who asked has heard enough.
                tracing::debug!(pod = %wanted.pod, error = with_sources(&error), "logs are not taken any more");
            }
        });
    }
}

fn id(assignment: &Assignment) -> PodId {
    assignment.id
}

impl Stream {
    /// The next instruction. What nobody here knows yet is passed over.
    async fn next(&mut self) -> Result<Instruction, LinkError> {
        loop {
            while let Some(line) = self.lines.next()? {
                if line.is_empty() {
                    continue;
                }
                match serde_json::from_slice(&line) {
                    Ok(instruction) => return Ok(instruction),
                    Err(error) if is_known(&line) => return Err(LinkError::Unreadable(error)),
                    Err(_) => {
                        tracing::warn!("the orchestrator says something that this version does not know; it is passed over");
                    }
                }
            }
            let part = timeout(SILENCE, self.answer.chunk()).await.map_err(|_| LinkError::Silent(SILENCE))?;
            let failed =
                |source: reqwest::Error| LinkError::Unreachable { what: "hearing", source: Box::new(source.without_url()) };
            self.lines.add(&part.map_err(failed)?.ok_or(LinkError::Ended)?);
        }
    }
}

/// Whether an instruction is of a kind that is known.
fn is_known(line: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Kind {
        #[serde(rename = "type")]
        kind: String,
    }
    let known = ["all", "put", "forget", "keep", "fetch", "stopFetch", "logs"];
    serde_json::from_slice(line).map_or(true, |Kind { kind }| known.contains(&kind.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_passed_over_and_what_is_wrong_is_not() {
        for (line, known) in
            [(r#"{"type":"put"}"#, true), (r#"{"type":"stopFetch","x":1}"#, true), (r#"{"type":"dance"}"#, false), ("{", true)]
        {
            assert_eq!(is_known(line.as_bytes()), known, "{line}");
        }
        // The names are those that are written.
        let keep = serde_json::to_value(Instruction::Keep { images: Vec::new() }).unwrap();
        assert_eq!(keep["type"], "keep");
    }
}
