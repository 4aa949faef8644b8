use std::{io, path::PathBuf};

use super::Runtime;

/// Why a mirror was not installed or removed. Nothing is changed then.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// There is nothing to install it for.
    #[error("no registry is named; name one, such as docker.io")]
    NoRegistry,
    /// Only containerd has a setting for registries that are not named.
    #[error("{runtime} has no setting for {registry}; name each registry")]
    NoSuchRegistry {
        /// What was named.
        registry: String,
        /// Who has none.
        runtime: Runtime,
    },
    /// Docker has mirrors for Docker Hub alone.
    #[error(
        "docker has mirrors for docker.io alone, not for {registry}; pull {mirror}/{name}/… instead, or, where dockerd is 29 or later \
         and keeps images in containerd's store, install it for containerd with the folder /etc/docker/certs.d"
    )]
    DockerHubOnly {
        /// What was named.
        registry: String,
        /// The mirror's host and port.
        mirror: String,
        /// What the mirror calls the registry.
        name: String,
    },
    /// A file or a folder could not be read or written.
    #[error("{} can't be read or written", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A link leads to something that is not there.
    #[error("{} is a link to {}, which is not there; make that, or remove the link", path.display(), target.display())]
    Dangling {
        /// The link.
        path: PathBuf,
        /// What it says.
        target: PathBuf,
    },
    /// A link leads out of the root that was given.
    #[error("{} leads out of {}; name the file itself", path.display(), root.display())]
    OutsideRoot {
        /// What leads there.
        path: PathBuf,
        /// The root.
        root: PathBuf,
    },
    /// A file is not what its name says, TOML or JSON.
    #[error("{} can't be understood; mend it first", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Where it goes wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file says it in a form that nothing can be added to without rewriting it.
    #[error("{}: {what}", path.display())]
    Form {
        /// Which.
        path: PathBuf,
        /// What form, and what to do.
        what: String,
    },
    /// A setting for several registries, this one among them, would not count for it any more.
    #[error(
        "{by} in {} is for {registry} too, and would not be any more; write one for {registry} itself first, with what it is to keep of it",
        path.display()
    )]
    Covered {
        /// The registry.
        registry: String,
        /// What it is covered by.
        by: String,
        /// Where.
        path: PathBuf,
    },
    /// Another wrote the file at the same time.
    #[error("{} was changed by another meanwhile; try again", path.display())]
    Changed {
        /// Which.
        path: PathBuf,
    },
    /// Another of us is writing, and takes too long.
    #[error("another process is installing or removing a mirror below {}; try again", root.display())]
    Busy {
        /// Where.
        root: PathBuf,
    },
}

impl MirrorError {
    /// Whether it was asked for what can't be, whatever the files say.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::NoRegistry | Self::NoSuchRegistry { .. } | Self::DockerHubOnly { .. })
    }

    /// For what the system says of a path.
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::Io { path, source }
    }

    /// For what a parser says of a file.
    pub(super) fn malformed<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(E) -> Self {
        let path = path.into();
        |error| Self::Malformed { path, source: error.into() }
    }
}
