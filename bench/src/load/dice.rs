//! Repeatable randomness, so that every server meets the same draws.

/// A `SplitMix64` generator (Steele, Lea, Flood, 2014): tiny, fast and the same on every machine.
#[derive(Debug, Clone)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// A generator whose whole sequence follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 random bits.
    pub fn next_bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to, not including, `bound`; `bound` must not be 0.
    pub fn below(&mut self, bound: usize) -> usize {
        // The remainder's bias is below one in 2^40 for the small bounds here.
        let bound = bound as u64;
        let drawn = self.next_bits() % bound;
        usize::try_from(drawn).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn the_same_seed_draws_the_same_numbers_within_the_bound() {
        let (mut one, mut other) = (Dice::new(7), Dice::new(7));
        for _ in 0..1000 {
            let drawn = one.below(10);
            assert!(drawn < 10);
            assert_eq!(drawn, other.below(10));
        }
    }
}
