use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderValue, StatusCode};
use longshore_client::{ClientError, Fault, Refusal};

/// The longest wait that an upstream is heeded for.
const MOST_WAIT: Duration = Duration::from_hours(1);

/// Why an upstream did not give what it was asked for.
#[derive(Clone, Debug, thiserror::Error)]
pub enum UpstreamError {
    /// It said no, or that it failed.
    #[error("{upstream} answered {status}{}", said(errors))]
    Refused {
        /// Which.
        upstream: Arc<str>,
        /// The answer's status.
        status: StatusCode,
        /// What it said.
        errors: Vec<Refusal>,
        /// How long it asks to wait; an hour at most.
        retry_after: Option<Duration>,
        /// What it wants to be shown of who asks, its `WWW-Authenticate`; for its clients.
        challenge: Option<HeaderValue>,
    },
    /// The server that it sends its callers to did not give it, which may be so of this one thing alone.
    #[error("{upstream} has it elsewhere: {reason}")]
    Elsewhere {
        /// Which.
        upstream: Arc<str>,
        /// The other server's status.
        status: StatusCode,
        /// Which server, and what it answered.
        reason: String,
        /// How long it asks to wait; an hour at most.
        retry_after: Option<Duration>,
    },
    /// No answer came, or it broke off.
    #[error("{upstream} can't be reached: {reason}")]
    Unreachable {
        /// Which.
        upstream: Arc<str>,
        /// Why, in short.
        reason: String,
        /// All that is known; the reason is what people need of it.
        cause: Arc<ClientError>,
    },
    /// It is left alone, since it failed too often or asked for it, or since too much of it is wanted at once.
    #[error("{upstream} is left alone for now, since {reason}; try again in {} s", retry_after.as_secs().max(1))]
    Paused {
        /// Which.
        upstream: Arc<str>,
        /// Why.
        reason: Pause,
        /// Until when.
        retry_after: Duration,
    },
    /// Its answer is not what the API promises.
    #[error("{upstream} does not answer as a registry does: {reason}")]
    Malformed {
        /// Which.
        upstream: Arc<str>,
        /// What is wrong with the answer.
        reason: String,
    },
    /// It can't be asked as it is set up.
    #[error("{upstream} can't be asked as it is set up")]
    Setup {
        /// Which.
        upstream: Arc<str>,
        /// Why not.
        #[source]
        source: Arc<ClientError>,
    },
}

/// Why an upstream is left alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pause {
    /// It limits whoever asks as this one does.
    Limited,
    /// It fails, whoever asks.
    Failing,
    /// As much is asked of it as may be at once.
    Busy,
}

impl fmt::Display for Pause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Limited => "it asked for it",
            Self::Failing => "it failed too often, or said that it will",
            Self::Busy => "too much of it is wanted at once",
        })
    }
}

impl UpstreamError {
    /// What a client's error means here. `shows_certificate`: whether the connection was one that shows the edge's.
    pub(super) fn of(upstream: &Arc<str>, error: ClientError, shows_certificate: bool) -> Self {
        let upstream = upstream.clone();
        let heeded = |wait: Option<Duration>| wait.map(|wait| wait.min(MOST_WAIT));
        match error {
            ClientError::Refused { status, errors, retry_after, challenge, .. } => {
                let (retry_after, challenge) = (heeded(retry_after), challenge.map(|challenge| *challenge));
                Self::Refused { upstream, status, errors, retry_after, challenge }
            }
            // To a caller it is as if the registry had answered so; it is up, and wants to know who asks.
            ClientError::Unreachable { fault: Fault::NoCertificate, .. } if !shows_certificate => {
                let message = "it serves nobody without a client certificate, and the cache shows its own for itself alone";
                let said =
                    Refusal { code: "UNAVAILABLE".to_owned(), message: message.to_owned(), detail: serde_json::Value::Null };
                let (status, errors) = (StatusCode::UNAUTHORIZED, vec![said]);
                Self::Refused { upstream, status, errors, retry_after: None, challenge: None }
            }
            ClientError::Unreachable { ref fault, .. } => {
                Self::Unreachable { upstream, reason: fault.to_string(), cause: Arc::new(error) }
            }
            ClientError::Elsewhere { status, retry_after, .. } => {
                Self::Elsewhere { upstream, status, reason: error.to_string(), retry_after: heeded(retry_after) }
            }
            ClientError::Malformed { reason, .. } => Self::Malformed { upstream, reason },
            ClientError::Astray { .. } | ClientError::PlainHttp(_) | ClientError::Private(_) | ClientError::Redirected { .. } => {
                Self::Malformed { upstream, reason: error.to_string() }
            }
            _ => Self::Setup { upstream, source: Arc::new(error) },
        }
    }

