//! Numbers of bytes, for people.

use std::fmt;

/// A number of bytes as people read it: `0 B`, `3.6 MiB`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ByteCount(pub u64);

const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

impl fmt::Display for ByteCount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1024 {
            return write!(formatter, "{} B", self.0);
        }
        let mut unit_bytes: u128 = 1;
        let mut tenths = 0;
        let mut name = UNITS[0];
        for unit in UNITS {
            name = unit;
            unit_bytes *= 1024;
            tenths = (u128::from(self.0) * 10 + unit_bytes / 2) / unit_bytes;
            // What rounds to 1024.0 of a unit is 1.0 of the next.
            if tenths < 10_240 {
                break;
            }
        }
        write!(formatter, "{}.{} {name}", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_the_unit_and_rounds() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_524, "1023.9 KiB"),
            (1_048_575, "1.0 MiB"),
            (3_800_000, "3.6 MiB"),
            (1 << 30, "1.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(ByteCount(bytes).to_string(), text);
        }
    }
}
