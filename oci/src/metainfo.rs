use serde::{Deserialize, Serialize};

use crate::Digest;

/// What a blob is made of: the BLAKE3 hash of each of its pieces. Who trusts it can check each piece as it comes, from anyone.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metainfo {
    /// The blob.
    pub digest: Digest,
    /// Its length.
    pub size_bytes: u64,
    /// How long a piece is; the last may be shorter.
    pub piece_size_bytes: u64,
    /// BLAKE3 of each piece, in hexadecimal digits, in order.
    pub pieces: Vec<String>,
    /// A [`Voucher`] for all of this, as a compact signature of whoever has seen the whole blob right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// The statement that a metainfo's signature is of: short, however many pieces there are.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Voucher {
    /// When it was said, in seconds since 1970.
    #[serde(rename = "iat")]
    pub issued_at: i64,
    /// The blob.
    pub digest: Digest,
    /// Its length.
    pub size_bytes: u64,
    /// How long a piece is.
    pub piece_size_bytes: u64,
    /// `blake3:`, and in hexadecimal digits the BLAKE3 of all pieces' hashes, 32 bytes each, in order.
    pub pieces_digest: String,
}

impl Voucher {
    /// The kind of statement that this is, its version included: the `typ` of a signature's header.
    pub const KIND: &'static str = "longshore-metainfo.v1+jwt";

    /// What there is to be said of a metainfo. `None` where one of its hashes is none, or they are not as many as its pieces.
    pub fn of(metainfo: &Metainfo, issued_at: i64) -> Option<Self> {
        let Metainfo { digest, size_bytes, piece_size_bytes, pieces, .. } = metainfo;
        let count = size_bytes.checked_div(*piece_size_bytes)? + u64::from(size_bytes % piece_size_bytes > 0);
        if pieces.len() as u64 != count {
            return None;
        }
        let mut hasher = blake3::Hasher::new();
        for piece in pieces {
            hasher.update(blake3::Hash::from_hex(piece).ok()?.as_bytes());
        }
        Some(Self {
            issued_at,
            digest: digest.clone(),
            size_bytes: *size_bytes,
            piece_size_bytes: *piece_size_bytes,
            pieces_digest: format!("blake3:{}", hasher.finalize()),
        })
    }

    /// Whether this is what there is to be said of a metainfo.
    pub fn vouches_for(&self, metainfo: &Metainfo) -> bool {
        Self::of(metainfo, self.issued_at).is_some_and(|expected| expected == *self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Algorithm;

    fn metainfo() -> Metainfo {
        let pieces = [b"one", b"two"].map(|piece| blake3::hash(piece).to_string()).to_vec();
        Metainfo { digest: Digest::of(Algorithm::Sha256, b"onetwo"), size_bytes: 6, piece_size_bytes: 3, pieces, signature: None }
    }

    #[test]
    fn vouches_for_what_it_was_made_of_alone() {
        let metainfo = metainfo();
        let voucher = Voucher::of(&metainfo, 1).unwrap();
        assert!(voucher.vouches_for(&metainfo));
        assert!(voucher.vouches_for(&Metainfo { signature: Some("x".into()), ..metainfo.clone() }));
        let mut swapped = metainfo.clone();
        swapped.pieces.swap(0, 1);
        let other = Digest::of(Algorithm::Sha256, b"other");
        for changed in [
            swapped,
            Metainfo { digest: other, ..metainfo.clone() },
            Metainfo { size_bytes: 5, ..metainfo.clone() },
            Metainfo { piece_size_bytes: 4, ..metainfo.clone() },
        ] {
            assert!(!voucher.vouches_for(&changed), "{changed:?}");
        }
    }

    #[test]
    fn says_nothing_of_what_is_no_metainfo() {
        let of = |change: &dyn Fn(&mut Metainfo)| {
            let mut metainfo = metainfo();
            change(&mut metainfo);
            Voucher::of(&metainfo, 1)
        };
        assert!(of(&|metainfo| metainfo.piece_size_bytes = 0).is_none());
        assert!(of(&|metainfo| drop(metainfo.pieces.pop())).is_none());
        assert!(of(&|metainfo| metainfo.size_bytes = 7).is_none());
        assert!(of(&|metainfo| metainfo.pieces[0].truncate(63)).is_none());
        assert!(of(&|metainfo| (metainfo.size_bytes, metainfo.pieces) = (0, Vec::new())).is_some());
    }
}
