//! What the machine is that this runs on.

use longshore_fleet::{Bytes, Cpu};
use longshore_oci::Platform;

/// What the machine has, and what it runs.
#[derive(Clone, Debug)]
pub struct Machine {
    /// What it runs.
    pub platform: Platform,
    /// Its processors.
    pub cpu: Cpu,
    /// Its memory.
    pub memory: Bytes,
    /// What it is called.
    pub name: String,
}

impl Machine {
    /// This one. Blocks.
    pub fn read() -> std::io::Result<Self> {
        // Pods are not bound by what this process is.
        let cpus = processors(&std::fs::read_to_string("/sys/devices/system/cpu/online")?)
            .ok_or_else(|| std::io::Error::other("/sys/devices/system/cpu/online does not say how many processors there are"))?;
        let told = std::fs::read_to_string("/proc/meminfo")?;
        let missing = || std::io::Error::other("/proc/meminfo does not say how much memory there is");
        Ok(Self {
            platform: Platform { architecture: architecture().to_owned(), os: "linux".to_owned(), ..Platform::default() },
            cpu: Cpu::millis(cpus.saturating_mul(1_000)),
            memory: Bytes::new(memory(&told).ok_or_else(missing)?),
            name: name(&rustix::system::uname().nodename().to_string_lossy()),
        })
    }
}

/// The processor, as Go names it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

/// How many processors the kernel's ranges name, as `0-3,6`.
fn processors(told: &str) -> Option<u64> {
    let count = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        last.parse::<u64>().ok()?.checked_sub(first.parse().ok()?)?.checked_add(1)
    };
    told.trim().split(',').map(count).sum()
}

/// All memory, of what the kernel tells.
fn memory(told: &str) -> Option<u64> {
    let line = told.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1 << 10)
}

/// A machine's name as that of a node: what it can't have is left out.
fn name(host: &str) -> String {
    let lower = host.to_ascii_lowercase();
    let kept: String = lower.chars().map(|sign| if sign.is_ascii_alphanumeric() || sign == '.' { sign } else { '-' }).collect();
    let parts: Vec<&str> = kept.split('.').map(|part| part.trim_matches('-')).filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { "node".to_owned() } else { parts.join(".") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_something() {
        let machine = Machine::read().unwrap();
        assert!(machine.cpu.millis >= 1_000 && machine.memory.count > 1 << 20);
        assert!(machine.name.parse::<longshore_fleet::NodeName>().is_ok(), "{}", machine.name);
    }

    #[test]
    fn what_is_told_is_read() {
        assert_eq!(memory("MemTotal:       24689764 kB\nMemFree: 1 kB\n"), Some(24_689_764 << 10));
        assert_eq!(memory("MemFree: 1 kB\n"), None);
        for (told, count) in [("0\n", Some(1)), ("0-3,6,8-9\n", Some(7)), ("", None), ("3-1", None)] {
            assert_eq!(processors(told), count, "{told}");
        }
        for (host, node) in [("Web_1.Example.org", "web-1.example.org"), ("_", "node"), ("a", "a")] {
            assert_eq!(name(host), node);
        }
    }
}
