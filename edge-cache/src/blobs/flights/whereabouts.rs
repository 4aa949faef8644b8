use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    places::Word,
    waiting::{Attendance, Waiting},
};
use crate::piece::PieceIndex;

/// What a flight is told of one who reads: where they wait, or waited last and have gone on to. Until they read no more, they want what
/// it brings.
#[derive(Default)]
pub struct Whereabouts(Mutex<Option<Told>>);

/// What was said, and to whom.
struct Told {
    attendance: Attendance,
    word: Word,
}

impl Whereabouts {
    /// Waits for a piece from now on.
    pub fn wait(&self, piece: PieceIndex, waiting: &Waiting) {
        let Some(attendance) = waiting.attendance() else { return };
        let mut told = self.told();
        match &mut *told {
            Some(Told { attendance: known, word }) if Arc::ptr_eq(known.flight(), attendance.flight()) => {
                *word = known.flight().say(Some(*word), piece, true);
            }
            told => {
                let word = attendance.flight().say(None, piece, true);
                *told = Some(Told { attendance: Attendance::new(attendance.flight()), word });
            }
        }
    }

    /// Has this piece, and waits for none.
    pub fn go_on(&self, piece: PieceIndex) {
        if let Some(Told { attendance, word }) = &mut *self.told() {
            *word = attendance.flight().say(Some(*word), piece, false);
        }
    }

    fn told(&self) -> MutexGuard<'_, Option<Told>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.attendance.flight().take_back(self.word);
    }
}
