//! Nodes beside a real containerd: its store is a source, what it runs is pinned, and it is told of the mirror while the node runs.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use longshore_oci::Digest;
use longshore_tests::{
    Containerd, Edge, EdgeUpstream, Image, Layout, ROOT_FILE_SYSTEM_WORDS, Registry, digest_of, longshore, run, run_ok,
    temporary_folder, until,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

longshore_tests::once!(
    what_containerd_holds_is_served_from_there,
    what_containerd_pulled_by_itself_is_shared_where_the_registry_confirms_it,
    wrong_bytes_in_containerds_store_go_nowhere,
    what_runs_is_pinned,
    containerd_is_told_of_the_mirror_while_the_node_runs,
    a_mirror_that_gets_nothing_lets_containerd_go_on,
    what_a_node_holds_comes_in_time_though_its_registry_says_nothing,
    neighbours_have_it_from_containerds_store_while_the_registry_is_away,
);

pub const LIMIT: Duration = Duration::from_secs(60);
pub const MIB: usize = 1 << 20;
pub const HOST: &str = "registry.example";
pub const FROM_ORIGIN: &str = "longshore_swarm_received_bytes_total{from=\"origin\"}";
pub const RECEIVED: &str = "longshore_swarm_received_bytes_total{";
pub const CONTENT: &str = "longshore_runtime_content";
pub const READ: &str = "longshore_runtime_read_bytes_total";
pub const WRONG: &str = "longshore_runtime_wrong_total";
const SHARED: &str = "longshore_swarm_shared";

fn upstream(registry: &Registry) -> EdgeUpstream {
    EdgeUpstream::longshore(registry).set("hosts", vec![HOST])
}

/// A node beside a containerd.
pub async fn node_of(registry: &Registry, containerd: &Containerd, more: &[(&str, Value)]) -> Edge {
    let socket = containerd.socket().display().to_string();
    let values =
        [("swarm.zone", "a".into()), ("containerd.address", socket.into()), ("containerd.poll_interval", "200ms".into())];
    Edge::node(&[upstream(registry)], &[&values, more].concat()).await
}

/// A node that knows another, and may take from the registry a burst of four pieces and then one a second.
pub async fn slow_node_beside(registry: &Registry, other: &Edge) -> Edge {
    let values =
        [("swarm.zone", "a".into()), ("swarm.origin_rate", "1MiB".into()), ("swarm.join", vec![other.authority()].into())];
    let node = Edge::node(&[upstream(registry)], &values).await;
    until("the nodes to meet", LIMIT, async || (other.metric("longshore_swarm_connections").await > 0.0).then_some(())).await;
    node
}

/// An image in the registry.
pub async fn image(registry: &Registry, seed: u64, sizes: &[usize]) -> Image {
    let image = Image::random(seed, sizes);
    registry.client().push_image("team/app", "v1", &image).await;
    image
}

/// Has containerd fetch an image through the mirror alone, without unpacking it.
pub async fn fetch(containerd: &Containerd, mirror: &Edge) {
    let hosts = temporary_folder("hosts");
    Containerd::hosts_toml(hosts.path(), HOST, "http://127.0.0.1:1", mirror.url());
    let folder = hosts.path().to_str().expect("our folders' names are ASCII");
    containerd.ok(&["content", "fetch", "--hosts-dir", folder, &format!("{HOST}/team/app:v1")]).await;
}

/// Waits until a node knows that containerd has so much.
pub async fn knows(node: &Edge, content: f64) {
    until("the node to look", LIMIT, async || (node.metric(CONTENT).await >= content).then_some(())).await;
}

/// Empties a node's cache of these.
pub async fn evict(node: &Edge, blobs: &[Digest]) {
    for blob in blobs {
        run_ok(longshore(), ["edge", "evict", blob.as_str(), "--at", node.url()]).await;
        assert!(!node.blob_file(blob).exists());
    }
}

/// Those of its configuration and layers.
pub fn digests(image: &Image) -> Vec<Digest> {
    image.blobs.iter().map(|blob| digest_of(blob)).collect()
}

/// Another node pulls the image, and has most of it from its neighbour.
pub async fn comes_from_the_neighbour(registry: &Registry, first: &Edge, image: &Image) {
    let second = slow_node_beside(registry, first).await;
    assert_eq!(comes_from_the_neighbour_by(&second, first, "team/app").await, image.digest);
}

/// The same by this other node, of a repository's tag `v1`.
pub async fn comes_from_the_neighbour_by(second: &Edge, first: &Edge, repository: &str) -> Digest {
    let digest = second.client().pull_image(repository, "v1").await;
    let (all, origin) = (second.metric(RECEIVED).await, second.metric(FROM_ORIGIN).await);
    assert!(origin <= all / 2.0, "{origin} of {all} bytes came from the registry");
    assert!(first.metric(READ).await >= (all - origin) * 0.9, "they came from containerd's store");
    assert_eq!(second.metric(Edge::WRONG).await, 0.0);
    digest
}

async fn what_containerd_holds_is_served_from_there() {
    let registry = Registry::embedded().await;
    let image = image(&registry, 1, &[20 * MIB, 3 * MIB + 5]).await;
    let containerd = Containerd::start().await;
    let mut first = node_of(&registry, &containerd, &[]).await;
    fetch(&containerd, &first).await;
    knows(&first, 4.0).await;
    evict(&first, &digests(&image)).await;
    comes_from_the_neighbour(&registry, &first, &image).await;
    // A node that begins again finds it there, and clients of its own have it from there, too.
    first.restart_gently().await;
    comes_from_the_neighbour(&registry, &first, &image).await;
    let before = first.metric(READ).await;
    first.client().pull_image("team/app", "v1").await;
    assert!(first.metric(READ).await - before >= (20 * MIB) as f64);
    let origin = first.metric(FROM_ORIGIN).await;
    assert!(origin == 0.0, "{origin} bytes came from the registry");
}

async fn what_containerd_pulled_by_itself_is_shared_where_the_registry_confirms_it() {
    let registry = Registry::embedded().await;
    let image = image(&registry, 2, &[12 * MIB]).await;
    let containerd = Containerd::start().await;
    // What is imported comes from nowhere.
    let own = Image::random(3, &[MIB]);
    let (folder, blob) = (temporary_folder("blob"), &own.blobs[1]);
    let file = folder.path().join("blob");
    std::fs::write(&file, blob).expect("the folder is ours");
    let digest = digest_of(blob);
    let ingest = format!(
        "ctr --address {} content ingest --expected-digest {digest} ours < {}",
        containerd.socket().display(),
        file.display()
    );
    run_ok("sh", ["-c", &ingest]).await;
    // That it came from a repository is what containerd says; the registry has it in none. Nothing else there keeps it.
    let labels = ["containerd.io/distribution.source.127.0.0.1=team/app", "containerd.io/gc.root=now"];
    containerd.ok(&["content", "label", digest.as_str(), labels[0], labels[1]]).await;
    containerd.ok(&["content", "fetch", "--plain-http", &format!("{}/team/app:v1", registry.authority())]).await;
    let first = node_of(&registry, &containerd, &[]).await;
    knows(&first, 4.0).await;
    until("the image's blobs to be shared", LIMIT, async || (first.metric(SHARED).await >= 2.0).then_some(())).await;
    comes_from_the_neighbour(&registry, &first, &image).await;
    assert_eq!(first.metric(SHARED).await, 2.0, "a layer and a configuration, and nothing that the registry does not confirm");
}

async fn wrong_bytes_in_containerds_store_go_nowhere() {
    let registry = Registry::embedded().await;
    let image = image(&registry, 4, &[8 * MIB]).await;
    let containerd = Containerd::start().await;
    let first = node_of(&registry, &containerd, &[]).await;
    fetch(&containerd, &first).await;
    knows(&first, 3.0).await;
    evict(&first, &digests(&image)).await;
    let layer = digest_of(&image.blobs[1]);
    let mut bytes = image.blobs[1].to_vec();
    for piece in bytes.chunks_mut(MIB) {
        piece[7] ^= 1;
    }
    let file = containerd.content_file(&layer);
    run_ok("chmod", ["u+w".as_ref(), file.as_os_str()]).await;
    std::fs::write(&file, &bytes).expect("tests run as root");
    let second = slow_node_beside(&registry, &first).await;
    assert_eq!(second.client().pull_image("team/app", "v1").await, image.digest);
    assert_eq!(second.metric("longshore_swarm_banned_total").await, 0.0, "nothing wrong was sent");
    first.counts(WRONG, 0.0).await;
    first.logs(&["containerd's store holds other bytes", layer.as_str()]).await;
    assert_eq!(first.client().pull_image("team/app", "v1").await, image.digest);
    assert_eq!(first.metric(WRONG).await, 1.0);
}

async fn seeded(registry: &Registry, seed: u64) -> Layout {
    let layout = Layout::runnable(seed, &[3 * MIB]).await;
    let image = format!("docker://{}/team/app:v1", registry.authority());
    let copy = ["--insecure-policy", "copy", "--all", "--preserve-digests", "--dest-tls-verify=false"];
    run_ok("skopeo", [&copy[..], &[&layout.reference(), &image]].concat()).await;
    layout
}

/// How many blobs and manifests are pinned as what runs: by what the node counts, and by what it lists.
async fn pinned(node: &Edge) -> (f64, usize) {
    let layers = node.json("layers", &[]).await;
    let is_pinned = |layer: &Value| layer["pinnedBy"].to_string().contains("runtime");
    let listed = layers.as_array().expect("it is a list").iter().filter(|layer| is_pinned(layer)).count();
    (node.metric("longshore_runtime_pinned").await, listed)
}

async fn what_runs_is_pinned() {
    let registry = Registry::embedded().await;
    seeded(&registry, 6).await;
    let mut containerd = Containerd::start().await;
    let node = node_of(&registry, &containerd, &[]).await;
    let (hosts, name) = (temporary_folder("hosts"), format!("{HOST}/team/app:v1"));
    Containerd::hosts_toml(hosts.path(), HOST, "http://127.0.0.1:1", node.url());
    let folder = hosts.path().to_str().expect("our folders' names are ASCII");
    containerd.ok(&["images", "pull", "--hosts-dir", folder, &name]).await;
    knows(&node, 4.0).await;
    assert_eq!(pinned(&node).await, (0.0, 0));
    // runc keeps those of all containerds by their names.
    let [first, again] = ["first", "again"].map(|id| format!("{id}-{}", std::process::id()));
    containerd.ok(&["run", "--detach", "--null-io", &name, &first, "/hello", "stay"]).await;
    let all = async || (pinned(&node).await == (4.0, 4)).then_some(());
    until("what runs to be pinned", LIMIT, all).await;
    let layer = containerd.ok(&["content", "ls", "--quiet"]).await;
    let refused = async |digest: &str| run(longshore(), ["edge", "evict", digest, "--at", node.url()]).await;
    let mut held = 0;
    for digest in layer.lines().map(str::trim).filter(|line| line.starts_with("sha256:")) {
        let output = refused(digest).await;
        held += u32::from(output.code != Some(0) && output.stderr.contains("runtime"));
    }
    assert_eq!(held, 4, "a manifest, a configuration and two layers");
    containerd.ok(&["tasks", "kill", "--signal", "SIGKILL", &first]).await;
    until("what ended to be let go", LIMIT, async || (pinned(&node).await == (0.0, 0)).then_some(())).await;
    containerd.ok(&["tasks", "delete", "--force", &first]).await;
    containerd.ok(&["run", "--detach", "--null-io", &name, &again, "/hello", "stay"]).await;
    until("what runs to be pinned", LIMIT, all).await;
    containerd.ok(&["tasks", "delete", "--force", &again]).await;
    containerd.stop().await;
    node.logs(&["containerd does not say what it holds and runs"]).await;
    let told = node.log().matches("containerd does not say what it holds and runs").count();
    assert_eq!(told, 1, "it is said once:\n{}", node.log());
}

/// The settings of a mirror's entry for containerd in a folder. A section in brackets is one of a list.
fn mirror(folder: &Path) -> [(&'static str, Value); 3] {
    let path = folder.to_str().expect("our folders' names are ASCII");
    [("[mirror].runtime", "containerd".into()), ("[mirror].registries", vec![HOST].into()), ("[mirror].path", path.into())]
}

async fn containerd_is_told_of_the_mirror_while_the_node_runs() {
    let registry = Registry::embedded().await;
    let image = image(&registry, 7, &[2 * MIB]).await;
    let (hosts, containerd) = (temporary_folder("hosts"), Containerd::start().await);
    let file = hosts.path().join(HOST).join("hosts.toml");
    let folder = hosts.path().to_str().expect("our folders' names are ASCII").to_owned();
    // containerd wants a host where there is a file.
    let by_hand = format!("server = \"{0}\"\n\n[host.\"{0}\"]\ncapabilities = [\"pull\", \"resolve\"]\n", registry.url());
    std::fs::create_dir(hosts.path().join(HOST)).expect("the folder is ours");
    std::fs::write(&file, &by_hand).expect("the folder is ours");
    let installed = || std::fs::read_to_string(&file).expect("it stays");
    let mut node = Edge::node(&[upstream(&registry)], &mirror(hosts.path())).await;
    let url = node.url().to_owned();
    until("the entry to be there", LIMIT, async || installed().contains(&url).then_some(())).await;
    let fetch = async || {
        let begun = Instant::now();
        containerd.ok(&["content", "fetch", "--hosts-dir", &folder, &format!("{HOST}/team/app:v1")]).await;
        containerd.remove_content(&digests(&image)).await;
        begun.elapsed()
    };
    fetch().await;
    let served = node.metric("longshore_edge_served_bytes_total").await;
    assert!(served >= (2 * MIB) as f64, "it came through the node");
    // Killed, it leaves the entry, and containerd finds nobody there.
    node.kill9();
    assert!(installed().contains(&url));
    assert!(fetch().await < Duration::from_secs(10));
    // The next start is elsewhere.
    node.restart_with(&[]).await;
    fetch().await;
    node.sigterm();
    assert!(node.ended(LIMIT).await.success());
    assert_eq!(installed(), by_hand);
    fetch().await;
}

/// Has a registry say nothing any more, until it is told to go on.
fn freeze(registry: &Registry) -> Pid {
    let pid = i32::try_from(registry.pid()).ok().and_then(Pid::from_raw).expect("it is a process");
    kill_process(pid, Signal::STOP).expect("it is ours");
    pid
}

async fn what_a_node_holds_comes_in_time_though_its_registry_says_nothing() {
    let registry = Registry::embedded().await;
    let image = image(&registry, 9, &[2 * MIB, MIB]).await;
    let containerd = Containerd::start().await;
    let settings =
        [("requests.first_byte_timeout", "2s".into()), ("cache.grant_ttl", "1s".into()), ("cache.tag_ttl", "1s".into())];
    let node = Edge::node(&[upstream(&registry)], &settings).await;
    fetch(&containerd, &node).await;
    containerd.remove_content(&digests(&image)).await;
    // Rights and tags are to be asked for anew.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let (pid, begun) = (freeze(&registry), Instant::now());
    // There is nobody but the node.
    fetch(&containerd, &node).await;
    let took = begun.elapsed();
    kill_process(pid, Signal::CONT).expect("it is ours");
    assert!(took < Duration::from_secs(15), "containerd was held up for {took:?}");
    node.logs(&["does not say what a tag names", "team/app", "v1"]).await;
}

async fn neighbours_have_it_from_containerds_store_while_the_registry_is_away() {
    let mut registry = Registry::embedded().await;
    let (image, known) = (image(&registry, 10, &[6 * MIB]).await, Image::random(11, &[1000]));
    registry.client().push_image("team/other", "v1", &known).await;
    let containerd = Containerd::start().await;
    let first = node_of(&registry, &containerd, &[]).await;
    let second = slow_node_beside(&registry, &first).await;
    fetch(&containerd, &first).await;
    knows(&first, 3.0).await;
    evict(&first, &digests(&image)).await;
    // The second knows the registry, and nothing of the image.
    assert_eq!(second.client().pull_image("team/other", "v1").await, known.digest);
    registry.kill9();
    let before = second.metric(FROM_ORIGIN).await;
    assert_eq!(second.client().pull_image("team/app", "v1").await, image.digest);
    assert_eq!(second.metric(FROM_ORIGIN).await, before);
    assert!(first.metric(READ).await >= (6 * MIB) as f64);
}

async fn a_mirror_that_gets_nothing_lets_containerd_go_on() {
    let (registry, other) = (Registry::embedded().await, Registry::embedded().await);
    let image = image(&registry, 8, &[2 * MIB, MIB]).await;
    other.client().push_image("team/app", "v1", &image).await;
    let (hosts, containerd) = (temporary_folder("hosts"), Containerd::start().await);
    let node = Edge::node(&[upstream(&registry)], &[("requests.first_byte_timeout", "1s".into())]).await;
    Containerd::hosts_toml(hosts.path(), HOST, other.url(), node.url());
    let folder = hosts.path().to_str().expect("our folders' names are ASCII");
    // It has the manifest, and nothing else.
    node.client().get("/v2/team/app/manifests/v1").await.expect(200);
    let pid = freeze(&registry);
    let begun = Instant::now();
    let fetched = containerd.ctr(&["content", "fetch", "--hosts-dir", folder, &format!("{HOST}/team/app:v1")]).await;
    let took = begun.elapsed();
    kill_process(pid, Signal::CONT).expect("it is ours");
    assert!(fetched.code == Some(0), "{fetched}");
    // What is asked for one after another: the manifest, which may be known, and the blobs at once.
    assert!(took < Duration::from_secs(10), "containerd was held up for {took:?}");
    assert!(node.metric("status=\"503\"").await >= 1.0);
    assert_eq!(node.client().pull_image("team/app", "v1").await, image.digest, "{ROOT_FILE_SYSTEM_WORDS}");
}
