use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use prometheus::IntGauge;

/// A sum of bytes that are held, which a gauge tells.
#[derive(Debug)]
pub(super) struct Tally {
    bytes: AtomicU64,
    told: IntGauge,
}

/// Bytes that count as long as this lives.
#[derive(Debug)]
pub(super) struct Counted {
    bytes: u64,
    tally: Arc<Tally>,
}

impl Tally {
    /// None yet.
    pub(super) fn new(told: IntGauge) -> Self {
        Self { bytes: AtomicU64::new(0), told }
    }

    /// How many there are.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// Counts so many in.
    pub(super) fn count(self: &Arc<Self>, bytes: u64) -> Counted {
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
        self.told.add(gauged(bytes));
        Counted { bytes, tally: self.clone() }
    }

    fn discount(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.told.sub(gauged(bytes));
    }
}

impl Counted {
    /// Counts no more of them than so many.
    pub(super) fn shrink(&mut self, bytes: u64) {
        let less = self.bytes.saturating_sub(bytes);
        self.bytes -= less;
        self.tally.discount(less);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.tally.discount(self.bytes);
    }
}

/// A gauge's value; what is past the largest counts as that.
pub(super) fn gauged(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
