//! Who sends the bytes of blobs: another store of the machine, neighbours, another cache of ours, or the registry itself.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use http::{HeaderMap, HeaderValue, header::VIA};
use serde::Serialize;

/// What a cache of ours says in the `Via` of its answers (RFC 9110, 7.6.3): what it is, and not which one, for a name of its own in a
/// request is how one that goes round in a circle is found.
pub const VIA_A_CACHE: HeaderValue = HeaderValue::from_static("1.1 longshore");
const CACHE_NAME: &str = "longshore";

/// Who sends bytes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Supplier {
    /// Another store of the same machine, as a container runtime's.
    Machine,
    /// Neighbours, as in a swarm.
    Neighbours,
    /// Another cache of ours: an edge of the same site, or an upstream that is one.
    Edge,
    /// The registry.
    Registry,
}

impl Supplier {
    /// All of them, the nearest first.
    pub const ALL: [Self; 4] = [Self::Machine, Self::Neighbours, Self::Edge, Self::Registry];

    /// As metrics call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::Neighbours => "neighbours",
            Self::Edge => "edge",
            Self::Registry => "registry",
        }
    }

    /// Who answers with these headers, as an upstream.
    pub fn of_answer(headers: &HeaderMap) -> Self {
        let values = headers.get_all(VIA).iter().filter_map(|value| value.to_str().ok());
        let mut names = values.flat_map(|value| value.split(',')).filter_map(|hop| hop.split_whitespace().nth(1));
        if names.any(|name| name == CACHE_NAME) { Self::Edge } else { Self::Registry }
    }
}

/// Who sends what is being read now: what goes on at another says so before its bytes are handed out. Clones tell the same.
#[derive(Clone, Debug)]
pub struct Sender(Arc<AtomicU8>);

impl Sender {
    /// This one.
    pub fn new(supplier: Supplier) -> Self {
        Self(Arc::new(AtomicU8::new(supplier as u8)))
    }

    /// Who sent the bytes that were handed out last.
    pub fn now(&self) -> Supplier {
        let known = self.0.load(Ordering::Relaxed);
        Supplier::ALL.into_iter().find(|supplier| *supplier as u8 == known).unwrap_or(Supplier::Registry)
    }

    /// Another sends what is handed out next.
    pub fn set(&self, supplier: Supplier) {
        self.0.store(supplier as u8, Ordering::Relaxed);
    }
}

/// How many bytes came from whom.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Supplied {
    /// From another store of the same machine.
    pub machine_bytes: u64,
    /// From neighbours.
    pub neighbour_bytes: u64,
    /// From other caches of ours.
    pub edge_bytes: u64,
    /// From the registry.
    pub registry_bytes: u64,
}

impl Supplied {
    /// So many from one.
    pub fn of(supplier: Supplier, bytes: u64) -> Self {
        let mut all = Self::default();
        *all.place(supplier) = bytes;
        all
    }

    /// How many one has sent.
    pub fn by(&self, supplier: Supplier) -> u64 {
        let mut all = *self;
        *all.place(supplier)
    }

    /// From all together.
    pub fn sum(&self) -> u64 {
        Supplier::ALL.into_iter().fold(0, |sum, supplier| sum.saturating_add(self.by(supplier)))
    }

    /// With what else came.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    /// What came since it was this.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        self.with(before, u64::saturating_sub)
    }

    fn with(self, other: Self, change: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            machine_bytes: change(self.machine_bytes, other.machine_bytes),
            neighbour_bytes: change(self.neighbour_bytes, other.neighbour_bytes),
            edge_bytes: change(self.edge_bytes, other.edge_bytes),
            registry_bytes: change(self.registry_bytes, other.registry_bytes),
        }
    }

    fn place(&mut self, supplier: Supplier) -> &mut u64 {
        match supplier {
            Supplier::Machine => &mut self.machine_bytes,
            Supplier::Neighbours => &mut self.neighbour_bytes,
            Supplier::Edge => &mut self.edge_bytes,
            Supplier::Registry => &mut self.registry_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_is_known_by_its_via() {
        let of = |values: &[&str]| {
            let values = values.iter().map(|value| (VIA, HeaderValue::from_str(value).unwrap()));
            Supplier::of_answer(&values.collect())
        };
        assert_eq!(of(&[]), Supplier::Registry);
        assert_eq!(of(&["1.1 proxy", "1.1 squid (longshore)"]), Supplier::Registry);
        assert_eq!(of(&["1.1 longshoreman", "1.1 longshore-0123456789abcdef"]), Supplier::Registry, "that is a request's way");
        assert_eq!(of(&[VIA_A_CACHE.to_str().unwrap()]), Supplier::Edge);
        assert_eq!(of(&["1.1 longshore, 1.1 squid"]), Supplier::Edge, "a proxy is between");
    }

    #[test]
    fn bytes_are_told_apart_by_who_sent_them() {
        let came = Supplied::of(Supplier::Neighbours, 5).plus(Supplied::of(Supplier::Registry, 2));
        assert_eq!(
            (came.sum(), came.by(Supplier::Neighbours), came.by(Supplier::Edge), came.by(Supplier::Registry)),
            (7, 5, 0, 2)
        );
        assert_eq!(came.since(Supplied::of(Supplier::Neighbours, 1)).sum(), 6);
        let sender = Sender::new(Supplier::Edge);
        let told = sender.clone();
        assert_eq!(told.now(), Supplier::Edge);
        sender.set(Supplier::Registry);
        assert_eq!(told.now(), Supplier::Registry);
    }
}
