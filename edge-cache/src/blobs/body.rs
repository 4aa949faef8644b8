use std::{
    io, mem,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{Stream as _, stream::BoxStream};
use http_body::{Body, Frame, SizeHint};

/// The bytes of an answer, as long as they were announced to be, or it breaks off.
pub struct BlobBody {
    coming: Coming,
    remaining_bytes: u64,
}

/// Where they come from.
enum Coming {
    /// They are here, all of them.
    Here(Bytes),
    /// They come one after another.
    Stream(BoxStream<'static, io::Result<Bytes>>),
}

impl BlobBody {
    pub(super) fn new(stream: BoxStream<'static, io::Result<Bytes>>, length_bytes: u64) -> Self {
        Self { coming: Coming::Stream(stream), remaining_bytes: length_bytes }
    }

    /// These.
    pub(super) fn of(bytes: Bytes) -> Self {
        Self { remaining_bytes: bytes.len() as u64, coming: Coming::Here(bytes) }
    }
}

impl Body for BlobBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.remaining_bytes == 0 {
            return Poll::Ready(None);
        }
        let next = match &mut self.coming {
            Coming::Here(bytes) => Some(Ok(mem::take(bytes))),
            Coming::Stream(stream) => std::task::ready!(Pin::new(stream).poll_next(context)),
        };
        let next = next.unwrap_or_else(|| Err(io::Error::from(io::ErrorKind::UnexpectedEof)));
        Poll::Ready(Some(next.and_then(|bytes| {
            let left = self.remaining_bytes.checked_sub(bytes.len() as u64);
            self.remaining_bytes = left.ok_or_else(|| io::Error::other("there is more of it than there should be"))?;
            Ok(Frame::data(bytes))
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining_bytes == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining_bytes)
    }
}
