//! What comes of blobs, and from whom: of each that is on its way, and of the last that were.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering},
    },
};

use jiff::Timestamp;
use longshore_oci::Digest;

use crate::{
    store::Store,
    supply::{Supplied, Supplier},
};

/// Of how many blobs it is remembered what came: those of some hundred images, in less than a mebibyte. What is on its way is among them,
/// and of more than that nothing is remembered.
const MOST: usize = 2048;

/// What came of a blob, since nothing of it was here or since this process started.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Transfer {
    /// The blob.
    pub digest: Digest,
    /// The source that it was asked of, by name.
    pub upstream: Arc<str>,
    /// How long it is.
    pub size_bytes: u64,
    /// How much of it was here before.
    pub here_bytes: u64,
    /// What came, and from whom. What was sent wrong, or a second time, is among it.
    pub supplied: Supplied,
    /// When it began to come.
    pub begun_at: Timestamp,
    /// When something came last.
    pub last_at: Timestamp,
    /// Whether it is on its way.
    pub is_coming: bool,
}

/// Those of all blobs.
pub struct Transfers {
    store: Store,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    of: HashMap<Digest, Arc<Account>>,
    /// In the order in which they began.
    order: VecDeque<Arc<Account>>,
}

/// That of one.
struct Account {
    digest: Digest,
    upstream: Arc<str>,
    size_bytes: u64,
    here_bytes: u64,
    supplied: [AtomicU64; Supplier::ALL.len()],
    begun_at: Timestamp,
    last_at_ms: AtomicI64,
    /// How many bring something of it.
    bringing: AtomicU32,
}

/// Somebody brings something of a blob, while this lives.
pub struct Bringing {
    account: Arc<Account>,
    store: Store,
}

impl Transfers {
    /// None yet.
    pub fn new(store: Store) -> Self {
        Self { store, book: Mutex::default() }
    }

    /// Something of a blob is about to come. Where nothing of it was here or on its way, what came before is forgotten.
    pub fn begin(&self, digest: &Digest, upstream: &str, size_bytes: u64, here_bytes: u64) -> Bringing {
        let account = {
            let mut book = self.book();
            let known = book.of.get(digest).filter(|known| known.is_of(size_bytes, here_bytes)).cloned();
            let account = known.unwrap_or_else(|| book.open(digest, upstream, size_bytes, here_bytes));
            account.bringing.fetch_add(1, Ordering::Relaxed);
            account
        };
        self.store.changes().note(digest);
        Bringing { account, store: self.store.clone() }
    }

    /// What came of a blob.
    pub fn of(&self, digest: &Digest) -> Option<Transfer> {
        self.book().of.get(digest).map(|account| account.told())
    }

    /// All that is remembered, what began last first.
    pub fn all(&self) -> Vec<Transfer> {
        self.book().order.iter().rev().map(|account| account.told()).collect()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn open(&mut self, digest: &Digest, upstream: &str, size_bytes: u64, here_bytes: u64) -> Arc<Account> {
        let now = Timestamp::now();
        let account = Arc::new(Account {
            digest: digest.clone(),
            upstream: upstream.into(),
            size_bytes,
            here_bytes,
            supplied: Default::default(),
            begun_at: now,
            last_at_ms: AtomicI64::new(now.as_millisecond()),
            bringing: AtomicU32::new(0),
        });
        if let Some(former) = self.of.remove(digest) {
            self.order.retain(|other| !Arc::ptr_eq(other, &former));
        }
        if self.order.len() >= MOST {
            let Some(oldest) = self.order.iter().position(|account| !account.is_coming()) else { return account };
            if let Some(oldest) = self.order.remove(oldest) {
                self.of.remove(&oldest.digest);
            }
        }
        self.of.insert(digest.clone(), account.clone());
        self.order.push_back(account.clone());
        account
    }
}

impl Account {
    fn is_coming(&self) -> bool {
        self.bringing.load(Ordering::Relaxed) > 0
    }

    /// Whether it goes on with what it was of: of a blob that was dropped since nothing is here.
    fn is_of(&self, size_bytes: u64, here_bytes: u64) -> bool {
        self.size_bytes == size_bytes && (here_bytes > 0 || self.is_coming())
    }

