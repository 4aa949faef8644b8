//! A real containerd on each of two machines pulls an image through its node and runs it; the second has most of it from its neighbour.

use longshore_tests::{
    Containerd, Lab, LabDaemon, LabPlan, Layout, Links, ROOT_FILE_SYSTEM_WORDS, longshore, run_ok, scaled, temporary_folder,
};

longshore_tests::once!(a_containerd_on_each_machine_pulls_through_its_node);

const MIB: usize = 1 << 20;
const ANNOUNCEMENTS: &str = "longshore_swarm_tracker_kept{what=\"announcements\"}";
/// What came of a blob's bytes by pieces.
const RECEIVED: &str = "longshore_swarm_received_bytes_total{";
const FROM_ORIGIN: &str = "longshore_swarm_received_bytes_total{from=\"origin\"}";

/// Puts a runnable image with a layer of so many bytes into the registry, from its own machine; what containerd calls it.
async fn pushed(lab: &Lab, size_bytes: usize) -> String {
    let name = format!("{}:5000/{}:v1", lab.registry.machine.ip(), Lab::REPOSITORY);
    let layout = Layout::runnable(702, &[size_bytes]).await;
    let pushing = ["skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false", &layout.reference()];
    let entrance = lab.registry.machine.namespace().entrance();
    let words = [&entrance[..], &pushing.map(str::to_owned), &[format!("docker://{name}")]].concat();
    run_ok(&words[0], &words[1..]).await;
    name
}

/// Has a containerd on a node's machine pull an image through the node, as an operator would, and run it.
async fn runs_through(node: &LabDaemon, registry: &str, image: &str) {
    let entrance = node.machine.namespace().entrance();
    let containerd = Containerd::within(node.machine.namespace()).await;
    let hosts = temporary_folder("certs");
    let folder = hosts.path().to_str().expect("our folders' names are ASCII");
    let longshore = longshore().to_str().expect("our folders' names are ASCII");
    let install = [longshore, "node", "mirror", "install", "--runtime", "containerd", "--for", registry, "--path", folder];
    run_ok(&entrance[0], entrance[1..].iter().map(String::as_str).chain(install)).await;
    containerd.ok(&["images", "pull", "--hosts-dir", folder, image]).await;
    // runc keeps those of all containerds by their names. The host's network is the machine's.
    let id = format!("lab-{}-{}", std::process::id(), node.machine.ip());
    let said = containerd.ok(&["run", "--rm", "--net-host", image, &id]).await;
    assert_eq!(said.trim(), ROOT_FILE_SYSTEM_WORDS);
}

async fn a_containerd_on_each_machine_pulls_through_its_node() {
    // The first and the second are the trackers; the third is told by them of whoever has something.
    let lab = Lab::new(LabPlan::new(&[3], Links::equal(200))).await;
    let size_bytes = scaled(12, 64) * MIB;
    let name = pushed(&lab, size_bytes).await;
    let registry = format!("http://{}:5000", lab.registry.machine.ip());
    let (first, second) = (&lab.nodes[0], &lab.nodes[2]);
    runs_through(first, &registry, &name).await;
    assert!(first.metric(RECEIVED).await >= size_bytes as f64, "it came through the node");
    // Two layers and a configuration.
    lab.nodes[1].reaches(ANNOUNCEMENTS, 3.0).await;
    runs_through(second, &registry, &name).await;
    let (all, from_origin) = (second.metric(RECEIVED).await, second.metric(FROM_ORIGIN).await);
    assert!(all >= size_bytes as f64, "it came through the node");
    assert!(from_origin <= all / 2.0, "{from_origin} of {all} bytes came from the registry, though the neighbour has them");
    assert_eq!(lab.metric("longshore_edge_wrong_total").await, 0.0);
}
