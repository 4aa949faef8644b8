use jiff::Timestamp;
use longshore_oci::Digest;

use super::{
    Store,
    error::StoreError,
    notes::MOST_QUEUED,
    pin::Pin,
    shared::{Shared, off_runtime},
    state::State,
};

impl Store {
    /// Keeps a blob from being dropped until the lease ends, be it here already or not. It outlasts a crash once this is done.
    ///
    /// Refused with [`StoreError::PinsExceedQuota`] where all pinned blobs, whole, would not fit.
    pub async fn pin(&self, pin: Pin) -> Result<(), StoreError> {
        let shared = self.shared.clone();
        off_runtime(move || shared.pin(pin)).await
    }

    /// Pins as [`Self::pin`] does, for as long as this process runs: after its end or a crash there is what was there before, unless
    /// [`Self::keep_held`] was told of it. Those before the first that is refused are held.
    pub fn hold_all(&self, pins: Vec<Pin>) -> Result<(), StoreError> {
        self.shared.hold_all(pins)
    }

    /// Has pins that are held, by owner and blob, outlast a crash, together with all that was written so far. Where that can't be noted now
    /// it is with the next batch.
    pub async fn keep_held(&self, pins: Vec<(String, Digest)>) -> Result<(), StoreError> {
        let shared = self.shared.clone();
        off_runtime(move || shared.keep_held(pins)).await
    }

    /// Takes a pin back; whether it was there.
    pub async fn unpin(&self, owner: &str, digest: &Digest) -> Result<bool, StoreError> {
        let (shared, pin) = (self.shared.clone(), (owner.to_owned(), digest.clone()));
        off_runtime(move || shared.unpin(pin)).await
    }

    /// Takes back pins that are held and were not kept, by owner and blob. What is written stays as it is.
    pub fn release_all(&self, pins: &[(String, Digest)]) {
        let mut state = self.shared.state();
        for (owner, digest) in pins {
            state.pins.remove(owner, digest);
            state.changes.note(digest);
        }
        state.tell_pinned();
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
        self.shorten_queue()?;
        self.expire_pins(Timestamp::now());
        let former = {
            let mut state = self.state();
            let former = self.put_pin(&mut state, pin.clone())?;
            state.notes.pins.insert(key.clone(), Some(pin));
            state.tell_pinned();
            former
        };
        self.flush_notes().inspect_err(|_| {
            // Nobody is told that it is pinned, so it is not.
            let mut state = self.state();
            state.pins.remove(&key.0, &key.1);
            state.changes.note(&key.1);
            if let Some(former) = &former {
                state.pins.insert(former.clone());
            }
            state.notes.pins.insert(key, former);
            state.tell_pinned();
        })
    }

    fn hold_all(&self, pins: Vec<Pin>) -> Result<(), StoreError> {
        self.expire_pins(Timestamp::now());
        let mut state = self.state();
        let placed = pins.into_iter().try_for_each(|pin| self.put_pin(&mut state, pin).map(drop));
        state.tell_pinned();
        placed
    }

    /// Has a pin hold, within the bounds; the one in whose place it is.
    fn put_pin(&self, state: &mut State, pin: Pin) -> Result<Option<Pin>, StoreError> {
        let former = state.pins.iter_of(&pin.digest).find(|former| former.owner == pin.owner).cloned();
        if former.is_none() && state.pins.count() >= self.settings.max_pins {
            return Err(StoreError::TooManyPins { most: self.settings.max_pins });
        }
        let pinned_bytes = state.pins.charged_with(&pin);
        if pinned_bytes > state.quota_bytes {
            return Err(StoreError::PinsExceedQuota { pinned_bytes, quota_bytes: state.quota_bytes });
        }
        state.changes.note(&pin.digest);
        state.pins.insert(pin);
        Ok(former)
    }

    /// No more changes of pins are taken on while the index does not take those that wait.
    fn shorten_queue(&self) -> Result<(), StoreError> {
        let queued = self.state().notes.pins.len();
        if queued >= MOST_QUEUED { self.flush_notes() } else { Ok(()) }
    }

    fn keep_held(&self, pins: Vec<(String, Digest)>) -> Result<(), StoreError> {
        if pins.is_empty() {
            return Ok(());
        }
        {
            let mut state = self.state();
            for key in pins {
                let held = state.pins.iter_of(&key.1).find(|pin| pin.owner == key.0).cloned();
                if let Some(pin) = held {
                    state.notes.pins.insert(key, Some(pin));
                }
            }
        }
        self.flush().inspect_err(|_| self.changed.notify_one())
    }

    fn unpin(&self, pin: (String, Digest)) -> Result<bool, StoreError> {
        self.shorten_queue()?;
        {
            let mut state = self.state();
            if !state.pins.remove(&pin.0, &pin.1) {
                return Ok(false);
            }
            state.changes.note(&pin.1);
            state.notes.pins.insert(pin, None);
            state.tell_pinned();
        }
        self.flush_notes()?;
        Ok(true)
    }
}
