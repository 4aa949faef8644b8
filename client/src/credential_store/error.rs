use std::{io, path::PathBuf};

/// Why credentials can't be looked up, kept or given up. No variant holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum CredentialStoreError {
    /// Docker's configuration can't be read.
    #[error("{path} can't be read", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Docker's configuration is not JSON.
    #[error("{path} is broken, and is left as it is; mend it, or move it away", path = .path.display())]
    NotJson {
        /// The file.
        path: PathBuf,
        /// Where it breaks.
        #[source]
        source: serde_json::Error,
    },
    /// Docker's configuration is JSON of another shape.
    #[error("{path} is broken, and is left as it is: {field} should be {expected}", path = .path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// Which part of it.
        field: String,
        /// What that part should be.
        expected: &'static str,
    },
    /// Docker's configuration can't be written.
    #[error("{path} can't be written, and is left as it is", path = .path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A name with a colon would be read back as another one.
    #[error("the name {0:?} has a colon, and can't be kept with its password")]
    NameWithColon(String),
    /// What names a helper is no name of one.
    #[error("{0:?} is no name of a credential helper; one has letters, digits, - and _ alone")]
    HelperName(String),
    /// The helper is not installed.
    #[error("docker-credential-{0}, which docker's config.json names, is in no folder of PATH")]
    HelperMissing(String),
    /// The helper can't be run, does not end in time, or says too much.
    #[error("docker-credential-{name} {verb} did not run to its end")]
    HelperBroken {
        /// What follows `docker-credential-`.
        name: String,
        /// What it was told to do.
        verb: &'static str,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
    /// The helper ran, and failed.
    #[error("docker-credential-{name} {verb} failed: {reason}")]
    HelperFailed {
        /// What follows `docker-credential-`.
        name: String,
        /// What it was told to do.
        verb: &'static str,
        /// What it said.
        reason: String,
    },
}
