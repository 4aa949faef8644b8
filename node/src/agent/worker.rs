//! The task of one pod: carries out what its machine decides, one thing at a time, and its probes beside that.

mod carry_out;
mod look;
mod orphan;
mod probe;
mod pulls;

use std::{future::Future, pin::Pin, sync::Arc};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use jiff::Timestamp;
use longshore_fleet::Assignment;
use tokio::{sync::watch, time::sleep_until};

use super::{
    hands::Hands,
    pod::{Done, Failure, Glimpse, Machine, Now, ProbeKind, Verdict},
};
pub use look::{glimpses, running};
pub use orphan::remove as remove_orphan;
pub use pulls::Pulls;

type Doing = Pin<Box<dyn Future<Output = Result<Done, Failure>> + Send>>;
type Probed = (String, ProbeKind, Verdict);
type Making = Pin<Box<dyn Future<Output = Probed> + Send>>;

/// Runs a pod as it is wanted, until nothing of it is left.
pub async fn run(
    hands: Arc<Hands>,
    mut wanted: watch::Receiver<Assignment>,
    mut glimpses: watch::Receiver<Glimpse>,
    heard_at: Timestamp,
) {
    let assignment = wanted.borrow_and_update().clone();
    let pod = assignment.id;
    let mut machine = Machine::new(assignment, heard_at, hands.rules);
    let mut doing: Option<Doing> = None;
    let mut probing: FuturesUnordered<Making> = FuturesUnordered::new();
    loop {
        let now = Now::read();
        let next = machine.next(now);
        if next.breaks_off {
            doing = None;
            machine.broken_off();
            continue;
        }
        if let Some(action) = next.action {
            tracing::debug!(%pod, ?action, "a pod goes on");
            doing = Some(Box::pin(carry_out::carry_out(hands.clone(), machine.assignment().clone(), action)));
        }
        for kind in next.probes {
            probing.extend(probe(&hands, &machine, kind));
        }
        let state = machine.state(now);
        if machine.is_gone() {
            hands.board.gone(pod, state);
            return;
        }
        if machine.has_looked() {
            // Before that it may be anything.
            hands.board.set_pod(pod, state);
        }
        let waking = async {
            match next.wake_at {
                Some(at) => sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            result = done(&mut doing) => {
                doing = None;
                if let Err(failure) = &result && !failure.is_down {
                    tracing::warn!(%pod, name = machine.assignment().name, reason = failure.message, "a pod does not go on");
                }
                machine.done(result, Now::read());
            }
            Some((container, kind, verdict)) = probing.next() => machine.probed(&container, kind, verdict, Now::read()),
            changed = wanted.changed() => {
                if changed.is_err() {
                    // Whoever began it is gone, as the process is about to be.
                    return;
                }
                machine.assign(wanted.borrow_and_update().clone());
            }
            Ok(()) = glimpses.changed() => machine.glimpse(&glimpses.borrow_and_update()),
            () = waking => {}
        }
    }
}

/// What comes of what is being done; nothing where nothing is.
async fn done(doing: &mut Option<Doing>) -> Result<Done, Failure> {
    match doing {
        Some(doing) => doing.await,
        None => std::future::pending().await,
    }
}

/// One probe of the container that runs.
fn probe(hands: &Arc<Hands>, machine: &Machine, kind: ProbeKind) -> Option<Making> {
    let template = &machine.assignment().template;
    let probes = &template.probes;
    let probe = match kind {
        ProbeKind::Startup => &probes.startup,
        ProbeKind::Readiness => &probes.readiness,
        ProbeKind::Liveness => &probes.liveness,
    };
    let (probe, container) = (probe.clone()?, machine.container()?.id.clone());
    let address = if template.host_network { Some(hands.host_address.clone()) } else { machine.address().map(str::to_owned) };
    let hands = hands.clone();
    Some(Box::pin(async move {
        let verdict = probe::make(&hands, &probe, &container, address.as_deref()).await;
        (container, kind, verdict)
    }))
}
