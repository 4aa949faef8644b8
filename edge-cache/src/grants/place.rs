//! What a right is about, and whose it is.

use std::sync::Arc;

use longshore_oci::{Digest, Reference, RepositoryName, Route};

use super::credential::Credential;
use crate::upstream::Upstream;

/// A repository of an upstream.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Place {
    /// The upstream's [`key`](Upstream::key).
    pub upstream: Arc<str>,
    /// The repository, as the upstream calls it.
    pub repository: RepositoryName,
}

impl Place {
    /// This repository of this upstream.
    pub fn new(upstream: &Upstream, repository: RepositoryName) -> Self {
        Self { upstream: upstream.key().clone(), repository }
    }
}

/// Something of a repository.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum What {
    /// A manifest, which the upstream's policies may close by itself.
    Manifest(Digest),
    /// A blob, which is open to whoever may pull from a repository that has it.
    Blob(Digest),
}

impl What {
    /// Where it is asked for.
    pub fn route(&self, repository: RepositoryName) -> Route {
        match self {
            Self::Manifest(digest) => Route::Manifest(repository, Reference::Digest(digest.clone())),
            Self::Blob(digest) => Route::Blob(repository, digest.clone()),
        }
    }

    /// Its digest.
    pub fn digest(&self) -> &Digest {
        match self {
            Self::Manifest(digest) | Self::Blob(digest) => digest,
        }
    }

    /// The digest of a manifest; `None` of a blob.
    pub fn manifest(&self) -> Option<&Digest> {
        match self {
            Self::Manifest(digest) => Some(digest),
            Self::Blob(_) => None,
        }
    }
}

/// Whose a right is.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Who {
    /// The cache's own, which its settings share with whoever reaches it.
    Shared,
    /// Anybody's: the upstream grants it to who shows nothing.
    Anybody,
    /// That of whoever shows this credential.
    Credential(Credential),
    /// That of whoever shows a token which covers the repository; it names a question, never a right.
    Covered,
}
