use std::{ops::Range, sync::Arc};

use super::BlobBody;
use crate::{piece::PieceIndex, store::Entry};

/// How a blob can be had here, for one who asks before opening it.
pub enum Found {
    /// Piece by piece, as somebody vouches for it; where it lies nowhere, there is no room to keep them.
    Pieces(Arc<Entry>),
    /// As one stream, which is on its way.
    Whole,
    /// Not at all but as a stream of each reader's own, as there is no room for it.
    NoRoom,
}

/// A range of a blob, opened.
pub struct Opened {
    /// The blob's length.
    pub size_bytes: u64,
    /// What was asked for of it.
    pub range: Range<u64>,
    /// The bytes.
    pub body: BlobBody,
    /// Whether they are here.
    pub was: Was,
}

/// How much of what was asked for was here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Was {
    /// All of it.
    Hit,
    /// Some of it, or it was on its way.
    Partly,
    /// Nothing.
    Miss,
}

impl Was {
    /// How much of a range is here.
    pub(super) fn of(entry: &Entry, range: &Range<u64>) -> Self {
        let present = entry.present();
        let pieces = entry.geometry().pieces_of(range);
        let count = pieces.clone().filter(|piece| present.contains(PieceIndex(*piece))).count();
        match count {
            _ if count == pieces.len() => Self::Hit,
            0 => Self::Miss,
            _ => Self::Partly,
        }
    }
}
