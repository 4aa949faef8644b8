//! Why a request was not carried out (RFC 9457).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Fault;

/// Why a request was not carried out: the body of every answer that is an error, `application/problem+json`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Always `about:blank`: `code` says what it is.
    #[serde(rename = "type", default = "about_blank")]
    pub kind: String,
    /// The same for all of this code, in words.
    pub title: String,
    /// The status of the answer.
    pub status: u16,
    /// What it is, for programs.
    pub code: Code,
    /// What it is this time, in words that can be acted on.
    #[serde(default)]
    pub detail: String,
    /// Every field that is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// The revision that there is, where another was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// How many pods fit nowhere, where that is why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shortfall_pods: Option<u32>,
    /// Where it would fit most nearly, and what is in the way there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nearest: Vec<Nearest>,
}

fn about_blank() -> String {
    "about:blank".to_owned()
}

/// What would make a pod fit.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Nearest {
    /// What would help: `free 500m of CPU on one (12 nodes)`.
    pub remedy: String,
    /// On how many nodes it is all that is in the way.
    pub nodes: u64,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $status:literal $text:literal $title:literal),+ $(,)?) => {
        /// What is wrong with a request, for programs: stable, and beginning with the answer's status.
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
        pub enum Code {
            $($(#[doc = $doc])+ #[serde(rename = $text)] $variant,)+
            /// One that this version does not know.
            #[serde(other, rename = "500_UNKNOWN")]
            Unknown,
        }

        impl Code {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The status of answers with it.
            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$variant => $status,)+
                    Self::Unknown => 500,
                }
            }

            /// It as text.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Unknown => "500_UNKNOWN",
                }
            }

            /// The same for all problems of it, in words.
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$variant => $title,)+
                    Self::Unknown => "Something else is wrong",
                }
            }
        }
    };
}

codes! {
    /// What was sent can't be read.
    BadRequest = 400 "400_BAD_REQUEST" "What was sent can't be read",
    /// The caller is not known.
    Unauthorized = 401 "401_UNAUTHORIZED" "The caller is not known",
    /// The caller may not.
    Forbidden = 403 "403_FORBIDDEN" "The caller may not",
    /// There is no such thing.
    NotFound = 404 "404_NOT_FOUND" "There is no such thing",
    /// The path is known, and the method is not.
    MethodNotAllowed = 405 "405_METHOD_NOT_ALLOWED" "The path does not have this method",
    /// Somebody else has changed it in between.
    WorkloadVersionConflict = 409 "409_WORKLOAD_VERSION_CONFLICT" "Somebody else has changed it in between",
    /// There is one of this name.
    AlreadyExists = 409 "409_ALREADY_EXISTS" "There is one of this name",
    /// What is asked can't be while a rollout goes on.
    RolloutInProgress = 409 "409_ROLLOUT_IN_PROGRESS" "A rollout goes on",
    /// It is being deleted, or still has what would be lost.
    InUse = 409 "409_IN_USE" "It is in use, or being deleted",
    /// An operation's id was used for another request.
    OperationIdReused = 409 "409_OPERATION_ID_REUSED" "The operation's id was used for another request",
    /// A node's report answers to a stream that is none.
    StreamUnknown = 409 "409_STREAM_UNKNOWN" "The stream is not known",
    /// The history that was asked for is gone: list again.
    HistoryGone = 410 "410_HISTORY_GONE" "The history does not go back so far: list again",
    /// It is too long.
    TooLarge = 413 "413_TOO_LARGE" "It is too long",
    /// Only the leader can, and this is not it.
    NotLeader = 421 "421_NOT_LEADER" "Another replica leads",
    /// Fields are wrong: each is named.
    Invalid = 422 "422_INVALID" "Fields are wrong",
    /// The fleet has no room for it.
    InsufficientCapacity = 422 "422_INSUFFICIENT_CLUSTER_CAPACITY" "The fleet has no room for it",
    /// The namespace's quota has no room for it.
    QuotaExceeded = 422 "422_QUOTA_EXCEEDED" "The namespace's quota has no room for it",
    /// The registry's policy does not let it run.
    ImageNotAllowed = 422 "422_IMAGE_NOT_ALLOWED" "The registry's policy does not let the image run",
    /// There is no such image.
    ImageNotFound = 422 "422_IMAGE_NOT_FOUND" "There is no such image",
    /// Its precondition is missing.
    PreconditionRequired = 428 "428_PRECONDITION_REQUIRED" "It does not say which revision it saw",
    /// Too many images are pulled.
    ImagePullThrottled = 429 "429_IMAGE_PULL_THROTTLED" "The registry is asked too much",
    /// The caller asks too much.
    TooManyRequests = 429 "429_TOO_MANY_REQUESTS" "Too much is asked",
    /// A mistake of ours.
    Internal = 500 "500_INTERNAL" "Something went wrong here",
    /// The control plane can't do this now.
    ControlPlaneDegraded = 503 "503_CONTROL_PLANE_DEGRADED" "The control plane can't do this now",
    /// The registry can't be asked.
    RegistryUnavailable = 503 "503_REGISTRY_UNAVAILABLE" "The registry does not answer",
}

impl Problem {
    /// One of this code.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            kind: about_blank(),
            title: code.title().to_owned(),
            status: code.status(),
            code,
            detail: detail.into(),
            faults: Vec::new(),
            revision: None,
            shortfall_pods: None,
            nearest: Vec::new(),
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(if self.detail.is_empty() { &self.title } else { &self.detail })?;
        for fault in &self.faults {
            write!(formatter, "\n  {fault}")?;
        }
        for nearest in &self.nearest {
            write!(formatter, "\n  {}", nearest.remedy)?;
        }
        Ok(())
    }
}
