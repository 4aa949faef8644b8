//! What may be done here beyond what the protocol allows: the policies of a document under version control, and of those that were
//! applied and lie in the database.
//!
//! Documents are compiled once; what is in force is the policies of all of them, swapped whole when the file or the database changes. A
//! request is judged by what is in force when it comes.

mod closed;
mod condition;
mod document;
mod file;
mod follower;
mod inline;
mod material;
mod mistakes;
mod parts;
mod pattern;
mod pull;
mod push;
mod stored;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use prometheus::IntCounter;

use crate::{
    error::Error,
    signature::SigstoreRoot,
    state::{SharedState, StateError},
};

pub use document::Mode;
pub use document::{Document, InvalidDocument, Policy};
pub use file::{PolicyError, Watch, told};
pub use follower::Follower;
pub use inline::{InlineError, inline, is_private};
pub use parts::{Parts, Place};
pub use pattern::{RepositoryPattern, TextPattern};
pub use pull::{Judgement, Matching, Subject, verdict};
pub use push::{Push, Verdict, Violation};
pub use stored::{Applied, Stored, check_name};

/// How often the configured file, and the number of the database's last change, are looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// The policies in force.
pub struct Policies {
    in_force: ArcSwap<Document>,
    parts: Mutex<Parts>,
    /// Held while what the database has is taken over, so that nothing older comes after it.
    refreshing: tokio::sync::Mutex<()>,
    refused: IntCounter,
    warned: IntCounter,
}

impl Policies {
    /// Those of the configured document, and of the ones in the database; what they refuse and warn of is counted.
    pub fn new(parts: Parts, refused: IntCounter, warned: IntCounter) -> Self {
        let in_force = ArcSwap::from_pointee(parts.joined());
        Self { in_force, parts: Mutex::new(parts), refreshing: tokio::sync::Mutex::default(), refused, warned }
    }

    /// The policies as they are now.
    pub fn current(&self) -> Arc<Document> {
        self.in_force.load_full()
    }

    /// The documents that they are from.
    pub fn parts(&self) -> Parts {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes over what the configured file says now.
    fn take_file(&self, document: Document) {
        self.change(|parts| parts.file = Arc::new(document));
    }

    /// Takes over what a TUF repository says now. Nothing stays that was judged by what it said before.
    pub fn take_root(&self, repository: &str, root: Arc<SigstoreRoot>) {
        self.change(|parts| parts.roots = parts.roots.with(repository, root));
    }

    fn change(&self, change: impl FnOnce(&mut Parts)) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut parts);
        self.in_force.store(Arc::new(parts.joined()));
    }

    /// Takes over what the database has, where that is not what was last taken over. Whether it was not.
    pub async fn follow(&self, state: &SharedState) -> Result<bool, StateError> {
        let _alone = self.refreshing.lock().await;
        if state.policy_version().await? == self.parts().stored.version {
            return Ok(false);
        }
        let stored = Stored::read(state).await?;
        self.change(|parts| parts.stored = stored);
        Ok(true)
    }

    /// The warnings of a verdict, or the error that it is.
    pub fn settle(&self, verdict: Verdict) -> Result<Vec<Violation>, Error> {
        if verdict.refusals.is_empty() {
            self.warned.inc_by(verdict.warnings.len() as u64);
            return Ok(verdict.warnings);
        }
        self.refused.inc();
        Err(Error::Denied(verdict.refusals))
    }
}
