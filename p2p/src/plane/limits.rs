use std::time::Duration;

/// The limits of an endpoint's connections. See the module for what each does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// For a TCP connection.
    pub connect_timeout: Duration,
    /// For TLS and the greeting.
    pub handshake_timeout: Duration,
    /// Connections at once that others have made and that have not greeted yet.
    pub most_handshakes: usize,
    /// Those of them that come from one IP address, or from one /64 of IPv6.
    pub most_handshakes_per_ip: usize,
    /// Connections at once that others have made.
    pub most_accepted: usize,
    /// Those of them that come from one IP address, or from one /64 of IPv6: whoever has it has as many keys as it likes. Those from this
    /// machine's loopback are not counted: no stranger comes from there.
    pub most_accepted_per_ip: usize,
    /// Those of them that one peer has made.
    pub most_accepted_per_peer: usize,
    /// Connections at once that were made here.
    pub most_dialed: usize,
    /// Of silence.
    pub ping_after: Duration,
    /// Of silence too.
    pub dead_after: Duration,
    /// For one write: a block and the frames before it, or what TLS has kept of those, some 128 KiB.
    pub write_timeout: Duration,
    /// For one frame, from its first byte to its last.
    pub frame_timeout: Duration,
    /// For room for more of a long frame. Short, as the connection stands still meanwhile.
    pub room_timeout: Duration,
    /// In one connection's queue.
    pub most_control_frames: usize,
    /// In one connection's queue.
    pub most_pieces_queued: usize,
    /// Of one connection.
    pub most_topics: usize,
    /// Of one connection, those that were cancelled and are not yet answered to an end included.
    pub most_asked: usize,
    /// Of one connection, asked by the peer and not yet answered to an end.
    pub most_owed: usize,
    /// Of all connections; at least one metainfo has room.
    pub metainfo_bytes: usize,
    /// What each connection takes to read from its socket.
    pub read_buffer_bytes: usize,
    /// What waits in a socket to be sent, of one connection: what is in there can be neither cancelled nor overtaken.
    pub unsent_bytes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            handshake_timeout: Duration::from_secs(5),
            most_handshakes: 64,
            most_handshakes_per_ip: 16,
            most_accepted: 256,
            most_accepted_per_ip: 32,
            most_accepted_per_peer: 4,
            most_dialed: 256,
            ping_after: Duration::from_secs(10),
            dead_after: Duration::from_secs(30),
            write_timeout: Duration::from_secs(10),
            frame_timeout: Duration::from_secs(30),
            room_timeout: Duration::from_secs(2),
            most_control_frames: 1024,
            most_pieces_queued: 4,
            most_topics: 1024,
            most_asked: 1024,
            most_owed: 1024,
            metainfo_bytes: 64 << 20,
            read_buffer_bytes: 64 << 10,
            unsent_bytes: 128 << 10,
        }
    }
}
