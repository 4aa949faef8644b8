use jiff::Timestamp;
use longshore_oci::Digest;

use super::{
    Store,
    error::StoreError,
    notes::MOST_QUEUED,
    pin::Pin,
    shared::{Shared, off_runtime},
};

impl Store {
    /// Keeps a blob from being dropped until the lease ends, be it here already or not. It outlasts a crash once this is done.
    ///
    /// Refused with [`StoreError::PinsExceedQuota`] where all pinned blobs, whole, would not fit.
    pub async fn pin(&self, pin: Pin) -> Result<(), StoreError> {
        let shared = self.shared.clone();
        off_runtime(move || shared.pin(pin)).await
    }

    /// Takes a pin back; whether it was there.
    pub async fn unpin(&self, owner: &str, digest: &Digest) -> Result<bool, StoreError> {
        let (shared, owner, digest) = (self.shared.clone(), owner.to_owned(), digest.clone());
        off_runtime(move || shared.unpin(owner, digest)).await
    }

    /// All pins that hold, by digest and owner.
    pub fn pins(&self) -> Vec<Pin> {
        let now = Timestamp::now();
        self.shared.state().pins.iter().filter(|pin| pin.holds(now)).cloned().collect()
    }
}

impl Shared {
    fn pin(&self, pin: Pin) -> Result<(), StoreError> {
        let key = (pin.owner.clone(), pin.digest.clone());
        let queued = self.state().notes.pins.len();
        if queued >= MOST_QUEUED {
            // None more are taken on while the index does not take those.
            self.flush_notes()?;
        }
        let former = {
            let (mut state, now) = (self.state(), Timestamp::now());
            for (owner, digest) in state.pins.expired(now) {
                state.pins.remove(&owner, &digest);
                state.notes.pins.insert((owner, digest), None);
            }
            let former = state.pins.iter_of(&pin.digest).find(|former| former.owner == pin.owner).cloned();
            if former.is_none() && state.pins.count() >= self.settings.max_pins {
                return Err(StoreError::TooManyPins { most: self.settings.max_pins });
            }
            let pinned_bytes = state.pins.charged_with(&pin);
            if pinned_bytes > state.quota_bytes {
                return Err(StoreError::PinsExceedQuota { pinned_bytes, quota_bytes: state.quota_bytes });
            }
            state.pins.insert(pin.clone());
            state.notes.pins.insert(key.clone(), Some(pin));
            state.tell_pinned();
            former
        };
        self.flush_notes().inspect_err(|_| {
            // Nobody is told that it is pinned, so it is not.
            let mut state = self.state();
            state.pins.remove(&key.0, &key.1);
            if let Some(former) = &former {
                state.pins.insert(former.clone());
            }
            state.notes.pins.insert(key, former);
            state.tell_pinned();
        })
    }

    fn unpin(&self, owner: String, digest: Digest) -> Result<bool, StoreError> {
        {
            let mut state = self.state();
            if !state.pins.remove(&owner, &digest) {
                return Ok(false);
            }
            state.notes.pins.insert((owner, digest), None);
            state.tell_pinned();
        }
        self.flush_notes()?;
        Ok(true)
    }
}
