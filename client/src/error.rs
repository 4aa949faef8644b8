use std::{io, path::PathBuf, time::Duration};

use longshore_oci::Digest;
use reqwest::{StatusCode, header::HeaderValue};

use crate::{Fault, Refusal, RegistryUrl};

/// Why a registry could not be asked, or did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The registry would be reached over plain HTTP across a network, which nobody asked for.
    #[error("{0} is plain HTTP to another machine, where anyone between can read and change what is sent")]
    PlainHttp(RegistryUrl),
    /// The registry, or where it sends its callers, is within the own network, where nobody is to be led by others.
    #[error("{0} is within a private network, where this does not connect to")]
    Private(RegistryUrl),
    /// The file of certificate authorities can't be used.
    #[error("the certificate authorities in {path} can't be used")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: io::Error,
    },
    /// The caller's own certificate, or its key, can't be used.
    #[error("the client certificate {path} can't be used")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: io::Error,
    },
    /// The folder of a registry's certificates can't be read.
    #[error("the certificates in {path} can't be used", path = .path.display())]
    CertificateFolder {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: io::Error,
    },
    /// The folder of a registry's certificates has more than one that could say who asks.
    #[error("{} has several client certificates, {} and {}, and one alone is shown", folder.display(), names[0], names[1])]
    SeveralCertificates {
        /// The folder.
        folder: PathBuf,
        /// The names of two of them.
        names: [String; 2],
    },
    /// The HTTP client can't be set up, for want of certificate authorities on this machine for one.
    #[error("the HTTP client can't be set up")]
    Setup(#[source] reqwest::Error),
    /// No answer came.
    #[error("no registry answers at {registry}: {fault}")]
    Unreachable {
        /// The registry.
        registry: RegistryUrl,
        /// Why, as far as it can be told.
        fault: Fault,
        /// What the HTTP client saw.
        source: Box<reqwest::Error>,
    },
    /// The registry said no, or that it failed.
    #[error("{}", refused(*status, errors, request_id.as_deref(), *retry_after))]
    Refused {
        /// The registry.
        registry: RegistryUrl,
        /// The answer's status.
        status: StatusCode,
        /// What the registry said; empty where it said nothing that can be read.
        errors: Vec<Refusal>,
        /// The answer's `X-Request-Id`, by which the registry's logs tell more.
        request_id: Option<String>,
        /// How long the registry asks to wait.
        retry_after: Option<Duration>,
        /// What it asks for of who has not said who it is, its `WWW-Authenticate`.
        challenge: Option<Box<HeaderValue>>,
    },
    /// The registry sends its callers to a place where nobody goes.
    #[error("{registry} sends its callers on to {location}, {reason}")]
    Astray {
        /// The registry that was asked.
        registry: RegistryUrl,
        /// Where it points, without a query, which could be a secret.
        location: String,
        /// Why nobody goes there.
        reason: &'static str,
    },
    /// The server that the registry sends its callers to does not do what it was asked.
    #[error("{place}, where {registry} sends its callers, answered {status}")]
    Elsewhere {
        /// The registry that was asked.
        registry: RegistryUrl,
        /// The other server.
        place: RegistryUrl,
        /// Its answer's status.
        status: StatusCode,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The registry sends callers elsewhere; nothing follows, so that credentials don't.
    #[error("{registry} sends its callers on to {location}; name that registry if it is the one you mean")]
    Redirected {
        /// The registry that was asked.
        registry: RegistryUrl,
        /// Where it points.
        location: String,
    },
    /// The registry sends callers elsewhere to say who they are; nobody goes, so that credentials don't.
    #[error("{registry} asks its callers to log in at {realm}, which is another server; credentials go nowhere else")]
    ForeignRealm {
        /// The registry that was asked.
        registry: RegistryUrl,
        /// Where it points.
        realm: String,
    },
    /// The answer is not what the API promises.
    #[error("{registry} does not answer as a registry does: {reason}")]
    Malformed {
        /// The registry.
        registry: RegistryUrl,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The bytes are not those that the digest names.
    #[error("the registry sent bytes whose digest is {actual}, not {expected}")]
    Damaged {
        /// What was asked for, or promised.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
}

impl ClientError {
    /// The status of a refusal.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    pub(crate) fn unreachable(registry: &RegistryUrl, error: reqwest::Error) -> Self {
        Self::Unreachable { registry: registry.clone(), fault: Fault::of(&error), source: Box::new(error) }
    }

    /// That a token service gave no token, for want of which what the registry had asked for was not shown.
    pub(crate) fn after_challenge(mut self, asked: Option<HeaderValue>) -> Self {
        if let Self::Refused { challenge, .. } = &mut self {
            *challenge = asked.map(Box::new);
        }
        self
    }
}

/// The registry's words, or for want of any the status; and for what is the registry's own fault, how to look into it.
fn refused(status: StatusCode, errors: &[Refusal], request_id: Option<&str>, retry_after: Option<Duration>) -> String {
    let said = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let said = if said.is_empty() { format!("the registry answered {status}") } else { said };
    let wait = retry_after.map(|wait| format!("; try again in {} s", wait.as_secs())).unwrap_or_default();
    match request_id {
        Some(id) if status.is_server_error() => format!("{said}{wait}; its logs tell more under request id {id}"),
        _ => said + &wait,
    }
}
