//! Trackers that a node finds by itself: it asks the registries and edges that it pulls from where theirs are.

use std::{sync::Arc, time::Duration};

use longshore_client::{RegistryUrl, SwarmRecord};
use longshore_edge_cache::upstream::Upstream;
use longshore_p2p::{control::ControlAddress, swarm::Swarm};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::{
    asking::{EVERY, LEAST_PAUSE, longer},
    reached::{addresses, hosts_of},
    telling::Telling,
    unreached::{Unreached, addresses_of},
};

/// How often it is looked whether a tracker is silent: one that was restarted may be reached elsewhere, as its registry then says.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Tells the swarm of an upstream's tracker, now and then again, until it is to stop. What an upstream said last holds while it is away.
pub async fn follow(swarm: Swarm, upstream: Arc<Upstream>, unreached: Unreached, stopping: CancellationToken) {
    let _ = stopping.run_until_cancelled(follow_always(swarm, upstream, unreached)).await;
}

async fn follow_always(swarm: Swarm, upstream: Arc<Upstream>, unreached: Unreached) {
    let registry: Arc<str> = upstream.name().into();
    let (mut pause, mut known, mut telling) = (LEAST_PAUSE, Vec::new(), Telling::default());
    let asking = "the upstream does not say where its tracker is; it is asked again";
    loop {
        match upstream.swarm_record().await {
            Ok(told) => {
                let of_another = told.filter(|(record, _)| record.peer != swarm.peer().to_string());
                let found = if let Some((record, url)) = of_another {
                    reached(&registry, record, &url, &unreached).await
                } else {
                    unreached.remove(&registry);
                    Vec::new()
                };
                telling.is_over();
                tell(&registry, &known, &found);
                swarm.found_trackers(registry.clone(), found.first().map(|_| found.clone()).into_iter().collect()).await;
                (known, pause) = (found, LEAST_PAUSE);
                rest(&swarm, &registry).await;
                continue;
            }
            // That it is away is said by others, who ask it for more than this.
            Err(error) if error.is_away() => {
                tracing::debug!(upstream = %registry, error = &error as &dyn std::error::Error, "{asking}");
            }
            Err(error) if telling.is_news(&error) => {
                tracing::warn!(upstream = %registry, error = &error as &dyn std::error::Error, "{asking}");
            }
            Err(_) => {}
        }
        tokio::time::sleep(pause).await;
        pause = longer(pause);
    }
}

/// Where an upstream's tracker is reached. Says, once, where that is nowhere: nodes would go by others or by none, and nobody knew why.
async fn reached(registry: &Arc<str>, record: SwarmRecord, url: &RegistryUrl, unreached: &Unreached) -> Vec<ControlAddress> {
    let hosts = hosts_of(url).await;
    let found = addresses(&record, &hosts);
    let named = addresses_of(&record);
    if !found.is_empty() {
        unreached.remove(registry);
    } else if unreached.add(registry, record) {
        tracing::warn!(
            upstream = %registry,
            named,
            ?hosts,
            "the upstream's tracker can't be reached from here by what it names; tracker.advertise there says where it is"
        );
    }
    found
}

/// Says what is news of an upstream's tracker.
fn tell(registry: &str, known: &[ControlAddress], found: &[ControlAddress]) {
    match found.first() {
        Some(at) if known != found => tracing::info!(upstream = registry, tracker = %at, "the upstream has a tracker"),
        None if !known.is_empty() => tracing::info!(upstream = registry, "the upstream has no tracker any more"),
        _ => {}
    }
}

/// Returns when it is time to ask again.
async fn rest(swarm: &Swarm, registry: &Arc<str>) {
    let ends_at = Instant::now() + EVERY;
    loop {
        sleep_until(ends_at.min(Instant::now() + LOOK_EVERY)).await;
        let trackers = swarm.status().await.map(|status| status.trackers).unwrap_or_default();
        let is_silent = trackers.iter().any(|one| one.registry.as_ref() == Some(registry) && one.answers == Some(false));
        if is_silent || Instant::now() >= ends_at {
            return;
        }
    }
}
