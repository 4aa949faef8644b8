//! A name for each request, in its response and in each line logged about it.

use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The header that carries a request's id both ways.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id taken from a client, in bytes.
const MAX_CLIENT_BYTES: usize = 64;

/// The process's part of an id. Random, so that replicas and restarts do not repeat each other's ids.
static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A request's id: the client's own where it is sane, or else 16 hexadecimal digits of the process, a hyphen, and 12 of
/// a counter. Cloning it does not copy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id that the client gave in `X-Request-Id`, when it is at most 64 of `A-Z a-z 0-9 . _ -`; or else a new one.
    pub fn of(headers: &HeaderMap) -> Self {
        headers.get(HEADER).and_then(Self::from_client).unwrap_or_else(Self::new)
    }

    /// A new id, unique to this process, and among processes but for a chance of one in 2^64.
    pub fn new() -> Self {
        let mut text = *b"0000000000000000-000000000000";
        write_hex(&mut text[..16], *PROCESS);
        write_hex(&mut text[17..], NEXT.fetch_add(1, Relaxed));
        Self(visible(&text))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        // An id was checked, or made, to be visible ASCII, so there is always text.
        self.0.to_str().unwrap_or_default()
    }

    /// The id as the value of the response's `X-Request-Id`.
    pub fn header_value(&self) -> HeaderValue {
        self.0.clone()
    }

    fn from_client(value: &HeaderValue) -> Option<Self> {
        let bytes = value.as_bytes();
        let sane = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        let whole = (1..=MAX_CLIENT_BYTES).contains(&bytes.len()) && bytes.iter().all(sane);
        whole.then(|| Self(value.clone()))
    }
}

impl Default for RequestId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn visible(text: &[u8]) -> HeaderValue {
    let value = HeaderValue::from_maybe_shared(Bytes::copy_from_slice(text));
    value.expect("hexadecimal digits and a hyphen make a header value")
}

/// Writes the low digits of `number`, as many as there is room for.
fn write_hex(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[usize::try_from(number & 0xf).expect("four bits fit")];
        number >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(id: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(HEADER, HeaderValue::from_static(id))])
    }

    #[test]
    fn keeps_a_sane_id_and_replaces_any_other() {
        assert_eq!(RequestId::of(&with("a-Z_0.9")).as_str(), "a-Z_0.9");
        let long = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0";
        for wrong in ["", "a b", "a\"b", "a/b", long] {
            let id = RequestId::of(&with(wrong));
            assert_ne!(id.as_str(), wrong);
            assert_eq!(id.as_str().len(), 29);
        }
        assert_eq!(RequestId::of(&with(&long[..64])).as_str(), &long[..64]);
    }

    #[test]
    fn new_ids_differ_in_their_counter_only() {
        let (first, second) = (RequestId::new(), RequestId::new());
        assert_ne!(first, second);
        assert_eq!(first.as_str()[..17], second.as_str()[..17]);
    }
}
