use std::time::Duration;

use bytes::Bytes;

use super::request::Request;

/// What an upstream does wrong.
#[derive(Clone, Debug)]
pub enum Misdeed {
    /// The body comes at no more than this many bytes a second.
    Slow(u64),
    /// After this many bytes of the body, nothing until [`release`](super::Upstream::release).
    HoldAt(u64),
    /// The connection is reset after this many bytes of the body.
    ResetAt(u64),
    /// One bit of the blob or manifest is wrong, in the byte at this place of the whole, whatever range is asked for.
    WrongAt(u64),
    /// Refused with this status, and with `Retry-After` of so many seconds where there are any.
    Refuse(u16, Option<u64>),
    /// A page of HTML, with 200.
    Html,
    /// These bytes in place of those that belong to the digest that is told.
    Instead(Bytes),
    /// Sent somewhere else, from where one is sent on again, without an end.
    RedirectLoop,
    /// Sent to the same path of another server, and given a cookie.
    RedirectTo(String),
    /// A `Content-Length` of so many bytes more than the body has; then the connection ends.
    LongerLength(u64),
    /// A `Content-Length` of so many bytes less than the body has; the rest is sent all the same, and then the connection ends.
    ShorterLength(u64),
    /// In chunks, with no `Content-Length`.
    Chunked,
    /// All of the blob, with 200, though a part was asked for.
    WholeForRange,
    /// No answer, for so long; then all goes on.
    Stall(Duration),
}

/// When something is done wrong, and what.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) misdeed: Misdeed,
    method: Option<&'static str>,
    part: String,
    times: usize,
    pub(super) is_held: bool,
}

impl Plan {
    /// Always, to every request for content: not to `/v2/` and not to tokens.
    pub fn always(misdeed: Misdeed) -> Self {
        Self { misdeed, method: None, part: String::new(), times: usize::MAX, is_held: false }
    }

    /// Only to requests with this method.
    #[must_use]
    pub fn method(mut self, method: &'static str) -> Self {
        self.method = Some(method);
        self
    }

    /// Only to requests with this in their path.
    #[must_use]
    pub fn containing(mut self, part: impl Into<String>) -> Self {
        self.part = part.into();
        self
    }

    /// Only so many times.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// Only after [`release`](super::Upstream::release), until which there is no answer.
    #[must_use]
    pub fn held(mut self) -> Self {
        self.is_held = true;
        self
    }

    pub(super) fn applies(&mut self, request: &Request) -> bool {
        let is_content = request.path.starts_with("/v2/") && request.path != "/v2/";
        let concerns = self.method.is_none_or(|method| method == request.method) && request.path.contains(&self.part);
        let applies = is_content && concerns && self.times > 0;
        if applies {
            self.times -= 1;
        }
        applies
    }
}
