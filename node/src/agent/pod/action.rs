use std::time::{Duration, Instant};

use super::ProbeKind;

/// What is to be done next for a pod. One is done at a time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// Find out what the runtime has of it.
    Look,
    /// Make its sandbox.
    MakeSandbox {
        /// How many there were before.
        attempt: u32,
        /// How many containers the pod had before.
        containers_before: u32,
    },
    /// Find out whether its image is here.
    CheckImage,
    /// Fetch its image.
    Pull,
    /// Make its container.
    Create {
        /// In which sandbox.
        sandbox: String,
        /// How many sandboxes there were before.
        sandbox_attempt: u32,
        /// How many containers there were before that.
        containers_before: u32,
        /// How many containers there were before.
        attempt: u32,
    },
    /// Start a container that was made.
    Start {
        /// Which.
        container: String,
        /// Whether the pod had another before.
        is_again: bool,
    },
    /// Ask a container to end, and kill it after so long.
    Stop {
        /// Which.
        container: String,
        /// How long it has.
        grace: Duration,
    },
    /// End a sandbox.
    StopSandbox {
        /// Which.
        sandbox: String,
    },
    /// Remove a sandbox and what is in it.
    RemoveSandbox {
        /// Which.
        sandbox: String,
    },
    /// Remove a container.
    RemoveContainer {
        /// Which.
        container: String,
    },
    /// Remove its folder, and what it wrote there.
    Clear,
}

/// What is next for a pod.
#[derive(Clone, Debug, Default)]
pub struct Next {
    /// What is to be done, unless that before is being done still.
    pub action: Option<Action>,
    /// Whether what is being done is to be broken off: it is not wanted any more.
    pub breaks_off: bool,
    /// Which probes are to be made now.
    pub probes: Vec<ProbeKind>,
    /// When to ask again, if nothing happens before.
    pub wake_at: Option<Instant>,
}
