//! `[throttle]`: how much each caller may take.

use longshore_service::config::ByteSize;

/// How much each caller may take: each account, and each address without one. 0 is as much as it likes. What was not used in ten seconds
/// can be used at once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Throttle {
    /// Requests in a second.
    pub requests_per_second: u32,
    /// Bytes of blobs in a second. What is being sent over it comes slower, and the next pull is refused meanwhile.
    pub bytes_per_second: ByteSize,
    /// Blobs at once.
    pub concurrent_pulls: u32,
}

longshore_service::settings!(Throttle { requests_per_second, bytes_per_second, concurrent_pulls });
