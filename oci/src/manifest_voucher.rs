use serde::{Deserialize, Serialize};

use crate::{Digest, RepositoryName, Tag, VerdictLifetime};

/// A registry's word for a manifest, signed: that whoever may pull from a repository may have it, and till when a cache may go by that while
/// the registry can't be asked. So it can be handed on by anybody, and does not count for longer than the registry has said.
///
/// It says nothing of who may pull from the repository.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestVoucher {
    /// When it was said, in seconds since 1970.
    #[serde(rename = "iat")]
    pub issued_at: i64,
    /// The repository, as the registry calls it.
    pub repository: RepositoryName,
    /// The manifest.
    pub digest: Digest,
    /// What it is.
    pub media_type: String,
    /// The tag that named it then, where it was asked for by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
    /// Whether the repository has all blobs that the manifest names, but for those that no registry has to have.
    pub is_whole: bool,
    /// From when on it does not count any more, in seconds since 1970.
    pub stale_until: i64,
}

impl ManifestVoucher {
    /// The kind of statement that this is, its version included: the `typ` of a signature's header.
    pub const KIND: &'static str = "longshore-manifest.v1+jwt";
    /// The header of a manifest's answer that has it. It is sent to whoever asks with the same header, whatever its value: to sign costs more
    /// than all else of an answer.
    pub const HEADER: &'static str = "longshore-manifest-voucher";
    /// The longest that is read, in bytes.
    pub const MOST_BYTES: usize = 4096;

    /// The second since 1970 from which on it does not count any more: no later than [`VerdictLifetime::LONGEST`] after it was said.
    pub fn ends_at(&self) -> i64 {
        let longest = i64::try_from(VerdictLifetime::LONGEST.as_secs()).expect("a week has few seconds");
        self.stale_until.min(self.issued_at.saturating_add(longest))
    }

    /// Whether it counts at a second since 1970.
    pub fn counts_at(&self, now: i64) -> bool {
        now < self.ends_at()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Algorithm;

    fn voucher(stale_until: i64) -> ManifestVoucher {
        ManifestVoucher {
            issued_at: 1000,
            repository: "team/app".parse().unwrap(),
            digest: Digest::of(Algorithm::Sha256, b"{}"),
            media_type: "application/vnd.oci.image.manifest.v1+json".into(),
            tag: Some("v1".parse().unwrap()),
            is_whole: true,
            stale_until,
        }
    }

    #[test]
    fn it_counts_till_it_ends_and_a_week_at_most() {
        assert!(voucher(1060).counts_at(1059) && !voucher(1060).counts_at(1060));
        assert!(voucher(i64::MAX).counts_at(1000 + 7 * 24 * 3600 - 1) && !voucher(i64::MAX).counts_at(1000 + 7 * 24 * 3600));
        assert!(!ManifestVoucher { issued_at: i64::MAX, ..voucher(5) }.counts_at(5), "nothing overflows");
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let said = voucher(2000);
        let json = serde_json::to_value(&said).unwrap();
        assert_eq!((json["iat"].as_i64(), json["tag"].as_str(), json["isWhole"].as_bool()), (Some(1000), Some("v1"), Some(true)));
        assert_eq!(serde_json::from_value::<ManifestVoucher>(json).unwrap(), said);
        let untagged = ManifestVoucher { tag: None, ..said };
        assert_eq!(serde_json::from_str::<ManifestVoucher>(&serde_json::to_string(&untagged).unwrap()).unwrap(), untagged);
    }
}
