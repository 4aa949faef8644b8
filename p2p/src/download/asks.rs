//! What is asked of whom.

use std::{collections::BTreeMap, ops::Range};

use super::{RunId, peer::Slot};
use crate::moment::Moment;

/// A piece that was asked of a peer.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) slot: Slot,
    pub(super) since: Moment,
    /// How much of it came.
    pub(super) bytes: u64,
}

/// All that a piece was asked of.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) of: Vec<Ask>,
    pub(super) run: Option<RunId>,
}

impl Asked {
    pub(super) fn copies(&self) -> usize {
        self.of.len() + usize::from(self.run.is_some())
    }

    pub(super) fn is_of(&self, slot: Slot) -> bool {
        self.of.iter().any(|ask| ask.slot == slot)
    }
}

/// A request to the origin.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) pieces: Range<u32>,
    /// How many of its pieces aren't here yet.
    pub(super) left: u32,
    pub(super) since: Moment,
    /// When anything of it last came.
    pub(super) heard: Moment,
    /// When the piece that is on its way had its turn.
    pub(super) turn: Moment,
    /// How much came of the piece that is on its way.
    pub(super) bytes: u64,
    pub(super) has_brought: bool,
}

/// The pieces that are asked for; one that isn't here is either open or in this.
#[derive(Debug, Default)]
pub(super) struct Asks {
    pieces: BTreeMap<u32, Asked>,
}

impl Asks {
    /// How many pieces are asked for.
    pub(super) fn count(&self) -> usize {
        self.pieces.len()
    }

    pub(super) fn get(&self, piece: u32) -> Option<&Asked> {
        self.pieces.get(&piece)
    }

    pub(super) fn ask_mut(&mut self, piece: u32, slot: Slot) -> Option<&mut Ask> {
        self.pieces.get_mut(&piece)?.of.iter_mut().find(|ask| ask.slot == slot)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Asked)> {
        self.pieces.iter().map(|(piece, asked)| (*piece, asked))
    }

    pub(super) fn add(&mut self, piece: u32, ask: Ask) {
        self.pieces.entry(piece).or_default().of.push(ask);
    }

    pub(super) fn add_run(&mut self, piece: u32, run: RunId) {
        self.pieces.entry(piece).or_default().run = Some(run);
    }

    /// The ask of a peer is over; what came of it, and whether the piece is asked of nobody any more.
    pub(super) fn end(&mut self, piece: u32, slot: Slot) -> Option<(Ask, bool)> {
        let asked = self.pieces.get_mut(&piece)?;
        let place = asked.of.iter().position(|ask| ask.slot == slot)?;
        let ask = asked.of.remove(place);
        Some((ask, self.is_over(piece)))
    }

    /// The request to the origin is over; whether the piece is asked of nobody any more.
    pub(super) fn end_run(&mut self, piece: u32, run: RunId) -> bool {
        let Some(asked) = self.pieces.get_mut(&piece).filter(|asked| asked.run == Some(run)) else { return false };
        asked.run = None;
        self.is_over(piece)
    }

    /// The piece is here.
    pub(super) fn remove(&mut self, piece: u32) -> Option<Asked> {
        self.pieces.remove(&piece)
    }

    fn is_over(&mut self, piece: u32) -> bool {
        let is_over = self.pieces.get(&piece).is_some_and(|asked| asked.copies() == 0);
        if is_over {
            self.pieces.remove(&piece);
        }
        is_over
    }
}
