use std::{net::SocketAddr, sync::Arc};

use libp2p_identity::PeerId;
use tokio::{
    io::{self, BufReader},
    net::TcpStream,
};
use tokio_rustls::TlsStream;

use super::{Endpoint, Limits, Reader, Sender, Writer, guests::Slot, link::Link, writer::Outgoing};
use crate::{locality::Locality, record::PeerRecord, wire::Hello};

/// What TLS runs over: it reads in small bites by itself.
pub(super) type Socket = BufReader<TcpStream>;

/// The most that TLS keeps of what is written until the socket takes it, in bytes: a block, and what goes before it.
const TLS_BUFFER_BYTES: usize = 128 << 10;

/// Makes a socket ready for TLS.
pub(super) fn prepare(socket: TcpStream, limits: &Limits) -> io::Result<Socket> {
    socket.set_nodelay(true)?;
    // Where the system can't do that, more of what nobody wants any more is sent.
    #[cfg(target_os = "linux")]
    if let Err(error) = socket2::SockRef::from(&socket).set_tcp_notsent_lowat(limits.unsent_bytes) {
        tracing::debug!(error = &error as &dyn std::error::Error, "the system takes more to send than it is asked to");
    }
    Ok(BufReader::with_capacity(limits.read_buffer_bytes, socket))
}

/// A connection to a peer that has greeted.
#[derive(Debug)]
pub struct Connection {
    /// Who is at its other end.
    pub peer: Peer,
    /// Says things to the peer.
    pub sender: Sender,
    /// What the peer says.
    pub reader: Reader,
    /// What writes, and has to be run.
    pub writer: Writer,
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Peer {
    /// Its id, proven.
    pub id: PeerId,
    /// The address at the other end of the socket.
    pub remote: SocketAddr,
    /// Who made the connection.
    pub direction: Direction,
    /// The version that both go by.
    pub version: u16,
    /// Where it says it is.
    pub locality: Locality,
    /// Where it says it takes connections.
    pub addresses: Vec<SocketAddr>,
}

/// Who made a connection.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Direction {
    /// This end.
    Dialed,
    /// The other.
    Accepted,
}

impl Direction {
    /// As the other end sees it.
    pub(super) fn other(self) -> Self {
        match self {
            Self::Dialed => Self::Accepted,
            Self::Accepted => Self::Dialed,
        }
    }
}

impl Peer {
    /// The peer as others can be told of it: where it can be dialed, as it was met at its end of the socket.
    pub fn record(&self) -> PeerRecord {
        let (pieces, locality) = (self.addresses.clone(), self.locality.clone());
        PeerRecord { peer: self.id, pieces, locality }.as_reached(self.remote.ip())
    }
}

impl Connection {
    pub(super) fn new(
        endpoint: &Endpoint,
        mut stream: TlsStream<Socket>,
        who: (PeerId, SocketAddr, Direction),
        hello: Hello,
        slot: Slot,
    ) -> Self {
        let (id, remote, direction) = who;
        match &mut stream {
            TlsStream::Client(stream) => stream.get_mut().1.set_buffer_limit(Some(TLS_BUFFER_BYTES)),
            TlsStream::Server(stream) => stream.get_mut().1.set_buffer_limit(Some(TLS_BUFFER_BYTES)),
        }
        let Hello { version, locality, addresses, proof: _ } = hello;
        let peer = Peer { id, remote, direction, version: version.min(endpoint.own().version), locality, addresses };
        let (read, write) = io::split(stream);
        let link = Arc::new(Link::new(*endpoint.limits(), endpoint.metainfo_room()));
        if direction == Direction::Accepted {
            endpoint.guests.add(id, &link);
        }
        let slot = Arc::new(slot);
        let (sender, queues) = Sender::new(link.clone());
        let reader = Reader::new(link.clone(), slot.clone(), read, sender.answers());
        let writer = Writer::new(link, slot, Outgoing { stream: write, queues });
        Self { peer, sender, reader, writer }
    }
}
