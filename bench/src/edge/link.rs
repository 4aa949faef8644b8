//! A link to the upstream that is slower than the loopback.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;

use crate::error::BenchError;

/// What was not sent in the last moments may be sent at once, since a sleep ends late.
const CATCH_UP: Duration = Duration::from_millis(5);
const CHUNK_BYTES: usize = 64 * 1024;

/// Hands connections on to the upstream, from a thread of its own, and lets no more bytes come back than a link would.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Link {
    /// Opens one of so many bytes a second, for all its connections together.
    pub fn start(upstream: SocketAddr, bytes_per_second: u64) -> Result<Self, BenchError> {
        let listen = || {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?, listener))
        };
        let (address, listener) = listen().map_err(BenchError::io("open a link"))?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(BenchError::io("start the link"))?;
        let (stop, stopped) = oneshot::channel();
        let pace = Arc::new(Pace::new(bytes_per_second));
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    Err(error) = accept(listener, upstream, pace) => eprintln!("bench: the link ended: {error}"),
                }
            });
        });
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Its near end.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Its receiver is gone only if the thread is.
        let _ = self.stop.take().map(|stop| stop.send(()));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, upstream: SocketAddr, pace: Arc<Pace>) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (near, _) = listener.accept().await?;
        let pace = Arc::clone(&pace);
        tokio::spawn(async move {
            // Whoever is cut off sees it, and so is counted.
            let _ = hand_on(near, upstream, &pace).await;
        });
    }
}

/// Hands on both ways until one end is gone.
async fn hand_on(near: TcpStream, upstream: SocketAddr, pace: &Pace) -> std::io::Result<()> {
    let far = TcpStream::connect(upstream).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let ((mut from_near, to_near), (from_far, mut to_far)) = (near.into_split(), far.into_split());
    tokio::select! {
        asked = tokio::io::copy(&mut from_near, &mut to_far) => asked.map(|_| ()),
        answered = answer(from_far, to_near, pace) => answered,
    }
}

async fn answer(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, pace: &Pace) -> std::io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = from.read(&mut chunk).await?;
        if length == 0 {
            return Ok(());
        }
        tokio::time::sleep_until(pace.due(length).into()).await;
        to.write_all(&chunk[..length]).await?;
    }
}

/// When the bytes of a link are through.
#[derive(Debug)]
struct Pace {
    bytes_per_second: f64,
    free_at: Mutex<Instant>,
}

impl Pace {
    #[expect(clippy::cast_precision_loss, reason = "the rate of a link is far below 2^52")]
    fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second as f64, free_at: Mutex::new(Instant::now()) }
    }

    /// When so many more bytes are through.
    #[expect(clippy::cast_precision_loss, reason = "the length of a chunk is far below 2^52")]
    fn due(&self, bytes: usize) -> Instant {
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = Instant::now().checked_sub(CATCH_UP).unwrap_or(*free_at);
        *free_at = earliest.max(*free_at) + Duration::from_secs_f64(bytes as f64 / self.bytes_per_second);
        *free_at
    }
}

#[cfg(test)]
mod tests {
    use super::Link;
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    #[test]
    fn bytes_come_whole_and_no_faster_than_the_link() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let upstream = listener.local_addr().expect("a bound socket has an address");
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("somebody connects");
            let mut question = [0; 4];
            stream.read_exact(&mut question).expect("it asks");
            stream.write_all(&vec![7; 1_000_000]).expect("it reads");
        });
        let link = Link::start(upstream, 5_000_000).expect("loopback has free ports");
        let mut stream = TcpStream::connect(link.address()).expect("the link is open");
        let started = Instant::now();
        stream.write_all(b"more").expect("the link takes it");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("the link gives it back");
        assert_eq!(answer, vec![7; 1_000_000]);
        assert!(started.elapsed() >= Duration::from_millis(190), "{:?}", started.elapsed());
        server.join().expect("it answered");
    }
}
