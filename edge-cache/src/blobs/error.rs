use std::sync::Arc;

use longshore_oci::Digest;
use longshore_service::budget::NoBudget;

use crate::{source::SourceError, store::StoreError};

/// Why a blob can't be opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OpenError {
    /// See [`SourceError`].
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The range lies outside of the blob.
    #[error("the range lies outside of the blob, which has {size_bytes} bytes")]
    RangeNotSatisfiable {
        /// The blob's length.
        size_bytes: u64,
    },
    /// See [`StoreError`].
    #[error("blob {digest} could not be kept or read")]
    Store {
        /// The blob.
        digest: Digest,
        /// Why.
        #[source]
        source: Arc<StoreError>,
    },
    /// See [`NoBudget`].
    #[error(transparent)]
    NoBudget(#[from] NoBudget),
    /// What was fetching it ended without a word.
    #[error("blob {0} could not be fetched; try again")]
    GaveUp(Digest),
}
