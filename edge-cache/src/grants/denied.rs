//! Why a client may not have something.

use std::time::Duration;

use http::{HeaderValue, StatusCode};

use super::What;
use crate::upstream::{Pause, UpstreamError};

/// Why not. The same whether it is cached or not.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Denied {
    /// The upstream says so, or can't be asked.
    #[error(transparent)]
    Upstream(UpstreamError),
    /// What answers for the upstream is none.
    #[error("what answers for the upstream {upstream} is no registry: {reason}")]
    NotARegistry {
        /// The upstream's name.
        upstream: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// More is being asked than is taken on.
    #[error("too many requests at once; try again in a moment")]
    Overloaded,
    /// Too many logins have failed, so this one is not put to the upstream.
    #[error("too many logins have failed for this account or from this address; try again in {} s", retry_after.as_secs())]
    FailedLogins {
        /// Until when.
        retry_after: Duration,
    },
}

/// What an upstream's refusal closes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Closes {
    /// The repository, to who asks.
    Repository,
    /// What was asked for, to who asks: as a policy does to a manifest that is not signed.
    This,
    /// Nothing that was there: it has no such thing, or says so.
    Missing,
}

impl Denied {
    /// Whether the upstream can't be reached, or fails whoever asks: what it granted before may hold for a while. That it limits who asks,
    /// or sends them to a page, is not that, as whoever lost a right may bring it about.
    pub fn is_down(&self) -> bool {
        matches!(self, Self::Upstream(error) if error.is_away())
    }

    /// Whether nothing answers for the upstream, whoever asks. What it fails to say to one it may say to another.
    pub fn is_unreached(&self) -> bool {
        match self {
            Self::Upstream(UpstreamError::Unreachable { .. }) => true,
            Self::Upstream(UpstreamError::Paused { reason, .. }) => *reason == Pause::Failing,
            _ => false,
        }
    }

    /// Whether the upstream is there, and asks to come again later: as it may tell who sends many logins at once.
    pub fn is_put_off(&self) -> bool {
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        matches!(self, Self::Upstream(UpstreamError::Refused { status, retry_after: Some(_), .. }) if *status == unavailable)
    }

    /// Whether that is no word of the upstream's about who asks.
    pub fn says_nothing(&self) -> bool {
        match self {
            Self::Upstream(error) => error.is_down() || matches!(error, UpstreamError::Malformed { .. }),
            Self::NotARegistry { .. } => true,
            Self::Overloaded | Self::FailedLogins { .. } => false,
        }
    }

    /// Whether another who asks for the same may be told something else.
    pub fn is_of_the_asker(&self) -> bool {
        match self {
            Self::Upstream(error) => {
                error.is_limit() || error.is_loop() || error.status().is_some_and(|status| status.is_client_error())
            }
            Self::FailedLogins { .. } => true,
            Self::NotARegistry { .. } | Self::Overloaded => false,
        }
    }

    /// The status of a refusal.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Upstream(UpstreamError::Refused { status, .. }) => Some(*status),
            _ => None,
        }
    }

    /// Whether the upstream refuses because of who asks.
    pub fn is_refusal(&self) -> bool {
        matches!(self.status(), Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN))
    }

    /// What the upstream closes where it answers so to who asks for this; `None` where it refuses nothing.
    pub fn closes(&self, what: &What) -> Option<Closes> {
        match (self.status()?, what) {
            (StatusCode::FORBIDDEN, What::Manifest(_)) => Some(Closes::This),
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => Some(Closes::Repository),
            (StatusCode::NOT_FOUND, _) => Some(Closes::Missing),
            _ => None,
        }
    }

    /// Whether the upstream has no such thing, or says so.
    pub fn is_missing(&self) -> bool {
        self.status() == Some(StatusCode::NOT_FOUND)
    }

    /// The same without the upstream's words, which may be about what was asked for.
    #[must_use]
    pub fn wordless(mut self) -> Self {
        if let Self::Upstream(UpstreamError::Refused { errors, .. }) = &mut self {
            errors.clear();
        }
        self
    }

    /// What a client is to show, where it must show more than it has.
    pub fn challenge(&self) -> Option<&HeaderValue> {
        match self {
            Self::Upstream(UpstreamError::Refused { status: StatusCode::UNAUTHORIZED, challenge, .. }) => challenge.as_ref(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use longshore_oci::{Algorithm, Digest};

    use super::*;

    fn refused_in(status: u16, retry_after: Option<Duration>) -> Denied {
        let (status, errors, challenge) = (StatusCode::from_u16(status).unwrap(), Vec::new(), None);
        Denied::Upstream(UpstreamError::Refused { upstream: "up".into(), status, errors, retry_after, challenge })
    }

    #[test]
    fn what_refuses_a_manifest_closes_no_repository() {
        let digest = Digest::of(Algorithm::Sha256, b"1");
        let (manifest, blob) = (What::Manifest(digest.clone()), What::Blob(digest));
        for (status, of_manifest, of_blob) in [
            (401, Some(Closes::Repository), Some(Closes::Repository)),
            (403, Some(Closes::This), Some(Closes::Repository)),
            (404, Some(Closes::Missing), Some(Closes::Missing)),
            (429, None, None),
            (503, None, None),
        ] {
            let denied = refused_in(status, None);
            assert_eq!((denied.closes(&manifest), denied.closes(&blob)), (of_manifest, of_blob), "{status}");
        }
        assert_eq!(Denied::Overloaded.closes(&blob), None);
    }

    #[test]
    fn who_is_to_come_again_is_put_off() {
        let wait = Some(Duration::from_secs(1));
        let put_off =
            [(503, wait), (503, None), (429, wait), (502, wait)].map(|(status, wait)| refused_in(status, wait).is_put_off());
        assert_eq!(put_off, [true, false, false, false]);
    }

    #[test]
    fn what_who_asks_can_bring_about_is_no_upstream_that_is_down() {
        let refused = |status| refused_in(status, None);
        let paused = |reason| {
            Denied::Upstream(UpstreamError::Paused { upstream: "up".into(), reason, retry_after: Duration::from_secs(1) })
        };
        let page = Denied::Upstream(UpstreamError::Malformed { upstream: "up".into(), reason: "a page".into() });
        let portal = Denied::NotARegistry { upstream: "up".into(), reason: "a page".into() };
        for (denied, is_down, says_nothing, is_of_the_asker) in [
            (refused(401), false, false, true),
            (refused(403), false, false, true),
            (refused(404), false, false, true),
            (refused(429), false, true, true),
            (paused(Pause::Limited), false, true, true),
            (paused(Pause::Busy), false, true, false),
            (page, false, true, false),
            (portal, false, true, false),
            (Denied::Overloaded, false, false, false),
            (Denied::FailedLogins { retry_after: Duration::from_secs(1) }, false, false, true),
            (refused(503), true, true, false),
            (paused(Pause::Failing), true, true, false),
        ] {
            assert!(!denied.is_unreached() || denied.is_down() && denied.status().is_none(), "{denied:?}");
            let found = (denied.is_down(), denied.says_nothing(), denied.is_of_the_asker());
            assert_eq!(found, (is_down, says_nothing, is_of_the_asker), "{denied:?}");
        }
    }
}
