//! The container of a pod.

use longshore_fleet::{Assignment, Template};

use super::{CONTAINER, Capacity, image_name, labels, log_file, mark, resources, sandbox};
use crate::agent::cri::wire::{
    Capability, ContainerConfig, ContainerMetadata, ContainerSecurity, ImageSpec, Int64Value, KeyValue, LinuxContainerConfig,
    Mount,
};

/// What no container sees of the kernel (Kubernetes' default `procMount`).
const MASKED: &[&str] = &[
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];
/// What none changes of it.
const READ_ONLY: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The container of a pod, which had so many before it.
pub fn container(agent: &str, assignment: &Assignment, attempt: u32, capacity: Capacity) -> ContainerConfig {
    let template = &assignment.template;
    let image = image_name(template);
    ContainerConfig {
        metadata: Some(ContainerMetadata { name: CONTAINER.to_owned(), attempt }),
        image: Some(ImageSpec { user_specified_image: image.clone(), image, ..ImageSpec::default() }),
        command: template.command.clone(),
        args: template.args.clone(),
        working_dir: template.working_dir.clone().unwrap_or_default(),
        envs: template.env.iter().map(|one| KeyValue { key: one.name.clone(), value: one.value.clone() }).collect(),
        mounts: template
            .host_paths
            .iter()
            .map(|path| Mount { container_path: path.mount_path.clone(), host_path: path.path.clone(), readonly: !path.writable })
            .collect(),
        labels: labels::with_mark(labels::labels(agent, assignment), &mark(template)),
        log_path: log_file(attempt),
        linux: Some(LinuxContainerConfig {
            resources: Some(resources::resources(&template.resources, capacity)),
            security_context: Some(security(template)),
        }),
        ..ContainerConfig::default()
    }
}

/// The least that a container can do with, and what its template says besides. Whether it may have that is for those to judge who have
/// placed it.
fn security(template: &Template) -> ContainerSecurity {
    let asked = &template.security;
    let all = |paths: &[&str]| {
        // What is privileged sees and changes all.
        if asked.privileged { Vec::new() } else { paths.iter().map(|&path| path.to_owned()).collect() }
    };
    let dropped = if asked.privileged { Vec::new() } else { vec!["ALL".to_owned()] };
    ContainerSecurity {
        capabilities: Some(Capability { add_capabilities: asked.capabilities.clone(), drop_capabilities: dropped }),
        privileged: asked.privileged,
        namespace_options: Some(sandbox::namespaces(template)),
        run_as_user: asked.run_as_user.map(|user| Int64Value { value: user.into() }),
        readonly_rootfs: asked.read_only_root,
        no_new_privs: !asked.privileged,
        masked_paths: all(MASKED),
        readonly_paths: all(READ_ONLY),
        seccomp: Some(sandbox::seccomp(template)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::{cri::wire::SecurityProfile, pod::tests::assignment};

    fn made(template: &str) -> (ContainerConfig, ContainerSecurity) {
        let made = container("me", &assignment(template), 3, Capacity { memory_bytes: 1 << 30 });
        let security = made.linux.clone().unwrap().security_context.unwrap();
        (made, security)
    }

    #[test]
    fn a_container_may_the_least() {
        let (made, security) = made("{}");
        let capabilities = security.capabilities.unwrap();
        assert_eq!((capabilities.add_capabilities.len(), capabilities.drop_capabilities), (0, vec!["ALL".to_owned()]));
        assert!(security.no_new_privs && !security.privileged && security.run_as_user.is_none());
        assert_eq!(security.seccomp.unwrap().profile_type, SecurityProfile::RUNTIME_DEFAULT);
        assert_eq!((security.masked_paths.len(), security.readonly_paths.len()), (MASKED.len(), READ_ONLY.len()));
        assert_eq!((made.log_path.as_str(), made.metadata.unwrap().attempt), ("3.log", 3));
        assert!(made.mounts.is_empty());
    }

    #[test]
    fn more_only_as_its_template_says() {
        let (made, security) = made(
            r#"{"security":{"runAsUser":0,"readOnlyRoot":true,"capabilities":["NET_ADMIN"]},"hostPaths":[
                {"path":"/a","mountPath":"/b"},{"path":"/c","mountPath":"/d","writable":true}],
                "env":[{"name":"A","value":"1"}],"workingDir":"/w","command":["x"],"args":["y"]}"#,
        );
        assert_eq!(security.capabilities.unwrap().add_capabilities, ["NET_ADMIN"]);
        assert_eq!((security.run_as_user.unwrap().value, security.readonly_rootfs), (0, true));
        let mounts: Vec<_> = made.mounts.iter().map(|one| (one.host_path.as_str(), one.readonly)).collect();
        assert_eq!(mounts, [("/a", true), ("/c", false)]);
        assert_eq!((made.working_dir.as_str(), made.command[0].as_str(), made.args[0].as_str()), ("/w", "x", "y"));
        assert_eq!(made.envs[0], KeyValue { key: "A".into(), value: "1".into() });
        let (_, all) = self::made(r#"{"security":{"privileged":true}}"#);
        assert!(all.privileged && !all.no_new_privs && all.masked_paths.is_empty());
        assert_eq!(all.seccomp.unwrap().profile_type, SecurityProfile::UNCONFINED);
    }
}
