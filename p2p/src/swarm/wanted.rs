use std::{fmt, sync::Arc};

use longshore_oci::piece::{Geometry, PieceHashes, PieceIndex, PieceSet};
use tokio::sync::watch;

use super::{Memory, Origin};
use crate::topic::Topic;

/// A blob that is wanted.
pub struct Wanted {
    /// Which, and by what right.
    pub topic: Topic,
    /// How it falls into pieces.
    pub geometry: Geometry,
    /// What each of them must hash to.
    pub hashes: PieceHashes,
    /// Those that are here.
    pub here: PieceSet,
    /// Where a client waits that reads; `None` while nobody does.
    pub reading: watch::Receiver<Option<PieceIndex>>,
    /// What pieces in flight count against.
    pub memory: Arc<dyn Memory>,
    /// Where else bytes come from.
    pub origin: Arc<dyn Origin>,
}

impl fmt::Debug for Wanted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({} of {} pieces are here)", self.topic, self.here.count(), self.geometry.pieces())
    }
}
