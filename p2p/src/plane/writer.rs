use std::{
    io::{self, IoSlice},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncWriteExt as _, WriteHalf},
    time::{sleep, timeout},
};
use tokio_rustls::TlsStream;

use super::{
    ConnectionError, Sent,
    connection::Socket,
    guests::Slot,
    link::{Half, Link},
    sender::{Encoded, OutgoingPiece, Queues},
};
use crate::wire::{BLOCK_BYTES, BlockHead, Frame};

/// The most of small frames that is written at once, before the next block, in bytes.
const BATCH_BYTES: usize = 16 << 10;
/// How long a good-bye may take.
const PARTING_TIMEOUT: Duration = Duration::from_secs(1);

/// Where a writer writes to, and what.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) stream: WriteHalf<TlsStream<Socket>>,
    pub(super) queues: Queues,
}

/// Writes what is to be said: what is small goes before the next block, whatever waits behind it.
#[derive(Debug)]
pub struct Writer {
    half: Half,
    outgoing: Outgoing,
    /// What is to be written next.
    batch: Vec<u8>,
    /// The piece that is being written, and how much of it was.
    current: Option<(OutgoingPiece, usize)>,
}

impl Writer {
    pub(super) fn new(link: Arc<Link>, slot: Arc<Slot>, outgoing: Outgoing) -> Self {
        Self { half: Half::new(link, slot), outgoing, batch: Vec::new(), current: None }
    }

    /// Writes until the connection ends, which it does with this. It is fine where this end wanted that.
    pub async fn run(mut self) -> Result<(), ConnectionError> {
        let link = self.half.link.clone();
        // Who does not take a good-bye need not have it.
        let left = async {
            link.leaving.cancelled().await;
            sleep(PARTING_TIMEOUT).await;
        };
        tokio::select! {
            biased;
            () = link.ended.cancelled() => Ok(()),
            () = left => Ok(()),
            written = self.write_on() => written,
        }
    }

    async fn write_on(&mut self) -> Result<(), ConnectionError> {
        loop {
            self.gather().await?;
            if let Some(reason) = self.link().take_parting() {
                return self.part(reason).await;
            }
            let block = self.next_block();
            if !self.batch.is_empty() {
                self.write(block.as_deref().unwrap_or_default()).await?;
                self.end_block(block.map_or(0, |block| block.len()));
            } else if !self.wait().await? {
                self.link().part(String::new());
            }
        }
    }

    /// Takes the small frames that wait, up to a batch.
    async fn gather(&mut self) -> Result<(), ConnectionError> {
        if self.link().take_pong() {
            self.append(&Frame::Pong);
        }
        if self.link().take_ping() {
            self.append(&Frame::Ping);
        }
        while self.batch.len() < BATCH_BYTES {
            let Ok(frame) = self.outgoing.queues.control.try_recv() else { break };
            self.add(frame).await?;
        }
        Ok(())
    }

    async fn add(&mut self, frame: Encoded) -> Result<(), ConnectionError> {
        self.batch.extend_from_slice(&frame.bytes);
        for part in frame.tail.unwrap_or_default().chunks(BLOCK_BYTES) {
            self.write(part).await?;
        }
        Ok(())
    }

    fn append(&mut self, frame: &Frame) {
        let tail = frame.encode(&mut self.batch).expect("a frame of numbers can be said");
        debug_assert!(tail.is_none(), "a frame of numbers has no tail");
    }

    /// Adds the head of the next block to the batch, and gives the block's bytes.
    fn next_block(&mut self) -> Option<Bytes> {
        loop {
            let (piece, written) = match self.current.take() {
                Some(current) => current,
                None => (self.outgoing.queues.pieces.try_recv().ok()?, 0),
            };
            let (id, index) = (piece.id, piece.piece);
            if piece.is_cancelled.load(Ordering::Relaxed) || piece.done.is_closed() {
                self.link().owed().end(id, index);
                self.append(&Frame::Rejected { id, piece: index, retry_after_ms: 0 });
                // Nobody may be left to tell.
                let _ = piece.done.send(Sent::Cancelled);
                continue;
            }
            let bytes = piece.bytes.slice(written..piece.bytes.len().min(written + BLOCK_BYTES));
            let number = |count: usize| u32::try_from(count).expect("a piece is short");
            let head = BlockHead { id, piece: index, offset_bytes: number(written), length_bytes: number(bytes.len()) };
            self.batch.extend_from_slice(&head.encode().expect("it is no longer than a block, and not empty"));
            if written + bytes.len() == piece.bytes.len() {
                // Before the peer can have it, who may ask for it again at once.
                self.link().owed().end(id, index);
            }
            self.current = Some((piece, written));
            return Some(bytes);
        }
    }

    /// So many bytes of the current piece have been written.
    fn end_block(&mut self, length: usize) {
        let Some((piece, written)) = self.current.take().filter(|_| length > 0) else { return };
        self.link().traffic.note_sent_block(length);
        if written + length < piece.bytes.len() {
            self.current = Some((piece, written + length));
        } else {
            let _ = piece.done.send(Sent::Whole);
        }
    }

    /// Waits for something to write, when all has left this end; whether anybody is left who may say something.
    async fn wait(&mut self) -> Result<bool, ConnectionError> {
        let limit = self.link().limits.write_timeout;
        timeout(limit, self.outgoing.stream.flush()).await.map_err(|_| ConnectionError::Stalled)??;
        let queues = &mut self.outgoing.queues;
        let frame = tokio::select! {
            biased;
            frame = queues.control.recv() => frame,
            () = self.half.link.wake.notified() => return Ok(true),
            piece = queues.pieces.recv() => {
                self.current = piece.map(|piece| (piece, 0));
                return Ok(self.current.is_some());
            }
        };
        match frame {
            Some(frame) => self.add(frame).await.map(|()| true),
            None => Ok(false),
        }
    }

    /// Writes the batch, and more after it, which is no longer than a block.
    async fn write(&mut self, more: &[u8]) -> Result<(), ConnectionError> {
        let limit = self.half.link.limits.write_timeout;
        let writing = write_all(&mut self.outgoing.stream, &self.batch, more);
        timeout(limit, writing).await.map_err(|_| ConnectionError::Stalled)??;
        self.half.link.traffic.note_sent(self.batch.len() + more.len());
        self.batch.clear();
        // A large bitfield is seldom.
        self.batch.shrink_to(2 * BATCH_BYTES);
        Ok(())
    }

    async fn part(&mut self, reason: String) -> Result<(), ConnectionError> {
        self.append(&Frame::Bye { reason });
        self.write(&[]).await?;
        self.outgoing.stream.shutdown().await?;
        Ok(())
    }

    fn link(&self) -> &Link {
        &self.half.link
    }
}

/// Writes one after the other, together as far as may be.
async fn write_all(stream: &mut WriteHalf<TlsStream<Socket>>, mut first: &[u8], mut second: &[u8]) -> io::Result<()> {
    while !first.is_empty() || !second.is_empty() {
        let written = stream.write_vectored(&[IoSlice::new(first), IoSlice::new(second)]).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let of_first = written.min(first.len());
        (first, second) = (&first[of_first..], &second[written - of_first..]);
    }
    Ok(())
}
