//! In whose name a blob that is on its way can be asked for.

use std::{
    collections::VecDeque,
    mem, ptr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::source::SharedSource;

/// How many are remembered.
const MOST: usize = 8;

/// Its readers.
#[derive(Default)]
pub(super) struct Readers(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Each caller once: those who came last, whose rights are the freshest.
    last: VecDeque<SharedSource>,
    /// Whether any came yet.
    are_there: bool,
}

impl Readers {
    /// Notes one who comes. Whether it is the first: it comes for that one, and others follow.
    pub(super) fn join(&self, source: &SharedSource) -> bool {
        let mut known = self.lock();
        known.last.retain(|other| !is_same(other, source));
        if known.last.len() >= MOST {
            known.last.pop_front();
        }
        known.last.push_back(source.clone());
        !mem::replace(&mut known.are_there, true)
    }

    /// Another than one who was refused. Each is told once for each time that they came.
    pub(super) fn other_than(&self, refused: &SharedSource) -> Option<SharedSource> {
        let mut known = self.lock();
        known.last.retain(|other| !is_same(other, refused));
        known.last.pop_back()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether two ask as the same.
fn is_same(one: &SharedSource, other: &SharedSource) -> bool {
    ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other)) || (one.caller().is_some() && one.caller() == other.caller())
}
