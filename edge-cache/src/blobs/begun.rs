use std::sync::{Arc, Mutex, PoisonError};

use crate::{hot::Room, source::Reading};

/// All of a blob as its source sends it, begun to find out how the blob can be had, and memory for a piece of it: for the first of those
/// who are to read it by themselves. Clones share it.
#[derive(Clone, Default)]
pub struct Begun(Arc<Mutex<Option<(Reading, Room)>>>);

impl Begun {
    /// This one.
    pub fn new(reading: Reading, room: Room) -> Self {
        Self(Arc::new(Mutex::new(Some((reading, room)))))
    }

    /// It, unless another has it.
    pub fn take(&self) -> Option<(Reading, Room)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
