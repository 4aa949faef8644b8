//! A socket that gives up on who takes nothing.
//!
//! A peer that has stopped reading, or is gone without a word, would hold its connection until the kernel gives up, a quarter of an hour
//! later: even to close it yamux and TLS write first.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::{AsyncRead, AsyncWrite};
use tokio::time::{Sleep, sleep};

/// A socket on which no write waits longer than this.
#[derive(Debug)]
pub(super) struct Impatient<C> {
    socket: C,
    patience: Duration,
    /// While the last write could not go on.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<C> Impatient<C> {
    pub fn new(socket: C, patience: Duration) -> Self {
        Self { socket, patience, stalled: None }
    }

    fn wait<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the other end takes nothing")))
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Impatient<C> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Impatient<C> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.wait(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(context);
        self.wait(context, flushed)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.socket).poll_close(context);
        self.wait(context, closed)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(200);

    async fn pair() -> (Impatient<libp2p::tcp::tokio::TcpStream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dialed = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Impatient::new(libp2p::tcp::tokio::TcpStream(dialed), PATIENCE), listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn who_takes_nothing_is_given_up() {
        let (mut one, _silent) = pair().await;
        let began = tokio::time::Instant::now();
        let bytes = vec![0; 64 << 20];
        let written = tokio::time::timeout(PATIENCE * 100, one.write_all(&bytes)).await;
        let error = written.expect("it gives up").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() >= PATIENCE);
    }

    #[tokio::test]
    async fn who_is_slow_is_not() {
        let (mut one, other) = pair().await;
        let slow = tokio::spawn(async move {
            let mut buffer = vec![0; 4 << 20];
            let mut total = 0;
            while total < 16 << 20 {
                tokio::time::sleep(PATIENCE / 10).await;
                other.readable().await.unwrap();
                total += other.try_read(&mut buffer).unwrap_or(0);
            }
            other
        });
        one.write_all(&vec![0; 16 << 20]).await.unwrap();
        drop(slow.await.unwrap());
        // To read there is no hurry: the protocols have their own times.
        assert_eq!(one.read(&mut [0]).await.unwrap(), 0);
    }
}
