//! Carries out what a pod's machine decides.

use std::{io, path::PathBuf, sync::Arc};

use longshore_fleet::Assignment;
use longshore_service::{error_text::with_sources, private_files};

use super::look;
use crate::agent::{
    cri::{CriError, wire::CreateContainerRequest},
    hands::Hands,
    logs,
    make::{self, image_name},
    pod::{Action, Done, Failure, ImageUser},
};

impl From<CriError> for Failure {
    fn from(error: CriError) -> Self {
        Self { is_down: error.is_down(), message: with_sources(&error) }
    }
}

/// Carries out an action for a pod.
pub async fn carry_out(hands: Arc<Hands>, assignment: Assignment, action: Action) -> Result<Done, Failure> {
    let (cri, pod) = (&hands.cri, assignment.id);
    match action {
        Action::Look => return Ok(Done::Seen(Box::new(look::look(cri, &hands.agent, pod).await?))),
        Action::CheckImage => {
            let image = cri.image(&image_name(&assignment.template)).await?;
            return Ok(Done::Image(image.map(|image| ImageUser { uid: image.uid.map(|uid| uid.value), name: image.username })));
        }
        Action::Clear => {
            on_disk(hands.logs_of(pod), logs::remove).await?;
            return Ok(Done::Cleared);
        }
        Action::MakeSandbox { attempt, containers_before } => {
            let logs = hands.logs_of(pod);
            on_disk(logs.clone(), |logs| private_files::make_folders(&logs)).await?;
            cri.run_sandbox(make::sandbox(&hands.agent, &assignment, attempt, containers_before, &logs)).await?;
        }
        Action::Pull => {
            let pulled = hands.pulls.pull(cri, &image_name(&assignment.template)).await;
            pulled.inspect_err(|_| hands.metrics.failed_pulls.inc())?;
        }
        Action::Create { sandbox, sandbox_attempt, containers_before, attempt } => {
            let logs = hands.logs_of(pod);
            on_disk(logs.clone(), move |logs| logs::remove_before(&logs, attempt)).await?;
            let config = make::sandbox(&hands.agent, &assignment, sandbox_attempt, containers_before, &logs);
            cri.create_container(CreateContainerRequest {
                pod_sandbox_id: sandbox,
                config: Some(make::container(&hands.agent, &assignment, attempt, hands.capacity)),
                sandbox_config: Some(config),
            })
            .await?;
        }
        Action::Start { container, is_again } => {
            cri.start_container(&container).await?;
            hands.metrics.restarts.inc_by(is_again.into());
        }
        Action::Stop { container, grace } => cri.stop_container(&container, grace).await?,
        Action::StopSandbox { sandbox } => cri.stop_sandbox(&sandbox).await?,
        Action::RemoveSandbox { sandbox } => cri.remove_sandbox(&sandbox).await?,
        Action::RemoveContainer { container } => cri.remove_container(&container).await?,
    }
    Ok(Done::Changed)
}

/// Does something with a pod's folder of logs.
async fn on_disk(folder: PathBuf, act: impl FnOnce(PathBuf) -> io::Result<()> + Send + 'static) -> Result<(), Failure> {
    let shown = folder.display().to_string();
    let failed = |reason: String| Failure { is_down: false, message: format!("the folder of its logs, {shown}: {reason}") };
    match tokio::task::spawn_blocking(move || act(folder)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}
