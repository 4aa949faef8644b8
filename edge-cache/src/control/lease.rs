//! Whose a pin is, as the store has it.
//!
//! The store knows a pin by its owner and its digest. Two images of one owner may have a blob together, and each must keep it when the
//! other is let go; so to the store an image of an owner is an owner by itself: `prewarm alpine:3.20`.

use jiff::Timestamp;
use longshore_client::{EdgePin, EdgePinOwner};

use crate::store::Pin;

/// Whom the store has a pin of.
pub fn holder(owner: &str, image: Option<&str>) -> String {
    image.map_or_else(|| owner.to_owned(), |image| format!("{owner} {image}"))
}

/// The owner that a holder is of. Owners have no spaces.
pub fn owner(holder: &str) -> &str {
    holder.split_once(' ').map_or(holder, |(owner, _)| owner)
}

/// A pin as it is told, with how much of its blob is here.
pub fn told(pin: Pin, present_bytes: u64) -> EdgePin {
    EdgePin {
        owner: owner(&pin.owner).to_owned(),
        reason: pin.reason,
        image: pin.image,
        digest: pin.digest,
        size_bytes: pin.size_bytes,
        present_bytes: Some(present_bytes),
        created_at: pin.created_at,
        expires_at: pin.expires_at,
    }
}

/// What each owner has pinned, by name; what has ended is nobody's.
pub fn owners(pins: &[EdgePin], now: Timestamp) -> Vec<EdgePinOwner> {
    use std::collections::{BTreeMap, BTreeSet};

    let mut by_owner: BTreeMap<&str, Vec<&EdgePin>> = BTreeMap::new();
    for pin in pins.iter().filter(|pin| pin.expires_at.is_none_or(|end| end > now)) {
        by_owner.entry(&pin.owner).or_default().push(pin);
    }
    let told = by_owner.into_iter().map(|(owner, pins)| {
        let images: BTreeSet<&str> = pins.iter().filter_map(|pin| pin.image.as_deref()).collect();
        let blobs: BTreeMap<_, _> = pins.iter().map(|pin| (&pin.digest, (pin.size_bytes, pin.present_bytes))).collect();
        EdgePinOwner {
            owner: owner.to_owned(),
            images: images.len() as u64,
            blobs: blobs.len() as u64,
            size_bytes: blobs.values().map(|(size_bytes, _)| size_bytes).sum(),
            present_bytes: blobs.values().map(|(_, present_bytes)| *present_bytes).sum(),
            expires_at: pins.iter().filter_map(|pin| pin.expires_at).min(),
        }
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use longshore_oci::{Algorithm, Digest};

    use super::*;

    fn pin(owner: &str, image: Option<&str>, content: &str, expires_at: Option<&str>) -> EdgePin {
        let time = |text: &str| text.parse().expect("a time");
        EdgePin {
            owner: owner.to_owned(),
            reason: String::new(),
            image: image.map(str::to_owned),
            digest: Digest::of(Algorithm::Sha256, content.as_bytes()),
            size_bytes: 10,
            present_bytes: Some(4),
            created_at: time("2026-06-01T00:00:00Z"),
            expires_at: expires_at.map(time),
        }
    }

    #[test]
    fn two_images_of_an_owner_hold_a_blob_each() {
        let (one, other) = (holder("prewarm", Some("a:1")), holder("prewarm", Some("b:1")));
        assert_ne!(one, other);
        assert_eq!([owner(&one), owner(&other), owner(&holder("prewarm", None))], ["prewarm"; 3]);
    }

    #[test]
    fn what_an_owner_has_is_counted_once_and_what_ended_not_at_all() {
        let later = Some("2026-06-09T00:00:00Z");
        let pins = [
            pin("prewarm", Some("a:1"), "base", later),
            pin("prewarm", Some("b:1"), "base", Some("2026-06-08T00:00:00Z")),
            pin("prewarm", Some("b:1"), "top", later),
            pin("operator", None, "base", None),
            pin("gone", None, "base", Some("2026-06-02T00:00:00Z")),
        ];
        let owners = owners(&pins, "2026-06-02T00:00:00Z".parse().expect("a time"));
        let seen: Vec<_> =
            owners.iter().map(|owner| (owner.owner.as_str(), owner.images, owner.blobs, owner.size_bytes)).collect();
        assert_eq!(seen, [("operator", 0, 1, 10), ("prewarm", 2, 2, 20)]);
        assert_eq!(owners.iter().map(|owner| owner.present_bytes).collect::<Vec<_>>(), [Some(4), Some(8)]);
        assert_eq!(owners[1].expires_at, "2026-06-08T00:00:00Z".parse().ok());
    }
}
