//! What is measured of an edge cache.

use std::time::Duration;

use crate::cases::sizes::in_words;
use crate::load::stream::Until;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// The layers of the image that a storm of clients pulls. A thousand clients read 24 GB of it through the cache.
pub const STORM_LAYERS: usize = 3;
/// The size of each, in bytes.
pub const STORM_LAYER_BYTES: u64 = 8 * MIB;

/// 1 Gbit/s, in bytes a second.
const GIGABIT: u64 = 125_000_000;

/// What clients ask of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An image that is new to the cache, of all clients at once: each GETs its manifest, its configuration and its layers in order.
    Storm,
    /// As many blobs of this many bytes, which the cache has, again and again; each client begins with another.
    Hit(u64, usize),
    /// As many blobs of this many bytes, all new to the cache, one after the other.
    Cold(u64, usize),
}

/// One row of the tables.
#[derive(Debug, Clone, Copy)]
pub struct EdgeCase {
    /// Its name for `--only` and in the JSON.
    pub name: &'static str,
    /// What clients ask.
    pub kind: Kind,
    /// How many clients at once.
    pub clients: usize,
    /// What the link to the upstream lets through, in bytes a second; `None` where there is none but the loopback.
    pub link_bytes_per_second: Option<u64>,
}

const fn storm(name: &'static str, clients: usize) -> EdgeCase {
    EdgeCase { name, kind: Kind::Storm, clients, link_bytes_per_second: None }
}

const fn hit(name: &'static str, size_bytes: u64, blobs: usize, clients: usize) -> EdgeCase {
    EdgeCase { name, kind: Kind::Hit(size_bytes, blobs), clients, link_bytes_per_second: None }
}

const fn cold(name: &'static str, size_bytes: u64, blobs: usize, link_bytes_per_second: Option<u64>) -> EdgeCase {
    EdgeCase { name, kind: Kind::Cold(size_bytes, blobs), clients: 1, link_bytes_per_second }
}

/// Every case, in the order of the report.
pub const EDGE_CASES: [EdgeCase; 16] = [
    storm("edge-amplification-1", 1),
    storm("edge-amplification-10", 10),
    storm("edge-amplification-100", 100),
    storm("edge-amplification-1000", 1000),
    hit("edge-hit-64k-1", 64 * KIB, 128, 1),
    hit("edge-hit-64k-16", 64 * KIB, 128, 16),
    hit("edge-hit-64k-256", 64 * KIB, 128, 256),
    hit("edge-hit-1m-1", MIB, 64, 1),
    hit("edge-hit-1m-16", MIB, 64, 16),
    hit("edge-hit-1m-256", MIB, 64, 256),
    hit("edge-hit-100m-1", 100 * MIB, 2, 1),
    hit("edge-hit-100m-16", 100 * MIB, 2, 16),
    hit("edge-hit-100m-256", 100 * MIB, 2, 256),
    cold("edge-cold-64k", 64 * KIB, 40, None),
    cold("edge-cold-100m", 100 * MIB, 4, None),
    cold("edge-cold-100m-link", 100 * MIB, 2, Some(GIGABIT)),
];

impl EdgeCase {
    /// Whether `--only NAME` means this case: by its whole name, or by the words that it begins with, such as `edge` or `edge-hit-1m`.
    pub fn is_meant_by(&self, name: &str) -> bool {
        self.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }

    /// Whether the cache has everything before its first turn.
    pub fn is_warm(&self) -> bool {
        matches!(self.kind, Kind::Hit(..))
    }

    /// Whether the time that the upstream itself takes is measured beside it.
    pub fn has_upstream_beside(&self) -> bool {
        matches!(self.kind, Kind::Cold(..))
    }

    /// When the clients of a turn are done, of which so long a one was asked for.
    pub fn until(&self, asked: Duration) -> Until {
        if self.is_warm() { Until::Cut(asked) } else { Until::AllRead }
    }

    /// What it does, in words.
    pub fn title(&self) -> String {
        let what = match self.kind {
            Kind::Storm => format!("cold image, {STORM_LAYERS} layers of {}", in_words(STORM_LAYER_BYTES)),
            Kind::Hit(size_bytes, _) => format!("hit {}", in_words(size_bytes)),
            Kind::Cold(size_bytes, _) => format!("cold {}", in_words(size_bytes)),
        };
        let link = self.link_bytes_per_second.map_or_else(String::new, |rate| format!(", upstream at {} Mbit/s", rate / 125_000));
        format!("{what}{link}, {} client{}", self.clients, if self.clients == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::EDGE_CASES;

    #[test]
    fn a_case_is_meant_by_its_first_words() {
        let meant = |name: &str| EDGE_CASES.iter().filter(|case| case.is_meant_by(name)).count();
        assert_eq!(meant("edge"), EDGE_CASES.len());
        assert_eq!((meant("edge-hit"), meant("edge-hit-1m"), meant("edge-amplification-1")), (9, 3, 1));
        assert_eq!((meant("edge-hi"), meant("mixed"), meant("")), (0, 0, 0));
    }
}
