//! What the swarm tells of, and whom it concerns.

use std::{sync::Arc, time::Duration};

use libp2p::{
    Multiaddr, PeerId, mdns,
    request_response::{Event, Message},
    swarm::{ListenError, SwarmEvent},
};
use tokio::time::Instant;

use super::{Task, asking::Asked};
use crate::{
    control::{
        Announce,
        address::ip_of,
        behaviour::{AskRecord, BehaviourEvent},
        codec::{Request, Response},
        ids,
        messages::WireAnswer,
        neighbours,
    },
    record::PeerRecord,
};

/// How long nothing is said of strangers after it was.
const STRANGERS_PAUSE: Duration = Duration::from_mins(10);

impl Task {
    pub(super) fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Tracker(event)) => self.on_tracker_event(event),
            SwarmEvent::Behaviour(BehaviourEvent::Record(event)) => self.on_record_event(event),
            SwarmEvent::Behaviour(BehaviourEvent::Mdns(mdns::Event::Discovered(found))) => self.on_discovered(found),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.metrics.connections.with_label_values(&[direction(endpoint.is_dialer())]).inc();
                // TCP is all that is spoken, so each has an address.
                if let Some(ip) = ip_of(endpoint.get_remote_address()) {
                    self.guests.opened(connection_id, ids::ours(peer_id), ip);
                }
                self.on_dialed(connection_id, peer_id);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, endpoint, .. } => {
                self.metrics.connections.with_label_values(&[direction(endpoint.is_dialer())]).dec();
                self.on_lost(connection_id, peer_id);
                let gone = self.guests.closed(connection_id);
                self.forget(gone);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => self.on_dial_failed(connection_id, error),
            SwarmEvent::IncomingConnectionError { error, send_back_addr, .. } => {
                let reason = if matches!(error, ListenError::Denied { .. }) { "denied" } else { "handshake" };
                self.metrics.failed_inbound.with_label_values(&[reason]).inc();
                if reason == "handshake" {
                    self.tell_stranger(&send_back_addr, &error);
                }
            }
            SwarmEvent::ListenerClosed { addresses, reason: Err(error), .. } => {
                tracing::error!(?addresses, %error, "a listener of the control protocols has ended");
            }
            _ => {}
        }
    }

    /// Says that somebody was not let in, who may be a node with another fleet key: once in a while, for anybody may knock.
    fn tell_stranger(&mut self, from: &Multiaddr, error: &ListenError) {
        if self.told_stranger_at.is_some_and(|at| at.elapsed() < STRANGERS_PAUSE) {
            return;
        }
        self.told_stranger_at = Some(Instant::now());
        let (from, error) = (ip_of(from).map(tracing::field::display), error as &dyn std::error::Error);
        tracing::warn!(
            from,
            error,
            "somebody was not let in; it may have another fleet key, or none. It is said again in 10 minutes"
        );
    }

    fn on_tracker_event(&mut self, event: Event<Request<Arc<Announce>>, Response<WireAnswer>>) {
        match event {
            Event::Message { peer, connection_id, message: Message::Request { request, channel, .. } } => {
                self.on_announce(ids::ours(peer), connection_id, request, channel);
            }
            Event::Message { peer, connection_id, message: Message::Response { request_id, response } } => {
                self.on_tracker_answer(peer, connection_id, request_id, response);
            }
            Event::OutboundFailure { request_id, error, .. } => {
                self.on_failed(Asked::Tracker(request_id), error);
            }
            Event::InboundFailure { .. } | Event::ResponseSent { .. } => {}
        }
    }

    fn on_record_event(&mut self, event: Event<Request<AskRecord>, Response<PeerRecord>>) {
        match event {
            Event::Message { message: Message::Request { request, channel, .. }, .. } => self.on_record_asked(request, channel),
            Event::Message { peer, connection_id, message: Message::Response { request_id, response } } => {
                self.on_record_answer(ids::ours(peer), connection_id, request_id, response);
            }
            Event::OutboundFailure { request_id, error, .. } => {
                self.on_failed(Asked::Record(request_id), error);
            }
            Event::InboundFailure { .. } | Event::ResponseSent { .. } => {}
        }
    }

    fn on_discovered(&mut self, found: Vec<(PeerId, Multiaddr)>) {
        let behaviour = self.swarm.behaviour_mut();
        let known = behaviour.mdns.as_ref().map_or(0, |mdns| mdns.discovered_nodes().len());
        if known > self.settings.most_discovered {
            tracing::warn!(known, "mDNS tells of more addresses than there can be here; it is not listened to any more");
            behaviour.mdns = None.into();
        }
        for discovered in neighbours::of(found) {
            self.metrics.discovered.inc();
            // Nobody need listen.
            let _ = self.discoveries.send(discovered);
        }
    }
}

fn direction(is_dialer: bool) -> &'static str {
    if is_dialer { "out" } else { "in" }
}
