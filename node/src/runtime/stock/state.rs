//! What is known of each blob, and by whose word.

use std::{collections::HashMap, sync::Arc, time::Instant};

use longshore_oci::{
    Digest,
    piece::{Geometry, PieceHashes},
};

use super::{Listed, MOST_BLOBS};

/// How much of hashes is kept, in bytes: those of 2 TiB of blobs.
const MOST_HASH_BYTES: usize = 64 << 20;
/// Of how many registries it is remembered that they have the same blob.
const MOST_REGISTRIES: usize = 16;

/// What the pieces of a blob hash to, by a registry's word.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    /// The registry's key.
    pub(super) upstream: Arc<str>,
    /// How long it says that the blob is.
    pub(super) size_bytes: u64,
    pub(super) hashes: PieceHashes,
    /// Whether it is known that what containerd holds is that, by one piece at least: to say what a blob is made of takes no blob.
    pub(super) is_proven: bool,
    /// Whether what containerd holds was found to be something else.
    pub(super) is_refuted: bool,
}

#[derive(Debug)]
pub(super) struct Blob {
    pub(super) namespace: Arc<str>,
    pub(super) listed: Listed,
    pub(super) is_damaged: bool,
    pub(super) is_told: bool,
    pub(super) retry_at: Option<Instant>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) blobs: HashMap<Digest, Blob>,
    /// The hashes of what is held, and at the start of what was, by whose word: what one registry says is nothing to another's callers.
    pub(super) shown: HashMap<Digest, Vec<Shown>>,
    pub(super) shown_count: usize,
    pub(super) hash_bytes: usize,
    pub(super) has_looked: bool,
}

impl State {
    pub(super) fn forget_shown(&mut self, digest: &Digest) -> Vec<Shown> {
        let forgotten = self.shown.remove(digest).unwrap_or_default();
        self.hash_bytes -= forgotten.iter().map(|shown| shown.hashes.as_bytes().len()).sum::<usize>();
        self.shown_count -= forgotten.len();
        forgotten
    }

    pub(super) fn remember_shown(&mut self, digest: &Digest, shown: Shown) -> bool {
        let pieces = Geometry::new(shown.size_bytes).map(Geometry::pieces);
        let is_sound = pieces.is_some_and(|pieces| usize::try_from(pieces) == Ok(shown.hashes.count()));
        let after = self.hash_bytes.saturating_add(shown.hashes.as_bytes().len());
        if !is_sound || after > MOST_HASH_BYTES || self.shown_count >= MOST_BLOBS {
            return false;
        }
        let known = self.shown.entry(digest.clone()).or_default();
        let is_full = known.len() >= MOST_REGISTRIES;
        match known.iter_mut().find(|one| one.upstream == shown.upstream) {
            // What was only said is not held to any more where better is known.
            Some(said) if shown.is_proven && !said.is_proven && !said.is_refuted => {
                self.hash_bytes = after - said.hashes.as_bytes().len();
                *said = shown;
            }
            Some(_) => return false,
            None if is_full => return false,
            None => {
                known.push(shown);
                self.hash_bytes = after;
                self.shown_count += 1;
            }
        }
        true
    }

    /// Forgets what was found not to be so of a blob that is there anew; by whose word that was.
    pub(super) fn forget_refuted(&mut self, digest: &Digest) -> Vec<Arc<str>> {
        let Some(known) = self.shown.get_mut(digest) else { return Vec::new() };
        let refuted: Vec<Shown> = known.extract_if(.., |shown| shown.is_refuted).collect();
        if known.is_empty() {
            self.shown.remove(digest);
        }
        self.hash_bytes -= refuted.iter().map(|shown| shown.hashes.as_bytes().len()).sum::<usize>();
        self.shown_count -= refuted.len();
        refuted.into_iter().map(|shown| shown.upstream).collect()
    }

    /// What a registry says of a blob that is here, where that was not found to be something else.
    pub(super) fn said(&self, digest: &Digest, upstream: &str) -> Option<(&Blob, &Shown)> {
        let blob = self.sound(digest)?;
        let shown = self.shown.get(digest)?.iter().find(|shown| &*shown.upstream == upstream)?;
        (shown.size_bytes == blob.listed.size_bytes && !shown.is_refuted).then_some((blob, shown))
    }

    /// Whether a blob is here as somebody's word for it says.
    pub(super) fn is_shown(&self, digest: &Digest) -> bool {
        let is_it =
            |blob: &Blob, shown: &Shown| shown.is_proven && shown.size_bytes == blob.listed.size_bytes && !shown.is_refuted;
        let all = || self.shown.get(digest).into_iter().flatten();
        self.sound(digest).is_some_and(|blob| all().any(|shown| is_it(blob, shown)))
    }

    pub(super) fn sound(&self, digest: &Digest) -> Option<&Blob> {
        self.blobs.get(digest).filter(|blob| !blob.is_damaged)
    }
}

/// The record of a registry's word for a blob.
pub(super) fn name(digest: &Digest, upstream: &str) -> String {
    format!("{digest} {upstream}")
}

/// A blob's length, and what its pieces hash to, as they are written down.
pub(super) fn write(shown: &Shown) -> Vec<u8> {
    [&shown.size_bytes.to_be_bytes()[..], shown.hashes.as_bytes()].concat()
}

pub(super) fn read(name: &str, value: &[u8]) -> Option<(Digest, Shown)> {
    let (digest, upstream) = name.split_once(' ')?;
    let (size_bytes, hashes) = value.split_first_chunk::<8>()?;
    let (size_bytes, hashes) = (u64::from_be_bytes(*size_bytes), PieceHashes::from_bytes(hashes)?);
    Some((digest.parse().ok()?, Shown { upstream: upstream.into(), size_bytes, hashes, is_proven: true, is_refuted: false }))
}
