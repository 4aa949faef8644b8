//! Real clients through an edge: docker, by name and as its mirror, containerd by hosts.toml, podman by registries.conf, skopeo, crane.

use longshore_tests::{
    Backend, Containerd, Docker, Edge, EdgeUpstream, Layout, Podman, ROOT_FILE_SYSTEM_WORDS, Registry, Upstream, go_program,
    run_ok, temporary_folder,
};

longshore_tests::once!(
    docker_pulls_by_name,
    docker_pulls_through_its_mirror,
    containerd_pulls_by_hosts_toml,
    podman_pulls_by_registries_conf,
    skopeo_copies_by_each_name,
    crane_pulls_and_asks,
    an_index_goes_through,
    an_upstream_is_told_by_name_in_each_way,
);

/// A registry with an image in it, put there with skopeo.
async fn seeded(seed: u64, repository: &str) -> (Registry, Layout) {
    let registry = Registry::start(Backend::Folder).await;
    let layout = Layout::runnable(seed, &[100_000, 3_000_000]).await;
    seed_into(&registry, &layout, repository).await;
    (registry, layout)
}

async fn seed_into(registry: &Registry, layout: &Layout, repository: &str) {
    let image = format!("docker://{}/{repository}:v1", registry.authority());
    skopeo(&["copy", "--all", "--preserve-digests", "--dest-tls-verify=false", &layout.reference(), &image]).await;
}

async fn skopeo(arguments: &[&str]) -> String {
    run_ok("skopeo", [&["--insecure-policy"], arguments].concat()).await
}

async fn docker_pulls_by_name() {
    let (registry, _) = seeded(1800, "clients/docker").await;
    let edge = Edge::start(&[EdgeUpstream::longshore(&registry)]).await;
    let image = format!("{}/clients/docker:v1", edge.authority());
    for _ in 0..2 {
        let docker = Docker::start().await;
        assert_eq!(docker.ok(&["run", "--rm", "--network=host", &image]).await.trim(), ROOT_FILE_SYSTEM_WORDS);
        let absent = docker.run(&["pull", &format!("{}/clients/docker:absent", edge.authority())]).await;
        assert!(absent.code != Some(0) && absent.stderr.contains("not found"), "{absent}");
        let pushed = format!("{}/clients/pushed:v1", edge.authority());
        docker.ok(&["tag", &image, &pushed]).await;
        assert!(docker.run(&["push", &pushed]).await.code != Some(0), "an edge takes no pushes");
    }
}

/// Docker asks its mirrors for what is Docker Hub's, without saying whose it is.
async fn docker_pulls_through_its_mirror() {
    let (registry, _) = seeded(1801, "library/longshore-tests-hello").await;
    let edge = Edge::start(&[EdgeUpstream::new("docker.io", registry.url())]).await;
    let docker = Docker::with_mirror(edge.url()).await;
    docker.ok(&["pull", "longshore-tests-hello:v1"]).await;
    assert_eq!(docker.ok(&["run", "--rm", "--network=host", "longshore-tests-hello:v1"]).await.trim(), ROOT_FILE_SYSTEM_WORDS);
    assert!(edge.metric("longshore_edge_served_bytes_total").await >= 3_000_000.0, "it came through the edge");
}

