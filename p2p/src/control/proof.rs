//! The proof of a closed fleet: before anything else is said on a connection both ends prove that they have the fleet's key.
//!
//! The proof is of a value of this very TLS session, so it is good on no other connection, and who stands in the middle has two sessions.

use std::io;

use futures_rustls::TlsStream;
use futures_util::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::plane::{Direction, FleetKey};

/// What the value is for that is bound to one TLS session (RFC 8446, section 7.5).
const EXPORTER_LABEL: &[u8] = b"EXPORTER-longshore-control-fleet-v1";

/// Gives this end's proof; `own` is whether it has made the connection or taken it.
pub(super) async fn give<C>(key: &FleetKey, stream: &mut TlsStream<C>, own: Direction) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    let proof = key.prove(&session(stream)?, own);
    stream.write_all(&proof).await?;
    stream.flush().await
}

/// Takes the other end's proof, and nothing past it. An error means that it is not of the fleet, or gone.
pub(super) async fn take<C>(key: &FleetKey, stream: &mut TlsStream<C>, others: Direction) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    let stranger = |kind| io::Error::new(kind, "the other end has not proven that it is of the fleet");
    let mut proof = [0; 32];
    stream.read_exact(&mut proof).await.map_err(|error| stranger(error.kind()))?;
    let is_proven = key.is_proven(&session(stream)?, others, Some(&proof));
    if is_proven { Ok(()) } else { Err(stranger(io::ErrorKind::PermissionDenied)) }
}

fn session<C>(stream: &TlsStream<C>) -> io::Result<[u8; 32]> {
    let value = match stream {
        TlsStream::Client(stream) => stream.get_ref().1.export_keying_material([0; 32], EXPORTER_LABEL, None),
        TlsStream::Server(stream) => stream.get_ref().1.export_keying_material([0; 32], EXPORTER_LABEL, None),
    };
    value.map_err(io::Error::other)
}
