use std::{fmt, str::FromStr};

use super::super::{PartTag, StorageError};

/// What a part's tag says: how long the part is, and in which run of the system it was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct WrittenPart {
    pub(super) size_bytes: u64,
    pub(super) boot: String,
}

impl fmt::Display for WrittenPart {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{}", self.size_bytes, self.boot)
    }
}

impl FromStr for WrittenPart {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (size_bytes, boot) = text.split_once('@').ok_or(())?;
        Ok(Self { size_bytes: size_bytes.parse().map_err(|_| ())?, boot: boot.to_owned() })
    }
}

/// How long the parts are together, in bytes.
///
/// All but the last must be full. Parts of another run of the system may never have reached the disk: then the object is lost, which
/// is [`StorageError::NotFound`]; a part's bytes are promised to survive a process, and only a completed object's a power failure.
pub(super) fn total_bytes(key: &str, parts: &[PartTag], part_bytes: u64, boot: &str) -> Result<u64, StorageError> {
    let mut total_bytes = 0;
    for (index, tag) in parts.iter().enumerate() {
        let part: WrittenPart = tag.0.parse().map_err(|()| StorageError::NotFound { key: key.to_owned() })?;
        if part.boot != boot {
            return Err(StorageError::NotFound { key: key.to_owned() });
        }
        let is_last = index + 1 == parts.len();
        if part.size_bytes > part_bytes || (!is_last && part.size_bytes != part_bytes) {
            return Err(StorageError::Length { key: key.to_owned(), expected_bytes: part_bytes, actual_bytes: part.size_bytes });
        }
        total_bytes += part.size_bytes;
    }
    Ok(total_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(sizes: &[u64]) -> Vec<PartTag> {
        sizes.iter().map(|&size_bytes| PartTag(WrittenPart { size_bytes, boot: "b".into() }.to_string())).collect()
    }

    #[test]
    fn adds_full_parts_and_a_short_last_one() {
        assert_eq!(total_bytes("k", &tags(&[4, 4, 1]), 4, "b").unwrap(), 9);
        assert_eq!(total_bytes("k", &tags(&[]), 4, "b").unwrap(), 0);
    }

    #[test]
    fn refuses_gaps_and_parts_of_another_run() {
        assert!(matches!(total_bytes("k", &tags(&[4, 1, 4]), 4, "b"), Err(StorageError::Length { .. })));
        assert!(matches!(total_bytes("k", &tags(&[5]), 4, "b"), Err(StorageError::Length { .. })));
        assert!(matches!(total_bytes("k", &tags(&[4]), 4, "c"), Err(StorageError::NotFound { .. })));
        assert!(matches!(total_bytes("k", &[PartTag("x".into())], 4, "b"), Err(StorageError::NotFound { .. })));
    }
}
