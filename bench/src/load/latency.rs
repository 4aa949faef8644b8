//! A latency histogram with logarithmic buckets.

/// Each power of two is split into this many buckets, so a value read back is at most 1/64 (1.6 %) off.
const SUB_BUCKETS: u64 = 64;
const SUB_BITS: u32 = SUB_BUCKETS.trailing_zeros();
const BUCKETS: usize = (u64::BITS as usize - SUB_BITS as usize + 1) << SUB_BITS;

/// Counts of durations in nanoseconds.
#[derive(Debug, Clone)]
pub struct Latencies {
    counts: Vec<u64>,
    total: u64,
    longest_ns: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, longest_ns: 0 }
    }
}

impl Latencies {
    /// Adds one duration.
    pub fn record(&mut self, duration: std::time::Duration) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket_of(ns)] += 1;
        self.total += 1;
        self.longest_ns = self.longest_ns.max(ns);
    }

    /// Adds everything another histogram holds.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
        self.longest_ns = self.longest_ns.max(other.longest_ns);
    }

    /// How many durations were recorded.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The longest duration recorded, in milliseconds.
    pub fn longest_ms(&self) -> f64 {
        in_ms(self.longest_ns)
    }

    /// The duration, in milliseconds, that `percent` per cent of the recorded ones do not exceed; 0 when there are none.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rank is far below 2^52"
    )]
    pub fn percentile_ms(&self, percent: f64) -> f64 {
        let rank = (self.total as f64 * percent / 100.0).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank && *count > 0 {
                return in_ms(top_of(bucket as u64).min(self.longest_ns));
            }
        }
        in_ms(self.longest_ns)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a display value; 2^52 ns is 52 days")]
fn in_ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

fn bucket_of(ns: u64) -> usize {
    if ns < SUB_BUCKETS {
        return usize::try_from(ns).expect("below 64");
    }
    let shift = ns.ilog2() - SUB_BITS;
    let bucket = (u64::from(shift) + 1) * SUB_BUCKETS + ((ns >> shift) - SUB_BUCKETS);
    usize::try_from(bucket).expect("at most 59 * 64")
}

/// The largest value that falls in `bucket`.
fn top_of(bucket: u64) -> u64 {
    if bucket < SUB_BUCKETS {
        return bucket;
    }
    let shift = bucket / SUB_BUCKETS - 1;
    let base = (SUB_BUCKETS + bucket % SUB_BUCKETS) << shift;
    base + ((1_u64 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::{Latencies, bucket_of, top_of};
    use std::time::Duration;

    #[test]
    fn each_value_falls_under_the_top_of_its_bucket_by_at_most_two_per_cent() {
        for exponent in 0..63 {
            for value in [1_u64 << exponent, (1 << exponent) + (1 << exponent) / 3] {
                let top = top_of(bucket_of(value) as u64);
                assert!(top >= value && top - value <= value / 60 + 1, "{value} reads back as {top}");
            }
        }
        assert!(bucket_of(u64::MAX) < Latencies::default().counts.len());
    }

    #[test]
    fn percentiles_of_one_to_a_thousand_milliseconds() {
        let mut latencies = Latencies::default();
        for ms in 1..=1000 {
            latencies.record(Duration::from_millis(ms));
        }
        assert!((latencies.percentile_ms(50.0) - 500.0).abs() < 10.0);
        assert!((latencies.percentile_ms(99.0) - 990.0).abs() < 18.0);
        assert!((latencies.percentile_ms(100.0) - 1000.0).abs() < 0.001);
    }
}
