//! What a runtime has of a pod.

use jiff::Timestamp;

/// What a runtime has of a pod.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Seen {
    /// Its sandbox: of several the newest.
    pub sandbox: Option<Sandbox>,
    /// Its container: of several the newest.
    pub container: Option<Container>,
    /// Sandboxes besides, and whether they are ready.
    pub surplus_sandboxes: Vec<(String, bool)>,
    /// Containers that ended before the last one that did.
    pub surplus_containers: Vec<String>,
    /// The same in few words, to be compared with what is listed later.
    pub glimpse: Glimpse,
}

/// What is listed of a pod, in the order of ids.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Glimpse {
    /// Sandboxes and their state, by number.
    pub sandboxes: Vec<(String, i32)>,
    /// Containers and their state, by number.
    pub containers: Vec<(String, i32)>,
}

impl Glimpse {
    /// Puts it into the order that all have.
    pub fn sort(&mut self) {
        self.sandboxes.sort();
        self.containers.sort();
    }
}

/// A sandbox.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sandbox {
    /// What the runtime calls it.
    pub id: String,
    /// How many there were before.
    pub attempt: u32,
    /// Whether containers can be in it.
    pub is_ready: bool,
    /// Its address, where it has one of its own.
    pub address: Option<String>,
    /// How many containers the pod had before it.
    pub containers_before: u32,
}

/// A container.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Container {
    /// What the runtime calls it.
    pub id: String,
    /// The sandbox that it is in.
    pub sandbox: String,
    /// How many the pod had before.
    pub attempt: u32,
    /// What it was made from ([`super::super::make::mark`]).
    pub mark: String,
    /// How far it is.
    pub status: Status,
}

/// How far a container is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Status {
    /// It was made, and not started.
    Created,
    /// It runs.
    Running {
        /// Since when.
        since: Timestamp,
    },
    /// It has ended.
    Exited(Exit),
    /// Its start failed, maybe as whoever asked for it went away: it never ran, and can't be started again.
    NeverRan,
    /// The runtime lost sight of it.
    Unknown,
}

/// How a container ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Exit {
    /// Its exit code.
    pub code: i32,
    /// Why, in the runtime's one word.
    pub reason: String,
    /// Why, in the runtime's words; empty where it has none.
    pub message: String,
    /// When it began to run; not known of one that never did.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

impl Exit {
    /// Whether it ended as it should.
    pub fn is_good(&self) -> bool {
        self.code == 0 && self.reason != Self::OUT_OF_MEMORY
    }

    /// What a runtime says of one that wanted more memory than it may have.
    const OUT_OF_MEMORY: &str = "OOMKilled";

    /// Whether it was never begun because who started it went away: so it may be where that was an earlier agent (`is_found`), and so it is
    /// where the runtime says so.
    pub fn never_ran(&self, is_found: bool) -> bool {
        let is_broken_off = is_found || self.message.contains("context canceled");
        self.reason == Self::START_FAILED && self.started_at.is_none() && is_broken_off
    }

    /// What a runtime says of one that can't be begun.
    const START_FAILED: &str = "StartError";

    /// Why, in one word.
    pub fn word(&self) -> &'static str {
        match self.reason.as_str() {
            Self::OUT_OF_MEMORY => "OOMKilled",
            Self::START_FAILED => "StartError",
            _ if self.code == 0 => "Completed",
            _ => "Error",
        }
    }

    /// Why, in words.
    pub fn words(&self) -> String {
        let told = if self.message.is_empty() { String::new() } else { format!(": {}", self.message) };
        match self.word() {
            "OOMKilled" => format!("it wanted more memory than its limit, and was killed (exit code {}){told}", self.code),
            "StartError" => format!("it can't be started{told}"),
            _ => format!("it ended with exit code {}{told}", self.code),
        }
    }
}
