//! A client that keeps to none of our bounds.

use std::time::Duration;

use futures_util::StreamExt as _;
use libp2p::{
    StreamProtocol, Swarm,
    request_response::{self, Message, OutboundFailure, ProtocolSupport, cbor},
    swarm::{self, SwarmEvent, dial_opts::DialOpts},
};
use libp2p_identity::{Keypair, PeerId};
use serde::{Serialize, de::DeserializeOwned};

use super::bed::{End, settings, soon};
use crate::control::{ids, messages::WireAnswer, transport};

pub(super) struct Raw<M: Send + Sync + Serialize + DeserializeOwned + 'static> {
    swarm: Swarm<cbor::Behaviour<M, WireAnswer>>,
    target: libp2p::PeerId,
}

impl<M: Send + Sync + Serialize + DeserializeOwned + 'static> Raw<M> {
    /// Connected with this one, to which it speaks `protocol`.
    pub async fn to(end: &End, protocol: &'static str) -> Self {
        let keypair = Keypair::generate_ed25519();
        let codec = cbor::codec::Codec::default().set_request_size_maximum(64 << 20);
        let protocols = [(StreamProtocol::new(protocol), ProtocolSupport::Outbound)];
        let config = request_response::Config::default().with_max_concurrent_streams(10_000);
        let behaviour = cbor::Behaviour::with_codec(codec, protocols, config);
        let config = swarm::Config::with_tokio_executor().with_idle_connection_timeout(Duration::from_mins(1));
        let transport = transport::new(&keypair, None, &settings()).unwrap();
        let mut swarm = Swarm::new(transport, behaviour, ids::swarms(keypair.public().to_peer_id()), config);
        let target = ids::swarms(end.peer());
        let address = format!("/ip4/{}/tcp/{}/p2p/{}", end.address.ip(), end.address.port(), end.peer()).parse().unwrap();
        swarm.dial(DialOpts::peer_id(target).addresses(vec![address]).allocate_new_port().build()).unwrap();
        while !matches!(soon(swarm.select_next_some()).await, SwarmEvent::ConnectionEstablished { .. }) {}
        Self { swarm, target }
    }

    pub fn peer(&self) -> PeerId {
        ids::ours(*self.swarm.local_peer_id())
    }

    pub fn send(&mut self, message: M) {
        self.swarm.behaviour_mut().send_request(&self.target, message);
    }

    /// The next answer, or why there is none.
    pub async fn answer(&mut self) -> Result<WireAnswer, OutboundFailure> {
        loop {
            match soon(self.swarm.select_next_some()).await {
                SwarmEvent::Behaviour(request_response::Event::Message {
                    message: Message::Response { response, .. }, ..
                }) => {
                    return Ok(response);
                }
                SwarmEvent::Behaviour(request_response::Event::OutboundFailure { error, .. }) => return Err(error),
                _ => {}
            }
        }
    }
}
