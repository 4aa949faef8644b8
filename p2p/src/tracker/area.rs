//! The areas that a peer is in, one within the other.

use std::sync::Arc;

use crate::locality::Locality;

/// How many areas a peer is in at most.
pub const LEVELS: usize = 4;

/// An area, by the names that lead to it: none for all there is, then the region's, the zone's and the rack's.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Area(Arc<[Box<str>]>);

impl Area {
    /// All there is.
    pub fn all() -> Self {
        Self(Arc::new([]))
    }

    /// How many areas it lies in.
    pub fn level(&self) -> usize {
        self.0.len()
    }
}

/// Those of a peer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Areas(Arc<[Area]>);

impl Areas {
    /// Those of where it is. Who names no rack is in none.
    pub fn of(locality: &Locality) -> Self {
        let names: [&str; LEVELS - 1] = [&locality.region, &locality.zone, &locality.rack];
        let deepest = if locality.rack.is_empty() { 2 } else { 3 };
        Self((0..=deepest).map(|level| Area(names[..level].iter().map(|name| Box::from(*name)).collect())).collect())
    }

    /// All of them, the widest first, each at its level.
    pub fn iter(&self) -> impl Iterator<Item = &Area> {
        self.0.iter()
    }

    /// The zone.
    pub fn zone(&self) -> &Area {
        &self.0[2]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_is_told_by_all_names_that_lead_to_it() {
        let of = |names: [&str; 3]| {
            let [region, zone, rack] = names.map(str::to_owned);
            Areas::of(&Locality { region, zone, rack, host: "h".to_owned() })
        };
        let here = of(["eu", "a", "1"]);
        assert_eq!(here.iter().map(Area::level).collect::<Vec<_>>(), [0, 1, 2, 3]);
        let (other_region, other_zone, rackless) = (of(["us", "a", "1"]), of(["eu", "b", "1"]), of(["eu", "a", ""]));
        assert!(
            other_region.iter().next() == Some(&Area::all())
                && here.0[1] != other_region.0[1]
                && here.zone() != other_region.zone()
        );
        assert!(here.0[1] == other_zone.0[1] && here.zone() != other_zone.zone() && here.0[3] != other_zone.0[3]);
        assert!(here.zone() == rackless.zone() && rackless.iter().count() == 3);
        assert_eq!(here, of(["eu", "a", "1"]));
    }
}
