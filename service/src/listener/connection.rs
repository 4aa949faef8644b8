//! One connection, from its first byte to its close.

use std::convert::Infallible;
use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use http::{Request, Response, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::activity::{Activity, Verdict, tick};
use super::socket::Socket;
use super::tracked::{Running, Tracked};
use super::{ClientCertificate, ConnectionInfo, Limits};

/// The most that HTTP/1 buffers of one connection in each direction, in bytes; with the limit on connections it bounds memory.
const HTTP1_BUFFER_BYTES: usize = 64 * 1024;
/// Streams that one HTTP/2 connection may have open.
const HTTP2_STREAMS: u32 = 128;
/// The most that the headers of one HTTP/2 request may hold, in bytes.
const HTTP2_HEADER_BYTES: u32 = 64 * 1024;

/// The signals that end connections.
#[derive(Clone, Debug)]
pub(super) struct Endings {
    /// Finish what runs, take nothing new.
    pub drain: CancellationToken,
    /// Close now.
    pub cut: CancellationToken,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ended {
    /// Its client or the listener had done with it.
    Over,
    /// Its client kept it waiting for longer than a limit.
    Cut,
}

/// The protocols' settings, the same for every connection of a listener.
pub(super) fn protocols() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // hyper's own head timeout would run between requests too, so the idle limit could not be longer; ours does not.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(HTTP1_BUFFER_BYTES);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(HTTP2_STREAMS).max_header_list_size(HTTP2_HEADER_BYTES);
    builder
}

/// Serves one connection until it ends, a limit is overrun, or the listener does.
pub(super) async fn run<S, H, F, B>(
    stream: S,
    info: ConnectionInfo,
    handler: H,
    protocols: Builder<TokioExecutor>,
    limits: Limits,
    endings: Endings,
) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Incoming>, ConnectionInfo) -> F + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data: Buf + Send, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::new());
    let of_requests = Arc::clone(&activity);
    let (peer, certificate) = (info.peer, info.certificate.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let running = Running::begin(&of_requests, request.version() == Version::HTTP_2);
        let answer = handler(request, info.clone());
        async move { Ok::<_, Infallible>(answer.await.map(|body| Tracked::new(body, running))) }
    });
    let io = TokioIo::new(Socket::new(stream, Arc::clone(&activity)));
    let mut connection = pin!(protocols.serve_connection(io, service));
    let period = tick(&limits);
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut closing = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "the connection ended with an error");
                }
                return Ended::Over;
            }
            () = endings.drain.cancelled(), if !closing => {
                closing = true;
                connection.as_mut().graceful_shutdown();
            }
            () = endings.cut.cancelled() => return Ended::Over,
            _ = ticks.tick() => match activity.judge(&limits) {
                // Its client comes again, with the certificate that it has by then.
                Verdict::Keep if !closing && certificate.as_ref().is_some_and(|own| ends_soon(own, &activity, period)) => {
                    closing = true;
                    connection.as_mut().graceful_shutdown();
                }
                Verdict::Keep => {}
                Verdict::Close if closing => {}
                Verdict::Close => {
                    closing = true;
                    connection.as_mut().graceful_shutdown();
                }
                Verdict::Cut => {
                    tracing::debug!(%peer, "cut a connection that its client held without using it");
                    return Ended::Cut;
                }
            },
        }
    }
}

/// Whether a certificate is not to be good for long, so that no request comes to be refused for it. Who has just come is served first.
fn ends_soon(certificate: &ClientCertificate, activity: &Activity, period: Duration) -> bool {
    if activity.has_served() { certificate.ends_within(period + Duration::from_secs(1)) } else { certificate.check().is_err() }
}
