use std::io::{self, Write as _, stdout};

use bytes::{Bytes, BytesMut};
use clap::Args;
use longshore_client::{FleetClient, LogsWish, PodFilter};
use longshore_fleet::{
    Name, Phase, PodId, WorkloadId,
    api::{DeploymentView, JobView, PodView},
};
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    connection::{FleetConnection, NamespaceArguments, told},
    find,
    kind::{Kind, Target},
};
use crate::failure::{Failure, tell};

/// How many pods are read at once.
const MOST_PODS: usize = 50;
/// How many lines of several pods wait to be written.
const MOST_WAITING: usize = 256;
/// The longest line that is kept together, in bytes; what is longer is cut.
const MOST_LINE_BYTES: usize = 256 << 10;

/// `longshore logs`.
#[derive(Args)]
pub struct LogsArguments {
    /// Whose: a pod, `deployment/NAME` or `job/NAME`; the lines of several pods begin with the pod's name
    #[arg(required = true, num_args = 1..=2, value_name = "POD")]
    what: Vec<String>,
    /// Go on with what is yet to be written, until somebody interrupts
    #[arg(short, long)]
    follow: bool,
    /// The last so many lines; without it, all that are kept
    #[arg(long, value_name = "LINES")]
    tail: Option<u32>,
    /// Of the container before the one that runs
    #[arg(long)]
    previous: bool,
    /// Begin each line with when it was written
    #[arg(long)]
    timestamps: bool,
    #[command(flatten)]
    place: NamespaceArguments,
    #[command(flatten)]
    connection: FleetConnection,
}

/// A line of a pod, or why there are no more.
enum Heard {
    Line(usize, Bytes),
    Failed(String, Failure),
}

impl LogsArguments {
    pub async fn run(self) -> Result<(), Failure> {
        let wish = LogsWish { follow: self.follow, tail: self.tail, previous: self.previous, timestamps: self.timestamps };
        let client = self.connection.client()?;
        let pods = pods(&client, &self.place.namespace, &self.what).await?;
        match pods.as_slice() {
            [pod] => one(&client, pod.pod_id, wish).await,
            several => many(&client, several, wish).await,
        }
    }
}

/// Whose output is meant.
async fn pods(client: &FleetClient, namespace: &Name, words: &[String]) -> Result<Vec<PodView>, Failure> {
    let target = match words {
        // A word by itself is a pod's name.
        [name] if !name.contains('/') => Target { kind: Kind::Pod, name: name.clone() },
        words => {
            let (_, mut targets) = Target::read(words).map_err(Failure::Usage)?;
            match targets.pop() {
                Some(target) if targets.is_empty() => target,
                _ => return Err(Failure::Usage("whose? POD, pod NAME, or deployment/NAME".to_owned())),
            }
        }
    };
    let name = target.name.as_str();
    match target.kind {
        Kind::Pod => Ok(vec![find::pod(client, namespace, name).await?]),
        Kind::Deployment => {
            let view: DeploymentView = find::workload(client, namespace, name).await?;
            pods_of(client, namespace, view.deployment_id.into(), name).await
        }
        Kind::Job => {
            let view: JobView = find::workload(client, namespace, name).await?;
            pods_of(client, namespace, view.job_id.into(), name).await
        }
        other => Err(find::unfit("logs", other, "pods, deployments and jobs")),
    }
}

async fn pods_of(client: &FleetClient, namespace: &Name, workload: WorkloadId, name: &str) -> Result<Vec<PodView>, Failure> {
    let filter = PodFilter { namespace: Some(namespace.clone()), workload: Some(workload), ..PodFilter::default() };
    let page = client.pods(&filter).next_page().await.map_err(|error| told(&error))?;
    let mut pods = page.map(|page| page.items).unwrap_or_default();
    // What never ran has written nothing.
    pods.retain(|pod| pod.node.is_some() && pod.state.phase != Phase::Pending);
    if pods.is_empty() {
        return Err(Failure::NotFound(format!("no pod of {name} has run yet; `longshore get pods` shows how they are")));
    }
    if pods.len() > MOST_PODS {
        return Err(Failure::Usage(format!("{name} has more than {MOST_PODS} pods; name one of them")));
    }
    Ok(pods)
}

