//! Where bytes come from that are not here.

use std::{ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::StatusCode;
use longshore_oci::Digest;
use longshore_service::budget::Budget;
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::{
    piece::{Geometry, PieceHashes, PieceIndex, PieceSet},
    supply::{Sender, Supplied},
    upstream::{Identity, Pause, UpstreamError},
};

/// Somebody who has blobs: a registry, as a caller of it, or a swarm.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// What it is called in logs and metrics.
    fn name(&self) -> &str;

    /// What it is, whoever asks: what one of another address brought is not served to its callers, unless it has the same.
    fn address(&self) -> Arc<str> {
        self.name().into()
    }

    /// As whom it asks, where its limits are of each caller's own.
    fn caller(&self) -> Option<&Identity> {
        None
    }

    /// A blob's length and the hashes of its pieces, by the word of somebody who is trusted to have seen all of it right; `None` where
    /// nobody says.
    async fn vouched(&self, digest: &Digest) -> Result<Option<(u64, PieceHashes)>, SourceError>;

    /// These bytes of a blob, or all, as they come; whoever reads them checks them.
    async fn read(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<Reading, SourceError>;

    /// Brings what is missing of a blob in whatever order it comes; `None` from who sends streams alone, as [`Self::read`] does. Asked once
    /// for all who want it, who are held up meanwhile: it begins and returns at once.
    fn gather(&self, _wish: Wish) -> Option<Box<dyn Gathering>> {
        None
    }

    /// What was read of a blob last is not what it is: where this source has it from one of several, that one is not asked again soon.
    fn distrust(&self, _digest: &Digest) {}

    /// Each piece of a blob was as this source vouched for it, and all of it is another blob: its word is false.
    fn refute(&self, _digest: &Digest) {}

    /// Whether somebody waits to ask it until it has sent what others asked for.
    fn is_waited_for(&self) -> bool {
        false
    }
}

/// Somebody who has blobs, shared.
pub type SharedSource = Arc<dyn Source>;

/// Bytes on their way.
pub struct Reading {
    /// How long the whole blob is.
    pub size_bytes: u64,
    /// Whether no more is sent than was asked for. Who knows no ranges sends all of a blob each time, and what comes before is let go.
    pub is_ranged: bool,
    /// Who sends it.
    pub sender: Sender,
    /// What was asked for of it.
    pub stream: BoxStream<'static, Result<Bytes, SourceError>>,
}

/// What is wanted of a blob whose pieces may come in any order.
#[derive(Debug)]
pub struct Wish {
    /// The blob.
    pub digest: Digest,
    /// How it falls into pieces.
    pub geometry: Geometry,
    /// What they hash to.
    pub hashes: PieceHashes,
    /// The pieces that are here.
    pub here: PieceSet,
    /// Where a client is that reads, and waits or waited last; `None` while none does.
    pub reading: watch::Receiver<Option<PieceIndex>>,
    /// The memory that pieces are received into counts here; [`Gathered`] hands it on. Who waits for it holds nobody else up, and who
    /// holds it keeps clients from reading.
    pub memory: Budget,
}

/// A piece that came, and was found right by its hash: it is not looked at again.
#[derive(Debug)]
pub struct Gathered {
    /// Which one.
    pub piece: PieceIndex,
    /// All of its bytes.
    pub bytes: Vec<u8>,
    /// Who sent them.
    pub supplied: Supplied,
    /// The memory that they take, of [`Wish::memory`]; what is more than that is given back.
    pub memory: OwnedSemaphorePermit,
}

/// Pieces on their way, in whatever order they come. Dropping it ends it.
#[async_trait]
pub trait Gathering: Send {
    /// The next piece; `None` once all that was missing has come. May be given up while it is waited for, and nothing is lost by that. An
    /// error ends it; after [`SourceError::Rangeless`] the source is not asked to gather for a while, but for streams.
    async fn next(&mut self) -> Option<Result<Gathered, SourceError>>;

    /// A piece lies where it can be read again, be it that it came this way or another: it is not missing any more, and others may be told
    /// that it is here.
    fn landed(&mut self, piece: PieceIndex);
}

/// Why bytes did not come.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// See [`UpstreamError`].
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// What came is not what it was to be.
    #[error("{name} sent what blob {digest} is not: {reason}")]
    Wrong {
        /// The source.
        name: String,
        /// The blob.
        digest: Digest,
        /// What is wrong.
        reason: String,
    },
    /// It sends all of a blob for any part of it, so what is missing can't be asked for by parts.
    #[error("{name} sends no parts of a blob")]
    Rangeless {
        /// The source.
        name: String,
    },
    /// What came before can't be kept for want of room, so what follows is fetched as it is read.
    #[error("there is no room to keep what is fetched")]
    Unkept,
}

impl SourceError {
    /// Whether whoever asks as somebody else might be answered.
    pub fn is_of_the_caller(&self) -> bool {
        // By which way somebody comes is theirs, too.
        const OF_THE_CALLER: [StatusCode; 4] =
            [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::NOT_FOUND, StatusCode::LOOP_DETECTED];
        matches!(self, Self::Upstream(UpstreamError::Refused { status, .. }) if OF_THE_CALLER.contains(status))
    }

    /// Whether whoever asks may not do so oftener for now, which says nothing of others.
    pub fn is_limit(&self) -> bool {
        matches!(self, Self::Upstream(error) if error.is_limit())
    }

    /// Whether it might go well if it is asked again, at once or a moment later, and who asks has not waited for that yet.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Wrong { .. } | Self::Rangeless { .. } | Self::Unkept => true,
            Self::Upstream(error) => matches!(error, UpstreamError::Unreachable { .. }),
        }
    }

    /// How long to wait where as much is asked of it as may be at once, which is over when others have been answered.
    pub fn busy_for(&self) -> Option<Duration> {
        match self {
            Self::Upstream(UpstreamError::Paused { reason: Pause::Busy, retry_after, .. }) => Some(*retry_after),
            Self::Upstream(_) | Self::Wrong { .. } | Self::Rangeless { .. } | Self::Unkept => None,
        }
    }
}
