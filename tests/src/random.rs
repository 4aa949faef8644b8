use bytes::Bytes;

/// Numbers that look random and are the same for the same seed (SplitMix64), so that a failing run can be repeated.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number, any of 64 bits.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// The next number, at least `low` and less than `high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.number() % (high - low)
    }

    /// Like [`Self::between`], for lengths and indices.
    pub fn index(&mut self, low: usize, high: usize) -> usize {
        low + usize::try_from(self.number() % (high - low) as u64).expect("less than a usize")
    }

    /// True once in `1 / probability` times.
    pub fn chance(&mut self, probability: f64) -> bool {
        // 53 bits are what an f64 holds exactly.
        #[allow(clippy::cast_precision_loss)]
        let unit = (self.number() >> 11) as f64 / (1u64 << 53) as f64;
        unit < probability
    }

    /// `size_bytes` bytes that no compressor shortens.
    pub fn bytes(&mut self, size_bytes: usize) -> Bytes {
        let mut content = Vec::with_capacity(size_bytes + 8);
        while content.len() < size_bytes {
            content.extend_from_slice(&self.number().to_le_bytes());
        }
        content.truncate(size_bytes);
        content.into()
    }
}
