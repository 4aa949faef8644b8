//! What can go wrong with a request. `http::refusal` alone makes answers of it.

use std::time::Duration;

use http::Method;
use longshore_fleet::{Faults, Name, api::Nearest};

use crate::{image::ImageError, state::StateError};

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is at the path.
    #[error("there is nothing at this path; GET /api/v1/openapi.json tells what there is")]
    PathUnknown,
    /// The path has other methods.
    #[error("this path has {allowed}, not {method}")]
    Method {
        /// What was tried.
        method: Method,
        /// What there is.
        allowed: String,
    },
    /// It can't be read.
    #[error("{0}")]
    Request(String),
    /// Fields are wrong.
    #[error("what was sent can't be as it is")]
    Invalid(Faults),
    /// The body is too long.
    #[error("the body is longer than {limit_bytes} bytes")]
    BodyTooLarge {
        /// What is taken.
        limit_bytes: u64,
    },
    /// The body broke off.
    #[error("the body did not come whole: {0}")]
    Body(String),
    /// There is no such thing.
    #[error("there is no {what} {name}")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// What it was named by.
        name: String,
    },
    /// There is something where nothing was to be.
    #[error("there is a {what} {name}; to change it, say which revision you saw")]
    Exists {
        /// What kind of thing.
        what: &'static str,
        /// What it is called.
        name: String,
    },
    /// There is something where nothing was to be, and it can't be changed into what is asked.
    #[error("{0}")]
    Taken(String),
    /// It is no more as it was seen.
    #[error("{}", conflict(*.0))]
    Conflict(Option<u64>),
    /// A change does not say what it saw, for which its body has this field.
    #[error("say which revision you saw: send it as If-Match: \"N\", or as {0} in the body")]
    PreconditionRequired(&'static str),
    /// A rollout goes on.
    #[error("a rollout goes on: revision {0} is on its way; wait for it, or ask without ifIdle")]
    RolloutInProgress(u64),
    /// It is being deleted.
    #[error("{0} is being deleted: it is gone once its last pod has ended, and can then be made anew")]
    BeingDeleted(String),
    /// It can't be while this is so.
    #[error("{0}")]
    InUse(String),
    /// The fleet has no room for all of it, and the caller wants all or nothing.
    #[error("{unplaced} pods would fit nowhere")]
    NoRoom {
        /// How many would fit nowhere.
        unplaced: u32,
        /// What would make them fit.
        nearest: Vec<Nearest>,
    },
    /// It must be known who asks.
    #[error("{reason}")]
    Unauthorized {
        /// Why who asks is not known.
        reason: String,
        /// The answer's `WWW-Authenticate`.
        challenge: String,
    },
    /// Who asks may not.
    #[error("{caller} may not {what}; whoever administers the registry can grant it: {grant}")]
    Forbidden {
        /// Who asks.
        caller: String,
        /// What for.
        what: String,
        /// The command that lets it.
        grant: String,
    },
    /// A page of the web may be behind it, and nobody is asked who they are.
    #[error("{0}")]
    OfPage(String),
    /// It can't be told who asks: the registry's keys could not be had.
    #[error("tokens can't be checked now: the registry's keys could not be had")]
    KeysUnavailable,
    /// There is more to do than is taken on.
    #[error("there is more to do than is taken on; try again in a moment")]
    Overloaded,
    /// It took too long.
    #[error("it took longer than {0:?}; whether it was done, a GET tells")]
    TimedOut(Duration),
    /// The leader was asked, and the connection to it broke off.
    #[error("the connection to the leader broke off; whether it was done, a GET tells")]
    LeaderBrokeOff,
    /// Nobody leads, or the leader can't be reached.
    #[error("no replica leads just now, and only the leader can tell; try again in a moment")]
    NoLeader,
    /// Another replica leads.
    #[error("another replica leads")]
    NotLeader(Option<String>),
    /// The node's stream is another one.
    #[error("the stream is not the node's, or not any more: open one")]
    StreamUnknown,
    /// The events were dropped.
    #[error("the history does not go back so far: list again, and watch from the list's position")]
    HistoryGone,
    /// It would break a bound now.
    #[error("{0}")]
    NotNow(String),
    /// A node can't be reached.
    #[error("{0}")]
    NodeAway(String),
    /// The registry was asked, and the image can't be had from it.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The database could not do it.
    #[error(transparent)]
    State(StateError),
}

fn conflict(revision: Option<u64>) -> String {
    match revision {
        Some(revision) => format!("it is at revision {revision} by now: look at it again, and say that you saw it"),
        None => "it is gone by now".to_owned(),
    }
}

impl From<StateError> for Error {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Changed(revision) => Self::Conflict(revision),
            StateError::TooOld => Self::HistoryGone,
            StateError::NoNamespace(name) => Self::no_namespace(&name),
            other => Self::State(other),
        }
    }
}

impl From<Faults> for Error {
    fn from(faults: Faults) -> Self {
        Self::Invalid(faults)
    }
}

impl Error {
    /// There is no such thing.
    pub fn not_found(what: &'static str, name: impl std::fmt::Display) -> Self {
        Self::NotFound { what, name: name.to_string() }
    }

    /// There is no namespace of this name.
    pub fn no_namespace(name: &Name) -> Self {
        Self::not_found("namespace", name)
    }
}
