use std::collections::BTreeMap;

use jiff::Timestamp;
use longshore_oci::Digest;
use serde::{Deserialize, Serialize};

use super::charge::blob_charge;

/// A lease that keeps a blob from being dropped.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pin {
    /// Whose it is. One has a blob pinned once; pinning it again renews the lease.
    pub owner: String,
    /// Why, in words.
    pub reason: String,
    /// The image it is for, as it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The blob, which may not be here yet.
    pub digest: Digest,
    /// The blob's whole length.
    pub size_bytes: u64,
    /// When it ends; `None`: when it is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Since when it is.
    pub created_at: Timestamp,
}

impl Pin {
    /// Whether it holds at that time.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// All pins, and what they need together.
#[derive(Clone, Debug, Default)]
pub(super) struct Pins {
    by_digest: BTreeMap<Digest, BTreeMap<String, Pin>>,
    count: usize,
    charged_bytes: u64,
}

impl Pins {
    /// What all pinned blobs need on the disk when they are whole.
    pub(super) fn charged_bytes(&self) -> u64 {
        self.charged_bytes
    }

    /// The same of those that hold at that time: leases end between two looks for them.
    pub(super) fn charged_bytes_at(&self, now: Timestamp) -> u64 {
        let needed = |owners: &BTreeMap<String, Pin>| owners.values().filter(|pin| pin.holds(now)).map(charge).max().unwrap_or(0);
        self.by_digest.values().map(needed).sum()
    }

    /// How many pins there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// What all pinned blobs would need with this pin there too.
    pub(super) fn charged_with(&self, pin: &Pin) -> u64 {
        let same = self.by_digest.get(&pin.digest);
        let others = same.into_iter().flatten().filter(|(owner, _)| **owner != pin.owner).map(|(_, pin)| pin);
        let needed = others.chain([pin]).map(charge).max().unwrap_or(0);
        self.charged_bytes.saturating_sub(charge_of(same)).saturating_add(needed)
    }

    /// Those of a blob.
    pub(super) fn iter_of(&self, digest: &Digest) -> impl Iterator<Item = &Pin> {
        self.by_digest.get(digest).into_iter().flat_map(BTreeMap::values)
    }

    /// One that holds the blob now.
    pub(super) fn holding(&self, digest: &Digest, now: Timestamp) -> Option<&Pin> {
        self.iter_of(digest).find(|pin| pin.holds(now))
    }

    /// Adds or renews one.
    pub(super) fn insert(&mut self, pin: Pin) {
        self.charged_bytes = self.charged_with(&pin);
        let replaced = self.by_digest.entry(pin.digest.clone()).or_default().insert(pin.owner.clone(), pin);
        self.count += usize::from(replaced.is_none());
    }

    /// Takes one back; whether it was there.
    pub(super) fn remove(&mut self, owner: &str, digest: &Digest) -> bool {
        let before = charge_of(self.by_digest.get(digest));
        let Some(owners) = self.by_digest.get_mut(digest) else { return false };
        if owners.remove(owner).is_none() {
            return false;
        }
        if owners.is_empty() {
            self.by_digest.remove(digest);
        }
        self.count -= 1;
        self.charged_bytes = self.charged_bytes.saturating_sub(before) + charge_of(self.by_digest.get(digest));
        true
    }

    /// Whose leases have ended.
    pub(super) fn expired(&self, now: Timestamp) -> Vec<(String, Digest)> {
        self.iter().filter(|pin| !pin.holds(now)).map(|pin| (pin.owner.clone(), pin.digest.clone())).collect()
    }

    /// All of them, by digest and owner.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Pin> {
        self.by_digest.values().flat_map(BTreeMap::values)
    }
}

fn charge(pin: &Pin) -> u64 {
    blob_charge(pin.size_bytes)
}

fn charge_of(owners: Option<&BTreeMap<String, Pin>>) -> u64 {
    owners.into_iter().flat_map(BTreeMap::values).map(charge).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use longshore_oci::Algorithm;
    use proptest::prelude::*;

    use super::*;

    fn pin(owner: u8, blob: u8, size_bytes: u64, expires_at: Option<i64>) -> Pin {
        Pin {
            owner: owner.to_string(),
            reason: "a test".to_owned(),
            image: None,
            digest: Digest::of(Algorithm::Sha256, &[blob]),
            size_bytes,
            expires_at: expires_at.map(|second| Timestamp::from_second(second).unwrap()),
            created_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_lease_ends() {
        let mut pins = Pins::default();
        pins.insert(pin(0, 0, 5000, Some(10)));
        let at = |second| Timestamp::from_second(second).unwrap();
        let digest = pin(0, 0, 0, None).digest;
        assert!(pins.holding(&digest, at(9)).is_some() && pins.holding(&digest, at(10)).is_none());
        assert_eq!((pins.expired(at(9)).len(), pins.expired(at(10)).len()), (0, 1));
        assert_eq!((pins.charged_bytes_at(at(9)), pins.charged_bytes_at(at(10))), (blob_charge(5000), 0));
        pins.insert(pin(1, 0, 10, None));
        assert_eq!((pins.charged_bytes_at(at(9)), pins.charged_bytes_at(at(10))), (blob_charge(5000), blob_charge(10)));
    }

    proptest! {
        #[test]
        fn bytes_are_counted_once_a_blob(changes in prop::collection::vec((any::<bool>(), 0_u8..3, 0_u8..3, 0_u64..20_000), 0..60)) {
            let (mut pins, mut model) = (Pins::default(), BTreeMap::new());
            for (is_added, owner, blob, size) in changes {
                if is_added {
                    let told = pins.charged_with(&pin(owner, blob, size, None));
                    pins.insert(pin(owner, blob, size, None));
                    model.insert((blob, owner), size);
                    prop_assert_eq!(told, pins.charged_bytes());
                } else {
                    let digest = pin(owner, blob, 0, None).digest;
                    prop_assert_eq!(pins.remove(&owner.to_string(), &digest), model.remove(&(blob, owner)).is_some());
                }
                let needed = |blob: u8| model.iter().filter(|((of, _), _)| *of == blob).map(|(_, size)| blob_charge(*size)).max();
                prop_assert_eq!(pins.charged_bytes(), (0..3).filter_map(needed).sum::<u64>());
                prop_assert_eq!(pins.count(), model.len());
            }
        }
    }
}
