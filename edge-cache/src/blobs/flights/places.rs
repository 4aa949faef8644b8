use std::collections::BTreeMap;

use crate::piece::PieceIndex;

/// Where those are who read a blob.
#[derive(Debug, Default)]
pub(super) struct Places {
    all: BTreeMap<Word, PieceIndex>,
    said: u64,
}

/// What one of them said: who waits comes before who does not, and who said so last before others.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Word {
    is_waiting: bool,
    number: u64,
}

impl Places {
    /// One of them is at a piece, and waits for it or not; what they said before is out of date.
    pub(super) fn say(&mut self, before: Option<Word>, piece: PieceIndex, is_waiting: bool) -> Word {
        if let Some(before) = before {
            self.take_back(before);
        }
        self.said += 1;
        let word = Word { is_waiting, number: self.said };
        self.all.insert(word, piece);
        word
    }

    /// One of them reads no more.
    pub(super) fn take_back(&mut self, word: Word) {
        self.all.remove(&word);
    }

    /// Where the blob is read.
    pub(super) fn read_at(&self) -> Option<PieceIndex> {
        self.all.last_key_value().map(|(_, piece)| *piece)
    }

    /// Whether one of them waits.
    pub(super) fn is_waited_at(&self) -> bool {
        self.all.last_key_value().is_some_and(|(word, _)| word.is_waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_comes_first_and_then_who_came_last() {
        let mut places = Places::default();
        assert_eq!((places.read_at(), places.is_waited_at()), (None, false));
        let one = places.say(None, PieceIndex(3), true);
        let other = places.say(None, PieceIndex(7), true);
        assert_eq!(places.read_at(), Some(PieceIndex(7)));
        let other = places.say(Some(other), PieceIndex(7), false);
        assert_eq!((places.read_at(), places.is_waited_at()), (Some(PieceIndex(3)), true));
        let one = places.say(Some(one), PieceIndex(3), false);
        assert_eq!((places.read_at(), places.is_waited_at()), (Some(PieceIndex(3)), false));
        places.take_back(one);
        assert_eq!(places.read_at(), Some(PieceIndex(7)));
        places.take_back(other);
        assert!(places.read_at().is_none() && places.all.is_empty());
    }
}
