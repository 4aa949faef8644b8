use crate::storage::PIECE_BYTES;

/// BLAKE3 of each piece of the content that passes by.
#[derive(Clone, Debug, Default)]
pub struct PieceHasher {
    whole: Vec<u8>,
    current: blake3::Hasher,
    current_bytes: u64,
}

impl PieceHasher {
    /// Takes in the content's next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = usize::try_from(PIECE_BYTES - self.current_bytes).expect("a piece fits the address space");
            let (head, rest) = bytes.split_at(room.min(bytes.len()));
            self.current.update(head);
            self.current_bytes += head.len() as u64;
            if self.current_bytes == PIECE_BYTES {
                self.whole.extend_from_slice(self.current.finalize().as_bytes());
                self.current.reset();
                self.current_bytes = 0;
            }
            bytes = rest;
        }
    }

    /// The hashes so far, 32 bytes each, that of the piece in the making included. Nothing is forgotten.
    pub fn so_far(&self) -> Vec<u8> {
        let mut hashes = self.whole.clone();
        if self.current_bytes > 0 {
            hashes.extend_from_slice(self.current.finalize().as_bytes());
        }
        hashes
    }

    /// The hashes so far, and a fresh start. Meant for the end of a part, which is the end of a piece.
    pub fn take(&mut self) -> Vec<u8> {
        let hashes = self.so_far();
        *self = Self::default();
        hashes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_piece_by_piece_however_the_bytes_come() {
        let content: Vec<u8> = (0..2_500_000_u32).map(|at| at.to_le_bytes()[0]).collect();
        let mut hasher = PieceHasher::default();
        for chunk in content.chunks(70_001) {
            hasher.update(chunk);
        }
        let expected: Vec<u8> = content.chunks(1 << 20).flat_map(|piece| *blake3::hash(piece).as_bytes()).collect();
        assert_eq!(hasher.so_far(), expected);
        assert_eq!(hasher.take(), expected);
        assert_eq!(hasher.so_far(), [0_u8; 0]);
    }
}
