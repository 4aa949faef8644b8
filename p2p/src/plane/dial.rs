use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use libp2p_identity::PeerId;
use rustls::{CertificateError, Error, pki_types::ServerName};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsConnector, TlsStream};

use super::{
    Connection, DialError, Direction, Endpoint, Limits,
    connection::{self, Socket},
    greeting,
    guests::Slot,
};
use crate::{
    record::{MOST_ADDRESSES, PeerRecord},
    wire::Hello,
};

/// How long a peer may take to greet at one of its addresses before the next is tried beside it.
const HEDGE_AFTER: Duration = Duration::from_millis(200);

/// Connects to the peer that should be at an address.
pub async fn dial(endpoint: &Arc<Endpoint>, address: SocketAddr, expected: PeerId) -> Result<Connection, DialError> {
    let slot = slot(endpoint, expected)?;
    Ok(greet(endpoint, address, expected).await?.connection(endpoint, expected, slot))
}

/// Connects to a peer at the first of its addresses where it greets. An address is tried when the one before has failed or takes long,
/// so one that leads nowhere, or to somebody else, is in nobody's way. The error is of the last that failed.
pub async fn dial_record(endpoint: &Arc<Endpoint>, record: &PeerRecord) -> Result<Connection, DialError> {
    let slot = slot(endpoint, record.peer)?;
    let mut addresses = record.pieces.iter().take(MOST_ADDRESSES);
    let mut greeting = FuturesUnordered::new();
    let mut failed = DialError::NoAddress(record.peer);
    loop {
        greeting.extend(addresses.next().map(|&address| greet(endpoint, address, record.peer)));
        let greeted = tokio::select! {
            greeted = greeting.next() => greeted,
            () = sleep(HEDGE_AFTER), if addresses.len() > 0 => continue,
        };
        match greeted {
            Some(Ok(greeted)) => return Ok(greeted.connection(endpoint, record.peer, slot)),
            // It is who it should be, and the same elsewhere.
            Some(Err(error @ DialError::Stranger { .. })) => return Err(error),
            Some(Err(error)) => failed = error,
            None => return Err(failed),
        }
    }
}

/// The place that a connection to the peer takes.
fn slot(endpoint: &Endpoint, expected: PeerId) -> Result<Slot, DialError> {
    if expected == endpoint.id() {
        return Err(DialError::Oneself(expected));
    }
    let slot = endpoint.dialed.clone().try_acquire_owned().map_err(|_| DialError::Full)?;
    Ok(Slot::new(slot, None))
}

/// A peer that has greeted.
struct Greeted {
    stream: TlsStream<Socket>,
    address: SocketAddr,
    hello: Hello,
}

impl Greeted {
    fn connection(self, endpoint: &Endpoint, peer: PeerId, slot: Slot) -> Connection {
        endpoint.counts.dialed.add();
        Connection::new(endpoint, self.stream, (peer, self.address, Direction::Dialed), self.hello, slot)
    }
}

async fn greet(endpoint: &Endpoint, address: SocketAddr, expected: PeerId) -> Result<Greeted, DialError> {
    let Limits { connect_timeout, handshake_timeout, .. } = *endpoint.limits();
    let connecting = timeout(connect_timeout, TcpStream::connect(address)).await;
    let connected = connecting.map_err(|_| DialError::TimedOut { address, doing: "connecting" })?;
    let socket = connected.map_err(|source| DialError::Connect { address, source })?;
    let broken = |source| broken(address, expected, source);
    let greeting = async {
        let socket = connection::prepare(socket, endpoint.limits()).map_err(broken)?;
        let config = endpoint.identity.client(expected).map_err(|error| broken(io::Error::other(error)))?;
        // It is not sent: a peer is known by its id.
        let name = ServerName::from(address.ip());
        let stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await.map_err(broken)?;
        let mut stream = TlsStream::from(stream);
        match greeting::greet(endpoint, &mut stream, Direction::Dialed).await {
            Ok((_, hello)) => Ok(Greeted { stream, address, hello }),
            Err(greeting::Bad::Broken(source)) => Err(broken(source)),
            Err(greeting::Bad::Oneself) => Err(DialError::Oneself(expected)),
            Err(greeting::Bad::Stranger(peer)) => {
                endpoint.counts.strangers.add();
                Err(DialError::Stranger { address, peer })
            }
        }
    };
    // TLS in the middle of its handshake is large.
    let greeted = timeout(handshake_timeout, Box::pin(greeting)).await;
    greeted.map_err(|_| DialError::TimedOut { address, doing: "greeting" })?
}

fn broken(address: SocketAddr, expected: PeerId, source: io::Error) -> DialError {
    let cause = source.get_ref().and_then(|cause| cause.downcast_ref());
    match cause {
        Some(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)) => {
            DialError::WrongPeer { address, expected }
        }
        _ => DialError::Handshake { address, source },
    }
}
