//! `[agent]`: the orchestrator that says what runs on this node, and how it is run.

use std::{collections::BTreeMap, path::PathBuf};

use longshore_fleet::{Bytes, Cpu, Effect, LabelKey, LabelValue, Labels, NodeName, Taint};
use longshore_service::{
    config::{ByteSize, Duration, HttpUrl, Problems, Secret},
    fetch,
};

/// How many orchestrators may be named.
const MOST_ORCHESTRATORS: usize = 16;
/// How many labels, and how many taints, a node may be given.
const MOST_LABELS: usize = 100;
/// What a node says of where it is (Kubernetes' "Well-Known Labels").
const ZONE: &str = "topology.kubernetes.io/zone";
const REGION: &str = "topology.kubernetes.io/region";
const HOSTNAME: &str = "kubernetes.io/hostname";

/// The orchestrator that says what runs on this node, and how it is run.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// Where it is reached, as `https://fleet.example.org:5443`: one or more of its replicas, each asked in turn. Empty where nobody says
    /// what runs here.
    pub orchestrators: Vec<String>,
    /// A PEM file of certificate authorities to trust for it, beside those of the machine.
    pub ca_file: Option<PathBuf>,
    /// Whether it may be asked over plain HTTP on another machine.
    pub allow_plain_http: bool,
    /// What lets the node join, once.
    pub token: Secret,
    /// What the node is called; the machine's name where nothing is said.
    pub name: String,
    /// Its labels, as `disk=ssd`. Those of its zone and region are added to them.
    pub labels: Vec<String>,
    /// What keeps pods off it, as `gpu=yes:NoSchedule`.
    pub taints: Vec<String>,
    /// The address where others reach its pods that have the machine's network.
    pub address: String,
    /// The socket of the container runtime; `[containerd]`'s where nothing is said.
    pub cri: String,
    /// Where pods' logs are kept, and what is known of the pods; a folder of the cache's where nothing is said.
    pub folder: Option<PathBuf>,
    /// Whether pods have networks of their own here, as the runtime makes them; without that all have the machine's.
    pub pod_network: bool,
    /// Processor that is not for pods, as `500m`.
    pub reserved_cpu: String,
    /// Memory that is not for pods, as `1Gi`.
    pub reserved_memory: String,
    /// How many pods it has at most.
    pub max_pods: u32,
    /// How many images are pulled at once.
    pub max_pulls: u32,
    /// How long one pull may take.
    pub pull_timeout: Duration,
    /// How often the runtime is asked what runs.
    pub poll_interval: Duration,
    /// How long until a container that crashed is started again, from its second crash in a row on; doubled with each.
    pub backoff: Duration,
    /// The longest that this becomes.
    pub backoff_most: Duration,
    /// How long one file of a container's log becomes.
    pub log_size: ByteSize,
    /// How many such files are kept of a container.
    pub log_files: u32,
    /// The longest instruction that is read.
    pub max_instruction: ByteSize,
}

longshore_service::settings!(Agent {
    orchestrators,
    ca_file,
    allow_plain_http,
    token,
    name,
    labels,
    taints,
    address,
    cri,
    folder,
    pod_network,
    reserved_cpu,
    reserved_memory,
    max_pods,
    max_pulls,
    pull_timeout,
    poll_interval,
    backoff,
    backoff_most,
    log_size,
    log_files,
    max_instruction,
});

impl Default for Agent {
    fn default() -> Self {
        Self {
            orchestrators: Vec::new(),
            ca_file: None,
            allow_plain_http: false,
            token: Secret::default(),
            name: String::new(),
            labels: Vec::new(),
            taints: Vec::new(),
            address: String::new(),
            cri: String::new(),
            folder: None,
            pod_network: true,
            reserved_cpu: "0".to_owned(),
            reserved_memory: "0".to_owned(),
            max_pods: 110,
            max_pulls: 3,
            pull_timeout: Duration::seconds(30 * 60),
            poll_interval: Duration::seconds(1),
            backoff: Duration::seconds(10),
            backoff_most: Duration::seconds(300),
            log_size: ByteSize::mebibytes(10),
            log_files: 5,
            max_instruction: ByteSize::mebibytes(64),
        }
    }
}

impl Agent {
    /// Whether there is an orchestrator.
    pub fn is_on(&self) -> bool {
        !self.orchestrators.is_empty()
    }

