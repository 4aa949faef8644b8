use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::BufReader,
    net::{TcpListener, TcpStream},
    sync::OwnedSemaphorePermit,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, TlsStream};

use super::{Connection, Direction, Endpoint, EndpointError, greeting};

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
        let (Ok(slot), Ok(handshake), Some(share)) = (slots.0, slots.1, endpoint.handshakes_of.begin(remote.ip())) else {
            endpoint.counts.over_limit.add();
            return;
        };
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

async fn greet(
    endpoint: &Endpoint,
    socket: TcpStream,
    remote: SocketAddr,
    slot: OwnedSemaphorePermit,
) -> Result<Connection, greeting::Bad> {
    socket.set_nodelay(true)?;
    let socket = BufReader::with_capacity(endpoint.limits().read_buffer_bytes, socket);
    let stream = TlsAcceptor::from(endpoint.server.clone()).accept(socket).await?;
    let mut stream = TlsStream::from(stream);
    let (peer, hello) = greeting::greet(endpoint, &mut stream, Direction::Accepted).await?;
    Ok(Connection::new(endpoint, stream, (peer, remote, Direction::Accepted), hello, slot))
}
