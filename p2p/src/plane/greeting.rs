use std::io;

use libp2p_identity::PeerId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsStream;

use super::{Direction, Endpoint, FleetKey, connection::Socket, identity::peer_of};
use crate::{
    locality::Locality,
    wire::{Frame, HEAD_BYTES, Head, Hello, Kind},
};

/// What the value is for that is bound to one TLS session (RFC 8446, section 7.5).
const EXPORTER_LABEL: &[u8] = b"EXPORTER-longshore-swarm-fleet-v1";

/// How a greeting ends badly.
#[derive(Debug)]
pub(super) enum Bad {
    /// The connection broke, or something else than a greeting came.
    Broken(io::Error),
    /// The other end is not of the fleet.
    Stranger(PeerId),
    /// The other end is this node.
    Oneself,
}

impl From<io::Error> for Bad {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// Greets, and is greeted. Who has made the connection begins, and first proves no more than that it is of the fleet. So neither end tells
/// where it is to who has not proven that.
pub(super) async fn greet(
    endpoint: &Endpoint,
    stream: &mut TlsStream<Socket>,
    direction: Direction,
) -> Result<(PeerId, Hello), Bad> {
    let peer = peer_of(stream.get_ref().1.peer_certificates()).map_err(io::Error::other)?;
    let value = match &*stream {
        TlsStream::Client(stream) => stream.get_ref().1.export_keying_material([0; 32], EXPORTER_LABEL, None),
        TlsStream::Server(stream) => stream.get_ref().1.export_keying_material([0; 32], EXPORTER_LABEL, None),
    };
    let value = value.map_err(io::Error::other)?;
    if peer == endpoint.id() {
        return Err(Bad::Oneself);
    }
    let own = Hello { proof: endpoint.fleet.as_ref().map(|fleet| fleet.prove(&value, direction)), ..endpoint.own() };
    if direction == Direction::Dialed {
        write(stream, Hello { locality: Locality::default(), addresses: Vec::new(), ..own.clone() }).await?;
    }
    let mut hello = read(stream).await?;
    let is_of_the_fleet = |fleet: &FleetKey| fleet.is_proven(&value, direction.other(), hello.proof.as_ref());
    if !endpoint.fleet.as_ref().is_none_or(is_of_the_fleet) {
        return Err(Bad::Stranger(peer));
    }
    write(stream, own).await?;
    if direction == Direction::Accepted {
        hello = read(stream).await?;
    }
    Ok((peer, hello))
}

async fn write(stream: &mut TlsStream<Socket>, hello: Hello) -> io::Result<()> {
    let mut bytes = Vec::new();
    Frame::Hello(hello).encode(&mut bytes).expect("it could be said when the endpoint was told it");
    stream.write_all(&bytes).await?;
    stream.flush().await
}

/// Reads a greeting, and nothing past it.
async fn read(stream: &mut TlsStream<Socket>) -> io::Result<Hello> {
    let mut head = [0; HEAD_BYTES];
    stream.read_exact(&mut head).await?;
    let Head::Known { kind: Kind::Hello, body_bytes } = Head::decode(head).map_err(io::Error::other)? else {
        return Err(io::Error::other("there was no greeting"));
    };
    let mut body = vec![0; body_bytes];
    stream.read_exact(&mut body).await?;
    match Frame::decode(Kind::Hello, &body).map_err(io::Error::other)? {
        Frame::Hello(hello) => Ok(hello),
        _ => unreachable!("the kind says what it is"),
    }
}
