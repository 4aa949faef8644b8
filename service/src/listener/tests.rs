//! A real listener on loopback, with clients that are slow, silent, patient or gone.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::metrics::{ConnectionMetrics, HttpMetrics, Metrics};

type Body = UnsyncBoxBody<Bytes, Infallible>;

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const SOON: Duration = Duration::from_secs(10);

struct Server {
    address: SocketAddr,
    shutdown: CancellationToken,
    release: Arc<Notify>,
    serving: JoinHandle<Drained>,
    metrics: ConnectionMetrics,
}

/// Serves `/` at once, `/held` when released, and `/endless` for ever.
async fn serve(limits: Limits, certificates: Option<Certificates>) -> Server {
    let metrics = HttpMetrics::new(&Metrics::new(), &["test"]).connections;
    let listener = Listener::bind(LOOPBACK, certificates, false, limits).await.expect("a free port");
    let listener = listener.counted_in(metrics.clone());
    let (address, shutdown, release) = (listener.address(), CancellationToken::new(), Arc::new(Notify::new()));
    let released = Arc::clone(&release);
    let handler = move |request: Request<Incoming>, info: ConnectionInfo| {
        let released = Arc::clone(&released);
        async move {
            if request.uri().path() == "/held" {
                released.notified().await;
            }
            if request.uri().path() == "/endless" {
                let frame = || Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[7; 8192])));
                let frames = futures_util::stream::repeat_with(frame);
                return Response::new(StreamBody::new(frames).boxed_unsync());
            }
            let text = format!("{:?} tls={}", request.version(), info.tls);
            Response::new(Full::from(text).boxed_unsync() as Body)
        }
    };
    let serving = tokio::spawn(listener.serve(handler, shutdown.clone()));
    Server { address, shutdown, release, serving, metrics }
}

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.address).await.expect("a connection")
}

