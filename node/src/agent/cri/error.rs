use std::{error::Error as _, path::PathBuf, sync::Arc, time::Duration};

use tonic::{Code, Status};

/// Why a container runtime did not do something.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CriError {
    /// It is not there.
    #[error("the container runtime at {} is not there: {reason}", address.display())]
    Down {
        /// Its socket.
        address: Arc<PathBuf>,
        /// Why not.
        reason: String,
    },
    /// It is there and says nothing in time. What it was asked for may be done all the same.
    #[error("the container runtime at {} did not answer {call} in {patience:?}", address.display())]
    Silent {
        /// Its socket.
        address: Arc<PathBuf>,
        /// What it was asked for.
        call: &'static str,
        /// How long it had.
        patience: Duration,
    },
    /// It refuses, or failed. The words are its own.
    #[error("{}", .0.message())]
    Refused(Box<Status>),
}

impl CriError {
    /// Whether it is the runtime that is away: the same is to be tried once it is back.
    pub fn is_down(&self) -> bool {
        match self {
            Self::Down { .. } => true,
            Self::Silent { .. } => false,
            // So says a runtime that is starting; and where it ends meanwhile nobody says anything.
            Self::Refused(status) => status.code() == Code::Unavailable || status.source().is_some(),
        }
    }

    /// Whether the runtime has said so itself.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Refused(_)) && !self.is_down()
    }

    /// Whether there is no such thing.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Refused(status) if status.code() == Code::NotFound)
    }

    /// Whether asking once more, for an image, could bring another answer soon.
    pub fn may_pass(&self) -> bool {
        let Self::Refused(status) = self else { return false };
        let is_final = matches!(
            status.code(),
            Code::NotFound | Code::InvalidArgument | Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented
        );
        // containerd has one code for whatever a registry says; its words have the registry's status. Numbers alone are in digests, too.
        let text = status.message().to_ascii_lowercase();
        let words = ["401 unauthorized", "403 forbidden", "404 not found", "not found", "denied", "unauthorized", "forbidden"];
        let is_refusal =
            words.iter().any(|word| text.contains(word)) || text.contains("status code 40") || text.contains("status: 40");
        !is_final && !is_refusal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: Code, message: &str) -> CriError {
        CriError::Refused(Box::new(Status::new(code, message)))
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for (code, message, may_pass) in [
            (Code::Unknown, "failed to copy: httpReadSeeker: unexpected status code 500", true),
            (Code::Unknown, "dial tcp 127.0.0.1:5000: connect: connection refused", true),
            (Code::Unknown, "unexpected status code: 403 Forbidden", false),
            (Code::Unknown, "failed to copy localhost:4040/a@sha256:401403404: unexpected EOF", true),
            (Code::Unknown, "unexpected status code [manifests v1]: 401 Unauthorized", false),
            (Code::Unknown, "pull access denied, repository does not exist", false),
            (Code::NotFound, "no such manifest", false),
            (Code::InvalidArgument, "invalid reference", false),
        ] {
            assert_eq!(refused(code, message).may_pass(), may_pass, "{message}");
        }
        let down = CriError::Down { address: Arc::default(), reason: "gone".into() };
        assert!(down.is_down() && !down.may_pass() && !down.is_missing());
        assert!(refused(Code::Unavailable, "server is not initialized yet").is_down());
        assert!(refused(Code::NotFound, "no such container").is_missing());
    }
}
