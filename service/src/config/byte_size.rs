//! A number of bytes with a unit.

use std::fmt;
use std::str::FromStr;

use super::setting::quote;
use super::{Given, Setting};

/// Units in the order in which `Display` tries them: the largest binary one that divides, then decimal ones.
const UNITS: [(&str, u64); 8] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
];

/// A size in bytes, written `8MiB`, `5GB`, `512B`, or as a bare number of bytes.
///
/// `KiB`, `MiB`, `GiB` and `TiB` are powers of 1,024; `KB` (or `kB`), `MB`, `GB` and `TB` are powers of 1,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

/// The text is not a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ByteSizeError {
    /// There is no whole number at the start.
    #[error("a size is a whole number and a unit, such as 8MiB")]
    NoNumber,
    /// The unit is not one that is known.
    #[error("the unit of a size is one of B, KiB, MiB, GiB, TiB, KB, MB, GB, TB")]
    UnknownUnit,
    /// The size does not fit 64 bits.
    #[error("a size is less than 16 EiB")]
    TooLarge,
}

impl ByteSize {
    /// A size of so many bytes.
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// A size of so many MiB (1,048,576 bytes). Panics past 16 EiB, so it is for constants.
    pub const fn mebibytes(mebibytes: u64) -> Self {
        Self(mebibytes * (1 << 20))
    }

    /// A size of so many GiB (1,073,741,824 bytes). Panics past 16 EiB, so it is for constants.
    pub const fn gibibytes(gibibytes: u64) -> Self {
        Self(gibibytes * (1 << 30))
    }

    /// The number of bytes.
    pub const fn as_bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes as a length in memory, or the largest such length where it is more.
    pub fn as_len(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(digits_end);
        if digits.is_empty() {
            return Err(ByteSizeError::NoNumber);
        }
        let number: u64 = digits.parse().map_err(|_| ByteSizeError::TooLarge)?;
        let scale = match unit.trim_start() {
            "" | "B" => 1,
            "kB" => 1_000,
            unit => UNITS.iter().find(|(name, _)| *name == unit).ok_or(ByteSizeError::UnknownUnit)?.1,
        };
        number.checked_mul(scale).map(Self).ok_or(ByteSizeError::TooLarge)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, scale)| self.0 > 0 && self.0.is_multiple_of(*scale)) {
            Some((unit, scale)) => write!(f, "{}{unit}", self.0 / scale),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl Setting for ByteSize {
    fn set(&mut self, given: &Given) -> Result<(), String> {
        *self = match given {
            Given::Integer(bytes) => Self(u64::try_from(*bytes).map_err(|_| "a size cannot be negative".to_owned())?),
            Given::Word(text) | Given::Text(text) => text.parse().map_err(|error| format!("{text:?}: {error}"))?,
            other => return Err(format!("expected a size such as \"8MiB\", found {}", other.kind())),
        };
        Ok(())
    }

    fn render(&self) -> String {
        quote(&self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_units_and_bare_bytes() {
        assert_eq!("8MiB".parse(), Ok(ByteSize::mebibytes(8)));
        assert_eq!("5 GB".parse(), Ok(ByteSize::bytes(5_000_000_000)));
        assert_eq!("512".parse(), Ok(ByteSize::bytes(512)));
        assert_eq!("8M".parse::<ByteSize>(), Err(ByteSizeError::UnknownUnit));
        assert_eq!("MiB".parse::<ByteSize>(), Err(ByteSizeError::NoNumber));
        assert_eq!("-1B".parse::<ByteSize>(), Err(ByteSizeError::NoNumber));
        assert_eq!("99999999TiB".parse::<ByteSize>(), Err(ByteSizeError::TooLarge));
        assert_eq!(ByteSize::mebibytes(8).to_string(), "8MiB");
        assert_eq!(ByteSize::gibibytes(100).to_string(), "100GiB");
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(bytes: u64, unit in 0..UNITS.len(), count in 0_u64..1 << 20) {
            for size in [ByteSize(bytes), ByteSize(count * UNITS[unit].1)] {
                prop_assert_eq!(size.to_string().parse(), Ok(size));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = text.parse::<ByteSize>();
        }
    }
}
