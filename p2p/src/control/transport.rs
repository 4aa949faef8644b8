//! Connections: TCP, libp2p's TLS and yamux.

use std::time::Duration;

use libp2p::{
    PeerId, Transport as _,
    core::{muxing::StreamMuxerBox, transport::Boxed, upgrade::Version},
    tcp, yamux,
};
use libp2p_identity::Keypair;

use super::{ControlError, ControlSettings, tls::Tls};
use crate::plane::FleetKey;

/// Streams of one connection besides those of the two protocols' requests: some that are being negotiated.
const SPARE_STREAMS: usize = 8;

/// The connections of a peer, of a closed fleet if it has a key.
pub(super) fn new(
    keypair: &Keypair,
    fleet: Option<FleetKey>,
    settings: &ControlSettings,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, ControlError> {
    let mut yamux = yamux::Config::default();
    // Each stream may hold at least 256 KiB that its reader has not taken, and by default there could be 512 of them. Yamux lets a stream
    // hold more whose reader was fast, which can't be set here; the codec leaves nothing lying, whether there is room for it or not.
    yamux.set_max_num_streams(most_streams(settings));
    let handshake_timeout = settings.handshake_timeout.max(Duration::from_millis(1));
    let tcp = tcp::tokio::Transport::new(tcp::Config::new());
    Ok(tcp
        .upgrade(Version::V1Lazy)
        .authenticate(Tls::new(keypair, fleet, settings.stream_timeout)?)
        .multiplex(yamux)
        .timeout(handshake_timeout)
        .boxed())
}

/// Both protocols' requests in both directions.
fn most_streams(settings: &ControlSettings) -> usize {
    settings.most_streams.saturating_mul(4).saturating_add(SPARE_STREAMS).min(512)
}
