use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use prometheus::IntCounter;

use super::{CheckedStream, WarmBody};
use crate::throttle::Pull;

/// A blob's bytes as an answer's body.
pub struct BlobBody {
    source: Source,
    sent: Option<IntCounter>,
    /// Ends with the body.
    pull: Option<Pull>,
}

enum Source {
    Empty,
    Warm(WarmBody),
    Checked(Box<CheckedStream>),
}

impl BlobBody {
    fn of(source: Source) -> Self {
        Self { source, sent: None, pull: None }
    }

    pub(super) fn empty() -> Self {
        Self::of(Source::Empty)
    }

    pub(super) fn warm(body: WarmBody) -> Self {
        Self::of(Source::Warm(body))
    }

    pub(super) fn checked(stream: CheckedStream) -> Self {
        Self::of(Source::Checked(Box::new(stream)))
    }

    /// Has the bytes that are handed out counted.
    pub fn counted_by(mut self, sent: IntCounter) -> Self {
        self.sent = Some(sent);
        self
    }

    /// Has a pull go on for as long as the bytes do.
    pub fn holding(mut self, pull: Option<Pull>) -> Self {
        self.pull = pull;
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
