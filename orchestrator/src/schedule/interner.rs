//! Each of many things once, by position.

use std::hash::Hash;

use rustc_hash::FxHashMap as HashMap;

/// Things by position, and positions by thing.
#[derive(Debug)]
pub(crate) struct Interner<T> {
    positions: HashMap<T, usize>,
    things: Vec<T>,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self { positions: HashMap::default(), things: Vec::new() }
    }
}

impl<T: Clone + Eq + Hash> Interner<T> {
    /// Where it stands, and whether it is new there.
    pub(crate) fn intern(&mut self, thing: &T) -> (usize, bool) {
        if let Some(&position) = self.positions.get(thing) {
            return (position, false);
        }
        let position = self.things.len();
        self.positions.insert(thing.clone(), position);
        self.things.push(thing.clone());
        (position, true)
    }

    /// Where it stands, if it does.
    pub(crate) fn find(&self, thing: &T) -> Option<usize> {
        self.positions.get(thing).copied()
    }

    /// What stands there.
    pub(crate) fn get(&self, position: usize) -> &T {
        &self.things[position]
    }

    /// All, in the order of their positions.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.things.iter()
    }
}
