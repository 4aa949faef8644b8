//! The bounds of it all.

use std::{net::SocketAddr, time::Duration};

/// How the control protocols are spoken, and within which bounds.
#[derive(Clone, Debug)]
pub struct ControlSettings {
    /// Where to listen; nowhere if it is empty. Port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// How long a call may take, from a name to resolve to the answer.
    pub request_timeout: Duration,
    /// How long TCP, TLS, the proof of a closed fleet and yamux may take together to make a connection, whoever dials.
    pub handshake_timeout: Duration,
    /// How long a stream of another's request may stay open: to come whole, be judged, and its answer to leave. Who takes nothing of what
    /// is sent for as long loses the connection.
    pub stream_timeout: Duration,
    /// How long the service may take to judge a request; the peer is told to come again if it takes longer. Less than the time that
    /// callers have for the whole.
    pub judging_timeout: Duration,
    /// A connection on which nobody asks anything is closed after so long. Announcements are renewed within half of it, whatever a tracker
    /// says, or they would end between two renewals.
    pub idle_timeout: Duration,
    /// The pause after one failed call to an address; the next is twice as long.
    pub backoff_min: Duration,
    /// The longest pause.
    pub backoff_max: Duration,
    /// When who was turned away for want of room should come again.
    pub busy_retry: Duration,
    /// Connections that others made.
    pub most_inbound: usize,
    /// Of them, those from one IPv4 address or one /64 of IPv6, which may be the whole of a network's nodes.
    pub most_inbound_per_ip: usize,
    /// Connections that this end made.
    pub most_outbound: usize,
    /// Handshakes under way, in each direction.
    pub most_pending: usize,
    /// Of those that others began, the handshakes with one IPv4 address or one /64 of IPv6.
    pub most_pending_per_ip: usize,
    /// Connections with one peer. One that comes over it ends the oldest: its peer has begun anew.
    pub most_per_peer: usize,
    /// Requests under way on a connection, a protocol.
    pub most_streams: usize,
    /// Calls under way or waiting, in all.
    pub most_calls: usize,
    /// Addresses that are remembered, with the pauses of those that failed.
    pub most_links: usize,
    /// Requests of others that the service judges at once.
    pub most_in_hand: usize,
    /// Bytes of others' requests that are not yet answered, and of answers that have not left, in all.
    pub budget_bytes: usize,
    /// Of them, those of one connection, a protocol. At least as much as the largest message.
    pub budget_bytes_per_connection: usize,
    /// Bytes of answers to this end's own requests, in all.
    pub answers_bytes: usize,
    /// Whether to find, and be found by, neighbours by mDNS. It is spoken on every interface but loopback; what it tells others are the
    /// addresses on that interface at which this listens, so listening at one interface's address tells only the neighbours there.
    pub mdns: bool,
    /// Addresses that mDNS may tell of. More are somebody's mischief, and turn it off.
    pub most_discovered: usize,
}

impl Default for ControlSettings {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            request_timeout: Duration::from_secs(2),
            handshake_timeout: Duration::from_secs(2),
            stream_timeout: Duration::from_secs(5),
            judging_timeout: Duration::from_millis(1500),
            idle_timeout: Duration::from_secs(90),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(10),
            busy_retry: Duration::from_millis(500),
            most_inbound: 16_384,
            most_inbound_per_ip: 4_096,
            most_outbound: 256,
            most_pending: 256,
            most_pending_per_ip: 64,
            most_per_peer: 3,
            most_streams: 8,
            most_calls: 256,
            most_links: 256,
            most_in_hand: 256,
            budget_bytes: 32 << 20,
            budget_bytes_per_connection: 2 << 20,
            answers_bytes: 16 << 20,
            mdns: false,
            most_discovered: 4096,
        }
    }
}
