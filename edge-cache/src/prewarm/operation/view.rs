use jiff::Timestamp;
use longshore_oci::Digest;
use serde::Serialize;

use super::State;
use crate::{blobs::Fetched, supply::Supplied};

/// A prewarming, as JSON. Its pieces and bytes count once what several images share.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationView {
    /// `op_` and a UUID of version 7.
    pub id: String,
    /// What is done: `prewarm`.
    pub kind: &'static str,
    /// `running`, `done`, `failed` or `cancelled`.
    pub state: State,
    /// The images.
    pub images: Vec<ImageView>,
    /// The platforms that they are wanted for; none for all.
    pub platforms: Vec<String>,
    /// How long they are pinned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
    /// When it must be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How far it is.
    #[serde(flatten)]
    pub progress: Progress,
    /// Bytes that were here when it was known that they are wanted.
    pub here_bytes: u64,
    /// What came since, and from whom.
    #[serde(flatten)]
    pub supplied: Supplied,
    /// Configurations and layers, the first of them.
    pub blobs: Vec<BlobView>,
    /// Why it ended before all images had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// An image of a prewarming, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageView {
    /// As it was asked for.
    pub image: String,
    /// Where it is.
    pub state: State,
    /// What its name leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// How far it is.
    #[serde(flatten)]
    pub progress: Progress,
    /// Why it failed, or why it waits for its upstream. Where the deadline ended it: why it last waited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A configuration or layer of a prewarming, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlobView {
    /// Which.
    pub digest: Digest,
    /// How long it is.
    pub size_bytes: u64,
    /// How much of it is here.
    pub bytes_done: u64,
    /// How much of it was here when it was known that it is wanted.
    pub here_bytes: u64,
    /// What came since, and from whom.
    #[serde(flatten)]
    pub supplied: Supplied,
}

/// How much is here of configurations and layers, and how much there is as far as is known.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Bytes that are here.
    pub bytes_done: u64,
    /// Bytes that there are.
    pub bytes_total: u64,
    /// Pieces that are here.
    pub pieces_done: u64,
    /// Pieces that there are.
    pub pieces_total: u64,
}

impl Progress {
    pub(super) fn sum(blobs: impl Iterator<Item = Fetched>) -> Self {
        blobs.fold(Self::default(), |sum, blob| Self {
            bytes_done: sum.bytes_done + blob.bytes,
            bytes_total: sum.bytes_total + blob.bytes_in_all,
            pieces_done: sum.pieces_done + u64::from(blob.pieces),
            pieces_total: sum.pieces_total + u64::from(blob.pieces_in_all),
        })
    }
}
