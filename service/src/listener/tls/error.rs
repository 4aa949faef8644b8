use std::{io, path::PathBuf};

use rustls::{pki_types::pem, server::VerifierBuilderError};

/// What TLS is to be made of cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path} cannot be read", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file holds no PEM of the kind it should.
    #[error("{path} holds no {expected} in PEM form", path = path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
        /// Why it does not parse.
        #[source]
        source: pem::Error,
    },
    /// The two do not belong together, or are of a kind that is not supported.
    #[error("{certificate} and {key} cannot be used together", certificate = certificate.display(), key = key.display())]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
    /// One of the certificates is no authority's.
    #[error("{path} holds a certificate that cannot be an authority's", path = path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
    /// One of the lists of what was revoked is of a kind that is not supported.
    #[error("{path} holds a list of revoked certificates that cannot be used", path = path.display())]
    Revocations {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: VerifierBuilderError,
    },
    /// What was read well cannot be put together.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}
