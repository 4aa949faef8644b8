//! What an operator does, on files below a folder that stands for the node's root.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::Path,
    thread,
};

use tempfile::TempDir;

use super::*;

mod containerd;
mod containers;
mod docker;
mod everywhere;

const MIRROR: &str = "http://127.0.0.1:5200";

/// A node's root.
struct Node {
    root: TempDir,
}

impl Node {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn with(files: &[(&str, &str)]) -> Self {
        let node = Self::new();
        for (path, text) in files {
            node.write(path, text);
        }
        node
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    fn toml(&self, path: &str) -> toml::Table {
        self.read(path).parse().unwrap()
    }

    /// All files with their texts, and folders.
    fn all(&self) -> Vec<(PathBuf, Option<String>)> {
        fn gather(folder: &Path, all: &mut Vec<(PathBuf, Option<String>)>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    gather(&path, all);
                    all.push((path, None));
                } else {
                    all.push((path.clone(), Some(fs::read_to_string(path).unwrap())));
                }
            }
        }
        let mut all = Vec::new();
        gather(self.root.path(), &mut all);
        all.sort();
        all
    }

    fn request(&self, runtime: Runtime, registries: &[&str]) -> Request {
        let registries = registries.iter().map(|registry| registry.parse().unwrap()).collect();
        Request { root: self.root.path().to_owned(), ..Request::new(runtime, registries, MIRROR.parse().unwrap()) }
    }

    fn install(&self, runtime: Runtime, registries: &[&str]) -> Report {
        install(&self.request(runtime, registries)).unwrap()
    }

    fn remove(&self, runtime: Runtime, registries: &[&str]) -> Report {
        remove(&self.request(runtime, registries)).unwrap()
    }
}

/// What was done for each registry.
fn done(report: &Report) -> Vec<Done> {
    report.outcomes.iter().map(|outcome| outcome.done.clone()).collect()
}

#[test]
fn that_nothing_is_installed_is_said() {
    for runtime in [Runtime::Containerd, Runtime::Podman, Runtime::Crio] {
        assert_eq!(Node::new().remove(runtime, &[]).to_string(), "nothing is installed there\n", "{runtime}");
    }
    assert_eq!(Node::new().remove(Runtime::Docker, &[]).to_string(), "docker.io: was not installed\n");
}

#[test]
fn a_link_to_nothing_is_told_as_that() {
    let node = Node::new();
    let link = node.path("etc/containerd/certs.d/docker.io/hosts.toml");
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink("../elsewhere.toml", &link).unwrap();
    let refused = install(&node.request(Runtime::Containerd, &["docker.io"])).unwrap_err();
    assert!(matches!(&refused, MirrorError::Dangling { target, .. } if target == Path::new("../elsewhere.toml")), "{refused}");
    assert!(refused.to_string().contains("is a link to ../elsewhere.toml, which is not there"), "{refused}");
    assert!(link.symlink_metadata().unwrap().is_symlink());
}
