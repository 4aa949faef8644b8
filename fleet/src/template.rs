//! What a pod is made from: everything that decides what runs, and where it may.

use std::{collections::BTreeSet, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{Affinity, Faults, Image, Labels, Place, Probes, Requirement, Resources, Spread, Toleration, reading};

/// What a pod is made from. Two pods of one revision are made from the same.
#[derive(Clone, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Template {
    /// The image. In a revision it names a digest.
    pub image: Image,
    /// In place of the image's entrypoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// In place of the image's command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Where the command begins; the image's own folder where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Its environment, after the image's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvVar>,
    /// The ports that it listens on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    /// How it is found out how it is.
    #[serde(default)]
    pub probes: Probes,
    /// What it is promised, and may take.
    #[serde(default)]
    pub resources: Resources,
    /// What selectors see of it, besides its workload's name.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// Labels that a node must have.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub node_selector: Labels,
    /// Where it would be.
    #[serde(default)]
    pub affinity: Affinity,
    /// Over what its like are spread.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spread: Vec<Spread>,
    /// Which taints don't keep it off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
    /// How long it has to end by itself, in seconds.
    #[serde(default = "thirty")]
    pub termination_grace_period_seconds: u32,
    /// Whether it has the node's own network.
    #[serde(default)]
    pub host_network: bool,
    /// What it may do to its node.
    #[serde(default)]
    pub security: Security,
    /// Folders of the node that it sees.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_paths: Vec<HostPath>,
}

const fn thirty() -> u32 {
    30
}

/// One variable of the environment.
#[derive(Clone, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnvVar {
    /// Its name.
    pub name: String,
    /// Its value.
    #[serde(default)]
    pub value: String,
}

/// A port that a container listens on.
#[derive(Clone, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Port {
    /// What it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Within the container.
    pub container_port: u16,
    /// On its node; no two pods of a node have the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_port: Option<u16>,
    /// What is spoken below.
    #[serde(default)]
    pub protocol: Protocol,
}

/// What a port speaks.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        })
    }
}

/// What a container may do to its node; the least, unless its namespace allows more.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Security {
    /// All that root of the node may.
    #[serde(default)]
    pub privileged: bool,
    /// As whom it runs; the image's user where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as_user: Option<u32>,
    /// Whether its files can't be written.
    #[serde(default)]
    pub read_only_root: bool,
    /// Capabilities besides none: `NET_BIND_SERVICE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
}

/// A folder of the node.
#[derive(Clone, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostPath {
    /// On the node.
    pub path: String,
    /// In the container.
    pub mount_path: String,
    /// Whether it can be written there.
    #[serde(default)]
    pub writable: bool,
}

/// The fields of [`Template`], as they stand beside those of a workload.
pub(crate) const TEMPLATE_FIELDS: &[&str] = &[
    "image",
    "command",
    "args",
    "workingDir",
    "env",
    "ports",
    "probes",
    "resources",
    "labels",
    "nodeSelector",
    "affinity",
    "spread",
    "tolerations",
    "terminationGracePeriodSeconds",
    "hostNetwork",
    "security",
    "hostPaths",
];

/// Reads a template, and beside it what has it: a deployment's upkeep, a job's work.
pub(crate) fn read_with_owner<T: DeserializeOwned + Serialize>(
    value: Value,
    otherwise: &str,
    check: impl FnOnce(&T, &mut Faults),
) -> Result<(T, Template), Faults> {
    let mut faults = Faults::default();
    let Value::Object(mut fields) = value else {
        faults.add(&Place::root(), otherwise);
        return Err(faults);
    };
    let template = reading::split(&mut fields, TEMPLATE_FIELDS);
    let owner: Option<T> = reading::read_beside(Value::Object(fields), TEMPLATE_FIELDS, &mut faults);
    if let Some(owner) = &owner {
        check(owner, &mut faults);
    }
    let template = Template::read(Value::Object(template), &mut faults);
    match (owner, template) {
        (Some(owner), Some(template)) => faults.or((owner, template)),
        _ => Err(faults),
    }
}

/// Whether a path begins at the root and leads nowhere else.
pub(crate) fn is_whole_path(path: &str) -> bool {
    path.starts_with('/') && path.split('/').all(|part| part != "..")
}

