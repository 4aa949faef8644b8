use std::collections::VecDeque;

/// What came of a blob before, by way of another answer.
pub struct Prefix {
    /// Where each of its parts ends, and the BLAKE3 of it, for what was not compared yet.
    expected: VecDeque<(u64, [u8; 32])>,
    hasher: blake3::Hasher,
    compared: u64,
    is_right: bool,
}

impl Prefix {
    /// In parts, one after another: where each ends, and its BLAKE3.
    pub fn new(parts: Vec<(u64, [u8; 32])>) -> Self {
        Self { expected: parts.into(), hasher: blake3::Hasher::new(), compared: 0, is_right: true }
    }

    /// Nothing.
    pub fn none() -> Self {
        Self::new(Vec::new())
    }

    /// Takes in the blob's next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while let Some((end, hash)) = self.expected.front().copied() {
            let lacking = usize::try_from(end.saturating_sub(self.compared)).unwrap_or(usize::MAX);
            let (part, rest) = bytes.split_at(lacking.min(bytes.len()));
            self.hasher.update(part);
            self.compared += part.len() as u64;
            if self.compared < end {
                return;
            }
            self.is_right &= *self.hasher.finalize().as_bytes() == hash;
            self.hasher.reset();
            self.expected.pop_front();
            bytes = rest;
        }
    }

    /// Whether all of it is what came now.
    pub fn is_right(&self) -> bool {
        self.is_right && self.expected.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_before_is_to_come_again() {
        let hash = |bytes: &[u8]| *blake3::hash(bytes).as_bytes();
        let parts = vec![(4, hash(b"0123")), (8, hash(b"4567")), (10, hash(b"89"))];
        let compared = |chunks: &[&str]| {
            let mut prefix = Prefix::new(parts.clone());
            for chunk in chunks {
                prefix.update(chunk.as_bytes());
            }
            prefix.is_right()
        };
        assert!(compared(&["0123456789"]) && compared(&["01", "23456", "", "789 and more", "still"]));
        assert!(!compared(&["012345678"]) && !compared(&["01234x6789"]) && !compared(&[]));
        assert!(Prefix::none().is_right());
    }
}