    /// Which upstream.
    pub fn upstream(&self) -> &str {
        match self {
            Self::Refused { upstream, .. }
            | Self::Elsewhere { upstream, .. }
            | Self::Unreachable { upstream, .. }
            | Self::Paused { upstream, .. }
            | Self::Malformed { upstream, .. }
            | Self::Setup { upstream, .. } => upstream,
        }
    }

    /// The status of a refusal; to a caller it is as if the upstream had failed where another server did not give it.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Elsewhere { .. } => Some(StatusCode::BAD_GATEWAY),
            _ => None,
        }
    }

    /// How long to wait before asking again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } | Self::Elsewhere { retry_after, .. } => *retry_after,
            Self::Paused { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// Whether the upstream has nothing to say for now, so that what it said before may hold meanwhile.
    pub fn is_down(&self) -> bool {
        match self {
            Self::Refused { status, .. } => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
            Self::Elsewhere { .. } | Self::Unreachable { .. } | Self::Paused { .. } => true,
            Self::Malformed { .. } | Self::Setup { .. } => false,
        }
    }

    /// Whether it can't be reached, or fails, whoever asks. A limit is no such thing: who asks may bring one about. Nor is it
    /// that its storage refuses something, or has lost it.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Refused { status, .. } | Self::Elsewhere { status, .. } => status.is_server_error() && !self.is_loop(),
            Self::Unreachable { .. } => true,
            Self::Paused { reason, .. } => *reason == Pause::Failing,
            Self::Malformed { .. } | Self::Setup { .. } => false,
        }
    }

    /// Whether it says that what it is asked goes round in a circle of caches. It is there, and what it says is of the way by
    /// which somebody came, who may have made that up.
    pub fn is_loop(&self) -> bool {
        self.status() == Some(StatusCode::LOOP_DETECTED)
    }

    /// Whether it limits who asks, which says nothing of others.
    pub fn is_limit(&self) -> bool {
        match self {
            Self::Refused { status, .. } => *status == StatusCode::TOO_MANY_REQUESTS,
            Self::Paused { reason, .. } => *reason == Pause::Limited,
            Self::Elsewhere { .. } | Self::Unreachable { .. } | Self::Malformed { .. } | Self::Setup { .. } => false,
        }
    }

    /// Whether it was answered, and the failure may be of what was asked for, or of who asked, alone.
    pub(super) fn may_be_of_one_thing(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Elsewhere { .. })
    }

    /// Whether the same address can do better in a moment.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Refused { status, .. } => matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504),
            Self::Unreachable { cause, .. } => match cause.as_ref() {
                ClientError::Unreachable { fault, .. } => {
                    use Fault::{Certificate, CertificateRefused, NoCertificate, NotTls, UnknownAuthority};
                    !matches!(fault, UnknownAuthority | Certificate(_) | NoCertificate | CertificateRefused(_) | NotTls)
                }
                _ => true,
            },
            // Another way there may be good.
            Self::Elsewhere { .. } => true,
            Self::Paused { .. } | Self::Malformed { .. } | Self::Setup { .. } => false,
        }
    }

    /// Whether another address could do better. One that wants to be left alone speaks for the registry.
    pub(super) fn is_of_the_address(&self) -> bool {
        match self {
            Self::Refused { status, .. } => *status != StatusCode::TOO_MANY_REQUESTS && (self.is_passing() || self.is_down()),
            Self::Elsewhere { .. } | Self::Unreachable { .. } | Self::Malformed { .. } => true,
            Self::Paused { .. } | Self::Setup { .. } => false,
        }
    }

    /// A word for metrics.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Refused { status, .. } if !status.is_server_error() => "4xx",
            Self::Refused { .. } | Self::Elsewhere { .. } => "5xx",
            Self::Unreachable { .. } => "unreachable",
            Self::Paused { .. } => "paused",
            Self::Malformed { .. } => "malformed",
            Self::Setup { .. } => "setup",
        }
    }
}

fn said(errors: &[Refusal]) -> String {
    let said = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    if said.is_empty() { said } else { format!(": {said}") }
}
