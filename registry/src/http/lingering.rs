//! A body that is read to its end even where nobody wants it.
//!
//! A client that is refused while it still sends would see its connection break, and never the answer that says why. So what is left of
//! a body when its operation lets go of it is read and thrown away, within limits, while the answer is already on its way.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;

use super::Incoming;

/// How much is read for nobody, in bytes.
const MAX_BYTES: u64 = 256 << 20;
/// How long it is read.
const MAX_DURATION: Duration = Duration::from_secs(30);

/// A request's body. Dropped before its end, it goes on being read for a while.
pub struct Lingering<B: Incoming>(Option<B>);

impl<B: Incoming> Lingering<B> {
    /// The body.
    pub fn new(body: B) -> Self {
        Self(Some(body))
    }
}

impl<B: Incoming> Body for Lingering<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.0 = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B: Incoming> Drop for Lingering<B> {
    fn drop(&mut self) {
        if let Some(body) = self.0.take().filter(|body| !body.is_end_stream())
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(tokio::time::timeout(MAX_DURATION, read_for_nobody(body)));
        }
    }
}

async fn read_for_nobody<B: Incoming>(mut body: B) {
    let mut read_bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read_bytes += frame.data_ref().map_or(0, |bytes| bytes.remaining() as u64);
        if read_bytes > MAX_BYTES {
            return;
        }
    }
}
