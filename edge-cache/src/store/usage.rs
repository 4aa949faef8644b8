use jiff::Timestamp;
use longshore_oci::Digest;

/// After how many seconds without a request a blob's frequency is half of what it was: a day.
const HALF_LIFE_SECONDS: f64 = 86_400.0;

/// How a blob was asked for: when last, and how often, where an older request counts less.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Use {
    /// When it was asked for last.
    pub last_used: Timestamp,
    /// How often it was asked for, as of then.
    pub frequency: f64,
}

impl Use {
    /// Asked for once, now.
    pub fn first(now: Timestamp) -> Self {
        Self { last_used: now, frequency: 1.0 }
    }

    /// Asked for again. A clock that went back counts as one that stood.
    pub fn note(&mut self, now: Timestamp) {
        self.frequency = self.frequency_at(now) + 1.0;
        self.last_used = self.last_used.max(now);
    }

    /// How often it was asked for, as of `now`.
    pub fn frequency_at(&self, now: Timestamp) -> f64 {
        let seconds = now.duration_since(self.last_used).as_secs_f64().max(0.0);
        self.frequency * (-seconds / HALF_LIFE_SECONDS).exp2()
    }
}

/// What the store has of a blob.
#[derive(Clone, Debug, PartialEq)]
pub struct EntrySummary {
    /// The blob.
    pub digest: Digest,
    /// Its length.
    pub size_bytes: u64,
    /// How many pieces it has.
    pub pieces: u32,
    /// How many of them are here.
    pub present_pieces: u32,
    /// What they take on the disk.
    pub disk_bytes: u64,
    /// When it was asked for last, and how often.
    pub used: Use,
    /// Whose pins hold it.
    pub pinned_by: Vec<String>,
}

/// How full the store is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    /// What the pieces here take on the disk, each rounded up to the file system's blocks.
    pub disk_bytes: u64,
    /// What they may take.
    pub quota_bytes: u64,
    /// How many blobs there are, or parts of some.
    pub entries: usize,
    /// What the pinned blobs take when they are whole, be they here or not.
    pub pinned_bytes: u64,
    /// Room set aside for what is being written.
    pub reserved_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_halves_a_frequency() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut used = Use::first(at(0));
        used.note(at(0));
        assert!((used.frequency_at(at(86_400)) - 1.0).abs() < 1e-9);
        used.note(at(86_400));
        assert!((used.frequency - 2.0).abs() < 1e-9);
        used.note(at(0));
        assert_eq!(used.last_used, at(86_400));
        assert!((used.frequency - 3.0).abs() < 1e-9);
    }
}
