use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use prometheus::IntCounter;
use tokio::time::Sleep;

use super::{CheckedStream, WarmBody};
use crate::throttle::Pull;

/// A blob's bytes as an answer's body.
pub struct BlobBody {
    source: Source,
    sent: Option<IntCounter>,
    /// Ends with the body.
    pull: Option<Pull>,
    /// What is waited for before more is sent.
    pause: Option<Pin<Box<Sleep>>>,
}

enum Source {
    Empty,
    Warm(WarmBody),
    Checked(Box<CheckedStream>),
}

impl BlobBody {
    fn of(source: Source) -> Self {
        Self { source, sent: None, pull: None, pause: None }
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

    /// Has a pull go on for as long as the bytes do, and the bytes come as fast as it may take them.
    pub fn holding(mut self, pull: Option<Pull>) -> Self {
        self.pull = pull;
        self
    }

    /// Waits until its caller may have more.
    fn poll_pause(&mut self, context: &mut Context<'_>) -> Poll<()> {
        // Others of the same caller may have taken meanwhile what was waited for.
        while let Some(wait) = self.pull.as_ref().and_then(Pull::wait) {
            let pause = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(wait)));
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        Poll::Ready(())
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
        ready!(self.poll_pause(context));
        let most = self.pull.as_ref().map_or(u64::MAX, Pull::most);
        let bytes = match &mut self.source {
            Source::Empty => None,
            Source::Warm(body) => ready!(body.poll_bytes(context, most)),
            Source::Checked(stream) => ready!(stream.poll_bytes(context, most)),
        };
        if let Some(Ok(bytes)) = &bytes {
            self.sent.iter().for_each(|sent| sent.inc_by(bytes.len() as u64));
            self.pull.iter().for_each(|pull| pull.sent(bytes.len() as u64));
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
