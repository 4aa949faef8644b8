//! TLS 1.3 by libp2p's specification, `/tls/1.0.0`: each end's certificate proves its peer id.
//!
//! The certificates and their check are libp2p-tls'. The upgrade of a connection is made here, because the version of it that goes with
//! libp2p 0.57 wants aws-lc, where all else runs on ring.

use std::{future::Future, io, iter, net::Ipv4Addr, pin::Pin, sync::Arc, time::Duration};

use futures_rustls::{TlsAcceptor, TlsConnector, TlsStream, rustls};
use futures_util::{AsyncRead, AsyncWrite};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use libp2p_identity::Keypair;
use rustls::{CommonState, client::Resumption, pki_types::ServerName};

use super::{ControlError, ids, impatient::Impatient, proof};
use crate::plane::{Direction, FleetKey};

/// Both ends' configurations, with one peer's certificate, and the key of its fleet if that is a closed one.
#[derive(Clone)]
pub(super) struct Tls {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    fleet: Option<FleetKey>,
    patience: Duration,
}

/// A handshake under way.
type Handshake<C> = Pin<Box<dyn Future<Output = io::Result<(libp2p::PeerId, TlsStream<Impatient<C>>)>> + Send>>;

impl Tls {
    /// `patience` is how long a write may wait for the other end.
    pub fn new(keypair: &Keypair, fleet: Option<FleetKey>, patience: Duration) -> Result<Self, ControlError> {
        let server = libp2p_tls::make_server_config(keypair);
        let client = libp2p_tls::make_client_config(keypair, None);
        let mut server = server.map_err(|error| ControlError::Certificate(Arc::new(error)))?;
        let mut client = client.map_err(|error| ControlError::Certificate(Arc::new(error)))?;
        // Connections last. To take one up again would save little, and be another way in than by the certificate.
        server.send_tls13_tickets = 0;
        client.resumption = Resumption::disabled();
        Ok(Self { acceptor: Arc::new(server).into(), connector: Arc::new(client).into(), fleet, patience })
    }
}

/// Who is at the other end. The handshake has checked that its one certificate is signed by that peer.
fn peer_of(state: &CommonState) -> io::Result<libp2p::PeerId> {
    let Some([certificate]) = state.peer_certificates() else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "there is not one certificate"));
    };
    let certificate = libp2p_tls::certificate::parse(certificate);
    Ok(ids::swarms(certificate.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?.peer_id()))
}

impl UpgradeInfo for Tls {
    type Info = &'static str;
    type InfoIter = iter::Once<Self::Info>;

    fn protocol_info(&self) -> Self::InfoIter {
        iter::once("/tls/1.0.0")
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> InboundConnectionUpgrade<C> for Tls {
    type Output = (libp2p::PeerId, TlsStream<Impatient<C>>);
    type Error = io::Error;
    type Future = Handshake<C>;

    fn upgrade_inbound(self, socket: C, _: Self::Info) -> Self::Future {
        Box::pin(async move {
            let stream = self.acceptor.accept(Impatient::new(socket, self.patience)).await?;
            let peer = peer_of(stream.get_ref().1)?;
            let mut stream = stream.into();
            if let Some(key) = &self.fleet {
                // Nothing is told to who can't prove itself first.
                proof::take(key, &mut stream, Direction::Dialed).await?;
                proof::give(key, &mut stream, Direction::Accepted).await?;
            }
            Ok((peer, stream))
        })
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> OutboundConnectionUpgrade<C> for Tls {
    type Output = (libp2p::PeerId, TlsStream<Impatient<C>>);
    type Error = io::Error;
    type Future = Handshake<C>;

    fn upgrade_outbound(self, socket: C, _: Self::Info) -> Self::Future {
        Box::pin(async move {
            // The specification wants no name sent; for an address rustls sends none.
            let nobody = ServerName::IpAddress(std::net::IpAddr::from(Ipv4Addr::UNSPECIFIED).into());
            let stream = self.connector.connect(nobody, Impatient::new(socket, self.patience)).await?;
            let peer = peer_of(stream.get_ref().1)?;
            let mut stream = stream.into();
            if let Some(key) = &self.fleet {
                proof::give(key, &mut stream, Direction::Dialed).await?;
                proof::take(key, &mut stream, Direction::Accepted).await?;
            }
            Ok((peer, stream))
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// Whether each end takes the other for one of its fleet: the one that has accepted, and the one that has dialed.
    async fn meet(accepts: Option<&str>, dials: Option<&str>) -> [bool; 2] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dialed = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let accepted = listener.accept().await.unwrap().0;
        let [inbound, outbound] = [accepts, dials].map(|letter| {
            let key = letter.map(|letter| FleetKey::new(&letter.repeat(32)).unwrap());
            Tls::new(&Keypair::generate_ed25519(), key, Duration::from_secs(10)).unwrap()
        });
        let accepted = inbound.upgrade_inbound(libp2p::tcp::tokio::TcpStream(accepted), "/tls/1.0.0");
        let dialed = outbound.upgrade_outbound(libp2p::tcp::tokio::TcpStream(dialed), "/tls/1.0.0");
        // Who is refused is told nothing but the end.
        let (accepted, dialed) = tokio::join!(async { accepted.await.is_ok() }, async { dialed.await.is_ok() });
        [accepted, dialed]
    }

    #[tokio::test]
    async fn each_end_refuses_who_is_not_of_its_fleet() {
        assert_eq!(meet(Some("a"), Some("a")).await, [true, true]);
        assert_eq!(meet(None, None).await, [true, true]);
        assert_eq!(meet(Some("a"), Some("b")).await, [false, false]);
    }
}
