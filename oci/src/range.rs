use std::ops::Range;

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
            let parsed = RangeRequest::parse(&format!("bytes={first}-{last}"));
            prop_assert_eq!(parsed, RangeRequest::Part(ByteRange::Between(first, last)));
        }
    }
}
