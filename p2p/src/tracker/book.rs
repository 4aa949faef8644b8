//! What is known of each of many, under small numbers.

use std::collections::BTreeMap;

/// Why what is asked for is there.
const KEPT: &str = "numbers are kept no longer than their entries";

/// Entries by key and by number. A number is given again once its entry is gone.
#[derive(Debug)]
pub struct Book<K, V> {
    numbers: BTreeMap<K, u32>,
    entries: Vec<Option<(K, V)>>,
    free: Vec<u32>,
}

impl<K: Clone + Ord, V> Book<K, V> {
    /// An empty one.
    pub fn new() -> Self {
        Self { numbers: BTreeMap::new(), entries: Vec::new(), free: Vec::new() }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// The number of a key that has an entry.
    pub fn number(&self, key: &K) -> Option<u32> {
        self.numbers.get(key).copied()
    }

    /// What an entry says.
    pub fn get(&self, number: u32) -> &V {
        &self.entries.get(place(number)).and_then(Option::as_ref).expect(KEPT).1
    }

    /// What an entry says.
    pub fn get_mut(&mut self, number: u32) -> &mut V {
        &mut self.entries.get_mut(place(number)).and_then(Option::as_mut).expect(KEPT).1
    }

    /// Adds an entry for a key that has none, and gives its number.
    pub fn add(&mut self, key: K, value: V) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            u32::try_from(self.entries.len() - 1).expect("books are bounded far below 2^32")
        });
        let before = self.numbers.insert(key.clone(), number);
        debug_assert!(before.is_none(), "a key has one entry");
        self.entries[place(number)] = Some((key, value));
        number
    }

    /// Takes an entry out.
    pub fn remove(&mut self, number: u32) {
        if let Some((key, _)) = self.entries[place(number)].take() {
            self.numbers.remove(&key);
            self.free.push(number);
        }
    }
}

fn place(number: u32) -> usize {
    usize::try_from(number).expect("32 bits fit")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_book_is_a_map_and_grows_no_more_than_it_must(changes in prop::collection::vec((0_u8..12, any::<u16>()), 0..200)) {
            let (mut book, mut model, mut most) = (Book::new(), BTreeMap::new(), 0);
            for (key, value) in changes {
                if let Some(number) = book.number(&key) {
                    *book.get_mut(number) += 1;
                    prop_assert_eq!(Some(*book.get(number)), model.remove(&key).map(|value| u32::from(value) + 1));
                    book.remove(number);
                } else {
                    book.add(key, u32::from(value));
                    model.insert(key, value);
                }
                prop_assert_eq!(book.number(&key).is_some(), model.contains_key(&key));
                most = most.max(model.len());
                prop_assert_eq!((book.len(), book.entries.len()), (model.len(), most));
            }
        }
    }
}