    fn told(&self) -> Transfer {
        let supplied = Supplier::ALL.into_iter().fold(Supplied::default(), |sum, supplier| {
            sum.plus(Supplied::of(supplier, self.supplied[supplier as usize].load(Ordering::Relaxed)))
        });
        Transfer {
            digest: self.digest.clone(),
            upstream: self.upstream.clone(),
            size_bytes: self.size_bytes,
            here_bytes: self.here_bytes,
            supplied,
            begun_at: self.begun_at,
            last_at: Timestamp::from_millisecond(self.last_at_ms.load(Ordering::Relaxed)).unwrap_or(self.begun_at),
            is_coming: self.is_coming(),
        }
    }
}

impl Bringing {
    /// Bytes came.
    pub fn came(&self, supplied: Supplied) {
        for supplier in Supplier::ALL {
            self.account.supplied[supplier as usize].fetch_add(supplied.by(supplier), Ordering::Relaxed);
        }
        self.account.last_at_ms.store(Timestamp::now().as_millisecond(), Ordering::Relaxed);
    }

    /// Enough of it came that those who follow what is here are to be told.
    pub fn tell(&self) {
        self.store.changes().note(&self.account.digest);
    }
}

impl Drop for Bringing {
    fn drop(&mut self) {
        self.account.bringing.fetch_sub(1, Ordering::Relaxed);
        self.tell();
    }
}

#[cfg(test)]
mod tests {
    use longshore_oci::Algorithm;
    use longshore_service::metrics::Metrics;

    use super::*;
    use crate::store::{StoreMetrics, StoreSettings};

    fn transfers() -> (tempfile::TempDir, Transfers) {
        let folder = tempfile::tempdir().unwrap();
        let settings = StoreSettings::new(folder.path(), 1 << 20);
        let (store, _) = Store::open(settings, StoreMetrics::new(&Metrics::new())).unwrap();
        (folder, Transfers::new(store))
    }

    fn digest(number: usize) -> Digest {
        Digest::of(Algorithm::Sha256, &number.to_be_bytes())
    }

    #[test]
    fn what_came_is_known_while_it_comes_and_after() {
        let (_folder, transfers) = transfers();
        let one = transfers.begin(&digest(0), "up", 10, 0);
        one.came(Supplied::of(Supplier::Neighbours, 4));
        let other = transfers.begin(&digest(0), "up", 10, 0);
        other.came(Supplied::of(Supplier::Registry, 6));
        assert!(transfers.of(&digest(0)).unwrap().is_coming);
        drop((one, other));
        let came = transfers.of(&digest(0)).unwrap();
        assert_eq!((came.is_coming, came.supplied.neighbour_bytes, came.supplied.registry_bytes), (false, 4, 6));
        // Some of it is there, and more comes.
        transfers.begin(&digest(0), "up", 10, 7).came(Supplied::of(Supplier::Edge, 3));
        assert_eq!(transfers.of(&digest(0)).unwrap().supplied.sum(), 13);
        // It was dropped meanwhile.
        drop(transfers.begin(&digest(0), "up", 10, 0));
        assert_eq!(transfers.of(&digest(0)).unwrap().supplied, Supplied::default());
        assert_eq!(transfers.all().len(), 1);
    }

    #[test]
    fn the_last_are_remembered_and_what_comes_is_among_them() {
        let (_folder, transfers) = transfers();
        let first = transfers.begin(&digest(0), "up", 1, 0);
        for number in 1..=MOST {
            drop(transfers.begin(&digest(number), "up", 1, 0));
        }
        assert_eq!(transfers.all().len(), MOST);
        assert!(transfers.of(&digest(0)).is_some_and(|transfer| transfer.is_coming), "the oldest is on its way");
        assert!(transfers.of(&digest(1)).is_none());
        assert_eq!(transfers.all()[0].digest, digest(MOST));
        drop(first);
        // Where all are on their way, no more are remembered.
        let coming: Vec<_> = (0..MOST + 5).map(|number| transfers.begin(&digest(number + 10_000), "up", 1, 0)).collect();
        assert_eq!(transfers.all().len(), MOST);
        drop(coming);
    }
}
