//! Real clients: docker, podman, skopeo, crane and containerd's ctr push, pull and run.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use longshore_oci::{Algorithm, Digest};
use longshore_tests::{
    Backend, Containerd, Docker, Fault, Layout, Podman, ROOT_FILE_SYSTEM_WORDS, Registry, Rule, Wire, artifact, go_program,
    on_both_backends, run, run_ok, temporary_folder, until,
};
use serde_json::{Value, json};

on_both_backends!(
    docker_pushes_pulls_and_runs,
    podman_pushes_pulls_and_runs,
    containerd_pulls_runs_and_pushes,
    skopeo_copies_there_and_back,
    crane_pushes_pulls_and_lists,
    a_multi_architecture_index_goes_round,
    an_artifact_with_a_subject_is_found,
    a_layer_of_one_gibibyte_goes_round,
    a_hundred_small_layers_go_round,
);
longshore_tests::once!(an_interrupted_docker_push_is_resumed,);

/// Puts an image into a registry with skopeo, the simplest of the clients.
async fn seed(registry: &Registry, layout: &Layout, name: &str) -> String {
    let image = format!("{}/{name}", registry.authority());
    skopeo(&["copy", "--all", "--dest-tls-verify=false", &layout.reference(), &format!("docker://{image}")]).await;
    image
}

async fn skopeo(arguments: &[&str]) -> String {
    // What is copied stays what it is: by itself, skopeo would compress layers on their way.
    let kept: &[&str] =
        if arguments[0] == "copy" && !arguments.contains(&"--format=v2s2") { &["--preserve-digests"] } else { &[] };
    run_ok("skopeo", [&["--insecure-policy"], &arguments[..1], kept, &arguments[1..]].concat()).await
}

async fn crane(arguments: &[&str]) -> String {
    run_ok(go_program("crane"), [&["--insecure"], arguments].concat()).await
}

async fn docker_pushes_pulls_and_runs(backend: Backend) {
    let registry = Registry::start(backend).await;
    let docker = Docker::start().await;
    let layout = Layout::runnable(200, &[100_000, 3_000_000]).await;
    let pulled = seed(&registry, &layout, "clients/docker:seed").await;
    docker.ok(&["pull", &pulled]).await;
    let pushed = format!("{}/clients/docker:pushed", registry.authority());
    docker.ok(&["tag", &pulled, &pushed]).await;
    docker.ok(&["push", &pushed]).await;
    // To another repository, where its layers can be mounted from the first.
    let mounted = format!("{}/clients/mounted:v1", registry.authority());
    docker.ok(&["tag", &pulled, &mounted]).await;
    docker.ok(&["push", &mounted]).await;
    for image in [&pushed, &mounted] {
        docker.ok(&["rmi", "--force", image]).await;
    }
    docker.ok(&["rmi", "--force", &pulled]).await;
    for image in [&pushed, &mounted] {
        assert_eq!(docker.ok(&["run", "--rm", "--network=host", image]).await.trim(), ROOT_FILE_SYSTEM_WORDS);
    }
    registry.client().pull_image("clients/docker", "pushed").await;
    let absent = docker.run(&["pull", &format!("{}/clients/docker:absent", registry.authority())]).await;
    assert!(absent.code != Some(0) && absent.stderr.contains("not found"), "{absent}");
}

async fn podman_pushes_pulls_and_runs(backend: Backend) {
    let registry = Registry::start(backend).await;
    let podman = Podman::new();
    let layout = Layout::runnable(201, &[100_000]).await;
    let image = podman.ok(&["pull", "--quiet", &layout.reference()]).await;
    let name = format!("{}/clients/podman:v1", registry.authority());
    podman.ok(&["push", "--tls-verify=false", image.trim(), &name]).await;
    let other = Podman::new();
    other.ok(&["pull", "--quiet", "--tls-verify=false", &name]).await;
    let said = other.ok(&["run", "--rm", "--network=host", "--ulimit=nofile=512:512", "--ulimit=nproc=512:512", &name]).await;
    assert_eq!(said.trim(), ROOT_FILE_SYSTEM_WORDS);
    registry.client().pull_image("clients/podman", "v1").await;
}

async fn containerd_pulls_runs_and_pushes(backend: Backend) {
    let registry = Registry::start(backend).await;
    let containerd = Containerd::start().await;
    let layout = Layout::runnable(202, &[100_000]).await;
    let pulled = seed(&registry, &layout, "clients/ctr:seed").await;
    containerd.ok(&["images", "pull", "--plain-http", &pulled]).await;
    assert_eq!(containerd.ok(&["run", "--rm", &pulled, "seed"]).await.trim(), ROOT_FILE_SYSTEM_WORDS);
    let pushed = format!("{}/clients/pushed:v1", registry.authority());
    containerd.ok(&["images", "tag", &pulled, &pushed]).await;
    containerd.ok(&["images", "push", "--plain-http", &pushed]).await;
    assert_eq!(registry.client().pull_image("clients/pushed", "v1").await.to_string(), layout.digest);
}

