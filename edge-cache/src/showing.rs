//! What neighbours are shown of what is here, where they may have it: blobs that the registry of their repository has shown to have, and
//! manifests for which that registry has given its word.
//!
//! What is told of a blob beside its pieces is its metainfo, signed by whoever vouches for it; of a manifest, or of what a tag names, the
//! manifest with the registry's voucher. Either is JSON.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use longshore_oci::{Digest, Metainfo, RepositoryName};
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    edge::Edge,
    grants::Place,
    piece::{Geometry, PieceIndex, PieceSet},
    statements::Vouched,
    store::Entry,
    tags::VouchedManifest,
    upstream::Upstream,
    vouching::{unsigned, written},
};

/// Bytes, and the memory that they take.
struct Held(Bytes, #[expect(dead_code, reason = "it is given back with them")] OwnedSemaphorePermit);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Edge {
    /// How what is here of a repository's falls into pieces, and which of those are here; `None` where nothing is that may be shown. Waits for
    /// nothing.
    pub fn shown(&self, upstream: &Upstream, repository: &RepositoryName, about: &Digest) -> Option<(Geometry, PieceSet)> {
        if let Some((place, vouched)) = self.vouched(upstream, repository, about) {
            let geometry = Geometry::new(self.tags.manifests.size_bytes(&place, &vouched.said.digest)?)?;
            return Some((geometry, PieceSet::all_of(geometry.pieces())));
        }
        let entry = self.blobs.kept(about, upstream.key())?;
        Some((entry.geometry(), entry.present()))
    }

    /// A piece of it that is here; `None` where it is not, or can't be read now.
    pub async fn shown_piece(
        &self,
        upstream: &Upstream,
        repository: &RepositoryName,
        about: &Digest,
        piece: PieceIndex,
    ) -> Option<Bytes> {
        let Some((place, vouched)) = self.vouched(upstream, repository, about) else {
            // Where memory is short whoever wants it asks again, or somebody else.
            return self.blobs.read_kept(about, upstream.key(), piece).await.ok().flatten();
        };
        let bytes = self.tags.manifests.held(&place, &vouched.said.digest).await?.bytes;
        let range = Geometry::new(bytes.len() as u64)?.bytes_of(piece);
        let within = |at: u64| usize::try_from(at).ok().filter(|at| *at <= bytes.len());
        Some(bytes.slice(within(range.start)?..within(range.end)?)).filter(|piece| !piece.is_empty())
    }

    /// What is told of it beside; `None` where nobody has signed it.
    pub async fn told(&self, upstream: &Arc<Upstream>, repository: &RepositoryName, about: &Digest) -> Option<Bytes> {
        let Some((place, vouched)) = self.vouched(upstream, repository, about) else {
            return self.told_of_pieces(upstream, self.blobs.kept(about, upstream.key())?).await;
        };
        let bytes = self.tags.manifests.held(&place, &vouched.said.digest).await?.bytes;
        let content = String::from_utf8(bytes.into()).ok()?;
        serde_json::to_vec(&VouchedManifest { voucher: vouched.text.to_string(), content }).ok().map(Bytes::from)
    }

    /// The same of a blob that its upstream has shown to be these pieces, wherever they are.
    pub async fn told_of_pieces(&self, upstream: &Arc<Upstream>, entry: Arc<Entry>) -> Option<Bytes> {
        let signature = self.grants.statements().metainfo(upstream.key(), entry.digest())?;
        let proves = upstream.clone();
        let make = move |entry: &Entry| {
            let metainfo = Metainfo { signature: Some(signature.to_string()), ..unsigned(entry) };
            // What was signed may have been other pieces than those that are here by another's word.
            let list = if proves.is_proven(&metainfo) { serde_json::to_vec(&metainfo).ok() } else { None };
            (list.unwrap_or_default(), ())
        };
        let (list, (), room) = written(self.vouching.room(), entry, make).await.ok()?;
        (!list.is_empty()).then(|| Bytes::from_owner(Held(list, room)))
    }

    /// The upstream's word for a manifest, or for what a tag names, where it counts.
    fn vouched(&self, upstream: &Upstream, repository: &RepositoryName, about: &Digest) -> Option<(Place, Arc<Vouched>)> {
        let place = Place::new(upstream, repository.clone());
        let vouched = self.grants.statements().counting(&place, about, Timestamp::now())?;
        Some((place, vouched))
    }
}
