use std::time::Duration;

use longshore_fleet::api::{Code, Problem};
use reqwest::StatusCode;

use crate::{ClientError, CredentialStoreError, Fault, RegistryUrl};

/// Why an orchestrator could not be asked, or did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The client can't be set up.
    #[error(transparent)]
    Setup(#[from] ClientError),
    /// No answer came.
    #[error("no orchestrator answers at {url}: {fault}")]
    Unreachable {
        /// The orchestrator.
        url: RegistryUrl,
        /// Why, as far as it can be told.
        fault: Fault,
        /// What the HTTP client saw.
        source: Box<reqwest::Error>,
    },
    /// An answer began, and did not come to its end.
    #[error("{url} broke off before the end: {fault}")]
    BrokenOff {
        /// The orchestrator.
        url: RegistryUrl,
        /// Why, as far as it can be told.
        fault: Fault,
        /// What the HTTP client saw.
        source: Box<reqwest::Error>,
    },
    /// It said no, or that it failed.
    #[error("{}", told(problem, *retry_after, request_id.as_deref()))]
    Refused {
        /// The orchestrator.
        url: RegistryUrl,
        /// What it said.
        problem: Box<Problem>,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
        /// The answer's `X-Request-Id`, by which its logs tell more.
        request_id: Option<String>,
    },
    /// What answers there is something else.
    #[error("{url} answered {status}, and not as an orchestrator does")]
    Stranger {
        /// Where it is.
        url: RegistryUrl,
        /// The answer's status.
        status: StatusCode,
    },
    /// The answer is not what the API promises.
    #[error("{url} does not answer as an orchestrator does: {reason}")]
    Malformed {
        /// The orchestrator.
        url: RegistryUrl,
        /// What is wrong with the answer.
        reason: String,
    },
    /// It has its callers get tokens where nobody goes for them.
    #[error("{url} has its callers get a token from {realm}, {reason}; credentials don't go there")]
    ForeignRealm {
        /// The orchestrator.
        url: RegistryUrl,
        /// Where it points.
        realm: String,
        /// Why nobody goes there.
        reason: &'static str,
    },
    /// The registry that has the logins gave no token.
    #[error("{registry} gave no token to show at the orchestrator")]
    Login {
        /// The registry.
        registry: RegistryUrl,
        /// Why.
        #[source]
        source: Box<ClientError>,
    },
    /// What is kept of logins can't be read.
    #[error("the login that is kept for {registry} can't be used")]
    Kept {
        /// The registry that it is for.
        registry: RegistryUrl,
        /// Why.
        #[source]
        source: CredentialStoreError,
    },
}

impl FleetError {
    pub(super) fn unreachable(url: &RegistryUrl, error: reqwest::Error) -> Self {
        Self::Unreachable { url: url.clone(), fault: Fault::of(&error), source: Box::new(error) }
    }

    /// What is wrong, for programs, where the orchestrator said so.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused { problem, .. } => Some(problem.code),
            _ => None,
        }
    }

    /// How long to wait at least before asking again, where that may help.
    pub(super) fn pause(&self, has_answered: bool) -> Option<Duration> {
        match self {
            Self::Unreachable { fault: Fault::ConnectionRefused, .. } => has_answered.then_some(Duration::ZERO),
            Self::Unreachable { fault: Fault::TimedOut | Fault::Broken(_), .. } => Some(Duration::ZERO),
            Self::Refused { problem, retry_after, .. } => {
                matches!(problem.status, 421 | 503).then_some(retry_after.unwrap_or_default())
            }
            Self::Stranger { status, .. } => matches!(status.as_u16(), 502..=504).then_some(Duration::ZERO),
            _ => None,
        }
    }
}

fn told(problem: &Problem, retry_after: Option<Duration>, request_id: Option<&str>) -> String {
    let text = problem.to_string();
    let (first, rest) =
        text.split_once('\n').map_or((text.as_str(), String::new()), |(first, rest)| (first, format!("\n{rest}")));
    let wait = retry_after.map(|wait| format!("; try again in {} s", wait.as_secs())).unwrap_or_default();
    let code = problem.code.as_str();
    let request = request_id.filter(|_| problem.status >= 500);
    let request = request.map(|id| format!("; its logs tell more under request id {id}")).unwrap_or_default();
    format!("{first} ({code}){wait}{request}{rest}")
}
