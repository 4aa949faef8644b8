//! `[requests]`: how much is served at once, and how much of it each request may take.

use longshore_service::config::{ByteSize, Duration, Problems};

/// What requests may take.
#[derive(Clone, Debug, PartialEq)]
pub struct Requests {
    /// How many of callers who say who they are, or need not, are worked on at once; over it a request is answered at once with 503 and
    /// `Retry-After`. Streams don't count once they have begun.
    pub max_in_flight: usize,
    /// The same of nodes.
    pub max_from_nodes: usize,
    /// The same of those who have shown nothing yet: nodes that want to join, and, where tokens are asked for, callers without any.
    pub max_from_strangers: usize,
    /// How long one may take until its answer begins.
    pub timeout: Duration,
    /// The longest body of a request.
    pub max_body: ByteSize,
    /// The longest report of a node: its first one names every layer that it has.
    pub max_report: ByteSize,
    /// How many bytes of reports are in memory at once; others wait in their connections.
    pub report_memory: ByteSize,
    /// The most entries of one page, whatever a caller asks for.
    pub max_page: u32,
    /// How many may watch at once.
    pub max_watchers: usize,
    /// How many may read what pods write at once.
    pub max_log_readers: usize,
    /// How many refusals may wait to be written to the audit log.
    pub audit_queue: usize,
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            max_in_flight: 4096,
            max_from_nodes: 4096,
            max_from_strangers: 256,
            timeout: Duration::seconds(30),
            max_body: ByteSize::mebibytes(1),
            max_report: ByteSize::mebibytes(16),
            report_memory: ByteSize::mebibytes(256),
            max_page: 1000,
            max_watchers: 4096,
            max_log_readers: 256,
            audit_queue: 4096,
        }
    }
}

longshore_service::settings!(Requests {
    max_in_flight,
    max_from_nodes,
    max_from_strangers,
    timeout,
    max_body,
    max_report,
    report_memory,
    max_page,
    max_watchers,
    max_log_readers,
    audit_queue
});

impl Requests {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        problems.check_not_zero("requests.timeout", self.timeout);
        for (key, value) in [
            ("requests.max_in_flight", self.max_in_flight),
            ("requests.max_from_nodes", self.max_from_nodes),
            ("requests.max_from_strangers", self.max_from_strangers),
            ("requests.max_watchers", self.max_watchers),
            ("requests.max_log_readers", self.max_log_readers),
            ("requests.audit_queue", self.audit_queue),
        ] {
            if !(1..=1_000_000).contains(&value) {
                problems.add(&[key], "must be from 1 to 1000000");
            }
        }
        if !(1..=10_000).contains(&self.max_page) {
            problems.add(&["requests.max_page"], "must be from 1 to 10000");
        }
        for (key, size) in [("requests.max_body", self.max_body), ("requests.max_report", self.max_report)] {
            if !(ByteSize::bytes(64 << 10)..=ByteSize::gibibytes(1)).contains(&size) {
                problems.add(&[key], "must be from 64KiB to 1GiB");
            }
        }
        if !(self.max_report..=ByteSize::gibibytes(1024)).contains(&self.report_memory) {
            problems.add(&["requests.report_memory", "requests.max_report"], "must be from requests.max_report to 1TiB");
        }
    }
}
