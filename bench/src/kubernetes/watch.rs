//! Who is bound to which node, as the API server tells it.

use std::{collections::HashSet, time::Instant};

use serde::Deserialize;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{client::Api, objects::PODS};
use crate::error::BenchError;

/// How many are told before somebody has asked.
const MOST_TOLD: usize = 1_024;
/// An event that is longer is none.
const MOST_LINE_BYTES: usize = 1 << 20;
/// Longer than most runs.
const LASTS_S: u32 = 3_600;
/// How often a watch is begun anew: servers end those that they think too slow, or that are as old as they let them be.
const MOST_BEGUN: usize = 1_000;

/// A pod was bound.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) pod: String,
    pub(super) node: String,
    /// When that was heard of.
    pub(super) at: Instant,
}

/// Hears of pods that are bound. Ends when it is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    told: mpsc::Receiver<Result<Bound, BenchError>>,
    task: JoinHandle<()>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    node_name: String,
}

impl Watch {
    /// Begins to listen; every pod that is bound is told of once.
    pub(super) fn new(api: Api) -> Self {
        let (tell, told) = mpsc::channel(MOST_TOLD);
        let task = tokio::spawn(async move {
            if let Err(error) = listen(&api, &tell).await {
                // Nobody listens any more where this fails.
                let _ = tell.send(Err(error)).await;
            }
        });
        Self { told, task }
    }

    /// The next pod that was bound.
    pub(super) async fn next(&mut self) -> Result<Bound, BenchError> {
        self.told.recv().await.unwrap_or(Err(BenchError::Malformed("the watch of pods has ended")))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(api: &Api, tell: &mpsc::Sender<Result<Bound, BenchError>>) -> Result<(), BenchError> {
    let mut known = HashSet::new();
    for _ in 0..MOST_BEGUN {
        listen_once(api, tell, &mut known).await?;
    }
    Err(BenchError::Malformed("the watch of pods ends again and again"))
}

/// Listens until the server ends it.
async fn listen_once(
    api: &Api,
    tell: &mpsc::Sender<Result<Bound, BenchError>>,
    known: &mut HashSet<String>,
) -> Result<(), BenchError> {
    // Only pods that have a node, each an addition when it gets one.
    let path = format!("{PODS}?watch=1&resourceVersion=0&fieldSelector=spec.nodeName%21%3D&timeoutSeconds={LASTS_S}");
    let mut answer = api.open(&path).await?;
    let mut line = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(BenchError::http("watch pods"))? {
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(part);
            if line.len() > MOST_LINE_BYTES {
                return Err(BenchError::Malformed("an event of the watch of pods is longer than 1 MiB"));
            }
            if part.ends_with(b"\n") {
                let event: Event =
                    serde_json::from_slice(&line).map_err(|_| BenchError::Malformed("an event of the watch of pods"))?;
                line.clear();
                let at = Instant::now();
                match event.kind.as_str() {
                    "ADDED" if known.insert(event.object.metadata.name.clone()) => {
                        let bound = Bound { pod: event.object.metadata.name, node: event.object.spec.node_name, at };
                        tell.send(Ok(bound)).await.map_err(|_| BenchError::Malformed("nobody listens to the watch of pods"))?;
                    }
                    "ERROR" => return Ok(()),
                    _ => {}
                }
            }
        }
    }
    Ok(())
}
