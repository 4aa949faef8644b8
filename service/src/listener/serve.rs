//! Accepting connections, and ending them all.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::TokioExecutor;
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::bind::{Listener, Parts};
use super::client_certificate::{self, ClientCertificate};
use super::connection::{self, Ended, Endings};
use super::{Certificates, ConnectionInfo, Limits};
use crate::metrics::ConnectionMetrics;

/// How long to wait after an accept that failed for want of file descriptors or memory, so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a client whose handshake failed has to read why.
const FAREWELL: Duration = Duration::from_secs(1);
/// The most that is read of it meanwhile, in bytes.
const FAREWELL_BYTES: u64 = 64 << 10;

/// How a listener's drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every connection finished.
    Finished,
    /// So many connections were still open at the limit, and were cut.
    Cut(usize),
}

/// What every connection of one listener gets.
struct Common<H> {
    handler: H,
    protocols: Builder<TokioExecutor>,
    limits: Limits,
    endings: Endings,
    certificates: Option<Certificates>,
    metrics: Option<ConnectionMetrics>,
}

/// A connection that counts as open for as long as it lives, even where its task panics.
struct Counted {
    metrics: Option<ConnectionMetrics>,
    _permit: OwnedSemaphorePermit,
}

impl Counted {
    fn new(metrics: Option<ConnectionMetrics>, permit: OwnedSemaphorePermit) -> Self {
        if let Some(metrics) = &metrics {
            metrics.open.inc();
        }
        Self { metrics, _permit: permit }
    }

    fn note(&self, ended: Ended) {
        if let (Ended::Cut, Some(metrics)) = (ended, &self.metrics) {
            metrics.cut.inc();
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(metrics) = &self.metrics {
            metrics.open.dec();
        }
    }
}

impl Listener {
    /// Serves until `shutdown` is cancelled, then drains: accepts no more, lets what runs finish within
    /// `limits.drain_timeout`, and cuts the rest.
    ///
    /// `handler` is cloned for each connection and called for each request. A panic in it closes its connection only.
    pub async fn serve<H, F, B>(self, handler: H, shutdown: CancellationToken) -> Drained
    where
        H: Fn(Request<Incoming>, ConnectionInfo) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data: Buf + Send, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin + Send + 'static,
    {
        let Parts { tcp, certificates, limits, metrics } = self.into_parts();
        let most = u32::try_from(limits.max_connections.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        let open = Arc::new(Semaphore::new(most as usize));
        let endings = Endings { drain: shutdown.clone(), cut: CancellationToken::new() };
        let protocols = connection::protocols();
        let common = Arc::new(Common { handler, protocols, limits, endings, certificates, metrics });
        let accepting = async {
            loop {
                // The permit comes first: over the limit nothing is accepted, and clients wait in the kernel's backlog.
                let Ok(permit) = Arc::clone(&open).acquire_owned().await else {
                    return;
                };
                match tcp.accept().await {
                    Ok((stream, peer)) => common.spawn(stream, peer, permit),
                    Err(error) => pause_after(&error).await,
                }
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = accepting => {}
        }
        drop(tcp);
        let all_closed = tokio::time::timeout(limits.drain_timeout, open.acquire_many(most)).await.is_ok();
        if all_closed {
            return Drained::Finished;
        }
        let left = most as usize - open.available_permits();
        common.endings.cut.cancel();
        Drained::Cut(left)
    }
}

impl<H, F, B> Common<H>
where
    H: Fn(Request<Incoming>, ConnectionInfo) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data: Buf + Send, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin + Send + 'static,
{
    fn spawn(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, permit: OwnedSemaphorePermit) {
        let common = Arc::clone(self);
        let counted = Counted::new(self.metrics.clone(), permit);
        tokio::spawn(async move {
            counted.note(common.run(stream, peer).await);
        });
    }

    async fn run(&self, stream: TcpStream, peer: SocketAddr) -> Ended {
        // Nagle's algorithm would hold a small answer back until the client acknowledges the one before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "the connection was gone before it was served");
            return Ended::Over;
        }
        let mut info = ConnectionInfo { peer, tls: self.certificates.is_some(), certificate: None };
        let (handler, protocols) = (self.handler.clone(), self.protocols.clone());
        let (limits, endings) = (self.limits, self.endings.clone());
        let Some(certificates) = &self.certificates else {
            return connection::run(stream, info, handler, protocols, limits, endings).await;
        };
        let accepting = certificates.acceptor().accept(stream).into_fallible();
        let handshake = tokio::time::timeout(limits.handshake_timeout, accepting);
        tokio::select! {
            shaken = handshake => match shaken {
                Ok(Ok(stream)) => {
                    let chain = stream.get_ref().1.peer_certificates();
                    info.certificate = chain.and_then(|chain| ClientCertificate::new(chain, certificates));
                    return connection::run(stream, info, handler, protocols, limits, endings).await;
                }
                Ok(Err((error, stream))) => {
                    if let Some(reason) = client_certificate::refused(&error) {
                        tracing::info!(%peer, %reason, "a client's certificate was not accepted, or is missing");
                    } else {
                        tracing::debug!(%peer, %error, "the TLS handshake failed");
                    }
                    take_leave(stream).await;
                }
                Err(_) => tracing::debug!(%peer, "the TLS handshake took too long"),
            },
            () = endings.drain.cancelled() => {}
        }
        Ended::Over
    }
}

/// Ends a connection so that its client reads what was written last: were it closed with something of the client's unread, the kernel
/// would take that back.
async fn take_leave(mut stream: TcpStream) {
    let leaving = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(FAREWELL_BYTES), &mut tokio::io::sink()).await
    };
    tokio::time::timeout(FAREWELL, leaving).await.ok();
}

/// Waits where the machine is short of something; a client that gave up before it was accepted is no reason to.
async fn pause_after(error: &io::Error) {
    let client_left =
        matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted);
    if !client_left {
        tracing::warn!(%error, "cannot accept a connection");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}
