//! The pins of images that are on their way: made before anything is fetched, and taken back where nothing comes of it. Only those of what
//! came are written down, so that a process that ends in between, however it does, leaves those that were there before.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use longshore_oci::Digest;
use tokio::sync::Semaphore;

use crate::store::{Pin, Store, StoreError};

/// Who pins what is prewarmed.
pub const OWNER: &str = "prewarm";

/// Whom the store has the pins of an image of ours from: two images may have a blob together, and each keeps it when the other goes.
pub fn holder(image: &str) -> String {
    format!("{OWNER} {image}")
}

/// A blob, as an image on its way needs it.
pub type Part = (String, Digest);

/// What was pinned before by us, as long as images on their way need it. Several operations may have the same image.
pub struct Leases {
    held: Mutex<HashMap<Part, Held>>,
    /// One at a time changes pins: what one takes back, another may just be making.
    turn: Semaphore,
}

#[derive(Debug)]
struct Held {
    /// How many images on their way need it.
    users: usize,
    /// Whether one of them came, so that it stays pinned.
    is_kept: bool,
    before: Option<Pin>,
}

/// What becomes of a pin when an image that needs it is over.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Fate {
    Keep,
    Remove,
    Restore(Pin),
}

/// For what, and until when.
pub struct Lease {
    /// Why.
    pub reason: String,
    /// For which image.
    pub image: String,
    /// Until when.
    pub expires_at: Timestamp,
}

impl Default for Leases {
    fn default() -> Self {
        Self { held: Mutex::default(), turn: Semaphore::new(1) }
    }
}

/// The pins would exceed the quota.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "it can't be pinned: {more_bytes} bytes more would be, beside {pinned_bytes} that are, and the quota is {quota_bytes}; unpin something, \
     prewarm less of it, or raise cache.quota"
)]
#[expect(clippy::struct_field_names, reason = "the unit that each of them is in")]
pub struct ExceedsQuota {
    more_bytes: u64,
    pinned_bytes: u64,
    quota_bytes: u64,
}

