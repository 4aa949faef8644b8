//! What nobody wants and nobody knows any more: it is ended and removed.

use std::time::Duration;

use longshore_fleet::PodId;
use longshore_service::error_text::with_sources;

use crate::agent::{
    cri::{
        CriError,
        wire::{ContainerState, PodSandboxState},
    },
    hands::Hands,
    logs, make,
};

/// How soon it is tried again.
const PAUSE: Duration = Duration::from_secs(10);

/// Ends and removes all that the runtime has of a pod, and what it wrote.
pub async fn remove(hands: &Hands, pod: PodId) {
    while let Err(error) = try_remove(hands, pod).await {
        if !error.is_down() {
            tracing::warn!(%pod, error = with_sources(&error), "what nobody wants any more can't be removed; it is tried again");
        }
        tokio::time::sleep(PAUSE).await;
    }
    let folder = hands.logs_of(pod);
    if let Ok(Err(error)) = tokio::task::spawn_blocking(move || logs::remove(folder)).await {
        tracing::warn!(%pod, error = with_sources(&error), "the logs of a pod that is gone can't be removed");
    }
}

async fn try_remove(hands: &Hands, pod: PodId) -> Result<(), CriError> {
    let (cri, labels) = (&hands.cri, make::of_pod(&hands.agent, pod));
    let (sandboxes, containers) = tokio::try_join!(cri.sandboxes(labels.clone()), cri.containers(labels))?;
    tracing::info!(%pod, containers = containers.len(), "what nobody wants any more is ended");
    let grace = sandboxes.first().map_or_else(|| make::grace(&make::Labels::new()), |one| make::grace(&one.annotations));
    for container in &containers {
        if matches!(container.state(), ContainerState::Running | ContainerState::Unknown) {
            cri.stop_container(&container.id, grace).await?;
        }
    }
    for sandbox in &sandboxes {
        if sandbox.state() == PodSandboxState::Ready {
            cri.stop_sandbox(&sandbox.id).await?;
        }
        cri.remove_sandbox(&sandbox.id).await?;
    }
    for container in &containers {
        // Those whose sandbox somebody else has removed.
        cri.remove_container(&container.id).await?;
    }
    Ok(())
}
