use std::{fmt, str::FromStr};

/// Where in a blob a chunk belongs: `first-last`, both included (distribution-spec, "Pushing a blob in chunks").
///
/// The spec's form is bare; `bytes first-last/total`, which HTTP clients write by habit, is understood too.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ContentRange {
    /// The chunk's first byte, counted from 0.
    pub first: u64,
    /// The chunk's last byte.
    pub last: u64,
}

/// The header is not a chunk's range.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a Content-Range is written first-last, both included, the first no greater than the last")]
pub struct InvalidContentRange;

impl ContentRange {
    /// How many bytes the chunk has; never 0.
    pub fn length(self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }

    /// Reads the spec's form alone.
    pub(crate) fn bare(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-')?;
        let range = Self { first: decimal(first)?, last: decimal(last)? };
        (range.first <= range.last).then_some(range)
    }
}

/// A number of digits only: no sign, no space.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let is_decimal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_decimal.then(|| text.parse().ok()).flatten()
}

impl FromStr for ContentRange {
    type Err = InvalidContentRange;

    fn from_str(text: &str) -> Result<Self, InvalidContentRange> {
        let bare = text.trim().strip_prefix("bytes ").map_or(text.trim(), |rest| {
            let rest = rest.trim();
            rest.split_once('/').map_or(rest, |(range, _total)| range)
        });
        Self::bare(bare).ok_or(InvalidContentRange)
    }
}

impl fmt::Display for ContentRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_both_forms() {
        let range = ContentRange { first: 3, last: 9 };
        assert_eq!("3-9".parse(), Ok(range));
        assert_eq!("bytes 3-9/*".parse(), Ok(range));
        assert_eq!(range.length(), 7);
    }

    #[test]
    fn refuses_the_rest() {
        for text in ["", "-", "3", "9-3", "a-b", "-1-2", "+1-2", "1-99999999999999999999", "bytes=0-1"] {
            assert_eq!(text.parse::<ContentRange>(), Err(InvalidContentRange), "{text}");
        }
    }

    proptest! {
        #[test]
        fn round_trips(first: u64, more: u64) {
            let range = ContentRange { first, last: first.saturating_add(more) };
            prop_assert_eq!(range.to_string().parse(), Ok(range));
        }
    }
}