/// An image is not pinned for good.
#[derive(Debug, thiserror::Error)]
pub enum NotPinned {
    /// See [`ExceedsQuota`].
    #[error(transparent)]
    ExceedsQuota(#[from] ExceedsQuota),
    /// See [`StoreError`].
    #[error("it can't be pinned")]
    Store(#[source] StoreError),
    /// It is pinned for as long as this process runs, and after a crash it may not be.
    #[error("that it is pinned can't be written down yet")]
    NotWritten(#[source] StoreError),
}

impl Leases {
    /// Pins all of these for as long as this process runs; notes in `taken` what was, which is for [`Self::settle`] however this ends.
    pub async fn take(
        &self,
        store: &Store,
        lease: &Lease,
        contents: Vec<(Digest, u64)>,
        taken: &mut Vec<Part>,
    ) -> Result<(), NotPinned> {
        let _turn = self.turn.acquire().await;
        let pins = store.pins();
        let is_pinned: HashMap<&Digest, u64> = pins.iter().map(|pin| (&pin.digest, pin.size_bytes)).collect();
        let more_bytes = contents.iter().filter(|(digest, _)| !is_pinned.contains_key(digest)).map(|(_, size)| *size);
        fits(more_bytes.sum(), is_pinned.values().sum(), store.usage().quota_bytes)?;
        let owner = holder(&lease.image);
        let ours: HashMap<_, _> = pins.iter().filter(|pin| pin.owner == owner).map(|pin| (&pin.digest, pin)).collect();
        let mut held = Vec::new();
        for (digest, size_bytes) in contents {
            let before = ours.get(&digest).copied();
            let part = (lease.image.clone(), digest.clone());
            self.begin(&part, before);
            taken.push(part);
            held.push(Pin {
                owner: owner.clone(),
                reason: lease.reason.clone(),
                image: Some(lease.image.clone()),
                digest,
                size_bytes,
                expires_at: later(before, lease.expires_at),
                created_at: Timestamp::now(),
            });
        }
        // At once with what is noted: whoever gives up waiting finds both or neither.
        store.hold_all(held).map_err(NotPinned::Store)
    }

    /// An image is over: what it needed stays pinned from now on, or is as it was before unless another needs it.
    /// [`NotPinned::NotWritten`] where what stays could not be written down; that is tried again with whatever is written next.
    pub async fn settle(&self, store: &Store, taken: Vec<Part>, is_kept: bool) -> Result<(), NotPinned> {
        if taken.is_empty() {
            return Ok(());
        }
        let _turn = self.turn.acquire().await;
        let (mut kept, mut removed, mut restored) = (Vec::new(), Vec::new(), Vec::new());
        for part in taken {
            let fate = self.end(&part, is_kept);
            let (image, digest) = part;
            match fate {
                None => {}
                Some(Fate::Keep) => kept.push((holder(&image), digest)),
                Some(Fate::Remove) => removed.push((holder(&image), digest)),
                Some(Fate::Restore(before)) => restored.push(before),
            }
        }
        // What was held in place of these was never written down, so that there they are as they were before.
        store.release_all(&removed);
        if let Err(error) = store.hold_all(restored) {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "pins that a prewarming changed stay so until this process ends");
        }
        store.keep_held(kept).await.map_err(|error| {
            let told = &error as &dyn std::error::Error;
            tracing::warn!(error = told, "which pins of a prewarming stay is not written down yet; it will be tried again");
            NotPinned::NotWritten(error)
        })
    }

    fn begin(&self, part: &Part, before: Option<&Pin>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let of_part = held.entry(part.clone()).or_insert_with(|| Held { users: 0, is_kept: false, before: before.cloned() });
        of_part.users += 1;
    }

    fn end(&self, part: &Part, is_kept: bool) -> Option<Fate> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let of_part = held.get_mut(part)?;
        of_part.is_kept |= is_kept;
        of_part.users -= 1;
        if of_part.users > 0 {
            return is_kept.then_some(Fate::Keep);
        }
        let Held { is_kept, before, .. } = held.remove(part)?;
        Some(if is_kept { Fate::Keep } else { before.map_or(Fate::Remove, Fate::Restore) })
    }
}

/// When a pin ends that is made anew: never earlier than it was to.
fn later(before: Option<&Pin>, expires_at: Timestamp) -> Option<Timestamp> {
    match before {
        Some(Pin { expires_at: None, .. }) => None,
        Some(Pin { expires_at: Some(other), .. }) => Some(expires_at.max(*other)),
        None => Some(expires_at),
    }
}

fn fits(more_bytes: u64, pinned_bytes: u64, quota_bytes: u64) -> Result<(), ExceedsQuota> {
    let is_fit = pinned_bytes.checked_add(more_bytes).is_some_and(|all| all <= quota_bytes);
    if is_fit { Ok(()) } else { Err(ExceedsQuota { more_bytes, pinned_bytes, quota_bytes }) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use longshore_oci::Algorithm;
    use proptest::prelude::*;

    use super::*;

    fn digest(number: u8) -> Digest {
        Digest::of(Algorithm::Sha256, &[number])
    }

    fn pin(number: u8, expires_at: Option<&str>) -> Pin {
        let expires_at = expires_at.map(|text| text.parse().unwrap());
        let created_at = Timestamp::UNIX_EPOCH;
        let (owner, reason) = (holder("a"), "before".to_owned());
        Pin { owner, reason, image: None, digest: digest(number), size_bytes: 1, expires_at, created_at }
    }

    #[test]
    fn a_pin_is_never_shortened() {
        let new = "2026-06-08T00:00:00Z".parse().unwrap();
        assert_eq!(later(None, new), Some(new));
        assert_eq!(later(Some(&pin(0, None)), new), None);
        assert_eq!(later(Some(&pin(0, Some("2026-06-07T00:00:00Z"))), new), Some(new));
        let long = "2026-07-01T00:00:00Z";
        assert_eq!(later(Some(&pin(0, Some(long))), new), Some(long.parse().unwrap()));
    }

    #[test]
    fn pins_stay_within_the_quota() {
        assert_eq!(fits(5, 5, 10), Ok(()));
        let refused = fits(6, 5, 10).unwrap_err().to_string();
        assert!(refused.contains("6 bytes more would be, beside 5 that are, and the quota is 10"), "{refused}");
        assert!(fits(u64::MAX, 1, u64::MAX).is_err());
    }

    proptest! {
        /// However images come and go: what one that came needs is never taken back, and is written down; what none needs is as it was before,
        /// and what is written down of it was so all the while.
        #[test]
        fn what_is_needed_stays(images in prop::collection::vec((0_u8..4, any::<bool>(), any::<prop::sample::Index>()), 1..12)) {
            let leases = Leases::default();
            let mut pins = Both::new(&[(0, pin(0, None))].into());
            let mut needed = vec![];
            let mut running: Vec<(u8, bool)> = vec![];
            for (number, is_kept, which) in images {
                leases.begin(&("a".to_owned(), digest(number)), pins.here.get(&number));
                pins.here.insert(number, Pin { reason: "now".to_owned(), ..pin(number, None) });
                running.push((number, is_kept));
                if running.len() > 3 {
                    let (number, is_kept) = running.swap_remove(which.index(running.len()));
                    pins.settle(&leases, &mut needed, number, is_kept);
                }
                for (number, _) in running.iter().copied().chain(needed.iter().map(|number| (*number, true))) {
                    prop_assert!(pins.here.contains_key(&number));
                }
                for number in 0..4 {
                    prop_assert_eq!(reason(&pins.written, number), expected(&needed, number));
                }
            }
            for (number, is_kept) in running {
                pins.settle(&leases, &mut needed, number, is_kept);
            }
            for number in 0..4 {
                prop_assert_eq!(reason(&pins.here, number), expected(&needed, number));
                prop_assert_eq!(reason(&pins.written, number), expected(&needed, number));
            }
            prop_assert!(leases.held.lock().unwrap().is_empty());
        }
    }

    fn reason(pins: &BTreeMap<u8, Pin>, number: u8) -> Option<&str> {
        pins.get(&number).map(|pin| pin.reason.as_str())
    }

    fn expected(needed: &[u8], number: u8) -> Option<&'static str> {
        if needed.contains(&number) { Some("now") } else { (number == 0).then_some("before") }
    }

    /// Pins as they are, and as a crash would leave them.
    struct Both {
        here: BTreeMap<u8, Pin>,
        written: BTreeMap<u8, Pin>,
    }

    impl Both {
        fn new(pins: &BTreeMap<u8, Pin>) -> Self {
            Self { here: pins.clone(), written: pins.clone() }
        }

        fn settle(&mut self, leases: &Leases, needed: &mut Vec<u8>, number: u8, is_kept: bool) {
            match leases.end(&("a".to_owned(), digest(number)), is_kept) {
                Some(Fate::Keep) => drop(self.written.insert(number, self.here[&number].clone())),
                Some(Fate::Remove) => {
                    self.here.remove(&number);
                    self.written.remove(&number);
                }
                Some(Fate::Restore(before)) => {
                    self.here.insert(number, before.clone());
                    self.written.insert(number, before);
                }
                None => {}
            }
            if is_kept {
                needed.push(number);
            }
        }
    }
}
