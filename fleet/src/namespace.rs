//! Whose workloads are apart from whose, how much they may take, and what they may do to nodes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Bytes, Cpu, Faults, Name, Place, Template, reading, template::is_whole_path};

/// A namespace, as a person writes it.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NamespaceSpec {
    /// What it is called.
    pub name: Name,
    /// How much all of its pods may ask for, together.
    #[serde(default)]
    pub quota: Quota,
    /// What its pods may do to nodes.
    #[serde(default)]
    pub allow: Allowances,
}

/// How much all pods of a namespace may ask for, together; as much as there is of what is not named.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Quota {
    /// Processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// Memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    /// How many there may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<u32>,
}

/// What pods of a namespace may do to their nodes: nothing, unless it is said here.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Allowances {
    /// All that root of the node may.
    #[serde(default)]
    pub privileged: bool,
    /// Have the node's own network.
    #[serde(default)]
    pub host_network: bool,
    /// See these folders of the node, and what is in them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_paths: Vec<String>,
    /// Capabilities that they may have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// Run as root within their containers.
    #[serde(default = "yes")]
    pub root: bool,
}

impl Default for Allowances {
    fn default() -> Self {
        Self { privileged: false, host_network: false, host_paths: Vec::new(), capabilities: Vec::new(), root: true }
    }
}

const fn yes() -> bool {
    true
}

impl Allowances {
    /// Finds what a template would do that its namespace does not allow.
    pub fn check(&self, template: &Template, at: &Place<'_>, faults: &mut Faults) {
        let security = &template.security;
        if security.privileged && !self.privileged {
            faults.add(&at.field("security").field("privileged"), "is not allowed in this namespace");
        }
        if template.host_network && !self.host_network {
            faults.add(&at.field("hostNetwork"), "is not allowed in this namespace");
        }
        if security.run_as_user == Some(0) && !self.root {
            faults.add(&at.field("security").field("runAsUser"), "is root, which is not allowed in this namespace");
        }
        for (index, capability) in security.capabilities.iter().enumerate() {
            if !self.capabilities.contains(capability) {
                let message = format!("{capability} is not allowed in this namespace");
                faults.add(&at.field("security").field("capabilities").item(index), message);
            }
        }
        for (index, path) in template.host_paths.iter().enumerate() {
            if !self.host_paths.iter().any(|allowed| is_within(&path.path, allowed)) {
                let message = format!("{} is not allowed in this namespace", path.path);
                faults.add(&at.field("hostPaths").item(index).field("path"), message);
            }
        }
    }
}

/// Whether a path is a folder, or in it. Neither has `..`.
fn is_within(path: &str, folder: &str) -> bool {
    let parts =
        |path: &str| path.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect::<Vec<_>>();
    parts(path).starts_with(&parts(folder))
}

impl NamespaceSpec {
    /// Reads what a person has written. Every field that has the wrong form is in the faults; or else each that makes no sense.
    pub fn read(value: Value) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let Some(spec) = reading::read::<Self>(value, &mut faults) else { return Err(faults) };
        for (index, path) in spec.allow.host_paths.iter().enumerate() {
            if !is_whole_path(path) {
                let place = Place::root();
                faults.add(&place.field("allow").field("hostPaths").item(index), "must be a whole path, without ..");
            }
        }
        faults.or(spec)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(allow: &Value, template: &Value) -> Vec<String> {
        let mut faults = Faults::default();
        let spec = NamespaceSpec::read(json!({"name": "team", "allow": allow})).unwrap();
        let template: Template = Template::deserialize(template).unwrap();
        spec.allow.check(&template, &Place::root(), &mut faults);
        faults.iter().map(|fault| fault.field.clone()).collect()
    }

    #[test]
    fn nothing_is_allowed_that_is_not_said() {
        let template = json!({
            "image": "a",
            "hostNetwork": true,
            "security": {"privileged": true, "capabilities": ["NET_ADMIN", "NET_BIND_SERVICE"], "runAsUser": 0},
            "hostPaths": [{"path": "/var/log/app", "mountPath": "/logs"}, {"path": "/var/logs", "mountPath": "/b"}],
        });
        assert_eq!(
            refused(&json!({"root": false}), &template),
            [
                "security.privileged",
                "hostNetwork",
                "security.runAsUser",
                "security.capabilities[0]",
                "security.capabilities[1]",
                "hostPaths[0].path",
                "hostPaths[1].path",
            ]
        );
        let allow = json!({"privileged": true, "hostNetwork": true, "capabilities": ["NET_ADMIN"], "hostPaths": ["/var/log/"]});
        assert_eq!(refused(&allow, &template), ["security.capabilities[1]", "hostPaths[1].path"], "/var/logs is not in /var/log");
    }

    #[test]
    fn a_quota_is_in_quantities() {
        let spec = NamespaceSpec::read(json!({"name": "team", "quota": {"cpu": "2", "memory": "4Gi", "pods": 10}})).unwrap();
        assert_eq!(spec.quota, Quota { cpu: Some(Cpu::millis(2_000)), memory: Some(Bytes::new(4 << 30)), pods: Some(10) });
        let faults =
            NamespaceSpec::read(json!({"name": "team", "quota": {"disk": 1}, "allow": {"hostPaths": ["a"]}})).unwrap_err();
        assert!(faults.to_string().contains("quota.disk: is no field"), "{faults}");
    }
}
