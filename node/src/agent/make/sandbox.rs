//! The sandbox of a pod.

use std::{collections::BTreeMap, path::Path};

use longshore_fleet::{Assignment, Protocol, Template};

use super::labels;
use crate::agent::cri::wire::{
    NamespaceMode, NamespaceOption, PodSandboxConfig, PodSandboxMetadata, PortMapping, SandboxLinux, SandboxSecurity,
    SecurityProfile,
};

/// The longest name that the kernel gives a machine.
const MOST_HOSTNAME_BYTES: usize = 63;

/// The sandbox of a pod, which had so many before it, and so many containers in them.
pub fn sandbox(agent: &str, assignment: &Assignment, attempt: u32, before: u32, logs: &Path) -> PodSandboxConfig {
    let template = &assignment.template;
    PodSandboxConfig {
        metadata: Some(PodSandboxMetadata {
            name: assignment.name.clone(),
            uid: assignment.id.to_string(),
            namespace: assignment.namespace.to_string(),
            attempt,
        }),
        // On the machine's network it is called as the machine is.
        hostname: if template.host_network { String::new() } else { hostname(&assignment.name) },
        log_directory: logs.display().to_string(),
        port_mappings: ports(template),
        labels: labels::labels(agent, assignment),
        annotations: labels::annotations(assignment, before),
        linux: Some(SandboxLinux {
            security_context: Some(SandboxSecurity {
                namespace_options: Some(namespaces(template)),
                privileged: template.security.privileged,
                seccomp: Some(seccomp(template)),
            }),
            sysctls: sysctls(template),
        }),
    }
}

/// In a network of its own nobody is in the way of who listens on a low port, which else takes a capability that none has. It is one of
/// those that Kubernetes calls safe.
fn sysctls(template: &Template) -> BTreeMap<String, String> {
    let low_ports = ("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned());
    if template.host_network { BTreeMap::new() } else { BTreeMap::from([low_ports]) }
}

fn hostname(name: &str) -> String {
    let end =
        name.char_indices().map(|(start, sign)| start + sign.len_utf8()).take_while(|end| *end <= MOST_HOSTNAME_BYTES).last();
    name[..end.unwrap_or_default()].trim_end_matches(['-', '.']).to_owned()
}

fn ports(template: &Template) -> Vec<PortMapping> {
    if template.host_network {
        return Vec::new();
    }
    let mapped = template.ports.iter().filter_map(|port| {
        Some(PortMapping {
            protocol: match port.protocol {
                Protocol::Tcp => 0,
                Protocol::Udp => 1,
            },
            container_port: port.container_port.into(),
            host_port: port.host_port?.into(),
        })
    });
    mapped.collect()
}

/// Processes are each container's own; the network and shared memory are the pod's, or the machine's.
pub(super) fn namespaces(template: &Template) -> NamespaceOption {
    let network = if template.host_network { NamespaceMode::Node } else { NamespaceMode::Pod };
    NamespaceOption { network: network.into(), pid: NamespaceMode::Container.into(), ipc: NamespaceMode::Pod.into() }
}

/// Which calls to the kernel are let through.
pub(super) fn seccomp(template: &Template) -> SecurityProfile {
    let is_unconfined = template.security.privileged;
    SecurityProfile { profile_type: if is_unconfined { SecurityProfile::UNCONFINED } else { SecurityProfile::RUNTIME_DEFAULT } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::pod::tests::assignment;

    #[test]
    fn a_pod_has_a_network_of_its_own_unless_it_has_the_machines() {
        let ports = r#""ports":[{"containerPort":80,"hostPort":8080},{"containerPort":81},{"containerPort":53,"hostPort":53,"protocol":"UDP"}]"#;
        let own = sandbox("me", &assignment(&format!("{{{ports}}}")), 2, 5, Path::new("/logs/a"));
        let mapped: Vec<_> = own.port_mappings.iter().map(|port| (port.protocol, port.container_port, port.host_port)).collect();
        assert_eq!(mapped, [(0, 80, 8080), (1, 53, 53)]);
        assert_eq!((own.hostname.as_str(), own.log_directory.as_str()), ("hello-1", "/logs/a"));
        assert_eq!(own.metadata.unwrap().attempt, 2);
        assert_eq!((labels::containers_before(&own.annotations), labels::grace(&own.annotations).as_secs()), (5, 30));
        let network = |config: &PodSandboxConfig| {
            let security = config.linux.as_ref().unwrap().security_context.as_ref().unwrap();
            security.namespace_options.as_ref().unwrap().network
        };
        assert_eq!(network(&sandbox("me", &assignment("{}"), 0, 0, Path::new("/"))), 0);
        let host = sandbox("me", &assignment(r#"{"hostNetwork":true,"ports":[{"containerPort":80}]}"#), 0, 0, Path::new("/"));
        assert_eq!((network(&host), host.hostname.as_str(), host.port_mappings.len()), (2, "", 0));
        assert!(host.linux.unwrap().sysctls.is_empty(), "the machine's ports are the machine's");
    }

    #[test]
    fn a_name_is_cut_where_a_machine_can_not_have_it() {
        assert_eq!(hostname("hello"), "hello");
        assert_eq!(hostname(&format!("{}-b", "a".repeat(62))), "a".repeat(62));
        assert_eq!(hostname(&"ä".repeat(40)).len(), 62);
    }
}
