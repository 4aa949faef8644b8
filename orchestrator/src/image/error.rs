//! Why an image can't be had.

use std::time::Duration;

use longshore_client::ClientError;
use longshore_fleet::Image;

/// Why an image can't be had. Each names the image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// There is none, or whoever asks may not know of it.
    #[error("{image} is not there: {reason}")]
    NotFound {
        /// Which.
        image: Image,
        /// What the registry said.
        reason: String,
    },
    /// The registry's policy does not let it be pulled, or the orchestrator's account may not.
    #[error("{image} may not run: {reason}")]
    NotAllowed {
        /// Which.
        image: Image,
        /// What the registry said.
        reason: String,
    },
    /// It is none that a node could run.
    #[error("{image} can't be run: {reason}")]
    Unusable {
        /// Which.
        image: Image,
        /// Why not.
        reason: String,
    },
    /// The registry is asked too much.
    #[error("{image} can't be asked for now: {reason}")]
    Throttled {
        /// Which.
        image: Image,
        /// What the registry said.
        reason: String,
        /// How long to wait.
        wait: Duration,
    },
    /// The registry does not answer, or not as a registry does.
    #[error("{image} can't be asked for: {reason}")]
    Unavailable {
        /// Which.
        image: Image,
        /// Why not.
        reason: String,
    },
}

/// How long to wait where a registry does not say.
const USUAL_WAIT: Duration = Duration::from_secs(5);

impl ImageError {
    /// What a registry's answer means for an image.
    pub(super) fn of(image: &Image, error: &ClientError) -> Self {
        let image = image.clone();
        let reason = told(error);
        if let ClientError::Private(_) = error {
            let reason = format!("{reason}, but for the hosts in registry.private_hosts");
            return Self::NotAllowed { image, reason };
        }
        let (status, wait) = match error {
            ClientError::Refused { status, retry_after, .. } | ClientError::Elsewhere { status, retry_after, .. } => {
                (status.as_u16(), retry_after.unwrap_or(USUAL_WAIT))
            }
            _ => return Self::Unavailable { image, reason },
        };
        match status {
            401 | 404 => Self::NotFound { image, reason },
            403 => Self::NotAllowed { image, reason },
            429 => Self::Throttled { image, reason, wait },
            _ => Self::Unavailable { image, reason },
        }
    }
}

/// An error and what it came from, in a line.
fn told(error: &ClientError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
