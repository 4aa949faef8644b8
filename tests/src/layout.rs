use std::path::{Path, PathBuf};

use longshore_oci::{Algorithm, Digest};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::{Image, Random, media_type, run_folder, run_ok, temporary_folder, workload};

/// What a container of a runnable image prints.
pub const ROOT_FILE_SYSTEM_WORDS: &str = "longshore says hello";

/// An image as a folder in OCI's image layout, for the clients to push from.
pub struct Layout {
    folder: TempDir,
    /// The digest of what it holds under the tag.
    pub digest: String,
}

impl Layout {
    /// The tag of the one image in a layout.
    pub const TAG: &'static str = "latest";

    /// An image that runs: one static program that prints [`ROOT_FILE_SYSTEM_WORDS`], and as many more layers as given, each of
    /// this many bytes.
    pub async fn runnable(seed: u64, more_layers_bytes: &[usize]) -> Self {
        let layers = Self::layers(seed, more_layers_bytes).await;
        Self::of(&Self::image("amd64", layers), &[])
    }

    /// An image that pods are made of: the same program, which stays.
    pub async fn sandbox() -> Self {
        let layers = Self::layers(0, &[]).await;
        Self::of(&Self::running("amd64", layers, &["/hello", "stay"]), &[])
    }

    /// An image for pods: the program of `workload.rs`, and as many more layers as given, each of this many bytes.
    pub async fn workload(seed: u64, more_layers_bytes: &[usize]) -> Self {
        let mut layers = Self::layers(seed, more_layers_bytes).await;
        let root = temporary_folder("root");
        std::fs::copy(workload::program().await, root.path().join("workload")).expect("the folder is ours");
        layers.push(archive(root.path()).await);
        Self::of(&Self::running("amd64", layers, &["/workload"]), &[])
    }

    /// An index of two runnable images: one for this machine, and one of an architecture that it has not.
    pub async fn multi_architecture(seed: u64) -> Self {
        let here = Self::image("amd64", Self::layers(seed, &[1000]).await);
        let there = Self::image("s390x", Self::layers(seed, &[2000]).await);
        let index = crate::image_index(&[("amd64", &here), ("s390x", &there)]);
        Self::of(&index, &[here, there])
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder and tag in one, as skopeo and podman name it.
    pub fn reference(&self) -> String {
        format!("oci:{}:{}", self.path().display(), Self::TAG)
    }

    async fn layers(seed: u64, more_layers_bytes: &[usize]) -> Vec<Vec<u8>> {
        let root = temporary_folder("root");
        std::fs::copy(hello().await, root.path().join("hello")).expect("the folder is ours");
        let mut layers = vec![archive(root.path()).await];
        let mut random = Random::seeded(seed);
        for (number, size_bytes) in more_layers_bytes.iter().enumerate() {
            let content = temporary_folder("layer");
            std::fs::write(content.path().join(format!("file-{number}")), random.bytes(*size_bytes)).expect("the folder is ours");
            layers.push(archive(content.path()).await);
        }
        layers
    }

    fn image(architecture: &str, layers: Vec<Vec<u8>>) -> Image {
        Self::running(architecture, layers, &["/hello"])
    }

    fn running(architecture: &str, layers: Vec<Vec<u8>>, program: &[&str]) -> Image {
        let diffs: Vec<String> = layers.iter().map(|layer| Digest::of(Algorithm::Sha256, layer).to_string()).collect();
        let config = json!({
            "architecture": architecture, "os": "linux", "config": {"Entrypoint": program},
            "rootfs": {"type": "layers", "diff_ids": diffs},
        });
        Image::of(config.to_string().into(), layers.into_iter().map(Into::into).collect())
    }

    fn of(root: &Image, others: &[Image]) -> Self {
        let folder = temporary_folder("layout");
        let blobs = folder.path().join("blobs/sha256");
        std::fs::create_dir_all(&blobs).expect("the folder is ours");
        for image in others.iter().chain([root]) {
            for content in image.blobs.iter().chain([&image.manifest]) {
                let name = Digest::of(Algorithm::Sha256, content).hex().to_owned();
                std::fs::write(blobs.join(name), content).expect("the folder is ours");
            }
        }
        let mut descriptor: Value = root.descriptor();
        descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": Self::TAG});
        let index = json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": [descriptor]});
        std::fs::write(folder.path().join("index.json"), index.to_string()).expect("the folder is ours");
        std::fs::write(folder.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("the folder is ours");
        Self { folder, digest: root.digest.to_string() }
    }
}

/// A static program that says hello, and then stays where it was given a word; compiled once a run.
async fn hello() -> &'static PathBuf {
    static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();
    PROGRAM
        .get_or_init(async || {
            let (source, program) = (run_folder().join("hello.c"), run_folder().join("hello"));
            let code = format!(
                "#include <stdio.h>\n#include <unistd.h>\n\
                 int main(int count, char **words) {{ puts(\"{ROOT_FILE_SYSTEM_WORDS}\"); fflush(stdout); if (count > 1) pause(); return 0; }}\n"
            );
            std::fs::write(&source, code).expect("the folder is ours");
            run_ok(
                "gcc",
                ["-static".as_ref(), "-Os".as_ref(), "-s".as_ref(), "-o".as_ref(), program.as_os_str(), source.as_os_str()],
            )
            .await;
            program
        })
        .await
}

/// A folder as a tar archive that depends on nothing but its content.
async fn archive(folder: &Path) -> Vec<u8> {
    let file = run_folder().join(format!("{}.tar", folder.file_name().expect("it has one").display()));
    let flags = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "-C"];
    let mut arguments: Vec<&std::ffi::OsStr> = flags.iter().map(AsRef::as_ref).collect();
    arguments.extend([folder.as_os_str(), "-cf".as_ref(), file.as_os_str(), ".".as_ref()]);
    run_ok("tar", arguments).await;
    let content = std::fs::read(&file).expect("tar has written it");
    std::fs::remove_file(&file).expect("it is ours");
    content
}
