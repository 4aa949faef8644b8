//! What a connection is waiting for, and since when.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::Limits;

/// The value of a moment that has not come.
const NEVER: u64 = u64::MAX;

/// Shared by a connection's task, its socket and its requests; plain counters, so that a request costs a few nanoseconds.
///
/// The fields are read one by one, so a reader may see a mixture of two moments. That shifts a timeout by one tick and
/// nothing else, so relaxed ordering is enough.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    requests: AtomicUsize,
    served_one: AtomicBool,
    is_http2: AtomicBool,
    /// Milliseconds from `opened` to the end of the last request.
    idle_since_ms: AtomicU64,
    /// Milliseconds from `opened` to the first byte of the request head that is now arriving.
    head_since_ms: AtomicU64,
    /// Milliseconds from `opened` to the first write that the peer did not take.
    stalled_since_ms: AtomicU64,
}

/// What a timeout asks of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All is well.
    Keep,
    /// Idle for too long: finish politely.
    Close,
    /// The peer holds the connection without using it: cut.
    Cut,
}

impl Activity {
    /// A connection that has just been accepted and owes a request head.
    pub fn new() -> Self {
        Self {
            opened: Instant::now(),
            requests: AtomicUsize::new(0),
            served_one: AtomicBool::new(false),
            is_http2: AtomicBool::new(false),
            idle_since_ms: AtomicU64::new(0),
            head_since_ms: AtomicU64::new(0),
            stalled_since_ms: AtomicU64::new(NEVER),
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(NEVER - 1)
    }

    /// A request's head is complete.
    pub fn request_began(&self, is_http2: bool) {
        self.requests.fetch_add(1, Relaxed);
        self.served_one.store(true, Relaxed);
        self.is_http2.store(is_http2, Relaxed);
        self.head_since_ms.store(NEVER, Relaxed);
    }

    /// Whether there was a request yet.
    pub fn has_served(&self) -> bool {
        self.served_one.load(Relaxed)
    }

    /// A request's answer has been handed to the socket, or dropped.
    pub fn request_ended(&self) {
        self.idle_since_ms.store(self.now_ms(), Relaxed);
        self.requests.fetch_sub(1, Relaxed);
    }

    /// Bytes came in. Between requests of HTTP/1 they begin the next head.
    pub fn bytes_arrived(&self) {
        let begins_head =
            self.requests.load(Relaxed) == 0 && self.head_since_ms.load(Relaxed) == NEVER && !self.is_http2.load(Relaxed);
        if begins_head {
            self.head_since_ms.store(self.now_ms(), Relaxed);
        }
    }

    /// The peer took bytes, or did not.
    pub fn wrote(&self, progressed: bool) {
        let stalled = self.stalled_since_ms.load(Relaxed) != NEVER;
        if progressed && stalled {
            self.stalled_since_ms.store(NEVER, Relaxed);
        } else if !progressed && !stalled {
            self.stalled_since_ms.store(self.now_ms(), Relaxed);
        }
    }

    /// What the limits say about this moment.
    pub fn judge(&self, limits: &Limits) -> Verdict {
        let now_ms = self.now_ms();
        let past = |since_ms: u64, limit: Duration| {
            since_ms != NEVER && u128::from(now_ms.saturating_sub(since_ms)) >= limit.as_millis()
        };
        if past(self.stalled_since_ms.load(Relaxed), limits.stall_timeout) {
            return Verdict::Cut;
        }
        if self.requests.load(Relaxed) > 0 {
            return Verdict::Keep;
        }
        if past(self.head_since_ms.load(Relaxed), limits.header_timeout) {
            return Verdict::Cut;
        }
        let idle = self.served_one.load(Relaxed) && self.head_since_ms.load(Relaxed) == NEVER;
        if idle && past(self.idle_since_ms.load(Relaxed), limits.idle_timeout) {
            return Verdict::Close;
        }
        Verdict::Keep
    }
}

/// How often to judge: often enough that no limit is overrun by more than a quarter, rarely enough to cost nothing.
pub(super) fn tick(limits: &Limits) -> Duration {
    let shortest = limits.header_timeout.min(limits.idle_timeout).min(limits.stall_timeout);
    (shortest / 4).clamp(Duration::from_millis(20), Duration::from_secs(5))
}
