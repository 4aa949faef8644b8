//! Amounts of processor and of bytes, as Kubernetes writes them (its API conventions, "Quantities"): a decimal number, and a suffix or an
//! exponent. What is finer than the unit is rounded up, as there.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de};

use crate::text::{told_of_as, written_as_text};

/// An amount of processor, in thousandths of a core: `500m` is half of one, `2` are two.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Cpu {
    /// Thousandths of a core.
    pub millis: u64,
}

/// A number of bytes: `512Mi`, `1G`, `128974848`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Bytes {
    /// Bytes.
    pub count: u64,
}

/// A text is no quantity.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidQuantity {
    /// It does not begin with a decimal number.
    #[error("a quantity is a number and a suffix, such as 500m, 2, 1.5Gi or 1e3")]
    Number,
    /// What follows the number is no suffix.
    #[error("a quantity's suffix is one of n u m k M G T P E Ki Mi Gi Ti Pi Ei, or an exponent such as e3")]
    Suffix,
    /// Its exponent is none of those that quantities have.
    #[error("a quantity's exponent is from -18 to 18")]
    Exponent,
    /// It is less than nothing.
    #[error("a quantity can't be negative")]
    Negative,
    /// It is more than there can be.
    #[error("a quantity can't be more than 2^63 - 1")]
    TooLarge,
}

/// The most of anything, as in Kubernetes.
const MOST: u64 = i64::MAX as u64;

impl Cpu {
    /// So many thousandths of a core.
    pub const fn millis(millis: u64) -> Self {
        Self { millis }
    }
}

impl Bytes {
    /// So many bytes.
    pub const fn new(count: u64) -> Self {
        Self { count }
    }
}

impl FromStr for Cpu {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        Ok(Self { millis: parse(text, 1_000)? })
    }
}

impl FromStr for Bytes {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        Ok(Self { count: parse(text, 1)? })
    }
}

/// A number and its suffix, in units of which `per_one` make one; rounded up.
fn parse(text: &str, per_one: u128) -> Result<u64, InvalidQuantity> {
    match text.strip_prefix('-') {
        Some(rest) => parse_unsigned(rest, per_one).and(Err(InvalidQuantity::Negative)),
        None => parse_unsigned(text.strip_prefix('+').unwrap_or(text), per_one),
    }
}

fn parse_unsigned(text: &str, per_one: u128) -> Result<u64, InvalidQuantity> {
    let end = text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || whole.len() + fraction.len() == 0 {
        return Err(InvalidQuantity::Number);
    }
    let (multiplier, divisor) = scale(suffix)?;
    // Past 18 digits of a fraction nothing is left of it in any unit, but that it is more than none.
    let (kept, cut) = fraction.split_at(fraction.len().min(18));
    let digits = format!("{whole}{kept}");
    let digits = digits.trim_start_matches('0');
    if digits.len() > 37 {
        return Err(InvalidQuantity::TooLarge);
    }
    let mut value: u128 = if digits.is_empty() { 0 } else { digits.parse().map_err(|_| InvalidQuantity::Number)? };
    let mut below = 10_u128.pow(u32::try_from(kept.len()).unwrap_or(18));
    if cut.bytes().any(|digit| digit != b'0') {
        value = value.checked_mul(10).and_then(|value| value.checked_add(1)).ok_or(InvalidQuantity::TooLarge)?;
        below *= 10;
    }
    let scaled = value.checked_mul(multiplier).and_then(|value| value.checked_mul(per_one)).ok_or(InvalidQuantity::TooLarge)?;
    let below = below.checked_mul(divisor).ok_or(InvalidQuantity::TooLarge)?;
    u64::try_from(scaled.div_ceil(below)).ok().filter(|&units| units <= MOST).ok_or(InvalidQuantity::TooLarge)
}

/// What a suffix multiplies by, and what it divides by.
fn scale(suffix: &str) -> Result<(u128, u128), InvalidQuantity> {
    Ok(match suffix {
        "" => (1, 1),
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1_000),
        "k" => (1_000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (1_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E']).ok_or(InvalidQuantity::Suffix)?;
            let exponent: i32 = exponent.parse().map_err(|_| InvalidQuantity::Suffix)?;
            if exponent.unsigned_abs() > 18 {
                return Err(InvalidQuantity::Exponent);
            }
            let power = 10_u128.pow(exponent.unsigned_abs());
            if exponent < 0 { (1, power) } else { (power, 1) }
        }
    })
}

impl fmt::Display for Cpu {
    /// Whole cores as a number, others in thousandths.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.millis.is_multiple_of(1_000) {
            write!(formatter, "{}", self.millis / 1_000)
        } else {
            write!(formatter, "{}m", self.millis)
        }
    }
}

