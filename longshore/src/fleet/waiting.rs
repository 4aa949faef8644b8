//! Waiting until something is as it is wanted.

use std::{fmt::Write as _, future::Future, time::Duration};

use longshore_client::{FleetClient, FleetError, PodFilter};
use longshore_fleet::{
    DeploymentId, Phase,
    api::{Code, DeploymentView, PodView, WorkloadState},
};
use longshore_service::config::Duration as Period;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep, timeout_at},
};

use super::{connection::told, progress::Progress, shown::phase};
use crate::{failure::Failure, output::printable, prewarm::interrupt};

/// How often it is asked how things are.
pub const PAUSE: Duration = Duration::from_millis(400);
/// How many pods are told of while they start.
const MOST_TOLD: usize = 3;

/// Until when somebody waits, for one thing or for several.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    end: Instant,
    period: Period,
}

impl From<Period> for Patience {
    fn from(period: Period) -> Self {
        Self { end: Instant::now() + period.get(), period }
    }
}

/// Waits for a deployment to be as it is wanted; shows how far it is.
pub async fn until_available(client: &FleetClient, id: DeploymentId, timeout: Period) -> Result<DeploymentView, Failure> {
    let mut progress = Progress::begin();
    let waited = within(timeout, "it is not as it is wanted", GOES_ON, async {
        loop {
            let deployment: DeploymentView = client.workload(id).await.map_err(|error| told(&error))?;
            if is_done(&deployment) {
                return Ok(deployment);
            }
            if let Some(failure) = stuck(&deployment) {
                return Err(failure);
            }
            let namespace = Some(deployment.spec.upkeep.namespace.clone());
            let filter = PodFilter { namespace, workload: Some(id.into()), ..PodFilter::default() };
            let page = client.pods(&filter).next_page().await.map_err(|error| told(&error))?;
            progress.show(&line(&deployment, &page.map(|page| page.items).unwrap_or_default()));
            sleep(PAUSE).await;
        }
    })
    .await;
    progress.end();
    waited
}

/// Waits until something is gone that `look` looks at. `then` is what becomes of all that is asked for where nobody waits any more.
pub async fn until_gone(
    what: &str,
    patience: Patience,
    then: &str,
    look: impl AsyncFn() -> Result<(), FleetError>,
) -> Result<(), Failure> {
    let mut progress = Progress::begin();
    progress.show(&format!("{what} ends"));
    let waited = within(patience, &format!("{what} is not gone"), then, async {
        loop {
            match look().await {
                Err(error) if error.code() == Some(Code::NotFound) => return Ok(()),
                Err(error) => return Err(told(&error)),
                Ok(()) => sleep(PAUSE).await,
            }
        }
    })
    .await;
    progress.end();
    waited
}

/// What becomes of most things that are waited for no longer.
pub const GOES_ON: &str = "the orchestrator goes on with it";

/// Waits for something, until then, or until whoever waits has enough of it. `then` is what becomes of it after that.
pub async fn within<T>(
    patience: impl Into<Patience>,
    otherwise: &str,
    then: &str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let Patience { end, period } = patience.into();
    let interruption = interrupt(signal(SignalKind::interrupt()));
    tokio::select! {
        () = interruption => Err(Failure::Interrupted(format!("interrupted; {then}"))),
        done = timeout_at(end, work) => {
            done.unwrap_or_else(|_| Err(Failure::Failed(format!("{otherwise} after {period}; {then}"))))
        }
    }
}

/// Whether the orchestrator has looked since it was changed last: until then the status is that of before.
fn is_looked_at(deployment: &DeploymentView) -> bool {
    deployment.status.observed_revision >= deployment.revision
}

/// Whether all that is wanted is there, and nothing else.
pub fn is_done(deployment: &DeploymentView) -> bool {
    let status = &deployment.status;
    is_looked_at(deployment)
        && status.state == WorkloadState::Available
        && status.updated >= status.wanted
        && status.pods <= status.wanted
}

/// How a deployment is, in a line.
pub fn summary(deployment: &DeploymentView) -> String {
    let status = &deployment.status;
    // What registries and runtimes say is told on.
    let why = status.message.as_ref().map(|message| format!(": {}", printable(message))).unwrap_or_default();
    let name = &deployment.spec.upkeep.name;
    format!("{name}: {}, {} of {} ready, revision {}{why}", status.state, status.ready, status.wanted, deployment.revision)
}