/// Sends one HTTP/1.1 request and reads until `expected` was seen or the connection ended.
async fn ask(stream: &mut TcpStream, path: &str, expected: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("a request sent");
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains(expected) {
        if stream.read_buf(&mut answer).await.expect("an answer") == 0 {
            break;
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Waits for the server to close the connection, and says how long that took.
async fn closed_after(stream: &mut TcpStream) -> Duration {
    let began = Instant::now();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(SOON, stream.read_to_end(&mut rest)).await;
    // A reset is an end too.
    let _ = ended.expect("the server closes the connection");
    began.elapsed()
}

#[tokio::test]
async fn serves_http1_and_http2_on_one_plain_port() {
    let server = serve(Limits::default(), None).await;
    let answer = ask(&mut connect(&server).await, "/", "tls=").await;
    assert!(answer.contains("HTTP/1.1 tls=false"), "{answer}");
    let io = TokioIo::new(connect(&server).await);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("prior knowledge");
    tokio::spawn(connection);
    let request = Request::get("http://x/").body(Empty::<Bytes>::new()).expect("a request");
    let answer = sender.send_request(request).await.expect("an answer");
    let text = answer.into_body().collect().await.expect("a body").to_bytes();
    assert_eq!(text, "HTTP/2.0 tls=false");
}

#[tokio::test]
async fn a_silent_a_trickling_and_an_idle_client_are_closed_but_not_a_waiting_one() {
    let limits =
        Limits { header_timeout: Duration::from_millis(200), idle_timeout: Duration::from_millis(600), ..Limits::default() };
    let server = serve(limits, None).await;
    let (mut silent, mut trickling, mut idle, mut waiting) =
        (connect(&server).await, connect(&server).await, connect(&server).await, connect(&server).await);
    trickling.write_all(b"GET / HT").await.expect("half a head");
    ask(&mut idle, "/", "tls=").await;
    let waiter = tokio::spawn(async move { ask(&mut waiting, "/held", "tls=").await });
    let (silent, trickling, idle) =
        tokio::join!(closed_after(&mut silent), closed_after(&mut trickling), closed_after(&mut idle));
    assert!(silent < idle && trickling < idle, "{silent:?} {trickling:?} {idle:?}");
    assert!(idle >= Duration::from_millis(500), "closed after {idle:?} of idling");
    server.release.notify_one();
    assert!(waiter.await.expect("no panic").contains("tls=false"));
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut() {
    let limits = Limits { stall_timeout: Duration::from_millis(200), ..Limits::default() };
    let server = serve(limits, None).await;
    let mut stream = connect(&server).await;
    ask(&mut stream, "/endless", "200 OK").await;
    server.shutdown.cancel();
    let drained = tokio::time::timeout(SOON, server.serving).await.expect("the stalled client is cut");
    assert_eq!(drained.expect("no panic"), Drained::Finished);
    assert_eq!((server.metrics.cut.get(), server.metrics.open.get()), (1, 0));
}

#[tokio::test]
async fn over_the_limit_a_connection_waits_for_another_to_close() {
    let server = serve(Limits { max_connections: 1, ..Limits::default() }, None).await;
    let mut first = connect(&server).await;
    ask(&mut first, "/", "tls=").await;
    let mut second = connect(&server).await;
    let mut answered = tokio::spawn(async move { ask(&mut second, "/", "tls=").await });
    let early = tokio::time::timeout(Duration::from_millis(200), &mut answered).await;
    assert!(early.is_err(), "the second connection was served over the limit");
    drop(first);
    assert!(answered.await.expect("no panic").contains("tls=false"));
}

#[tokio::test]
async fn a_drain_lets_a_running_request_finish_and_closes_idle_ones() {
    let server = serve(Limits::default(), None).await;
    let (mut idle, mut running) = (connect(&server).await, connect(&server).await);
    ask(&mut idle, "/", "tls=").await;
    let request = tokio::spawn(async move { ask(&mut running, "/held", "tls=").await });
    ask(&mut connect(&server).await, "/", "tls=").await;
    server.shutdown.cancel();
    assert!(closed_after(&mut idle).await < SOON);
    assert!(TcpStream::connect(server.address).await.is_err(), "a draining listener accepts");
    assert!(!server.serving.is_finished());
    server.release.notify_one();
    assert!(request.await.expect("no panic").contains("200 OK"));
    assert_eq!(server.serving.await.expect("no panic"), Drained::Finished);
}

#[tokio::test]
async fn a_drain_cuts_what_does_not_finish_in_time() {
    let server = serve(Limits { drain_timeout: Duration::from_millis(100), ..Limits::default() }, None).await;
    let (mut probe, mut running) = (connect(&server).await, connect(&server).await);
    running.write_all(b"GET /held HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("a request sent");
    ask(&mut probe, "/", "tls=").await;
    server.shutdown.cancel();
    assert_eq!(server.serving.await.expect("no panic"), Drained::Cut(1));
    assert!(closed_after(&mut running).await < SOON);
}

#[tokio::test]
async fn plain_http_stays_on_loopback_unless_allowed() {
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let refused = Listener::bind(everywhere, None, false, Limits::default()).await.expect_err("it is not loopback");
    assert!(matches!(refused, BindError::PlainHttp { .. }), "{refused}");
    Listener::bind(LOOPBACK, None, false, Limits::default()).await.expect("loopback needs no leave");
}

mod clients;

mod tls {
    //! A real TLS client that trusts one certificate and looks at which it is shown.

    use std::path::PathBuf;

    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, RootCertStore};
    use tempfile::TempDir;
    use tokio_rustls::TlsConnector;

    use super::*;

    struct Pair {
        certificate: rcgen::Certificate,
        key: rcgen::KeyPair,
    }

    impl Pair {
        fn new() -> Self {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
            Self { certificate: made.cert, key: made.signing_key }
        }
    }

    struct Files {
        _folder: TempDir,
        certificate: PathBuf,
        key: PathBuf,
    }

    impl Files {
        fn with(pair: &Pair) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let files = Self { certificate: folder.path().join("tls.crt"), key: folder.path().join("tls.key"), _folder: folder };
            files.write(pair);
            files
        }

        fn write(&self, pair: &Pair) {
            std::fs::write(&self.certificate, pair.certificate.pem()).expect("a file");
            std::fs::write(&self.key, pair.key.serialize_pem()).expect("a file");
        }
    }

    /// The protocol agreed on with a server that presents `pair`, or the error with any other.
    async fn shake(address: SocketAddr, pair: &Pair) -> std::io::Result<Vec<u8>> {
        let mut roots = RootCertStore::empty();
        roots.add(pair.certificate.der().clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let tcp = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        Ok(stream.get_ref().1.alpn_protocol().unwrap_or_default().to_vec())
    }

    async fn shakes_soon(address: SocketAddr, pair: &Pair) -> bool {
        let began = Instant::now();
        while began.elapsed() < SOON {
            if shake(address, pair).await.is_ok() {
                return true;
            }
        }
        false
    }

    #[tokio::test]
    async fn a_changed_certificate_is_taken_up_and_a_broken_one_is_not() {
        let (first, second) = (Pair::new(), Pair::new());
        let files = Files::with(&first);
        let certificates = Certificates::read(&files.certificate, &files.key, None).expect("a good pair");
        let server = serve(Limits::default(), Some(certificates.clone())).await;
        tokio::spawn(certificates.watch(Duration::from_millis(10), server.shutdown.clone()));
        assert_eq!(shake(server.address, &first).await.expect("the first is shown"), b"h2");
        assert!(shake(server.address, &second).await.is_err());

        // Half written: the second's certificate with the first's key. The first stays in force.
        std::fs::write(&files.certificate, second.certificate.pem()).expect("a file");
        let until = Instant::now() + Duration::from_millis(100);
        while Instant::now() < until {
            shake(server.address, &first).await.expect("the old pair stays in force");
        }
        files.write(&second);
        assert!(shakes_soon(server.address, &second).await, "the second was never taken up");
        assert!(shake(server.address, &first).await.is_err());
    }

    #[tokio::test]
    async fn a_pair_that_does_not_match_is_refused_at_start() {
        let (first, second) = (Pair::new(), Pair::new());
        let files = Files::with(&first);
        std::fs::write(&files.key, second.key.serialize_pem()).expect("a file");
        let refused = Certificates::read(&files.certificate, &files.key, None).expect_err("they do not match");
        assert!(matches!(refused, TlsError::Unusable { .. }), "{refused}");
        std::fs::write(&files.key, "nothing").expect("a file");
        let refused = Certificates::read(&files.certificate, &files.key, None).expect_err("it is no key");
        assert!(matches!(refused, TlsError::NotPem { .. }), "{refused}");
    }

    #[tokio::test]
    async fn a_client_that_never_shakes_hands_is_cut() {
        let files = Files::with(&Pair::new());
        let certificates = Certificates::read(&files.certificate, &files.key, None).expect("a good pair");
        let limits = Limits { handshake_timeout: Duration::from_millis(50), ..Limits::default() };
        let server = serve(limits, Some(certificates)).await;
        assert!(closed_after(&mut connect(&server).await).await < SOON);
    }
}
