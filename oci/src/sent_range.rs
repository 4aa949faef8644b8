use std::{fmt, ops::Range, str::FromStr};

use crate::content_range::{ContentRange, decimal};

/// Which bytes of how many an answer has: `bytes first-last/size` in its `Content-Range` (RFC 9110, 14.4).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SentRange {
    /// The bytes that are sent, one or more.
    pub bytes: Range<u64>,
    /// The length of the whole, in bytes; `None` where it is written `*`, as who sends does not know it.
    pub size_bytes: Option<u64>,
}

/// The header does not say which bytes are sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the Content-Range of an answer is written bytes first-last/size, with the last byte within the size")]
pub struct InvalidSentRange;

impl SentRange {
    /// These bytes of content that is `size_bytes` long.
    pub fn new(bytes: Range<u64>, size_bytes: u64) -> Self {
        Self { bytes, size_bytes: Some(size_bytes) }
    }

    fn try_parse(header: &str) -> Option<Self> {
        let (unit, sent) = header.trim().split_once(' ')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (range, size) = sent.split_once('/')?;
        let ContentRange { first, last } = ContentRange::bare(range.trim())?;
        let end = last.checked_add(1)?;
        let size_bytes = match size.trim() {
            "*" => None,
            size => Some(decimal(size).filter(|size_bytes| end <= *size_bytes)?),
        };
        Some(Self { bytes: first..end, size_bytes })
    }
}

impl FromStr for SentRange {
    type Err = InvalidSentRange;

    fn from_str(header: &str) -> Result<Self, InvalidSentRange> {
        Self::try_parse(header).ok_or(InvalidSentRange)
    }
}

impl fmt::Display for SentRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "bytes {}-{}/", self.bytes.start, self.bytes.end.saturating_sub(1))?;
        match self.size_bytes {
            Some(size_bytes) => write!(formatter, "{size_bytes}"),
            None => formatter.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_which_bytes_were_sent() {
        assert_eq!("bytes 0-4/10".parse(), Ok(SentRange::new(0..5, 10)));
        assert_eq!(" Bytes 9-9/10".parse(), Ok(SentRange::new(9..10, 10)));
        assert_eq!("bytes 0-4/*".parse(), Ok(SentRange { bytes: 0..5, size_bytes: None }));
    }

    #[test]
    fn refuses_the_rest() {
        for header in [
            "",
            "0-4",
            "bytes 0-4",
            "bytes */10",
            "bytes 5-4/10",
            "bytes 0-10/10",
            "items 0-4/10",
            "bytes +0-4/10",
            "bytes 0-4/+10",
            "bytes bytes 0-4/10",
            "bytes=0-4/10",
            "bytes 0-18446744073709551615/*",
        ] {
            assert_eq!(header.parse::<SentRange>(), Err(InvalidSentRange), "{header}");
        }
    }

    proptest! {
        #[test]
        fn round_trips(first in 0..u64::MAX, more: u64, size in prop::option::of(any::<u64>())) {
            let bytes = first..first.saturating_add(more).max(first + 1);
            let sent = SentRange { size_bytes: size.map(|size| size.max(bytes.end)), bytes };
            prop_assert_eq!(sent.to_string().parse(), Ok(sent));
        }
    }
}
