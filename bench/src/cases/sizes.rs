//! The sizes of layers.

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Twenty layer sizes as frequent as in the wild: 65 % below 1 MB, 80 % below 10 MB (Anwar et al., "Improving Docker Registry Design
/// Based on Production Workload Analysis", FAST 2018). Within those shares the sizes are ours.
pub const WILD_BYTES: [u64; 20] = [
    KIB,
    2 * KIB,
    4 * KIB,
    8 * KIB,
    16 * KIB,
    32 * KIB,
    64 * KIB,
    96 * KIB,
    128 * KIB,
    192 * KIB,
    256 * KIB,
    512 * KIB,
    900 * KIB,
    2 * MIB,
    5 * MIB,
    9 * MIB,
    12 * MIB,
    16 * MIB,
    24 * MIB,
    32 * MIB,
];

/// The layers of the image that is pushed, 25 MiB in all.
pub const IMAGE_LAYERS_BYTES: [u64; 10] =
    [4 * KIB, 16 * KIB, 32 * KIB, 128 * KIB, 256 * KIB, 512 * KIB, 900 * KIB, 2 * MIB, 5 * MIB, 16 * MIB];

/// A size as people write it: `4 KiB`.
pub fn in_words(size_bytes: u64) -> String {
    match size_bytes {
        0..KIB => format!("{size_bytes} B"),
        KIB..MIB => format!("{} KiB", size_bytes / KIB),
        _ if size_bytes < 1024 * MIB => format!("{} MiB", size_bytes / MIB),
        _ => format!("{} GiB", size_bytes / MIB / 1024),
    }
}

#[cfg(test)]
mod tests {
    use super::WILD_BYTES;

    #[test]
    fn the_shares_are_those_of_the_paper() {
        let below = |bytes: u64| WILD_BYTES.iter().filter(|size| **size < bytes).count();
        assert_eq!(below(1_000_000) * 100, WILD_BYTES.len() * 65);
        assert_eq!(below(10_000_000) * 100, WILD_BYTES.len() * 80);
    }
}
