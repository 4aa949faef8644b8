//! Where a daemon is reached: by its clients, and by whoever looks after it.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Buf;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::config::Listen;
use crate::listener::{self, BindError, Certificates, ConnectionInfo, Listener};
use crate::metrics::ConnectionMetrics;

/// How often the certificate's files are looked at.
const CERTIFICATES_PERIOD: Duration = Duration::from_secs(2);
/// How long what was cut off at the drain's end may take to note where it stood.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

/// A daemon's listeners, with their addresses taken.
pub struct Doors {
    listener: Listener,
    certificates: Option<Certificates>,
    admin: Option<Listener>,
    drain_timeout: Duration,
}

/// How a daemon stopped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Drained {
    /// Everything that ran was finished.
    Clean,
    /// Some of it was cut off.
    TimedOut,
}

/// The admin listener at work, until this is dropped.
pub struct ServedAdmin {
    _stop: DropGuard,
    _serving: AbortOnDropHandle<listener::Drained>,
}

impl Doors {
    /// Takes the addresses; `certificates` are what [`Listen::certificates`] gave.
    pub async fn open(listen: &Listen, certificates: Option<Certificates>) -> Result<Self, BindError> {
        let (listener, admin) = listen.bind(certificates.clone()).await?;
        Ok(Self { listener, certificates, admin, drain_timeout: listen.drain_timeout.get() })
    }

    /// The same, whose clients' connections are counted in these.
    #[must_use]
    pub fn counted_in(self, metrics: ConnectionMetrics) -> Self {
        Self { listener: self.listener.counted_in(metrics), ..self }
    }

    /// Where the daemon listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// The daemon's URL.
    pub fn url(&self) -> String {
        self.listener.url()
    }

    /// Where health and metrics are, if anywhere.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(Listener::address)
    }

    /// Serves whoever looks after the daemon, where there is a listener for that; once. As [`Listener::serve`].
    pub fn serve_admin<H, F, B>(&mut self, handler: H) -> Option<ServedAdmin>
    where
        H: Fn(Request<Incoming>, ConnectionInfo) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data: Buf + Send, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin + Send + 'static,
    {
        let listener = self.admin.take()?;
        let stop = CancellationToken::new();
        let serving = tokio::spawn(listener.serve(handler, stop.clone()));
        Some(ServedAdmin { _stop: stop.drop_guard(), _serving: AbortOnDropHandle::new(serving) })
    }

    /// Serves clients until `shutdown` is cancelled, then lets their requests finish, and of `tasks` what these began, within the drain's
    /// limit. As [`Listener::serve`].
    pub async fn serve<H, F, B>(self, handler: H, tasks: &TaskTracker, shutdown: CancellationToken) -> Drained
    where
        H: Fn(Request<Incoming>, ConnectionInfo) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data: Buf + Send, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin + Send + 'static,
    {
        if let Some(certificates) = self.certificates {
            tokio::spawn(certificates.watch(CERTIFICATES_PERIOD, shutdown.clone()));
        }
        let told = async {
            shutdown.cancelled().await;
            Instant::now()
        };
        let (drained, begun) = tokio::join!(self.listener.serve(handler, shutdown.clone()), told);
        tasks.close();
        let settle = self.drain_timeout.saturating_sub(begun.elapsed()).max(SETTLE_TIMEOUT);
        let is_settled = tokio::time::timeout(settle, tasks.wait()).await.is_ok();
        if is_settled && drained == listener::Drained::Finished { Drained::Clean } else { Drained::TimedOut }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, ready};

    use super::*;

    /// Doors on loopback, and what they are told.
    async fn opened() -> (Doors, TaskTracker, CancellationToken) {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listen = Listen { address: any, admin_address: Some(any), ..Listen::on(1) };
        (Doors::open(&listen, None).await.expect("loopback has free ports"), TaskTracker::new(), CancellationToken::new())
    }

    /// Answers all with nothing.
    fn answers() -> impl Fn(Request<Incoming>, ConnectionInfo) -> Ready<Response<String>> + Clone + Send + Sync + 'static {
        |_, _| ready(Response::new(String::new()))
    }

    #[tokio::test]
    async fn what_requests_began_is_waited_for() {
        let (doors, tasks, shutdown) = opened().await;
        shutdown.cancel();
        tasks.spawn(tokio::time::sleep(Duration::from_millis(20)));
        assert_eq!(doors.serve(answers(), &tasks, shutdown).await, Drained::Clean);
        assert!(tasks.is_empty());
    }

    #[tokio::test]
    async fn the_admin_listener_is_there_until_it_is_let_go() {
        let (mut doors, ..) = opened().await;
        let address = doors.admin_address().expect("it has one");
        let served = doors.serve_admin(answers());
        assert!(served.is_some() && doors.admin_address().is_none());
        tokio::net::TcpStream::connect(address).await.expect("it listens");
        drop(served);
        let closed = async {
            while tokio::net::TcpStream::connect(address).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), closed).await.expect("nobody listens any more");
    }
}