/// "containerd mirrors add `?ns=docker.io`", and the same of any other registry.
async fn containerd_pulls_by_hosts_toml() {
    let (registry, _) = seeded(1802, "library/hello").await;
    let (other, _) = seeded(1803, "tools/hello").await;
    let upstreams = [
        EdgeUpstream::new("docker.io", registry.url()),
        EdgeUpstream::new("tools", other.url()).set("hosts", vec!["registry.example"]),
    ];
    let edge = Edge::start(&upstreams).await;
    let hosts = temporary_folder("hosts");
    for host in ["docker.io", "registry.example", "unknown.example"] {
        std::fs::create_dir(hosts.path().join(host)).expect("the folder is ours");
        // Nobody listens where the registry itself would be asked.
        let toml =
            format!("server = \"http://127.0.0.1:1\"\n[host.\"{}\"]\ncapabilities = [\"pull\", \"resolve\"]\n", edge.url());
        std::fs::write(hosts.path().join(host).join("hosts.toml"), toml).expect("the folder is ours");
    }
    let containerd = Containerd::start().await;
    let folder = hosts.path().to_str().expect("our folders' names are ASCII");
    for (number, image) in ["docker.io/library/hello:v1", "registry.example/tools/hello:v1"].into_iter().enumerate() {
        containerd.ok(&["images", "pull", "--hosts-dir", folder, image]).await;
        assert_eq!(containerd.ok(&["run", "--rm", image, &format!("c{number}")]).await.trim(), ROOT_FILE_SYSTEM_WORDS);
    }
    let unknown = containerd.ctr(&["images", "pull", "--hosts-dir", folder, "unknown.example/tools/hello:v1"]).await;
    assert!(unknown.code != Some(0), "nobody speaks for it: {unknown}");
}

async fn podman_pulls_by_registries_conf() {
    let (registry, _) = seeded(1804, "tools/hello").await;
    let edge = Edge::start(&[EdgeUpstream::new("registry.example", registry.url())]).await;
    let registries = format!(
        "[[registry]]\nprefix = \"registry.example\"\nlocation = \"127.0.0.1:1\"\ninsecure = true\n\
         [[registry.mirror]]\nlocation = \"{}/registry.example\"\ninsecure = true\n",
        edge.authority()
    );
    let podman = Podman::with_registries(&registries);
    podman.ok(&["pull", "--quiet", "registry.example/tools/hello:v1"]).await;
    let run = ["run", "--rm", "--network=host", "--ulimit=nofile=512:512", "--ulimit=nproc=512:512"];
    let said = podman.ok(&[&run[..], &["registry.example/tools/hello:v1"]].concat()).await;
    assert_eq!(said.trim(), ROOT_FILE_SYSTEM_WORDS);
    let direct = Podman::new();
    direct.ok(&["pull", "--quiet", "--tls-verify=false", &format!("{}/tools/hello:v1", edge.authority())]).await;
}

async fn skopeo_copies_by_each_name() {
    let (registry, layout) = seeded(1805, "tools/hello").await;
    let edge = Edge::start(&[EdgeUpstream::new("registry.example", registry.url()).set("path_prefix", "mirror/ours")]).await;
    for name in ["tools/hello", "registry.example/tools/hello", "mirror/ours/tools/hello"] {
        let folder = temporary_folder("copied");
        let image = format!("docker://{}/{name}:v1", edge.authority());
        let to = format!("oci:{}:latest", folder.path().display());
        skopeo(&["copy", "--preserve-digests", "--src-tls-verify=false", &image, &to]).await;
        assert_eq!(files(&folder), files_at(&layout.path().join("blobs/sha256")), "{name}");
    }
}

fn files(folder: &tempfile::TempDir) -> Vec<String> {
    files_at(&folder.path().join("blobs/sha256"))
}

