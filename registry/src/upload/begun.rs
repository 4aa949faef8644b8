use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use longshore_oci::RepositoryName;
use uuid::Uuid;

use crate::state::Claimed;

/// How many are remembered. Over it uploads are begun unclaimed.
const REMEMBERED: usize = 16_384;

/// Uploads that this process began, each held by a claim from the start, until their first request comes for it. That request is then
/// spared taking one.
pub struct Begun {
    /// By id, which is in the order of their beginnings.
    uploads: Mutex<BTreeMap<Uuid, (Claimed, Instant)>>,
    lease: Duration,
}

impl Begun {
    /// Remembers each for as long as its lease lasts.
    pub fn new(lease: Duration) -> Self {
        Self { uploads: Mutex::default(), lease }
    }

    /// Whether one more can be remembered.
    pub fn has_room(&self) -> bool {
        let mut uploads = self.uploads();
        while uploads.first_entry().is_some_and(|oldest| oldest.get().1.elapsed() > self.lease) {
            uploads.pop_first();
        }
        uploads.len() < REMEMBERED
    }

    /// Remembers one that has just been begun.
    pub fn keep(&self, claimed: Claimed) {
        self.uploads().insert(claimed.id, (claimed, Instant::now()));
    }

    /// Hands an upload over to who writes to it first, and says whether its lease is so old that it wants to be renewed.
    pub fn take(&self, id: Uuid, repository: &RepositoryName) -> Option<(Claimed, bool)> {
        let mut uploads = self.uploads();
        uploads.get(&id).filter(|(claimed, _)| claimed.repository == *repository)?;
        let (claimed, begun_at) = uploads.remove(&id)?;
        let age = begun_at.elapsed();
        (age < self.lease).then(|| (claimed, age > self.lease / 3))
    }

    fn uploads(&self) -> MutexGuard<'_, BTreeMap<Uuid, (Claimed, Instant)>> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use longshore_oci::Algorithm;

    use super::*;
    use crate::state::NewUpload;

    fn upload(id: Uuid, repository: &RepositoryName) -> Claimed {
        let new = NewUpload { id, repository: repository.clone(), algorithm: Algorithm::Sha256, part_bytes: 1, claim: None };
        new.claimed(Uuid::nil())
    }

    #[test]
    fn hands_an_upload_over_once_and_to_its_repository() {
        let repository: RepositoryName = "a/b".parse().unwrap();
        let (id, begun) = (Uuid::now_v7(), Begun::new(Duration::from_millis(300)));
        begun.keep(upload(id, &repository));
        assert!(begun.take(id, &"a/c".parse().unwrap()).is_none());
        assert!(!begun.take(id, &repository).unwrap().1);
        assert!(begun.take(id, &repository).is_none());
        begun.keep(upload(id, &repository));
        std::thread::sleep(Duration::from_millis(150));
        assert!(begun.take(id, &repository).unwrap().1, "its lease is old");
        begun.keep(upload(id, &repository));
        std::thread::sleep(Duration::from_millis(350));
        assert!(begun.take(id, &repository).is_none(), "its lease is over");
    }

    #[test]
    fn remembers_so_many_for_as_long_as_their_leases_last() {
        let (repository, begun) = ("a/b".parse().unwrap(), Begun::new(Duration::from_millis(200)));
        while begun.has_room() {
            begun.keep(upload(Uuid::now_v7(), &repository));
        }
        assert_eq!(begun.uploads().len(), REMEMBERED);
        std::thread::sleep(Duration::from_millis(250));
        assert!(begun.has_room());
        assert_eq!(begun.uploads().len(), 0);
    }
}
