use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use prometheus::IntCounter;

use super::{CheckedStream, WarmBody};

/// A blob's bytes as an answer's body.
pub struct BlobBody {
    source: Source,
    sent: Option<IntCounter>,
}

enum Source {
    Empty,
    Warm(WarmBody),
    Checked(Box<CheckedStream>),
}

impl BlobBody {
    pub(super) fn empty() -> Self {
        Self { source: Source::Empty, sent: None }
    }

    pub(super) fn warm(body: WarmBody) -> Self {
        Self { source: Source::Warm(body), sent: None }
    }

    pub(super) fn checked(stream: CheckedStream) -> Self {
        Self { source: Source::Checked(Box::new(stream)), sent: None }
    }

    /// Has the bytes that are handed out counted.
    pub fn counted_by(mut self, sent: IntCounter) -> Self {
        self.sent = Some(sent);
        self
    }

    fn remaining_bytes(&self) -> u64 {
        match &self.source {
            Source::Empty => 0,
            Source::Warm(body) => body.remaining_bytes(),
            Source::Checked(stream) => stream.remaining_bytes(),
        }
    }
}

impl Body for BlobBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let bytes = match &mut self.source {
            Source::Empty => None,
            Source::Warm(body) => ready!(body.poll_bytes(context)),
            Source::Checked(stream) => ready!(stream.poll_bytes(context)),
        };
        if let (Some(Ok(bytes)), Some(sent)) = (&bytes, &self.sent) {
            sent.inc_by(bytes.len() as u64);
        }
        Poll::Ready(bytes.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining_bytes() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining_bytes())
    }
}
