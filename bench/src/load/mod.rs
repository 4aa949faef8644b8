//! The load generator: one thread, many keep-alive connections, as little work per request as HTTP/1.1 allows.
//!
//! Requests are prebuilt bytes, responses are parsed only for status, length and `Location`, and the kernel throws bodies away
//! without copying them out (`MSG_TRUNC`), so on a machine that generator and server share, the server is what is measured.

pub mod connection;
pub mod dice;
pub mod drive;
pub mod latency;
pub mod push;
pub mod read_back;
pub mod response;
pub mod stream;
pub mod work;