impl fmt::Display for Bytes {
    /// By the greatest binary suffix that says it exactly, else by a decimal one, else as a number.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SUFFIXES: [(u64, &str); 11] = [
            (1 << 60, "Ei"),
            (1 << 50, "Pi"),
            (1 << 40, "Ti"),
            (1 << 30, "Gi"),
            (1 << 20, "Mi"),
            (1 << 10, "Ki"),
            (1_000_000_000_000_000, "P"),
            (1_000_000_000_000, "T"),
            (1_000_000_000, "G"),
            (1_000_000, "M"),
            (1_000, "k"),
        ];
        let exact = |&&(unit, _): &&(u64, &str)| self.count >= unit && self.count.is_multiple_of(unit);
        match SUFFIXES.iter().find(exact) {
            Some((unit, suffix)) => write!(formatter, "{}{suffix}", self.count / unit),
            None => write!(formatter, "{}", self.count),
        }
    }
}

/// Reads a quantity from a text or, as YAML writes a plain one, from a number.
struct QuantityVisitor;

impl de::Visitor<'_> for QuantityVisitor {
    type Value = String;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a quantity, such as \"500m\", 2 or \"1.5Gi\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<String, E> {
        Ok(number.to_string())
    }
}

macro_rules! read_from_text_or_number {
    ($quantity:ty, $form:literal) => {
        impl<'de> Deserialize<'de> for $quantity {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(QuantityVisitor)?.parse().map_err(de::Error::custom)
            }
        }

        written_as_text!($quantity);
        told_of_as!($quantity, { "type": ["string", "number"], "description": $form });
    };
}

read_from_text_or_number!(Cpu, "a quantity of processor as Kubernetes writes it: `500m`, `2`");
read_from_text_or_number!(Bytes, "a quantity of bytes as Kubernetes writes it: `512Mi`, `1G`");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_kubernetes_reads() {
        for (text, millis) in [
            ("500m", 500),
            ("2", 2_000),
            ("0.1", 100),
            (".5", 500),
            ("1.", 1_000),
            ("1e3", 1_000_000),
            ("1E-3", 1),
            ("100u", 1),
            ("1n", 1),
            ("0", 0),
            ("+1", 1_000),
            ("0.0001", 1),
            ("0.00000000000000000001", 1),
        ] {
            assert_eq!(text.parse(), Ok(Cpu { millis }), "{text}");
        }
        for (text, count) in [
            ("512Mi", 512 << 20),
            ("1.5Gi", 3 << 29),
            ("128974848", 128_974_848),
            ("129e6", 129_000_000),
            ("1k", 1_000),
            ("100m", 1),
            ("7Ei", 7 << 60),
            ("9223372036854775807", MOST),
        ] {
            assert_eq!(text.parse(), Ok(Bytes { count }), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_others() {
        use InvalidQuantity::{Exponent, Negative, Number, Suffix, TooLarge};
        for (text, error) in [
            ("", Number),
            (".", Number),
            ("1.2.3", Number),
            ("Mi", Number),
            ("half", Number),
            ("1mi", Suffix),
            ("1 Gi", Suffix),
            ("1K", Suffix),
            ("1e", Suffix),
            ("-1", Negative),
            ("8Ei", TooLarge),
            ("1e19", Exponent),
            ("1e-19", Exponent),
            ("--1", Number),
            ("99999999999999999999999999999999999999999999", TooLarge),
            ("9223372036854775808", TooLarge),
        ] {
            assert_eq!(text.parse::<Bytes>(), Err(error), "{text}");
        }
        assert_eq!("9223372036854775807".parse::<Cpu>(), Err(TooLarge));
    }

    #[test]
    fn writes_the_shortest_exact_form() {
        for (millis, text) in [(0, "0"), (500, "500m"), (1_500, "1500m"), (2_000, "2")] {
            assert_eq!(Cpu { millis }.to_string(), text);
        }
        for (count, text) in [(0, "0"), (1, "1"), (512 << 20, "512Mi"), (3 << 29, "1536Mi"), (5_000_000, "5M"), (1_001, "1001")] {
            assert_eq!(Bytes { count }.to_string(), text);
        }
    }

    #[test]
    fn numbers_of_yaml_are_quantities_too() {
        assert_eq!(serde_json::from_str::<Cpu>("2").unwrap(), Cpu { millis: 2_000 });
        assert_eq!(serde_json::from_str::<Cpu>("0.25").unwrap(), Cpu { millis: 250 });
        assert_eq!(
            serde_json::from_str::<Bytes>("1e21").map_err(|error| error.to_string()),
            Err("a quantity can't be more than 2^63 - 1".into())
        );
        assert!(serde_json::from_str::<Cpu>("-1").unwrap_err().to_string().contains("negative"));
        assert!(serde_json::from_str::<Cpu>("true").unwrap_err().to_string().contains("a quantity, such as"));
    }

    proptest! {
        #[test]
        fn round_trips(units in 0..=MOST) {
            prop_assert_eq!(Cpu { millis: units }.to_string().parse(), Ok(Cpu { millis: units }));
            prop_assert_eq!(Bytes { count: units }.to_string().parse(), Ok(Bytes { count: units }));
        }

        #[test]
        fn never_panics(text in "[-+.0-9a-zA-Z]{0,50}|.{0,20}") {
            let _ = text.parse::<Cpu>();
            let _ = text.parse::<Bytes>();
        }
    }
}
