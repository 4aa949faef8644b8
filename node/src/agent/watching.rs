//! Asks the runtime again and again what it has and how it is, and puts away logs that are too long.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use longshore_fleet::AgentFacts;
use longshore_service::error_text::with_sources;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    cri::{Cri, CriError, wire::RuntimeCondition},
    hands::Hands,
    logs::{self, Limits},
    roster::Listed,
    worker,
};

/// How often it is asked how it is, and how much room there is.
const HEALTH: Duration = Duration::from_secs(5);

/// Watches a runtime.
pub struct Watching {
    /// What it is asked by.
    pub hands: Arc<Hands>,
    /// What the node is, whatever the runtime says.
    pub facts: AgentFacts,
    /// How often it is asked what it has.
    pub interval: Duration,
    /// How much is kept of a container's log.
    pub limits: Limits,
    /// Whether it has to be able to make networks for pods.
    pub needs_network: bool,
    /// What it lists.
    pub listed: watch::Sender<Listed>,
}

impl Watching {
    /// Watches until it is stopped.
    pub async fn run(mut self, stopping: CancellationToken) {
        let mut due = Instant::now();
        loop {
            let round = self.round(&mut due);
            if stopping.run_until_cancelled(round).await.is_none() {
                return;
            }
            if stopping.run_until_cancelled(tokio::time::sleep(self.interval)).await.is_none() {
                return;
            }
        }
    }

    async fn round(&mut self, due: &mut Instant) {
        match worker::glimpses(&self.hands.cri, &self.hands.agent).await {
            Ok(listed) => drop(self.listed.send_replace(listed)),
            Err(error) => {
                self.away(&error);
                // It is asked how it is as soon as it is back.
                *due = Instant::now();
                return;
            }
        }
        if Instant::now() >= *due {
            *due = Instant::now() + HEALTH;
            self.ask_how_it_is().await;
            self.measure().await;
            self.rotate().await;
        }
    }

    fn away(&mut self, error: &CriError) {
        let reason = with_sources(error);
        if self.facts.not_ready.as_ref() != Some(&reason) {
            tracing::warn!(reason, "the container runtime can't be asked; what runs runs on");
        }
        self.tell(Some(reason));
    }

    async fn ask_how_it_is(&mut self) {
        let asked = async { tokio::try_join!(self.hands.cri.version(), self.hands.cri.conditions()) };
        match asked.await {
            Ok((version, conditions)) => {
                self.facts.runtime = format!("{} {}", version.runtime_name, version.runtime_version);
                let not_ready = why_not_ready(&conditions, self.needs_network);
                if self.facts.not_ready.is_some() && not_ready.is_none() {
                    tracing::info!(runtime = self.facts.runtime, "the container runtime is ready");
                }
                self.tell(not_ready);
            }
            Err(error) => self.away(&error),
        }
    }

    fn tell(&mut self, not_ready: Option<String>) {
        self.hands.metrics.runtime_ready.set(i64::from(not_ready.is_none()));
        self.facts.not_ready = not_ready;
        self.hands.board.set_facts(self.facts.clone());
    }

    /// Tells how much room there is for images.
    async fn measure(&self) {
        let folders = self.hands.cri.image_folders().await.unwrap_or_default();
        let folder = folders.into_iter().next().map_or_else(|| self.hands.logs.clone(), PathBuf::from);
        let free = tokio::task::spawn_blocking(move || {
            // A runtime may name one that it has yet to make.
            let there = folder.ancestors().find(|folder| folder.exists())?;
            let found = rustix::fs::statvfs(there).ok()?;
            Some(found.f_bavail.saturating_mul(found.f_frsize))
        });
        if let Ok(Some(disk_free_bytes)) = free.await {
            self.hands.board.set_room(disk_free_bytes);
        }
    }

    /// Puts away logs that are too long.
    async fn rotate(&self) {
        let Ok(running) = worker::running(&self.hands.cri, &self.hands.agent).await else { return };
        for (pod, container, attempt) in running {
            logs::rotate(&self.hands.cri, self.hands.logs_of(pod), &container, attempt, self.limits).await;
        }
    }
}

/// Whether the container runtime at a socket can give pods networks of their own; why it can't be asked, in words, where it can't.
pub async fn has_pod_network(socket: &Path) -> Result<bool, String> {
    let cri = Cri::new(socket.to_owned());
    let conditions = cri.conditions().await.map_err(|error| with_sources(&error))?;
    Ok(conditions.iter().any(|condition| condition.kind == "NetworkReady" && condition.status))
}

/// Why nothing can be started, by what a runtime says of itself.
fn why_not_ready(conditions: &[RuntimeCondition], needs_network: bool) -> Option<String> {
    let counts = |one: &&RuntimeCondition| one.kind == "RuntimeReady" || one.kind == "NetworkReady" && needs_network;
    let bad = conditions.iter().filter(counts).find(|one| !one.status)?;
    Some(format!("the container runtime says that it is not ready: {} {}", bad.reason, bad.message).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_is_ready_when_it_says_so() {
        let condition =
            |kind: &str, status| RuntimeCondition { kind: kind.into(), status, reason: "R".into(), message: "m".into() };
        let conditions = |runtime, network| [condition("RuntimeReady", runtime), condition("NetworkReady", network)];
        assert_eq!(why_not_ready(&conditions(true, true), true), None);
        assert_eq!(why_not_ready(&conditions(true, false), false), None);
        for told in [conditions(false, true), conditions(true, false)] {
            assert_eq!(why_not_ready(&told, true).unwrap(), "the container runtime says that it is not ready: R m");
        }
    }
}
