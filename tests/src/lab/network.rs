use serde_json::Value;

use super::Machine;
use crate::{Namespace, run_ok};

/// Machines of a network at most: their addresses' last byte tells them apart.
const MOST_MACHINES: u8 = 200;
/// What may pass at once after a rest, in bytes: more than the largest segment that the kernel hands to a link whole, 64 KiB.
const BURST_BYTES: u32 = 256 << 10;
/// How long what is sent may wait for its turn, in milliseconds, before it is dropped.
const QUEUE_MS: u32 = 50;

/// How much links carry, each way.
#[derive(Clone, Copy, Debug)]
pub struct Links {
    /// A machine's own, in Mbit/s.
    pub machine_mbit: u32,
    /// The one between the first zone and each other, in Mbit/s.
    pub border_mbit: u32,
}

impl Links {
    /// All alike.
    pub fn equal(machine_mbit: u32) -> Self {
        Self { machine_mbit, border_mbit: machine_mbit }
    }
}

/// Zones, each a bridge; all but the first are joined to the first by one link.
pub struct Network {
    /// The namespace of the bridges.
    switch: Namespace,
    zones: usize,
    links: Links,
    machines: u8,
}

impl Network {
    /// One with nobody in it.
    pub async fn new(zones: usize, links: Links) -> Self {
        let switch = Namespace::new().await;
        let network = Self { switch, zones, links, machines: 0 };
        for zone in 0..zones {
            network.shell(&format!("ip link add z{zone} type bridge; ip link set z{zone} up")).await;
            if zone > 0 {
                let (near, far) = (border(zone), format!("y{zone}"));
                network
                    .shell(&format!(
                        "ip link add {near} type veth peer name {far}; ip link set {near} master z0 up; \
                         ip link set {far} master z{zone} up; {}; {}",
                        shaped(&near, links.border_mbit),
                        shaped(&far, links.border_mbit)
                    ))
                    .await;
            }
        }
        network
    }

    /// One more machine in a zone.
    pub async fn machine(&mut self, zone: usize) -> Machine {
        assert!(zone < self.zones && self.machines < MOST_MACHINES, "there is no room for another machine");
        self.machines += 1;
        let machine = Machine::new(self.machines).await;
        let (port, pid, mbit) = (port(&machine), machine.namespace.holder_pid(), self.links.machine_mbit);
        self.shell(&format!(
            "ip link add {port} type veth peer name {card} netns {pid}; ip link set {port} master z{zone} up; {}; \
             nsenter --net=/proc/{pid}/ns/net sh -ec 'ip addr add {}/24 dev {card}; ip link set {card} up; {}'",
            shaped(&port, mbit),
            machine.ip(),
            shaped(Machine::CARD, mbit),
            card = Machine::CARD,
        ))
        .await;
        machine
    }

    /// Takes a machine's cable out, or puts it back in.
    pub async fn plug(&self, machine: &Machine, is_in: bool) {
        self.shell(&format!("ip link set {} {}", port(machine), up_or_down(is_in))).await;
    }

    /// Cuts the link between the first zone and another, or mends it.
    pub async fn join(&self, zone: usize, is_up: bool) {
        self.shell(&format!("ip link set {} {}", border(zone), up_or_down(is_up))).await;
    }

    /// What has gone from the first zone to all others, in bytes, headers included.
    pub async fn crossed_bytes(&self) -> u64 {
        let mut bytes = 0;
        for zone in 1..self.zones {
            bytes += sent_bytes(&self.switch, &border(zone)).await;
        }
        bytes
    }

    async fn shell(&self, script: &str) {
        run_in(&self.switch, &["sh", "-ec", script]).await;
    }
}

/// What has been sent by an interface in a namespace, in bytes, headers included.
pub(super) async fn sent_bytes(namespace: &Namespace, interface: &str) -> u64 {
    let printed = run_in(namespace, &["ip", "-json", "-statistics", "link", "show", "dev", interface]).await;
    let links: Value = serde_json::from_str(&printed).expect("ip prints JSON");
    links[0]["stats64"]["tx"]["bytes"].as_u64().unwrap_or_else(|| panic!("no count of bytes in {printed}"))
}

async fn run_in(namespace: &Namespace, command: &[&str]) -> String {
    let entrance = namespace.entrance();
    let words: Vec<&str> = entrance.iter().map(String::as_str).chain(command.iter().copied()).collect();
    run_ok(words[0], &words[1..]).await
}

fn shaped(interface: &str, mbit: u32) -> String {
    format!("tc qdisc add dev {interface} root tbf rate {mbit}mbit burst {BURST_BYTES} latency {QUEUE_MS}ms")
}

/// The switch's end of a machine's cable.
fn port(machine: &Machine) -> String {
    format!("m{}", machine.number())
}

/// The first zone's end of the link to another.
fn border(zone: usize) -> String {
    format!("x{zone}")
}

fn up_or_down(is_up: bool) -> &'static str {
    if is_up { "up" } else { "down" }
}
