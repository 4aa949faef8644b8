//! How many pods of a kind there are, by the values of a label of nodes: what spreading, affinity and anti-affinity go by.

use longshore_fleet::{Name, Selector};
use rustc_hash::FxHashMap as HashMap;

use super::{
    index::{CounterIndex, DomainIndex, TopologyIndex},
    interner::Interner,
};

/// Which pods are counted, and by which label of nodes.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Counted {
    /// Pods of this namespace.
    pub(crate) namespace: Name,
    /// Pods with such labels, or that keep such away.
    pub(crate) selector: Selector,
    /// The label of nodes.
    pub(crate) topology: TopologyIndex,
    /// Which of the two.
    pub(crate) kind: Kind,
}

/// Which pods a counter counts.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Kind {
    /// Those that the selector selects.
    Selected,
    /// Those whose required anti-affinity has this selector: they keep what it selects away.
    Repelling,
}

/// All counters.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    counted: Interner<Counted>,
    counts: Vec<Counts>,
}

/// The pods of one counter.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    by_domain: HashMap<DomainIndex, u32>,
    /// How many there are on nodes that have the label.
    total: u32,
}

impl Counts {
    /// How many there are at one value.
    pub(crate) fn at(&self, domain: DomainIndex) -> u32 {
        self.by_domain.get(&domain).copied().unwrap_or(0)
    }

    /// How many there are.
    pub(crate) const fn total(&self) -> u32 {
        self.total
    }

    /// Values at which there is one at least, and how many.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (DomainIndex, u32)> {
        self.by_domain.iter().map(|(domain, count)| (*domain, *count))
    }
}

impl Counters {
    /// A counter, and whether it is new, with nothing counted yet.
    pub(crate) fn counter(&mut self, counted: &Counted) -> (CounterIndex, bool) {
        let (at, is_new) = self.counted.intern(counted);
        if is_new {
            self.counts.push(Counts::default());
        }
        (CounterIndex::at(at), is_new)
    }

    /// What it counts.
    pub(crate) fn counted(&self, counter: CounterIndex) -> &Counted {
        self.counted.get(counter.position())
    }

    /// What it has counted.
    pub(crate) fn counts(&self, counter: CounterIndex) -> &Counts {
        &self.counts[counter.position()]
    }

    /// All counters, and what each counts.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (CounterIndex, &Counted)> {
        self.counted.iter().enumerate().map(|(at, counted)| (CounterIndex::at(at), counted))
    }

    /// Counts one more.
    pub(crate) fn add(&mut self, counter: CounterIndex, domain: DomainIndex) {
        let counts = &mut self.counts[counter.position()];
        *counts.by_domain.entry(domain).or_default() += 1;
        counts.total += 1;
    }

    /// Counts one less.
    pub(crate) fn remove(&mut self, counter: CounterIndex, domain: DomainIndex) {
        let counts = &mut self.counts[counter.position()];
        if let Some(count) = counts.by_domain.get_mut(&domain) {
            *count -= 1;
            counts.total -= 1;
            if *count == 0 {
                counts.by_domain.remove(&domain);
            }
        }
    }
}
