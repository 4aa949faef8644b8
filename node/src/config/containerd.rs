//! `[containerd]`: the container runtime whose store the node serves from, and whose running images it keeps.

use std::path::Path;

use longshore_service::config::{Duration, Problems};

/// The most namespaces that may be named.
const MOST_NAMESPACES: usize = 16;
/// The longest name of one (containerd, `pkg/identifiers`).
const MOST_NAME_BYTES: usize = 76;

/// The container runtime whose store the node serves from, and whose running images it keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct Containerd {
    /// Its socket, as `/run/containerd/containerd.sock`; empty where the node has nothing to do with one.
    pub address: String,
    /// The namespaces that are looked into. Earlier ones are read first.
    pub namespaces: Vec<String>,
    /// How often it is asked what it holds and runs.
    pub poll_interval: Duration,
    /// Whether what its store holds leaves the cache at once, where nobody uses or pins it.
    pub drop_copies: bool,
    /// How long the pins of what runs stay while it does not answer.
    pub pins_stay: Duration,
}

longshore_service::settings!(Containerd { address, namespaces, poll_interval, drop_copies, pins_stay });

impl Default for Containerd {
    fn default() -> Self {
        Self {
            address: String::new(),
            // Those of Kubernetes, of docker, and of nerdctl and ctr.
            namespaces: ["k8s.io", "moby", "default"].map(str::to_owned).to_vec(),
            poll_interval: Duration::seconds(10),
            drop_copies: false,
            pins_stay: Duration::hours(1),
        }
    }
}

impl Containerd {
    /// Whether there is one.
    pub fn is_on(&self) -> bool {
        !self.address.is_empty()
    }

    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        if self.is_on() && !Path::new(&self.address).is_absolute() {
            problems.add(&["containerd.address"], "must be the path of a socket, as \"/run/containerd/containerd.sock\"");
        }
        let is_name = |name: &String| {
            let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            (1..=MOST_NAME_BYTES).contains(&name.len()) && name.bytes().all(is_sign)
        };
        if !(1..=MOST_NAMESPACES).contains(&self.namespaces.len()) {
            problems.add(&["containerd.namespaces"], format!("must name 1 to {MOST_NAMESPACES} namespaces"));
        }
        for name in self.namespaces.iter().filter(|name| !is_name(name)) {
            problems.add(&["containerd.namespaces"], format!("{name:?} is no namespace's name"));
        }
        if !(Duration::milliseconds(100)..=Duration::hours(1)).contains(&self.poll_interval) {
            problems.add(&["containerd.poll_interval"], "must be from 100ms to 1h");
        }
        if !(Duration::seconds(60)..=Duration::days(30)).contains(&self.pins_stay) {
            problems.add(&["containerd.pins_stay"], "must be from 1m to 30d");
        }
    }
}
