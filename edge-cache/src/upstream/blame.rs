//! What a failure may be of alone.

use std::hash::{DefaultHasher, Hash, Hasher as _};

use super::{Ask, asker::Asker};

/// What was asked for, and the caller who asked: a failure may be of one of them alone, and not of the address. One blob that storage has
/// lost, or one caller whose requests are odd, is no reason to leave a registry alone.
#[derive(Clone, Debug)]
pub(super) struct Blame(Vec<u64>);

impl Blame {
    /// Who asks as nobody or as the edge does so for all, and is not to blame.
    pub(super) fn of(asker: &Asker, ask: &Ask) -> Self {
        let mut blamed = vec![hashed(&ask.route.to_string())];
        if let Asker::Caller(authorization) = asker {
            blamed.push(hashed(authorization));
        }
        Self(blamed)
    }

    /// Each of them as a number.
    pub(super) fn each(&self) -> &[u64] {
        &self.0
    }
}

fn hashed(blamed: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    blamed.hash(&mut hasher);
    hasher.finish()
}
