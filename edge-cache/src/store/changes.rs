//! Which blobs changed last, for those who follow what is here: a digest and a number, and no second index of what there is.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
};

use longshore_oci::Digest;
use tokio::sync::watch;

/// How many blobs are known to have changed: each once, with its last change, so that is more than a node gets in a minute. It takes some
/// 5 MiB. Who was away for longer is told all there is.
const MOST: usize = 16_384;

/// The last changes of blobs: that more or less of one is here, that it begins or ends to come, that it is pinned or no longer.
#[derive(Debug)]
pub struct Changes {
    book: Mutex<Book>,
    last: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Book {
    /// The number of the last change.
    last: u64,
    /// Up to which changes have been forgotten.
    forgotten: u64,
    of: HashMap<Digest, u64>,
    order: BTreeMap<u64, Digest>,
}

/// What changed after a number: the blobs, with the number of the last change of each, and whether there is more.
pub type Changed = (Vec<(u64, Digest)>, bool);

impl Default for Changes {
    fn default() -> Self {
        Self { book: Mutex::default(), last: watch::Sender::new(0) }
    }
}

impl Changes {
    /// A blob has changed, for whoever looks at it from now on.
    pub fn note(&self, digest: &Digest) {
        let last = {
            let mut book = self.book();
            book.last += 1;
            let last = book.last;
            if let Some(former) = book.of.insert(digest.clone(), last) {
                book.order.remove(&former);
            }
            book.order.insert(last, digest.clone());
            if book.order.len() > MOST
                && let Some((number, oldest)) = book.order.pop_first()
            {
                book.of.remove(&oldest);
                book.forgotten = number;
            }
            last
        };
        // Two at once may come in either order.
        self.last.send_if_modified(|known| {
            let is_later = *known < last;
            *known = last.max(*known);
            is_later
        });
    }

    /// So many at most of those that changed after this number, in order; `None` where some were forgotten, or it is yet to come.
    pub fn since(&self, number: u64, most: usize) -> Option<Changed> {
        let book = self.book();
        if number < book.forgotten || number > book.last {
            return None;
        }
        let mut later = book.order.range((Bound::Excluded(number), Bound::Unbounded));
        let changed = later.by_ref().take(most).map(|(number, digest)| (*number, digest.clone())).collect();
        Some((changed, later.next().is_some()))
    }

    /// The number of the last change.
    pub fn last(&self) -> u64 {
        self.book().last
    }

    /// Waits until something has changed after this number.
    pub async fn after(&self, number: u64) {
        // It is kept by what is here, and so outlasts this.
        let _ = self.last.subscribe().wait_for(|last| *last > number).await;
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use longshore_oci::Algorithm;

    use super::*;

    fn digest(number: usize) -> Digest {
        Digest::of(Algorithm::Sha256, &number.to_be_bytes())
    }

    fn digests(changed: Changed) -> Vec<Digest> {
        changed.0.into_iter().map(|(_, digest)| digest).collect()
    }

    #[test]
    fn a_blob_is_told_of_once_with_its_last_change() {
        let changes = Changes::default();
        for number in [0, 1, 0, 2] {
            changes.note(&digest(number));
        }
        assert_eq!(digests(changes.since(0, 9).unwrap()), [1, 0, 2].map(digest));
        assert_eq!(changes.since(0, 2).unwrap(), (vec![(2, digest(1)), (3, digest(0))], true));
        assert_eq!(digests(changes.since(3, 9).unwrap()), [digest(2)]);
        assert_eq!(changes.since(4, 9), Some((vec![], false)));
        assert_eq!(changes.since(5, 9), None, "another process counted");
    }

    #[test]
    fn what_was_forgotten_is_told_of() {
        let changes = Changes::default();
        (0..=MOST).for_each(|number| changes.note(&digest(number)));
        assert_eq!(changes.since(0, 1), None);
        assert_eq!(changes.since(1, MOST).unwrap().0.len(), MOST);
        assert_eq!(changes.book().of.len(), MOST);
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        let changes = Changes::default();
        changes.note(&digest(0));
        changes.after(0).await;
        let soon = |changes| tokio::time::timeout(Duration::from_millis(200), Changes::after(changes, 1));
        assert!(soon(&changes).await.is_err());
        let (woken, ()) = tokio::join!(soon(&changes), async { changes.note(&digest(0)) });
        assert!(woken.is_ok());
    }
}
