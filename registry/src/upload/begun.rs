use std::time::{Duration, Instant};

use longshore_oci::RepositoryName;
use moka::sync::Cache;
use uuid::Uuid;

use crate::state::Claimed;

/// How many are remembered.
const REMEMBERED: u64 = 16_384;

/// Uploads that this process began, each held by a claim from the start, until their first request comes for it. That request is then
/// spared taking one. What is forgotten here is free again when its lease ends.
pub struct Begun {
    uploads: Cache<Uuid, (Claimed, Instant)>,
    lease: Duration,
}

impl Begun {
    /// Remembers each for as long as its lease lasts.
    pub fn new(lease: Duration) -> Self {
        Self { uploads: Cache::builder().max_capacity(REMEMBERED).time_to_live(lease).build(), lease }
    }

    /// Remembers one that has just been begun.
    pub fn keep(&self, claimed: Claimed) {
        self.uploads.insert(claimed.id, (claimed, Instant::now()));
    }

    /// Hands an upload over to who writes to it first, and says whether its lease is so old that it wants to be renewed.
    pub fn take(&self, id: Uuid, repository: &RepositoryName) -> Option<(Claimed, bool)> {
        let (claimed, begun_at) = self.uploads.get(&id).filter(|(claimed, _)| claimed.repository == *repository)?;
        // Of several that saw it, one gets it.
        self.uploads.remove(&id)?;
        Some((claimed, begun_at.elapsed() > self.lease / 3))
    }
}

#[cfg(test)]
mod tests {
    use longshore_oci::Algorithm;

    use super::*;
    use crate::state::NewUpload;

    #[test]
    fn hands_an_upload_over_once_and_to_its_repository() {
        let repository: RepositoryName = "a/b".parse().unwrap();
        let (id, begun) = (Uuid::now_v7(), Begun::new(Duration::from_millis(300)));
        let upload =
            || NewUpload { id, repository: repository.clone(), algorithm: Algorithm::Sha256, part_bytes: 1, claim: None };
        begun.keep(upload().claimed(Uuid::nil()));
        assert!(begun.take(id, &"a/c".parse().unwrap()).is_none());
        assert!(!begun.take(id, &repository).unwrap().1);
        assert!(begun.take(id, &repository).is_none());
        begun.keep(upload().claimed(Uuid::nil()));
        std::thread::sleep(Duration::from_millis(150));
        assert!(begun.take(id, &repository).unwrap().1, "its lease is old");
        begun.keep(upload().claimed(Uuid::nil()));
        std::thread::sleep(Duration::from_millis(350));
        assert!(begun.take(id, &repository).is_none(), "its lease is over");
    }
}
