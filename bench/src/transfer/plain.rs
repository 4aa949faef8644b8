//! Over TLS and TCP alone.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use longshore_oci::piece::PIECE_BYTES;
use longshore_p2p::plane::cipher_suites;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{PrivatePkcs8KeyDer, ServerName},
    version::TLS13,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{Content, PIECES, PIPELINE, failed};
use crate::error::BenchError;

pub(super) async fn move_pieces(content: &Content, count: u32, is_tls: bool) -> Result<Duration, BenchError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(BenchError::io("listen"))?;
    let address = listener.local_addr().map_err(BenchError::io("listen"))?;
    let (server, client) = configurations()?;
    let pieces = content.pieces.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        if is_tls {
            let stream = TlsAcceptor::from(server).accept(socket).await?;
            serve(stream, &pieces).await
        } else {
            serve(socket, &pieces).await
        }
    });
    let socket = TcpStream::connect(address).await.map_err(BenchError::io("connect"))?;
    socket.set_nodelay(true).map_err(BenchError::io("connect"))?;
    if is_tls {
        let name = ServerName::try_from("localhost").map_err(failed("name the server"))?;
        let stream = TlsConnector::from(client).connect(name, socket).await.map_err(BenchError::io("shake hands"))?;
        fetch(stream, count).await.map_err(BenchError::io("move pieces"))
    } else {
        fetch(socket, count).await.map_err(BenchError::io("move pieces"))
    }
}

/// TLS 1.3 with the suites of the connections that pieces travel on.
fn configurations() -> Result<(Arc<ServerConfig>, Arc<ClientConfig>), BenchError> {
    let provider = Arc::new(CryptoProvider { cipher_suites: cipher_suites(), ..ring::default_provider() });
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(failed("make a certificate"))?;
    let (certificate, key) = (certified.cert.der().clone(), certified.signing_key.serialize_der());
    let server = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[&TLS13]);
    let server = server.map_err(failed("configure TLS"))?.with_no_client_auth();
    let server = server.with_single_cert(vec![certificate.clone()], PrivatePkcs8KeyDer::from(key).into());
    let mut roots = RootCertStore::empty();
    roots.add(certificate).map_err(failed("trust a certificate"))?;
    let client = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13]);
    let client = client.map_err(failed("configure TLS"))?.with_root_certificates(roots).with_no_client_auth();
    Ok((Arc::new(server.map_err(failed("configure TLS"))?), Arc::new(client)))
}

/// Answers numbers of pieces with their bytes, until the connection ends.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, pieces: &[Bytes]) -> std::io::Result<()> {
    while let Ok(number) = stream.read_u32_le().await {
        let piece = usize::try_from(number).ok().and_then(|at| pieces.get(at));
        let Some(piece) = piece else { break };
        stream.write_all(piece).await?;
        stream.flush().await?;
    }
    Ok(())
}

async fn fetch(mut stream: impl AsyncRead + AsyncWrite + Unpin, count: u32) -> std::io::Result<Duration> {
    let began = Instant::now();
    let pipeline = u32::try_from(PIPELINE).unwrap_or(u32::MAX);
    let (mut asked, mut came) = (0, 0);
    while came < count {
        while asked < count && asked - came < pipeline {
            stream.write_u32_le(asked % PIECES).await?;
            asked += 1;
        }
        stream.flush().await?;
        // Memory of its own for each, as whoever gets a piece has.
        let mut piece = vec![0; usize::try_from(PIECE_BYTES).expect("a piece fits into memory")];
        stream.read_exact(&mut piece).await?;
        came += 1;
    }
    Ok(began.elapsed())
}