    pub(super) fn check(&self, containerd: &str, problems: &mut Problems<'_>) {
        self.check_orchestrators(problems);
        if let Err((key, wrong)) = self.labels("", "") {
            problems.add(&[&format!("agent.{key}")], wrong);
        }
        if let Err(wrong) = self.taints() {
            problems.add(&["agent.taints"], wrong);
        }
        if self.is_on()
            && !self.name.is_empty()
            && let Err(error) = self.name.parse::<NodeName>()
        {
            problems.add(&["agent.name"], format!("{:?}: {error}", self.name));
        }
        for (key, error) in [
            ("reserved_cpu", self.reserved_cpu.parse::<Cpu>().err()),
            ("reserved_memory", self.reserved_memory.parse::<Bytes>().err()),
        ] {
            if let Some(error) = error {
                problems.add(&[&format!("agent.{key}")], error.to_string());
            }
        }
        if !self.address.is_empty() && self.address.parse::<std::net::IpAddr>().is_err() {
            problems.add(&["agent.address"], format!("{:?} is no IP address", self.address));
        }
        let cri = self.socket(containerd);
        if self.is_on() && !cri.is_absolute() {
            let wrong = "must be the path of a container runtime's socket, as \"/run/containerd/containerd.sock\", where \
                         containerd.address does not name one";
            problems.add(&["agent.cri"], wrong);
        }
        self.check_bounds(problems);
    }

    fn check_orchestrators(&self, problems: &mut Problems<'_>) {
        let key = "agent.orchestrators";
        if self.orchestrators.len() > MOST_ORCHESTRATORS {
            problems.add(&[key], format!("there may be {MOST_ORCHESTRATORS} of these"));
        }
        for text in &self.orchestrators {
            if let Err(error) = text.parse::<HttpUrl>() {
                problems.add(&[key], format!("{text:?}: {error}"));
            } else if !self.allow_plain_http && !fetch::is_secure(text) {
                let wrong = "is plain HTTP to another machine, where whoever is on the way could say what runs here; use https, or \
                             set agent.allow_plain_http";
                problems.add(&[key, "agent.allow_plain_http"], format!("{text:?} {wrong}"));
            }
        }
    }

    fn check_bounds(&self, problems: &mut Problems<'_>) {
        for (key, value, least, most) in [
            ("max_pods", self.max_pods, 1, 10_000),
            ("max_pulls", self.max_pulls, 1, 100),
            ("log_files", self.log_files, 2, 1_000),
        ] {
            if !(least..=most).contains(&value) {
                problems.add(&[&format!("agent.{key}")], format!("must be from {least} to {most}"));
            }
        }
        for (key, value, least, most) in [
            ("pull_timeout", self.pull_timeout, Duration::seconds(1), Duration::days(7)),
            ("poll_interval", self.poll_interval, Duration::milliseconds(50), Duration::seconds(60)),
            ("backoff", self.backoff, Duration::milliseconds(10), Duration::hours(1)),
            ("backoff_most", self.backoff_most, Duration::milliseconds(10), Duration::days(1)),
        ] {
            if !(least..=most).contains(&value) {
                problems.add(&[&format!("agent.{key}")], format!("must be from {least} to {most}"));
            }
        }
        if self.backoff_most < self.backoff {
            problems.add(&["agent.backoff_most", "agent.backoff"], "must be agent.backoff or longer");
        }
        if self.log_size < ByteSize::bytes(4 << 10) {
            problems.add(&["agent.log_size"], "must be 4KiB or more");
        }
        if !(ByteSize::mebibytes(1)..=ByteSize::mebibytes(1024)).contains(&self.max_instruction) {
            problems.add(&["agent.max_instruction"], "must be from 1MiB to 1GiB");
        }
    }

    /// The runtime's socket, where `[containerd]` names this one.
    pub(crate) fn socket(&self, containerd: &str) -> PathBuf {
        if self.cri.is_empty() { containerd.into() } else { self.cri.as_str().into() }
    }

