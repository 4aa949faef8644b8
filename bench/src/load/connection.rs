//! One keep-alive connection to a server.

use std::net::SocketAddr;
use std::time::Instant;

use rustix::net::RecvFlags;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::TcpStream;

use super::response::{self, Framing};
use crate::error::BenchError;

const INBOX_BYTES: usize = 32 * 1024;
/// The most that one call asks the kernel to throw away.
const DISCARD_BYTES: usize = 4 * 1024 * 1024;

/// What a request came to.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The bytes of the body.
    pub body_bytes: u64,
}

/// A socket with a small buffer for response heads. Bodies are not kept.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    inbox: Vec<u8>,
    start: usize,
    end: usize,
    /// Never read and never written by us: the kernel needs a buffer's length, not its pages.
    nowhere: Vec<u8>,
    /// The `Location` of the last response that had one: path and query.
    pub location: String,
    /// The server said that it closes; open another connection.
    pub closed: bool,
    /// When the first byte of the last response's body was there; `None` while there is none.
    pub first_body_byte: Option<Instant>,
    /// Bytes of bodies thrown away so far, those of one that is still coming included.
    pub body_bytes: u64,
}

impl Connection {
    /// Connects to a server on loopback.
    pub async fn open(address: SocketAddr) -> Result<Self, BenchError> {
        let connect = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        let stream = connect.await.map_err(BenchError::io(format!("connect to {address}")))?;
        let (inbox, nowhere) = (vec![0; INBOX_BYTES], vec![0; DISCARD_BYTES]);
        Ok(Self {
            stream,
            inbox,
            start: 0,
            end: 0,
            nowhere,
            location: String::new(),
            closed: false,
            first_body_byte: None,
            body_bytes: 0,
        })
    }

    /// Writes bytes of a request.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), BenchError> {
        self.stream.write_all(bytes).await.map_err(BenchError::io("send a request"))
    }

    /// Sends a whole request and reads the whole response, throwing its body away.
    pub async fn ask(&mut self, request: &[u8]) -> Result<Answer, BenchError> {
        self.send(request).await?;
        self.receive(None).await
    }

    /// Reads a response to a request already sent; the body goes into `hasher` when there is one.
    pub async fn receive(&mut self, hasher: Option<&mut Sha256>) -> Result<Answer, BenchError> {
        let head_length = loop {
            if let Some(length) = response::head_length(&self.inbox[self.start..self.end]) {
                break length;
            }
            self.fill().await?;
        };
        let head = response::parse(&self.inbox[self.start..self.start + head_length])?;
        let (status, framing) = (head.status, head.framing);
        self.closed |= head.closes;
        if let Some(location) = head.location {
            self.location.clear();
            self.location.push_str(location);
        }
        self.start += head_length;
        self.first_body_byte = (self.start < self.end).then(Instant::now);
        let body_bytes = match (framing, hasher) {
            (Framing::Length(length), None) => self.discard(length).await?,
            (Framing::Length(length), Some(hasher)) => self.hash(length, hasher).await?,
            (Framing::Chunked, hasher) => self.dechunk(hasher).await?,
        };
        Ok(Answer { status, body_bytes })
    }

    /// Sends a request without a body's being expected back (HEAD) and reads the response's head.
    pub async fn ask_head(&mut self, request: &[u8]) -> Result<u16, BenchError> {
        self.send(request).await?;
        loop {
            if let Some(length) = response::head_length(&self.inbox[self.start..self.end]) {
                let head = response::parse(&self.inbox[self.start..self.start + length])?;
                self.closed |= head.closes;
                self.start += length;
                return Ok(head.status);
            }
            self.fill().await?;
        }
    }

    /// Reads more into the inbox.
    async fn fill(&mut self) -> Result<(), BenchError> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.inbox.len() {
            if self.start == 0 {
                return Err(BenchError::Malformed("a head or a chunk's size longer than the buffer"));
            }
            self.inbox.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let read = self.stream.read(&mut self.inbox[self.end..]).await.map_err(BenchError::io("read a response"))?;
        if read == 0 {
            return Err(BenchError::Malformed("the connection ended within a response"));
        }
        self.end += read;
        Ok(())
    }

    /// Throws `length` bytes away: those already read, then the rest inside the kernel (tcp(7), `MSG_TRUNC`).
    async fn discard(&mut self, length: u64) -> Result<u64, BenchError> {
        let buffered = self.take_buffered(length).len() as u64;
        self.body_bytes += buffered;
        let mut left = length - buffered;
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(DISCARD_BYTES).min(DISCARD_BYTES);
            self.stream.readable().await.map_err(BenchError::io("wait for a body"))?;
            let (stream, nowhere) = (&self.stream, &mut self.nowhere[..want]);
            let gone = stream.try_io(Interest::READABLE, || {
                let (_, gone) = rustix::net::recv(stream, nowhere, RecvFlags::TRUNC)?;
                Ok(gone)
            });
            match gone {
                Ok(0) => return Err(BenchError::Malformed("the connection ended within a body")),
                Ok(gone) => {
                    self.first_body_byte.get_or_insert_with(Instant::now);
                    self.body_bytes += gone as u64;
                    left -= gone as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(BenchError::io("read a body")(error)),
            }
        }
        Ok(length)
    }

    async fn hash(&mut self, length: u64, hasher: &mut Sha256) -> Result<u64, BenchError> {
        let mut left = length;
        while left > 0 {
            if self.start == self.end {
                self.fill().await?;
            }
            let piece = self.take_buffered(left);
            hasher.update(piece);
            left -= piece.len() as u64;
        }
        Ok(length)
    }

    async fn dechunk(&mut self, mut hasher: Option<&mut Sha256>) -> Result<u64, BenchError> {
        let mut body_bytes = 0;
        loop {
            let size = self.chunk_size().await?;
            match hasher.as_deref_mut() {
                Some(hasher) => self.hash(size, hasher).await?,
                None => self.discard(size).await?,
            };
            body_bytes += size;
            // The chunk's own line end; no server here sends trailers.
            self.discard(2).await?;
            self.body_bytes -= 2;
            if size == 0 {
                return Ok(body_bytes);
            }
        }
    }

    async fn chunk_size(&mut self) -> Result<u64, BenchError> {
        loop {
            let unread = &self.inbox[self.start..self.end];
            if let Some(line_end) = unread.iter().position(|byte| *byte == b'\n') {
                let line = std::str::from_utf8(&unread[..line_end]).unwrap_or_default();
                let digits = line.trim_end().split(';').next().unwrap_or_default();
                let size = u64::from_str_radix(digits, 16).map_err(|_| BenchError::Malformed("a chunk's size"))?;
                self.start += line_end + 1;
                return Ok(size);
            }
            self.fill().await?;
        }
    }

    /// Up to `most` bytes of what the inbox holds, which are then gone from it.
    fn take_buffered(&mut self, most: u64) -> &[u8] {
        let taken = usize::try_from(most).unwrap_or(usize::MAX).min(self.end - self.start);
        let from = self.start;
        self.start += taken;
        &self.inbox[from..from + taken]
    }
}
