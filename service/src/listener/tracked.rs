//! A request that counts as running until the last byte of its answer is handed over.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};

use super::activity::Activity;

/// Keeps its connection from being idle for as long as it lives.
pub(super) struct Running(Arc<Activity>);

impl Running {
    pub fn begin(activity: &Arc<Activity>, is_http2: bool) -> Self {
        activity.request_began(is_http2);
        Self(Arc::clone(activity))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.request_ended();
    }
}

/// An answer's body, and with it the request that it answers.
pub(super) struct Tracked<B> {
    body: B,
    _running: Running,
}

impl<B> Tracked<B> {
    pub fn new(body: B, running: Running) -> Self {
        Self { body, _running: running }
    }
}

impl<B: Body + Unpin> Body for Tracked<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
