//! How it is found out whether a container is started, ready, alive (Kubernetes' "Probes").

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Faults, Place};

/// A container's probes.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Probes {
    /// Until it succeeds the others wait; when it fails for good the container is restarted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup: Option<Probe>,
    /// While it fails the pod is not ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Probe>,
    /// When it fails for good the container is restarted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness: Option<Probe>,
}

/// One probe: exactly one of `http`, `tcp`, `exec`, and when it is tried.
#[derive(Clone, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Probe {
    /// A GET, which succeeds with a status from 200 to 399.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpProbe>,
    /// A connection, which succeeds when it opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpProbe>,
    /// A command within the container, which succeeds when it ends with 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<ExecProbe>,
    /// How long after the container's start the first is made, in seconds.
    #[serde(default)]
    pub initial_delay_seconds: u32,
    /// How long after one the next is made, in seconds.
    #[serde(default = "ten")]
    pub period_seconds: u32,
    /// How long one may take, in seconds.
    #[serde(default = "one")]
    pub timeout_seconds: u32,
    /// How many must succeed in a row, after a failure.
    #[serde(default = "one")]
    pub success_threshold: u32,
    /// How many must fail in a row.
    #[serde(default = "three")]
    pub failure_threshold: u32,
}

/// A GET.
#[derive(Clone, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpProbe {
    /// The path, with its query.
    #[serde(default = "slash")]
    pub path: String,
    /// The container's port.
    pub port: u16,
}

/// A connection.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TcpProbe {
    /// The container's port.
    pub port: u16,
}

/// A command.
#[derive(Clone, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExecProbe {
    /// The program and its arguments.
    pub command: Vec<String>,
}

const fn one() -> u32 {
    1
}

const fn three() -> u32 {
    3
}

const fn ten() -> u32 {
    10
}

fn slash() -> String {
    "/".to_owned()
}

impl Probes {
    /// Finds probes that can't be made, or could never succeed.
    pub fn check(&self, at: &Place<'_>, faults: &mut Faults) {
        for (name, probe) in [("startup", &self.startup), ("readiness", &self.readiness), ("liveness", &self.liveness)] {
            if let Some(probe) = probe {
                probe.check(name != "readiness", &at.field(name), faults);
            }
        }
    }
}

impl Probe {
    fn check(&self, succeeds_once: bool, at: &Place<'_>, faults: &mut Faults) {
        let ways = usize::from(self.http.is_some()) + usize::from(self.tcp.is_some()) + usize::from(self.exec.is_some());
        if ways != 1 {
            faults.add(at, "needs one of http, tcp and exec");
        }
        if let Some(http) = &self.http {
            check_port(http.port, &at.field("http"), faults);
            if !http.path.starts_with('/')
                || http.path.chars().any(|character| character.is_whitespace() || character.is_control())
            {
                faults.add(&at.field("http").field("path"), "is no path: it begins with / and has no spaces");
            }
        }
        if let Some(tcp) = self.tcp {
            check_port(tcp.port, &at.field("tcp"), faults);
        }
        if self.exec.as_ref().is_some_and(|exec| exec.command.is_empty()) {
            faults.add(&at.field("exec").field("command"), "names no program");
        }
        for (name, value) in [
            ("periodSeconds", self.period_seconds),
            ("timeoutSeconds", self.timeout_seconds),
            ("successThreshold", self.success_threshold),
            ("failureThreshold", self.failure_threshold),
        ] {
            if value == 0 {
                faults.add(&at.field(name), "must be at least 1");
            }
        }
        if succeeds_once && self.success_threshold > 1 {
            faults.add(&at.field("successThreshold"), "must be 1, but for readiness");
        }
    }
}

fn check_port(port: u16, at: &Place<'_>, faults: &mut Faults) {
    if port == 0 {
        faults.add(&at.field("port"), "must be from 1 to 65535");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(json: &str) -> Vec<String> {
        let probes: Probes = serde_json::from_str(json).unwrap();
        let mut faults = Faults::default();
        probes.check(&Place::root().field("probes"), &mut faults);
        faults.iter().map(|fault| fault.field.clone()).collect()
    }

    #[test]
    fn defaults_are_those_of_kubernetes() {
        let probes: Probes = serde_json::from_str(r#"{"readiness":{"http":{"port":80}}}"#).unwrap();
        let probe = probes.readiness.unwrap();
        assert_eq!(
            (
                probe.initial_delay_seconds,
                probe.period_seconds,
                probe.timeout_seconds,
                probe.success_threshold,
                probe.failure_threshold
            ),
            (0, 10, 1, 1, 3)
        );
        assert_eq!(probe.http.unwrap().path, "/");
    }

    #[test]
    fn a_probe_is_made_in_one_way() {
        assert!(
            faults_of(r#"{"liveness":{"tcp":{"port":80}},"readiness":{"exec":{"command":["true"]},"successThreshold":2}}"#)
                .is_empty()
        );
        for (json, fields) in [
            (r#"{"startup":{}}"#, vec!["probes.startup"]),
            (r#"{"startup":{"tcp":{"port":1},"http":{"port":1}}}"#, vec!["probes.startup"]),
            (r#"{"liveness":{"tcp":{"port":0}}}"#, vec!["probes.liveness.tcp.port"]),
            (r#"{"liveness":{"http":{"port":1,"path":"healthz"}}}"#, vec!["probes.liveness.http.path"]),
            (r#"{"liveness":{"exec":{"command":[]}}}"#, vec!["probes.liveness.exec.command"]),
            (
                r#"{"liveness":{"tcp":{"port":1},"periodSeconds":0,"successThreshold":2}}"#,
                vec!["probes.liveness.periodSeconds", "probes.liveness.successThreshold"],
            ),
        ] {
            assert_eq!(faults_of(json), fields, "{json}");
        }
    }
}
