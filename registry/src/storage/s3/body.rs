use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// A request body made of chunks as they are, of known length, which can be sent again.
struct Chunks {
    content: Arc<[Bytes]>,
    next: usize,
    left_bytes: u64,
}

/// The body, and its length in bytes as the SDK counts. The chunks are shared, not copied.
pub(super) fn of(content: Vec<Bytes>) -> (ByteStream, i64) {
    let chunks: Arc<[Bytes]> = content.into_iter().filter(|chunk| !chunk.is_empty()).collect();
    let size_bytes: u64 = chunks.iter().map(|chunk| chunk.len() as u64).sum();
    let body =
        SdkBody::retryable(move || SdkBody::from_body_1_x(Chunks { content: chunks.clone(), next: 0, left_bytes: size_bytes }));
    (ByteStream::new(body), i64::try_from(size_bytes).expect("what is in memory is shorter than 8 EiB"))
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(chunk) = self.content.get(self.next).cloned() else { return Poll::Ready(None) };
        self.next += 1;
        self.left_bytes -= chunk.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.left_bytes == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left_bytes)
    }
}
