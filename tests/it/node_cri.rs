//! A node beside a containerd that Kubernetes could run pods with: what is asked for over CRI comes through the node, what runs in the
//! namespace `k8s.io` is pinned there, and neighbours are served from that namespace's content.

use longshore_oci::Digest;
use longshore_tests::{
    Containerd, Edge, EdgeUpstream, Layout, ROOT_FILE_SYSTEM_WORDS, Registry, digest_of, longshore, run, run_ok,
    temporary_folder, until,
};
use serde_json::{Value, json};

use crate::node_containerd::{LIMIT, MIB, comes_from_the_neighbour_by, evict, slow_node_beside};

longshore_tests::once!(what_a_kubelet_asks_for_comes_through_the_node_and_what_runs_is_pinned);

/// A registry that is nowhere: what comes of it has come through the node.
pub const HOST: &str = "registry.example";
const PINNED: &str = "longshore_runtime_pinned";

/// A pod in the network of the machine.
fn pod(logs: &std::path::Path) -> Value {
    json!({
        "metadata": {"name": "pod", "namespace": "default", "uid": "pod-of-a-test", "attempt": 1},
        "log_directory": logs,
        "linux": {"security_context": {"namespace_options": {"network": 2}}},
    })
}

fn container(image: &str) -> Value {
    json!({
        "metadata": {"name": "app", "attempt": 1}, "image": {"image": image}, "args": ["stay"], "log_path": "app.log", "linux": {},
    })
}

/// Pushes an image, from a folder; the digests of its blobs and of its manifest.
pub async fn pushed(registry: &Registry, layout: &Layout, repository: &str) -> Vec<Digest> {
    let image = format!("docker://{}/{repository}:v1", registry.authority());
    let copy = ["--insecure-policy", "copy", "--all", "--preserve-digests", "--dest-tls-verify=false"];
    run_ok("skopeo", [&copy[..], &[&layout.reference(), &image]].concat()).await;
    let manifest = registry.client().get_manifest(repository, "v1").await.expect(200);
    let named = manifest.json();
    let digest = |descriptor: &Value| descriptor["digest"].as_str().expect("it has one").parse().expect("it is one");
    let layers = named["layers"].as_array().expect("an image has layers").iter().map(digest);
    layers.chain([digest(&named["config"]), digest_of(&manifest.body)]).collect()
}

/// Has containerd pull through the node, as an operator does.
pub async fn install(containerd: &mut Containerd, node: &Edge, certs: &str) {
    let config = containerd.config_file();
    let config = config.to_str().expect("our folders' names are ASCII");
    let what = ["node", "mirror", "install", "--runtime", "containerd", "--for", HOST, "--at", node.url()];
    run_ok(longshore(), [&what[..], &["--path", certs, "--containerd-config", config, "--edit-config"]].concat()).await;
    containerd.restart().await;
}

async fn pins(node: &Edge, count: f64) {
    until(&format!("{count} blobs to be pinned"), LIMIT, async || (node.metric(PINNED).await == count).then_some(())).await;
}

/// How many of these the node does not let go, as they run.
async fn held(node: &Edge, digests: &[Digest]) -> usize {
    let mut held = 0;
    for digest in digests {
        let output = run(longshore(), ["edge", "evict", digest.as_str(), "--at", node.url()]).await;
        held += usize::from(output.code != Some(0) && output.stderr.contains("runtime"));
    }
    held
}

async fn what_a_kubelet_asks_for_comes_through_the_node_and_what_runs_is_pinned() {
    let registry = Registry::embedded().await;
    let app = pushed(&registry, &Layout::runnable(61, &[6 * MIB]).await, "team/app").await;
    let sandbox = pushed(&registry, &Layout::sandbox().await, "team/pause").await;
    let mut containerd = Containerd::with_cri(&format!("{HOST}/team/pause:v1")).await;
    let upstream = EdgeUpstream::longshore(&registry).set("hosts", vec![HOST]);
    let socket = containerd.socket().display().to_string();
    let values =
        [("swarm.zone", "a".into()), ("containerd.address", socket.into()), ("containerd.poll_interval", "200ms".into())];
    let node = Edge::node(&[upstream], &values).await;
    let (certs, files) = (temporary_folder("certs"), temporary_folder("pod"));
    install(&mut containerd, &node, certs.path().to_str().expect("our folders' names are ASCII")).await;

    // By its image service.
    let name = format!("{HOST}/team/app:v1");
    containerd.crictl(&["pull", &name]).await;
    let served = node.metric("longshore_edge_served_bytes_total").await;
    assert!(served >= (6 * MIB) as f64, "it came through the node");
    // By its runtime service, which pulls the sandbox's image itself.
    let file = |name: &str, content: &Value| {
        let path = files.path().join(name);
        std::fs::write(&path, content.to_string()).expect("the folder is ours");
        path.to_str().expect("our folders' names are ASCII").to_owned()
    };
    let (pod_file, container_file) = (file("pod.json", &pod(files.path())), file("container.json", &container(&name)));
    let pod = containerd.crictl(&["runp", &pod_file]).await;
    let id = containerd.crictl(&["create", &pod, &container_file, &pod_file]).await;
    containerd.crictl(&["start", &id]).await;
    // Both have the program's layer, and each is pinned by its own name.
    pins(&node, (app.len() + sandbox.len()) as f64).await;
    assert_eq!(held(&node, &app).await, app.len(), "layers, configuration and manifest");
    assert_eq!(held(&node, &sandbox).await, sandbox.len(), "what a pod is made of runs, too");
    assert!(containerd.crictl(&["ps", "--quiet", "--state", "Running"]).await.contains(&id));

    containerd.crictl(&["stop", "--timeout", "0", &id]).await;
    pins(&node, sandbox.len() as f64).await;
    containerd.crictl(&["stopp", &pod]).await;
    pins(&node, 0.0).await;
    let log = std::fs::read_to_string(files.path().join("app.log")).expect("containerd has written it");
    assert!(log.contains(ROOT_FILE_SYSTEM_WORDS), "{log}");
    containerd.crictl(&["rmp", "--force", &pod]).await;

    // Nothing but Kubernetes' own content has it now.
    let all = containerd.ctr(&["--namespace", Containerd::KUBERNETES, "content", "ls", "--quiet"]).await.stdout;
    assert!(app.iter().all(|digest| all.contains(digest.as_str())), "{all}");
    evict(&node, &app).await;
    let second = slow_node_beside(&registry, &node).await;
    comes_from_the_neighbour_by(&second, &node, "team/app").await;
}