fn stuck(deployment: &DeploymentView) -> Option<Failure> {
    let name = &deployment.spec.upkeep.name;
    let why = deployment.status.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
    match deployment.status.state {
        WorkloadState::Stuck if is_looked_at(deployment) => Some(Failure::Failed(format!(
            "{name} does not get on{why}; `longshore describe deployment {name} -n {}` tells more",
            deployment.spec.upkeep.namespace
        ))),
        WorkloadState::Deleting => Some(Failure::NotFound(format!("{name} is being deleted"))),
        _ => None,
    }
}

/// How far a deployment is.
fn line(deployment: &DeploymentView, pods: &[PodView]) -> String {
    let status = &deployment.status;
    let name = &deployment.spec.upkeep.name;
    let mut line = format!("{name}: {} of {} ready", status.ready.min(status.updated), status.wanted);
    if status.unplaced > 0 {
        let namespace = &deployment.spec.upkeep.namespace;
        let unplaced = status.unplaced;
        let _ = write!(line, ", {unplaced} without a node (`longshore explain deployment {name} -n {namespace}` says why)");
    }
    let is_old = |pod: &&PodView| pod.ending || pod.state.ready || pod.state.phase == Phase::Pending;
    for pod in pods.iter().filter(|pod| !is_old(pod)).take(MOST_TOLD) {
        let node = pod.node.as_ref().map(|node| format!(" on {node}")).unwrap_or_default();
        let _ = write!(line, "; {} {}{node}", pod.name, phase(pod));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::shown::samples;

    fn deployment(change: impl FnOnce(&mut serde_json::Value)) -> DeploymentView {
        let mut value = samples::deployment();
        change(&mut value["status"]);
        serde_json::from_value(value).expect("a deployment")
    }

    #[test]
    fn is_done_once_all_is_new_and_nothing_old_is_left() {
        assert!(!is_done(&deployment(|_| ())));
        assert!(is_done(&deployment(|status| (status["state"], status["updated"]) = ("available".into(), 3.into()))));
        assert!(!is_done(&deployment(|status| status["state"] = "available".into())));
        let extra = |status: &mut serde_json::Value| {
            (status["state"], status["updated"], status["pods"]) = ("available".into(), 3.into(), 4.into());
        };
        assert!(!is_done(&deployment(extra)));
    }

    #[test]
    fn what_was_found_out_of_an_earlier_revision_tells_nothing_of_this_one() {
        let of_before = |state: &str| {
            deployment(|status| {
                (status["state"], status["updated"], status["observedRevision"]) = (state.into(), 3.into(), 3.into());
            })
        };
        assert!(!is_done(&of_before("available")), "it was applied just now, and nobody has looked since");
        assert!(stuck(&of_before("stuck")).is_none());
    }

    #[test]
    fn what_stands_still_is_not_waited_for() {
        let failure = stuck(&deployment(|status| {
            (status["state"], status["message"]) = ("stuck".into(), "nothing was ready for 600 s".into());
        }));
        let text = failure.expect("a failure").to_string();
        assert!(text.starts_with("hello does not get on: nothing was ready for 600 s; `longshore describe"), "{text}");
        assert!(stuck(&deployment(|_| ())).is_none());
    }

    #[test]
    fn says_which_pods_are_on_their_way() {
        let mut pod = samples::pod();
        (pod["phase"], pod["ready"]) = ("Pulling".into(), false.into());
        let pods = [serde_json::from_value(samples::pod()).expect("a pod"), serde_json::from_value(pod).expect("a pod")];
        let line = line(&deployment(|_| ()), &pods);
        assert!(
            line.starts_with("hello: 2 of 3 ready, 1 without a node (`longshore explain deployment hello -n default`"),
            "{line}"
        );
        assert!(line.ends_with("; hello-7f9c-a1 Pulling on n1"), "{line}");
    }

    #[test]
    fn what_a_runtime_says_moves_no_cursor() {
        let text = summary(&deployment(|status| status["message"] = "\u{1b}[2Jno such image\nx".into()));
        assert!(text.ends_with(": \u{fffd}[2Jno such image\u{fffd}x"), "{text:?}");
    }

    #[tokio::test]
    async fn waits_no_longer_than_it_is_told() {
        let timeout: Period = "10ms".parse().expect("a time");
        let waited = within::<()>(timeout, "it is not so", GOES_ON, std::future::pending()).await;
        assert!(matches!(waited, Err(Failure::Failed(text)) if text.starts_with("it is not so after 10ms")));
    }
}
