//! Messages on a stream: CBOR, each of a size that both ends know the limit of, and paid for from a budget before it is kept.

use std::io;

use futures_util::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::{
    StreamProtocol,
    request_response::{self, cbor},
};
use prometheus::IntCounterVec;
use serde::{Serialize, de::DeserializeOwned};

use super::budget::{Budget, Receipt};

/// What is read at once. Each stream takes as much, paid for by nobody: any number may be open with nothing said on them.
const CHUNK_BYTES: usize = 1 << 10;

/// A request as it comes, or goes.
#[derive(Debug)]
pub(super) enum Request<M> {
    /// Whole. One that came has a receipt for the room that it takes.
    Message(M, Option<Receipt>),
    /// There was no room for it; it was read and dropped, so that its sender can be told.
    NoRoom,
}

/// A response as it comes, or goes, with a receipt for the room that it takes until it has gone.
#[derive(Debug)]
pub(super) struct Response<M> {
    pub message: M,
    pub receipt: Option<Receipt>,
}

impl<M> From<M> for Response<M> {
    /// One that takes next to none.
    fn from(message: M) -> Self {
        Self { message, receipt: None }
    }
}

/// How large messages may be, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub request: usize,
    pub response: usize,
}

/// The room for messages that come.
#[derive(Clone, Debug)]
pub(super) struct Room {
    /// Others' requests, and what they are answered.
    pub requests: Budget,
    /// What this end's requests are answered, so that nobody's requests keep its answers out.
    pub responses: Budget,
}

/// Reads and writes requests `Req` and responses `Resp`.
pub(super) struct Codec<Req, Resp> {
    cbor: cbor::codec::Codec<Req, Resp>,
    sizes: Sizes,
    room: Room,
    is_of_a_connection: bool,
    /// By why nothing came of what was read.
    unread: IntCounterVec,
}

impl<Req, Resp> Clone for Codec<Req, Resp> {
    /// The protocol's own is cloned for each connection, which gets a part of the room; and a connection's for each of its streams.
    fn clone(&self) -> Self {
        let Room { requests, responses } = &self.room;
        let room = if self.is_of_a_connection {
            self.room.clone()
        } else {
            Room { requests: requests.of_another(), responses: responses.of_another() }
        };
        Self { cbor: self.cbor.clone(), sizes: self.sizes, room, is_of_a_connection: true, unread: self.unread.clone() }
    }
}

impl<Req, Resp> Codec<Req, Resp> {
    /// That of a protocol.
    pub(super) fn new(sizes: Sizes, room: Room, unread: IntCounterVec) -> Self {
        let bytes = |size: usize| u64::try_from(size).expect("no size is beyond 64 bits");
        let cbor = cbor::codec::Codec::default()
            .set_request_size_maximum(bytes(sizes.request))
            .set_response_size_maximum(bytes(sizes.response));
        Self { cbor, sizes, room, is_of_a_connection: false, unread }
    }

    /// The stream to its end, or nothing where the budget has no room.
    async fn read<T>(&self, io: &mut T, most: usize, budget: &Budget) -> io::Result<Option<(Vec<u8>, Receipt)>>
    where
        T: AsyncRead + Unpin + Send,
    {
        let mut chunk = vec![0; CHUNK_BYTES.min(most + 1)];
        let mut kept = Some((Vec::new(), budget.receipt()));
        let mut total = 0;
        loop {
            let count = io.read(&mut chunk).await?;
            if count == 0 {
                return Ok(kept);
            }
            total += count;
            if total > most {
                self.unread.with_label_values(&["oversized"]).inc();
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("a message of more than {most} bytes")));
            }
            if let Some((bytes, receipt)) = &mut kept {
                if receipt.resize(total) {
                    bytes.reserve_exact(receipt.bytes() - bytes.len());
                    bytes.extend_from_slice(&chunk[..count]);
                } else {
                    self.unread.with_label_values(&["no_room"]).inc();
                    kept = None;
                }
            }
        }
    }

    fn counted<M>(&self, read: io::Result<M>) -> io::Result<M> {
        read.inspect_err(|_| self.unread.with_label_values(&["malformed"]).inc())
    }
}

impl<Req, Resp> request_response::Codec for Codec<Req, Resp>
where
    Req: Send + Sync + Serialize + DeserializeOwned,
    Resp: Send + Sync + Serialize + DeserializeOwned,
{
    type Protocol = StreamProtocol;
    type Request = Request<Req>;
    type Response = Response<Resp>;

    async fn read_request<T>(&mut self, protocol: &StreamProtocol, io: &mut T) -> io::Result<Request<Req>>
    where
        T: AsyncRead + Unpin + Send,
    {
        let kept = self.read(io, self.sizes.request, &self.room.requests).await?;
        let Some((bytes, receipt)) = kept else { return Ok(Request::NoRoom) };
        let read = self.cbor.read_request(protocol, &mut bytes.as_slice()).await;
        Ok(Request::Message(self.counted(read)?, Some(receipt)))
    }

    async fn read_response<T>(&mut self, protocol: &StreamProtocol, io: &mut T) -> io::Result<Response<Resp>>
    where
        T: AsyncRead + Unpin + Send,
    {
        let kept = self.read(io, self.sizes.response, &self.room.responses).await?;
        let Some((bytes, receipt)) = kept else {
            return Err(io::Error::new(io::ErrorKind::OutOfMemory, "no room for the answer"));
        };
        let read = self.cbor.read_response(protocol, &mut bytes.as_slice()).await;
        Ok(Response { message: self.counted(read)?, receipt: Some(receipt) })
    }

    async fn write_request<T>(&mut self, protocol: &StreamProtocol, io: &mut T, request: Request<Req>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        let Request::Message(message, _) = request else { return Err(io::Error::other("there is nothing to send")) };
        let mut bytes = Vec::new();
        self.cbor.write_request(protocol, &mut bytes, message).await?;
        io.write_all(&bytes).await
    }

    async fn write_response<T>(&mut self, protocol: &StreamProtocol, io: &mut T, response: Response<Resp>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        let Response { message, receipt } = response;
        let mut bytes = Vec::new();
        self.cbor.write_response(protocol, &mut bytes, message).await?;
        let written = io.write_all(&bytes).await;
        // Until here it took its room.
        drop((bytes, receipt));
        written
    }
}