impl Template {
    /// Reads what a person has written, or notes all that is wrong with it. Requests that are not given are taken from limits.
    fn read(value: Value, faults: &mut Faults) -> Option<Self> {
        let mut template: Self = reading::read(value, faults)?;
        template.resources = template.resources.with_requests();
        template.check(&Place::root(), faults);
        Some(template)
    }

    /// Finds what can't be.
    pub fn check(&self, at: &Place<'_>, faults: &mut Faults) {
        self.check_lengths(at, faults);
        for (name, words) in [("command", &self.command), ("args", &self.args)] {
            for (index, _) in words.iter().enumerate().filter(|(_, word)| word.contains('\0')) {
                faults.add(&at.field(name).item(index), "has a NUL");
            }
        }
        self.check_env(at, faults);
        self.check_ports(at, faults);
        self.probes.check(&at.field("probes"), faults);
        self.resources.check(&at.field("resources"), faults);
        self.affinity.check(&at.field("affinity"), faults);
        for (index, spread) in self.spread.iter().enumerate() {
            spread.check(&at.field("spread").item(index), faults);
        }
        for (index, toleration) in self.tolerations.iter().enumerate() {
            if let Some(fault) = toleration.fault() {
                faults.add(&at.field("tolerations").item(index), fault);
            }
        }
        for (index, path) in self.host_paths.iter().enumerate() {
            for (name, path) in [("path", &path.path), ("mountPath", &path.mount_path)] {
                if !is_whole_path(path) || path.contains('\0') {
                    faults.add(&at.field("hostPaths").item(index).field(name), "must be a whole path, without ..");
                }
            }
        }
        for (index, capability) in self.security.capabilities.iter().enumerate() {
            let is_name = capability.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
            if capability.is_empty() || !is_name || capability.starts_with("CAP_") {
                faults.add(
                    &at.field("security").field("capabilities").item(index),
                    "must be a capability's name without CAP_, such as NET_BIND_SERVICE",
                );
            }
        }
    }

    /// Lists that a node is judged by for each pod, or that a pod carries, have an end.
    fn check_lengths(&self, at: &Place<'_>, faults: &mut Faults) {
        let Affinity { node, pod, pod_anti } = &self.affinity;
        let affinity = at.field("affinity");
        let mut check = |place: &Place<'_>, count: usize, most: usize| {
            if count > most {
                faults.add(place, format!("has {count} items, more than {most}"));
            }
        };
        check(&at.field("env"), self.env.len(), 1_000);
        check(&at.field("ports"), self.ports.len(), 100);
        check(&at.field("hostPaths"), self.host_paths.len(), 100);
        check(&at.field("tolerations"), self.tolerations.len(), 100);
        check(&at.field("spread"), self.spread.len(), 8);
        check(&at.field("labels"), self.labels.len(), 100);
        check(&at.field("nodeSelector"), self.node_selector.len(), 100);
        let required: usize = node.required.iter().map(|term| demands(&term.match_expressions)).sum();
        let preferred: usize = node.preferred.iter().map(|term| demands(&term.match_expressions)).sum();
        check(&affinity.field("node").field("required"), node.required.len() + required, 500);
        check(&affinity.field("node").field("preferred"), node.preferred.len() + preferred, 500);
        let selectors = self.spread.iter().filter_map(|spread| spread.selector.as_ref());
        check(&at.field("spread"), selectors.map(|selector| demands(&selector.0)).sum(), 500);
        for (name, terms) in [("pod", pod), ("podAnti", pod_anti)] {
            check(&affinity.field(name).field("required"), terms.required.len(), 8);
            check(&affinity.field(name).field("preferred"), terms.preferred.len(), 8);
            let required: usize = terms.required.iter().map(|term| demands(&term.selector.0)).sum();
            let preferred: usize = terms.preferred.iter().map(|term| demands(&term.selector.0)).sum();
            check(&affinity.field(name), required + preferred, 500);
        }
    }

    fn check_env(&self, at: &Place<'_>, faults: &mut Faults) {
        let mut names = BTreeSet::new();
        for (index, variable) in self.env.iter().enumerate() {
            let field = at.field("env");
            let place = field.item(index);
            if variable.name.is_empty() || variable.name.contains(['=', '\0']) {
                faults.add(&place.field("name"), "must be a name without =");
            } else if !names.insert(&variable.name) {
                faults.add(&place.field("name"), format!("is {} a second time", variable.name));
            }
            if variable.value.contains('\0') {
                faults.add(&place.field("value"), "has a NUL");
            }
        }
    }

    fn check_ports(&self, at: &Place<'_>, faults: &mut Faults) {
        let (mut names, mut inner, mut outer) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for (index, port) in self.ports.iter().enumerate() {
            let field = at.field("ports");
            let place = field.item(index);
            if port.container_port == 0 || port.host_port == Some(0) {
                let name = if port.container_port == 0 { "containerPort" } else { "hostPort" };
                faults.add(&place.field(name), "must be from 1 to 65535");
            }
            if !inner.insert((port.container_port, port.protocol)) {
                faults.add(&place.field("containerPort"), format!("is {} a second time", port.container_port));
            }
            if let Some(host_port) = port.host_port
                && !outer.insert((host_port, port.protocol))
            {
                faults.add(&place.field("hostPort"), format!("is {host_port} a second time"));
            }
            if let Some(host_port) = port.host_port
                && self.host_network
                && host_port != port.container_port
            {
                faults.add(&place.field("hostPort"), "must be containerPort where hostNetwork is true");
            }
            if let Some(name) = &port.name
                && !names.insert(name)
            {
                faults.add(&place.field("name"), format!("is {name} a second time"));
            }
        }
    }

    /// Ports of the node that a pod takes, each once.
    pub fn host_ports(&self) -> impl Iterator<Item = (u16, Protocol)> {
        let taken = |port: &Port| if self.host_network { Some(port.container_port) } else { port.host_port };
        self.ports.iter().filter_map(move |port| Some((taken(port)?, port.protocol)))
    }
}

