//! Why a request was not granted.

use std::sync::Arc;

use longshore_oci::{Digest, Reference, RepositoryName, RouteError};

use crate::{
    grants::{Denied, SeveralCredentials},
    store::StoreError,
};

/// Why a request was not granted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The path is no route, or a part of it breaks its grammar.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// Something other than a pull.
    #[error("{0} is not an operation of this cache, which is one to pull from; push to the registry itself")]
    Method(http::Method),
    /// Nothing that a cache passes on.
    #[error("a cache does not pass this on; ask the registry itself")]
    NotPassedOn,
    /// There are no neighbours.
    #[error("this cache is in no swarm")]
    NoSwarm,
    /// It goes round in a circle.
    #[error("{0}")]
    Loop(&'static str),
    /// Something that only registries of ours have.
    #[error("the upstream {0} is no Longshore registry, and has no such path")]
    NotLongshore(String),
    /// Nobody says what the blob is made of, whose registry does not, and of which not all was seen here yet.
    #[error("nobody vouches for the pieces of blob {0} yet; pull it as a whole")]
    NotVouched(Digest),
    /// The request names a registry that this cache is not for.
    #[error("this cache has no upstream for {0:?}; its configuration names those that it has")]
    NamespaceUnknown(String),
    /// The request names no registry.
    #[error("this cache has no default upstream; name a registry by ?ns=, or in front of the repository")]
    NoDefault,
    /// See [`SeveralCredentials`].
    #[error(transparent)]
    Credentials(#[from] SeveralCredentials),
    /// See [`Denied`].
    #[error(transparent)]
    Denied(#[from] Denied),
    /// As [`Denied`], about something.
    #[error("{denied}")]
    Refused {
        /// Why.
        denied: Box<Denied>,
        /// About what.
        about: About,
    },
    /// An upstream sent other bytes.
    #[error("the upstream {upstream} sent a manifest whose digest is {actual}, not {expected}")]
    ManifestDamaged {
        /// The upstream's name.
        upstream: String,
        /// What was asked for.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// An upstream sent other bytes of a blob.
    #[error("{0}")]
    BlobWrong(String),
    /// The client can't take what is there.
    #[error("the manifest's media type is {0}, which the request does not accept; it is never converted")]
    NotAcceptable(String),
    /// The range asked for has no byte of the blob.
    #[error("the blob has {size_bytes} bytes, none of them in the range")]
    RangeNotSatisfiable {
        /// The blob's length.
        size_bytes: u64,
    },
    /// More is under way than is taken on.
    #[error("too many requests at once; try again in a moment")]
    Overloaded,
    /// The store can't be read or written.
    #[error("the cache's own store failed")]
    Store(#[source] Arc<StoreError>),
}

/// What a refusal is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum About {
    /// The upstream as a whole.
    Upstream,
    /// A repository, as the client named it.
    Repository(RepositoryName),
    /// A manifest of a repository, as the upstream calls that.
    Manifest(RepositoryName, Reference),
    /// A blob of one.
    Blob(RepositoryName, Digest),
}

impl Error {
    /// The same, told as what it is about.
    #[must_use]
    pub fn about(self, about: About) -> Self {
        match self {
            Self::Denied(denied) => Self::Refused { denied: Box::new(denied), about },
            other => other,
        }
    }
}
