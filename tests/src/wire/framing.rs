use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::tcp::OwnedReadHalf,
};

use super::head::{Body, Head};

/// One direction of a connection, read message by message. Whatever breaks off is `None`.
pub(super) struct Incoming {
    half: OwnedReadHalf,
    // Received, and not yet passed on.
    pending: Vec<u8>,
    // Bytes of bodies that were passed on.
    passed_bytes: Arc<AtomicU64>,
}

/// How a body is passed on.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// At most so many bytes a second.
    pub(super) bytes_per_second: Option<u64>,
    /// Then it breaks off.
    pub(super) cut_after_bytes: Option<u64>,
    /// The byte after so many has a wrong bit.
    pub(super) flip_after_bytes: Option<u64>,
}

impl Pace {
    pub(super) const FREE: Self = Self { bytes_per_second: None, cut_after_bytes: None, flip_after_bytes: None };
}

impl Incoming {
    pub(super) fn new(half: OwnedReadHalf) -> Self {
        Self { half, pending: Vec::new(), passed_bytes: Arc::default() }
    }

    /// The same, of which the bytes of bodies are counted here.
    pub(super) fn counted_in(self, passed_bytes: &Arc<AtomicU64>) -> Self {
        Self { passed_bytes: Arc::clone(passed_bytes), ..self }
    }

    async fn fill(&mut self) -> Option<()> {
        let mut buffer = vec![0; 64 * 1024];
        let count = self.half.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        self.pending.extend_from_slice(&buffer[..count]);
        Some(())
    }

    /// The next message's head, and its bytes.
    pub(super) async fn head(&mut self) -> Option<(Head, Vec<u8>)> {
        loop {
            if let Some(end) = Head::end(&self.pending) {
                let bytes: Vec<u8> = self.pending.drain(..end).collect();
                return Some((Head::new(&bytes), bytes));
            }
            self.fill().await?;
        }
    }

    /// Passes a body on to `out`.
    pub(super) async fn pass(&mut self, body: Body, out: &mut (impl AsyncWrite + Unpin), mut pace: Pace) -> Option<()> {
        match body {
            Body::Length(length) => self.pass_bytes(length, out, &mut pace).await,
            Body::Chunked => loop {
                let size = self.pass_chunk_size(out, &mut pace).await?;
                self.pass_bytes(size, out, &mut pace).await?;
                if size == 0 {
                    return self.pass_trailer(out, &mut pace).await;
                }
                self.pass_bytes(2, out, &mut pace).await?;
            },
            Body::UntilClosed => loop {
                let count = self.pending.len() as u64;
                self.pass_bytes(count, out, &mut pace).await?;
                self.fill().await?;
            },
        }
    }

    async fn pass_bytes(&mut self, mut length: u64, out: &mut (impl AsyncWrite + Unpin), pace: &mut Pace) -> Option<()> {
        while length > 0 {
            if self.pending.is_empty() {
                self.fill().await?;
            }
            let allowed = pace.cut_after_bytes.unwrap_or(u64::MAX).min(length).min(self.pending.len() as u64);
            if allowed == 0 {
                return None;
            }
            let count = usize::try_from(allowed).expect("no more than is pending");
            if let Some(after) = pace.flip_after_bytes.take() {
                match usize::try_from(after).ok().filter(|after| *after < count) {
                    Some(place) => self.pending[place] ^= 1,
                    None => pace.flip_after_bytes = Some(after - allowed),
                }
            }
            out.write_all(&self.pending[..count]).await.ok()?;
            self.pending.drain(..count);
            self.passed_bytes.fetch_add(allowed, Ordering::Relaxed);
            length -= allowed;
            pace.cut_after_bytes = pace.cut_after_bytes.map(|left| left - allowed);
            if let Some(rate) = pace.bytes_per_second {
                tokio::time::sleep(Duration::from_micros(allowed * 1_000_000 / rate)).await;
            }
        }
        Some(())
    }

    async fn line_end(&mut self) -> Option<u64> {
        loop {
            if let Some(position) = self.pending.windows(2).position(|window| window == b"\r\n") {
                return Some(position as u64 + 2);
            }
            self.fill().await?;
        }
    }

    async fn pass_chunk_size(&mut self, out: &mut (impl AsyncWrite + Unpin), pace: &mut Pace) -> Option<u64> {
        let end = self.line_end().await?;
        let line = String::from_utf8_lossy(&self.pending[..usize::try_from(end).ok()?]).into_owned();
        let digits = line.trim().split(';').next()?.to_owned();
        self.pass_bytes(end, out, pace).await?;
        u64::from_str_radix(&digits, 16).ok()
    }

    async fn pass_trailer(&mut self, out: &mut (impl AsyncWrite + Unpin), pace: &mut Pace) -> Option<()> {
        loop {
            let end = self.line_end().await?;
            self.pass_bytes(end, out, pace).await?;
            if end == 2 {
                return Some(());
            }
        }
    }
}
