use std::{collections::BTreeMap, sync::Arc};

use super::{BUILT_IN, Repository};
use crate::signature::SigstoreRoot;

/// What TUF repositories say now, by the repository's name, or why that is not known.
#[derive(Clone, Debug, Default)]
pub struct Roots(Arc<BTreeMap<String, Result<Arc<SigstoreRoot>, String>>>);

impl Roots {
    /// These.
    pub fn of(known: impl IntoIterator<Item = (String, Result<Arc<SigstoreRoot>, String>)>) -> Self {
        Self(Arc::new(known.into_iter().collect()))
    }

    /// What the repositories said when they were last asked, as it lies on this machine, or is built in.
    pub async fn open(repositories: &[Arc<Repository>]) -> Self {
        let mut known = BTreeMap::new();
        for repository in repositories {
            known.insert(repository.name.clone(), repository.last_root().await);
        }
        Self(Arc::new(known))
    }

    /// What one says.
    pub fn get(&self, repository: &str) -> Result<Arc<SigstoreRoot>, String> {
        self.0.get(repository).cloned().unwrap_or_else(|| Err(Self::unknown(repository)))
    }

    /// Whether one is known.
    pub fn has(&self, repository: &str) -> bool {
        self.0.contains_key(repository)
    }

    /// That one is not known.
    pub fn unknown(repository: &str) -> String {
        let built_in = BUILT_IN.map(|(name, _)| name).join(", ");
        format!("there is no TUF repository {repository:?} here: {built_in} are built in, and tuf.repositories names others")
    }

    /// These, but for what one says now.
    pub fn with(&self, repository: &str, root: Arc<SigstoreRoot>) -> Self {
        let mut known = BTreeMap::clone(&self.0);
        known.insert(repository.to_owned(), Ok(root));
        Self(Arc::new(known))
    }
}
