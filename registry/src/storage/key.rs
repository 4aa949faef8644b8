use std::fmt;

use longshore_oci::{Algorithm, RepositoryName};
use uuid::Uuid;

/// The key of an object: every one there is, from one enum.
///
/// All lie below their repository, so that a bucket's listing alone tells what belongs where. A component of a repository's name
/// never begins with `_`, so none of these can be mistaken for a repository.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ObjectKey {
    /// `repositories/<name>/_blobs/<upload>-<number>[.sha512]`: a blob's bytes, or what an upload has of them.
    Blob(RepositoryName, BlobName),
    /// `repositories/<name>/_records/<revision>`: one change of the repository's manifests, tags or blobs.
    Record(RepositoryName, u64),
}

/// The opaque name of a blob's object: the upload that wrote it, and which of its objects it is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BlobName {
    /// The upload.
    pub upload: Uuid,
    /// The object. Two writers of one upload never share one, so neither can overwrite the other's bytes.
    pub number: u32,
    /// How the upload's content was hashed.
    pub algorithm: Algorithm,
}

impl ObjectKey {
    /// What the keys of all repositories begin with.
    pub const PREFIX: &'static str = "repositories/";

    /// Reads a key back from a listing.
    pub fn parse(text: &str) -> Option<Self> {
        let (front, last) = text.strip_prefix(Self::PREFIX)?.rsplit_once('/')?;
        if let Some(name) = front.strip_suffix("/_blobs") {
            let (last, algorithm) = match last.strip_suffix(".sha512") {
                Some(last) => (last, Algorithm::Sha512),
                None => (last, Algorithm::Sha256),
            };
            let (upload, number) = last.rsplit_once('-')?;
            let blob = BlobName { upload: Uuid::try_parse(upload).ok()?, number: number.parse().ok()?, algorithm };
            return Some(Self::Blob(name.parse().ok()?, blob)).filter(|key| key.to_string() == text);
        }
        let name = front.strip_suffix("/_records")?;
        Some(Self::Record(name.parse().ok()?, last.parse().ok()?)).filter(|key| key.to_string() == text)
    }

    /// How the content was hashed as it came, where it is a blob's.
    pub fn algorithm(&self) -> Option<Algorithm> {
        match self {
            Self::Blob(_, name) => Some(name.algorithm),
            Self::Record(..) => None,
        }
    }

    /// The repository below which it lies.
    pub fn repository(&self) -> &RepositoryName {
        match self {
            Self::Blob(name, _) | Self::Record(name, _) => name,
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blob(name, BlobName { upload, number, algorithm }) => {
                let suffix = if *algorithm == Algorithm::Sha512 { ".sha512" } else { "" };
                write!(formatter, "{}{name}/_blobs/{}-{number}{suffix}", Self::PREFIX, upload.simple())
            }
            // Twenty digits, so that the order of texts is the order of revisions.
            Self::Record(name, revision) => write!(formatter, "{}{name}/_records/{revision:020}", Self::PREFIX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_refuses_strangers() {
        let name: RepositoryName = "library/alpine".parse().unwrap();
        let blob = BlobName { upload: Uuid::now_v7(), number: 3, algorithm: Algorithm::Sha256 };
        let long = BlobName { algorithm: Algorithm::Sha512, ..blob };
        for key in [ObjectKey::Blob(name.clone(), blob), ObjectKey::Blob(name.clone(), long), ObjectKey::Record(name, 42)] {
            assert_eq!(ObjectKey::parse(&key.to_string()), Some(key));
        }
        for text in ["", "repositories/", "repositories/a/_records/42", "repositories/A/_records/00000000000000000042", "x/y"] {
            assert_eq!(ObjectKey::parse(text), None, "{text}");
        }
    }
}
