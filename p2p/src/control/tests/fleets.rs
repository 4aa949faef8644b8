//! Closed fleets, and who is in none.

use std::{sync::Arc, time::Duration};

use libp2p_identity::Keypair;

use super::bed::{End, GOOD, Service, settings};
use crate::{
    control::{ControlError, ControlSettings, TrackerService},
    plane::FleetKey,
};

fn key(letter: &str) -> FleetKey {
    FleetKey::new(&letter.repeat(32)).unwrap()
}

#[tokio::test]
async fn a_fleet_speaks_with_its_own_alone() {
    let handshake_timeout = Duration::from_secs(2);
    let settings = || ControlSettings { handshake_timeout, ..settings() };
    let of = |fleet, service| End::of_fleet(fleet, Keypair::generate_ed25519(), settings(), service);
    for (trackers, own) in [(Some(key("a")), Some(key("a"))), (None, None)] {
        let (service, _gone) = Service::new();
        let shared: Arc<dyn TrackerService> = service.clone();
        let (tracker, one) = (of(trackers, Some(shared)).await, of(own, None).await);
        one.announce(&tracker.at(), GOOD).await.unwrap();
        one.control.record_of(&tracker.at()).await.unwrap();
    }
    for (trackers, own) in [(Some(key("a")), Some(key("b"))), (Some(key("a")), None), (None, Some(key("a")))] {
        let case = format!("{trackers:?} and {own:?}");
        let (service, _gone) = Service::new();
        let shared: Arc<dyn TrackerService> = service.clone();
        let (tracker, one) = (of(trackers, Some(shared)).await, of(own, None).await);
        let error = one.announce(&tracker.at(), GOOD).await.unwrap_err();
        assert!(matches!(error, ControlError::Unreachable { .. } | ControlError::Broken { .. }), "{case}: {error}");
        // An open one has said something before it notices, and tries again.
        tracker.counts_some(r#"longshore_p2p_control_connections_failed_total{reason="handshake"}"#).await;
        // None was there, however shortly.
        let text = tracker.metrics.render();
        assert!(!text.contains(r#"longshore_p2p_control_connections{direction="in"}"#), "{case}: {text}");
        assert!(service.heard.lock().unwrap().is_empty(), "{case}");
    }
}
