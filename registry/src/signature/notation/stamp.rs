use jiff::{SignedDuration, Timestamp};
use ring::digest;
use x509_cert::{
    der::{
        self, Decode as _, Reader as _, SliceReader, Tag, TagNumber, Tagged as _,
        asn1::{AnyRef, ObjectIdentifier, OctetStringRef},
    },
    ext::Extension,
};

use super::{token::invalid, token::unreadable};
use crate::signature::Refuted;

/// SHA-256, SHA-384 and SHA-512 (RFC 5754).
pub const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
pub const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
pub const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
/// The policy whose timestamps are right to the second where they do not say how right they are (RFC 3628, section 5.2).
const BASELINE: ObjectIdentifier = ObjectIdentifier::new_unwrap("0.4.0.2023.1.1");

/// Between when and when something was done, both included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl From<Timestamp> for Span {
    fn from(at: Timestamp) -> Self {
        Self { from: at, to: at }
    }
}

/// What a timestamp says: that a digest was there at a time (`TSTInfo`, RFC 3161, section 2.4.2).
pub struct Stamp {
    hash: ObjectIdentifier,
    imprint: Vec<u8>,
    /// When, by the authority's clock.
    pub at: Timestamp,
    /// How wrong that clock may be.
    accuracy: SignedDuration,
    /// Whether it says more than is known here, and must be.
    is_strange: bool,
}

impl Stamp {
    pub fn read(der: &[u8]) -> Result<Self, Refuted> {
        AnyRef::from_der(der).and_then(|info| info.sequence(read)).map_err(unreadable)
    }

    /// That it is of this message; between when and when the message was there.
    pub fn verify(&self, message: &[u8]) -> Result<Span, Refuted> {
        if self.is_strange {
            return Err(invalid("has a critical extension, and none is known here"));
        }
        let hash = hash(self.hash).ok_or_else(|| invalid(format!("is of a digest that is not taken ({})", self.hash)))?;
        if digest::digest(hash, message).as_ref() != self.imprint {
            return Err(invalid("is of another signature"));
        }
        match (self.at.checked_sub(self.accuracy), self.at.checked_add(self.accuracy)) {
            (Ok(from), Ok(to)) => Ok(Span { from, to }),
            _ => Err(invalid("says no time that could be")),
        }
    }
}

/// The hash function of this name; none for one that is not taken.
pub fn hash(name: ObjectIdentifier) -> Option<&'static digest::Algorithm> {
    match name {
        SHA256 => Some(&digest::SHA256),
        SHA384 => Some(&digest::SHA384),
        SHA512 => Some(&digest::SHA512),
        _ => None,
    }
}

fn read(reader: &mut SliceReader<'_>) -> der::Result<Stamp> {
    if reader.decode::<u8>()? != 1 {
        return Err(Tag::Integer.value_error());
    }
    let policy: ObjectIdentifier = reader.decode()?;
    let (hash, imprint) = reader.decode::<AnyRef<'_>>()?.sequence(|imprint| {
        let hash = imprint.decode::<AnyRef<'_>>()?.sequence(algorithm)?;
        Ok((hash, imprint.decode::<OctetStringRef<'_>>()?.as_bytes().to_vec()))
    })?;
    reader.decode::<AnyRef<'_>>()?.tag().assert_eq(Tag::Integer)?;
    let at = reader.decode::<AnyRef<'_>>()?;
    at.tag().assert_eq(Tag::GeneralizedTime)?;
    let at = time(at.value()).ok_or_else(|| Tag::GeneralizedTime.value_error())?;
    let (mut accuracy, mut is_strange, mut last) = (SignedDuration::ZERO, false, None);
    while !reader.is_finished() {
        let field: AnyRef<'_> = reader.decode()?;
        // The accuracy, whether stamps are in order, a number that who asked has chosen, the authority's name, extensions.
        let place = match field.tag() {
            Tag::Sequence => 0,
            Tag::Boolean => 1,
            Tag::Integer => 2,
            Tag::ContextSpecific { number: TagNumber::N0, .. } => 3,
            Tag::ContextSpecific { number: TagNumber::N1, .. } => 4,
            other => return Err(other.value_error()),
        };
        if last.replace(place).is_some_and(|last| last >= place) {
            return Err(field.tag().value_error());
        }
        match place {
            0 => accuracy = field.sequence(read_accuracy)?,
            4 => is_strange = has_critical(field.value())?,
            _ => {}
        }
    }
    if accuracy.is_zero() && policy == BASELINE {
        accuracy = SignedDuration::from_secs(1);
    }
    Ok(Stamp { hash, imprint, at, accuracy, is_strange })
}

/// The name in an algorithm's identifier. Hash functions have no parameters, or none that mean anything.
pub fn algorithm(reader: &mut SliceReader<'_>) -> der::Result<ObjectIdentifier> {
    let name = reader.decode()?;
    if !reader.is_finished() {
        reader.decode::<AnyRef<'_>>()?;
    }
    Ok(name)
}

/// A `GeneralizedTime` as RFC 3161 has it, which may have fractions of a second where that of certificates has none.
fn time(text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() != 14 || fraction.len() > 9 || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let (date, clock) = whole.split_at(8);
    let [year, month, day] = [&date[..4], &date[4..6], &date[6..]];
    let [hour, minute, second] = [&clock[..2], &clock[2..4], &clock[4..]];
    format!("{year}-{month}-{day}T{hour}:{minute}:{second}.{fraction}Z").parse().ok()
}

fn read_accuracy(reader: &mut SliceReader<'_>) -> der::Result<SignedDuration> {
    let (mut accuracy, mut last) = (SignedDuration::ZERO, None);
    while !reader.is_finished() {
        let part: AnyRef<'_> = reader.decode()?;
        let count = count(part.value()).ok_or_else(|| Tag::Integer.value_error())?;
        let (place, part) = match part.tag() {
            Tag::Integer => (0, SignedDuration::from_secs(count)),
            Tag::ContextSpecific { number: TagNumber::N0, .. } => (1, SignedDuration::from_millis(count)),
            Tag::ContextSpecific { number: TagNumber::N1, .. } => (2, SignedDuration::from_micros(count)),
            other => return Err(other.value_error()),
        };
        if last.replace(place).is_some_and(|last| last >= place) {
            return Err(Tag::Sequence.value_error());
        }
        accuracy += part;
    }
    Ok(accuracy)
}

/// A number from 0 to 2³¹ − 1.
fn count(bytes: &[u8]) -> Option<i64> {
    let is_fit = (1..=4).contains(&bytes.len()) && bytes[0] < 0x80;
    is_fit.then(|| bytes.iter().fold(0, |count, byte| (count << 8) | i64::from(*byte)))
}

fn has_critical(extensions: &[u8]) -> der::Result<bool> {
    let mut reader = SliceReader::new(extensions)?;
    let mut has_critical = false;
    while !reader.is_finished() {
        has_critical |= reader.decode::<Extension>()?.critical;
    }
    Ok(has_critical)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_fractions_or_none() {
        for (text, expected) in [
            ("20260501120000Z", Some("2026-05-01T12:00:00Z")),
            ("20260501120000.25Z", Some("2026-05-01T12:00:00.25Z")),
            ("20260501120000.Z", None),
            ("20260501120000", None),
            ("20260501120000+0100", None),
            ("202605011200Z", None),
            ("20261301120000Z", None),
            ("2026-5-1T12:00Z", None),
            ("+0260501120000Z", None),
            ("20260501120000.0000000001Z", None),
        ] {
            assert_eq!(time(text.as_bytes()), expected.map(|time| time.parse().unwrap()), "{text}");
        }
    }
}
