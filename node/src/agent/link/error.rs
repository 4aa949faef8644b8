use std::{path::PathBuf, time::Duration};

use http::StatusCode;
use longshore_fleet::api::Code;

/// Why an orchestrator was not heard.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// It can't be reached, or broke off.
    #[error("{what} failed")]
    Unreachable {
        /// What was asked for.
        what: &'static str,
        /// Why.
        #[source]
        source: Box<reqwest::Error>,
    },
    /// It does not lead.
    #[error("another replica leads{}", leader.as_ref().map(|url| format!(": {url}")).unwrap_or_default())]
    NotLeader {
        /// Which one does, where that is known.
        leader: Option<String>,
    },
    /// It refuses.
    #[error("{what} is answered with {status}: {detail}")]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// The answer.
        status: StatusCode,
        /// The problem's code, where it said one that is known.
        code: Option<Code>,
        /// What it says.
        detail: String,
        /// When it said so, by its own clock.
        date: Option<jiff::Timestamp>,
    },
    /// It ended the stream.
    #[error("the stream of instructions has ended")]
    Ended,
    /// It says nothing.
    #[error("nothing was heard for {0:?}")]
    Silent(Duration),
    /// One line is longer than any should be.
    #[error("an instruction has more than {0} bytes (agent.max_instruction)")]
    TooLong(usize),
    /// What it says can't be read.
    #[error("an instruction can't be read")]
    Unreadable(#[source] serde_json::Error),
    /// It does not begin with all there is.
    #[error("the stream does not begin with all that is to be")]
    NoBeginning,
    /// It has been followed by another leader.
    #[error("it leads no more: its term is {term}, and that of another was {highest}")]
    OldTerm {
        /// Its own.
        term: u64,
        /// The highest that was heard of.
        highest: u64,
    },
    /// The node does not belong to it, and has no token to join with.
    #[error(
        "the node does not belong to the fleet; set agent.token (or agent.token_file) to one that `longshore node token create` makes"
    )]
    NoToken,
    /// What the node is there can't be written down.
    #[error("{} can't be written", path.display())]
    Membership {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Nobody takes up what is to be: the node is about to end.
    #[error("the node ends")]
    Ending,
}

impl LinkError {
    /// Whether it does not know the node.
    pub fn is_stranger(&self) -> bool {
        match self {
            // What is no orchestrator has other words for what it has not got.
            Self::Refused { status, code, .. } => *status == StatusCode::UNAUTHORIZED || *code == Some(Code::NotFound),
            _ => false,
        }
    }

    /// Whether the same, sent again at once, might be taken.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
            _ => false,
        }
    }
}
