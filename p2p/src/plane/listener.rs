use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, TlsStream};

use super::{Connection, Direction, Endpoint, EndpointError, connection, greeting, guests::Slot};
use crate::network::Share;

/// How long nothing is accepted after the system has given no connection, as when it has no more files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Takes the connections that peers make. Who comes while there are too many is closed at once, and so is who can't greet right.
#[derive(Debug)]
pub struct Listener {
    endpoint: Arc<Endpoint>,
    socket: TcpListener,
    address: SocketAddr,
    greeting: JoinSet<Option<Connection>>,
}

impl Listener {
    /// Listens on an address.
    pub async fn bind(address: SocketAddr, endpoint: Arc<Endpoint>) -> Result<Self, EndpointError> {
        let failed = |source| EndpointError::Listen { address, source };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { endpoint, socket, address, greeting: JoinSet::new() })
    }

    /// The address that is listened on, with its port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next peer that has greeted. It may be given up while it is waited for. Peers only greet, and too many are only closed, while
    /// somebody waits here.
    pub async fn accept(&mut self) -> Connection {
        loop {
            tokio::select! {
                Some(greeted) = self.greeting.join_next() => {
                    if let Ok(Some(connection)) = greeted {
                        return connection;
                    }
                }
                arrived = self.socket.accept() => match arrived {
                    Ok((socket, remote)) => self.admit(socket, remote),
                    Err(error) => {
                        tracing::debug!(%error, "no connection for pieces could be accepted");
                        self.endpoint.counts.failed_accepts.add();
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }

    fn admit(&mut self, socket: TcpStream, remote: SocketAddr) {
        let endpoint = self.endpoint.clone();
        let slots = (endpoint.accepted.clone().try_acquire_owned(), endpoint.handshakes.clone().try_acquire_owned());
        let (Ok(slot), Ok(handshake)) = slots else {
            endpoint.counts.over_limit.add();
            return;
        };
        let (Some(share), Some(of_network)) = (endpoint.handshakes_of.take(remote.ip()), share_of(&endpoint, remote.ip())) else {
            endpoint.counts.over_limit.add();
            endpoint.counts.over_share.add();
            return;
        };
        let slot = Slot::new(slot, of_network);
        self.greeting.spawn(async move {
            let greeted = timeout(endpoint.limits().handshake_timeout, Box::pin(greet(&endpoint, socket, remote, slot))).await;
            drop((handshake, share));
            let counts = &endpoint.counts;
            match greeted {
                Ok(Ok(connection)) => {
                    counts.accepted.add();
                    return Some(connection);
                }
                Ok(Err(greeting::Bad::Stranger(peer))) => {
                    tracing::debug!(%peer, %remote, "a peer that is not of the fleet was cut");
                    counts.strangers.add();
                }
                Ok(Err(greeting::Bad::Broken(error))) => {
                    tracing::debug!(%remote, %error, "a peer broke off its greeting");
                    counts.failed_handshakes.add();
                }
                Ok(Err(greeting::Bad::Oneself)) | Err(_) => counts.failed_handshakes.add(),
            }
            None
        });
    }
}

/// The place of a connection among those of its network; `Some(None)` where these are not counted.
#[expect(clippy::option_option, reason = "that there is no place is something else than that none is needed")]
fn share_of(endpoint: &Endpoint, remote: IpAddr) -> Option<Option<Share>> {
    if remote.to_canonical().is_loopback() {
        return Some(None);
    }
    endpoint.accepted_of.take(remote).map(Some)
}

async fn greet(endpoint: &Endpoint, socket: TcpStream, remote: SocketAddr, slot: Slot) -> Result<Connection, greeting::Bad> {
    let socket = connection::prepare(socket, endpoint.limits())?;
    let stream = TlsAcceptor::from(endpoint.server.clone()).accept(socket).await?;
    let mut stream = TlsStream::from(stream);
    let (peer, hello) = greeting::greet(endpoint, &mut stream, Direction::Accepted).await?;
    Ok(Connection::new(endpoint, stream, (peer, remote, Direction::Accepted), hello, slot))
}

#[cfg(test)]
mod tests {
    use libp2p_identity::{Keypair, PeerId};

    use super::*;
    use crate::{
        locality::Locality,
        plane::{Connection, Limits, NodeKey, dial},
    };

    fn endpoint(limits: Limits) -> Arc<Endpoint> {
        Endpoint::new(&NodeKey::from(Keypair::generate_ed25519()), None, Locality::default(), limits).unwrap()
    }

    /// Somebody with a key of its own connects, as from an address.
    async fn connect(listener: &mut Listener, from: &str) -> Option<Connection> {
        let (address, own): (_, PeerId) = (listener.address, listener.endpoint.id());
        let dialing = tokio::spawn(async move { dial(&endpoint(Limits::default()), address, own).await });
        let (socket, _) = listener.socket.accept().await.unwrap();
        listener.admit(socket, from.parse().unwrap());
        let greeted = listener.greeting.join_next().await.map(|greeted| greeted.unwrap().unwrap());
        assert_eq!(dialing.await.unwrap().is_ok(), greeted.is_some());
        greeted
    }

    #[tokio::test]
    async fn one_network_has_its_share_of_connections_whatever_its_keys() {
        let own = endpoint(Limits { most_accepted_per_ip: 2, ..Limits::default() });
        let mut listener = Listener::bind(([127, 0, 0, 1], 0).into(), own.clone()).await.unwrap();
        let mut held = Vec::new();
        for from in ["[fd00::1]:1", "[fd00::2]:1", "10.0.0.1:1", "[::ffff:10.0.0.1]:2", "10.0.0.2:1"] {
            held.push(connect(&mut listener, from).await.expect(from));
        }
        for from in ["[fd00::3]:1", "10.0.0.1:3"] {
            assert!(connect(&mut listener, from).await.is_none(), "{from}");
        }
        assert_eq!((own.counts().over_limit(), own.counts().over_share(), own.connections().0), (2, 2, 5));
        // A half of a connection keeps its place, as among all.
        let Connection { reader, writer, .. } = held.remove(0);
        drop(reader);
        assert!(connect(&mut listener, "[fd00::3]:1").await.is_none());
        drop(writer);
        held.push(connect(&mut listener, "[fd00::3]:1").await.expect("there is room again"));
        // Many nodes on one machine are the operator's own.
        for from in ["127.0.0.1:1", "127.0.0.1:2", "[::ffff:127.0.0.1]:3", "[::1]:4", "[::1]:5", "[::1]:6"] {
            held.push(connect(&mut listener, from).await.expect(from));
        }
    }
}
