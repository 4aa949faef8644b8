//! What a runtime has of an agent's pods.

use std::collections::HashMap;

use jiff::Timestamp;
use longshore_fleet::PodId;

use crate::agent::{
    cri::{
        Cri, CriError,
        wire::{self, ContainerState, PodSandbox, PodSandboxState},
    },
    make,
    pod::{Container, Exit, Glimpse, Sandbox, Seen, Status},
};

/// What a runtime has of one pod.
pub async fn look(cri: &Cri, agent: &str, pod: PodId) -> Result<Seen, CriError> {
    let labels = make::of_pod(agent, pod);
    let (mut sandboxes, mut containers) = tokio::try_join!(cri.sandboxes(labels.clone()), cri.containers(labels))?;
    let mut glimpse = Glimpse {
        sandboxes: sandboxes.iter().map(|one| (one.id.clone(), one.state)).collect(),
        containers: containers.iter().map(|one| (one.id.clone(), one.state)).collect(),
    };
    glimpse.sort();
    sandboxes.sort_by_key(|one| (attempt_of(one), one.created_at));
    containers.sort_by_key(number_of);
    let (newest_sandbox, newest) = (sandboxes.pop(), containers.pop());
    // One that ended is kept beside one that has not.
    if newest.as_ref().is_some_and(|one| one.state() != ContainerState::Exited) {
        let ended = containers.iter().rposition(|one| one.state() == ContainerState::Exited);
        ended.map(|position| containers.remove(position));
    }
    let sandbox = match newest_sandbox {
        Some(sandbox) => sandbox_of(cri, sandbox).await?,
        None => None,
    };
    let container = match newest {
        Some(container) => container_of(cri, container).await?,
        None => None,
    };
    Ok(Seen {
        sandbox,
        container,
        surplus_sandboxes: sandboxes.into_iter().map(|one| (one.id.clone(), is_ready(&one))).collect(),
        surplus_containers: containers.into_iter().map(|one| one.id).collect(),
        glimpse,
    })
}

/// What a runtime lists of all pods of an agent.
pub async fn glimpses(cri: &Cri, agent: &str) -> Result<HashMap<PodId, Glimpse>, CriError> {
    let labels = make::of_agent(agent);
    let (sandboxes, containers) = tokio::try_join!(cri.sandboxes(labels.clone()), cri.containers(labels))?;
    let mut all: HashMap<PodId, Glimpse> = HashMap::new();
    for one in sandboxes {
        if let Some(pod) = make::pod_of(&one.labels) {
            all.entry(pod).or_default().sandboxes.push((one.id, one.state));
        }
    }
    for one in containers {
        if let Some(pod) = make::pod_of(&one.labels) {
            all.entry(pod).or_default().containers.push((one.id, one.state));
        }
    }
    all.values_mut().for_each(Glimpse::sort);
    Ok(all)
}

/// The containers of an agent that run: of which pod, and how many that had before.
pub async fn running(cri: &Cri, agent: &str) -> Result<Vec<(PodId, String, u32)>, CriError> {
    let all = cri.containers(make::of_agent(agent)).await?;
    let running = all.into_iter().filter(|one| one.state() == ContainerState::Running);
    Ok(running.filter_map(|one| Some((make::pod_of(&one.labels)?, one.id.clone(), number_of(&one)))).collect())
}

fn is_ready(sandbox: &PodSandbox) -> bool {
    sandbox.state() == PodSandboxState::Ready
}

fn attempt_of(sandbox: &PodSandbox) -> u32 {
    sandbox.metadata.as_ref().map_or(0, |metadata| metadata.attempt)
}

fn number_of(container: &wire::Container) -> u32 {
    container.metadata.as_ref().map_or(0, |metadata| metadata.attempt)
}

async fn sandbox_of(cri: &Cri, listed: PodSandbox) -> Result<Option<Sandbox>, CriError> {
    let Some(status) = cri.sandbox_status(&listed.id).await? else { return Ok(None) };
    let address = status.network.as_ref().map(|network| network.ip.clone()).filter(|ip| !ip.is_empty());
    Ok(Some(Sandbox {
        attempt: attempt_of(&listed),
        is_ready: status.state() == PodSandboxState::Ready,
        address,
        containers_before: make::containers_before(&listed.annotations),
        id: listed.id,
    }))
}

async fn container_of(cri: &Cri, listed: wire::Container) -> Result<Option<Container>, CriError> {
    let Some(status) = cri.container_status(&listed.id).await? else { return Ok(None) };
    let status = match status.state() {
        ContainerState::Created => Status::Created,
        ContainerState::Running => Status::Running { since: time(status.started_at).unwrap_or_else(Timestamp::now) },
        ContainerState::Exited => Status::Exited(Exit {
            code: status.exit_code,
            started_at: time(status.started_at),
            finished_at: time(status.finished_at),
            reason: status.reason,
            message: status.message,
        }),
        ContainerState::Unknown => Status::Unknown,
    };
    Ok(Some(Container {
        attempt: number_of(&listed),
        mark: make::mark_of(&listed.labels),
        id: listed.id,
        sandbox: listed.pod_sandbox_id,
        status,
    }))
}

/// Nanoseconds since 1970 as a time; none where there are none.
fn time(nanoseconds: i64) -> Option<Timestamp> {
    (nanoseconds > 0).then(|| Timestamp::from_nanosecond(nanoseconds.into()).ok()).flatten()
}
