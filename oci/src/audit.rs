use serde::{Deserialize, Serialize};

use crate::{Algorithm, Digest};

/// A line of the audit log: the text that was hashed, byte for byte, and the hash.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AuditLine {
    /// An object of JSON, its `seq` first.
    pub line: String,
    /// [`Self::hash_of`] the line before it and its text.
    pub hash: String,
}

impl AuditLine {
    /// What stands for the hash of the line before the very first.
    pub const NO_HASH: &'static str = "0000000000000000000000000000000000000000000000000000000000000000";

    /// SHA-256 of the previous line's hash, a newline and the line's text, in hexadecimal digits.
    pub fn hash_of(previous: &str, line: &str) -> String {
        Digest::of(Algorithm::Sha256, format!("{previous}\n{line}").as_bytes()).hex().to_owned()
    }
}

/// Where the audit log begins and ends.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditHead {
    /// The number of the last line; 0 where there was none yet.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
    /// The number of the first line that is kept: the one after `seq` where none is.
    pub first_seq: u64,
    /// The hash of the line before that, which was dropped by age.
    pub first_previous: String,
    /// An [`AuditVoucher`] for all of this, as a compact signature of the registry's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// The statement that an audit head's signature is of. Who keeps one can show a later rewriting of what lay before.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditVoucher {
    /// When it was said, in seconds since 1970.
    #[serde(rename = "iat")]
    pub issued_at: i64,
    /// The number of the last line.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
    /// The number of the first line that is kept.
    pub first_seq: u64,
    /// The hash of the line before that.
    pub first_previous: String,
}

impl AuditVoucher {
    /// The kind of statement that this is, its version included: the `typ` of a signature's header.
    pub const KIND: &'static str = "longshore-audit-head.v1+jwt";

    /// What there is to be said of a head.
    pub fn of(head: &AuditHead, issued_at: i64) -> Self {
        let AuditHead { seq, hash, first_seq, first_previous, .. } = head.clone();
        Self { issued_at, seq, hash, first_seq, first_previous }
    }

    /// Whether this is what there is to be said of a head.
    pub fn vouches_for(&self, head: &AuditHead) -> bool {
        Self::of(head, self.issued_at) == *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_covers_its_line_and_all_before() {
        let first = AuditLine::hash_of(AuditLine::NO_HASH, r#"{"seq":1}"#);
        // printf '%064d\n{"seq":1}' 0 | sha256sum
        assert_eq!(first, "a453da8151216b5ae0a15c5377bc79da35cc4f629a9e9a3dcab70bf0b485609a");
        assert_ne!(AuditLine::hash_of(&first, r#"{"seq":2}"#), AuditLine::hash_of(AuditLine::NO_HASH, r#"{"seq":2}"#));
    }

    #[test]
    fn vouches_for_what_it_was_made_of_alone() {
        let head = AuditHead { seq: 2, hash: "b".into(), first_seq: 1, first_previous: "a".into(), signature: None };
        let voucher = AuditVoucher::of(&head, 7);
        assert!(voucher.vouches_for(&head));
        for other in [
            AuditHead { seq: 3, ..head.clone() },
            AuditHead { hash: "c".into(), ..head.clone() },
            AuditHead { first_seq: 2, ..head.clone() },
            AuditHead { first_previous: "c".into(), ..head.clone() },
        ] {
            assert!(!voucher.vouches_for(&other), "{other:?}");
        }
    }
}