/// How much there is to demands, and to the values that they compare with.
fn demands(demands: &[Requirement]) -> usize {
    demands.iter().map(|demand| 1 + demand.values.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(json: &str) -> Vec<String> {
        let template: Template = serde_json::from_str(json).unwrap();
        let mut faults = Faults::default();
        template.check(&Place::root(), &mut faults);
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let faults = faults_of(
            r#"{
                "image": "localhost:5000/hello:1",
                "env": [{"name": "A"}, {"name": "A=B"}, {"name": "A"}],
                "ports": [{"containerPort": 80, "hostPort": 8080}, {"containerPort": 81, "hostPort": 8080}, {"containerPort": 0}],
                "resources": {"requests": {"cpu": 2}, "limits": {"cpu": 1}},
                "tolerations": [{}],
                "spread": [{"topologyKey": "zone", "maxSkew": 0}],
                "hostPaths": [{"path": "etc", "mountPath": "/a/../b"}],
                "security": {"capabilities": ["net_admin", "CAP_NET_ADMIN"]},
                "args": ["a\u0000b"],
                "probes": {"liveness": {}}
            }"#,
        );
        let fields: Vec<&str> = faults.iter().map(|fault| fault.split(':').next().unwrap()).collect();
        assert_eq!(
            fields,
            [
                "args[0]",
                "env[1].name",
                "env[2].name",
                "ports[1].hostPort",
                "ports[2].containerPort",
                "probes.liveness",
                "resources.requests.cpu",
                "spread[0].maxSkew",
                "tolerations[0]",
                "hostPaths[0].path",
                "hostPaths[0].mountPath",
                "security.capabilities[0]",
                "security.capabilities[1]",
            ]
        );
    }

    #[test]
    fn lists_have_an_end() {
        let spread = [r#"{"topologyKey":"zone","maxSkew":1}"#; 9].join(",");
        let faults = faults_of(&format!(r#"{{"image":"a","spread":[{spread}]}}"#));
        assert_eq!(faults, ["spread: has 9 items, more than 8"]);
    }

    #[test]
    fn ports_of_the_node_are_those_that_a_pod_takes() {
        let ports = |json: &str| serde_json::from_str::<Template>(json).unwrap().host_ports().collect::<Vec<_>>();
        assert_eq!(
            ports(r#"{"image":"a","ports":[{"containerPort":80,"hostPort":8080},{"containerPort":53,"protocol":"UDP"}]}"#),
            [(8080, Protocol::Tcp)]
        );
        assert_eq!(
            ports(r#"{"image":"a","hostNetwork":true,"ports":[{"containerPort":53,"protocol":"UDP"}]}"#),
            [(53, Protocol::Udp)]
        );
    }
}
