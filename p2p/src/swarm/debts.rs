//! What was asked for within the limits of what comes down, and did not come yet.

use std::collections::BTreeMap;

use libp2p_identity::PeerId;
use longshore_oci::piece::PieceIndex;

use crate::upload::limits::{Intake, Provider};

/// Who owes a download which pieces; the origin is nobody.
#[derive(Debug, Default)]
pub(super) struct Debts(BTreeMap<(Option<PeerId>, PieceIndex), (Provider, u64)>);

impl Debts {
    /// So many bytes of a piece were taken from the limits for it.
    pub(super) fn owes(&mut self, peer: Option<PeerId>, piece: PieceIndex, from: Provider, bytes: u64) {
        self.0.insert((peer, piece), (from, bytes));
    }

    /// It came.
    pub(super) fn came(&mut self, peer: Option<PeerId>, piece: PieceIndex) {
        self.0.remove(&(peer, piece));
    }

    /// It won't come.
    pub(super) fn forgive(&mut self, peer: Option<PeerId>, piece: PieceIndex, intake: &mut Intake) {
        if let Some((from, bytes)) = self.0.remove(&(peer, piece)) {
            intake.give_back(from, bytes);
        }
    }

    /// Nothing more comes of one.
    pub(super) fn forgive_all_of(&mut self, peer: Option<PeerId>, intake: &mut Intake) {
        let all = (peer, PieceIndex(0))..=(peer, PieceIndex(u32::MAX));
        let pieces: Vec<_> = self.0.range(all).map(|((_, piece), _)| *piece).collect();
        for piece in pieces {
            self.forgive(peer, piece, intake);
        }
    }

    /// Nothing more comes at all.
    pub(super) fn forgive_all(&mut self, intake: &mut Intake) {
        for (from, bytes) in std::mem::take(&mut self.0).into_values() {
            intake.give_back(from, bytes);
        }
    }
}