async fn skopeo_copies_there_and_back(backend: Backend) {
    let registry = Registry::start(backend).await;
    let layout = Layout::runnable(203, &[100_000]).await;
    let image = seed(&registry, &layout, "clients/skopeo:v1").await;
    let folder = temporary_folder("copied");
    let source = format!("docker://{image}");
    skopeo(&["copy", "--src-tls-verify=false", &source, &format!("oci:{}:latest", folder.path().display())]).await;
    assert_eq!(files(&layout.path().join("blobs/sha256")), files(&folder.path().join("blobs/sha256")));
    // Docker's own format is another manifest of the same layers.
    let docker = format!("docker://{}/clients/skopeo:docker", registry.authority());
    skopeo(&["copy", "--format=v2s2", "--src-tls-verify=false", "--dest-tls-verify=false", &source, &docker]).await;
    let inspected: Value = serde_json::from_str(&skopeo(&["inspect", "--tls-verify=false", &source]).await).unwrap();
    assert_eq!(inspected["Digest"], layout.digest);
    let tags: Value = serde_json::from_str(
        &skopeo(&["list-tags", "--tls-verify=false", &format!("docker://{}/clients/skopeo", registry.authority())]).await,
    )
    .unwrap();
    assert_eq!(tags["Tags"], json!(["docker", "v1"]));
    skopeo(&["delete", "--tls-verify=false", &docker]).await;
    let gone = run("skopeo", ["inspect", "--tls-verify=false", &docker]).await;
    assert_ne!(gone.code, Some(0), "{gone}");
}

/// The names in a folder; of a layout's blobs, the digests of their content.
fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

async fn crane_pushes_pulls_and_lists(backend: Backend) {
    let registry = Registry::start(backend).await;
    let layout = Layout::runnable(204, &[100_000]).await;
    let image = format!("{}/clients/crane:v1", registry.authority());
    crane(&["push", layout.path().to_str().unwrap(), &image]).await;
    assert_eq!(crane(&["digest", &image]).await.trim(), layout.digest);
    crane(&["tag", &image, "v2"]).await;
    let listed = crane(&["ls", &format!("{}/clients/crane", registry.authority())]).await;
    assert_eq!(listed.lines().collect::<Vec<_>>(), ["v1", "v2"]);
    // A copy within the registry mounts.
    let copy = format!("{}/clients/copy:v1", registry.authority());
    crane(&["copy", &image, &copy]).await;
    let pulled = temporary_folder("pulled");
    crane(&["pull", "--format=oci", &copy, pulled.path().to_str().unwrap()]).await;
    assert_eq!(files(&layout.path().join("blobs/sha256")), files(&pulled.path().join("blobs/sha256")));
    let catalog = crane(&["catalog", registry.authority()]).await;
    assert_eq!(catalog.lines().collect::<Vec<_>>(), ["clients/copy", "clients/crane"]);
    crane(&["delete", &format!("{}/clients/crane@{}", registry.authority(), layout.digest)]).await;
    assert!(crane(&["ls", &format!("{}/clients/crane", registry.authority())]).await.trim().is_empty());
    assert_eq!(registry.client().pull_image("clients/copy", "v1").await.to_string(), layout.digest);
}

async fn a_multi_architecture_index_goes_round(backend: Backend) {
    let registry = Registry::start(backend).await;
    let layout = Layout::multi_architecture(205).await;
    let image = seed(&registry, &layout, "clients/index:v1").await;
    assert_eq!(crane(&["digest", &image]).await.trim(), layout.digest);
    let platforms: Value = serde_json::from_str(&crane(&["manifest", &image]).await).unwrap();
    assert_eq!(platforms["manifests"].as_array().unwrap().len(), 2);
    let folder = temporary_folder("copied");
    let target = format!("oci:{}:latest", folder.path().display());
    skopeo(&["copy", "--all", "--src-tls-verify=false", &format!("docker://{image}"), &target]).await;
    assert_eq!(files(&layout.path().join("blobs/sha256")), files(&folder.path().join("blobs/sha256")));
    // Each client takes what runs here.
    let docker = Docker::start().await;
    assert_eq!(docker.ok(&["run", "--rm", "--network=host", &image]).await.trim(), ROOT_FILE_SYSTEM_WORDS);
    let containerd = Containerd::start().await;
    containerd.ok(&["images", "pull", "--plain-http", &image]).await;
    assert_eq!(containerd.ok(&["run", "--rm", &image, "index"]).await.trim(), ROOT_FILE_SYSTEM_WORDS);
    registry.client().pull_image("clients/index", "v1").await;
}