/// What one pod writes, byte by byte.
async fn one(client: &FleetClient, id: PodId, wish: LogsWish) -> Result<(), Failure> {
    let mut logs = client.logs(id, wish).await.map_err(|error| told(&error))?;
    while let Some(bytes) = logs.next().await.map_err(|error| told(&error))? {
        let mut out = stdout().lock();
        out.write_all(&bytes)?;
        out.flush()?;
    }
    Ok(())
}

/// What several pods write, line by line.
async fn many(client: &FleetClient, pods: &[PodView], wish: LogsWish) -> Result<(), Failure> {
    let width = pods.iter().map(|pod| pod.name.chars().count()).max().unwrap_or_default();
    let (sender, mut heard) = mpsc::channel(MOST_WAITING);
    // Whoever leaves takes the readers along.
    let mut readers = JoinSet::new();
    for (index, pod) in pods.iter().enumerate() {
        let (client, sender, id, name) = (client.clone(), sender.clone(), pod.pod_id, pod.name.clone());
        readers.spawn(async move {
            if let Err(failure) = read_lines(&client, index, id, wish, &sender).await {
                // Nobody listens any more, and there is nobody to tell.
                let _ = sender.send(Heard::Failed(name, failure)).await;
            }
        });
    }
    drop(sender);
    let mut failures = Vec::new();
    while let Some(next) = heard.recv().await {
        match next {
            Heard::Line(index, line) => write_line(&pods[index].name, width, &line)?,
            Heard::Failed(name, failure) => {
                tell(&format_args!("{name}: {failure}"));
                failures.push(failure);
            }
        }
    }
    match failures.len() {
        0 => Ok(()),
        count => Err(Failure::Failed(format!("{count} of {} pods could not be read to the end", pods.len()))),
    }
}

fn write_line(name: &str, width: usize, line: &[u8]) -> io::Result<()> {
    let mut out = stdout().lock();
    write!(out, "{name:width$} | ")?;
    out.write_all(line)?;
    out.write_all(b"\n")
}

async fn read_lines(
    client: &FleetClient,
    index: usize,
    id: PodId,
    wish: LogsWish,
    sender: &mpsc::Sender<Heard>,
) -> Result<(), Failure> {
    let mut logs = client.logs(id, wish).await.map_err(|error| told(&error))?;
    let mut lines = Lines::default();
    while let Some(bytes) = logs.next().await.map_err(|error| told(&error))? {
        lines.rest.extend_from_slice(&bytes);
        while let Some(line) = lines.next() {
            if sender.send(Heard::Line(index, line)).await.is_err() {
                return Ok(());
            }
        }
    }
    if !lines.rest.is_empty() {
        let _ = sender.send(Heard::Line(index, lines.rest.freeze())).await;
    }
    Ok(())
}

/// Bytes, cut into lines.
#[derive(Default)]
struct Lines {
    rest: BytesMut,
}

impl Lines {
    /// The next line without its end; of one that does not end, as much as is kept together.
    fn next(&mut self) -> Option<Bytes> {
        if let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
            let line = self.rest.split_to(end).freeze();
            let _ = self.rest.split_to(1);
            return Some(line);
        }
        (self.rest.len() >= MOST_LINE_BYTES).then(|| self.rest.split().freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_kept_together_up_to_a_bound() {
        let mut lines = Lines::default();
        lines.rest.extend_from_slice(b"one\n\ntw");
        assert_eq!((lines.next().as_deref(), lines.next().as_deref(), lines.next()), (Some(&b"one"[..]), Some(&b""[..]), None));
        lines.rest.extend_from_slice(b"o\n");
        assert_eq!(lines.next().as_deref(), Some(&b"two"[..]));
        lines.rest.extend_from_slice(&vec![b'x'; MOST_LINE_BYTES]);
        assert_eq!(lines.next().map(|line| line.len()), Some(MOST_LINE_BYTES));
    }
}