fn files_at(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("it is a layout");
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

async fn crane_pulls_and_asks() {
    let (registry, layout) = seeded(1806, "tools/hello").await;
    let edge = Edge::start(&[EdgeUpstream::longshore(&registry)]).await;
    let image = format!("{}/tools/hello:v1", edge.authority());
    let crane = async |arguments: &[&str]| run_ok(go_program("crane"), [&["--insecure"], arguments].concat()).await;
    assert_eq!(crane(&["digest", &image]).await.trim(), layout.digest);
    let folder = temporary_folder("crane");
    let tar = folder.path().join("image.tar").display().to_string();
    for _ in 0..2 {
        crane(&["pull", &image, &tar]).await;
        crane(&["validate", "--fast", "--remote", &image]).await;
    }
    assert_eq!(crane(&["ls", &format!("{}/tools/hello", edge.authority())]).await.trim(), "v1");
}

async fn an_index_goes_through() {
    let registry = Registry::start(Backend::Folder).await;
    let layout = Layout::multi_architecture(1807).await;
    seed_into(&registry, &layout, "tools/index").await;
    let edge = Edge::start(&[EdgeUpstream::longshore(&registry)]).await;
    let image = format!("{}/tools/index:v1", edge.authority());
    let containerd = Containerd::start().await;
    containerd.ok(&["images", "pull", "--plain-http", &image]).await;
    assert_eq!(containerd.ok(&["run", "--rm", &image, "index"]).await.trim(), ROOT_FILE_SYSTEM_WORDS);
    let folder = temporary_folder("copied");
    let to = format!("oci:{}:latest", folder.path().display());
    skopeo(&["copy", "--all", "--preserve-digests", "--src-tls-verify=false", &format!("docker://{image}"), &to]).await;
    assert_eq!(files(&folder), files_at(&layout.path().join("blobs/sha256")));
}

/// By `ns`, by `OCI-Namespace`, by the host that was asked for, and by the beginning of the path; and quickly not at all.
async fn an_upstream_is_told_by_name_in_each_way() {
    use http::Method;
    use longshore_tests::{Answer, Image};

    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let images = [Image::random(1810, &[10]), Image::random(1811, &[10])];
    first.hold("library/alpine", "v1", &images[0]);
    second.hold("library/alpine", "v1", &images[1]);
    second.hold("alpine", "v1", &images[0]);
    let upstreams = [
        EdgeUpstream::new("docker.io", &first.url()),
        EdgeUpstream::new("second", &second.url())
            .set("hosts", vec!["second.example", "mirror.example:5000"])
            .set("path_prefix", "two"),
    ];
    let edge = Edge::start(&upstreams).await;
    let get = async |path: &str, header: Option<(&'static str, &str)>| {
        let request = edge.client().request(Method::GET, path);
        Answer::to(match header {
            Some((name, value)) => request.header(name, value),
            None => request,
        })
        .await
    };
    let cases = [
        ("/v2/library/alpine/manifests/v1", None, 0),
        ("/v2/library/alpine/manifests/v1?ns=docker.io", None, 0),
        ("/v2/alpine/manifests/v1?ns=docker.io", None, 0),
        ("/v2/docker.io/alpine/manifests/v1", None, 0),
        ("/v2/docker.io/library/alpine/manifests/v1", None, 0),
        ("/v2/library/alpine/manifests/v1?ns=second.example", None, 1),
        ("/v2/library/alpine/manifests/v1", Some(("oci-namespace", "second.example")), 1),
        ("/v2/library/alpine/manifests/v1", Some(("host", "second.example")), 1),
        ("/v2/library/alpine/manifests/v1", Some(("host", "mirror.example:5000")), 1),
        ("/v2/second/library/alpine/manifests/v1", None, 1),
        ("/v2/two/library/alpine/manifests/v1", None, 1),
        // Docker Hub alone has a library that is not said.
        ("/v2/second/alpine/manifests/v1", None, 0),
    ];
    for (path, header, number) in cases {
        let answer = get(path, header).await.expect(200);
        assert_eq!(answer.body, images[number].manifest, "{path} {header:?}");
    }
    first.take_asked();
    second.take_asked();
    for (path, header) in [
        ("/v2/library/alpine/manifests/v1?ns=third.example", None),
        ("/v2/library/alpine/manifests/v1", Some(("oci-namespace", "third.example"))),
    ] {
        let refused = get(path, header).await.expect_error(404, "NAME_UNKNOWN");
        assert!(String::from_utf8_lossy(&refused.body).contains("third.example"), "{refused:?}");
    }
    assert!(first.take_asked().is_empty() && second.take_asked().is_empty(), "nobody is asked");
}
