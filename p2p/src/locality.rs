//! Where a peer is, and how near two are to each other.

use serde::{Deserialize, Serialize};

/// The longest name of a region, zone, rack or host, in bytes.
pub const MOST_NAME_BYTES: usize = 128;

/// Where a peer is. A fleet that tells nothing of it is one zone of one region; that nothing is said of racks and hosts makes none the
/// same.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Locality {
    /// The region, as of a cloud.
    pub region: String,
    /// The zone in it, in which bytes are cheap.
    pub zone: String,
    /// The rack in the zone.
    pub rack: String,
    /// The machine.
    pub host: String,
}

/// How near two peers are; the nearest is the least.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Nearness {
    /// On one machine.
    Host,
    /// In one rack.
    Rack,
    /// In one zone.
    Zone,
    /// In one region.
    Region,
    /// Elsewhere.
    Elsewhere,
}

impl Nearness {
    /// One word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Rack => "rack",
            Self::Zone => "zone",
            Self::Region => "region",
            Self::Elsewhere => "elsewhere",
        }
    }
}

impl Locality {
    /// How near the other is.
    pub fn nearness(&self, other: &Self) -> Nearness {
        let is_named = |name: &str, others: &str| !name.is_empty() && name == others;
        if self.region != other.region {
            Nearness::Elsewhere
        } else if self.zone != other.zone {
            Nearness::Region
        } else if is_named(&self.host, &other.host) {
            Nearness::Host
        } else if is_named(&self.rack, &other.rack) {
            Nearness::Rack
        } else {
            Nearness::Zone
        }
    }

    /// Whether each of its names has a length that others should have to keep.
    pub fn has_short_names(&self) -> bool {
        [&self.region, &self.zone, &self.rack, &self.host].iter().all(|name| name.len() <= MOST_NAME_BYTES)
    }

    /// Whether bytes between the two cross no zone's border.
    pub fn is_same_zone(&self, other: &Self) -> bool {
        self.nearness(other) <= Nearness::Zone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(region: &str, zone: &str, rack: &str, host: &str) -> Locality {
        let [region, zone, rack, host] = [region, zone, rack, host].map(str::to_owned);
        Locality { region, zone, rack, host }
    }

    #[test]
    fn the_innermost_that_two_share_is_how_near_they_are() {
        let here = at("eu", "a", "1", "n1");
        for (other, expected) in [
            (at("eu", "a", "1", "n1"), Nearness::Host),
            (at("eu", "a", "1", "n2"), Nearness::Rack),
            (at("eu", "a", "2", "n2"), Nearness::Zone),
            (at("eu", "a", "", ""), Nearness::Zone),
            (at("eu", "b", "1", "n1"), Nearness::Region),
            (at("us", "a", "1", "n1"), Nearness::Elsewhere),
        ] {
            assert_eq!((here.nearness(&other), other.nearness(&here)), (expected, expected), "{other:?}");
        }
        let nowhere = Locality::default();
        assert_eq!(nowhere.nearness(&nowhere), Nearness::Zone);
        assert!(Nearness::Host < Nearness::Rack && Nearness::Zone < Nearness::Region && Nearness::Region < Nearness::Elsewhere);
    }
}