async fn an_artifact_with_a_subject_is_found(backend: Backend) {
    let registry = Registry::start(backend).await;
    let client = registry.client();
    let layout = Layout::runnable(206, &[]).await;
    let image = seed(&registry, &layout, "clients/artifact:v1").await;
    let manifest = Bytes::from(crane(&["manifest", &image]).await.trim_end().to_owned());
    assert_eq!(Digest::of(Algorithm::Sha256, &manifest).to_string(), layout.digest);
    let subject = longshore_tests::descriptor(longshore_tests::media_type::MANIFEST, &manifest);
    let sbom = artifact("application/vnd.example.sbom", &subject, &json!({}));
    client.push_image("clients/artifact", "sbom", &sbom).await;
    // skopeo carries it to another repository, byte for byte, and there it refers too.
    let (from, to) = (
        format!("docker://{}/clients/artifact", registry.authority()),
        format!("docker://{}/clients/copied", registry.authority()),
    );
    for tag in ["v1", "sbom"] {
        skopeo(&["copy", "--src-tls-verify=false", "--dest-tls-verify=false", &format!("{from}:{tag}"), &format!("{to}:{tag}")])
            .await;
    }
    for repository in ["clients/artifact", "clients/copied"] {
        let found = client.get(&format!("/v2/{repository}/referrers/{}", layout.digest)).await.expect(200).json();
        assert_eq!(found["manifests"][0]["digest"], sbom.digest.as_str(), "{repository}");
    }
}

async fn a_layer_of_one_gibibyte_goes_round(backend: Backend) {
    let registry = Registry::start(backend).await;
    let layout = Layout::runnable(207, &[1 << 30]).await;
    let image = seed(&registry, &layout, "clients/large:v1").await;
    let folder = temporary_folder("copied");
    let began = Instant::now();
    skopeo(&["copy", "--src-tls-verify=false", &format!("docker://{image}"), &format!("oci:{}:latest", folder.path().display())])
        .await;
    // skopeo has checked every digest on the way.
    assert_eq!(files(&layout.path().join("blobs/sha256")), files(&folder.path().join("blobs/sha256")));
    assert!(began.elapsed() < Duration::from_secs(120), "the pull took {:?}", began.elapsed());
}

async fn a_hundred_small_layers_go_round(backend: Backend) {
    let registry = Registry::start(backend).await;
    let sizes: Vec<usize> = (0..99).map(|number| 100 + number * 37).collect();
    let layout = Layout::runnable(208, &sizes).await;
    let image = seed(&registry, &layout, "clients/layers:v1").await;
    let docker = Docker::start().await;
    assert_eq!(docker.ok(&["run", "--rm", "--network=host", &image]).await.trim(), ROOT_FILE_SYSTEM_WORDS);
    let pushed = format!("{}/clients/pushed:v1", registry.authority());
    docker.ok(&["tag", &image, &pushed]).await;
    docker.ok(&["push", &pushed]).await;
    registry.client().pull_image("clients/pushed", "v1").await;
}

/// docker, whose push breaks off on the way to the registry, tries again by itself, and ends with a whole image.
async fn an_interrupted_docker_push_is_resumed() {
    let registry = Registry::start(Backend::Bucket).await;
    let docker = Docker::start().await;
    let layout = Layout::runnable(209, &[20 << 20, 15 << 20]).await;
    let seeded = seed(&registry, &layout, "clients/seed:v1").await;
    docker.ok(&["pull", &seeded]).await;
    // The wire stands between docker and a registry that has none of it yet.
    let other = Registry::start(Backend::Folder).await;
    let wire = Wire::http(other.authority()).await;
    wire.set_rules(
        5,
        vec![Rule::always(Fault::Reset).method("PATCH").times(2), Rule::always(Fault::LoseAnswer).method("PATCH").times(2)],
    );
    let image = format!("{}/clients/resumed:v1", wire.address());
    docker.ok(&["tag", &seeded, &image]).await;
    until("docker to have pushed all of it", Duration::from_secs(180), async || {
        docker.run(&["push", &image]).await.code.filter(|code| *code == 0)
    })
    .await;
    assert!(wire.injected() >= 4, "the push was interrupted {} times", wire.injected());
    other.client().pull_image("clients/resumed", "v1").await;
}
