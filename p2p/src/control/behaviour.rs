//! What is spoken on the connections.

use std::{num::NonZeroUsize, sync::Arc};

use libp2p::{
    StreamProtocol, Swarm, mdns,
    request_response::{self, ProtocolSupport},
    swarm::{self, NetworkBehaviour, behaviour::toggle::Toggle},
};
use libp2p_identity::Keypair;
use serde::{Deserialize, Serialize};

use super::{
    Announce, ControlError, ControlSettings, MOST_MESSAGE_BYTES,
    budget::Budget,
    codec::{Codec, Room, Sizes},
    ids,
    limits::{Limits, Most},
    messages::WireAnswer,
    metrics::ControlMetrics,
    transport,
};
use crate::{plane::FleetKey, record::PeerRecord};

const TRACKER: StreamProtocol = StreamProtocol::new("/longshore/tracker/1");
const RECORD: StreamProtocol = StreamProtocol::new("/longshore/record/1");
/// The largest record on its way.
const MOST_RECORD_BYTES: usize = 4 << 10;
/// The largest question for one.
const MOST_QUESTION_BYTES: usize = 64;
/// Streams of one connection whose protocol is being negotiated.
const MOST_NEGOTIATING: usize = 8;
/// Orders and events that wait between the swarm and one connection.
const MOST_EVENTS: usize = 8;

/// The question for a record. A later version may ask for more.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct AskRecord {}

/// All protocols.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    limits: Limits,
    pub tracker: request_response::Behaviour<Codec<Arc<Announce>, WireAnswer>>,
    pub record: request_response::Behaviour<Codec<AskRecord, PeerRecord>>,
    pub mdns: Toggle<mdns::tokio::Behaviour>,
}

/// The swarm of a peer; one of a tracker if `is_tracker`.
pub(super) fn swarm(
    keypair: &Keypair,
    fleet: Option<FleetKey>,
    settings: &ControlSettings,
    is_tracker: bool,
    metrics: &ControlMetrics,
) -> Result<Swarm<Behaviour>, ControlError> {
    let local = ids::swarms(keypair.public().to_peer_id());
    let room = Room {
        requests: Budget::new(settings.budget_bytes, settings.budget_bytes_per_connection),
        // Which trackers are called is chosen here, and how often.
        responses: Budget::new(settings.answers_bytes, settings.answers_bytes),
    };
    let protocol = request_response::Config::default()
        .with_request_timeout(settings.stream_timeout)
        // Of both directions.
        .with_max_concurrent_streams(settings.most_streams.saturating_mul(2));
    let tracker_sizes = Sizes { request: MOST_MESSAGE_BYTES, response: MOST_MESSAGE_BYTES };
    let record_sizes = Sizes { request: MOST_QUESTION_BYTES, response: MOST_RECORD_BYTES };
    let tracker_support = if is_tracker { ProtocolSupport::Full } else { ProtocolSupport::Outbound };
    let mdns = settings.mdns.then(|| mdns::tokio::Behaviour::new(mdns::Config::default(), local)).transpose();
    let behaviour = Behaviour {
        limits: Limits::new(Most {
            inbound: settings.most_inbound,
            inbound_per_ip: settings.most_inbound_per_ip,
            outbound: settings.most_outbound,
            pending: settings.most_pending,
            pending_per_ip: settings.most_pending_per_ip,
            per_peer: settings.most_per_peer,
        }),
        tracker: request_response::Behaviour::with_codec(
            Codec::new(tracker_sizes, room.clone(), metrics.unread.clone()),
            [(TRACKER, tracker_support)],
            protocol.clone(),
        ),
        record: request_response::Behaviour::with_codec(
            Codec::new(record_sizes, room, metrics.unread.clone()),
            [(RECORD, ProtocolSupport::Full)],
            protocol,
        ),
        mdns: mdns.map_err(|error| ControlError::Mdns(Arc::new(error)))?.into(),
    };
    let config = swarm::Config::with_tokio_executor()
        .with_idle_connection_timeout(settings.idle_timeout)
        .with_max_negotiating_inbound_streams(MOST_NEGOTIATING)
        .with_per_connection_event_buffer_size(MOST_EVENTS)
        .with_notify_handler_buffer_size(NonZeroUsize::new(MOST_EVENTS).expect("it is more than zero"));
    Ok(Swarm::new(transport::new(keypair, fleet, settings)?, behaviour, local, config))
}