    /// The node's labels, with those of where it is; an error says which setting is wrong, and why.
    pub(crate) fn labels(&self, region: &str, zone: &str) -> Result<Labels, (&'static str, String)> {
        let mut labels: Labels = BTreeMap::new();
        for (key, value) in [(ZONE, zone), (REGION, region), (HOSTNAME, self.name.as_str())] {
            // A place may be called what no label is.
            if let (Ok(key), Ok(value)) = (key.parse::<LabelKey>(), value.parse::<LabelValue>())
                && !value.as_str().is_empty()
            {
                labels.insert(key, value);
            }
        }
        if self.labels.len() > MOST_LABELS {
            return Err(("labels", format!("there may be {MOST_LABELS} of these")));
        }
        for text in &self.labels {
            let wrong = |why: String| ("labels", format!("{text:?}: {why}"));
            let (key, value) = text.split_once('=').ok_or_else(|| wrong("a label is written key=value".to_owned()))?;
            let key: LabelKey = key.parse().map_err(|error: longshore_fleet::InvalidLabel| wrong(error.to_string()))?;
            let value = value.parse().map_err(|error: longshore_fleet::InvalidLabel| wrong(error.to_string()))?;
            labels.insert(key, value);
        }
        Ok(labels)
    }

    /// What keeps pods off the node; an error says what is wrong.
    pub(crate) fn taints(&self) -> Result<Vec<Taint>, String> {
        if self.taints.len() > MOST_LABELS {
            return Err(format!("there may be {MOST_LABELS} of these"));
        }
        let taint = |text: &String| {
            let wrong = |why: &str| format!("{text:?}: {why}");
            let form = "a taint is written key=value:Effect, and its effect is NoSchedule, PreferNoSchedule or NoExecute";
            let (what, effect) = text.rsplit_once(':').ok_or_else(|| wrong(form))?;
            let (key, value) = what.split_once('=').unwrap_or((what, ""));
            let effect = match effect {
                "NoSchedule" => Effect::NoSchedule,
                "PreferNoSchedule" => Effect::PreferNoSchedule,
                "NoExecute" => Effect::NoExecute,
                _ => return Err(wrong(form)),
            };
            let key = key.parse().map_err(|error: longshore_fleet::InvalidLabel| wrong(&error.to_string()))?;
            let value = value.parse().map_err(|error: longshore_fleet::InvalidLabel| wrong(&error.to_string()))?;
            Ok(Taint { key, value, effect })
        };
        self.taints.iter().map(taint).collect()
    }
}

#[cfg(test)]
mod tests {
    use longshore_service::config::load_text;

    use super::*;
    use crate::Config;

    fn faults(agent: &str) -> String {
        let text = format!("[[upstream]]\nurl = 'http://127.0.0.1:5000'\n[agent]\n{agent}");
        load_text::<Config>("node.toml", &text).map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let told = faults(
            "orchestrators = ['ftp://a', 'http://fleet.example']\nlabels = ['zone']\ntaints = ['a:Never']\nname = 'A B'\n\
             reserved_cpu = 'half'\nreserved_memory = '1mi'\nmax_pods = 0\nbackoff = '20s'\nbackoff_most = '10s'\naddress = 'here'\n\
             log_size = '1KiB'\nmax_instruction = '1KiB'",
        );
        for key in [
            "orchestrators",
            "labels",
            "taints",
            "name",
            "reserved_cpu",
            "reserved_memory",
            "max_pods",
            "backoff_most",
            "address",
            "cri",
            "log_size",
            "max_instruction",
        ] {
            assert!(told.contains(&format!("agent.{key}")), "{key} is not in {told}");
        }
        assert!(told.contains("ftp://a") && told.contains("plain HTTP to another machine"), "{told}");
    }

    #[test]
    fn labels_and_taints_are_written_as_kubectl_writes_them() {
        let agent = Agent {
            name: "n1".into(),
            labels: vec!["disk=ssd".into(), "empty=".into()],
            taints: vec!["gpu=yes:NoSchedule".into(), "old:NoExecute".into()],
            ..Agent::default()
        };
        let labels = agent.labels("", "a b").unwrap();
        let told: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(told, ["disk=ssd", "empty=", "kubernetes.io/hostname=n1"]);
        assert_eq!(agent.labels("r", "z").unwrap().len(), 5);
        let taints: Vec<_> = agent.taints().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(taints, ["gpu=yes:NoSchedule", "old:NoExecute"]);
    }

    #[test]
    fn the_runtime_is_that_of_containerd_unless_it_is_named() {
        assert_eq!(faults(""), "");
        let agent = "orchestrators = ['http://127.0.0.1:1']\n";
        assert!(faults(agent).contains("agent.cri"));
        assert_eq!(faults(&format!("{agent}[containerd]\naddress = '/run/a.sock'")), "");
        assert_eq!(faults(&format!("{agent}cri = '/run/crio.sock'")), "");
    }
}
