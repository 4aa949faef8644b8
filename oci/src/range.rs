use std::{fmt, ops::Range};

use crate::Digest;

/// What a `Range` header asks of a blob (RFC 9110, 14.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RangeRequest {
    /// The whole: there is no header, or one that a server must ignore (another unit, several ranges, bad grammar).
    Whole,
    /// These bytes of it.
    Part(ByteRange),
}

/// One range of a `Range` header, before the content's size is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ByteRange {
    /// `first-last`, both included.
    Between(u64, u64),
    /// `first-`, to the end.
    From(u64),
    /// `-count`, the last so many bytes.
    Last(u64),
    /// Well formed, but with its last byte before its first: nothing satisfies it.
    Empty,
}

impl RangeRequest {
    /// Reads a `Range` header.
    pub fn parse(header: &str) -> Self {
        Self::try_parse(header).map_or(Self::Whole, Self::Part)
    }

    /// What a GET asks of a blob: its `Range`, unless its `If-Range` names other content (RFC 9110, 13.1.5).
    pub fn of_get(range: Option<&str>, if_range: Option<&str>, digest: &Digest) -> Self {
        match (range, if_range) {
            (Some(_), Some(tag)) if tag.trim_matches('"') != digest.as_str() => Self::Whole,
            (Some(range), _) => Self::parse(range),
            (None, _) => Self::Whole,
        }
    }

    fn try_parse(header: &str) -> Option<ByteRange> {
        let (unit, set) = header.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = set.trim().split_once('-')?;
        Some(match (first, last) {
            ("", count) => ByteRange::Last(decimal(count)?),
            (first, "") => ByteRange::From(decimal(first)?),
            (first, last) => match (decimal(first)?, decimal(last)?) {
                (first, last) if first > last => ByteRange::Empty,
                (first, last) => ByteRange::Between(first, last),
            },
        })
    }
}

impl ByteRange {
    /// The bytes of content that is `size` long, or `None` where the answer is 416.
    pub fn of(self, size: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::Between(first, last) => first..last.saturating_add(1).min(size),
            Self::From(first) => first..size,
            Self::Last(count) => size.saturating_sub(count)..size,
            Self::Empty => return None,
        };
        (range.start < range.end).then_some(range)
    }
}

impl From<&Range<u64>> for ByteRange {
    /// What asks for these bytes.
    fn from(bytes: &Range<u64>) -> Self {
        if bytes.is_empty() { Self::Empty } else { Self::Between(bytes.start, bytes.end - 1) }
    }
}

impl fmt::Display for ByteRange {
    /// As a `Range` header has it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Between(first, last) => write!(formatter, "bytes={first}-{last}"),
            Self::From(first) => write!(formatter, "bytes={first}-"),
            Self::Last(count) => write!(formatter, "bytes=-{count}"),
            Self::Empty => formatter.write_str("bytes=1-0"),
        }
    }
}

/// Digits only (no sign, no space), saturating: a position past every size is as good as the largest.
fn decimal(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Algorithm;
    use proptest::prelude::*;

    #[test]
    fn ignores_what_a_server_must_ignore() {
        for header in ["", "bytes", "bytes=", "bytes=-", "items=0-1", "bytes=0-1,3-4", "bytes=a-b", "bytes=+1-2", "bytes=1 - 2"] {
            assert_eq!(RangeRequest::parse(header), RangeRequest::Whole, "{header}");
        }
    }

    #[test]
    fn finds_the_bytes() {
        let of = |header: &str, size| match RangeRequest::parse(header) {
            RangeRequest::Part(range) => range.of(size),
            RangeRequest::Whole => panic!("{header} is a range"),
        };
        assert_eq!(of("bytes=500-1499", 2048), Some(500..1500));
        assert_eq!(of("bytes=500-", 2048), Some(500..2048));
        assert_eq!(of("bytes=-500", 2048), Some(1548..2048));
        assert_eq!(of("bytes=-5000", 2048), Some(0..2048));
        assert_eq!(of("bytes=2000-5000", 2048), Some(2000..2048));
        assert_eq!(of("bytes=0-99999999999999999999999", 10), Some(0..10));
        assert_eq!(of("bytes=500-0", 2048), None);
        assert_eq!(of("bytes=2048-", 2048), None);
        assert_eq!(of("bytes=-0", 2048), None);
        assert_eq!(of("bytes=0-", 0), None);
    }

    #[test]
    fn is_of_the_content_that_an_if_range_names() {
        let digest = Digest::of(Algorithm::Sha256, b"1");
        let of = |if_range: Option<&str>| RangeRequest::of_get(Some("bytes=0-1"), if_range, &digest);
        let part = RangeRequest::Part(ByteRange::Between(0, 1));
        assert_eq!(of(None), part);
        assert_eq!(of(Some(&format!("\"{digest}\""))), part);
        assert_eq!(of(Some("\"another\"")), RangeRequest::Whole);
        assert_eq!(RangeRequest::of_get(None, Some("\"another\""), &digest), RangeRequest::Whole);
    }

    proptest! {
        #[test]
        fn stays_inside_the_content(header in "bytes=[0-9]{0,20}-[0-9]{0,20}", size: u64) {
            if let RangeRequest::Part(range) = RangeRequest::parse(&header) && let Some(bytes) = range.of(size) {
                prop_assert!(bytes.start < bytes.end && bytes.end <= size);
            }
        }

        #[test]
        fn round_trips(first: u64, length in 1..u64::MAX) {
            let last = first.saturating_add(length - 1);
            for range in [ByteRange::Between(first, last), ByteRange::From(first), ByteRange::Last(length), ByteRange::Empty] {
                prop_assert_eq!(RangeRequest::parse(&range.to_string()), RangeRequest::Part(range));
            }
        }

        #[test]
        fn asks_for_the_bytes(start in 0..u64::MAX, length: u64) {
            let bytes = start..start.saturating_add(length);
            let found = ByteRange::from(&bytes).of(u64::MAX);
            prop_assert_eq!(found, (!bytes.is_empty()).then_some(bytes));
        }
    }
}
